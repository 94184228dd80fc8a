"""A note is looked through for what belongs in the file. The lists say how well, and where not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explainer.text.notes import READ, Kind, note_faults, personal_in

FOUND = [
    # note, what is found
    ("Sie ist seit März krank.", {"health"}),
    ("Attest liegt vor", {"health"}),
    ("Nach einer Krebserkrankung noch nicht belastbar", {"health"}),
    ("Rückenleiden, siehe Gutachten", {"health"}),
    ("Schwerbehinderung, Merkzeichen G", {"health"}),
    ("Die Antragstellerin ist SCHWANGER.", {"health"}),
    ("Pflege der Mutter", {"health"}),
    ("Pflegegrad 3", {"health"}),
    ("Suchterkrankung, Therapie ab Mai", {"health"}),
    ("alkoholabhängig", {"health"}),
    ("psychische Belastung", {"health"}),
    ("Reha bis Juni", {"health"}),
    ("in der Klinik", {"health"}),
    ("ärztliches Gutachten", {"health"}),
    ("De\u00adpres\u00adsion", {"health"}),
    ("A\u0308rztin fragte nach", {"health"}),
    ("ｋｒａｎｋ", {"health"}),
    ("He has a disability.", {"health"}),
    ("on sick leave", {"health"}),
    ("mental health issues", {"health"}),
    ("pregnant", {"health"}),
    ("Frau Kanarienvogel legte den Vertrag vor", {"name"}),
    ("Herrn Dr. Özgür angerufen", {"name"}),
    ("spoke to Mrs Smith", {"name"}),
    ("geb. 3.4.1985", {"birth"}),
    ("geboren am 03.04.85", {"birth"}),
    ("Geburtsdatum: 1985-04-03", {"birth"}),
    ("born 3 April 1985", {"birth"}),
    ("12.05.1979", {"birth"}),
    ("1979-05-12", {"birth"}),
    ("Tel. 0231 5550123", {"phone"}),
    ("erreichbar unter +49 231 555 0123", {"phone"}),
    ("Handy 0151/23456789", {"phone"}),
    ("Telefonnummer: 5550123", {"phone"}),
    ("schrieb von a.keller@example.org", {"email"}),
    ("DE89 3704 0044 0532 0130 00", {"account"}),
    ("DE89370400440532013000", {"account"}),
    ("AT61 1904 3002 3457 3201", {"account"}),
    ("65 170839 J 003", {"number"}),
    ("A123456780", {"number"}),
    ("Steuer-ID 12 345 678 901", {"number"}),
    ("wohnt Kielstraße 14", {"address"}),
    ("Am neuen Hamburger Weg 3", {"address"}),
    ("Frau Berg, Tel. 0231 5550123, ist krank", {"health", "name", "phone"}),
]

NOTHING = [
    "",
    "Mietvertrag lag vor.",
    "Gespräch am Montag",
    "Akte Blatt 7",
    "Einkommen schwankt, siehe Kontoauszug vom 3.11.2026",
    "Bescheid vom 12.05.2024 aufgehoben",
    "Bescheid vom 2024-05-12",
    "§ 7 Abs. 1 SGB II, § 44 SGB X",
    "Az. 12/2026, Bl. 104",
    "BG-Nummer wurde berichtigt",
    "Hat die Unterlagen gesucht und besucht den Kurs",
    "Wir haben das untersucht",
    "Es wurde versucht, sie zu erreichen",
    "Krankenkasse hat die Meldung nachgereicht",
    "Beitrag zur Krankenversicherung fehlte",
    "Beschäftigung als Krankenpfleger beendet",
    "Arbeit bei einer Pflegekasse",
    "Frau und Kinder ziehen mit um",
    "Die Frau hat angerufen",
    "Ehefrau verdient 1.240 €",
    "Betrag von 1234567,89 € geprüft",
    "Auszahlung 450 EUR, 12 Monate",
    "Härtefall, Einzelfall geprüft",
    "Weisung 3/2026 beachtet",
    "Anhörung ergab neue Tatsachen",
    "Telefonat geführt",
    "E-Mail lag nicht vor",
    "Kind geboren, Haushalt jetzt größer",
    "Programm nahm falschen Wohnort an",
    "Rental contract was handed in.",
    "Income varies, see statement of 3 November 2026",
    "Talked on the phone",
    "The household has changed.",
]

MISSED = [
    # what nobody should think is found
    "Keller hat angerufen",
    "Sie hat MS",
    "kann seit dem Sturz nicht mehr heben",
    "seine Tochter Amira zog aus",
]


@pytest.mark.parametrize(("note", "kinds"), FOUND)
def test_what_belongs_in_the_file_is_named_by_its_kind(note: str, kinds: set[str]) -> None:
    assert set(personal_in(note)) == kinds


@pytest.mark.parametrize("note", NOTHING)
def test_what_a_note_is_for_is_not_asked_about(note: str) -> None:
    assert personal_in(note) == ()
    assert note_faults(note) == ()


@pytest.mark.parametrize("note", MISSED)
def test_a_list_of_words_misses_what_it_does_not_have(note: str) -> None:
    """Documented in docs/ledger.md as a limit; whoever mends one moves it up."""
    assert personal_in(note) == ()


def test_every_kind_has_a_note_it_is_found_in() -> None:
    assert {kind for _, kinds in FOUND for kind in kinds} == {kind.value for kind in Kind}


@given(st.text(max_size=700))
def test_a_fault_says_kinds_and_nothing_of_the_note(note: str) -> None:
    for field, fault in note_faults(note):
        assert field == "note"
        assert set(fault.where.split(", ")) <= {kind.value for kind in Kind}
    marked = f"{note} Frau Kanarienvogel"[-READ:]
    ((_, fault),) = note_faults(marked)
    assert "Kanarienvogel" not in f"{fault} {fault.what} {fault.where} {fault.mend}"


@pytest.mark.parametrize(
    "note", ["0" * 5000, "A" * 5000, "0 " * 3000, "a@" * 3000, "DE12 " * 1000, "Frau " * 1000]
)
def test_long_and_odd_notes_come_to_an_end(note: str) -> None:
    assert isinstance(personal_in(note), tuple)
