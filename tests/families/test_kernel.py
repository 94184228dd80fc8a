"""The compiled kernel: where it comes from, what happens without one, and that its tests bite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from explainer.families.engine import build_kernel, exact
from explainer.families.engine.build_kernel import build_into, built_name
from explainer.families.engine.exact import Exact
from explainer.families.engine.forest import Column, Trees
from explainer.families.engine.kernel import Kernel, kernel, load
from explainer.families.engine.reference import brute_force

FAMILIES = Path(exact.__file__).parents[1]
COMPILER = next(filter(None, map(shutil.which, build_kernel.COMPILERS)), None)


@pytest.fixture(autouse=True)
def compiler() -> str:
    """What is compiled here is tested here, or the test fails: nothing is passed over."""
    assert COMPILER is not None, "`make test` brings a compiler"
    return COMPILER


def full_trees(n_trees: int = 6, depth: int = 4, columns: int = 6, players: int = 4) -> Trees:
    """Full trees from a fixed seed."""
    random = np.random.default_rng(11)
    size = 2 ** (depth + 1) - 1
    inner = 2**depth - 1
    at = np.arange(size)
    left = np.where(at < inner, 2 * at + 1, -1)
    right = np.where(at < inner, 2 * at + 2, -1)
    shift = np.repeat(np.arange(n_trees) * size, size)
    return Trees(
        tuple(Column(k, k % players) for k in range(columns)),
        players,
        np.arange(n_trees) * size,
        np.where(np.tile(left, n_trees) < 0, -1, np.tile(left, n_trees) + shift),
        np.where(np.tile(right, n_trees) < 0, -1, np.tile(right, n_trees) + shift),
        random.integers(0, columns, n_trees * size),
        random.normal(size=n_trees * size),
        random.normal(size=n_trees * size),
        random.integers(0, 2, n_trees * size).astype(bool),
    )


TREES = full_trees()
ROWS = np.random.default_rng(1).normal(size=(150, 6))
CASES = np.random.default_rng(2).normal(size=(5, 6))
SINGLE = np.arange(0, 150, 15)
WAYS = ({}, {"most_bits": 0}, {"most_bits": 0, "most_counted": 0.0})
"""By tables, counts and walk."""
DEEP = full_trees(3, 9, 20, 16)
MANY_ROWS = np.random.default_rng(3).normal(size=(900, 20))
FEW_CASES = np.random.default_rng(4).normal(size=(4, 20))


def witness(case: np.ndarray, against: np.ndarray = ROWS) -> np.ndarray:
    """By enumerating all coalitions of the four players."""
    mine = [[c for c in range(6) if c % 4 == p] for p in range(4)]

    def margins(rows):
        made = np.empty((len(rows), 6))
        for k, row in enumerate(rows):
            for p, values in enumerate(row):
                made[k, mine[p]] = values
        return TREES.sums(made)

    def by_player(row):
        return [tuple(row[c] for c in mine[p]) for p in range(4)]

    return brute_force(margins, by_player(case), [by_player(row) for row in against])


SCRIPT = """
import sys
sys.path.insert(0, {here!r})
import test_kernel as t
from explainer.families.engine.exact import Exact
for way in t.WAYS:
    engine = Exact(t.TREES, t.ROWS, **way)
    print(engine.way, engine.values(t.CASES).tobytes().hex())
    print(engine.row_values(t.CASES[0], t.np.arange(20)).tobytes().hex())
    if engine.way == "kernel" and way:
        print(Exact(t.DEEP, t.MANY_ROWS, **way).values(t.FEW_CASES).tobytes().hex())
