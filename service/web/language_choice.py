"""Which language a reader gets: what they chose, then what they kept, then what they accept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from explainer.text.languages import Language

COOKIE = "warum_lang"

LONGEST = 1000
MOST = 20
"""Characters and ranges of a header that are read; browsers send a dozen at most."""

_RANGE = re.compile(r"\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_WEIGHT = re.compile(r"[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*")


def choose_language(
    offered: Sequence[Language],
    *,
    asked: str | None,
    kept: str | None,
    accepted: str | None,
    default: str = "",
) -> Language:
    """The language to show, always one that is whole.

    `asked` is an explicit choice on this page, `kept` a remembered one, `accepted` the header
    Accept-Language; where nothing fits it is `default`, or German. A reading level is never
    inferred: `de` does not lead to `de-simple`, only its own name does.
    """
    by_tag = _by_tag(offered)
    for explicit in (asked, kept):
        if explicit is not None and explicit.lower() in by_tag:
            return by_tag[explicit.lower()]
    found = best_accepted(offered, accepted or "")
    if found is not None:
        return found
    source = next(language for language in offered if language.is_source)
    return by_tag.get(default.lower(), source)


def best_accepted(offered: Sequence[Language], header: str) -> Language | None:
    """What a header Accept-Language asks for, by the lookup of RFC 4647; None if nothing fits.

    Whatever of the header cannot be read is as if it were not there.
    """
    by_tag = _by_tag(offered)
    weighted = list(_ranges(header))
    refused = {tag for tag, quality in weighted if quality == 0}
    # a stable sort: of equals the first one counts
    for wanted, quality in sorted(weighted, key=lambda one: -one[1]):
        if quality == 0:
            continue
        for tag in _shortened(wanted):
            if tag in by_tag and tag not in refused:
                return by_tag[tag]
    return None


def _by_tag(offered: Sequence[Language]) -> dict[str, Language]:
    """Languages by every tag that means them, in small letters."""
    aliases = {alias.lower(): row for row in offered for alias in row.aliases}
    return aliases | {row.tag.lower(): row for row in offered}


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    """The language ranges of a header in small letters, each with its weight."""
    for part in header[:LONGEST].split(",")[:MOST]:
        tag, semicolon, parameter = part.partition(";")
        if not _RANGE.fullmatch(tag.strip(" \t")):
            continue
        weight = _WEIGHT.fullmatch(parameter) if semicolon else None
        if semicolon and weight is None:
            continue
        yield tag.strip(" \t").lower(), float(weight[1]) if weight else 1.0


def _shortened(tag: str) -> Iterator[str]:
    """A range, and what is left of it as subtags are taken off its end."""
    subtags = tag.split("-")
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
