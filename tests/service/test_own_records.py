"""Own records: everybody finds what they recorded, and nobody finds out whose the rest is."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ledgers import NOON, Installation, case, decision, row
from offices import MakeOffice, Office, decide_by_form
from sqlalchemy import event
from test_erasing import on_both
from visiting import Answer, Visitor

from explainer.core.decision import Actor, Role
from explainer.errors import NotAllowed, StorageFailed
from explainer.ledger.entries import Entry, EntryKind
from explainer.ledger.log import LogName
from service.cli import main
from service.own_records import own_records
from service.store import erasure, own, records
from service.store.database import Store
from service.store.of_case import case_of_entry
from service.wiring import DEMO_UNIT

ANNA, JAN = "anna.berg", "jan.ott"


@pytest.fixture
def store(installation: Installation) -> Iterator[Store]:
    store = installation.open()
    yield store
    store.close()


def decide(store: Store, ref: str, by: str) -> int:
    case_id = case(store, ref)
    with store.transaction(NOON) as tx:
        return records.add_decision(tx, row(case_id), decision(ref, subject=by), by=by).seq


def found(store: Store, subject: str, before: int | None = None) -> own.Found:
    with store.reading() as tx:
        return own.find_own(tx, subject, before)


def everything(store: Store, subject: str) -> list[int]:
    seqs, before = list[int](), None
    while True:
        part = found(store, subject, before)
        seqs += part.seqs
        if part.before is None:
            return seqs
        before = part.before


def test_everybody_finds_their_own_newest_first_and_nobody_elses(store: Store) -> None:
    mine = [decide(store, f"BG-{at}", ANNA if at % 3 else JAN) for at in range(9)]
    annas = [seq for at, seq in enumerate(mine) if at % 3]
    assert found(store, ANNA) == own.Found(tuple(reversed(annas)), None)
    assert found(store, JAN) == own.Found(
        tuple(reversed([s for s in mine if s not in annas])), None
    )
    for nobody in ("", "anna.ber", "anna.berg ", "ANNA.BERG", f"{mine[1]}:anna.berg"):
        assert found(store, nobody) == own.Found((), None)


@pytest.mark.parametrize(("at_most", "looked", "part"), [(1, 10**6, 3), (2, 4, 2), (3, 1, 1)])
def test_page_after_page_everything_is_found_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, at_most: int, looked: int, part: int
) -> None:
    for name, value in (("AT_MOST", at_most), ("LOOKED_THROUGH", looked), ("PART", part)):
        monkeypatch.setattr(own, name, value)
    places = [decide(store, f"BG-{at}", ANNA if at in (0, 4, 5, 6, 9) else JAN) for at in range(11)]
    for subject in (ANNA, JAN):
        theirs = [p for at, p in enumerate(places) if (at in (0, 4, 5, 6, 9)) == (subject == ANNA)]
        assert everything(store, subject) == theirs[::-1]
        assert len(found(store, subject).seqs) <= at_most


def test_the_table_alone_tells_neither_who_nor_how_much(
    store: Store, installation: Installation
) -> None:
    """No two rows of a person are alike, so there is nothing to group them by."""
    for at in range(6):
        decide(store, f"BG-{at}", ANNA)
    rows = installation.attacker.find("SELECT * FROM own_record")
    marks = [bytes(mark) for _, _, mark in rows]
    assert len(set(marks)) == 6
    assert {len(mark) for mark in marks} == {32}
    assert len({log for log, _, _ in rows}) == 1
    assert "anna" not in repr(rows)
    # not without the key either: that of another house gives other marks
    other = Installation(installation.folder.parent / "elsewhere").open()
    assert not set(marks) & {other.keys.own_mark(ANNA, seq) for _, seq, _ in rows}
    other.close()


def test_a_mark_serves_at_its_own_place_only(store: Store, installation: Installation) -> None:
    """Who may write the table still cannot put a decision down to somebody."""
    first, second = decide(store, "BG-1", ANNA), decide(store, "BG-2", JAN)
    taken = f"(SELECT mark FROM own_record WHERE seq = {first})"
    installation.attacker.run(f"UPDATE own_record SET mark = {taken} WHERE seq = {second}")
    assert found(store, ANNA).seqs == (first,)
    assert found(store, JAN).seqs == ()


def test_it_is_written_with_the_decision_or_not_at_all(store: Store) -> None:
    case_id = case(store, "BG-1")

    def interrupted() -> None:
        with store.transaction(NOON) as tx:
            records.add_decision(tx, row(case_id), decision("BG-1"), by=ANNA)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert found(store, ANNA).seqs == ()


def test_the_application_cannot_change_it(store: Store) -> None:
    decide(store, "BG-1", ANNA)
    with pytest.raises(StorageFailed), store.transaction(NOON) as tx:
        tx.connection.exec_driver_sql("UPDATE own_record SET seq = seq")


def test_it_goes_with_the_case(store: Store, installation: Installation) -> None:
    kept, gone = decide(store, "BG-1", ANNA), decide(store, "BG-2", ANNA)
    with store.transaction(NOON) as tx:
        case_id = case_of_entry(tx, gone)
        assert case_id is not None
        basis = {"legal_basis": "Art. 17 DSGVO", "seqs": [gone]}
        erasure.record_erasure(tx, case_id, Entry(EntryKind.ERASURE, basis))
    erasure.finish_erasures(store)
    assert found(store, ANNA).seqs == (kept,)
    assert len(installation.attacker.find("SELECT * FROM own_record")) == 1


# -- the page ---------------------------------------------------------------------------------

PAGE = "/own-records"


def listed(page: Answer) -> list[str]:
    """The summary of each record on the page."""
    return [one.text for one in page.all("summary")]


def as_somebody_else(office: Office, subject: str, unit: str | None = DEMO_UNIT) -> Actor:
    return Actor(subject, Role.CASEWORKER, unit=unit)


@pytest.fixture
def caseworker(standing: Office) -> Visitor:
    return standing.visitor("caseworker")


def test_what_was_entered_by_form_or_by_program_is_read_again_whole(
    office: Office,
) -> None:
    caseworker = office.visitor("caseworker")
    decide_by_form(caseworker, office.cases[0].id, note="Neue Bescheinigung\nvom Montag")
    decide_by_form(caseworker, office.cases[1].id, codes=["D2", "L3"])
    page = caseworker.get(PAGE)
    assert page.status == 200
    first, second = (case.case_ref for case in office.cases[:2])
    assert [first in line for line in listed(page)] == [False, True]
    assert [second in line for line in listed(page)] == [True, False]
    (entry,) = office.decisions(office.cases[0])
    for told in ("E6", "L3", "D2", "Neue Bescheinigung", entry.receipt.leaf_hash.hex()):
        assert told in page.text
    # the machine is somebody else, with records of its own
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    answer = office.machine("caseworker").post(
        f"/cases/{office.cases[2].id}/decisions", form, key="a random key of the machine"
    )
    assert answer.status == 201
    assert len(listed(caseworker.get(PAGE))) == 2
    theirs = own_records(None, as_somebody_else(office, "api-caseworker"), office.tools)
    assert [one.listed.case_ref for one in theirs.rows] == [office.cases[2].case_ref]


def test_every_decision_and_every_correction_can_be_found_again(office: Office) -> None:
    """Whatever writes one has to say whose it is."""
    caseworker = office.visitor("caseworker")
    case = office.decided()
    href = f"/cases/{case.id}/correction"
    fields = {**caseworker.get(href).hidden(href), "outcome": "can_be_granted"}
    answer = caseworker.post(href, {**fields, "relation": "not_used", "codes": ["D1"]})
    assert answer.status == 303
    found = {one.listed.seq for one in own_records(None, *_demo(office)).rows}
    assert found == {one.leaf.seq for one in office.entries(EntryKind.DECISION)}
    assert len(found) == 2
    page = caseworker.get(PAGE)
    assert "Diese Entscheidung korrigiert eine frühere." in page.text
    assert "Diese Entscheidung wurde später korrigiert." in page.text


def _demo(office: Office) -> tuple[Actor, object]:
    return as_somebody_else(office, "demo-caseworker"), office.tools


def test_nobody_sees_what_somebody_else_entered(standing: Office) -> None:
    for subject in ("jan.ott", "demo-supervisor", "demo", "", "%", "demo-caseworker "):
        for unit in (DEMO_UNIT, "test_office", None):
            theirs = own_records(None, as_somebody_else(standing, subject, unit), standing.tools)
            assert theirs.rows == ()
    for role in Role:
        if role is not Role.CASEWORKER:
            with pytest.raises(NotAllowed):
                own_records(None, Actor("demo-caseworker", role), standing.tools)


def test_nothing_sent_along_makes_it_anybody_elses(standing: Office, caseworker: Visitor) -> None:
    own = caseworker.get(PAGE)
    assert listed(own)
    for query in ("subject=jan.ott", "actor=x", "person=supervisor", "unit=test_office", "q=D1"):
        assert listed(caseworker.get(f"{PAGE}?{query}")) == listed(own)
    for wrong in ("x", "-1", "1e3", "9" * 40, ""):
        assert caseworker.get(f"{PAGE}?before={wrong}").status == 422


def test_the_page_neither_counts_nor_searches_nor_leaves_an_entry(
    standing: Office, caseworker: Visitor
) -> None:
    before = standing.size(), standing.size(LogName.ACCESS)
    page = caseworker.get(PAGE)
    assert (standing.size(), standing.size(LogName.ACCESS)) == before
    inside = [e for e in page.elements if any(a.tag == "main" for a in e.inside())]
    assert not [e for e in inside if e.tag in ("form", "input", "select", "table", "button")]
    links = [e.attrs["href"] for e in inside if e.tag == "a"]
    assert not [href for href in links if "?" in href]
    assert {href.split("/")[1] for href in links} == {"cases"}


def test_pages_go_back_to_the_oldest_and_to_the_newest_again(
    standing: Office, caseworker: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        decide_by_form(caseworker, standing.fresh().id)
    everything = listed(caseworker.get(PAGE))
    assert len(everything) == 4
    monkeypatch.setattr(own, "AT_MOST", 3)
    page, seen = caseworker.get(PAGE), []
    while True:
        seen += listed(page)
        older = [a.attrs["href"] for a in page.all("a") if a.text == "Ältere Einträge"]
        if not older:
            break
        page = caseworker.get(*older)
    assert seen == everything
    (newest,) = [a.attrs["href"] for a in page.all("a") if a.text == "Neueste Einträge"]
    assert listed(caseworker.get(newest)) == everything[:3]
    assert "Weiter zurück sind keine Einträge von Ihnen." in caseworker.get(f"{PAGE}?before=0").text
    monkeypatch.setattr(own, "LOOKED_THROUGH", 1)
    monkeypatch.setattr(own, "PART", 1)
    nobody = replace(_demo(standing)[0], subject="jan.ott")
    found = own_records(None, nobody, standing.tools)
    assert (found.rows, found.before is None) == ((), False)


def test_whoever_entered_nothing_is_told_so(office: Office) -> None:
    page = office.visitor("caseworker").get(PAGE)
    assert "Noch keine Einträge." in page.text
    assert not page.all("details")


def test_of_a_case_that_moved_to_another_unit_the_record_is_still_theirs(office: Office) -> None:
    """The record can be read; the case itself is not theirs any more."""
    case = office.decided()
    caseworker = office.visitor("caseworker")
    assert f"/cases/{case.id}" in caseworker.get(PAGE).body
    office.sql(f"UPDATE case_file SET unit = 'test_office' WHERE id = '{case.id}'")
    page = caseworker.get(PAGE)
    assert case.case_ref in page.text
    assert "Der Fall liegt jetzt bei einer anderen Stelle." in page.text
    assert case.id not in page.body


def test_what_the_tables_were_made_to_say_is_not_repeated(office: Office) -> None:
    office.decided()
    office.tamper("UPDATE decision_record SET relation = 'agree'")
    page = office.visitor("caseworker").get(PAGE)
    assert "Die Tabelle sagt etwas anderes als das Protokoll." in page.text
    assert "wie vorgeschlagen" not in page.text


DAMAGED = {
    "its bytes": "UPDATE payload SET ciphertext = nonce WHERE seq = {seq}",
    "its leaf": "UPDATE entry SET leaf = nonce FROM payload WHERE entry.seq = {seq} "
    "AND payload.seq = {seq} AND entry.log = 'ledger' AND payload.log = 'ledger'",
    "its key's name": "UPDATE payload SET key_id = 'another' WHERE seq = {seq}",
    "its row": "DELETE FROM decision_record WHERE seq = {seq}",
    "its case": "UPDATE case_file SET sealed = '' WHERE id = "
    "(SELECT case_id FROM decision_record WHERE seq = {seq})",
}


@pytest.mark.parametrize("what", DAMAGED)
@on_both
def test_one_entry_that_cannot_be_opened_is_named_and_the_others_are_there(
    office: Office, what: str, logged: io.StringIO
) -> None:
    first, broken, last = (office.decided(at) for at in range(3))
    (entry,) = office.decisions(broken)
    office.tamper(DAMAGED[what].format(seq=entry.leaf.seq))
    page = office.visitor("caseworker").get(PAGE)
    assert page.status == 200
    assert [one.case_ref in line for one, line in zip((last, first), listed(page), strict=True)]
    place = f"Stelle im Protokoll: {entry.leaf.seq}."
    assert page.text.count("Ein Eintrag lässt sich nicht öffnen.") == 1
    assert place in page.text
    assert broken.case_ref not in page.text
    assert broken.id not in page.body
    said = logged.getvalue()
    assert broken.case_ref not in said
    english = office.visitor("caseworker").get(f"{PAGE}?lang=en")
    assert f"Position in the ledger: {entry.leaf.seq}." in english.text


def test_whose_case_is_being_erased_sees_the_others(
    make_office: MakeOffice, make_package: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is gone and the rows are not: the moment in between."""
    office = make_office(make_package())
    gone, kept = office.decided(0), office.decided(1)
    monkeypatch.setattr(erasure, "_delete_rows", lambda tx, erased: None)
    asked = ["erase", gone.case_ref, "--basis", "Art. 17 DSGVO", "--by", "A", "--by", "B"]
    main(["ledger", *asked, "--data", str(office.tools.settings.data)])
    assert office.sql("SELECT count(*) FROM own_record") == [(2,)]
    page = office.visitor("caseworker").get(PAGE)
    (line,) = listed(page)
    assert kept.case_ref in line
    assert "Ein Eintrag lässt sich nicht öffnen." not in page.text


