"""The same values without a compiled kernel: numpy over leaves and comparison rows, slower.

Each leaf asks its players in the order of its path. Whom a row fails is one number per leaf, a bit
per player, and a comparison row counts where it fails nobody whom the case fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from explainer.errors import ArtefactRefused
from explainer.families.engine.forest import Bools, Codes, Floats, Ints, Trees

Masks = NDArray[np.uint64]

WORD = 64
MOST_CELLS = 2_000_000
"""Pairs of leaf and row looked at together, fewer where a path has more players than bits."""
MOST_AT_ONCE = 8_000_000
"""Tests on the paths to all leaves that are written down together, at about 25 bytes each."""
MOST_OF_ONE = 20_000_000
"""The same of a single tree; what is larger is refused."""
MOST_KEPT = 200_000_000
"""Bytes of the comparison rows' masks that are kept from one case to the next."""


@dataclass(frozen=True, slots=True)
class Leaves:
    """Some leaves with paths of the same length.

    Attributes
    ----------
    value : ndarray of shape (n_leaves,), in raw margin
    nodes, left : ndarrays of shape (n_leaves, length), tests on the path and which way it takes
    slot : ndarray of shape (n_leaves, length), bit of the test's player
    player : ndarray of shape (n_leaves, n_slots), or -1 where a path has fewer players
    """

    value: Floats
    nodes: Ints
    left: Bools
    slot: Ints
    player: Ints

    def part(self, of: slice) -> Leaves:
        return Leaves(self.value[of], self.nodes[of], self.left[of], self.slot[of], self.player[of])


