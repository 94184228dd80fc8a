"""The offline verifier. Copy this one file anywhere; it imports nothing of ours.

    python verify.py EXPORT --key VKEY [--checkpoint FILE|FOLDER]... [--witness VKEY]...
    python verify.py RECEIPT.tlog-proof --key VKEY [--told FILE]
    python verify.py DATABASE.sqlite --key VKEY [--checkpoint FILE|FOLDER]... [--keys FILE]

It needs Python and the `cryptography` library. EXPORT is a folder `warum ledger export` wrote. Of a
database, run it on a copy: while it reads, the service could not write. The public keys come from
you and are never read from what is being checked. Each key is of one log, `NAME/ledger` or
`NAME/access`, and only logs with a key are checked.

What it can say: entries covered by a checkpoint that was kept outside the system, or that a
witness whose key you bring has cosigned, were not altered or removed. Without such a checkpoint
whoever may write the database could have written all of it anew. It cannot say what was never
recorded, nor whether a record was true.

Entries are hashed as they are stored (RFC 6962), never written out again. The tree, note and
envelope code below repeats that of the product on purpose: two implementations have to agree.

Exit code: 0 clean, 1 something is wrong with the ledger, 2 unusable arguments or files.
"""

# One file on purpose, long as it is: auditors are handed this file alone, can read it from top to
# bottom and run it without the program it checks. So it imports nothing of ours and is not split.

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TextIO

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LOGS = ("ledger", "access")
STATES = ("OK", "ERASED", "MISSING", "ALTERED")
LEAF_LIMIT, NOTE_LIMIT, PAYLOAD_LIMIT = 2**16 - 1, 2**20, 2**24
MOST_SIGNATURES, MOST_FAULTS = 100, 1000
WHOLE = 2**53 - 1
NO_EDGE = object()  # in the place of a right edge, where a storage keeps none


class Unusable(Exception):
    """An argument or a file cannot be used; says which, and why."""

    def __init__(self, what: str) -> None:
        super().__init__(printable(what))


class Wrong(Exception):
    """Something stored is not what the writer could have stored; a sentence."""


# -- what goes in and what comes out ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One entry as some storage holds it; `payload` is (key id, nonce, ciphertext) or None.

    `opening` is (salt, payload) of an entry everyone may read, which only erasures are.
    `not_given` says that whoever exported the log has the payload and kept it.
    """

    seq: object
    leaf: object
    leaf_hash: object
    payload: tuple[object, object, object] | None = None
    opening: tuple[object, object] | None = None
    not_given: bool = False


@dataclass(frozen=True, slots=True)
class StoredLog:
    """One log as some storage holds it, in order of `seq`; nothing in it is trusted.

    `checkpoints` are (size, right edge or NO_EDGE, signed note); `strays` says what belongs to no
    entry, and is asked when the entries were read.
    """

    name: str
    entries: Iterable[StoredEntry]
    size: object
    edge: object
    checkpoints: Sequence[tuple[object, object, object]] = ()
    strays: Iterable[str] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: `seq` is the first entry it can concern."""

    log: str
    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The text of a signed note, once its signature has held.

    `outside` says that it was kept outside the system, or that a known witness cosigned it.
    """

    origin: str
    size: int
    root: bytes
    outside: bool


@dataclass(slots=True)
class Result:
    """What was found in one log. `covered` entries are under a checkpoint kept outside."""

    log: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    size: int = 0
    opened: int = 0
    not_given: int = 0
    covered: int = 0
    last_good: Checkpoint | None = None
    faults: list[Fault] = field(default_factory=list)
    first_bad: Fault | None = None
    erased_by: dict[int, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Return whether nothing at all was found to be wrong."""
        return self.first_bad is None


# -- RFC 6962 -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Tree:
    """The right edge of a tree: the roots of its perfect subtrees, largest first."""

    size: int = 0
    edge: list[bytes] = field(default_factory=list)

    def add(self, leaf: bytes) -> bytes:
        """Add the bytes of a leaf and return its hash."""
        first = digest = hashlib.sha256(b"\x00" + leaf).digest()
        carry = self.size
        while carry & 1:
            digest = hashlib.sha256(b"\x01" + self.edge.pop() + digest).digest()
            carry >>= 1
        self.edge.append(digest)
        self.size += 1
        return first

    def root(self) -> bytes:
        """Return the root over all leaves so far."""
        if not self.edge:
            return hashlib.sha256(b"").digest()
        digest = self.edge[-1]
        for left in reversed(self.edge[:-1]):
            digest = hashlib.sha256(b"\x01" + left + digest).digest()
        return digest


def read_edge(size: int, data: bytes) -> Tree:
    """Read a stored right edge: 32 bytes for each set bit of the size."""
    if size < 0 or len(data) != 32 * size.bit_count():
        _wrong("The right edge stored for it does not fit its size.")
    return Tree(size, [data[at : at + 32] for at in range(0, len(data), 32)])


# -- C2SP signed notes --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """A public key and the log it signs."""

    name: str
    key_id: bytes
    public: bytes

    @property
    def log(self) -> str:
        """Return which of the logs this key is for."""
        return self.name.rpartition("/")[2]


def read_key(text: str) -> Key:
    """Read `name+hex(key id)+base64(0x01 ‖ public key)`."""
    key = _read_key(text, b"\x01", "The key is not a verifier key of an Ed25519 signer.")
    if key.log not in LOGS:
        raise Unusable("The key's name does not end in /ledger or /access.")
    return key


