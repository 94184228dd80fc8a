"""Supervision: lists without people, single records for a purpose, and verification."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from offices import MakeOffice, Office, decide_by_form, demo_settings, open_office
from trained import SmallModel, write_package
from visiting import Visitor, check_problem

from explainer.core.decision import ReasonCode, Relation
from explainer.ledger.entries import EntryKind
from explainer.ledger.log import LogName
from service.cli import main
from service.store.decisions import RecordFilter
from service.store.tables import metadata
from service.supervision import PURPOSES

SOUND = "Die Prüfung hat keine Abweichung gefunden."
UNSOUND = "Die Prüfung hat eine Abweichung gefunden."
PURPOSE = {"purpose": "complaint", "purpose_text": "Schreiben vom 3. Mai"}


def numbers(visitor: Visitor, **wanted: str) -> list[str]:
    """Case numbers in the list, narrowed by the form."""
    answer = visitor.post("/records", wanted) if wanted else visitor.get("/records")
    assert answer.status == 200
    return [link.text for link in answer.all("a", class_="w-list__link")]


@pytest.fixture(scope="module")
def decided(standing: Office) -> Office:
    """Three more decisions, each of another kind."""
    caseworker = standing.visitor("caseworker")
    for case, codes in zip(standing.cases[1:4], (["D2"], ["D2", "E6"], ["X1"]), strict=True):
        decide_by_form(caseworker, case.id, codes=codes, note="Ein Satz")
    standing.tamper(
        f"UPDATE decision_record SET period = '2026-10' WHERE case_id = '{standing.cases[1].id}'"
    )
    return standing


def test_the_list_is_narrowed_by_what_a_case_is(decided: Office) -> None:
    visitor = decided.visitor("supervisor")
    refs = [case.case_ref for case in decided.cases[:4]]
    assert numbers(visitor) == list(reversed(refs))
    assert numbers(visitor, case_number=refs[2]) == [refs[2]]
    assert numbers(visitor, case_number=f"  {refs[2]} ") == [refs[2]]
    assert numbers(visitor, case_number=refs[2][:-1]) == []
    assert numbers(visitor, period="2026-10") == [refs[1]]
    assert numbers(visitor, period="2026-11", code="D2") == [refs[2]]
    assert numbers(visitor, unit="demo_office") == list(reversed(refs))
    assert numbers(visitor, unit="test_office") == []
    assert numbers(visitor, relation="not_used") == list(reversed(refs))
    assert numbers(visitor, relation="agree") == []
    assert numbers(visitor, code="X1") == [refs[3]]
    # a pattern is no search: the list cannot be combed
    for wildcard in ("%", "_", "*", "UB-", "' OR '1'='1"):
        assert numbers(visitor, case_number=wildcard) == []
        assert numbers(visitor, code=wildcard[:8]) == []


def test_a_search_stands_in_no_address(decided: Office) -> None:
    visitor = decided.visitor("supervisor")
    answer = visitor.post("/records", {"case_number": decided.cases[2].case_ref})
    assert answer.one("input", id="case_number").attrs["value"] == decided.cases[2].case_ref
    # asked for by address, nothing is narrowed: `get` and `post` look for numbers in addresses
    assert len(visitor.get("/records", params={"code": "X1"}).all("a", class_="w-list__link")) == 4


@pytest.mark.parametrize(
    "period", ["2026", "2026-13", "11/2026", "2026-1", "zwanzig", "２０２６-11"]
)
def test_a_month_that_is_none_is_said(decided: Office, period: str) -> None:
    answer = decided.visitor("supervisor").post("/records", {"period": period})
    assert answer.status == 422
    assert list(answer.errors()) == ["period"]
    assert answer.one("input", id="period").attrs["value"] == period


def test_a_long_list_has_pages(decided: Office) -> None:
    """Fifty a page; the search goes along, in the form and in no address."""
    before = decided.sql("SELECT count(*) FROM decision_record")[0][0]
    row = decided.sql("SELECT * FROM decision_record LIMIT 1")[0]
    seqs = [e.leaf.seq for e in decided.entries() if e.leaf.type != EntryKind.DECISION]
    columns = [c[1] for c in decided.sql("PRAGMA table_info(decision_record)")]
    made = 0
    for at in range(60):
        new = {
            **dict(zip(columns, row, strict=True)),
            "record_id": f"made-{at}",
            "seq": 10_000 + at,
        }
        values = ", ".join("NULL" if v is None else repr(v) for v in new.values())
        decided.sql(f"INSERT INTO decision_record ({', '.join(new)}) VALUES ({values})")
        made += 1
    assert seqs
    try:
        visitor = decided.visitor("supervisor")
        first = visitor.post("/records", {"relation": "not_used"})
        assert len(first.all("a", class_="w-list__link")) == 50
        assert "Seite 1 von 2" in first.text
        button = first.one("button", name="page")
        second = visitor.post("/records", {"relation": "not_used", "page": button.attrs["value"]})
        assert len(second.all("a", class_="w-list__link")) == before + made - 50
        assert first.hidden("/records")["relation"] == "not_used"
        assert visitor.post("/records", {"page": "99"}).status == 200
        assert visitor.post("/records", {"page": "0"}).status == 422
    finally:
        decided.tamper("DELETE FROM decision_record WHERE record_id LIKE 'made-%'")


# -- no monitoring ----------------------------------------------------------------------------

PEOPLE = ("actor", "staff", "user", "person", "clerk", "employee", "caseworker", "subject")


def test_no_table_has_a_column_for_people() -> None:
    for table in metadata.tables.values():
        for column in table.columns:
            assert not any(word in column.name for word in PEOPLE), f"{table.name}.{column.name}"


def test_no_search_has_a_field_for_people(decided: Office) -> None:
    assert set(RecordFilter.__slots__) == {"case_ref", "period", "unit", "relation", "code"}
    page = decided.visitor("supervisor").get("/records")
    names = {e.attrs["name"] for tag in ("input", "select") for e in page.all(tag)}
    names -= {"form_token", "path"}
    assert names == {"case_number", "period", "unit", "relation", "code"}
    # nothing can be sorted, and nothing is counted by group
    assert not page.all("th", **{"aria-sort": "ascending"})
    assert not [link for link in page.all("a") if "sort" in link.attrs["href"]]


def test_who_decided_stands_on_no_page_of_supervision(decided: Office) -> None:
    visitor = decided.visitor("supervisor")
    record = record_of(decided, 2)
    pages = [
        visitor.get("/records"),
        visitor.get(f"/records/{record}"),
        visitor.post(f"/records/{record}", PURPOSE),
        visitor.post("/verify", {}),
    ]
    entry = decided.decisions(decided.cases[2])[0]
    for page in pages:
        assert page.status == 200
        for secret in ("demo-caseworker", "api-caseworker", entry.payload["actor_pseudonym"]):
            assert secret not in page.body


def test_the_person_is_sealed_and_never_the_same_twice(decided: Office) -> None:
    sealed = [e.payload["actor_pseudonym"] for e in decided.entries(EntryKind.DECISION)]
    assert len(sealed) == len(set(sealed)) >= 4
    data = (decided.tools.settings.data / "warum.sqlite").read_bytes()
    assert b"demo-caseworker" not in data
    assert b"demo-supervisor" not in data


def test_times_are_kept_to_the_minute(decided: Office) -> None:
    for entry in decided.entries():
        assert entry.leaf.ts.endswith("Z")
        assert len(entry.leaf.ts) == len("2026-11-23T12:00Z")
    page = decided.visitor("supervisor").get("/records")
    assert "12:00" not in page.text, "a list of decisions says the day, never the hour"


# -- one record -------------------------------------------------------------------------------


def record_of(office: Office, at: int) -> str:
    return str(office.decisions(office.cases[at])[0].payload["record_id"])


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_record_opens_for_a_purpose_that_is_written_down_first(
    decided: Office, purpose: str
) -> None:
    visitor, record = decided.visitor("supervisor"), record_of(decided, 2)
    before, shown = decided.size(LogName.ACCESS), decided.size()
    asked = visitor.get(f"/records/{record}")
    assert asked.status == 200
    assert "Ein Satz" not in asked.text, "nothing is shown before"
    assert decided.size(LogName.ACCESS) == before
    opened = visitor.post(f"/records/{record}", {"purpose": purpose, "purpose_text": "Anlass 7"})
    assert opened.status == 200
    (entry,) = decided.entries(log=LogName.ACCESS, since=before)
    assert entry.leaf.type == EntryKind.ACCESS
    assert entry.payload["purpose"] == purpose
    assert entry.payload["purpose_text"] == "Anlass 7"
    assert entry.payload["record_id"] == record
    assert "Anlass 7" in opened.text
    assert "Ein Satz" in opened.text
    assert decided.size() == shown, "the ledger and the access log are two logs"
    # what the caseworker was shown, in its very bytes
    payload = decided.decisions(decided.cases[2])[0].payload
    seen = [
        e.payload["told"]
        for e in decided.entries(EntryKind.SHOWN)
        if e.payload["case_ref"] == payload["case_ref"]
    ]
    assert any(told in opened.body for told in seen)


def test_each_opening_is_written_down_anew(decided: Office) -> None:
    visitor, record = decided.visitor("supervisor"), record_of(decided, 2)
    before = decided.size(LogName.ACCESS)
    fields = {**visitor.get(f"/records/{record}").hidden(f"/records/{record}"), **PURPOSE}
    for _ in range(3):
        assert visitor.post(f"/records/{record}", fields).status == 200
    assert decided.size(LogName.ACCESS) == before + 3


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({}, "purpose"),
        ({"purpose": ""}, "purpose"),
        ({"purpose": "curiosity"}, "purpose"),
        ({"purpose": "audit", "purpose_text": "x" * 301}, "purpose_text"),
    ],
)
def test_without_a_purpose_nothing_opens(decided: Office, sent: dict[str, str], wrong: str) -> None:
    visitor, record = decided.visitor("supervisor"), record_of(decided, 2)
    before = decided.size(LogName.ACCESS)
    answer = visitor.post(f"/records/{record}", sent)
    assert answer.status == 422
    assert list(answer.errors()) == [wrong]
    assert "Ein Satz" not in answer.text
    assert decided.size(LogName.ACCESS) == before
    if "purpose_text" in sent:
        assert sent["purpose_text"] in answer.one("textarea", id="purpose_text").text


@pytest.mark.parametrize("table", ["entry", "payload", "head", "case_entry"])
def test_what_cannot_be_written_down_is_not_shown(decided: Office, table: str) -> None:
    visitor, record = decided.visitor("supervisor"), record_of(decided, 2)
    before = decided.size(LogName.ACCESS)
    event = "UPDATE" if table == "head" else "INSERT"
    decided.sql(
        f"CREATE TRIGGER broken BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    try:
        answer = visitor.post(f"/records/{record}", PURPOSE)
        assert answer.status == 503
        assert "Ein Satz" not in answer.body
        assert decided.cases[2].case_ref not in answer.body
        assert decided.size(LogName.ACCESS) == before
    finally:
        decided.sql("DROP TRIGGER broken")
    assert visitor.post(f"/records/{record}", PURPOSE).status == 200


def test_a_record_in_the_tables_that_says_another_thing_does_not_open(decided: Office) -> None:
    """What people are told comes from what was sealed, not from a table anybody can change."""
    visitor, record = decided.visitor("supervisor"), record_of(decided, 2)
    where = f"WHERE record_id = '{record}'"
    old = decided.sql(f"SELECT outcome FROM decision_record {where}")[0][0]
    decided.tamper(f"UPDATE decision_record SET outcome = 'check_more_closely' {where}")
    try:
        answer = visitor.post(f"/records/{record}", PURPOSE)
        assert answer.status >= 500
        applicant = decided.visitor("applicant", decided.cases[2].id).get("/application")
        assert applicant.status >= 500
    finally:
        decided.tamper(f"UPDATE decision_record SET outcome = '{old}' {where}")
    assert visitor.post(f"/records/{record}", PURPOSE).status == 200


def test_every_relation_and_every_ground_has_words(decided: Office) -> None:
    page = decided.visitor("supervisor").get("/records")
    offered = {e.attrs["value"]: e.text for e in page.all("option")}
    for relation in Relation:
        assert offered[relation.value]
    hidden = {code for code in ReasonCode if code.value not in offered}
    assert hidden == {code for code in ReasonCode if code.group == "M"}
    for code in ({code.value for code in ReasonCode} & set(offered)) | {"M"}:
        assert offered[code].startswith(f"{code} – ")
        assert "bitte" not in offered[code].lower(), "for whoever fills in the form"


def without_what_differs_anyway(office: Office, at: int, text: str) -> str:
    """Part of a page about one record, without what is another in every record."""
    record, entry = record_of(office, at), office.decisions(office.cases[at])[0]
    for own in (record, office.cases[at].case_ref, entry.receipt.leaf_hash.hex()):
        text = text.replace(own, "…")
    text = re.sub("<dt>Vorschlag des Programms</dt><dd>[^<]*</dd>", "", text)
    return text.replace(f">{entry.leaf.seq}<", ">…<")


GROUNDS_ABOUT_THE_PROGRAM = [code.value for code in ReasonCode if code.group == "M"]


def test_a_suspicion_goes_to_the_contact_and_not_to_supervision(
    make_office: MakeOffice, make_package
) -> None:
    """C8: suspected disadvantage is for the fairness contact, not for the line manager. A record
    with it reads as one with any other ground about the program, with and without a note."""
    sent = [*([code] for code in GROUNDS_ABOUT_THE_PROGRAM), ["M5", "M1"], ["M5"]]
    office = make_office(make_package(), cases=len(sent))
    caseworker = office.visitor("caseworker")
    for at, codes in enumerate(sent):
        note = "Verdacht auf" if at % 2 else ""
        decide_by_form(caseworker, office.cases[at].id, codes=codes, note=note)
    visitor, machine = office.visitor("supervisor"), office.machine("supervisor")
    everything = numbers(visitor)
    assert len(everything) == len(sent)
    told, rows = set(), set()
    for at in range(len(sent)):
        opened = visitor.post(f"/records/{record_of(office, at)}", PURPOSE)
        assert opened.status == 200
        part = opened.body.partition('id="entscheidung"')[2].partition('class="w-shown"')[0]
        assert (
            "Bei einem Grund zum Programm zeigen wir hier keine Notiz und keine Fundstellen."
            in part
        )
        told.add(without_what_differs_anyway(office, at, part))
        found = visitor.post("/records", {"case_number": office.cases[at].case_ref})
        (row,) = [e for e in found.all("td") if e.attrs.get("data-l") == "Gründe"]
        rows.add(row.text)
    assert len(told) == 1
    assert rows == {"Ein Grund zum Programm M"}
    assert {tuple(row["codes"]) for row in machine.get("/records").json()["records"]} == {("M",)}
    # searched for, all of them are found or none is
    offered = {e.attrs["value"] for e in visitor.get("/records").all("option")}
    assert not offered & set(GROUNDS_ABOUT_THE_PROGRAM)
    assert numbers(visitor, code="M") == everything
    assert machine.get("/records?code=M").json()["total"] == len(everything)
    unknown = machine.get("/records?code=ZZ").json()
    for code in GROUNDS_ABOUT_THE_PROGRAM:
        assert numbers(visitor, code=code) == numbers(visitor, code="ZZ") == []
        assert machine.get(f"/records?code={code}").json() == unknown
    # the caseworker sees their own decision whole, and the ledger has it
    at = GROUNDS_ABOUT_THE_PROGRAM.index("M5")
    assert "M5" in caseworker.get(f"/cases/{office.cases[at].id}").text
    assert office.decisions(office.cases[at])[0].payload["reason_codes"] == ["M5"]


def test_the_form_promises_what_supervision_is_shown(decided: Office) -> None:
    page = decided.visitor("caseworker").get(f"/cases/{decided.cases[4].id}")
    (field,) = [e for e in page.all("input", name="codes") if e.attrs["value"] == "M5"]
    promise = page.one("p", id=field.attrs["aria-describedby"]).text
    assert "Ein Grund zum Programm" in promise
    assert "Notiz" in promise


# -- verification -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, small_model: SmallModel) -> tuple[Path, Path]:
    """A package, and the folder of an office that has closed: some entries in both logs."""
    folder = tmp_path_factory.mktemp("closed")
    package = write_package(folder / "small_benefit", small_model)
    office = open_office(demo_settings(folder / "data", package), 4)
    for at in range(3):
        office.decided(at)
    office.visitor("supervisor").post(f"/records/{record_of(office, 1)}", PURPOSE)
    office.tools.seals.now()
    office.tools.close()
    return package, folder / "data"


@pytest.fixture
def small_office(closed: tuple[Path, Path], tmp_path: Path, make_office: MakeOffice) -> Office:
    """The same office opened again, to do anything with."""
    shutil.copytree(closed[1], tmp_path / "data")
    return make_office(closed[0], cases=4)


@pytest.mark.parametrize("person", ["caseworker", "supervisor"])
def test_a_ledger_nobody_touched_is_sound(small_office: Office, person: str) -> None:
    answer = small_office.visitor(person).post("/verify", {})
    assert answer.status == 200
    assert answer.one("h2", id="ergebnis").text == SOUND
    assert str(small_office.size() + small_office.size(LogName.ACCESS)) in answer.text
    names = [e.text for e in answer.all("dt") if "letzte Prüfmarke" in e.text]
    assert len(set(names)) == 2, "the two logs are told apart"
    # the access log has one entry
    assert "über 1 Eintrag " in answer.text
    assert "Export" not in answer.text, "there is none yet"


TAMPERED = {
    "a leaf of the ledger": (
        "UPDATE entry SET leaf = CAST(replace(CAST(leaf AS TEXT), '2026', '2025') AS BLOB) "
        "WHERE log = 'ledger' AND seq = 3",
        3,
    ),
    # SQLite takes text where bytes belong
    "a leaf that is text now": (
        "UPDATE entry SET leaf = replace(leaf, '2026', '2025') WHERE log = 'ledger' AND seq = 3",
        3,
    ),
    "a hash of the ledger": (
        "UPDATE entry SET leaf_hash = randomblob(32) WHERE log = 'ledger' AND seq = 2",
        2,
    ),
    "a payload": (
        "UPDATE payload SET ciphertext = randomblob(200) WHERE log = 'ledger' AND seq = 4",
        4,
    ),
    "a payload that is gone": ("DELETE FROM payload WHERE log = 'ledger' AND seq = 4", 4),
    "an entry of the access log": (
        "UPDATE entry SET leaf = replace(leaf, '2026', '2025') WHERE log = 'access' AND seq = 0",
        0,
    ),
    "two that changed places": (
        "UPDATE entry SET leaf = (SELECT e.leaf FROM entry e WHERE e.log = 'ledger' AND "
        "e.seq = 5 - entry.seq) WHERE log = 'ledger' AND seq IN (2, 3)",
        2,
    ),
}


ONLY_IN_THE_TREE = {"two that changed places"}


@pytest.mark.parametrize("name", TAMPERED)
def test_the_first_false_place_is_named(small_office: Office, name: str) -> None:
    statement, first = TAMPERED[name]
    visitor = small_office.visitor("supervisor")
    small_office.tamper(statement)
    answer = visitor.post("/verify", {})
    assert answer.status == 200
    assert answer.one("h2", id="ergebnis").text == UNSOUND
    facts = dict(
        zip(
            [e.text for e in answer.all("dt")],
            [e.text for e in answer.all("dd")],
            strict=True,
        )
    )
    place = next(value for key, value in facts.items() if key.startswith("Erste falsche Stelle"))
    named = int(place.split()[0])
    # where only the tree shows it, what is known is the first entry after the last good checkpoint
    assert named == first or (name in ONLY_IN_THE_TREE and 0 < named < first)
    # the same in English
    assert visitor.get("/?lang=en").status == 200
    assert visitor.post("/verify", {}).one("h2", id="ergebnis").text


def cut(seq: int) -> list[str]:
    tables = ("idempotency", "decision_record", "case_entry", "payload", "entry")
    return [f"DELETE FROM {table} WHERE log = 'ledger' AND seq = {seq}" for table in tables]


def test_a_tail_that_was_cut_is_noticed(small_office: Office) -> None:
    visitor = small_office.visitor("supervisor")
    last = small_office.size() - 1
    small_office.tamper(*cut(last))
    answer = visitor.post("/verify", {})
    assert answer.one("h2", id="ergebnis").text == UNSOUND


def test_a_ledger_that_was_changed_is_not_opened_again(
    small_office: Office, make_office: MakeOffice, closed: tuple[Path, Path]
) -> None:
    """What was sealed is looked at before anything is served."""
    from explainer.errors import LogBehindWitness, LogForked

    last = small_office.size() - 1
    small_office.tools.close()
    small_office.tamper(*cut(last))
    small_office.tamper("DELETE FROM checkpoint WHERE log = 'ledger'")
    with pytest.raises((LogForked, LogBehindWitness)):
        make_office(closed[0])


# -- tables against what was sealed -----------------------------------------------------------

CHANGED = {
    "the relation": "UPDATE decision_record SET relation = 'agree' WHERE seq = {0}",
    "the outcome": "UPDATE decision_record SET outcome = 'check_more_closely' WHERE seq = {0}",
    "the grounds": "UPDATE decision_record SET codes = '[\"D1\"]' WHERE seq = {0}",
    "grounds that are none": "UPDATE decision_record SET codes = 'D1' WHERE seq = {0}",
    "the unit": "UPDATE decision_record SET unit = 'another' WHERE seq = {0}",
    "the month": "UPDATE decision_record SET period = '2020-01' WHERE seq = {0}",
    "the case": "UPDATE decision_record SET case_id = (SELECT case_id FROM decision_record "
    "WHERE seq <> {0} LIMIT 1) WHERE seq = {0}",
    "the case number": "UPDATE case_file SET sealed = (SELECT sealed FROM case_file WHERE id NOT "
    "IN (SELECT case_id FROM decision_record) LIMIT 1) WHERE id = "
    "(SELECT case_id FROM decision_record WHERE seq = {0})",
    "whether it was decided": "UPDATE case_file SET state = 'open' WHERE id = "
    "(SELECT case_id FROM decision_record WHERE seq = {0})",
    "that there is one": "DELETE FROM decision_record WHERE seq = {0}",
}
NOT_IN_A_ROW = {"that there is one", "whether it was decided"}


@pytest.mark.parametrize("name", CHANGED)
def test_a_row_that_says_another_thing_than_was_sealed_is_marked(
    small_office: Office, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the list, by the API, by the check on the page and by the command."""
    visitor, machine = small_office.visitor("supervisor"), small_office.machine("supervisor")
    data = str(small_office.tools.settings.data)
    assert not visitor.get("/records").all("strong")
    assert machine.get("/records").status == 200
    assert main(["ledger", "verify", data]) == 0
    assert "tables: what they say of decisions is what was sealed" in capsys.readouterr().out
    seq = small_office.decisions(small_office.cases[1])[0].leaf.seq
    small_office.tamper(CHANGED[name].format(seq))
    checked = visitor.post("/verify", {})
    assert checked.one("h2", id="ergebnis").text == UNSOUND
    assert main(["ledger", "verify", data]) == 1
    said = capsys.readouterr().out
    assert f"tables: FAULT at entry {seq}: The tables say something else" in said
    assert said.endswith("NOT CLEAN\n")
    marked = visitor.get("/records").all("strong")
    assert [e.text for e in marked] == [] if name in NOT_IN_A_ROW else [DISAGREES]
    if name not in NOT_IN_A_ROW:
        problem = check_problem(machine.get("/records"), 500, "ledger.records_disagree")
        assert problem["where"] == f"entry {seq}"


DISAGREES = "Die Tabelle sagt etwas anderes als das Protokoll. Bitte prüfen Sie das Protokoll."


def test_without_the_keys_the_command_says_what_it_did_not_compare(
    closed: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(closed[1], tmp_path / "data")
    (tmp_path / "data" / "wrap.key").unlink()
    assert main(["ledger", "verify", str(tmp_path / "data")]) == 0
    said = capsys.readouterr().out
    assert "tables: NOT COMPARED with what was sealed" in said
    assert "wrap.key" in said


def test_the_folders_own_witness_is_not_called_one_from_outside(
    closed: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(closed[1], data)
    assert main(["ledger", "verify", str(data)]) == 0
    said = capsys.readouterr().out
    assert said.count("no checkpoint from outside covers any entry") == 2
    assert "under a checkpoint from outside" not in said
    kept = shutil.copytree(data / "witness" / "ledger", tmp_path / "kept")
    assert main(["ledger", "verify", str(data), "--checkpoint", str(kept)]) == 0
    assert capsys.readouterr().out.count("are under a checkpoint from outside") == 1
