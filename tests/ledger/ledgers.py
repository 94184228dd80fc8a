"""Real small ledgers for the tests: written by the product, attacked by hand."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from explainer.ledger import verify
from explainer.ledger.checkpoint import Sealer, Signer, WitnessDirectory
from explainer.ledger.entries import Entry, EntryKind, minute
from explainer.ledger.log import Head, LogName, Record
from explainer.ledger.sealing import generate_resolver, seal_actor
from explainer.ledger.tree import Range, leaf_hash
from service.store import cases, decisions, erasure, records, seals
from service.store.database import Store
from service.store.stored import verify_store
from service.store.tables import metadata
from service.wiring import Ledger

NOON = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
TENANT = "jc-musterstadt"
ORIGIN = f"warum/{TENANT}"
RESOLVER_PRIVATE, RESOLVER = generate_resolver()


class MemoryLog:
    """A LogStore in memory: the fake for tests of `append` itself."""

    def __init__(self, name: LogName = LogName.LEDGER) -> None:
        self._name = name
        self.records: list[Record] = []
        self._head = Head(Range(), None)

    @property
    def name(self) -> LogName:
        return self._name

    def head(self) -> Head:
        return self._head

    def last(self) -> tuple[Head, bytes | None]:
        return self._head, self.records[-1].leaf if self.records else None

    def append(self, record: Record, head: Head) -> None:
        assert record.seq == len(self.records)
        self.records.append(record)
        self._head = head


class MemoryKeys:
    """CaseKeys in memory."""

    def __init__(self) -> None:
        self.by_ref: dict[str, str] = {}
        self.keys: dict[str, bytes] = {}

    def get_or_create(self, case_ref: str) -> tuple[str, bytes]:
        key_id = self.by_ref.setdefault(case_ref, f"key-{len(self.by_ref)}")
        return key_id, self.keys.setdefault(key_id, key_id.encode().ljust(32, b"."))

    def get(self, key_id: str) -> bytes | None:
        return self.keys.get(key_id)

    def destroy(self, key_id: str) -> None:
        self.keys.pop(key_id, None)


@dataclass(frozen=True)
class Installation:
    """A data folder as an installation has it, with both logs sealed and witnessed.

    With `address` its records are on PostgreSQL; `admin` is the address of who may do anything
    there. Tests that read the file itself are for SQLite.
    """

    folder: Path
    address: str = ""
    admin: str = ""

    @property
    def database(self) -> Path:
        return self.folder / "warum.sqlite"

    @property
    def witness(self) -> Path:
        return self.folder / "witness"

    def open(self, **options: float) -> Store:
        return Store.open(self.folder, tenant=TENANT, database=self.address, **options)

    def ledger(self, store: Store) -> Ledger:
        """What commands about the records work with."""
        return Ledger(
            store,
            {log: self.sealer(log) for log in LogName},
            {log: self.witness_of(log) for log in LogName},
            RESOLVER,
        )

    def sealer(self, log: LogName) -> Sealer:
        path = self.folder / "sealer" / "key"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(Signer.generate())
        signer = Signer(f"{ORIGIN}/{log}", path.read_bytes())
        return Sealer(signer, self.folder / "sealer" / f"{log}.note")

    def witness_of(self, log: LogName) -> WitnessDirectory:
        return WitnessDirectory(self.witness / log)

    def sizes(self, store: Store, log: LogName) -> tuple[int, int, int]:
        """How many entries of a log are written, sealed and witnessed."""
        sealer = self.sealer(log)
        sealed, kept = sealer.last(), self.witness_of(log).newest(sealer.key)
        with store.reading() as tx:
            written = tx.log(log).head().size
        return written, sealed.size if sealed else 0, kept.size if kept else 0

    def seal(self, store: Store) -> None:
        for log in LogName:
            seals.seal(store, log, self.sealer(log), self.witness_of(log))

    @property
    def keys(self) -> list[verify.Key]:
        return [verify.read_key(str(self.sealer(log).key)) for log in LogName]

    def outside(self) -> list[verify.Checkpoint]:
        return verify.read_outside([self.witness], self.keys)

    def case_keys(self) -> dict[str, bytes | None]:
        ids = [row[0] for row in self.attacker.find("SELECT DISTINCT key_id FROM payload")]
        store = self.open()
        try:
            return {key_id: store.keys.get(key_id) for key_id in ids}
        finally:
            store.close()

    @property
    def attacker(self) -> Attacker:
        return Attacker(self.admin or self.database)

    def copy(self, folder: Path) -> Installation:
        shutil.copytree(self.folder, folder)
        return Installation(folder)

    def verify(self, *, outside: bool = True, opened: bool = False) -> dict[str, verify.Result]:
        known = self.outside() if outside else ()
        case_keys = self.case_keys() if opened else None
        if self.address:
            with closing(self.open()) as store:
                results = verify_store(store, self.keys, known, case_keys)
        else:
            results = verify.verify_database(self.database, self.keys, known, case_keys)
        return {result.log: result for result in results}


def case(store: Store, case_ref: str, *, unit: str = "unit-1", now: datetime = NOON) -> str:
    """Submit a case and return its id."""
    case_id = cases.new_id()
    file = cases.CaseFile(
        case_id, case_ref, "housing", "d" * 64, unit, '{"rent":"410.00"}', minute(now)
    )
    with store.transaction(now) as tx:
        cases.add_case(tx, file)
    return case_id


def shown(case_ref: str, **fields: str) -> Entry:
    payload = {"audience": "caseworker", **fields}
    return Entry(
        EntryKind.SHOWN, payload, case_ref=case_ref, model="a" * 64, told=leaf_hash(b"told")
    )


def decision(case_ref: str, *, subject: str = "anna.berg", key: str | None = None) -> Entry:
    payload = {
        "case_ref": case_ref,
        "free_text": "Frau Yılmaz hat die Miete belegt.",
        "actor_pseudonym": seal_actor(RESOLVER, subject),
    }
    return Entry(EntryKind.DECISION, payload, case_ref=case_ref, idempotency_key=key)


def row(case_id: str, *, unit: str = "unit-1", **changes: object) -> decisions.DecisionRow:
    values: dict[str, object] = {
        "record_id": cases.new_id(),
        "case_id": case_id,
        "unit": unit,
        "benefit_type": "housing",
        "period": "2026-11",
        "decided_on": minute(NOON),
        "suggested": "refuse",
        "outcome": "grant",
        "relation": "deviate",
        "direction": "in_favour",
        "codes": ("D1",),
        **changes,
    }
    return decisions.DecisionRow(**values)  # type: ignore[arg-type]


def build(folder: Path, cases: int = 3, *, erase: bool = True) -> Installation:
    """Write `cases` cases, each shown and decided, seal after each; erase the first."""
    made = Installation(folder)
    store = made.open()
    try:
        ids = []
        for number in range(cases):
            ref, now = f"BG-{number}", NOON + timedelta(minutes=number)
            case_id = case(store, ref, now=now)
            ids.append(case_id)
            with store.transaction(now) as tx:
                records.record_shown(tx, case_id, shown(ref))
            with store.transaction(now) as tx:
                records.add_decision(tx, row(case_id), decision(ref))
            with store.transaction(now) as tx:
                records.record_access(tx, Entry(EntryKind.ACCESS, {"purpose": "audit"}))
            made.seal(store)
        if erase:
            with store.transaction(NOON + timedelta(hours=1)) as tx:
                basis = {"legal_basis": "Art. 17 DSGVO", "seqs": [0, 1]}
                erasure.record_erasure(tx, ids[0], Entry(EntryKind.ERASURE, basis))
            erasure.finish_erasures(store)
            made.seal(store)
    finally:
        store.close()
    return made


class Attacker:
    """Whoever may write the database, but has no sealing key and reaches no witness.

    `database` is a file of SQLite, or the address of PostgreSQL for its administrator.
    """

    def __init__(self, database: Path | str) -> None:
        self.database = database

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        if isinstance(self.database, Path):
            with closing(sqlite3.connect(self.database)) as connection:
                yield connection
        else:
            import psycopg

            with psycopg.connect(self.database, options="-c search_path=warum") as connection:
                # no trigger, no rule about what belongs together
                connection.execute("SET session_replication_role = replica")
                yield connection

    def _said(self, statement: str) -> str:
        return statement if isinstance(self.database, Path) else statement.replace("?", "%s")

    def run(self, *statements: tuple[str, tuple[object, ...]] | str) -> None:
        with self._connected() as connection:
            if isinstance(self.database, Path):
                names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
                for (name,) in names.fetchall():
                    connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                sql, values = (statement, ()) if isinstance(statement, str) else statement
                if isinstance(self.database, Path) or not sql.startswith("PRAGMA"):
                    connection.execute(self._said(sql), values)
            connection.commit()

    def find(self, query: str) -> list[tuple[Any, ...]]:
        with self._connected() as connection:
            return connection.execute(query).fetchall()

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        return {table: self.find(f"SELECT * FROM {table}") for table in metadata.tables}

    def put_back(self, contents: dict[str, list[tuple[Any, ...]]]) -> None:
        """Make the database hold what it held once, as a restored backup does."""
        statements: list[tuple[str, tuple[object, ...]] | str] = ["PRAGMA foreign_keys = OFF"]
        for table, rows in contents.items():
            statements.append(f"DELETE FROM {table}")
            statements += [
                (f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row) for row in rows
            ]
        self.run(*statements)

    def leaves(self) -> list[bytes]:
        query = "SELECT leaf FROM entry WHERE log = 'ledger' ORDER BY seq"
        return [leaf for (leaf,) in self.find(query)]

    def rewrite(self, leaves: list[bytes], order: list[int | None]) -> None:
        """Write the ledger anew as `leaves`, and make everything inside the database fit.

        `order` says from which old entry each new one takes its payload.
        """
        sealed = "SELECT seq, key_id, nonce, ciphertext FROM payload WHERE log = 'ledger'"
        old = {row[0]: row[1:] for row in self.find(sealed)}
        opening = "SELECT seq, salt, payload FROM opening WHERE log = 'ledger'"
        opened = {row[0]: row[1:] for row in self.find(opening)}
        statements: list[tuple[str, tuple[object, ...]] | str] = [
            "PRAGMA foreign_keys = OFF",
            *(
                f"DELETE FROM {table} WHERE log = 'ledger'"
                for table in ("entry", "payload", "opening")
            ),
        ]
        edge = Range()
        for seq, (leaf, source) in enumerate(zip(leaves, order, strict=True)):
            value = json.loads(leaf)
            value["seq"] = seq
            data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
            edge = edge.append(leaf_hash(data))
            statements.append(
                ("INSERT INTO entry VALUES ('ledger', ?, ?, ?)", (seq, data, leaf_hash(data)))
            )
            if source in old:
                statements.append(
                    ("INSERT INTO payload VALUES ('ledger', ?, ?, ?, ?)", (seq, *old[source]))
                )
            if source in opened:
                statements.append(
                    ("INSERT INTO opening VALUES ('ledger', ?, ?, ?)", (seq, *opened[source]))
                )
        statements.append(
            (
                "UPDATE head SET size = ?, range = ? WHERE log = 'ledger'",
                (edge.size, edge.to_bytes()),
            )
        )
        statements.append("DELETE FROM checkpoint WHERE log = 'ledger'")
        self.run(*statements)