def _read_key(text: str, kind: bytes, otherwise: str) -> Key:
    name, _, rest = text.strip().partition("+")
    try:
        data = _unbase64(rest[9:])
        key_id = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        fits = data[:1] == kind and len(data) == 33 and rest[:9] == f"{key_id.hex()}+"
    except (Wrong, UnicodeEncodeError):
        fits = False
    if not fits or not name:
        raise Unusable(otherwise)
    return Key(name, key_id, data[1:])


def read_witness(text: str) -> Key:
    """Read the key of a witness, `name+hex(key id)+base64(0x04 ‖ public key)`."""
    return _read_key(text, b"\x04", "The key is not that of a witness that cosigns by Ed25519.")


def read_note(note: bytes, key: Key, *, outside: bool, witnesses: Sequence[Key] = ()) -> Checkpoint:
    """Return what `note` says if `key` signed it; signatures of other keys are passed over."""
    text, signatures = _split_note(note)
    cosigned = [_cosigned(text, signatures, witness) for witness in witnesses]
    checkpoint = _checkpoint(text, outside or any(cosigned))
    if checkpoint.origin != key.name:
        _wrong("It is of another log than the key.")
    blobs = [blob for name, blob in signatures if name == key.name and blob[:4] == key.key_id]
    if not blobs:
        _wrong("It is not signed by the key.")
    for blob in blobs:
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(blob[4:], text.encode())
        except InvalidSignature:
            _wrong("Its signature is not valid.")
    return checkpoint


def _cosigned(text: str, signatures: Iterable[tuple[str, bytes]], witness: Key) -> bool:
    """Say whether a witness cosigned this head; one line of its that does not hold is wrong."""
    found = False
    for name, blob in signatures:
        if name != witness.name or blob[:4] != witness.key_id:
            continue
        seconds = int.from_bytes(blob[4:12], "big")
        signed = f"cosignature/v1\ntime {seconds}\n{text}".encode()
        try:
            Ed25519PublicKey.from_public_bytes(witness.public).verify(blob[12:], signed)
        except InvalidSignature:
            _wrong("The cosignature of a witness is not valid.")
        if seconds >= 2**63:
            _wrong("The cosignature of a witness is not valid.")
        found = True
    return found


def _split_note(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    if len(note) > NOTE_LIMIT:
        _wrong("It is too long.")
    try:
        decoded = note.decode()
    except UnicodeDecodeError:
        _wrong("It is not UTF-8.")
    text, gap, tail = decoded.rpartition("\n\n")
    lines = tail.split("\n")
    if not gap or lines.pop() or not lines or len(lines) > MOST_SIGNATURES:
        _wrong("It has no block of signatures.")
    if re.search(r"[\x00-\x09\x0b-\x1f]", decoded):
        _wrong("It holds control characters.")
    signatures = []
    for line in lines:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—" or not parts[1]:
            _wrong("A signature line does not have its form.")
        signatures.append((parts[1], _unbase64(parts[2])))
    return f"{text}\n", signatures


def _checkpoint(text: str, outside: bool) -> Checkpoint:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines) or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
        _wrong("It is not origin, size and root.")
    root = _unbase64(lines[2])
    if len(root) != 32 or int(lines[1]) >= 2**63:
        _wrong("Its root is not 32 bytes long, or its size is beyond any log.")
    return Checkpoint(lines[0], int(lines[1]), root, outside)


def _unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        _wrong("Something in it is not base64.")
    if base64.b64encode(data).decode() != text:
        _wrong("Something in it is not base64 in its one spelling.")
    return data


# -- leaves and payloads ------------------------------------------------------------------------

_HASH = r"[0-9a-f]{64}"
_FORMS = {
    "type": re.compile(r"[a-z][a-z_]{0,31}"),
    "ts": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z"),
    "ts_source": re.compile(r"[a-z0-9-]{1,16}"),
    "tenant": re.compile(r"[a-z0-9][a-z0-9.-]{0,62}"),
    "model": re.compile(rf"(?:sha256:)?{_HASH}"),
    "explainer": re.compile(rf"(?:sha256:)?{_HASH}"),
    "commit": re.compile(_HASH),
    "ct": re.compile(_HASH),
    "told": re.compile(_HASH),
    "idem": re.compile(_HASH),
}
_OPTIONAL = {"model", "explainer", "told", "idem"}


def read_canonical(data: bytes) -> object:
    """Read JSON that has exactly one spelling (RFC 8785, without floats)."""
    try:
        value = json.loads(
            data.decode(), object_pairs_hook=_pairs, parse_float=_number, parse_constant=_number
        )
        _check_numbers(value)
        spelled = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
    except (ValueError, RecursionError):
        _wrong("Its bytes are not JSON.")
    if spelled != data:
        _wrong("Its bytes are not in canonical form.")
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs) or not all(key.isascii() for key, _ in pairs):
        _wrong("It has a key twice, or one that is not ASCII.")
    return dict(pairs)


def _number(_text: str) -> NoReturn:
    _wrong("It holds a number that is not whole.")


def _check_numbers(value: object) -> None:
    if isinstance(value, int) and abs(value) > WHOLE:
        _wrong("It holds a number beyond 2^53 - 1.")
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_numbers(item)


