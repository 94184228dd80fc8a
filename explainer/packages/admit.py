"""Whether a package may speak: every fault at once.

At start-up a package is opened, its comparison group must have the scores it had in training, and
its recorded cases must give the recorded scores. `warum package check` asks more: each recorded
case explained in every language, the recorded texts, witnesses against our own numbers, and cases
on thresholds, with values missing and with choices nobody has seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from explainer.core.attribution import TOLERANCE, Space, Task
from explainer.core.case import Case, read_case
from explainer.core.disclosure import Audience
from explainer.errors import (
    BackgroundInvalid,
    CaseFaulty,
    ExplainerError,
    GoldenCaseDiffers,
    NotExplainable,
    PackageError,
    PackageFaulty,
    WordingIncomplete,
)
from explainer.families import MAY_NAME_NO_CLASSES
from explainer.families.attribute import raw_row
from explainer.packages.manifest import Manifest
from explainer.packages.package import ModelPackage, open_package
from explainer.packages.plainly import package_findings, plain_faults, without_contact
from explainer.packages.survey import survey
from explainer.plain.gate import Finding, check_document
from explainer.text.languages import language

FEWEST_GOLDEN = 50

REPORT = "Report this with the package: it is a fault of Warum."

HALF_A_DIGIT = 5e-7
"""What a mean loses that was written with six decimals."""

SAME_PROBABILITY = 1e-3
"""How far a recorded probability may be from the one its margin means: boosters round both."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""

Teller = Callable[[Case, ModelPackage, Audience, str], bytes]
"""Tells one case as plain text; the pipeline stands above this module and is handed in."""


@dataclass(slots=True)
class Checked:
    """A package without a fault, and what was asked to find none.

    Attributes
    ----------
    witnesses : who gave the same contributions
    tried : how many cases of each sort add up, and how many were refused
    plain : what the plain-language gate found and let pass: warnings and notes
    """

    package: ModelPackage
    witnesses: list[str] = field(default_factory=list)
    tried: dict[str, tuple[int, int]] = field(default_factory=dict)
    plain: list[Finding] = field(default_factory=list)


def admit(folder: Path, admitted_in: Collection[str] = ()) -> ModelPackage:
    """Open the package for service; `admitted_in` as `open_package` takes it.

    Raises PackageFaulty with every fault found.
    """
    package = open_package(folder, admitted_in)
    faults: list[PackageError] = []
    cases = _golden_cases(package, faults)
    faults += [*_group(package), *_scores(package, cases)]
    if faults:
        raise PackageFaulty(package.manifest.id, faults)
    return package


def check(folder: Path, tell: Teller, progress: Progress) -> Checked:
    """Everything `admit` asks and all that takes longer.

    Raises PackageFaulty with every fault found.
    """
    try:
        package = open_package(folder)
    except PackageFaulty as first:
        # opening stops where nothing may be trusted any more; a person mends all faults at once
        also = (*survey(folder), *_plain(folder, ("de",))[1])
        found = {str(fault): fault for fault in (*first.faults, *also)}
        raise PackageFaulty(first.where, found.values()) from None
    # the service leaves a translation out that is not whole; whoever prepares one mends it
    faults: list[PackageError] = list(package.stopped.values())
    cases = _golden_cases(package, faults)
    if len(package.golden) < FEWEST_GOLDEN:
        faults.append(
            GoldenCaseDiffers(
                f"There are {len(package.golden)} recorded cases.",
                "golden/cases.jsonl",
                f"Record at least {FEWEST_GOLDEN} in the training environment.",
            )
        )
    if _class_is_recorded(package.manifest) and not all(g.predicted for g in package.golden):
        faults.append(
            GoldenCaseDiffers(
                "Not every recorded case says which class the model named in training.",
                "golden/cases.jsonl",
                'Add "predicted" to each line there: swapped classes show by nothing else.',
            )
        )
    faults.extend(_group(package))
    faults.extend(_scores(package, cases))
    faults.extend(_texts(package, cases, tell, progress))
    # one that is being translated stops nothing
    said, unplain = _plain(folder, (*package.wordings, *package.stopped))
    known = {str(fault) for fault in faults}
    faults.extend(fault for fault in unplain if str(fault) not in known)
    checked = Checked(package, plain=said)
    if cases:
        faults.extend(_witnesses(checked, cases, progress))
        faults.extend(_borders(checked, cases, progress))
    if faults:
        raise PackageFaulty(package.manifest.id, faults)
    return checked


def _class_is_recorded(manifest: Manifest) -> bool:
    """Whether recorded cases must name classes: those of several, and those of which the file of
    the model may know nothing."""
    task = manifest.target.task
    return task is Task.MULTICLASS or (
        task is Task.BINARY and manifest.format in MAY_NAME_NO_CLASSES
    )


