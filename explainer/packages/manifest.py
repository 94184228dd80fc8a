"""`manifest.toml`: what a package is, which line it draws, and the digest of every other file."""

from __future__ import annotations

import hashlib
import math
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from explainer.core.attribution import (
    HIGHER,
    LOWER,
    AmountOutcome,
    DecisionLine,
    SeveralOutcomes,
    Side,
    Space,
    Suggesting,
    Task,
)
from explainer.core.explanation import PackageIdentity, ReasonPolicy
from explainer.errors import ManifestInvalid, PackageError, PackageFaulty
from explainer.families.limits import LimitRules
from explainer.families.model import Target
from explainer.text.values import UNITS, is_currency
from explainer.text.wording import named_outcomes

PROTOCOL = 1
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,63}")
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.%-]*(/[A-Za-z0-9_][A-Za-z0-9_.%-]*)*")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """The digest and size of one file of the package."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checked manifest. `digest` covers it and, through [files], everything else."""

    digest: str
    id: str
    version: str
    owner: str
    created: date
    licence: str
    purpose: str
    benefit_type: str
    unit: str
    artificial_intelligence: bool
    format: str
    model_file: str
    target: Target
    space: Space
    """What the model's margin, and with it the line, is measured in."""
    trained_with: Mapping[str, str]
    suggesting: Suggesting
    decision_type: str
    interim: tuple[str, ...]
    """Outcomes after which the application is still open: no notice, no remedy yet."""
    background_file: str
    background_rows: int
    background_note: str
    base: tuple[float, ...]
    margin_scale: tuple[float, ...]
    """Of the comparison group, as the bare pipeline gave them where it was trained; of each
    output of the model."""
    policy: ReasonPolicy
    limits: LimitRules
    offered: tuple[str, ...]
    default_language: str
    review_status: str
    review_note: str
    retention_class: str
    files: Mapping[str, FileEntry]

    @property
    def identity(self) -> PackageIdentity:
        return PackageIdentity(self.id, self.version, self.digest)

    @property
    def outcomes(self) -> tuple[str, ...]:
        return self.suggesting.outcomes


class Table:
    """A TOML table that is read key by key; collects what is wrong and what nobody asked for."""

    def __init__(self, name: str, data: object, faults: list[PackageError], file: str) -> None:
        self._name = name
        self._file = file
        self._faults = faults
        self._data: dict[str, Any] = {}
        if isinstance(data, dict):
            self._data = dict(data)
        else:
            self.fault("The table is missing.", f"Add [{name}].")

    def fault(self, what: str, mend: str, key: str = "") -> None:
        at = ".".join(part for part in (self._name, key) if part)
        self._faults.append(ManifestInvalid(what, f"{self._file}, {at}", mend))

    def has(self, key: str) -> bool:
        return key in self._data

    def take(
        self, key: str, kind: type | tuple[type, ...], hint: str, *, default: Any = None
    ) -> Any:
        """The value of `key`, or `default`; without a default the key is needed."""
        if key not in self._data:
            if default is None:
                self.fault("The key is missing.", hint, key)
            return default
        value = self._data.pop(key)
        wanted = kind if isinstance(kind, tuple) else (kind,)
        # TOML's true is a number to Python, and its times are dates
        if (
            not isinstance(value, wanted)
            or (isinstance(value, bool) and bool not in wanted)
            or isinstance(value, datetime)
        ):
            self.fault("The value is of the wrong kind.", hint, key)
            return default
        return value

    def text(self, key: str, hint: str, pattern: re.Pattern[str] | None = None) -> str:
        value = self.take(key, str, hint)
        if isinstance(value, str) and (
            not value.strip() or (pattern is not None and not pattern.fullmatch(value))
        ):
            self.fault("The text is empty or of the wrong form.", hint, key)
        return value or ""

    def choice(self, key: str, among: tuple[str, ...]) -> str:
        value = self.take(key, str, f"Give one of: {', '.join(among)}.")
        if value is not None and value not in among:
            self.fault("The value is not known.", f"Give one of: {', '.join(among)}.", key)
        return value if value in among else among[0]

    def thousandths(self, key: str, default: str) -> int:
        """A share written as a decimal string, as a whole number of thousandths."""
        raw = self.take(key, str, f'Give a share such as "{default}".', default=default)
        try:
            share = Decimal(raw)
        except (InvalidOperation, TypeError):
            share = Decimal(-1)
        if not (share.is_finite() and 0 <= share <= 1):
            self.fault("The share is not between 0 and 1.", f'Give, say, "{default}".', key)
            share = Decimal(default)
        return int(share * 1000)

    def table(self, key: str) -> Table:
        inner = self._data.pop(key, None)
        name = f"{self._name}.{key}" if self._name else key
        return Table(name, inner, self._faults, self._file)

    def rest(self) -> dict[str, Any]:
        left, self._data = self._data, {}
        return left

    def done(self) -> None:
        for key in self._data:
            self.fault("The key is not known.", "Remove it, or check its spelling.", key)


