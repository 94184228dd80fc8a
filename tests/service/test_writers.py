"""Many write at once, and are killed: no fork, no gap, and nothing acknowledged is lost."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

sys.path.append(str(Path(__file__).parents[1] / "ledger"))

from ledgers import NOON, Installation, case, decision, row

from explainer.errors import StorageFailed
from explainer.ledger import verify
from explainer.ledger.entries import Receipt
from explainer.ledger.log import LogName
from service.store import decisions, records, tables, writers
from service.store.database import Reading, Store, Transaction
from service.store.waiting import first_in_line

ROOT = Path(verify.__file__).parents[2]


def run_writers(
    installation: Installation,
    rounds: int,
    writers: int,
    entries: int,
    *,
    threads: int = 1,
    seed: int = 20,
    timeout: float = 300,
) -> list[str]:
    """Have so many processes write, each with so many threads; returns what was acknowledged."""
    with closing(installation.open()) as store:
        case_id = case(store, "BG-1")
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("writers.py")),
            str(installation.folder),
            case_id,
            "BG-1",
            *map(str, (rounds, writers, threads, entries, seed)),
            installation.address,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return (installation.folder / "acks").read_text().splitlines()


def check_acks(installation: Installation, acks: list[str]) -> int:
    """Every acknowledged entry is there, once, unchanged; the whole is clean. Return its size."""
    with closing(installation.open()) as store:
        seqs = [int(ack.split()[0]) for ack in acks]
        assert len(set(seqs)) == len(seqs)
        with store.transaction(NOON) as tx:
            log = tx.log(LogName.LEDGER)
            for ack in acks:
                seq, digest, key = ack.split()
                assert log.read(int(seq)).leaf_hash.hex() == digest
                answer = records.replay(tx, key, b"form")
                assert answer is not None
                assert answer.receipt.seq == int(seq)
            listed = decisions.list_records(tx, decisions.RecordFilter()).total
            size = log.head().size
        assert size == listed
        installation.seal(store)
    result = installation.verify(opened=True)["ledger"]
    assert result.clean
    assert result.counts["OK"] == result.size == size
    return size


def test_processes_that_write_at_once_make_no_fork_and_no_gap(installation: Installation) -> None:
    acks = run_writers(installation, rounds=1, writers=3, entries=20)
    assert len(acks) == 60
    assert check_acks(installation, acks) == 60


@pytest.mark.parametrize(
    ("installation", "rounds"), [("sqlite", 250), ("postgresql", 20)], indirect=["installation"]
)
def test_killed_writers_lose_nothing_that_was_acknowledged(
    installation: Installation, rounds: int
) -> None:
    acks = run_writers(installation, rounds, writers=2, entries=0)
    assert len(acks) >= rounds
    assert check_acks(installation, acks) >= len(acks)


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_killed_services_whose_threads_share_commits_lose_nothing_that_was_acknowledged(
    installation: Installation,
) -> None:
    acks = run_writers(installation, rounds=50, writers=2, threads=4, entries=0)
    assert len(acks) >= 50
    assert check_acks(installation, acks) >= len(acks)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_writers_killed_ten_thousand_times_lose_nothing_that_was_acknowledged(
    installation: Installation, seed: int
) -> None:
    writers, threads = (4, 1) if seed % 2 else (2, 1 if seed % 4 else 4)
    acks = run_writers(
        installation, 1000 // writers, writers, 0, threads=threads, seed=seed, timeout=3600
    )
    assert check_acks(installation, acks) >= len(acks) >= 1000 // writers
    print(f"\n1000 kills, {len(acks)} acknowledged, {writers} processes, {threads} threads in each")


@pytest.mark.long
@pytest.mark.parametrize("installation", ["postgresql"], indirect=True)
def test_writers_killed_a_thousand_times_lose_nothing_that_was_acknowledged(
    installation: Installation,
) -> None:
    acks = run_writers(installation, rounds=500, writers=2, entries=0, timeout=3600)
    assert check_acks(installation, acks) >= len(acks) >= 500
    print(f"\n1000 kills, {len(acks)} acknowledged")


@pytest.mark.long
def test_sixteen_processes_with_a_thousand_entries_each_make_no_fork_and_no_gap(
    installation: Installation,
) -> None:
    acks = run_writers(installation, rounds=1, writers=16, entries=1000, timeout=3600)
    assert sorted(int(ack.split()[0]) for ack in acks) == list(range(16_000))
    assert check_acks(installation, acks) == 16_000


def test_threads_that_write_at_once_make_no_fork_and_no_gap(installation: Installation) -> None:
    receipts = []
    with closing(installation.open()) as store:
        case_id = case(store, "BG-1")

        def write() -> None:
            for _ in range(15):
                with store.transaction(NOON) as tx:
                    receipts.append(records.add_decision(tx, row(case_id), decision("BG-1")))

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        installation.seal(store)
    assert sorted(receipt.seq for receipt in receipts) == list(range(60))
    assert len({receipt.leaf_hash for receipt in receipts}) == 60
    assert installation.verify()["ledger"].clean


# -- one commit for those who wait ----------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """On SQLite, with time enough for any number of threads to share a commit."""
    monkeypatch.setattr(writers, "GROWS_SECONDS", 3600.0)
    with closing(Installation(tmp_path / "data").open(busy_seconds=0.2)) as opened:
        yield opened


class Rush:
    """Writers that all come while the database is taken, and go in together, in their order.

    Attributes
    ----------
    told : what each was answered, or the error it was told, in the order they came
    commits : who had been answered when each commit began
    """

    def __init__(self, store: Store, case_ref: str = "BG-1") -> None:
        self.told: dict[int, Receipt | BaseException] = {}
        self.commits: list[set[int]] = []
        self._store = store
        self._case_ref, self._case_id = case_ref, case(store, case_ref)
        self._work: list[Callable[[], object]] = []

    def comes(self, then: Callable[[Transaction], object] = lambda _: None) -> None:
        """A writer who records a decision, and does `then` in the same transaction."""
        number = len(self._work)

        def record() -> None:
            try:
                with self._store.transaction(NOON) as tx:
                    entry = decision(self._case_ref, key=self._key(number))
                    receipt = records.add_decision(tx, row(self._case_id), entry, body=b"form")
                    then(tx)
            except BaseException as fault:
                self.told[number] = fault
            else:
                self.told[number] = receipt

        self._work.append(record)

    def comes_alone(self, work: Callable[[Reading], object]) -> None:
        """Somebody who must see nothing but what is on disk: who seals, say."""

        def run() -> None:
            with self._store.exclusive() as tx:
                work(tx)

        self._work.append(run)

    def comes_as(self, work: Callable[[], object]) -> None:
        self._work.append(work)

    def go(self) -> None:
        def note(_: Connection) -> None:
            self.commits.append(set(self.told))

        event.listen(self._store.engine, "commit", note)
        threads: list[threading.Thread] = []
        with self._store._writers._turn(alone=True):
            for work in self._work:
                threads.append(threading.Thread(target=work))
                threads[-1].start()
                wait_until(lambda: len(self._store._writers._waiting) == len(threads))
        for thread in threads:
            thread.join()
        event.remove(self._store.engine, "commit", note)

    def kept(self) -> list[int]:
        """Whose decision is in the database, by what their form is answered when sent again."""
        with self._store.transaction(NOON) as tx:
            there = [records.replay(tx, self._key(at), b"form") for at in range(len(self._work))]
            return [at for at, answer in enumerate(there) if answer]

    def _key(self, number: int) -> str:
        return f"{self._case_ref}-{number}"


def wait_until(told: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not told():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def fail(_: Transaction) -> None:
    raise LookupError("on purpose")


def size(store: Store) -> int:
    with store.reading() as tx:
        return tx.log(LogName.LEDGER).head().size


def test_threads_that_wait_share_one_commit_and_nobody_is_answered_before_it(store: Store) -> None:
    rush = Rush(store)
    for _ in range(6):
        rush.comes()
    rush.go()
    assert rush.commits == [set()]
    assert [one.seq for _, one in sorted(rush.told.items())] == list(range(6))
    assert rush.kept() == list(range(6))


@pytest.mark.parametrize("failing", [0, 2, 4])
def test_who_fails_takes_back_their_own_work_and_nobody_elses(
    store: Store, tmp_path: Path, failing: int
) -> None:
    rush = Rush(store)
    for at in range(5):
        rush.comes(fail if at == failing else lambda _: None)
    rush.go()
    assert isinstance(rush.told.pop(failing), LookupError)
    assert sorted(one.seq for one in rush.told.values()) == [0, 1, 2, 3]
    assert rush.kept() == sorted(rush.told)
    installation = Installation(tmp_path / "data")
    installation.seal(store)
    result = installation.verify(opened=True)["ledger"]
    assert result.clean
    assert result.size == 4


def test_a_commit_that_fails_failed_for_all_whose_work_was_in_it(store: Store) -> None:
    rush = Rush(store)
    for at in range(4):
        rush.comes(fail if at == 1 else lambda _: None)
    with closing(sqlite3.connect(str(store.file), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM head").fetchall()  # as long as it reads, nobody can commit
        rush.go()
    assert len(rush.told) == 4
    assert all("(SQLITE_BUSY)" in str(one) for one in rush.told.values())
    assert len(set(map(id, rush.told.values()))) == 4
    assert rush.kept() == []
    assert size(store) == 0
    again = Rush(store, "BG-2")
    again.comes()
    again.go()
    assert again.kept() == [0]


def test_where_sqlite_takes_back_everything_nobody_is_told_that_it_was_recorded(
    store: Store,
) -> None:
    def fill_the_disk(tx: Transaction) -> None:
        pages = tx.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        try:
            tx.connection.execute(
                tables.checkpoint.insert(),
                {"log": "ledger", "size": 0, "range": b"", "note": bytes(1_000_000)},
            )
        finally:
            tx.connection.exec_driver_sql("PRAGMA max_page_count = 1000000")

    rush = Rush(store)
    for at in range(4):
        rush.comes(fill_the_disk if at == 2 else lambda _: None)
    rush.go()
    assert ["(SQLITE_FULL)" in str(rush.told[at]) for at in range(4)] == [True, True, True, False]
    assert rush.kept() == [3]  # who came after that began anew
    assert size(store) == 1


@pytest.mark.parametrize("swallowing", [0, 2])
def test_who_goes_on_after_that_as_if_nothing_had_happened_is_told_as_well(
    store: Store, swallowing: int
) -> None:
    def take_back(tx: Transaction) -> None:
        tx.connection.exec_driver_sql("ROLLBACK")

    rush = Rush(store)
    for at in range(4):
        rush.comes(take_back if at == swallowing else lambda _: None)
    rush.go()
    lost = range(swallowing + 1)
    assert all(isinstance(rush.told[at], StorageFailed) for at in lost)
    assert rush.kept() == [at for at in range(4) if at not in lost]


@pytest.mark.parametrize("still_open", [False, True])
def test_who_cannot_begin_their_part_leaves_nobody_with_an_answer_that_is_not_true(
    store: Store, monkeypatch: pytest.MonkeyPatch, still_open: bool
) -> None:
    """Where it cannot get memory for a savepoint, SQLite may take back everything, too."""

    class Failing:
        def __init__(self, plain: sqlite3.Connection) -> None:
            self._plain = plain

        def __getattr__(self, name: str) -> object:
            return getattr(self._plain, name)

        def execute(self, said: str) -> sqlite3.Cursor:
            if said.startswith("SAVEPOINT"):
                if not still_open:
                    self._plain.execute("ROLLBACK")
                raise sqlite3.OperationalError("out of memory")
            return self._plain.execute(said)

    whole = writers._Commit.__init__

    def once(self: writers._Commit, engine: Engine) -> None:
        whole(self, engine)
        monkeypatch.setattr(writers._Commit, "__init__", whole)
        self._plain = Failing(self._plain)  # type: ignore[assignment]

    rush = Rush(store)
    monkeypatch.setattr(writers._Commit, "__init__", once)
    for _ in range(3):
        rush.comes()
    rush.go()
    told = [at for at in range(3) if isinstance(rush.told[at], Receipt)]
    assert rush.kept() == told == [2]


def test_who_must_be_alone_sees_only_what_is_on_disk(store: Store) -> None:
    seen: list[tuple[int, int]] = []

    def seal(tx: Reading) -> None:
        seen.append((tx.log(LogName.LEDGER).head().size, size(store)))

    rush = Rush(store)
    for _ in range(2):
        rush.comes()
    rush.comes_alone(seal)
    for _ in range(2):
        rush.comes()
    rush.go()
    assert seen == [(2, 2)]
    assert len(rush.commits) == 4  # also that of who sealed, and of who only looked
    assert rush.kept() == [0, 1, 3, 4]


def test_a_transaction_that_has_become_old_takes_nobody_in(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "GROWS_SECONDS", 0.0)
    rush = Rush(store)
    for _ in range(3):
        rush.comes()
    rush.go()
    assert len(rush.commits) == 3
    assert rush.kept() == [0, 1, 2]


def test_somebody_who_gives_up_waiting_keeps_nobody_else_from_writing(store: Store) -> None:
    turns = store._writers

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    def interrupt() -> None:
        wait_until(lambda: len(turns._waiting) == 1)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupted)
    thread = threading.Thread(target=interrupt)
    try:
        turns._take(writers._Waiting(alone=True))
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            turns._take(writers._Waiting(alone=False))
    finally:
        signal.signal(signal.SIGUSR1, before)
        thread.join()
    assert not turns._waiting
    turns._give()
    rush = Rush(store)
    rush.comes()
    rush.go()
    assert rush.kept() == [0]


class InterruptedLock:
    """A turn whose owner presses Ctrl-C at the moment it is given to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0

    def acquire(self) -> None:
        self._lock.acquire()
        self._asked += 1
        if self._asked == 2:
            raise KeyboardInterrupt

    def release(self) -> None:
        self._lock.release()


