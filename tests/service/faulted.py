"""What is done while the disk fails (`faults.py`), and what has to be true afterwards."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "ledger"))

from alembic import command
from alembic.config import Config
from ledgers import NOON, Installation, build, case, decision, row, shown
from older import cases_in_clear

from explainer.errors import StorageFailed
from explainer.ledger import verify
from explainer.ledger.entries import Entry, EntryKind
from explainer.ledger.log import LogName
from explainer.packages.bundled import bundled_packages
from service import cli
from service.settings import Settings, read_settings
from service.store import cases, erasure, key_check, migrations, records, sealed, seals, tables
from service.store.database import Store
from service.store.engine import open_engine
from service.wiring import open_ledger

Said = list[list[Any]]
Say = Callable[..., None]
LATER = NOON + timedelta(hours=1)


def acknowledged(said: Said) -> Said:
    """Each once, though a second attempt has it said again."""
    found: Said = []
    for words in said:
        if words[0] == "acknowledged" and words not in found:
            found.append(words)
    return found


def nothing_promised(said: Said) -> bool:
    """Whether everything that was not acknowledged was said to be nowhere."""
    refused = [words[2] for words in said if words[0] == "refused"]
    return bool(refused) and all("othing was recorded" in text for text in refused)


def started(made: Installation, store: Store) -> None:
    """What every start of the service looks at before it goes on."""
    for log in LogName:
        seals.guard(store, log, made.sealer(log), made.witness_of(log))
    erasure.finish_erasures(store)
    key_check.check_keys(store)


def clean(folder: Path, **counts: int) -> None:
    """The standalone verifier finds both logs clean, every payload opened."""
    made = Installation(folder)
    results = made.verify(opened=True)
    assert all(result.clean for result in results.values()), results
    found = {state: count for state, count in results["ledger"].counts.items() if count}
    assert found == counts, found
    left = [path.name for path in folder.rglob("*-journal")]
    assert left == []


class Operation:
    """Done again, it takes up what an earlier attempt left."""

    def prepare(self, folder: Path) -> None:
        """Make the folder that every attempt begins with."""

    def begin(self, folder: Path) -> Store | None:
        """What is open already when the disk begins to fail."""
        return Installation(folder).open()

    def act(self, folder: Path, store: Store | None, say: Say) -> None:
        """Do it; each `say` is an acknowledgement."""
        raise NotImplementedError

    def judge(self, folder: Path, said: Said) -> None:
        """Raise AssertionError unless what is there is what was said, and it goes on from there."""
        raise NotImplementedError


class Append(Operation):
    """A case is shown, under a new key of its own, and decided."""

    base = 4

    def prepare(self, folder: Path) -> None:
        made = build(folder, 2, erase=False)
        with closing(made.open()) as store:
            case(store, "BG-9", now=LATER)

    def act(self, folder: Path, store: Store | None, say: Say) -> None:
        with store.reading() as tx:
            case_id = cases.find_case_by_ref(tx, "BG-9").id
        for kind in (EntryKind.SHOWN, EntryKind.DECISION):
            key = f"the key of {kind}"
            with store.transaction(LATER) as tx:
                answer = records.replay(tx, key, b"form")
                if answer is not None:
                    receipt = answer.receipt
                elif kind is EntryKind.SHOWN:
                    entry = Entry(kind, {}, case_ref="BG-9", idempotency_key=key)
                    receipt = records.record_shown(tx, case_id, entry, body=b"form")
                else:
                    entry = decision("BG-9", key=key)
                    receipt = records.add_decision(tx, row(case_id), entry, body=b"form")
            say("acknowledged", receipt.seq, receipt.leaf_hash.hex())

    def judge(self, folder: Path, said: Said) -> None:
        made = Installation(folder)
        find = made.attacker.find
        with closing(made.open()) as store:
            started(made, store)
            ours = f"WHERE log = 'ledger' AND seq >= {self.base}"
            there = {
                seq: digest.hex()
                for seq, digest in find(f"SELECT seq, leaf_hash FROM entry {ours}")
            }
            for _, seq, digest in acknowledged(said):
                assert there.get(seq) == digest, f"lost: entry {seq}"
            if nothing_promised(said):
                assert len(there) == len(acknowledged(said)), "said to be nowhere, and is there"
            # with each entry everything that belongs to it, or nothing of it
            for table in ("idempotency", "case_entry"):
                assert {seq for (seq,) in find(f"SELECT seq FROM {table} {ours}")} == set(there)
            decided = find(f"SELECT seq FROM decision_record {ours}")
            assert len(decided) == max(0, len(there) - 1)
            ids = "SELECT case_id FROM case_entry WHERE log = 'ledger' AND seq < 4"
            state = find(f"SELECT state FROM case_file WHERE id NOT IN ({ids})")
            assert state == [("decided" if decided else "open",)]
            again: Said = []
            self.act(folder, store, lambda *words: again.append(list(words)))
            assert [words for words in acknowledged(said) if words not in again] == []
            made.seal(store)
        clean(folder, OK=self.base + 2)


class StartAndAppend(Append):
    """The same by a process that opens the store itself."""

    def begin(self, folder: Path) -> None:
        return None

    def act(self, folder: Path, store: Store | None, say: Say) -> None:
        if store is not None:
            super().act(folder, store, say)
            return
        with closing(Installation(folder).open()) as opened:
            super().act(folder, opened, say)


class Recover(StartAndAppend):
    """It starts on what a killed one left: half a transaction."""

    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        made, half = Installation(folder), folder.with_name("half")
        with closing(made.open()) as store, store.transaction(LATER) as tx:
            tx.connection.exec_driver_sql("PRAGMA cache_size = 2")  # it has to write early
            case_id = cases.find_case_by_ref(tx, "BG-9").id
            big = Entry(EntryKind.SHOWN, {"snapshot": "x" * 100_000}, case_ref="BG-9")
            records.record_shown(tx, case_id, big)
            shutil.copytree(folder, half)
        shutil.rmtree(folder)
        half.rename(folder)
        assert (folder / "warum.sqlite-journal").stat().st_size > 512


class Seal(Operation):
    """Both logs are sealed: signed, remembered, stored, witnessed."""

    def prepare(self, folder: Path) -> None:
        made = build(folder, 2, erase=False)
        with closing(made.open()) as store:
            case_id = case(store, "BG-9", now=LATER)
            for _ in range(3):
                with store.transaction(LATER) as tx:
                    records.record_shown(tx, case_id, shown("BG-9"))
                    records.record_access(tx, Entry(EntryKind.ACCESS, {"purpose": "audit"}))

    def begin(self, folder: Path) -> Store | None:
        self.sealers = {log: Installation(folder).sealer(log) for log in LogName}
        return super().begin(folder)

    def act(self, folder: Path, store: Store | None, say: Say) -> None:
        for log, sealer in self.sealers.items():
            note = seals.seal(store, log, sealer, Installation(folder).witness_of(log))
            say("acknowledged", log.value, note.decode())

    def judge(self, folder: Path, said: Said) -> None:
        made = Installation(folder)
        with closing(self.begin(folder)) as store:
            for _, name, note in acknowledged(said):
                log = LogName(name)
                kept = made.witness_of(log).newest_note(made.sealer(log).key)
                with store.reading() as tx:
                    stored = tx.log(log).last_checkpoint()
                assert stored is not None
                assert [kept, stored[1], made.sealer(log).last_note()] == [note.encode()] * 3
            started(made, store)
            self.act(folder, store, lambda *words: None)
            for log in LogName:
                written, signed, witnessed = made.sizes(store, log)
                assert written == signed == witnessed > 0
        clean(folder, OK=7)


class Erase(Operation):
    """A case is erased: its entry, its key, its rows."""

    def prepare(self, folder: Path) -> None:
        build(folder, 3, erase=False)

    def act(self, folder: Path, store: Store | None, say: Say) -> None:
        with store.reading() as tx:
            found = cases.find_case_by_ref(tx, "BG-0")
        if found is not None and found.state != sealed.ERASED:
            with store.transaction(LATER) as tx:
                ours = erasure.covered_by_case(tx, found.id)
                named = {"seqs": sorted(ours.seqs), "key_ids": sorted(ours.key_ids)}
                entry = Entry(EntryKind.ERASURE, {"legal_basis": "Art. 17 DSGVO", **named})
                erasure.record_erasure(tx, found.id, entry)
            say("acknowledged", "recorded")
        erasure.finish_erasures(store)
        say("acknowledged", "done")

    def judge(self, folder: Path, said: Said) -> None:
        made, traces = Installation(folder), self.traces(folder.with_name("template"))
        if ["acknowledged", "done"] in said:
            self.nowhere(folder, traces)
        with closing(made.open()) as store:
            started(made, store)
            recorded = made.attacker.find("SELECT seq FROM opening")
            if ["acknowledged", "recorded"] in said:
                assert recorded, "lost: the erasure"
            elif nothing_promised(said):
                assert not recorded, "said to be nowhere, and is there"
            if recorded:
                self.nowhere(folder, traces)
            else:
                with store.reading() as tx:
                    found = cases.find_case_by_ref(tx, "BG-0")
                    opened = records.entries_of_case(tx, found.id)
                assert [one.payload is not None for one in opened] == [True, True]
            self.act(folder, store, lambda *words: None)
            self.nowhere(folder, traces)
            made.seal(store)
        self.nowhere(folder, traces)
        clean(folder, OK=5, ERASED=2)

    def traces(self, template: Path) -> list[bytes]:
        """What is in the files before, and must be in none of them afterwards."""
        find = Installation(template).attacker.find
        sealed = find("SELECT key_id, ciphertext FROM payload WHERE log = 'ledger' AND seq < 2")
        query = "SELECT id, sealed FROM case_file JOIN case_entry ON case_id = id WHERE seq = 0"
        ((case_id, row),) = find(query)
        with closing(sqlite3.connect(template / "keys.sqlite")) as keys:
            query = "SELECT wrapped FROM case_key WHERE key_id = ?"
            ((wrapped,),) = keys.execute(query, (sealed[0][0],)).fetchall()
        traces = [case_id.encode(), row, wrapped, *(one[1] for one in sealed)]
        held = b"".join(path.read_bytes() for path in template.glob("*.sqlite"))
        assert all(trace in held for trace in traces)
        return traces

    def nowhere(self, folder: Path, traces: list[bytes]) -> None:
        for path in (path for path in folder.rglob("*") if path.is_file()):
            data = path.read_bytes()
            assert not any(trace in data for trace in traces), f"not erased: {path.name}"


class Start(Operation):
    """A new installation is made: keys, tables, and the first case."""

    def begin(self, folder: Path) -> None:
        return None

    def act(self, folder: Path, store: Store | None, say: Say) -> None:
        with closing(Installation(folder).open()) as opened:
            with opened.reading() as tx:
                found = cases.find_case_by_ref(tx, "BG-9")
            case_id = found.id if found else case(opened, "BG-9", now=LATER)
            say("acknowledged", case_id)
            with opened.transaction(LATER) as tx:
                receipt = records.record_shown(tx, case_id, shown("BG-9"))
            say("acknowledged", receipt.seq, receipt.leaf_hash.hex())

    def judge(self, folder: Path, said: Said) -> None:
        made = Installation(folder)
        with closing(made.open()) as store:
            started(made, store)
            find = made.attacker.find
            ids = find("SELECT id FROM case_file")
            there = find("SELECT seq, hex(leaf_hash) FROM entry")
            for _, *words in acknowledged(said):
                if len(words) == 1:
                    assert ids == [(words[0],)], "lost: the case"
                else:
                    assert (words[0], words[1].upper()) in there, "lost: the entry"
            self.act(folder, None, lambda *words: None)
            made.seal(store)
        clean(folder, OK=len(there) + 1)


class Migrate(StartAndAppend):
    """An older database is opened: brought to the newest form, then written to."""

    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        newest, oldest = folder / "newest.sqlite", folder / "warum.sqlite"
        with closing(Installation(folder).open()) as store, store.reading() as tx:
            files = list(cases.every_case(tx))
        cases_in_clear(oldest, files)
        oldest.rename(newest)
        engine, config = open_engine(oldest), Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        engine.dispose()
        with closing(sqlite3.connect(oldest)) as database:
            database.execute("ATTACH ? AS newest", (str(newest),))
            for table in tables.metadata.tables:
                known = database.execute(f"PRAGMA main.table_info({table})").fetchall()
                if not known:
                    continue  # it came later
                names = ", ".join(f'"{column[1]}"' for column in known)
                database.execute(f"DELETE FROM main.{table}")
                database.execute(
                    f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newest.{table}"
                )
            database.commit()
        newest.unlink()


class Command(Operation):
    """A command that writes a folder beside the data; what it reads stays as it is."""

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments

    def prepare(self, folder: Path) -> None:
        (folder / "packages").mkdir(parents=True)  # none is needed to record
        with closing(open_ledger(self.settings(folder)).store) as store:
            for number in range(3):
                case_id = case(store, f"BG-{number}")
                with store.transaction(NOON) as tx:
                    records.add_decision(tx, row(case_id), decision(f"BG-{number}"))
        ledger = open_ledger(self.settings(folder))
        with closing(ledger.store):
            for log in LogName:
                seals.seal(ledger.store, log, ledger.sealers[log], ledger.witnesses[log])

    def begin(self, folder: Path) -> None:
        cli.version = lambda _: "of the test"  # read from a file of the program, not of its data

    def settings(self, folder: Path) -> Settings:
        return read_settings({"WARUM_DATA": str(folder)}, bundled_packages())

    def act(self, folder: Path, store: Store | None, say: Say) -> None:
        told = io.StringIO()
        out = str(folder.with_name("out"))
        with redirect_stdout(told), redirect_stderr(told):
            code = cli.main(
                ["ledger", self.arguments[0], out, *self.arguments[1:], "--data", str(folder)]
            )
        if code != 0:
            assert "error [" in told.getvalue(), told.getvalue()
            assert "error [internal]" not in told.getvalue(), told.getvalue()
            raise StorageFailed(told.getvalue(), "the command", "as it says")
        say("acknowledged", "written")

    def judge(self, folder: Path, said: Said) -> None:
        out = folder.with_name("out")
        assert out.exists() or not acknowledged(said), "lost: what was written"
        keys = [
            verify.read_key(path.read_text().strip())
            for path in folder.glob("seals/*/verifier.key")
        ]
        if out.exists():
            self.whole(out, keys)
            shutil.rmtree(out)
        self.act(folder, None, lambda *words: None)
        self.whole(out, keys)
        left = {path.name for path in folder.parent.iterdir()} - {"trace"}
        assert left == {"template", "data", "out"}, left  # and no half one
        (result, _) = verify.verify_database(folder / "warum.sqlite", keys)
        assert result.clean

    def whole(self, out: Path, keys: list[verify.Key]) -> None:
        if self.arguments[0] == "backup":
            told = json.loads((out / "backup.json").read_text())
            for name, digest in told["files"].items():
                assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
            results = verify.verify_database(out / "warum.sqlite", keys)
        else:
            (ledger,) = [key for key in keys if key.log == "ledger"]
            results = verify.verify_export(out, [ledger])
        assert all(result.clean for result in results)
        assert next(result.size for result in results if result.log == "ledger") == 3


ON_THE_STORE: dict[str, Operation] = {
    "append": Append(),
    "recover": Recover(),
    "seal": Seal(),
    "erase": Erase(),
    "start": Start(),
    "migrate": Migrate(),
}
OPERATIONS = ON_THE_STORE | {
    "export": Command("export"),
    "backup": Command("backup"),
}
