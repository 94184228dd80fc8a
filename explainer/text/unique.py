"""Texts that could be taken for one another: read back, nobody could tell which one was meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from explainer.core.attribution import Suggesting
from explainer.core.case import FeatureCatalogue
from explainer.text.wording import VALUE, Wording

Pair = tuple[str, str]


def alike(wording: Wording, catalogue: FeatureCatalogue, suggesting: Suggesting) -> Iterator[Pair]:
    """Keys of two texts of a package that can come out as the same words, whatever the value is.

    Labels are compared with labels, the choices of a feature with each other, sentences of reasons
    with all others. The two directions of one feature may have one sentence where it says that the
    information is missing, and anywhere on a plainer level: there the heading above carries the
    direction.
    """
    names = catalogue.names
    yield from _same((f"feature|{name}|label" for name in names), wording)
    for feature in catalogue:
        keys = (f"feature|{feature.name}|choice|{choice}" for choice in feature.choices)
        yield from _same(keys, wording)
    sentences = [
        f"feature|{feature.name}|reason|{outcome}{missing}"
        for feature in catalogue
        for outcome in suggesting.outcomes
        for missing in (("", "|missing") if feature.optional else ("",))
    ]
    leveled = bool(wording.language.level)
    for one, other in _overlapping(sentences, wording):
        missing = one.endswith("|missing")
        same = one.split("|")[1] == other.split("|")[1] and missing is other.endswith("|missing")
        if same and (missing or leveled):
            continue
        yield one, other


def _same(keys: Iterable[str], wording: Wording) -> Iterator[Pair]:
    found: dict[str, str] = {}
    for key in keys:
        text = " ".join(wording.texts.get(key, key).split())
        first = found.setdefault(text, key)
        if first != key:
            yield first, key


def _overlapping(keys: Iterable[str], wording: Wording) -> Iterator[Pair]:
    """Sentences with anything in their slot: one begins as the other does, and ends so too."""
    parts = []
    for key in keys:
        head, slot, tail = " ".join(wording.texts.get(key, key).split()).partition(VALUE)
        parts.append((head, tail, bool(slot), key))
    parts.sort()
    for at, (head, tail, open_, key) in enumerate(parts):
        for longer, ending, also_open, other in parts[at + 1 :]:
            if not longer.startswith(head):
                break  # those that begin with it stand in one run
            if _meet((head, tail, open_), (longer, ending, also_open)):
                yield key, other


def _meet(one: tuple[str, str, bool], other: tuple[str, str, bool]) -> bool:
    """Whether some words are of both patterns; `one` begins no longer than `other`."""
    (head, tail, open_), (longer, ending, also_open) = one, other
    if not open_ or not also_open:
        if not open_ and not also_open:
            return head == longer
        if not open_:  # a shorter whole sentence cannot begin with a longer head
            return head == longer and not ending
        return longer.endswith(tail) and len(longer) >= len(head) + len(tail)
    return tail.endswith(ending) or ending.endswith(tail)