def parse_toml(data: bytes, file: str) -> dict[str, Any]:
    """Raises ManifestInvalid with the line where the file is no TOML."""
    try:
        return tomllib.loads(data.decode())
    except RecursionError:
        raise ManifestInvalid("The file is nested too deeply.", file, "Correct it.") from None
    except ValueError as fault:
        raise ManifestInvalid(f"The file is not TOML: {fault}.", file, "Correct it.") from None


def read_manifest(data: bytes) -> Manifest:
    """Check a manifest. Raises PackageFaulty with every fault."""
    faults: list[PackageError] = []
    manifest = manifest_as_it_is(data, faults)
    if faults or manifest is None:
        raise PackageFaulty("manifest.toml", faults)
    return manifest


def manifest_as_it_is(data: bytes, faults: list[PackageError]) -> Manifest | None:
    """A manifest whatever is wrong with it, for people who prepare one; None if it is no TOML.

    Every fault is added to `faults`; what is missing or wrong is empty or a default.
    """
    try:
        parsed = parse_toml(data, "manifest.toml")
    except ManifestInvalid as fault:
        faults.append(fault)
        return None
    top = Table("", parsed, faults, "manifest.toml")
    protocol = top.take("protocol", int, f"Give protocol = {PROTOCOL}.")
    if protocol is not None and protocol != PROTOCOL:
        top.fault(
            f"Protocol {protocol} is not known.", f"This version reads {PROTOCOL}.", "protocol"
        )
    manifest = _manifest(top, hashlib.sha256(data).hexdigest())
    top.done()
    return manifest


def _manifest(top: Table, digest: str) -> Manifest:
    head = {
        "id": top.text("id", "Write it in small letters, digits and _.", IDENTIFIER),
        "version": top.text("version", 'Give, say, "1.0.0".'),
        "owner": top.text("owner", "Say which office answers for the package."),
        "created": top.take("created", date, "Give a date such as 2026-03-01."),
        "licence": top.text("licence", "Say under which terms it may be used."),
        "purpose": top.text("purpose", "Say in a sentence what the model is for."),
        "benefit_type": top.text(
            "benefit_type", "Write it in small letters, digits and _.", IDENTIFIER
        ),
        "unit": top.text(
            "unit", "Name the unit that decides, in small letters, digits and _.", IDENTIFIER
        ),
        "artificial_intelligence": top.take("artificial_intelligence", bool, "Say true or false."),
    }
    model = top.table("model")
    head |= {
        "format": model.text("format", 'Give, say, "skops".'),
        "model_file": model.text("file", "Name the model file.", FILE_NAME),
        "trained_with": model.take("trained_with", dict, "Name library versions.", default={}),
    }
    target = replace(_target(model), by_answers=_by_answers(model, head["format"]))
    fitting = [s for s in Space if (s is Space.AMOUNT) == (target.task is Task.AMOUNT)]
    head["space"] = Space(model.choice("space", tuple(map(str, fitting))))
    model.done()
    suggestion = top.table("suggestion")
    suggesting = _SUGGESTING[target.task](suggestion, target)
    decision_type = suggestion.choice("decision_type", ("bound", "judgement"))
    interim = suggestion.take("interim", list, "List outcomes that decide nothing yet.", default=[])
    if not set(map(str, interim)) <= set(named_outcomes(suggesting)):
        suggestion.fault(
            "It names an outcome that is none.", "Name one of the outcomes.", "interim"
        )
    suggestion.done()
    background = top.table("background")
    head |= {
        "background_file": background.text("file", "Name the file.", FILE_NAME),
        "background_rows": background.take("rows", int, "Say how many rows it has."),
        "background_note": background.text("note", "Say how its rows were chosen."),
        "base": _each_output(
            background, "base", "Give the mean margin of its rows, from training.", target
        ),
        "margin_scale": _each_output(
            background,
            "margin_scale",
            "Give the 90th minus the 10th percentile of its margins, from training.",
            target,
        ),
    }
    background.done()
    languages = top.table("languages")
    languages.choice("source", ("de",))
    offered = languages.take("offered", list, 'Give, say, ["de", "en"].', default=["de"])
    default = languages.text("default", 'Give, say, "de".')
    if default not in offered or "de" not in offered:
        languages.fault(
            "German and the default must be among the offered languages.",
            "Add them to offered.",
            "offered",
        )
    languages.done()
    review = top.table("review")
    head |= {
        "review_status": review.choice("status", ("not_approved", "approved")),
        "review_note": review.text("note", "Say who approved it, or that nobody did."),
    }
    review.done()
    retention = top.table("retention")
    head["retention_class"] = retention.text("class", 'Give, say, "case_file".')
    retention.done()
    return Manifest(
        digest=digest,
        target=target,
        suggesting=suggesting,
        decision_type=decision_type,
        interim=tuple(map(str, interim)),
        policy=_policy(top.table("reasons")),
        limits=_limits(top.table("limits")),
        offered=tuple(map(str, offered)),
        default_language=default,
        files=_files(top.table("files")),
        **head,
    )