_LEAF = re.compile(
    b"{%s}"
    % b",".join(
        b'"%s":%s' % (name.encode(), form)
        for name, form in sorted(
            [
                *(
                    (
                        name,
                        (b'(?:null|"(?P<%s>%s)")' if name in _OPTIONAL else b'"(?P<%s>%s)"')
                        % (name.encode(), form.pattern.encode()),
                    )
                    for name, form in _FORMS.items()
                ),
                ("seq", b"(?P<seq>0|[1-9][0-9]{0,15})"),
                ("v", b"1"),
            ]
        )
    )
)
"""A leaf in its one spelling: most are that, and are read ten times as fast."""


def read_leaf(leaf: bytes, seq: int) -> dict[str, Any]:
    """Return the fields of a leaf that has exactly the documented form."""
    plain = _LEAF.fullmatch(leaf)
    if plain is not None and int(plain["seq"]) == seq <= WHOLE:
        fields = {
            name: None if text is None else text.decode()
            for name, text in plain.groupdict().items()
        }
        return {**fields, "seq": seq, "v": 1}
    return _read_any_leaf(leaf, seq)


def _read_any_leaf(leaf: bytes, seq: int) -> dict[str, Any]:
    """The same, and what is wrong with a leaf that is not so."""
    if len(leaf) > LEAF_LIMIT:
        _wrong("Its leaf is too long.")
    value = read_canonical(leaf)
    if not isinstance(value, dict) or set(value) != {"v", "seq", *_FORMS}:
        _wrong("Its leaf does not have the documented fields.")
    if type(value["v"]) is not int or value["v"] != 1:
        _wrong("Its leaf is of a version this verifier does not know.")
    if type(value["seq"]) is not int or value["seq"] != seq:
        _wrong("Its leaf was written for another position.")
    for name, pattern in _FORMS.items():
        text = value[name]
        if text is None and name in _OPTIONAL:
            continue
        if not isinstance(text, str) or not pattern.fullmatch(text):
            _wrong(f"The field {name} of its leaf does not have its form.")
    return value


def open_payload(leaf: Mapping[str, Any], nonce: bytes, ciphertext: bytes, key: bytes) -> bytes:
    """Decrypt a payload and check it against the commitment in its leaf."""
    place = [leaf["v"], leaf["seq"], leaf["type"], leaf["tenant"]]
    bound = json.dumps(place, separators=(",", ":")).encode()
    try:
        plain = AESGCM(key).decrypt(nonce, ciphertext, bound)
    except (InvalidTag, ValueError):
        _wrong("Its payload does not open with its key.")
    _check_commitment(leaf, plain[:32], plain[32:])
    return plain[32:]


def _check_commitment(leaf: Mapping[str, Any], salt: bytes, payload: bytes) -> None:
    if hmac.digest(salt, payload, "sha256").hex() != leaf["commit"]:
        _wrong("Its payload is not the one that was committed to.")


# -- one log ------------------------------------------------------------------------------------


def verify_log(
    stored: StoredLog,
    key: Key,
    outside: Sequence[Checkpoint] = (),
    keys: Mapping[str, bytes | None] | None = None,
    witnesses: Sequence[Key] = (),
) -> Result:
    """Check everything about one log, from whatever storage its rows come.

    `keys` maps key ids to keys, None for a key this recipient does not get. With it given, a
    payload under a key that is not listed counts as altered. A stored checkpoint that one of
    `witnesses` cosigned counts as one from outside.
    """
    result = Result(stored.name)
    known = [*_stored_checkpoints(stored, key, witnesses, result), *outside]
    tree, whole = _walk(stored, sorted(known, key=lambda one: one.size), result, keys)
    if whole:
        _check_end(stored, tree, known, result)
    for stray in stored.strays:
        _fault(result, result.size, stray)
    return result


def _stored_checkpoints(
    stored: StoredLog, key: Key, witnesses: Sequence[Key], result: Result
) -> Iterator[Checkpoint]:
    for size, edge, note in stored.checkpoints:
        try:
            checkpoint = read_note(_bytes(note), key, outside=False, witnesses=witnesses)
            if size != checkpoint.size:
                _wrong("It is filed under another size.")
            if edge is not NO_EDGE and (
                read_edge(checkpoint.size, _bytes(edge)).root() != checkpoint.root
            ):
                _wrong("The right edge stored with it has another root.")
        except Wrong as wrong:
            at = size if isinstance(size, int) and size > 0 else 0
            _fault(result, at, f"The checkpoint stored for size {at} is not good. {wrong}")
        else:
            yield checkpoint


def _walk(
    stored: StoredLog,
    known: Sequence[Checkpoint],
    result: Result,
    keys: Mapping[str, bytes | None] | None,
) -> tuple[Tree, bool]:
    """Go through the entries; return their tree, and whether it stands on all of them."""
    tree, whole, expected, due, bare = Tree(), True, 0, list(reversed(known)), []
    for row in stored.entries:
        if result.size % 10_000 == 0 and sys.stderr.isatty():
            _draw_bar(stored.name, result.size, stored.size)
        while due and whole and due[-1].size == tree.size:
            _compare(due.pop(), tree, result)
        result.size += 1
        if row.seq != expected or type(row.seq) is not int:
            _fault(result, expected, f"Where entry {expected} should be is another or none.")
            whole = False
        seq = row.seq if type(row.seq) is int else expected
        expected = seq + 1
        if isinstance(row.leaf, bytes) and whole:
            tree.add(row.leaf)
        else:
            whole = False
        try:
            sealed = _check_entry(row, seq, result, keys)
        except Wrong as wrong:
            result.counts["ALTERED"] += 1
            _fault(result, seq, f"Entry {seq} was altered. {wrong}")
        else:
            if sealed:
                result.counts["OK"] += 1
            else:
                bare.append(seq)
    while due and whole and due[-1].size == tree.size:
        _compare(due.pop(), tree, result)
    for seq in bare:
        if result.erased_by.get(seq, -1) > seq:
            result.counts["ERASED"] += 1
        else:
            result.counts["MISSING"] += 1
            _fault(result, seq, f"The payload of entry {seq} is gone, and no erasure covers it.")
    return tree, whole