class Portable:
    """Trees and the rows every case is compared with."""

    def __init__(
        self,
        trees: Trees,
        rows: Codes,
        weights: Floats | None,
        share: float,
        shapley: tuple[Floats, Floats],
    ) -> None:
        self._trees = trees
        self._rows = rows
        self._weights = np.full(len(rows), share) if weights is None else weights * share
        self._of_a, self._of_b = shapley
        self._shares = _shares(trees)

    table_bytes = 0

    def _parts(self) -> Iterator[Leaves]:
        """All leaves, always in the same order and the same parts."""
        if self._written is not None:
            yield from self._written
            return
        for roots in self._shares:
            yield from self._of(roots)

    @cached_property
    def _written(self) -> list[Leaves] | None:
        """The parts, where all paths fit the memory together."""
        return list(self._of(self._shares[0])) if len(self._shares) == 1 else None

    def _of(self, roots: Ints) -> Iterator[Leaves]:
        for whole in _paths(self._trees, roots):
            words = -(-whole.player.shape[1] // WORD)
            each = max(1, MOST_CELLS // (len(self._rows) * words))
            for first in range(0, len(whole.value), each):
                yield whole.part(slice(first, first + each))

    @cached_property
    def _kept(self) -> list[Masks] | None:
        if self._written is None:
            return None
        size = sum(len(part.value) * _itemsize(part) for part in self._written) * len(self._rows)
        if size > MOST_KEPT:
            return None
        return [self._failed(part, self._rows) for part in self._written]

    def _failed(self, part: Leaves, codes: Codes) -> Masks:
        """Players each row fails at each leaf; bits, of shape (n_rows, n_leaves, n_words)."""
        words = -(-part.player.shape[1] // WORD)
        kind = np.dtype(f"u{_itemsize(part) // words}")
        failed = np.zeros((len(codes), len(part.value), words), dtype=kind)
        for k in range(part.nodes.shape[1]):
            nodes = part.nodes[:, k]
            goes = self._trees.goes_left(nodes[None, :], codes[:, self._trees.column[nodes]])
            bit = (goes != part.left[:, k]).astype(kind) << (part.slot[:, k] % WORD).astype(kind)
            for word in range(words):
                mine = part.slot[:, k] // WORD == word
                failed[:, :, word] |= np.where(mine, bit, kind.type(0))
        return failed

    def values(self, codes: Codes) -> Floats:
        """ndarray of shape (n, n_players) for codes of shape (n, n_columns)."""
        n_players = self._trees.n_players
        values = np.zeros((len(codes), n_players))
        for at, part in enumerate(self._parts()):
            rows = self._failed(part, self._rows) if self._kept is None else self._kept[at]
            for k in range(len(codes)):
                case = self._failed(part, codes[k : k + 1])
                for player, moved, _ in self._moved(part, case, rows):
                    values[k] += np.bincount(player, moved, minlength=n_players)
        return values

    def row_values(self, codes: Codes) -> Floats:
        """ndarray of shape (n_rows, n_players) for one case, codes of shape (1, n_columns)."""
        n_rows, n_players = len(self._rows), self._trees.n_players
        values = np.zeros(n_rows * n_players)
        for at, part in enumerate(self._parts()):
            rows = self._failed(part, self._rows) if self._kept is None else self._kept[at]
            case = self._failed(part, codes)
            for player, moved, row in self._moved(part, case, rows):
                values += np.bincount(row * n_players + player, moved, minlength=len(values))
        return values.reshape(n_rows, n_players)

    def _moved(self, part: Leaves, case: Masks, rows: Masks) -> Iterator[tuple[Ints, Floats, Ints]]:
        """Player, contribution and row of every pair that counts; slot by slot."""
        row, leaf = np.nonzero(((rows & case) == 0).all(axis=2))
        of_row, of_case = rows[row, leaf], case[0, leaf]
        a = np.bitwise_count(of_row).sum(axis=1, dtype=np.intp)
        b = np.bitwise_count(of_case).sum(axis=1, dtype=np.intp)
        worth = part.value[leaf] * self._weights[row]
        gain, loss = worth * self._of_a[b, a], worth * self._of_b[b, a]
        for slot in range(part.player.shape[1]):
            word, bit = slot // WORD, of_row.dtype.type(slot % WORD)
            in_a = (of_row[:, word] >> bit & of_row.dtype.type(1)).astype(np.bool_)
            in_b = (of_case[:, word] >> bit & of_row.dtype.type(1)).astype(np.bool_)
            any_of = in_a | in_b
            change = np.where(in_a, gain, loss)[any_of]
            yield part.player[leaf[any_of], slot], change, row[any_of]


def _itemsize(part: Leaves) -> int:
    """Bytes of one mask: the smallest type that holds a bit per slot, or whole words."""
    slots = part.player.shape[1]
    return next((size for size in (1, 2, 4) if slots <= 8 * size), 8 * -(-slots // WORD))


def _shares(trees: Trees) -> list[Ints]:
    """Roots of the trees whose paths are written down together. Raises ArtefactRefused."""
    tests = np.zeros(len(trees.roots))
    nodes, tree = trees.roots, np.arange(len(trees.roots))
    for length in range(1, trees.depth + 1):
        inner = trees.left[nodes] >= 0
        nodes, tree = nodes[inner], np.tile(tree[inner], 2)
        nodes = np.concatenate([trees.left[nodes], trees.right[nodes]])
        tests += length * np.bincount(tree[trees.left[nodes] < 0], minlength=len(tests))
    if tests.max() > MOST_OF_ONE:
        raise ArtefactRefused(
            f"A tree of the model has {tests.max():,.0f} tests on the paths to its leaves; without "
            f"the compiled kernel at most {MOST_OF_ONE:,} can be explained.",
            "model",
            "Install Warum where a C++ compiler is at hand, or train shallower trees.",
        )
    shares, first, held = [], 0, 0.0
    for k, more in enumerate(tests):
        if k > first and held + more > MOST_AT_ONCE:
            shares.append(trees.roots[first:k])
            first, held = k, 0.0
        held += more
    return [*shares, trees.roots[first:]]


def _paths(trees: Trees, roots: Ints) -> Iterator[Leaves]:
    """The leaves of some trees by length of their path, level by level from the roots."""
    player_of = np.array([column.player for column in trees.columns], dtype=np.int64)
    nodes = roots
    path = np.empty((len(nodes), 0), dtype=np.int64)
    left = np.empty((len(nodes), 0), dtype=np.bool_)
    for _ in range(trees.depth + 1):
        leaf = trees.left[nodes] < 0
        if leaf.any() and path.shape[1]:
            # a tree of one leaf moves nobody
            players = player_of[trees.column[path[leaf]]]
            slot, player = _slots(players)
            yield Leaves(trees.value[nodes[leaf]], path[leaf], left[leaf], slot, player)
        inner = ~leaf
        nodes, path, left = nodes[inner], path[inner], left[inner]
        extended = np.concatenate([path, nodes[:, None]], axis=1)
        ways = np.ones((len(nodes), 1), dtype=np.bool_)
        path = np.concatenate([extended, extended])
        left = np.concatenate(
            [np.concatenate([left, ways], axis=1), np.concatenate([left, ~ways], axis=1)]
        )
        nodes = np.concatenate([trees.left[nodes], trees.right[nodes]])


def _slots(players: Ints) -> tuple[Ints, Ints]:
    """Bit of each test's player, and the player of each bit; a player has one bit on a path."""
    order = np.argsort(players, axis=1, kind="stable")
    ranked = np.take_along_axis(players, order, axis=1)
    new = np.ones(ranked.shape, dtype=np.bool_)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    rank = np.cumsum(new, axis=1) - 1
    slot = np.empty_like(rank)
    np.put_along_axis(slot, order, rank, axis=1)
    owner = np.full((len(players), int(rank.max(initial=0)) + 1), -1, dtype=np.int64)
    np.put_along_axis(owner, rank, ranked, axis=1)
    return slot, owner