def _by_answers(model: Table, declared: str) -> bool:
    """Whether a model whose steps mix features may be known by its answers: said, never guessed."""
    if not model.has("mixing"):
        return False
    model.choice("mixing", ("by-answers",))
    if declared != "skops":
        model.fault("Only pipelines of scikit-learn mix features.", "Remove the key.", "mixing")
    return True


def _target(model: Table) -> Target:
    task = Task(model.choice("kind", tuple(map(str, Task))))
    if task is Task.AMOUNT:
        return Target(task)
    classes = tuple(map(str, model.take("classes", list, "List the classes.", default=[])))
    if task is Task.MULTICLASS:
        if len(classes) < 3 or len(set(classes)) != len(classes):
            model.fault(
                "These are not three or more different classes.",
                "List all in the order of the model.",
                "classes",
            )
        return Target(task, classes)
    positive = model.text("positive_class", "Name the class the margin is for.")
    if len(classes) != 2 or classes[0] == classes[1] or classes[1] != positive:
        model.fault(
            "These are not two classes with the positive one last.",
            "List both in the order of the model; its margin is for the second.",
            "classes",
        )
    return Target(task, classes)


def _several(table: Table, target: Target) -> SeveralOutcomes:
    """An outcome for each class by its name: by an order alone two would be swapped unseen."""
    hint = 'Give each of model.classes its outcome, such as { yes = "can_be_granted", … }.'
    given = table.take("outcomes", dict, hint, default={})
    outcomes = tuple(str(given.get(each, "")) for each in target.classes)
    favourable = tuple(map(str, table.take("favourable", list, "List them again.", default=[])))
    if (
        set(given) != set(target.classes)
        or len(set(outcomes)) != len(outcomes)
        or not all(IDENTIFIER.fullmatch(outcome) for outcome in outcomes)
    ):
        table.fault("These are not different outcomes, one for each class.", hint, "outcomes")
    if sorted(favourable) != sorted(outcomes):
        table.fault(
            "This is not the order of the outcomes for the applicant.",
            "List all outcomes, the best for the applicant first.",
            "favourable",
        )
        favourable = outcomes
    return SeveralOutcomes(outcomes, favourable)


def _amount(table: Table, target: Target) -> AmountOutcome:
    hint = f'Give a currency such as "EUR", or one of: {", ".join(UNITS)}.'
    unit = table.text("unit", hint)
    if unit and unit not in UNITS and not is_currency(unit):
        table.fault("There are no words for this unit.", hint, "unit")
    decimals = table.take("decimals", int, "Give how many decimals are told.", default=2)
    if not 0 <= decimals <= 6:
        table.fault("It is not between 0 and 6.", "Give, say, 2.", "decimals")
    favours = table.choice("favours_applicant", (HIGHER, LOWER))
    return AmountOutcome(unit, decimals, Side.ABOVE if favours == HIGHER else Side.BELOW)