def _draw_bar(name: str, done: int, whole: object) -> None:
    """Say on a terminal how far it is; the next line of output goes over it."""
    bar = ""
    if isinstance(whole, int) and 0 < done <= whole:
        filled = 40 * done // whole
        bar = f" [{'#' * filled}{'.' * (40 - filled)}] {100 * done // whole} %"
    print(f"\r{name}: {done:,} entries checked{bar}", end="\r", file=sys.stderr)


def _check_entry(
    row: StoredEntry, seq: int, result: Result, keys: Mapping[str, bytes | None] | None
) -> bool:
    """Raise Wrong if something about one entry is; return whether its payload is there."""
    data = _bytes(row.leaf)
    leaf = read_leaf(data, seq)
    if row.leaf_hash != hashlib.sha256(b"\x00" + data).digest():
        _wrong("The hash stored with it is not that of its leaf.")
    if row.opening is not None:
        salt, opened = (_bytes(part) for part in row.opening)
        if leaf["type"] != "erasure":
            _wrong("Its payload lies open, which only that of an erasure does.")
        _check_commitment(leaf, salt, opened)
        for covered in _covered_by(opened):
            result.erased_by.setdefault(covered, seq)
    if row.payload is None and row.not_given:
        result.not_given += 1
        return True
    if row.payload is None:
        return False
    key_id, nonce, ciphertext = row.payload
    nonce, ciphertext = _bytes(nonce), _bytes(ciphertext)
    if len(nonce) != 12 or hashlib.sha256(nonce + ciphertext).hexdigest() != leaf["ct"]:
        _wrong("Its sealed payload is not the one its leaf names.")
    if keys is not None:
        if not isinstance(key_id, str) or key_id not in keys:
            _wrong("Its payload names a key that is not among the keys given.")
        case_key = keys[key_id]
        if case_key is not None:
            open_payload(leaf, nonce, ciphertext, case_key)
            result.opened += 1
    return True


def _covered_by(opened: bytes) -> list[int]:
    payload = read_canonical(opened)
    seqs = payload.get("seqs") if isinstance(payload, dict) else None
    if not isinstance(seqs, list) or not all(type(seq) is int for seq in seqs):
        _wrong("It does not say which entries it erased.")
    return seqs


def _compare(checkpoint: Checkpoint, tree: Tree, result: Result) -> None:
    """Compare the tree so far with a checkpoint of the same size."""
    since = result.last_good.size if result.last_good else 0
    if checkpoint.root != tree.root():
        _fault(
            result,
            min(since, max(tree.size - 1, 0)),
            f"The entries {since} to {tree.size - 1} are not those that were sealed"
            f"{' (checkpoint from outside)' if checkpoint.outside else ''}.",
        )
        return
    result.last_good = checkpoint
    if checkpoint.outside:
        result.covered = checkpoint.size


def _check_end(stored: StoredLog, tree: Tree, known: Iterable[Checkpoint], result: Result) -> None:
    """Compare the end of the log with its head, and with checkpoints beyond it."""
    if (stored.size, stored.edge) != (tree.size, b"".join(tree.edge)):
        _fault(result, tree.size, "The head does not fit the entries.")
    longest = max((one.size for one in known), default=0)
    if longest > tree.size:
        _fault(
            result,
            tree.size,
            f"The tail was cut: {tree.size} entries are there, {longest} were sealed.",
        )


def _fault(result: Result, seq: int, what: str) -> None:
    fault = Fault(result.log, seq, what)
    if result.first_bad is None or seq < result.first_bad.seq:
        result.first_bad = fault
    if len(result.faults) < MOST_FAULTS:
        result.faults.append(fault)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) > PAYLOAD_LIMIT:
        _wrong("A stored value is no byte string of sensible length.")
    return value


def _wrong(what: str) -> NoReturn:
    raise Wrong(what)


# -- a SQLite database --------------------------------------------------------------------------

_ENTRIES = """
SELECT e.seq, e.leaf, e.leaf_hash,
       p.log IS NOT NULL, p.key_id, p.nonce, p.ciphertext, o.log IS NOT NULL, o.salt, o.payload
FROM entry AS e
LEFT JOIN payload AS p ON p.log = e.log AND p.seq = e.seq
LEFT JOIN opening AS o ON o.log = e.log AND o.seq = e.seq
WHERE e.log = ? ORDER BY e.seq
"""