def test_an_erased_case_leaves_the_list(
    make_office: MakeOffice, make_package: Callable[[], Path]
) -> None:
    office = make_office(make_package())
    gone, kept = office.decided(0), office.decided(1)
    asked = ["erase", gone.case_ref, "--basis", "Art. 17 DSGVO", "--by", "A", "--by", "B"]
    assert main(["ledger", *asked, "--data", str(office.tools.settings.data)]) == 0
    (line,) = listed(office.visitor("caseworker").get(PAGE))
    assert kept.case_ref in line
    assert office.sql("SELECT count(*) FROM own_record") == [(1,)]


def test_nobody_but_its_page_and_the_decision_touches_the_table(office: Office) -> None:
    """Supervision, applicants, machines and checks: no statement of theirs names it."""
    case = office.decided()
    said: list[str] = []
    event.listen(
        office.tools.store.engine, "before_cursor_execute", lambda *call: said.append(call[2])
    )
    supervisor, applicant = office.visitor("supervisor"), office.visitor("applicant", case.id)
    ((record_id,),) = office.sql("SELECT record_id FROM decision_record")
    for path in ("/records", f"/records/{record_id}", "/verify", "/"):
        assert supervisor.get(path).status == 200
    for path, fields in (
        ("/records", {"case_number": case.case_ref, "unit": DEMO_UNIT, "code": "E6"}),
        (f"/records/{record_id}", {"purpose": "audit", "purpose_text": "Anlass"}),
        ("/verify", {}),
    ):
        assert supervisor.post(path, fields).status == 200
    assert applicant.get("/application").status == 200
    assert office.machine("supervisor").get("/records").status == 200
    caseworker = office.visitor("caseworker")
    for path in ("/cases", "/cases?state=decided", f"/cases/{case.id}"):
        assert caseworker.get(path).status == 200
    assert len(said) > 50
    assert not [one for one in said if "own_record" in one]
    caseworker.get(PAGE)
    assert [one for one in said if "own_record" in one]
    # and what its own page asks neither groups nor counts
    asked = " ".join(one for one in said if "own_record" in one).lower()
    assert not [word for word in ("group by", "count(", "sum(", "join") if word in asked]
