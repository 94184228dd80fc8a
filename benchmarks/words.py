"""Wording, rendering and reading back one explanation, in every language and for everybody.

The recorded cases of both packages and a booster package of 80 trees. Before that, once: all
catalogs loaded, and all dictionaries made that texts are read back with. The times are those of the
processor, so that what else the machine does counts for little; all steps of one text follow each
other, one text after the other in turn over languages, audiences and media.

Then what it takes to write one value with Babel as the reader writes it: one never seen before, and
one that is kept from before.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from booster_packages import credit
from harness import ROOT, load, machine
from online import _varied

from explainer.core.case import read_case
from explainer.core.disclosure import Audience, disclose
from explainer.core.explanation import Explanation
from explainer.packages.package import ModelPackage, open_package
from explainer.pipeline import RENDER, explain
from explainer.text.catalogs import Catalog, catalog
from explainer.text.checker import check_told
from explainer.text.languages import Language, language, languages
from explainer.text.sentences import to_sentences
from explainer.text.values import amount_in_words, day, decimal

TODAY = date(2026, 1, 1)
CASES, ROUNDS = 60, 3
WARM, ONCE = 5.0, 1_000.0
"""Milliseconds that are wanted: of one text, and of loading all catalogs."""
STEPS = ("seen by whom", "in sentences", "rendered", "read back")
VALUES = 500
"""Different values of each kind that are written in each language; fewer than are kept."""

_LOADING = """
import time
began = time.process_time()
from explainer.text.catalogs import catalog, source_sentences
from explainer.text.languages import languages
imported = time.process_time()
source_sentences()
for spoken in languages().values():
    catalog(spoken, staff=spoken.staff)
print(len(languages()), (time.process_time() - imported) * 1e3, (imported - began) * 1e3)
"""


def main() -> None:
    print(f"\n## Words ({machine()}, {load()}); times of the processor\n")
    counts, loading, imports = _loading()
    said = "reached" if loading <= ONCE else "not reached"
    print(
        f"all catalogs of {counts} languages, once: {loading:.0f} ms ({ONCE:.0f} wanted: {said});"
    )
    print(f"importing what reads them: {imports:.0f} ms\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        packages = [
            ROOT / "models" / name for name in ("unemployment_benefit", "mortgage_guarantee")
        ]
        for made in (*packages, credit(Path(folder))):
            _package(made)
    _formatting()


def _loading() -> tuple[int, float, float]:
    """In a process of its own, so that nothing is known yet; the best of five."""
    found = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", _LOADING], capture_output=True, text=True, check=True, cwd=ROOT
        )
        count, loading, imports = done.stdout.split()
        found.append((float(loading), float(imports), int(count)))
    loading, imports, count = min(found)
    return count, loading, imports


def _package(folder: Path) -> None:
    package = open_package(folder)
    raw = _varied(package, CASES)
    told_to = [
        (language(tag), audience, form)
        for tag in package.wordings
        for audience in Audience
        if audience is Audience.APPLICANT or language(tag).staff
        for form in RENDER
    ]
    found = [explain(read_case(each, package.catalogue), package, TODAY) for each in raw]
    spent: dict[tuple[Audience, str], list[tuple[float, ...]]] = defaultdict(list)
    slowest: dict[str, list[float]] = defaultdict(list)
    began = time.process_time()
    for spoken, audience, form in told_to:
        _steps(found[0], spoken, audience, form, package)
    first = (time.process_time() - began) * 1e3
    for turn in range(ROUNDS):
        for explanation in found:
            for spoken, audience, form in told_to:
                steps = _steps(explanation, spoken, audience, form, package)
                if turn:
                    spent[audience, form].append(steps)
                    slowest[spoken.tag].append(sum(steps))
    print(f"\n### {folder.name}, {len(package.catalogue)} features, {len(told_to)} kinds of text\n")
    print(
        f"first text of each kind, with its templates and its dictionary: {first:.0f} ms in all\n"
    )
    print(f"| | {' | '.join(STEPS)} | all, p50 | all, p99 |\n|---|{'---|' * (len(STEPS) + 2)}")
    for (audience, form), each in spent.items():
        steps = [statistics.median(column) * 1e3 for column in zip(*each, strict=True)]
        middle, late = np.quantile([sum(one) * 1e3 for one in each], [0.5, 0.99])
        cells = [f"{cell:.3f}" for cell in (*steps, middle, late)]
        print(f"| {audience}, {form} | {' | '.join(cells)} |")
    tag, worst = max(
        ((tag, float(np.quantile(each, 0.99)) * 1e3) for tag, each in slowest.items()),
        key=lambda one: one[1],
    )
    said = "reached" if worst <= WARM else "not reached"
    print(f"\nslowest language {tag}: p99 {worst:.2f} ms ({WARM} wanted: {said})", flush=True)


def _formatting() -> None:
    """Microseconds of the processor for one value: the mean of each language, the middle one and
    the slowest of them."""
    first_day = date(2020, 1, 1)
    numbers = [37.5 + 1.25 * at for at in range(VALUES)]
    kinds: dict[str, Callable[[Catalog], list[Callable[[], str]]]] = {
        "a number": lambda c: [partial(decimal, n, c.language.locale) for n in numbers],
        "an amount of money": lambda c: [
            partial(amount_in_words, f"{n:.2f}", "EUR", c) for n in numbers
        ],
        "years": lambda c: [partial(amount_in_words, str(n), "years", c) for n in range(VALUES)],
        "a day": lambda c: [
            partial(day, first_day + timedelta(days=at), c.language.locale) for at in range(VALUES)
        ],
    }
    print("\n### One value as the reader writes it, microseconds\n")
    print("| | never seen, middle | never seen, slowest | kept |\n|---|---|---|---|")
    for kind, written in kinds.items():
        never, kept = [], []
        for spoken in languages().values():
            pieces = written(catalog(spoken))
            pieces[-1]()  # the patterns of the language are read once
            never.append((_each(pieces[:-1]), spoken.tag))
            kept.append(_each(pieces[:-1]))
        slowest, tag = max(never)
        middle = statistics.median(one for one, _ in never)
        print(f"| {kind} | {middle:.1f} | {slowest:.1f} ({tag}) | {statistics.median(kept):.1f} |")


def _each(pieces: Sequence[Callable[[], str]]) -> float:
    began = time.thread_time()
    for write in pieces:
        write()
    return (time.thread_time() - began) / len(pieces) * 1e6


def _steps(
    explanation: Explanation,
    spoken: Language,
    audience: Audience,
    form: str,
    package: ModelPackage,
) -> tuple[float, ...]:
    """Seconds of the processor for each step from the numbers to the checked bytes."""
    times = [time.thread_time()]
    voice = package.voice(spoken, staff=audience is Audience.CASEWORKER)
    view = disclose(explanation, audience, package.disclosure)
    times.append(time.thread_time())
    sentences = to_sentences(view, voice)
    times.append(time.thread_time())
    told = RENDER[form](sentences, spoken)
    times.append(time.thread_time())
    policy = package.manifest.policy
    check_told(told, explanation, audience, voice, policy, package.disclosure)
    times.append(time.thread_time())
    return tuple(after - before for before, after in pairwise(times))


if __name__ == "__main__":
    main()