def _line(table: Table, target: Target) -> DecisionLine:
    threshold = table.take("threshold", (float, int), "Give the line in raw margin.")
    if threshold is not None and not math.isfinite(threshold):
        table.fault("The line is not a finite number.", "Give it in raw margin.", "threshold")
    above = table.text("above", "Name the outcome above the line.", IDENTIFIER)
    below = table.text("below", "Name the outcome below the line.", IDENTIFIER)
    if above == below:
        table.fault("Both sides have the same outcome.", "Name two outcomes.", "below")
    favours = table.choice("favours_applicant", ("above", "below"))
    return DecisionLine(float(threshold or 0), above, below, Side(favours))


_SUGGESTING: Mapping[Task, Callable[[Table, Target], Suggesting]] = {
    Task.BINARY: _line,
    Task.MULTICLASS: _several,
    Task.AMOUNT: _amount,
}


def _each_output(table: Table, key: str, hint: str, target: Target) -> tuple[float, ...]:
    """A number, or a list of one for each class."""
    if target.outputs == 1:
        taken = table.take(key, (float, int), hint)
        given = [taken]
    else:
        taken = given = table.take(key, list, f"{hint} List it for each class.")
    if taken is None:
        return (0.0,) * target.outputs  # that it is not there was said
    if len(given) != target.outputs or not all(map(_is_finite, given)):
        table.fault(f"These are not {target.outputs} finite numbers.", hint, key)
        return (0.0,) * target.outputs
    return tuple(map(float, given))


def _is_finite(given: object) -> bool:
    # TOML allows whole numbers that fit no float
    return (
        isinstance(given, int | float)
        and not isinstance(given, bool)
        and -sys.float_info.max <= given <= sys.float_info.max
    )


def _policy(table: Table) -> ReasonPolicy:
    policy = ReasonPolicy(
        cap=table.take("cap_applicant", int, "Give, say, 4.", default=4),
        cap_towards=table.take("cap_towards", int, "Give, say, 3.", default=3),
        cap_away=table.take("cap_away", int, "Give, say, 2.", default=2),
        floor=table.thousandths("floor", "0.05"),
        coverage=table.thousandths("coverage", "0.80"),
        opposing_floor=table.thousandths("opposing_floor", "0.10"),
        unclear_floor=table.thousandths("unclear_floor", "0.15"),
        nearness=table.thousandths("nearness", "0.1") / 1000,
    )
    caps = (policy.cap_towards, policy.cap_away)
    if not (2 <= policy.cap <= 6 and all(1 <= cap <= policy.cap for cap in caps)):
        table.fault(
            "The caps do not fit together.", "Give 2 to 6 in all, and 1 or more for each side."
        )
    if policy.unclear_floor < policy.floor:
        table.fault(
            "What is under the floor has no word for its strength.",
            "Give at least the floor.",
            "unclear_floor",
        )
    table.done()
    return policy


def _limits(table: Table) -> LimitRules:
    rules = LimitRules(
        outside_values=table.take("outside_values", int, "Give, say, 3.", default=3),
        outside_share=table.thousandths("outside_share", "0.05"),
        stand_in_share=table.thousandths("stand_in_share", "0.30"),
        stale_after=_optional(table, "stale_after", date, "Give a date such as 2027-12-31."),
        as_of=_optional(table, "as_of", int, "Give the year the model is as of."),
        comparable_rows=_optional(table, "comparable_rows", int, "Give, say, 30."),
    )
    if rules.comparable_rows is not None and rules.comparable_rows < 0:
        table.fault("It is less than none.", "Give 0 or more.", "comparable_rows")
    if rules.outside_values < 1:
        table.fault("No case would be inside.", "Give 1 or more.", "outside_values")
    if rules.stale_after is not None and rules.as_of is None:
        table.fault("A date of going stale needs the year the model is as of.", "Add as_of.")
    table.done()
    return rules


def _optional(table: Table, key: str, kind: Callable[..., Any], hint: str) -> Any:
    return table.take(key, kind, hint) if table.has(key) else None  # type: ignore[arg-type]


def _files(table: Table) -> dict[str, FileEntry]:
    files: dict[str, FileEntry] = {}
    for name, entry in table.rest().items():
        if (
            not FILE_NAME.fullmatch(name)
            or ".." in name
            or not isinstance(entry, dict)
            or set(entry) != {"sha256", "size"}
            or not re.fullmatch(r"[0-9a-f]{64}", str(entry["sha256"]))
            or not isinstance(entry["size"], int)
        ):
            table.fault(
                "A file entry is not understood.", "Run `warum package seal` to write them.", name
            )
            continue
        files[name] = FileEntry(entry["sha256"], entry["size"])
    return files
