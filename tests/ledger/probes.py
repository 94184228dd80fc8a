"""The published probes of proofs, made again from what they are said to be.

transparency-dev/merkle publishes 98 inclusion and 98 consistency proofs, good ones and ones with
one thing wrong, each in a file of its own. They are not kept here: they are made from the eight
leaves all implementations of RFC 6962 are tried with, and `digest` says whether all came out.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from test_ledger_tree import PUBLISHED

from explainer.ledger import tree

# SHA-256 of the published files: one line each, in order of their paths below testdata; the path, a
# space, and the file as JSON with sorted keys and no blanks
INCLUSION_DIGEST = "7e49a4cdbccbffea34e0d9faf1003191432706b4043d44a204a0126545ae7a9c"
CONSISTENCY_DIGEST = "196034b2269d40ba7d3d9e26f01fca1771b33a921b322c081378e40f03993ed5"

LEAVES = [tree.leaf_hash(data) for data in PUBLISHED]
SUBTREE = tree.subtrees(LEAVES)
SOME = bytes.fromhex("abacaba000000000000000000000000000000000000000000060061e00123456")
_64_BITS = 2**64

Proof = list[bytes]


@dataclass(frozen=True)
class Inclusion:
    """One probe: what is claimed, and whether it holds."""

    folder: str
    told: str
    index: int
    size: int
    root: bytes
    leaf: bytes
    proof: Proof
    holds: bool = False
    data: bytes | None = None
    """The entry whose hash `leaf` is, if it is of any."""

    def published(self) -> dict[str, object]:
        said = {"leafIdx": self.index, "treeSize": self.size}
        hashes = {"root": _text(self.root), "leafHash": _text(self.leaf)}
        return {**said, **hashes, **_common(self)}


@dataclass(frozen=True)
class Consistency:
    """One probe: an older and a newer head, and whether one continues the other."""

    folder: str
    told: str
    old: int
    size: int
    old_root: bytes
    root: bytes
    proof: Proof
    holds: bool = False

    def published(self) -> dict[str, object]:
        said = {"size1": self.old, "size2": self.size}
        hashes = {"root1": _text(self.old_root), "root2": _text(self.root)}
        return {**said, **hashes, **_common(self)}


def inclusion() -> Iterator[Inclusion]:
    """Five proofs, each whole and damaged in every way; then trees of no and of one entry."""
    for number, (index, size) in enumerate(((0, 1), (0, 8), (5, 8), (2, 3), (1, 5))):
        proof = tree.inclusion_proof(index, size, SUBTREE)
        good = Inclusion(
            f"inclusion/{number}",
            "happy path",
            index,
            size,
            tree.root(LEAVES[:size]),
            LEAVES[index],
            proof,
            holds=True,
            data=PUBLISHED[index],
        )
        yield good
        yield from _damaged_inclusion(replace(good, holds=False))
    for number, (index, size) in enumerate(((0, 0), (0, 1), (1, 0), (2, 1))):
        bare = Inclusion(
            f"inclusion/additional/{number}", "random leaf", index, size, b"", SOME, []
        )
        yield bare
        yield replace(bare, told="empty root", root=tree.EMPTY_ROOT, leaf=b"")
        yield replace(bare, told="empty root and random leaf", root=tree.EMPTY_ROOT)
    leaf = tree.leaf_hash(b"data")
    alone = Inclusion("inclusion/single-entry", "", 0, 1, leaf, leaf, [], data=b"data")
    yield replace(alone, told="matching root and leaf", holds=True)
    yield replace(alone, told="empty leaf", leaf=b"", data=None)
    yield replace(alone, told="empty root", root=b"")
    yield replace(alone, told="empty root and leaf", root=b"", leaf=b"", data=None)


def _damaged_inclusion(good: Inclusion) -> Iterator[Inclusion]:
    index, size, proof = good.index, good.size, good.proof
    for told, at in (("sub @1", index - 1), ("plus @1", index + 1), ("XOR @2", index ^ 2)):
        yield replace(good, told=f"leafIdx {told}", index=at % _64_BITS)
    yield replace(good, told="treeSize mul @2", size=size * 2)
    yield replace(good, told="treeSize div @2", size=size // 2)
    yield replace(good, told="wrong leaf", leaf=b"WrongLeaf", data=None)
    yield replace(good, told="empty root", root=tree.EMPTY_ROOT)
    yield replace(good, told="random root", root=SOME)
    for told, proof_ in _longer(proof, {"garbage": b"", "root": good.root}):
        yield replace(good, told=told, proof=proof_)
    for at, proof_ in enumerate(_flipped(proof, 0x08)):
        yield replace(good, told=f"modified proof[{at}] bit @3", proof=proof_)
    if proof:
        yield replace(good, told="removed component", proof=proof[:-1])
    if len(proof) > 1:
        yield replace(good, told="inserted component", proof=[proof[0], SOME, *proof[1:]])


def consistency() -> Iterator[Consistency]:
    """Five proofs, four of them damaged in every way; then sizes 0 and 1, and roots of nothing."""
    for number, (old, size) in enumerate(((1, 1), (1, 8), (6, 8), (2, 5), (6, 7))):
        good = Consistency(
            f"consistency/{number}",
            "happy path",
            old,
            size,
            tree.root(LEAVES[:old]),
            tree.root(LEAVES[:size]),
            tree.consistency_proof(old, size, SUBTREE),
            holds=True,
        )
        yield good
        if good.proof:
            yield from _damaged_consistency(replace(good, holds=False))
    one, other, none = b"don't care 1", b"don't care 2", tree.EMPTY_ROOT
    for told, old, size, old_root, root, proof in (
        ("sizes are equal (zero) but roots are not", 0, 0, one, other, []),
        ("sizes are equal (one) but roots are not", 1, 1, one, other, []),
        ("sizes are equal (zero) and proof is empty", 0, 0, one, one, []),
        ("size1 is zero and does not equal size2", 0, 1, one, other, []),
        ("sizes are equal (one) and proof is empty", 1, 1, other, other, []),
        ("size1 is greater than size2", 1, 0, one, other, []),
        ("size1 is greater than size2 again", 2, 1, one, other, []),
        ("sizes do not watch and proof is empty", 1, 2, one, other, []),
        ("roots do not match and sizes are zero", 0, 0, none, other, []),
        ("roots do not not match and sizes are one", 1, 1, none, other, []),
        ("sizes match but proof is not empty and sizes are zero", 0, 0, none, none, [none]),
        ("sizes match but proof is not empty and sizes are one", 1, 1, none, none, [none]),
        ("size1 is zero and size2 is not zero", 0, 1, none, other, []),
        ("consistency check on empty tree (size1 is zero) is useless", 0, 1, none, none, [none]),
    ):
        holds = (old, size, old_root, proof) == (1, 1, root, [])
        yield Consistency("consistency/additional", told, old, size, old_root, root, proof, holds)


def _damaged_consistency(good: Consistency) -> Iterator[Consistency]:
    old, size, proof = good.old, good.size, good.proof
    for told, at in (("sub @1", old - 1), ("plus @1", old + 1), ("XOR @2", old ^ 2)):
        yield replace(good, told=f"size1 {told}", old=at)
    yield replace(good, told="size2 mul @2", size=size * 2)
    yield replace(good, told="size2 div @2", size=size // 2)
    yield replace(good, told="wrong root1", old_root=b"WrongRoot")
    yield replace(good, told="wrong root2", root=b"WrongRoot")
    yield replace(good, told="swapped roots", old_root=good.root, root=good.old_root)
    yield replace(good, told="empty proof", proof=[])
    more = {"garbage": b"", "root1": good.old_root, "root2": good.root}
    for told, proof_ in _longer(proof, more):
        yield replace(good, told=told, proof=proof_)
    yield replace(good, told="preceding proof @0", proof=[proof[0], *proof])
    yield replace(good, told="truncated proof", proof=proof[:-1])
    for at, proof_ in enumerate(_flipped(proof, 0x10)):
        yield replace(good, told=f"modified proof@{at} bit @4", proof=proof_)


def _longer(proof: Proof, more: dict[str, bytes]) -> Iterator[tuple[str, Proof]]:
    for told, node in more.items():
        yield f"trailing {told}", [*proof, node]
        yield f"preceding {told}", [node, *proof]


def _flipped(proof: Proof, mask: int) -> Iterator[Proof]:
    for at, node in enumerate(proof):
        yield [*proof[:at], bytes([node[0] ^ mask]) + node[1:], *proof[at + 1 :]]


def digest(probes: Iterable[Inclusion | Consistency]) -> str:
    """SHA-256 of the probes in the form that the published ones were brought into."""
    lines = {}
    for probe in probes:
        file = probe.told.replace("(", "").replace(")", "").replace(" ", "-")
        written = json.dumps(probe.published(), sort_keys=True, separators=(",", ":"))
        lines[f"{probe.folder}/{file}.json"] = written
    whole = "".join(f"{path} {lines[path]}\n" for path in sorted(lines))
    return hashlib.sha256(whole.encode()).hexdigest()


def _common(probe: Inclusion | Consistency) -> dict[str, object]:
    # a proof that was never made is null in the published files, one made empty is a list
    unmade = not probe.proof and probe.folder.endswith("/0") and "additional" not in probe.folder
    proof = None if unmade else _texts(probe.proof)
    return {"proof": proof, "desc": probe.told, "wantErr": not probe.holds}


def _texts(hashes: Sequence[bytes]) -> list[str]:
    return [_text(digest) for digest in hashes]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