def test_somebody_who_gives_up_when_it_is_their_turn_keeps_nobodys_work_from_the_disk(
    store: Store,
) -> None:
    rush = Rush(store)
    rush.comes()

    def give_up() -> None:
        with pytest.raises(KeyboardInterrupt):
            store._writers._take(writers._Waiting(False, InterruptedLock()))

    rush.comes_as(give_up)
    rush.go()
    assert isinstance(rush.told[0], Receipt)
    assert rush.kept() == [0]


# -- processes wait in line -----------------------------------------------------------------------


def waiting_at(path: Path) -> int:
    """How many the kernel says wait for a lock of this file."""
    inode = f":{path.stat().st_ino} "
    locks = Path("/proc/locks").read_text().splitlines()
    return sum("-> " in one and inode in one for one in locks)


def test_who_came_first_is_the_next_to_ask_though_another_is_awake_already(tmp_path: Path) -> None:
    path, order = tmp_path / "line", []
    path.touch()

    def wait(name: int) -> None:
        with first_in_line(path, 60):
            order.append(name)

    threads = []
    with first_in_line(path, 60):
        for name in range(4):
            threads.append(threading.Thread(target=wait, args=[name]))
            threads[-1].start()
            wait_until(lambda: waiting_at(path) == len(threads))
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3]


