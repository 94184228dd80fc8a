"""The tables. Those of the logs hold what is vouched for; the others say what is going on.

No table has a column for the person who acted: actors exist only sealed, inside payloads, so
that no query can group, sort or filter by them. Only `own_record` can be asked whether somebody
recorded a decision, by whoever has the key and their name; no two of its rows are alike.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# -- the logs: `log` is "ledger" or "access" ----------------------------------------------------

entry = Table(
    "entry",
    metadata,
    Column("log", String(16), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "seq"),
    UniqueConstraint("leaf_hash"),
)

head = Table(
    "head",
    metadata,
    Column("log", String(16), primary_key=True),
    Column("size", Integer, nullable=False),
    Column("range", LargeBinary, nullable=False),  # right edge of the tree, 32 bytes each
    # seconds since 1970, beyond 2038; overwritten, so no history
    Column("last_clock", BigInteger().with_variant(Integer, "sqlite")),
)


def _of_entry() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["log", "seq"], ["entry.log", "entry.seq"])


payload = Table(  # erasable
    "payload",
    metadata,
    Column("log", String(16), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "seq"),
    _of_entry(),
    Index(None, "key_id", "log", "seq"),  # all that was sealed of a case, whoever says what is its
)

opening = Table(  # erasure entries only: everyone may read which entries were erased
    "opening",
    metadata,
    Column("log", String(16), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "seq"),
    _of_entry(),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("log", String(16), nullable=False),
    Column("size", Integer, nullable=False),
    Column("range", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "size"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key_hash", String(64), primary_key=True),
    Column("log", String(16), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("body_mac", LargeBinary, nullable=False),  # keyed: a bare digest could be guessed
    Column("record_id", String(64)),
    _of_entry(),
)

# -- what is going on: erasable -----------------------------------------------------------------

case_file = Table(
    "case_file",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("key_id", String(64), nullable=False, unique=True),  # random; a number has one key
    Column("sealed", LargeBinary, nullable=False),  # number and values, under that key
    Column("package_id", String(200), nullable=False),
    Column("package_digest", String(80), nullable=False),  # at submission
    Column("unit", String(200), nullable=False),
    Column("submitted_at", String(17), nullable=False),  # to the minute
    Column("state", String(16), nullable=False),
    Column("arrival", Integer, nullable=False, unique=True),  # from 1; those of one minute in order
    Index(None, "unit", "state"),
)

case_entry = Table(
    "case_entry",
    metadata,
    Column("case_id", String(64), ForeignKey("case_file.id"), nullable=False),
    Column("log", String(16), nullable=False),
    Column("seq", Integer, nullable=False),
    PrimaryKeyConstraint("log", "seq", "case_id"),
    _of_entry(),
    Index(None, "case_id"),
)

decision_record = Table(
    "decision_record",
    metadata,
    Column("record_id", String(64), primary_key=True),
    Column("case_id", String(64), ForeignKey("case_file.id"), nullable=False),
    Column("log", String(16), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("unit", String(200), nullable=False),
    Column("benefit_type", String(200), nullable=False),
    Column("period", String(7), nullable=False),  # YYYY-MM
    Column("decided_on", String(17), nullable=False),  # to the minute
    Column("suggested", String(200)),
    Column("outcome", String(200), nullable=False),
    Column("relation", String(32), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("codes", String(64), nullable=False),  # JSON list of one to three
    Column("corrects", String(64)),  # the record this one takes the place of
    UniqueConstraint("log", "seq"),
    _of_entry(),
    Index(None, "case_id"),
    Index(None, "unit", "period"),
    Index(None, "corrects", unique=True),  # of two corrections of one record, one is too late
)

own_record = Table(  # who recorded a decision finds it again: see service/store/own.py
    "own_record",
    metadata,
    Column("log", String(16), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("mark", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "seq"),
    _of_entry(),
)
