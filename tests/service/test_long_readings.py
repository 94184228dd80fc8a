"""Whoever reads all the records keeps nobody from writing, and takes no erasure for damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ledgers import NOON, Attacker, case, shown
from offices import MakeOffice
from test_damaged_cases import APPROVERS, LATER, SHORT, Records, made
from test_erasing import run

from explainer.errors import LogBehindWitness, LogForked
from explainer.ledger import export as exporting
from explainer.ledger.log import LogName
from service import retention, verification
from service.erasing import Event, erase_case, record_event
from service.retention import retain
from service.store import records, seals, snapshot, stored
from service.store.cases import Part, part_of_cases
from service.store.database import Reading, Store
from service.store.key_check import check_keys
from service.verification import cases_at_fault, rows_that_disagree

__all__ = ["made"]  # the fixture

BUSY_SECONDS = 0.3
Meanwhile = Callable[[], None]


@contextmanager
def after_each_reading(
    monkeypatch: pytest.MonkeyPatch, store: Store, act: Meanwhile
) -> Iterator[None]:
    """While the block runs, somebody acts whenever a reading of this store has ended."""
    reading, acting = Store.reading, [False]

    @contextmanager
    def followed(self: Store) -> Iterator[Reading]:
        with reading(self) as tx:
            yield tx
        if self is store and not acting[0]:
            acting[0] = True
            act()
            acting[0] = False

    with monkeypatch.context() as patched:
        patched.setattr(Store, "reading", followed)
        yield


def closed(made: Records, store: Store, number: str) -> None:
    """A case that came in, was seen and closed, by somebody who does not wait for long."""
    case_id = case(store, number)
    with store.transaction(NOON) as tx:
        records.record_shown(tx, case_id, shown(number))
    record_event(made.ledger, number, Event.CLOSED, "Eva", NOON, on=NOON.date())


def test_who_writes_has_a_turn_between_the_parts_of_a_plan(
    made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PART", 1)
    wrote: list[str] = []
    with closing(made.installation.open(busy_seconds=BUSY_SECONDS)) as other:

        def write() -> None:
            if len(wrote) < 4:
                wrote.append(f"BG-1{len(wrote)}")
                closed(made, other, wrote[-1])

        with after_each_reading(monkeypatch, made.ledger.store, write):
            planned = made.plan()
    # they were all there before its last part was read
    assert [one.name for one in planned.due] == ["BG-1", *wrote, "BG-2"]
    assert made.plan() == planned


@pytest.mark.parametrize("gone", ["BG-1", "BG-2", "BG-3"])
@pytest.mark.parametrize("part", [1, 2, 20])
def test_a_case_that_is_erased_between_two_parts_is_neither_due_nor_damaged(
    part: int, gone: str, made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in (retention, verification):
        monkeypatch.setattr(where, "PART", part)
    erased: list[str] = []

    def erase() -> None:
        if not erased:
            erased.append(gone)
            erase_case(made.ledger, gone, "Art. 17 DSGVO", APPROVERS, NOON)

    with after_each_reading(monkeypatch, made.ledger.store, erase):
        planned = made.plan()
        assert planned.damaged == ()
        erased.clear()
        gone = "BG-1" if gone == "BG-2" else "BG-2"
        assert cases_at_fault(made.ledger.store) == []
    assert gone not in [one.name for one in made.plan().due]
    assert rows_that_disagree(made.ledger.store) == []


@pytest.mark.parametrize("installation", ["postgresql"], indirect=True)
@pytest.mark.parametrize("look", ["plan", "verify", "start"])
def test_a_key_that_goes_while_a_part_is_read_is_no_damage(
    look: str, made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite nobody commits meanwhile; on PostgreSQL the reader still sees the moment before."""
    erased: list[str] = []

    def erase(number: str) -> None:
        if number not in erased:
            erased.append(number)
            erase_case(made.ledger, number, "Art. 17 DSGVO", APPROVERS, NOON)

    def part(tx: Reading, *arguments: object) -> Part:
        tx.log(next(iter(made.ledger.sealers))).head()  # from here on it sees this moment
        erase("BG-1")
        return part_of_cases(tx, *arguments)  # type: ignore[arg-type]

    if look == "plan":
        monkeypatch.setattr(retention, "part_of_cases", part)
        planned = made.plan()
        assert (planned.damaged, [one.name for one in planned.due]) == ((), ["BG-2"])
    elif look == "verify":
        monkeypatch.setattr(verification, "part_of_cases", part)
        assert cases_at_fault(made.ledger.store) == []
    else:
        with after_each_reading(monkeypatch, made.ledger.store, lambda: erase("BG-2")):
            check_keys(made.ledger.store)
        assert erased
    assert rows_that_disagree(made.ledger.store) == []


