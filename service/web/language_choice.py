"""Which language a reader gets: what they chose, then what they kept, then what they accept."""

from __future__ import annotations

from collections.abc import Sequence

from explainer.text.languages import Language

COOKIE = "warum_lang"


def choose_language(
    offered: Sequence[Language], *, asked: str | None, kept: str | None, accepted: str | None
) -> Language:
    """The language to show, always one that is whole; German where nothing fits.

    `asked` is an explicit choice on this page, `kept` a remembered one, `accepted` the header
    Accept-Language. A reading level is never inferred: `de` does not lead to `de-simple`.
    """
    by_tag = {language.tag.lower(): language for language in offered}
    for explicit in (asked, kept):
        if explicit is not None and explicit.lower() in by_tag:
            return by_tag[explicit.lower()]
    for wanted in _ranges(accepted or ""):
        tag = wanted
        while tag:  # lookup of RFC 4647: subtags are removed from the right
            if tag in by_tag:
                return by_tag[tag]
            tag = tag.rpartition("-")[0]
    return next(language for language in offered if language.is_source)


def _ranges(header: str) -> list[str]:
    """The language ranges of a header, best first; those with q=0 or malformed are left out."""
    found = []
    for at, part in enumerate(header.split(",")[:20]):
        tag, _, parameter = part.strip().partition(";")
        quality = 1.0
        if parameter.strip().startswith("q="):
            try:
                quality = float(parameter.strip()[2:])
            except ValueError:
                continue
        if tag.strip() and tag.strip() != "*" and 0 < quality <= 1:
            found.append((-quality, at, tag.strip().lower()))
    return [tag for _, _, tag in sorted(found)]
