"""A log as a folder that anybody can check without us: C2SP tlog-tiles, with payloads beside it.

    checkpoint               the newest signed note; everything else is of this size
    checkpoints/<size>       every stored note
    tile/<L>/<N>[.p/<W>]     hash tiles: 256 hashes of 32 bytes where they are full
    tile/entries/<N>[.p/<W>] leaves: two bytes of length, then the leaf, one after the other
    payload/<N>[.p/<W>]      one canonical JSON object a line, for the same entries; with the key
                             where this recipient may open the payload

Leaves are the same for everybody; recipients differ in what payloads and keys they are given.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from explainer.errors import ExportFailed, LedgerError
from explainer.ledger.checkpoint import VerifierKey, verify
from explainer.ledger.durable import whole_folder
from explainer.ledger.entries import Json, Leaf, canonical
from explainer.ledger.log import Record
from explainer.ledger.sealing import open_payload
from explainer.ledger.tree import Range, node_hash

TILE = 256
"""Hashes of a full tile, and leaves of a full bundle (C2SP tlog-tiles)."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: how many entries, of how many the payload was given, and how many of these
    no key of those given opens; 0 where none was given."""

    size: int
    given: int
    unopened: int = 0


def tile_name(index: int) -> str:
    """The number of a tile in groups of three digits, all but the last with `x`."""
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))


def file_name(index: int, width: int) -> str:
    """The file of a tile that holds `width` of its 256 places."""
    return tile_name(index) if width == TILE else f"{tile_name(index)}.p/{width}"


def export_log(
    records: Iterable[Record],
    notes: Sequence[bytes],
    key: VerifierKey,
    folder: Path,
    *,
    keys: Mapping[str, bytes | None] | None = None,
    gives: Callable[[Record], bool] = lambda record: True,
    progress: Callable[[int, int], None] = lambda done, whole: None,
) -> Exported:
    """Write the entries under the newest of `notes`, and everything needed to check them.

    Parameters
    ----------
    records : the log's entries in order; those after the newest note are left out
    notes : all stored signed notes, in order of size
    folder : must not exist; it is there whole afterwards, or not at all
    keys : case keys by key id, handed over with the payloads; without them payloads stay sealed
    gives : whether this recipient gets the payload of an entry

    Raises ExportFailed where there is no signed head, or entries and head do not belong together.
    """
    if not notes:
        raise ExportFailed(
            "The log has no signed head yet.", str(folder), "Have it sealed first, then try again."
        )
    head = verify(notes[-1], key)
    with whole_folder(folder, ExportFailed) as draft:
        given, unopened, edge = _write(records, head.size, draft, keys, gives, progress)
        if edge.size != head.size or edge.root() != head.root:
            raise ExportFailed(
                "Its entries are not those under its newest signed head.",
                str(folder),
                "Verify the database first: `warum ledger verify`.",
            )
        for note in notes:
            _put(draft / "checkpoints" / str(verify(note, key).size), note)
        _put(draft / "checkpoint", notes[-1])
    return Exported(head.size, given, unopened)


def _write(
    records: Iterable[Record],
    size: int,
    draft: Path,
    keys: Mapping[str, bytes | None] | None,
    gives: Callable[[Record], bool],
    progress: Callable[[int, int], None],
) -> tuple[int, int, Range]:
    tiles, edge, given, unopened = _Tiles(draft / "tile"), Range(), 0, 0
    for index, bundle in enumerate(_bundles(records, size)):
        name = file_name(index, len(bundle))
        leaves = b"".join(len(r.leaf).to_bytes(2, "big") + r.leaf for r in bundle)
        _put(draft / "tile" / "entries" / name, leaves)
        lines = [_payload(record, keys or {}, given=gives(record)) for record in bundle]
        there = [r for r, line in zip(bundle, lines, strict=True) if "ciphertext" in line]
        given += len(there)
        unopened += 0 if keys is None else sum(not _opens(one, keys) for one in there)
        _put(draft / "payload" / name, b"".join(canonical(line) + b"\n" for line in lines))
        hashes = [record.leaf_hash for record in bundle]
        edge = edge.extend(hashes)
        tiles.add(hashes)
        progress(edge.size, size)
    tiles.close()
    return given, unopened, edge


def _bundles(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    bundle: list[Record] = []
    for record in records:
        if record.seq >= size:
            break
        bundle.append(record)
        if len(bundle) == TILE:
            yield bundle
            bundle = []
    if bundle:
        yield bundle


def _opens(record: Record, keys: Mapping[str, bytes | None]) -> bool:
    """Whether the key its payload is said to be under opens it; some 40 µs."""
    key = None if record.envelope is None else keys.get(record.envelope.key_id)
    if record.envelope is None or key is None:
        return False
    try:
        open_payload(record.envelope, key, Leaf.from_bytes(record.leaf))
    except LedgerError:
        return False
    return True


def _payload(record: Record, keys: Mapping[str, bytes | None], *, given: bool) -> dict[str, Json]:
    """What goes beside a leaf. That a payload exists and is not given is said: it is not lost."""
    line: dict[str, Json] = {"seq": record.seq}
    sealed, opening = record.envelope, record.opening
    if sealed is not None and given:
        line |= {"nonce": _text(sealed.nonce), "ciphertext": _text(sealed.ciphertext)}
        key = keys.get(sealed.key_id)
        if key is not None:
            line["key"] = key.hex()
    elif sealed is not None:
        line["not_given"] = True
    if opening is not None:
        line |= {"salt": _text(opening.salt), "opened": _text(opening.payload)}
    return line


class _Tiles:
    """Hash tiles of every level, written as they fill; one tile a level is in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: list[list[bytes]] = []
        self._full: list[int] = []

    def add(self, hashes: Iterable[bytes], level: int = 0) -> None:
        if level == len(self._open):
            self._open.append([])
            self._full.append(0)
        for digest in hashes:
            self._open[level].append(digest)
            if len(self._open[level]) == TILE:
                self._put(level)
                above = _root(self._open[level])
                self._open[level] = []
                self._full[level] += 1
                self.add([above], level + 1)

    def close(self) -> None:
        for level, hashes in enumerate(self._open):
            if hashes:
                self._put(level)

    def _put(self, level: int) -> None:
        hashes = self._open[level]
        name = file_name(self._full[level], len(hashes))
        _put(self._folder / str(level) / name, b"".join(hashes))


def _root(hashes: Sequence[bytes]) -> bytes:
    """The root over a full tile: pairs, pairs of pairs, and so on."""
    while len(hashes) > 1:
        hashes = [node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
