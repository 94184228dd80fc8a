"""Errors in their own words, fit for a page of whoever runs Warum.

These words are English and name files (docs/decisions/0010). On their way to a page they lose what
nobody there may read: the names of recorded texts hold the number of a case, folders may be named
after people, and an address may hold a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from explainer.errors import ExplainerError
from explainer.text.values import clean
from service.settings import Settings

_SECRET = re.compile(
    r"((?:(?:password|passfile|sslkey|token|secret)\w{0,20}['\"]?\s{0,5}[=:]|\bbearer\b)\s{0,5})"
    r"('[^'\n]{0,200}'|\"[^\"\n]{0,200}\"|[^\s,;}]+)",
    re.IGNORECASE,
)
LONGEST = 400
"""Letters of one sentence of an error."""


@dataclass(frozen=True, slots=True)
class Said:
    """An error in its own words: what happened, where, and how to mend it."""

    code: str
    what: str
    where: str
    mend: str


def said(fault: ExplainerError, settings: Settings) -> Said:
    """The error as a page may show it."""
    return Said(
        fault.code,
        fit_for_a_page(fault.what, settings),
        fit_for_a_page(fault.where, settings),
        fit_for_a_page(fault.mend, settings),
    )


def fit_for_a_page(text: str, settings: Settings) -> str:
    """`text` without places of this machine, passwords and recorded cases, and not too long."""
    for place, name in _places(settings):
        text = re.sub(rf"{re.escape(place)}(?!\w)", name, text)
    text = re.sub(r"(?<=://)[^\n]*@", "", text)
    text = _SECRET.sub(r"\1…", text)
    text = re.sub(r"(?:(?<![\w/.])|(?<=://))(?:/[^\s/,:;'\"]+)+/(?=[^\s/])", "…/", text)
    # whatever follows in this sentence: such a name may hold spaces
    text = re.sub(r"\bgolden/(?!cases\.jsonl\b).*", "golden/…", text, flags=re.DOTALL)
    text = re.sub(r"\brecorded case .*", "recorded case …", text, flags=re.DOTALL)
    text = clean(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _places(settings: Settings) -> Iterator[tuple[str, str]]:
    """Folders and files the settings name, the longest first, and what stands for each."""
    named = [(settings.data, "WARUM_DATA"), *((one, "WARUM_MODELS") for one in settings.models)]
    if settings.retention is not None:
        named.append((settings.retention, "WARUM_RETENTION"))
    whole = [(str(path.absolute()), name) for path, name in named]
    whole += [(str(path), name) for path, name in named if len(path.parts) > 1]
    return iter(sorted(set(whole), key=lambda one: -len(one[0])))