def test_what_somebody_else_erases_meanwhile_is_not_erased_again(
    made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(*_: object) -> None:
        if made.key("BG-2") is not None:
            retain(made.ledger, SHORT, APPROVERS, LATER)

    assert retain(made.ledger, SHORT, APPROVERS, LATER, other) == 1
    assert made.key("BG-2") is None
    assert made.plan().due == ()
    assert len(made.erased()) == 4


def test_a_start_reads_the_log_part_by_part_and_finds_what_was_changed(
    made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seals, "PART", 1)
    known = [(name, made.ledger.sealers[name], made.ledger.witnesses[name]) for name in LogName]
    made.ledger.seal()
    wrote: list[str] = []
    turns: list[int] = []
    size = made.installation.attacker.find("SELECT size FROM head WHERE log = 'ledger'")[0][0]
    with closing(made.installation.open(busy_seconds=BUSY_SECONDS)) as other:

        def write() -> None:
            turns.append(1)
            if len(wrote) < 3:
                wrote.append(f"BG-1{len(wrote)}")
                closed(made, other, wrote[-1])

        with after_each_reading(monkeypatch, made.ledger.store, write):
            seals.guard(made.ledger.store, *known[0])
    assert len(turns) == size + 2 * len(wrote) + 1  # one for each entry, and one for the end
    made.ledger.seal()
    for one in known:
        seals.guard(made.ledger.store, *one)
    before = made.installation.attacker.contents()
    size = len(before["entry"])
    leaf = "X'00'" if not made.installation.address else "'\\x00'"
    for change in (
        *(f"UPDATE entry SET leaf = {leaf} WHERE seq = {seq}" for seq in range(size)),
        *(f"DELETE FROM entry WHERE seq = {seq}" for seq in range(size)),
        *(f"UPDATE entry SET seq = {seq} WHERE seq = {size - 1}" for seq in (size, size + 9, -1)),
        f"INSERT INTO entry VALUES ('ledger', {size + 9}, {leaf}, {leaf})",
    ):
        made.installation.attacker.run("PRAGMA foreign_keys = OFF", change)
        with pytest.raises((LogForked, LogBehindWitness)):
            seals.guard(made.ledger.store, *known[0])
        made.installation.attacker.put_back(before)
    seals.guard(made.ledger.store, *known[0])


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_who_verifies_a_file_keeps_nobody_from_writing(
    made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    verify = stored.verify_database
    with closing(made.installation.open(busy_seconds=BUSY_SECONDS)) as other:

        def while_read(file: Path, *arguments: object) -> list[object]:
            looked.append(file)
            found = verify(file, *arguments)  # type: ignore[arg-type]
            with Attacker(file)._connected() as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM entry").fetchone()
                case(other, f"BG-9{len(looked)}")
            return found  # type: ignore[return-value]

        monkeypatch.setattr(stored, "verify_database", while_read)
        (ledger, _) = stored.verify_store(made.ledger.store, made.installation.keys)
    assert ledger.clean
    assert looked[0] != made.installation.database
    assert not looked[0].exists()


def test_with_no_room_for_a_copy_the_records_themselves_are_read(
    made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot.tempfile, "tempdir", "/nowhere")
    (ledger, _) = stored.verify_store(made.ledger.store, made.installation.keys)
    assert ledger.clean
    with snapshot.still(made.ledger.store) as records_there:
        assert records_there.file == made.ledger.store.file


def test_who_writes_need_not_wait_for_an_export_and_it_is_the_same(
    journal: str,
    make_office: MakeOffice,
    make_package: Callable[[], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = make_office(make_package(), cases=3)
    office.decided(0)
    office.tools.seals.now()
    data = office.tools.settings.data
    with monkeypatch.context() as plainly:
        plainly.setattr(snapshot, "still_file", _itself)
        assert run("export", tmp_path / "before", data=office.tools) == 0
    write, wrote = exporting.export_log, list[str]()
    with closing(Store.open(data, tenant="demo", busy_seconds=BUSY_SECONDS)) as other:

        def meanwhile(*arguments: object, **named: object) -> object:
            done = write(*arguments, **named)  # type: ignore[arg-type]
            wrote.append(case(other, f"BG-9{len(wrote)}"))
            return done

        monkeypatch.setattr(exporting, "export_log", meanwhile)
        assert run("export", tmp_path / "after", data=office.tools) == 0
    assert wrote
    for path in (tmp_path / "before").rglob("*"):
        if path.is_file():
            twin = tmp_path / "after" / path.relative_to(tmp_path / "before")
            assert path.read_bytes() == twin.read_bytes(), path
    assert len(list((tmp_path / "before").rglob("*"))) == len(list((tmp_path / "after").rglob("*")))


@contextmanager
def _itself(file: Path) -> Iterator[Path]:
    yield file