def record_texts(package: ModelPackage, tell: Teller, count: int) -> dict[str, bytes]:
    """The texts of the first `count` recorded cases, by file name under golden/.

    They are for people to read line by line; until somebody did, they prove nothing but that
    nothing changed.
    """
    texts: dict[str, bytes] = {}
    faults: list[PackageError] = []
    cases = _golden_cases(package, faults)
    if faults:
        raise PackageFaulty(package.manifest.id, faults)
    for _, case in cases[:count]:
        for audience in Audience:
            for tag in _tags(package, audience):
                texts[text_name(case, audience, tag)] = tell(case, package, audience, tag)
    return texts


def text_name(case: Case, audience: Audience, tag: str) -> str:
    # a manifest names no file with two dots in a row
    ref = quote(case.ref, safe="").replace("..", "%2E%2E")
    return f"{ref}.{audience}.{tag}.txt"


def _tags(package: ModelPackage, audience: Audience) -> list[str]:
    return [t for t in package.wordings if language(t).staff or audience is Audience.APPLICANT]


def _golden_cases(package: ModelPackage, faults: list[PackageError]) -> list[tuple[int, Case]]:
    """The recorded cases with their line; what is wrong with others is added to `faults`."""
    cases: list[tuple[int, Case]] = []
    for number, golden in enumerate(package.golden, start=1):
        try:
            cases.append((number, read_case(golden.case, package.catalogue)))
        except CaseFaulty as found:
            faults.extend(
                GoldenCaseDiffers(
                    fault.what, f"golden/cases.jsonl, line {number}, {fault.where}", fault.mend
                )
                for fault in found.faults
            )
    return cases


def _group(package: ModelPackage) -> Iterable[PackageError]:
    """The comparison group has the scores it had in training: group and model belong together."""
    manifest = package.manifest
    # of several outputs one may hardly vary: what is small is measured by the widest
    allowed = TOLERANCE * max(scale for _, scale in package.explained.outputs)
    # one leaf that is worth something else moves the mean of a thousand rows by little
    of_mean = max(allowed / 10, HALF_A_DIGIT)
    for at, ((base, scale), declared_base, declared_scale) in enumerate(
        zip(package.explained.outputs, manifest.base, manifest.margin_scale, strict=True)
    ):
        # false of a NaN as well
        if abs(base - declared_base) <= of_mean and abs(scale - declared_scale) <= allowed:
            continue
        output = f" (class {manifest.target.classes[at]})" if len(manifest.base) > 1 else ""
        yield BackgroundInvalid(
            "It is stale: this model does not give its rows the scores of the training. Their mean "
            f"is {base:.9g} where the manifest says {declared_base:.9g}, their spread "
            f"{scale:.9g} where it says {declared_scale:.9g}{output}.",
            manifest.background_file,
            "Draw the comparison group again for this model, and write base and margin_scale from "
            "the training environment into [background].",
        )


def _scores(package: ModelPackage, cases: list[tuple[int, Case]]) -> Iterable[PackageError]:
    """The model gives the margins that were recorded where it was trained, and the probabilities
    there are what its margins mean here."""
    if not cases:
        return
    space = package.explained.model.space
    try:
        margins = package.explained.model.answer([raw_row(case) for _, case in cases]).margins
    except NotExplainable as fault:
        yield GoldenCaseDiffers(fault.what, "golden/cases.jsonl", fault.mend)
        return
    outputs = package.explained.outputs
    allowed = [TOLERANCE * max(scale for _, scale in outputs)] * len(outputs)
    for (number, _), margin in zip(cases, margins, strict=True):
        recorded = package.golden[number - 1]
        meant = [space.probability(margin.tolist(), at) for at in range(len(margin))]
        named = package.manifest.target.named(meant)
        # which of two equally probable classes a library names is its own affair
        even = _near([0.5], meant, [SAME_PROBABILITY])
        if recorded.predicted is not None and recorded.predicted != named and not even:
            yield GoldenCaseDiffers(
                f"The model named class {recorded.predicted!r} in training; by the declared "
                f"classes it would be {named!r}.",
                f"golden/cases.jsonl, line {number}",
                "Declare model.classes in the order of the model; or, if the model names its class "
                "from another probability on than a half, record what a half would name.",
            )
        if not _near(recorded.margins, margin.tolist(), allowed):
            yield GoldenCaseDiffers(
                "The model gives another score than was recorded in training.",
                f"golden/cases.jsonl, line {number}",
                "Use the versions named in trained_with, or record the cases again there.",
            )
        elif space is not Space.AMOUNT and not _near(
            recorded.probabilities, meant, [SAME_PROBABILITY] * len(meant)
        ):
            yield GoldenCaseDiffers(
                f"The probability recorded in training is not that of the margin, read as {space}.",
                f"golden/cases.jsonl, line {number}",
                "Record both of the same model; its margin may be on another scale than declared.",
            )


