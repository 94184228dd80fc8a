"""`manifest.toml`: what a package is, which line it draws, and the digest of every other file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from explainer.core.attribution import (
    Space,
    Suggesting,
    Task,
)
from explainer.core.explanation import PackageIdentity, ReasonPolicy
from explainer.errors import ManifestInvalid, PackageError, PackageFaulty
from explainer.families.limits import LimitRules
from explainer.families.model import Target
from explainer.packages.answers import SUGGESTING, by_answers, read_each_output, read_target
from explainer.packages.toml_table import IDENTIFIER, Table, parse_toml
from explainer.text.wording import named_outcomes

PROTOCOL = 1
SIMPLE = "de-simple"
MOST_IN_SIMPLE = 3
"""Reasons that readers of Leichte Sprache are asked to take in (requirement W2.6)."""
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@%-]*(/[A-Za-z0-9_][A-Za-z0-9_.@%-]*)*")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """The digest and size of one file of the package."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Review:
    """Who read a package's translation, when, and the SHA-256 of what they read."""

    reviewer: str
    reviewed_on: date
    digest: str


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
    think_first: bool
    """Whether a person assesses a case before its suggestion is shown to caseworkers."""
    interim: tuple[str, ...]
    """Outcomes after which the application is still open: no notice, no remedy yet."""
    background_file: str
    background_rows: int
    background_note: str
    background_weight: str | None
    """The column of the comparison rows that says what each weighs; None: all weigh alike."""
    base: tuple[float, ...]
    margin_scale: tuple[float, ...]
    """Of the comparison group, as the bare pipeline gave them where it was trained; of each
    output of the model."""
    policy: ReasonPolicy
    limits: LimitRules
    offered: tuple[str, ...]
    default_language: str
    reviews: Mapping[str, Review]
    """Of its translations, by tag."""
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
    target = replace(read_target(model), by_answers=by_answers(model, head["format"]))
    fitting = [s for s in Space if (s is Space.AMOUNT) == (target.task is Task.AMOUNT)]
    head["space"] = Space(model.choice("space", tuple(map(str, fitting))))
    model.done()
    suggestion = top.table("suggestion")
    suggesting = SUGGESTING[target.task](suggestion, target)
    decision_type = suggestion.choice("decision_type", ("bound", "judgement"))
    interim = suggestion.take("interim", list, "List outcomes that decide nothing yet.", default=[])
    if not set(map(str, interim)) <= set(named_outcomes(suggesting)):
        suggestion.fault(
            "It names an outcome that is none.", "Name one of the outcomes.", "interim"
        )
    think_first = suggestion.take("think_first", bool, "Say true or false.", default=False)
    suggestion.done()
    background = top.table("background")
    head |= {
        "background_file": background.text("file", "Name the file.", FILE_NAME),
        "background_rows": background.take("rows", int, "Say how many rows it has."),
        "background_note": background.text("note", "Say how its rows were chosen."),
        "background_weight": background.text("weight", "Name the column of the weights.")
        if background.has("weight")
        else None,
        "base": read_each_output(
            background, "base", "Give the mean margin of its rows, from training.", target
        ),
        "margin_scale": read_each_output(
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
    reviews = _reviews(languages.table("reviewed")) if languages.has("reviewed") else {}
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
        think_first=bool(think_first),
        interim=tuple(map(str, interim)),
        policy=_policy(top.table("reasons"), tuple(map(str, offered))),
        limits=_limits(top.table("limits")),
        offered=tuple(map(str, offered)),
        default_language=default,
        reviews=reviews,
        files=_files(top.table("files")),
        **head,
    )


def _reviews(table: Table) -> dict[str, Review]:
    """Of each language that somebody signed: `warum language sign` writes it."""
    found: dict[str, Review] = {}
    for tag, row in table.rest().items():
        known = isinstance(row, dict) and set(row) == {"reviewer", "reviewed_on", "digest"}
        if (
            not known
            or not str(row["reviewer"]).strip()
            or not isinstance(row["reviewed_on"], date)
        ):
            table.fault("A review is not understood.", "Let `warum language sign` write it.", tag)
            continue
        found[tag] = Review(str(row["reviewer"]), row["reviewed_on"], str(row["digest"]))
    return found


def _policy(table: Table, offered: Sequence[str]) -> ReasonPolicy:
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
    # the same reasons for everybody: what is too many for one reader is too many for all
    if policy.cap > MOST_IN_SIMPLE and SIMPLE in offered:
        table.fault(
            f"The package offers {SIMPLE}: there at most {MOST_IN_SIMPLE} reasons are told, and "
            "all readers are told the same.",
            f"Give at most {MOST_IN_SIMPLE}.",
            "cap_applicant",
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
