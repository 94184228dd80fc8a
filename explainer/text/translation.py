"""What a program can find wrong with a translation: faults that stop it, and hints.

It finds what is missing, broken or in the wrong language. Whether a translation is right, people
who read it as their own find out.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from babel.messages.catalog import Catalog as PoCatalog
from babel.messages.catalog import Message

from explainer.text.languages import Language, locales_dir

SLOT = re.compile(r"\{[^{}]*\}|%\([A-Za-z_]+\)[a-z]")
TAG = re.compile(r"</?[A-Za-z][^>]*>")
_ENTITY = re.compile(r"&[#A-Za-z0-9]+;")
_WORD = re.compile(r"[^\W\d_]+")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_ALLOWED_INVISIBLE = "\n\u200c\u200d"
"""Line feeds of addresses; joiners that Persian and others write with."""

LONGEST = 2000
SHORTEST_COMPARED = 25
"""Characters: a shorter text may well be twice as long or half in another language."""
RATIO = (0.6, 1.8)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one message. `stops`: the language is not offered while it stands."""

    key: str
    rule: str
    says: str
    stops: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message there has to be: its German forms, and whether slots are filled in by `%`."""

    context: str | None
    sources: tuple[str, ...]
    formatted: bool = False

    @property
    def key(self) -> str:
        return key_of(self.context, self.sources[0])


def key_of(context: str | None, source: str) -> str:
    """What a message is called in findings: its context, or the beginning of the German text."""
    return context or source[:60]


@dataclass(frozen=True, slots=True)
class _Pair:
    language: Language
    source: str
    text: str
    formatted: bool


def check_messages(
    language: Language, po: PoCatalog, wanted: Iterable[Wanted]
) -> Iterator[Finding]:
    """Everything that is wrong with the catalog `po` of `language`, message by message."""
    texts: list[str] = []
    known = set()
    wanted = tuple(wanted)
    if any(len(one.sources) > 1 for one in wanted):
        yield from _header(language, po)
    for one in wanted:
        known.add((one.context, one.sources[0]))
        id_ = one.sources if len(one.sources) > 1 else one.sources[0]
        message = po.get(id_, context=one.context)
        if message is None:
            yield Finding(one.key, "missing", "is missing")
            continue
        if message.fuzzy:
            yield Finding(one.key, "fuzzy", "is fuzzy: it was made for another German text")
        said = strings_of(message)
        forms = po.num_plurals if len(one.sources) > 1 else 1
        if len(said) != forms:
            yield Finding(one.key, "plural", f"has {len(said)} forms and needs {forms}")
        for text in said:
            yield from (
                Finding(one.key, rule, says, stops)
                for rule, says, stops in _about(
                    _Pair(language, one.sources[-1], text, one.formatted)
                )
            )
            texts.append(text)
    for message in po:
        if message.id and (message.context, ids_of(message)[0]) not in known:
            key = key_of(message.context, ids_of(message)[0])
            yield Finding(key, "left over", "translates no German text there is", stops=False)
    yield from _tongue_of_all(language, texts)


def ids_of(message: Message) -> tuple[str, ...]:
    return tuple(message.id) if isinstance(message.id, tuple | list) else (str(message.id),)


def strings_of(message: Message) -> tuple[str, ...]:
    text = message.string
    return tuple(map(str, text)) if isinstance(text, tuple | list) else (str(text or ""),)


def _header(language: Language, po: PoCatalog) -> Iterator[Finding]:
    right = PoCatalog(locale=language.locale)
    if (po.num_plurals, po.plural_expr) != (right.num_plurals, right.plural_expr):
        yield Finding(
            "Plural-Forms", "plural", f"is not that of the language: {right.plural_forms}"
        )


# -- rules about one text ---------------------------------------------------------------------

_Said = Iterator[tuple[str, str, bool]]


def _about(pair: _Pair) -> _Said:
    if not pair.text.strip():
        yield "missing", "is not translated", True
        return
    for rule in _RULES:
        yield from rule(pair)


def broken(source: str, text: str, *, formatted: bool = False) -> str | None:
    """Why `text` can stand for nothing at all, or None: what would break a page or turn what it
    says. `formatted`: slots are filled in by `%`."""
    if not text.strip():
        return "is not translated"
    if Counter(SLOT.findall(source)) != Counter(SLOT.findall(text)):
        return "has other slots than the German text"
    if formatted and "%" in re.sub(r"%%|%\([A-Za-z_]+\)[a-z]", "", text):
        return "has a percent sign that would be read as a slot; write %%"
    if not set(TAG.findall(text)) <= set(TAG.findall(source)):
        return "has markup the German text has not"
    if not set(_ENTITY.findall(text)) <= set(_ENTITY.findall(source)):
        return "has markup the German text has not"
    for character in "" if text.isprintable() else text:
        if character in "\u202a\u202b\u202c\u202d\u202e":
            return "holds a character that overrides the direction of writing"
        if character not in _ALLOWED_INVISIBLE and unicodedata.category(character) in ("Cc", "Cf"):
            return "holds an invisible control character"
    if len(text) > max(LONGEST, 5 * len(source)):
        return f"is {len(text)} characters long"
    return None


def _broken(pair: _Pair) -> _Said:
    says = broken(pair.source, pair.text, formatted=pair.formatted)
    if says is not None:
        rules = {"slot": "slot", "markup": "markup", "long": "length"}
        rule = next((name for word, name in rules.items() if word in says), "character")
        yield rule, says, True


def _lines(pair: _Pair) -> _Said:
    if pair.text.count("\n") > pair.source.count("\n"):
        yield "markup", "has more lines than the German text", True


def _digits(pair: _Pair) -> _Said:
    foreign = sorted(set(_OTHER_DIGIT.findall(pair.text)))
    if foreign:
        yield "digits", f"has other digits than 0 to 9: {' '.join(foreign)}", True
    # words may stand for a small number; a large one is a fact
    numbers = _numbers(pair.source)
    missing = Counter(numbers) - Counter(_numbers(pair.text)) if numbers else None
    if missing:
        yield "number", f"lacks the number {', '.join(missing)}", True


def _numbers(text: str) -> list[str]:
    """Numbers of two digits and more, without what separates thousands."""
    plain = re.sub(r"(?<=\d)[.,\u00a0\u202f ](?=\d{3}(?!\d))", "", SLOT.sub(" ", text))
    return re.findall(r"[0-9]{2,}", plain)


def _length(pair: _Pair) -> _Said:
    if len(pair.source) < SHORTEST_COMPARED or pair.language.level:
        return
    tongue = _tongue(pair.language)
    ratio = len(pair.text) / len(pair.source) / (tongue.dense if tongue else 1)
    if not RATIO[0] <= ratio <= RATIO[1]:
        much = "long" if ratio > 1 else "short"
        yield "length", f"is very {much} beside the German text", False


def _ending(pair: _Pair) -> _Said:
    ends = {".": ".。", "?": "?؟;", ":": ":", "!": "!"}
    last = pair.source.rstrip()[-1]
    if last in ends and pair.text.rstrip()[-1] not in ends[last]:
        yield "ending", f"does not end like the German text, with {last}", False


def _spacing(pair: _Pair) -> _Said:
    """Signs that a language sets apart by a space at which no line breaks, as French does."""
    tongue = _tongue(pair.language)
    if tongue is None or not tongue.apart:
        return
    text = TAG.sub("", SLOT.sub("x", _ENTITY.sub("x", pair.text)))
    signs = re.escape(tongue.apart.replace("«", ""))
    # not in the time of day, nor in the address of a page
    bare = re.findall(rf"(?<![\u00a0\u202f{signs}])[{signs}](?![0-9/])", text)
    bare += re.findall(r"«(?![\u00a0\u202f])", text) if "«" in tongue.apart else []
    if bare:
        yield "spacing", f"lacks the no-break space beside {' '.join(sorted(set(bare)))}", True


def _same(pair: _Pair) -> _Said:
    words = _WORD.findall(_without_slots(pair.source))
    if pair.text == pair.source and len(words) > 2 and not pair.language.level:
        yield "language", "is the German text", True


def _script(pair: _Pair) -> _Said:
    tongue = _tongue(pair.language)
    if tongue is None:
        return
    given = set(_WORD.findall(pair.source))
    for word in _WORD.findall(_without_slots(pair.text)):
        scripts = _scripts_of(word)
        if len(scripts) > 1:
            yield "script", f"mixes letters of two scripts in one word: {word}", True
        elif scripts - {tongue.script} and word not in given:
            yield "script", f"has a word of another script than its own: {word}", True
    # names keep the letters they have
    own = [c for w in _WORD.findall(_without_slots(pair.text)) if w not in given for c in w]
    never = sorted(set(own) & tongue.never)
    if never:
        yield "script", f"has letters its language does not write: {' '.join(never)}", True


def _reads_as(pair: _Pair) -> _Said:
    own = _tongue_tag(pair.language)
    hits = _hits(pair.text)
    if hits and not hits[own] and max(hits.values()) >= 3:
        yield "language", f"reads like {max(hits, key=hits.__getitem__)}", True


_RULES: tuple[Callable[[_Pair], _Said], ...] = (
    *(_broken, _lines, _digits, _length, _ending, _spacing, _same, _script, _reads_as),
)


def _without_slots(text: str) -> str:
    return TAG.sub(" ", _ENTITY.sub(" ", SLOT.sub(" ", text)))


# -- which language it is ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tongue:
    script: str
    dense: float
    apart: str
    never: frozenset[str]
    words: frozenset[str]


@lru_cache(maxsize=1)
def _tongues() -> Mapping[str, _Tongue]:
    table = tomllib.loads((locales_dir() / "tongues.toml").read_text("utf-8"))
    lists = {tag: set(row["words"].split()) for tag, row in table.items()}
    times = Counter(word for words in lists.values() for word in words)
    return {
        tag: _Tongue(
            row["script"],
            row.get("dense", 1),
            row.get("apart", ""),
            frozenset(c for c in row["never"] + row["never"].upper() if c != "S"),
            frozenset(word for word in lists[tag] if times[word] == 1),
        )
        for tag, row in table.items()
    }


def _tongue_tag(language: Language) -> str:
    return language.tag.partition("-")[0] if language.level else language.tag


def _tongue(language: Language) -> _Tongue | None:
    return _tongues().get(_tongue_tag(language))


@lru_cache(maxsize=16384)
def _scripts_of(word: str) -> frozenset[str]:
    return frozenset(unicodedata.name(c, "").partition(" ")[0] for c in word) - {""}


@lru_cache(maxsize=1)
def _owners() -> Mapping[str, str]:
    """Whose each word is that only one language has."""
    return {word: tag for tag, tongue in _tongues().items() for word in tongue.words}


def _hits(text: str) -> Counter[str]:
    """How many words of `text` only one language has, by language."""
    owners = _owners()
    found: Counter[str] = Counter()
    for word in _WORD.findall(_without_slots(text).lower()):
        if word in owners:
            found[owners[word]] += 1
    return found


def _tongue_of_all(language: Language, texts: Iterable[str]) -> Iterator[Finding]:
    """A catalog as a whole is in the language it says."""
    own = _tongue_tag(language)
    if own not in _tongues():
        yield Finding(
            "catalog", "language", "cannot be told: locales/tongues.toml has no words", stops=False
        )
        return
    hits = _hits(" ".join(texts))
    if sum(hits.values()) < 20:
        return
    most = max(hits, key=hits.__getitem__)
    if most != own:
        yield Finding("catalog", "language", f"reads like {most}, not like {own}")
