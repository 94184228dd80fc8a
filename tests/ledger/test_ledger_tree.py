"""The tree of RFC 6962 against its published values, a slow reference and another library."""

from __future__ import annotations

import functools
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree
from pymerkle import verify_consistency as other_consistency
from pymerkle import verify_inclusion as other_inclusion

from explainer.errors import ProofInvalid
from explainer.ledger import tree, verify

PUBLISHED = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
DATA = [number.to_bytes(2, "big") for number in range(64)]
LEAVES = [tree.leaf_hash(data) for data in DATA]
SUBTREE = tree.subtrees(LEAVES)


def slow_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962, 2.1 writes it."""
    if not leaves:
        return tree.EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return tree.node_hash(slow_root(leaves[:middle]), slow_root(leaves[middle:]))


@pytest.mark.parametrize(
    ("data", "root"),
    [
        ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ([b""], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (PUBLISHED, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_roots_are_the_published_ones(data: list[bytes], root: str) -> None:
    assert tree.root(map(tree.leaf_hash, data)).hex() == root
    independent = verify.Tree()
    for leaf in data:
        independent.add(leaf)
    assert independent.root().hex() == root


def test_the_right_edge_gives_the_root_of_the_slow_reference() -> None:
    edge = tree.Range()
    for size in range(len(LEAVES) + 1):
        assert edge.root() == slow_root(LEAVES[:size])
        assert tree.Range.from_bytes(size, edge.to_bytes()) == edge
        if size < len(LEAVES):
            edge = edge.append(LEAVES[size])


LARGEST = 256
PAIRS = LARGEST * (LARGEST + 1) // 2


class Slow:
    """Proofs as RFC 6962, 2.1.1 and 2.1.2 write them down, over a log of LARGEST entries."""

    def __init__(self) -> None:
        self.data = [number.to_bytes(2, "big") for number in range(LARGEST)]
        self.leaves = [tree.leaf_hash(data) for data in self.data]
        self.other = InmemoryTree(algorithm="sha256")
        for data in self.data:
            self.other.append_entry(data)

    @functools.cache  # noqa: B019 - one for all tests
    def root(self, begin: int, end: int) -> bytes:
        return slow_root(self.leaves[begin:end])

    def path(self, index: int, begin: int, end: int) -> list[bytes]:
        if end - begin == 1:
            return []
        k = self.split(end - begin)
        if index < k:
            return [*self.path(index, begin, begin + k), self.root(begin + k, end)]
        return [*self.path(index - k, begin + k, end), self.root(begin, begin + k)]

    def subproof(self, old: int, begin: int, end: int, whole: bool) -> list[bytes]:
        if old == end - begin:
            return [] if whole else [self.root(begin, end)]
        k = self.split(end - begin)
        if old <= k:
            return [*self.subproof(old, begin, begin + k, whole), self.root(begin + k, end)]
        return [*self.subproof(old - k, begin + k, end, False), self.root(begin, begin + k)]

    @staticmethod
    def split(size: int) -> int:
        return max(power for power in (1 << bit for bit in range(9)) if power < size)


@pytest.fixture(scope="module")
def slow() -> Slow:
    return Slow()


def test_every_inclusion_proof_to_256_holds_here_and_elsewhere(slow: Slow) -> None:
    held = 0
    for size in range(1, LARGEST + 1):
        root = slow.root(0, size)
        assert slow.other.get_root(size) == root
        for index in range(size):
            proof = tree.inclusion_proof(index, size, slow.root)
            assert proof == slow.path(index, 0, size)
            leaf = slow.leaves[index]
            tree.verify_inclusion(index, size, leaf, proof, root)
            # the verifier that is handed out has code of its own
            assert verify._root_above(index, size, slow.data[index], proof) == root
            theirs = slow.other.prove_inclusion(index + 1, size)
            assert theirs.path[1:] == proof
            other_inclusion(leaf, root, theirs)
            held += 1
    assert held == PAIRS == 32_896


def test_every_consistency_proof_to_256_holds_here_and_elsewhere(slow: Slow) -> None:
    held = 0
    for size in range(1, LARGEST + 1):
        for old in range(1, size + 1):
            before, after = slow.root(0, old), slow.root(0, size)
            proof = tree.consistency_proof(old, size, slow.root)
            assert proof == slow.subproof(old, 0, size, True)
            tree.verify_consistency(old, before, size, after, proof)
            other_consistency(before, after, slow.other.prove_consistency(old, size))
            held += 1
    assert held == PAIRS


def test_a_proof_from_the_right_edge_is_that_from_all_leaves(slow: Slow) -> None:
    """Who appends remembers the right edge only; proofs come out the same."""
    edge = tree.Range()
    for old in range(1, LARGEST):
        edge = edge.append(slow.leaves[old - 1])
        for size in {old, old + 1, (old + LARGEST) // 2, LARGEST}:
            subtree = tree.subtrees(slow.leaves[old:size], edge)
            expected = slow.subproof(old, 0, size, True)
            assert tree.consistency_proof(old, size, subtree) == expected


def test_a_proof_does_not_bind_the_size_of_its_tree() -> None:
    """Why sizes come from signed checkpoints only: some wrong pairs verify all the same."""
    wrong = accepted = 0
    for size in range(1, 13):
        root = slow_root(LEAVES[:size])
        for index in range(size):
            proof = tree.inclusion_proof(index, size, SUBTREE)
            for claimed in range(index + 1, 13):
                if claimed != size:
                    wrong += 1
                    accepted += _holds(index, claimed, LEAVES[index], proof, root)
    assert 0 < accepted < wrong


def test_no_probe_with_a_wrong_index_leaf_root_or_proof_is_accepted() -> None:
    chance = random.Random(6962)
    for size in range(1, 33):
        root = slow_root(LEAVES[:size])
        for index in range(size):
            leaf, proof = LEAVES[index], tree.inclusion_proof(index, size, SUBTREE)
            probes = [
                (index, leaf, proof, b"\x00" * 32),
                (index, leaf, proof, leaf if size > 1 else b"\x00" * 32),
                (index, b"\x00" * 32, proof, root),
                (index, leaf, [*proof, root], root),
                (index, leaf, [*proof, b""], root),
                (index, leaf, [leaf, *proof], root),
                (-1, leaf, proof, root),
                (size, leaf, proof, root),
                (index ^ 1, leaf, proof, root) if size > 1 else (1, leaf, proof, root),
            ]
            if proof:
                probes.append((index, leaf, [], root))
                probes.append((index, leaf, proof[:-1], root))
                flipped = bytearray(chance.choice(proof))
                flipped[chance.randrange(32)] ^= 1 << chance.randrange(8)
                at = chance.randrange(len(proof))
                probes.append((index, leaf, [*proof[:at], bytes(flipped), *proof[at + 1 :]], root))
            for position, leaf_, proof_, root_ in probes:
                assert not _holds(position, size, leaf_, proof_, root_)


def test_no_probe_of_a_wrong_history_is_accepted() -> None:
    chance = random.Random(9162)
    roots = [slow_root(LEAVES[:size]) for size in range(34)]
    for size in range(1, 33):
        for old in range(1, size + 1):
            proof = tree.consistency_proof(old, size, SUBTREE)
            good = (old, roots[old], size, roots[size], proof)
            probes = [
                (0, tree.EMPTY_ROOT, size, roots[size], proof),
                (old, b"\x00" * 32, size, roots[size], proof),
                (old, roots[old], size, b"\x00" * 32, proof),
                (old, roots[old], size, roots[size], [*proof, roots[old]]),
                (old, roots[old], size, roots[size], [roots[old], *proof]),
                (size + 1, roots[old], size, roots[size], proof),
            ]
            if old < size:
                probes.append((old, roots[size], size, roots[old], proof))
                probes.append((old, roots[old], size, roots[size], []))
                probes.append((old, roots[old], size, roots[size], proof[:-1]))
                probes.append((old, roots[old], old, roots[size], []))
                at = chance.randrange(len(proof))
                changed = bytes(32 - len(proof)) + proof[at][: len(proof)]
                probes.append(
                    (old, roots[old], size, roots[size], [*proof[:at], changed, *proof[at + 1 :]])
                )
            tree.verify_consistency(*good)
            for probe in probes:
                with pytest.raises(ProofInvalid):
                    tree.verify_consistency(*probe)


def test_a_proof_too_short_for_its_tree_is_refused_though_every_hash_in_it_fits() -> None:
    """Faults found in other verifiers: an empty proof accepted because leaf equals root."""
    one, other = LEAVES[0], LEAVES[1]
    pair = tree.node_hash(one, other)
    for size in (2, 3, 4, 64):
        assert not _holds(0, size, one, [], one)
    for size in (3, 4, 64):
        assert not _holds(0, size, one, [other], pair)
        with pytest.raises(ProofInvalid, match="too short"):
            tree.verify_consistency(1, one, size, pair, [other])


def test_a_proof_too_long_for_its_tree_is_refused_though_every_hash_in_it_fits() -> None:
    """Who goes on hashing above the root reaches another one, that of a larger tree."""
    one, other, more = LEAVES[0], LEAVES[1], LEAVES[2]
    pair = tree.node_hash(one, other)
    assert not _holds(0, 1, other, [one], pair)
    assert not _holds(1, 2, other, [one, more], tree.node_hash(more, pair))
    quad = tree.node_hash(pair, tree.node_hash(more, LEAVES[3]))
    three = tree.node_hash(pair, more)
    proof = [more, LEAVES[3], pair]
    tree.verify_consistency(3, three, 4, quad, proof)
    above = [tree.node_hash(one, root) for root in (three, quad)]
    with pytest.raises(ProofInvalid, match="too long"):
        tree.verify_consistency(3, above[0], 4, above[1], [*proof, one])


def test_a_proof_of_another_shape_is_refused_before_it_is_hashed() -> None:
    longest, root = [bytes(32)] * 63, LEAVES[0]
    with pytest.raises(ProofInvalid, match="not under this root"):
        tree.verify_inclusion(0, 2**63, LEAVES[1], longest, root)
    for proof in ([*longest, bytes(32)], [bytes(31)], [bytes(33)]):
        with pytest.raises(ProofInvalid, match="short list"):
            tree.verify_inclusion(0, 2, LEAVES[1], proof, root)
        with pytest.raises(ProofInvalid, match="short list"):
            tree.verify_consistency(1, LEAVES[1], 2, root, proof)


def test_one_leaf_is_not_proven_at_two_places() -> None:
    for size in range(2, 33):
        root = slow_root(LEAVES[:size])
        for index in range(size):
            proof = tree.inclusion_proof(index, size, SUBTREE)
            places = [at for at in range(size) if _holds(at, size, LEAVES[index], proof, root)]
            assert places == [index]


def test_consistency_with_an_empty_tree_is_refused_even_with_itself() -> None:
    for size in (0, 1):
        with pytest.raises(ProofInvalid):
            tree.verify_consistency(0, tree.EMPTY_ROOT, size, tree.EMPTY_ROOT, [])
        with pytest.raises(ProofInvalid):
            tree.consistency_proof(0, size, SUBTREE)


def test_a_proof_longer_than_any_tree_is_refused_before_it_is_worked_through() -> None:
    with pytest.raises(ProofInvalid):
        tree.verify_inclusion(0, 2**63, LEAVES[0], [LEAVES[0]] * 64, LEAVES[0])


@pytest.mark.parametrize(("size", "data"), [(1, b""), (2, b"x" * 31), (-1, b""), (3, b"x" * 32)])
def test_a_right_edge_that_does_not_fit_is_refused(size: int, data: bytes) -> None:
    with pytest.raises(ProofInvalid):
        tree.Range.from_bytes(size, data)


def test_a_proof_that_needs_leaves_not_at_hand_is_refused() -> None:
    edge = tree.Range().extend(LEAVES[:5])
    with pytest.raises(ProofInvalid):
        tree.inclusion_proof(0, 8, tree.subtrees(LEAVES[5:8], edge))
    with pytest.raises(ProofInvalid):
        tree.inclusion_proof(3, 3, SUBTREE)


@given(st.lists(st.binary(max_size=8), max_size=40), st.data())
def test_any_log_proves_any_entry_and_any_older_head(
    data: list[bytes], draw: st.DataObject
) -> None:
    leaves = [tree.leaf_hash(item) for item in data]
    assert tree.root(leaves) == slow_root(leaves)
    for old, size in pairwise(sorted({0, *draw.draw(_sizes(len(leaves)))})):
        proof = tree.consistency_proof(old, size, tree.subtrees(leaves)) if old else []
        if old:
            tree.verify_consistency(
                old, tree.root(leaves[:old]), size, tree.root(leaves[:size]), proof
            )


_numbers = st.integers(-3, 300) | st.integers(2**62, 2**64)
_proofs = st.lists(st.sampled_from(LEAVES) | st.binary(max_size=40), max_size=70)


@given(_numbers, _numbers, _proofs)
def test_whatever_is_handed_in_as_a_proof_ends_in_our_error(
    one: int, other: int, proof: list[bytes]
) -> None:
    with pytest.raises(ProofInvalid):
        tree.verify_inclusion(one, other, LEAVES[0], [*proof, bytes(32)], bytes(32))
    with pytest.raises(ProofInvalid):
        tree.verify_consistency(one, LEAVES[0], other, LEAVES[1], proof)
    for ask in (tree.inclusion_proof, tree.consistency_proof):
        try:
            ask(one, min(other, 300), SUBTREE)
        except ProofInvalid:
            continue
        assert 0 <= one <= other


def _sizes(limit: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, limit), max_size=4)


def _holds(index: int, size: int, leaf: bytes, proof: list[bytes], root: bytes) -> bool:
    try:
        tree.verify_inclusion(index, size, leaf, proof, root)
    except ProofInvalid:
        return False
    return True
