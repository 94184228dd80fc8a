"""Own records: everybody finds what they recorded, and nobody finds out whose the rest is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ledgers import NOON, Installation, case, decision, row

from explainer.errors import StorageFailed
from explainer.ledger.entries import Entry, EntryKind
from service.store import erasure, own, records
from service.store.database import Store

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
        case_id = records.case_of_entry(tx, gone)
        assert case_id is not None
        basis = {"legal_basis": "Art. 17 DSGVO", "seqs": [gone]}
        erasure.record_erasure(tx, case_id, Entry(EntryKind.ERASURE, basis))
    erasure.finish_erasures(store)
    assert found(store, ANNA).seqs == (kept,)
    assert len(installation.attacker.find("SELECT * FROM own_record")) == 1