"""


def in_a_new_process(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(here=str(Path(__file__).parent))],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return done.stdout.splitlines()


def test_bits_are_the_same_in_a_new_process_and_with_every_instruction_set():
    here = []
    for way in WAYS:
        engine = Exact(TREES, ROWS, **way)
        here.append(f"kernel {engine.values(CASES).tobytes().hex()}")
        here.append(engine.row_values(CASES[0], np.arange(20)).tobytes().hex())
        if way:
            here.append(Exact(DEEP, MANY_ROWS, **way).values(FEW_CASES).tobytes().hex())
    for vectors in ("0", "1", "2"):
        assert in_a_new_process(WARUM_VECTORS=vectors) == here


def test_without_the_kernel_the_values_are_the_same():
    lines = in_a_new_process(WARUM_KERNEL="off")
    assert lines[0].startswith("portable ")
    found = np.frombuffer(bytes.fromhex(lines[0].partition(" ")[2])).reshape(5, 4)
    assert np.allclose(found, [witness(case) for case in CASES], rtol=0, atol=1e-12)
    assert np.allclose(found, Exact(TREES, ROWS).values(CASES), rtol=0, atol=1e-12)


def test_the_engine_says_which_way_it_goes():
    assert Exact(TREES, ROWS, compiled=False).way == "portable"
    assert Exact(TREES, ROWS).way == ("portable" if kernel() is None else "kernel")


def test_any_thread_may_ask_one_engine():
    engine = Exact(TREES, ROWS)
    sample = np.arange(20)
    alone = [(engine.values(c[None, :]), engine.row_values(c, sample)) for c in CASES]
    engine = Exact(TREES, ROWS)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            values = pool.map(lambda c: engine.values(c[None, :]), CASES)
            by_row = pool.map(lambda c: engine.row_values(c, sample), CASES)
            for (one, rows), found, found_rows in zip(alone, values, by_row, strict=True):
                assert found.tobytes() == one.tobytes()
                assert found_rows.tobytes() == rows.tobytes()


# -- where it comes from ----------------------------------------------------------------------


def test_without_a_compiler_there_is_no_kernel(tmp_path):
    assert build_into(tmp_path, ("no-such-compiler",)) is None
    assert build_into(tmp_path, ("false",)) is None
    assert list(tmp_path.iterdir()) == []
    assert load(tmp_path) is None


def test_a_library_that_is_none_is_passed_over(tmp_path):
    (tmp_path / built_name()).write_bytes(b"for another machine")
    assert load(tmp_path) is None


class TestCompiling:
    @pytest.fixture(autouse=True)
    def _quickly(self, monkeypatch):
        """Where a library comes from does not depend on how well it is optimised."""
        flags = [flag for flag in build_kernel.FLAGS if flag != "-O3"]
        monkeypatch.setattr(build_kernel, "FLAGS", (*flags, "-O0", "-DWARUM_ONE_VARIANT"))

    def test_it_is_compiled_once_and_left_whole(self, tmp_path):
        built = build_into(tmp_path)
        assert list(tmp_path.iterdir()) == [built]
        made = built.stat().st_mtime_ns
        found = load(tmp_path)
        assert found is not None
        assert found.path == built
        assert build_into(tmp_path) == built
        assert built.stat().st_mtime_ns == made

    def test_a_broken_compilation_leaves_nothing_behind(self, tmp_path, monkeypatch):
        source = tmp_path / "kernel.cpp"
        source.write_text("this is no program")
        monkeypatch.setattr(build_kernel, "SOURCE", source)
        (tmp_path / "made").mkdir()
        assert build_into(tmp_path / "made") is None
        assert list((tmp_path / "made").iterdir()) == []


def test_nothing_is_compiled_when_a_case_is_explained():
    """A service never runs a compiler: what was not built at installation is done without."""
    source = "".join(
        path.read_text("utf-8") for path in FAMILIES.rglob("*.py") if path.name != "build_kernel.py"
    )
    assert "build_into" not in source


def test_another_source_is_another_library(tmp_path, monkeypatch):
    before = built_name()
    source = tmp_path / "kernel.cpp"
    source.write_bytes(build_kernel.SOURCE.read_bytes() + b"\n// changed\n")
    monkeypatch.setattr(build_kernel, "SOURCE", source)
    assert built_name() != before


# -- the tests bite ---------------------------------------------------------------------------

MUTANTS = {
    "whom a pattern fails": ("held[l] | left[l] << shift", "held[l] | (left[l] ^ 1u) << shift"),
    "who is in A, in a table": ("in_a[k] = fails >> k & 1u ? here : 0.0", "in_a[k] = here"),
    "rows that fail whom the case fails": ("apart[w] &= ~before[w]", "apart[w] |= before[w]"),
    "what was there before": (
        "place.values[node.player] += is - was",
        "place.values[node.player] += is",
    ),
    "who joins A above a leaf": ("double up = worth * of_a[a + 1]", "double up = worth * of_a[a]"),
    "who is lost above a leaf": ("lost += other * of_b[walk.width + a]", "lost += other * of_b[a]"),
    "who was in A before": ("with[w] = alive[w] & ~apart[w]", "with[w] &= ~apart[w]"),
    "who joins A above a leaf, by row": ("in_a[row] + 1", "in_a[row]"),
    "who is lost above a leaf, by row": (
        "place.downs[row] += down;",
        "place.downs[row] -= down;",
    ),
    "rows of every word": ("first[n_words] = 64 * w;", "first[n_words] = 0;"),
    "where equal codes go": ("low <= span;\n    } else", "low < span;\n    } else"),
    "rows that failed before, counted": ("(failed & apart) | (~failed & side)", "side"),
    "who fails on the right, counted": (
        "(bits >> 1 & high));\n    const",
        "(bits & high));\n    const",
    ),
    "counts kept side by side": ("tally[k] + tally[", "tally[k] + 0 * tally["),
    "whom a pattern fails, in counts": ("(!left) << branch->slot", "(left) << branch->slot"),
    "who has failed the player before, in counts": ("fail += WIDE", "fail += 0 * WIDE"),
    "large counts": ("last.wide && last.three)", "last.three)"),
    "who is lost, in counts": ("other * eight(b2 + k)", "other * eight(b1 + k)"),
    "who joins A, in counts": ("join * eight(a1 + k)", "join * eight(a0 + k)"),
    "who meets on either side, in counts": ("start_of(b + 1, n_met)", "start_of(b, n_met)"),
    "who shares in counts": ("eight(gains + k) += more;", ""),
    "who shares in small counts": ("gains[k] += gains[4 + k]", "gains[k] += 0 * gains[4 + k]"),
    "long lists of subsets": ("for (; set; set &= set - 1)", "for (; set >= 8; set &= set - 1)"),
}


def compiled(source: str, folder: Path) -> Kernel:
    """Without optimisation and for one instruction set: quick to compile."""
    assert COMPILER is not None
    (folder / "kernel.cpp").write_text(source)
    library = folder / "kernel.so"
    flags = ("-std=c++17", "-O0", "-fPIC", "-shared", "-DWARUM_ONE_VARIANT")
    subprocess.run([COMPILER, *flags, str(folder / "kernel.cpp"), "-o", str(library)], check=True)
    return Kernel(library)


def right(used: Kernel, monkeypatch) -> bool:
    """Whether tables, counts, walk and single rows give what brute force gives, and counts of
    deep trees what the walk of the installed kernel gives."""
    deep = Exact(DEEP, MANY_ROWS, most_bits=0, most_counted=0.0).values(FEW_CASES)
    monkeypatch.setattr(exact, "kernel", lambda: used)
    expected = [witness(case) for case in CASES]
    single = [[witness(case, ROWS[[at]]) for at in SINGLE] for case in CASES]
    laid = [Exact(TREES, ROWS, **way) for way in WAYS]
    counted = Exact(DEEP, MANY_ROWS, most_bits=0)
    by_row = [laid[0].row_values(case, SINGLE) for case in CASES]
    return all(
        np.allclose(found, wanted, rtol=0, atol=1e-12)
        for found, wanted in (
            *((one.values(CASES), expected) for one in laid),
            (by_row, single),
            (counted.values(FEW_CASES), deep),
        )
    )


@pytest.mark.parametrize("name", [None, *MUTANTS])
def test_a_mutated_kernel_is_told_from_brute_force(name, tmp_path, monkeypatch):
    source = build_kernel.SOURCE.read_text("utf-8")
    if name is not None:
        before, after = MUTANTS[name]
        assert source.count(before) == 1
        source = source.replace(before, after)
    assert right(compiled(source, tmp_path), monkeypatch) == (name is None)