def _near(
    recorded: Sequence[float], found: Sequence[float | None], allowed: Sequence[float]
) -> bool:
    # "<=" is false of a NaN as well
    return len(recorded) == len(found) and all(
        each is not None and abs(each - said) <= most
        for said, each, most in zip(recorded, found, allowed, strict=True)
    )


def _texts(
    package: ModelPackage, cases: list[tuple[int, Case]], tell: Teller, progress: Progress
) -> Iterable[PackageError]:
    """Every recorded case can be told to everybody; recorded texts are told word for word."""
    known = set()
    for done, (number, case) in enumerate(cases):
        progress("Telling the recorded cases", done, len(cases))
        for audience in Audience:
            for tag in _tags(package, audience):
                where = f"golden/cases.jsonl, line {number}, {audience}, {tag}"
                name = text_name(case, audience, tag)
                known.add(name)
                try:
                    told = tell(case, package, audience, tag)
                except ExplainerError as fault:
                    yield GoldenCaseDiffers(fault.what, where, fault.mend)
                    continue
                if audience is Audience.APPLICANT and name not in package.recorded_texts:
                    # recorded ones were read with the package's texts
                    text = without_contact(told.decode(), package.wordings[tag].texts)
                    yield from plain_faults(check_document(where, text, tag))
                if name in package.recorded_texts and package.recorded_texts[name] != told:
                    yield WordingIncomplete(
                        "The text is not the recorded one.",
                        f"golden/{name}",
                        "Read the new text; then `warum package golden` records it.",
                    )
    for name in sorted(set(package.recorded_texts) - known):
        yield WordingIncomplete(
            "The recorded text belongs to no recorded case.", f"golden/{name}", "Remove it."
        )


def _plain(folder: Path, languages: Collection[str]) -> tuple[list[Finding], list[PackageError]]:
    """What the plain-language gate finds, and what of it stops the package."""
    try:
        found = package_findings(folder, languages)
    except PackageError as fault:
        return [], [fault]
    return found, list(plain_faults(found))


def _witnesses(
    found: Checked, cases: list[tuple[int, Case]], progress: Progress
) -> Iterable[PackageError]:
    """Our values equal those of others, reached in other ways, on sampled rows."""
    from explainer.families.second_opinion import witnesses

    explained = found.package.explained
    rows = [raw_row(case) for _, case in cases]
    allowed = 1e-6 * min(group.scale for group in explained.comparisons.values())
    # the other recorded cases serve as comparison rows: like the case, they come from outside
    asked = [(0, rows[1:9]), (len(rows) - 1, rows[-9:-1]), (len(rows) // 2, rows[:8])]
    for witness in witnesses(explained):
        for done, (at, comparison) in enumerate(asked):
            progress(f"Asking {witness.name}", done, len(asked))
            try:
                # "not <=" so that a NaN is caught as well
                if not witness.differs(rows[at], comparison or rows[:1]) <= allowed:
                    what = f"Another way ({witness.name}) gives other contributions than ours."
                    yield GoldenCaseDiffers(what, f"recorded case {cases[at][1].ref}", REPORT)
            except NotExplainable as fault:
                yield GoldenCaseDiffers(
                    f"The model does not answer a witness ({witness.name}). {fault.what}",
                    f"recorded case {cases[at][1].ref}",
                    fault.mend,
                )
        found.witnesses.append(witness.name)


def _borders(
    found: Checked, cases: list[tuple[int, Case]], progress: Progress
) -> Iterable[PackageError]:
    """Cases on thresholds, with gaps and with choices nobody has seen add up or are refused."""
    from explainer.families.borders import borders

    adding, refused, wrong = Counter[str](), Counter[str](), Counter[tuple[str, str, str]]()
    try:
        for done, tried in enumerate(borders(found.package.explained, [c for _, c in cases])):
            progress("Trying cases on thresholds and with gaps", done, done + 1)
            if tried.fault is not None:
                wrong[tried.sort, tried.feature, tried.fault] += 1
            else:
                (adding if tried.adds_up else refused)[tried.sort] += 1
    except NotExplainable as fault:
        yield GoldenCaseDiffers(fault.what, "golden/cases.jsonl", fault.mend)
    for (sort, feature, what), times in wrong.items():
        yield GoldenCaseDiffers(f"{what} ({times} cases {sort})", f"feature {feature}", REPORT)
    for sort in dict.fromkeys([*adding, *refused]):
        found.tried[sort] = (adding[sort], refused[sort])
