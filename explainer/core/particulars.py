"""What a decision rests on, by where it stands in the file; and when it was really taken."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date

from explainer.errors import DayImpossible, DecisionError, ReferenceInvalid

REFERENCE_LIMIT = 200
EVIDENCE_LIMIT = 10


@dataclass(frozen=True, slots=True)
class SentParticulars:
    """Particulars as they came in, nothing checked; empty where nothing was said."""

    evidence_refs: tuple[str, ...] = ()
    legal_basis_ref: str = ""
    hearing_ref: str = ""
    instruction_ref: str = ""
    entered_afterwards: str = ""


@dataclass(frozen=True, slots=True)
class Particulars:
    """Pointers into the file, never what stands there, and the day a case was decided on paper.

    Attributes
    ----------
    evidence_refs : at most 10 of at most 200 characters, as all references
    legal_basis_ref, hearing_ref, instruction_ref : None where there is none
    entered_afterwards : the day of the decision, where it was recorded only later; None else
    """

    evidence_refs: tuple[str, ...] = ()
    legal_basis_ref: str | None = None
    hearing_ref: str | None = None
    instruction_ref: str | None = None
    entered_afterwards: date | None = None


def check_particulars(
    sent: SentParticulars,
    first_day: date,
    today: date,
    faults: list[tuple[str, DecisionError]],
) -> Particulars:
    """Check what was sent; every fault is added with the form field it belongs to.

    A day lies between `first_day`, on which the case came in or what is corrected was decided, and
    `today`.
    """
    evidence = tuple(dict.fromkeys(filter(None, map(str.strip, sent.evidence_refs))))
    if len(evidence) > EVIDENCE_LIMIT or not all(map(_fits, evidence)):
        faults.append(
            (
                "evidence_refs",
                ReferenceInvalid(
                    "These are too many references, or one of them is none.",
                    "evidence_refs",
                    f"Give at most {EVIDENCE_LIMIT} lines of at most {REFERENCE_LIMIT} characters.",
                ),
            )
        )
    return Particulars(
        evidence,
        _reference("legal_basis_ref", sent.legal_basis_ref, faults),
        _reference("hearing_ref", sent.hearing_ref, faults),
        _reference("instruction_ref", sent.instruction_ref, faults),
        _day(sent.entered_afterwards, first_day, today, faults),
    )


def _reference(field: str, text: str, faults: list[tuple[str, DecisionError]]) -> str | None:
    given = text.strip()
    if not _fits(given):
        faults.append(
            (
                field,
                ReferenceInvalid(
                    "The reference is too long, or holds characters nobody can see.",
                    field,
                    f"Give one line of at most {REFERENCE_LIMIT} characters.",
                ),
            )
        )
    return given or None


def _fits(reference: str) -> bool:
    # line breaks, direction marks and the like could make a reference look like another one
    return len(reference) <= REFERENCE_LIMIT and not any(
        unicodedata.category(c)[0] == "C" or unicodedata.category(c) in ("Zl", "Zp")
        for c in reference
    )


def _day(
    text: str, first_day: date, today: date, faults: list[tuple[str, DecisionError]]
) -> date | None:
    given = text.strip()
    if not given:
        return None
    day = day_of(given)
    if day is None:
        kind, what = "form", "This is no day."
    elif day > today:
        kind, what = "future", "The day has not come yet."
    elif day < first_day:
        kind = "before"
        what = "The case had not come in by that day, or what is corrected was not decided yet."
    else:
        return day
    mend = f"Give a day from {first_day} to {today}."
    faults.append(("entered_afterwards", DayImpossible(what, kind, mend)))
    return None


def day_of(text: str) -> date | None:
    """The day written YYYY-MM-DD; None where it is none."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return None
    return day if day.isoformat() == text.strip() else None