def verify_database(
    path: Path,
    keys: Sequence[Key],
    outside: Sequence[Checkpoint] = (),
    case_keys: Mapping[str, bytes | None] | None = None,
) -> list[Result]:
    """Check every log that one of `keys` is for; raises Unusable if the file cannot be read."""
    if not _is_file(path):
        raise Unusable(f"There is no file {path}.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.text_factory = _text
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("BEGIN")  # one moment of the database for all that follows
            damaged = list(_damaged(database))
            return [
                verify_log(
                    _stored_log(database, key.log, damaged),
                    key,
                    [one for one in outside if one.origin == key.name],
                    case_keys,
                )
                for key in keys
            ]
    except sqlite3.Error as fault:
        raise Unusable(f"{path} is damaged, or no database of Warum: {fault}. {_RESTORE}") from None
    except (UnicodeDecodeError, MemoryError):
        # SQLite's own words, or a length it asks for, came out of the file
        raise Unusable(f"{path} is damaged. {_RESTORE}") from None


_RESTORE = "Restore a backup and verify that."


def _text(value: bytes) -> str:
    return value.decode(errors="replace")  # damaged text is a fault to find, not to stumble on


def _stored_log(database: sqlite3.Connection, name: str, damaged: Iterable[str] = ()) -> StoredLog:
    head = database.execute("SELECT size, range FROM head WHERE log = ?", (name,)).fetchone()
    size, edge = head or (None, None)
    checkpoints = database.execute(
        "SELECT size, range, note FROM checkpoint WHERE log = ? ORDER BY size", (name,)
    ).fetchall()
    entries, strays = _stored_entries(database, name), [*damaged, *_strays(database, name)]
    return StoredLog(name, entries, size, edge, checkpoints, strays)


_TABLES = ("entry", "head", "payload", "opening", "checkpoint")


def _damaged(database: sqlite3.Connection) -> Iterator[str]:
    """Say in which tables damage may hide rows: nobody would miss a checkpoint that is gone.

    SQLite before 3.33 knows no check of one table and looks at the whole file for each.
    """
    for table in _TABLES:
        said = database.execute(f"PRAGMA integrity_check('{table}')").fetchone()
        if said != ("ok",):
            yield f"The table {table} of the file is damaged, and may hide rows ({said[0]})."


def _stored_entries(database: sqlite3.Connection, name: str) -> Iterator[StoredEntry]:
    for row in database.execute(_ENTRIES, (name,)):
        yield StoredEntry(
            seq=row[0],
            leaf=row[1],
            leaf_hash=row[2],
            payload=(row[4], row[5], row[6]) if row[3] else None,
            opening=(row[8], row[9]) if row[7] else None,
        )


def _strays(database: sqlite3.Connection, name: str) -> Iterator[str]:
    """Say what belongs to no entry of this log, or to no log at all."""
    others = f"log NOT IN ({', '.join('?' * len(LOGS))})"
    for table in _TABLES:
        query = f"SELECT count(*) FROM {table} WHERE {others}"  # noqa: S608 - fixed names
        if database.execute(query, LOGS).fetchone()[0]:
            yield f"The table {table} has rows of no known log."
    for table in ("payload", "opening"):
        query = (
            f"SELECT count(*) FROM {table} AS x WHERE x.log = ? AND NOT EXISTS "  # noqa: S608
            "(SELECT 1 FROM entry AS e WHERE e.log = x.log AND e.seq = x.seq)"
        )
        if database.execute(query, (name,)).fetchone()[0]:
            yield f"The table {table} has rows of no entry."


# -- an export: a folder in the layout of C2SP tlog-tiles -----------------------------------------

_PAYLOAD = {"nonce", "ciphertext"}


def verify_export(
    folder: Path,
    keys: Sequence[Key],
    outside: Sequence[Checkpoint] = (),
    witnesses: Sequence[Key] = (),
) -> list[Result]:
    """Check every exported log that one of `keys` is for; raises Unusable if there is none."""
    found = [key for key in keys if _is_folder(folder / key.log)]
    if not found:
        raise Unusable(f"{folder} holds no exported log whose key was given.")
    return [
        verify_log(
            _exported_log(folder / key.log, key, witnesses),
            key,
            [one for one in outside if one.origin == key.name],
            _KeysBeside(),
            witnesses,
        )
        for key in found
    ]


class _KeysBeside(dict[str, bytes | None]):
    """In an export the key stands beside the payload, if it was given at all."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> bytes | None:
        if key and not re.fullmatch(r"[0-9a-f]{64}", key):
            _wrong("The key beside its payload is none.")
        return bytes.fromhex(key) if key else None


def _exported_log(folder: Path, key: Key, witnesses: Sequence[Key]) -> StoredLog:
    newest = _read_exported(folder / "checkpoint", NOTE_LIMIT)
    try:
        head = read_note(newest, key, outside=False, witnesses=witnesses)
    except Wrong as wrong:
        # without a head nothing says how much there should be; what is there is still looked at
        return StoredLog(
            key.log, (), None, None, strays=[f"The newest checkpoint is not good. {wrong}"]
        )
    tiles = _ExportedTiles(folder, head.size)
    history = folder / "checkpoints"
    files = _files_in(history) if _is_folder(history) else []
    notes = [(_size_of(path), NO_EDGE, _read_exported(path, NOTE_LIMIT)) for path in files]
    return StoredLog(
        key.log,
        tiles.entries(),
        head.size,
        tiles.edge(),
        [*notes, (head.size, NO_EDGE, newest)],
        tiles.strays(),
    )


def _size_of(path: Path) -> int:
    return int(path.name) if re.fullmatch(r"0|[1-9][0-9]{0,18}", path.name) else -1


class _ExportedTiles:
    """The files of one exported log of `size` entries: exactly these, and no others."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        self._faults: list[str] = []
        self._hashes: list[bytes] = []
        """Of the level above the tiles that were read, to be compared with its own tiles."""

    def entries(self) -> Iterator[StoredEntry]:
        for index, width in _places(self._size, 0):
            name = _file_name(index, width)
            first = 256 * index
            hashes = self._tile(0, index, width)
            if hashes is not None and width == 256:
                self._hashes.append(_fold(hashes))
            leaves = self._leaves(name, width)
            lines = self._payloads(name, first, width)
            for at in range(width):
                yield _exported_entry(
                    first + at,
                    None if leaves is None else leaves[at],
                    None if hashes is None else hashes[at],
                    lines.get(first + at, {}),
                )

    def _leaves(self, name: str, width: int) -> list[bytes] | None:
        data = self._file(f"tile/entries/{name}", 256 * (LEAF_LIMIT + 2))
        found, at = [], 0
        while data is not None and at + 2 <= len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            found.append(data[at + 2 : end])
            at = end
        if data is None or at != len(data) or len(found) != width:
            self._faults.append(f"The file tile/entries/{name} is cut, or holds other entries.")
            return None
        return found

    def _payloads(self, name: str, first: int, width: int) -> dict[int, dict[str, Any]]:
        data = self._file(f"payload/{name}", 256 * PAYLOAD_LIMIT) or b""
        found: dict[int, dict[str, Any]] = {}
        lines = data.split(b"\n")
        if lines.pop():
            self._faults.append(f"The file payload/{name} is cut.")
        for line in lines:
            try:
                # the most common line in its one spelling is not read as JSON
                plain = _SEALED.fullmatch(line)
                value = {"seq": int(plain[3])} if plain else read_canonical(line)
                seq = value.get("seq") if isinstance(value, dict) else None
                if type(seq) is not int or seq in found or not first <= seq < first + width:
                    _wrong("It is of another entry.")
                found[seq] = (
                    {
                        "ciphertext": _unbase64(plain[1].decode()),
                        "nonce": _unbase64(plain[2].decode()),
                    }
                    if plain
                    else _payload_line(value)
                )
            except Wrong as wrong:
                self._faults.append(f"A line of the file payload/{name} is not good. {wrong}")
        if len(found) != width:
            self._faults.append(f"The file payload/{name} does not name each entry once.")
        return found

    def _tile(self, level: int, index: int, width: int) -> list[bytes] | None:
        name = f"tile/{level}/{_file_name(index, width)}"
        data = self._file(name, 256 * 32)
        if data is None or len(data) != 32 * width:
            self._faults.append(f"The file {name} is not {width} hashes.")
            return None
        return [data[at : at + 32] for at in range(0, len(data), 32)]

    def _file(self, name: str, limit: int) -> bytes | None:
        try:
            return _read_exported(self._folder / name, limit)
        except Unusable:
            return None

    def edge(self) -> bytes | None:
        """The right edge, from the last tile of each level."""
        edge = b""
        for level in reversed(range(8)):
            width = (self._size >> 8 * level) & 255
            if not width:
                continue
            hashes = self._tile(level, self._size >> 8 * (level + 1), width)
            if hashes is None:
                return None
            at = 0
            for bit in reversed(range(8)):
                if width >> bit & 1:
                    edge += _fold(hashes[at : at + (1 << bit)])
                    at += 1 << bit
        return edge

    def strays(self) -> Iterator[str]:
        """What is wrong with the files themselves; asked when all entries were read."""
        level = 1
        while self._size >> 8 * level:
            above = []
            for index, width in _places(self._size, level):
                hashes = self._tile(level, index, width)
                if hashes is None or hashes != self._hashes[256 * index : 256 * index + width]:
                    yield f"The tile {level}/{_file_name(index, width)} is not over those below it."
                elif width == 256:
                    above.append(_fold(hashes))
            self._hashes, level = above, level + 1
        yield from self._faults
        expected = {"checkpoint"}
        for level in range(8):
            for index, width in _places(self._size, level):
                expected.add(f"tile/{level}/{_file_name(index, width)}")
        for index, width in _places(self._size, 0):
            expected |= {f"{at}/{_file_name(index, width)}" for at in ("tile/entries", "payload")}
        for path in _files_below(self._folder):
            name = path.relative_to(self._folder).as_posix()
            if name in expected or name.startswith("checkpoints/"):
                continue
            yield f"The file {name} belongs to no entry under the newest checkpoint."


def _places(size: int, level: int) -> Iterator[tuple[int, int]]:
    """Number and width of each tile at a level of a tree of `size` leaves."""
    hashes = size >> 8 * level
    yield from ((index, 256) for index in range(hashes >> 8))
    if hashes & 255:
        yield hashes >> 8, hashes & 255


def _file_name(index: int, width: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    name = "/".join(reversed(groups))
    return name if width == 256 else f"{name}.p/{width}"


def _fold(hashes: Sequence[bytes]) -> bytes:
    """The root over a perfect subtree."""
    row = list(hashes)
    while len(row) > 1:
        row = [
            hashlib.sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)
        ]
    return row[0]


_SEALED = re.compile(
    rb'{"ciphertext":"([0-9A-Za-z+/=]*)","nonce":"([0-9A-Za-z+/=]*)","seq":(0|[1-9][0-9]{0,15})}'
)


def _payload_line(value: Any) -> dict[str, Any]:
    names = set(value) - {"seq"}
    sealed, opened = names & {"key", *_PAYLOAD}, names & {"salt", "opened"}
    if (
        sealed - {"key"} not in (set(), _PAYLOAD)
        or sealed == {"key"}
        or opened not in (set(), {"salt", "opened"})
        or names - sealed - opened not in (set(), {"not_given"})
        or ("not_given" in names and (sealed or value["not_given"] is not True))
        or not all(isinstance(value[name], str) for name in sealed | opened)
    ):
        _wrong("It does not have the documented fields.")
    return {
        name: text if name == "key" else _unbase64(text)
        for name, text in value.items()
        if name not in ("seq", "not_given")
    } | {"not_given": "not_given" in names}


def _exported_entry(
    seq: int, leaf: bytes | None, leaf_hash: bytes | None, line: Mapping[str, Any]
) -> StoredEntry:
    return StoredEntry(
        seq,
        leaf,
        leaf_hash,
        (line.get("key", ""), line["nonce"], line["ciphertext"]) if "nonce" in line else None,
        (line["salt"], line["opened"]) if "salt" in line else None,
        bool(line.get("not_given")),
    )


# -- a receipt: one entry, proven to be under a signed head (C2SP tlog-proof) --------------------

RECEIPT = "c2sp.org/tlog-proof@v1"
LONGEST_PROOF = 63


def verify_receipt(
    data: bytes, keys: Sequence[Key], told: bytes | None = None
) -> tuple[dict[str, Any], Checkpoint]:
    """Return the leaf and the head a receipt proves; `told` are bytes it should vouch for.

    Raises Wrong where anything about it does not hold. The size of the tree comes from the signed
    head: a proof alone does not bind it.
    """
    text, gap, note = data.partition(b"\n\n")
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError:
        _wrong("It is not UTF-8.")
    if not gap or len(data) > NOTE_LIMIT or lines[0] != RECEIPT:
        _wrong(f"It does not begin with {RECEIPT}, or is cut.")
    extra = lines.pop(1).partition(" ") if len(lines) > 1 else ("", "", "")
    index = lines.pop(1).partition(" ") if len(lines) > 1 else ("", "", "")
    if extra[0] != "extra" or index[0] != "index" or not re.fullmatch(_NUMBER, index[2]):
        _wrong("It has no line for the entry, or none for its place.")
    proof = [_unbase64(line) for line in lines[1:]]
    if len(proof) > LONGEST_PROOF or any(len(digest) != 32 for digest in proof):
        _wrong("Its proof is not a short list of hashes.")
    origins = {key.name.encode(): key for key in keys}
    key = origins.get(note.split(b"\n")[0])
    if key is None:
        _wrong("It is of a log whose key was not given.")
    head = read_note(note, key, outside=True)
    leaf, salt = _extra(_unbase64(extra[2]))
    fields = read_leaf(leaf, int(index[2]))
    if _root_above(fields["seq"], head.size, leaf, proof) != head.root:
        _wrong("Its entry is not under the signed head.")
    if told is not None:
        digest = hashlib.sha256(told).digest()
        if salt is None or hmac.digest(salt, digest, "sha256").hex() != fields["told"]:
            _wrong("What you were told is not what this entry vouches for.")
    return fields, head


_NUMBER = r"0|[1-9][0-9]{0,18}"


def _extra(data: bytes) -> tuple[bytes, bytes | None]:
    value = read_canonical(data)
    if not isinstance(value, dict) or set(value) != {"leaf", "told_salt"}:
        _wrong("What it says of its entry does not have the documented fields.")
    leaf, salt = value["leaf"], value["told_salt"]
    if not isinstance(leaf, str) or not (
        salt is None or (isinstance(salt, str) and re.fullmatch(_HASH, salt))
    ):
        _wrong("What it says of its entry does not have the documented form.")
    return leaf.encode(), None if salt is None else bytes.fromhex(salt)


def _root_above(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root a proof leads to (RFC 9162, 2.1.3.2)."""
    if index >= size:
        _wrong("Its signed head does not cover its entry.")
    fn, sn, digest = index, size - 1, hashlib.sha256(b"\x00" + leaf).digest()
    for sibling in proof:
        if sn == 0:
            _wrong("Its proof is too long.")
        if fn & 1 or fn == sn:
            digest = hashlib.sha256(b"\x01" + sibling + digest).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            digest = hashlib.sha256(b"\x01" + digest + sibling).digest()
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        _wrong("Its proof is too short.")
    return digest


# -- what the user brings -----------------------------------------------------------------------


def read_outside(paths: Iterable[Path], keys: Sequence[Key]) -> list[Checkpoint]:
    """Read checkpoints kept outside: files, or folders of `*.note` files.

    In a folder, notes of logs without a key here are passed over; a file given by name has to
    be of one of the logs.
    """
    found = []
    for path in paths:
        files = [path]
        if _is_folder(path):
            files = [one for one in _files_below(path) if one.name.endswith(".note")]
        notes = [(file, _read_file(file, NOTE_LIMIT)) for file in files]
        origins = {key.name.encode(): key for key in keys}
        ours = [(file, note) for file, note in notes if note.split(b"\n")[0] in origins]
        if not ours:
            raise Unusable(f"{path} holds no checkpoint of a log whose key was given.")
        for file, note in ours:
            try:
                found.append(read_note(note, origins[note.split(b"\n")[0]], outside=True))
            except Wrong as wrong:
                raise Unusable(f"The checkpoint {file} is not good. {wrong}") from None
    return found


def read_case_keys(path: Path) -> dict[str, bytes | None]:
    """Read a JSON object of key ids and keys in hexadecimal; null for a key not handed out."""
    try:
        value = json.loads(_read_file(path, 2**28).decode())
        keys = {name: None if key is None else bytes.fromhex(key) for name, key in value.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        keys = {"": b""}
    if any(key is not None and len(key) != 32 for key in keys.values()):
        raise Unusable(f"{path} is not a JSON object of key ids and keys of 64 digits.")
    return keys


def _read_file(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError):
        raise Unusable(f"{path} cannot be read.") from None
    if len(data) > limit:
        raise Unusable(f"{path} is too long.")
    return data


def _read_exported(path: Path, limit: int) -> bytes:
    if not _is_file(path):  # a pipe would keep us waiting
        raise Unusable(f"{path} is no file.")
    return _read_file(path, limit)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        raise Unusable(f"{path} cannot be read.") from None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        raise Unusable(f"{path} cannot be read.") from None


def _files_in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        raise Unusable(f"{folder} cannot be read.") from None


def _files_below(folder: Path) -> list[Path]:
    """Every file in a folder and the folders in it; none of these is passed over unread."""

    def refuse(fault: OSError) -> NoReturn:
        raise Unusable(f"{fault.filename} cannot be read.")

    found = os.walk(folder, onerror=refuse)
    return sorted(Path(at) / name for at, _, names in found for name in names)


# -- the command --------------------------------------------------------------------------------


def printable(text: str) -> str:
    """Spell out what is no plain sign: a name in an export could steer a terminal or hide words."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def _say(text: str, stream: TextIO) -> None:
    """Print; signs the terminal does not have are spelled out, too."""
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def report(result: Result, kept: str = "from outside") -> str:
    """Say in words what was found in one log; `kept` says where the checkpoints were kept."""
    counts = ", ".join(f"{number} {state}" for state, number in result.counts.items())
    lines = [f"{result.log}: {result.size} entries: {counts}"]
    if result.covered:
        lines.append(f"  entries 0 to {result.covered - 1} are under a checkpoint {kept}")
    else:
        lines.append(
            "  no checkpoint from outside covers any entry: whoever may write the database could"
            " have written all of it anew, and this check would not notice"
        )
    if result.not_given:
        lines.append(
            f"  the payloads of {result.not_given} entries exist, says who exported them, and"
            " were not given to you"
        )
    if result.opened:
        lines.append(f"  {result.opened} payloads were opened and are what was committed to")
    if result.first_bad is not None:
        good = result.last_good.size if result.last_good else 0
        lines.append(f"  FAULT at entry {result.first_bad.seq}: {result.first_bad.what}")
        lines += [f"  also: {one.what}" for one in result.faults if one != result.first_bad][:20]
        lines.append(f"  last good checkpoint: size {good}")
    return "\n".join(map(printable, lines))


def receipt_in_words(
    data: bytes, keys: Sequence[Key], told: bytes | None = None
) -> tuple[str, bool]:
    """Say what a receipt proves, and whether it does."""
    try:
        leaf, head = verify_receipt(data, keys, told)
    except Wrong as wrong:
        return f"The receipt does not hold. {wrong}\nNOT CLEAN", False
    words = [
        f"Entry {leaf['seq']} ({leaf['type']}, {leaf['ts']}) is under the signed head of"
        f" {head.size} entries of {head.origin}.",
        "It vouches for exactly the file you gave."
        if told is not None
        else "Whether it vouches for a letter or page you hold, --told FILE says.",
    ]
    return "\n".join([*map(printable, words), "clean"]), True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verifier and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="verify.py", description="Check a ledger of Warum, offline."
    )
    parser.add_argument(
        "database",
        type=Path,
        help="the folder of an export, a receipt, or the SQLite file, best a copy of it",
    )
    parser.add_argument(
        "--key", action="append", required=True, help="verifier key of a log; repeatable"
    )
    parser.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="VKEY",
        help="with an export: key of a witness whose cosignatures count; repeatable",
    )
    parser.add_argument(
        "--checkpoint",
        action="append",
        type=Path,
        default=[],
        help="a checkpoint kept outside, or a folder of them; repeatable",
    )
    parser.add_argument("--told", type=Path, help="with a receipt: the very file it vouches for")
    parser.add_argument("--keys", type=Path, help="JSON file of case keys, to check payloads")
    given = parser.parse_args(arguments)
    try:
        keys = [read_key(text) for text in given.key]
        if given.database.suffix == ".tlog-proof":
            told = None if given.told is None else _read_file(given.told, PAYLOAD_LIMIT)
            said, holds = receipt_in_words(_read_file(given.database, NOTE_LIMIT), keys, told)
            _say(said, sys.stdout)
            return 0 if holds else 1
        outside = read_outside(given.checkpoint, keys)
        if _is_folder(given.database):
            witnesses = [read_witness(text) for text in given.witness]
            results = verify_export(given.database, keys, outside, witnesses)
        else:
            case_keys = None if given.keys is None else read_case_keys(given.keys)
            results = verify_database(given.database, keys, outside, case_keys)
    except Unusable as fault:
        _say(f"Cannot verify: {fault}", sys.stderr)
        return 2
    for result in results:
        _say(report(result), sys.stdout)
    clean = all(result.clean for result in results)
    print("clean" if clean else "NOT CLEAN")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
