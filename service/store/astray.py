"""What was sealed of one case and lies, in the tables, with another or with none.

Links, and the names of keys beside what is sealed, are rows: whoever administers the database can
change both. But leaf and sealed bytes cannot be changed unseen, and what is as it was written opens
with one key only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Row, bindparam, select

from explainer.errors import LedgerError, RecordsDisagree
from explainer.ledger.entries import EntryKind, Leaf
from explainer.ledger.log import LogName
from explainer.ledger.sealing import associated_data
from explainer.ledger.tree import leaf_hash
from service.store import tables
from service.store.covered import covered_seqs
from service.store.database import Reading, Store
from service.store.log import join_entries

PART = 1000
"""Entries that are looked at in one moment, positions that are asked about at a time."""
LEDGER = LogName.LEDGER.value


@dataclass(frozen=True, slots=True)
class Intact:
    """A payload whose leaf and sealed bytes are those that were written, and the key it is said to
    be under: only the one it was sealed with opens it."""

    seq: int
    key_id: str
    nonce: bytes
    ciphertext: bytes
    bound: bytes

    def opens_with(self, key: bytes) -> bool:
        """Some 3 µs. That the text is the one committed to is for the verifier to say."""
        try:
            AESGCM(key).decrypt(self.nonce, self.ciphertext, self.bound)
        except (InvalidTag, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Astray:
    """Follow-up entries that no erasure covers, and of which the tables do not say whose they are.

    Attributes
    ----------
    gone : positions of those whose payload is gone; or damaged, and not linked to the case whose
        key it is said to be under
    unopened : those the key they are said to be under does not open, or is not there for
    of_lost_keys : positions among these that tables agree on: they are linked to the case whose
        key it is
    """

    gone: tuple[int, ...] = ()
    unopened: tuple[Intact, ...] = ()
    of_lost_keys: frozenset[int] = frozenset()


def intact(tx: Reading, seqs: Iterable[int]) -> Iterator[Intact]:
    """Of these positions of the ledger those whose payload is there and as it was written."""
    ordered = sorted(seqs)
    for at in range(0, len(ordered), PART):
        rows = tx.connection.execute(_THESE, {"wanted": ordered[at : at + PART]})
        yield from filter(None, map(_intact, rows))


def find_astray(store: Store) -> Astray:
    """Look through all follow-up entries, part by part: who writes has a turn in between.

    What the key opens that it is said to be under is that key's, whatever it is linked to, and is
    found by it. Reads every leaf (some 2 µs each) and opens every follow-up entry (some 70 µs): of
    a million entries, a tenth of them such, about ten seconds.
    """
    with store.reading() as tx:
        size = tx.log(LogName.LEDGER).head().size
    gone: list[int] = []
    unopened: list[Intact] = []
    of_lost: set[int] = set()
    for first in range(0, size, PART):
        with store.reading() as tx:
            leaves = tx.connection.execute(_LEAVES, {"first": first, "end": first + PART})
            later = [row.seq for row in leaves if may_be_follow_up(row.leaf)]
            rows = tx.connection.execute(_THESE, {"wanted": later}).all() if later else []
        keys = store.keys.several({row.key_id for row in rows if row.key_id is not None})
        for row in rows:
            one = _intact(row)
            if one is None:
                # a damaged one is the case's that link and name of the key agree on; where they do
                # not, or nothing is left of it, it may have been anybody's
                known = row.key_id is not None and row.key_id == row.of_case
                gone += [] if known else [row.seq]
                continue
            key = keys.get(one.key_id)
            if key is None or not one.opens_with(key):
                unopened.append(one)
                if key is None and row.of_case == one.key_id:
                    of_lost.add(one.seq)
    if not gone and not unopened:
        return Astray()
    with store.reading() as tx:  # an erasure is recorded before anything of it goes
        covered = covered_seqs(tx, LogName.LEDGER)
    return Astray(
        tuple(seq for seq in gone if seq not in covered),
        tuple(one for one in unopened if one.seq not in covered),
        frozenset(of_lost),
    )


def check_none_hidden(case_id: str, key: bytes | None, ours: Iterable[int], found: Astray) -> None:
    """Raise RecordsDisagree where a follow-up entry of a case lies with another one or with none,
    or where one may: it may be a legal hold. `ours` are the entries that are known to be its, `key`
    is its own."""
    check_none_gone(found)
    known = set(ours)
    if key is not None and any(
        one.seq not in known and one.opens_with(key) for one in found.unopened
    ):
        raise hidden(case_id)


def check_none_gone(found: Astray) -> None:
    """Raise RecordsDisagree where nothing tells any more whose a follow-up entry was."""
    if found.gone:
        raise RecordsDisagree(
            "What was recorded later of a case is gone, and nothing proves of which: it may have "
            "been a legal hold, of any case.",
            f"entry {found.gone[0]}",
            "Put the database back from a backup: `warum ledger restore`; `warum ledger verify` "
            "names all that is gone.",
        )


def hidden(case_id: str) -> RecordsDisagree:
    """What is raised where something recorded later lies elsewhere than with its case."""
    return RecordsDisagree(
        "Something recorded of this case, perhaps a legal hold, lies with another case or with "
        "none: somebody changed the tables.",
        f"the case {case_id}",
        "Have the database examined, `warum ledger verify` names the entry; nothing was erased.",
    )


def may_be_follow_up(leaf: object) -> bool:
    """Whether a leaf, as it is stored, is of something recorded later: a legal hold perhaps.

    Its type is public. What is no leaf any more may be anything.
    """
    # the exact bytes of a leaf are canonical, so its type is spelled in one way only
    return not isinstance(leaf, bytes) or b'"type":"follow_up"' in leaf


def is_of_a_case(leaf: object) -> bool:
    """Whether an entry is about a case, as its leaf says, whose bytes the tree covers."""
    return isinstance(leaf, bytes) and any(kind in leaf for kind in _OF_CASES)


def _intact(row: Row[Any]) -> Intact | None:
    parts = (row.leaf, row.leaf_hash, row.nonce, row.ciphertext)
    if not all(isinstance(one, bytes) for one in parts) or not isinstance(row.key_id, str):
        return None  # SQLite keeps anything in any column
    if leaf_hash(row.leaf) != row.leaf_hash:
        return None
    try:
        leaf = Leaf.from_bytes(row.leaf)
    except LedgerError:
        return None
    if leaf.seq != row.seq or sha256(row.nonce + row.ciphertext).hexdigest() != leaf.ct:
        return None
    bound = associated_data(leaf.seq, leaf.type, leaf.tenant)
    return Intact(row.seq, row.key_id, row.nonce, row.ciphertext, bound)


_OF_CASES = tuple(
    f'"type":"{kind}"'.encode()
    for kind in (EntryKind.SHOWN, EntryKind.DECISION, EntryKind.FOLLOW_UP)
)
_ENTRY, _LINK, _CASE = tables.entry, tables.case_entry, tables.case_file
_LEAVES = select(_ENTRY.c.seq, _ENTRY.c.leaf).where(
    _ENTRY.c.log == LEDGER, _ENTRY.c.seq >= bindparam("first"), _ENTRY.c.seq < bindparam("end")
)
_THESE = (
    join_entries()
    .add_columns(_LINK.c.case_id, _CASE.c.key_id.label("of_case"))
    .outerjoin(_LINK, (_LINK.c.log == _ENTRY.c.log) & (_LINK.c.seq == _ENTRY.c.seq))
    .outerjoin(_CASE, _CASE.c.id == _LINK.c.case_id)
    .where(_ENTRY.c.log == LEDGER, _ENTRY.c.seq.in_(bindparam("wanted", expanding=True)))
)
