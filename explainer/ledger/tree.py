"""The Merkle tree of RFC 6962, section 2: leaves, roots, proofs. Read it beside the RFC.

Sizes come from a signed checkpoint and from nowhere else: an inclusion proof does not bind the
size of its tree (166 of 864 wrong pairs of index and size still verified in a trial).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from explainer.errors import ProofInvalid

EMPTY_ROOT = hashlib.sha256(b"").digest()
LONGEST_PROOF = 63  # a tree of 2^63 leaves

Subtree = Callable[[int, int], bytes]  # (begin, end) -> root over the leaves [begin, end)


def leaf_hash(data: bytes) -> bytes:
    """Return MTH({d}): the prefix keeps a leaf from passing for a node."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node over its two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Range:
    """The right edge of a tree: the roots of its perfect subtrees, largest first.

    There is one per set bit of `size`; it is all that appending needs to know of the past.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            _refuse("The right edge does not fit the size of the tree.", "the head")
        if any(len(digest) != 32 for digest in self.hashes):
            _refuse("A hash is not 32 bytes long.", "the head")

    def append(self, leaf: bytes) -> Range:
        """Return the right edge after one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> Range:
        """Return the right edge after all of `leaves`."""
        hashes, size = list(self.hashes), self.size
        for digest in leaves:
            carry = size
            while carry & 1:
                digest = node_hash(hashes.pop(), digest)
                carry >>= 1
            hashes.append(digest)
            size += 1
        return Range(size, tuple(hashes))

    def root(self) -> bytes:
        """Return the root: the smaller subtrees are folded into the larger ones."""
        if not self.hashes:
            return EMPTY_ROOT
        *rest, digest = self.hashes
        for left in reversed(rest):
            digest = node_hash(left, digest)
        return digest

    def to_bytes(self) -> bytes:
        """Return the hashes one after the other; the size is kept beside them."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Range:
        """Read what `to_bytes` wrote for a tree of `size` leaves."""
        return cls(size, tuple(data[at : at + 32] for at in range(0, len(data), 32)))


def root(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    return Range().extend(leaves).root()


def subtrees(leaves: Sequence[bytes], known: Range | None = None) -> Subtree:
    """Return how to hash any subtree a proof needs.

    `leaves` are the leaf hashes that follow `known`. A consistency proof from the size of
    `known` needs no older leaf: everything to its left is on that right edge.
    """
    known = known or Range()
    on_edge: dict[tuple[int, int], bytes] = {}
    begin = 0
    for digest in known.hashes:
        width = 1 << ((known.size - begin).bit_length() - 1)
        on_edge[begin, begin + width] = digest
        begin += width

    def subtree(begin: int, end: int) -> bytes:
        if (begin, end) in on_edge:
            return on_edge[begin, end]
        if not known.size <= begin < end <= known.size + len(leaves):
            _refuse("A leaf this proof needs is not at hand.", "the tree")
        return root(leaves[begin - known.size : end - known.size])

    return subtree


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return PATH(index, D[size]) of RFC 6962, 2.1.1: siblings, that of the leaf first."""
    if not 0 <= index < size:
        _refuse("There is no such entry in a tree of this size.", "an inclusion proof")

    def path(begin: int, end: int) -> list[bytes]:
        if end - begin == 1:
            return []
        middle = begin + _split(end - begin)
        if index < middle:
            return [*path(begin, middle), subtree(middle, end)]
        return [*path(middle, end), subtree(begin, middle)]

    return path(0, size)


def consistency_proof(old: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return PROOF(old, D[size]) of RFC 6962, 2.1.2."""
    if not 0 < old <= size:
        _refuse("There is no proof from an empty tree or to a smaller one.", "a consistency proof")

    def path(begin: int, end: int, whole: bool) -> list[bytes]:
        if end == old:
            return [] if whole else [subtree(begin, end)]
        middle = begin + _split(end - begin)
        if old <= middle:
            return [*path(begin, middle, whole), subtree(middle, end)]
        return [*path(middle, end, False), subtree(begin, middle)]

    return path(0, size, True)


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Raise unless `leaf` is at `index` under `root` (RFC 9162, 2.1.3.2).

    `size` has to come from the checkpoint that signs `root`.
    """
    where = "an inclusion proof"
    _check_shape(proof, where)
    if len(leaf) != 32:  # nothing at all would be under a root of nothing
        _refuse("The entry's hash is not 32 bytes long.", where)
    if not 0 <= index < size:
        _refuse("There is no such entry in a tree of this size.", where)
    fn, sn, digest = index, size - 1, leaf
    for sibling in proof:
        if sn == 0:
            _refuse("The proof is too long.", where)
        if fn & 1 or fn == sn:
            digest = node_hash(sibling, digest)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            digest = node_hash(digest, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        _refuse("The proof is too short.", where)
    if digest != root:
        _refuse("The entry is not under this root.", where)


def verify_consistency(
    old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """Raise unless the tree of `size` begins with the tree of `old` (RFC 9162, 2.1.4.2).

    A proof from size 0 says nothing and is refused, also from 0 to 0 with an empty proof, which
    a direct reading of the RFC accepts.
    """
    where = "a consistency proof"
    _check_shape(proof, where)
    if not 0 < old <= size:
        _refuse("There is no proof from an empty tree or to a smaller one.", where)
    if old == size:
        if proof or old_root != root:
            _refuse("Two trees of one size have different roots.", where)
        return
    if not proof:
        _refuse("The proof is empty.", where)
    path = list(proof)
    if old & (old - 1) == 0:  # the old tree is perfect and is itself the first node
        path.insert(0, old_root)
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for node in path[1:]:
        if sn == 0:
            _refuse("The proof is too long.", where)
        if fn & 1 or fn == sn:
            fr, sr = node_hash(node, fr), node_hash(node, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, node)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        _refuse("The proof is too short.", where)
    if fr != old_root or sr != root:
        _refuse("The newer tree does not continue the older one.", where)


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_shape(proof: Sequence[bytes], where: str) -> None:
    if len(proof) > LONGEST_PROOF or any(len(digest) != 32 for digest in proof):
        _refuse("The proof is not a short list of 32-byte hashes.", where)


def _refuse(what: str, where: str) -> NoReturn:
    raise ProofInvalid(what=what, where=where, mend="Ask for the proof and checkpoint again.")