def test_a_line_that_stands_still_keeps_nobody_from_writing(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data")
    with closing(installation.open(busy_seconds=0.05)) as store:
        line = installation.folder / "wrap.key"
        with line.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # somebody who was suspended
            rush = Rush(store)
            rush.comes()
            rush.go()
            assert rush.kept() == [0]
            assert waiting_at(line) > 0
        # whoever gave up waiting gets the lock all the same, and must let it go
        wait_until(lambda: not any("_stand" in one.name for one in threading.enumerate()))
        with line.open() as free:
            fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_where_nobody_can_stand_in_line_everybody_is_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with first_in_line(tmp_path / "missing", 60):
        pass

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    (tmp_path / "line").touch()
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with first_in_line(tmp_path / "line", 60), first_in_line(tmp_path / "line", 60):
        pass


def test_where_no_thread_can_be_started_nobody_waits_and_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "line"
    path.touch()
    opened: list[int] = []
    real = os.open

    def noting(*said: object) -> int:
        opened.append(real(*said))  # type: ignore[arg-type]
        return opened[-1]

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        monkeypatch.setattr(threading.Thread, "start", none_left)
        monkeypatch.setattr(os, "open", noting)
        with first_in_line(path, 60):
            pass
        (handle,) = opened
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(handle)
        with path.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
