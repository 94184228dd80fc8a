"""A rendered fragment of HTML, read back: its lines, and the folded table row by row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from explainer.errors import TextDisagrees
from explainer.text.values import FIRST_STRONG_ISOLATE, LEFT_TO_RIGHT_ISOLATE, POP_ISOLATE

STAFF_NOTE = "| "
"""What stands before a note that only caseworkers read."""

_ELEMENTS = frozenset(
    {
        *("a", "address", "article", "bdi", "details", "div", "h2", "h3", "h4", "li", "p"),
        *("section", "span", "strong", "summary", "ul", "svg", "rect", "line"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    }
)
"""Those of the templates."""
_ATTRIBUTES = frozenset(
    {
        *("aria-hidden", "class", "data-l", "dir", "focusable", "height", "href", "hreflang"),
        *("lang", "preserveAspectRatio", "role", "scope", "vector-effect", "viewBox", "width"),
        *("x", "x1", "x2", "y", "y1", "y2"),
    }
)
"""Those of the templates as well: others hide words, or have others read aloud."""
_FIXED = {
    "aria-hidden": {"true"},
    "focusable": {"false"},
    "height": {"12", "16"},
    "preserveAspectRatio": {"none"},
    "role": {"cell", "columnheader", "list", "row", "rowgroup", "rowheader", "table"},
    "scope": {"col", "row"},
    "vector-effect": {"non-scaling-stroke"},
    "viewBox": {"0 0 200 20"},
    "x1": {"100"},
    "x2": {"100"},
    "y": {"2", "4"},
    "y1": {"0"},
    "y2": {"20"},
}
"""What they hold there: other values would draw a bar where nobody sees it."""
_CLASSES = frozenset(
    {
        *(
            "kern-icon",
            "kern-icon--info",
            "kern-icon--warning",
            "kern-link",
            "kern-table",
            "kern-table__body",
            "kern-table__cell",
            "kern-table__head",
            "kern-table__header",
        ),
        *("kern-table__row", "w-banner", "w-contact", "w-contact__line", "w-correct", "w-details"),
        *("w-german", "w-limits", "w-limits-box", "w-line", "w-missing", "w-notice"),
        *("w-notice--info", "w-notice--warning", "w-notice__text", "w-opening", "w-quoted"),
        *("w-quoted__heading", "w-reason", "w-reason__label", "w-reason__note"),
        *("w-reason__note--staff", "w-reason__provenance", "w-reason__strength"),
        *("w-reason__text", "w-reasons", "w-reasons--away", "w-reasons--towards"),
        *("w-reasons--unclear", "w-reasons__heading", "w-reasons__list", "w-rest"),
        *("w-suggestion", "w-text", "w-told", "w-told--applicant", "w-told--caseworker"),
        *("w-told__title", "w-warning", "xb", "xb-axis", "xb-caption", "xb-cell", "xb-con"),
        *("xb-end", "xb-end--con", "xb-end--pro", "xb-ends", "xb-ends-cell", "xb-pro"),
        *("xb-row--shown", "xb-shown", "xb-table", "xb-track"),
    }
)
"""Those of the templates too: the sheets have others that take words out of sight."""
_INLINE = frozenset({"bdi", "strong"})
"""They stand inside of a sentence."""
_LINES = frozenset({"rect", "line"})
_DRAWN = "svg"
_ICON = "kern-icon"
"""What may be hidden from reading aloud: drawings. Their words stand beside them."""
_BARS = {"xb-pro": 1, "xb-con": -1}
_AXIS = 100
_PIECES = re.compile(r"(<[^>]*>)")
_TAG = re.compile(
    r"<(/?)([a-z][a-z0-9]*)"
    # what stands for a sign that has a meaning in markup, as `_REFERENCES` has it
    r"((?: [A-Za-z0-9-]+=(?:\"(?:[^\"<>&]|&(?:amp|lt|gt|quot|#34|#39);)*\"|'ltr'))*)(/?)>"
)
_ATTRIBUTE = re.compile(r" ([A-Za-z0-9-]+)=[\"']([^\"']*)[\"']")
_REFERENCE = re.compile("&(#?[A-Za-z0-9]*;?)")
_REFERENCES = {"amp;": "&", "lt;": "<", "gt;": ">", "quot;": '"', "#34;": '"', "#39;": "'"}
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Nobody sees them, some change the direction of what stands beside them."""


@dataclass(frozen=True, slots=True)
class _Tag:
    """A tag of the templates, looked at once."""

    name: str
    opens: bool
    """False where it closes an element; both of one that closes itself."""
    closes: bool
    given: Mapping[str, str]
    inline: str | None
    """The mark it stands for inside of a line; None where a line ends."""
    steps: bool
    """Whether lines go elsewhere from here on."""
    draws: bool
    staff: bool
    """Whether a note begins that only caseworkers read."""
    icon: bool
    """Whether a sheet draws something here; it holds nothing."""
    lang: str | None


class Fragment:
    """The lines of an HTML fragment, those of the folded table apart, and its bars.

    Only tags as the templates write them are read. What browsers would have to mend first is not
    ours, nor are elements, attributes or classes no template has, as some of them hide words, nor
    words in a drawing. `<bdi>` is read as the Unicode isolate it stands for.

    Attributes
    ----------
    lines : what is read, in order; a note for caseworkers begins with STAFF_NOTE
    heads : what stands in the folded part outside of the rows of its table
    rows : the lines of each row of that table
    bars : widths by number of the row, below 0 on the side away from the suggestion
    named : what a narrow screen calls the cells of those rows, in their order
    lang, dir : of the whole

    Raises TextDisagrees.
    """

    def __init__(self, body: str) -> None:
        self.lines: list[str] = []
        self.heads: list[str] = []
        self.rows: list[list[str]] = []
        self.bars: dict[int, int] = {}
        self.named: list[str] = []
        self.lang = self.dir = ""
        self._open: list[str] = []
        to, line, drawing, opened = self.lines, "", False, self._open
        pieces = _PIECES.split(body)
        if pieces[-1].strip():
            raise disagrees("markup that is not whole")
        for words, piece in zip(pieces[::2], pieces[1::2], strict=False):
            if words and (line or not words.isspace()):
                if drawing:
                    raise disagrees("words in a drawing")
                line += _text(words)
            tag = _tag(piece)
            name = tag.name
            if not tag.opens:
                if not opened or opened.pop() != name:
                    raise disagrees("markup that is not whole")
            elif not tag.closes:
                opened.append(name)
            if drawing and name == "span" and not tag.opens:
                drawing = False
                continue
            if tag.inline is not None:
                line += tag.inline
                continue
            if line:
                to.append(" ".join(line.split()))
                line = ""
            if drawing and tag.opens and not tag.draws:
                raise disagrees(f"an element {name}")
            if tag.icon:
                drawing = True
            elif tag.steps:
                to = self._step(tag)
                drawing = name == "svg" and tag.opens
            elif drawing is not tag.draws:
                raise disagrees(f"an element {name}")
            elif drawing:
                self._bar(tag.given)
            elif tag.staff:
                line = STAFF_NOTE
            if not opened and name != "article":
                raise disagrees("markup that is not whole")
            if "data-l" in tag.given:
                self.named.append(" ".join(_text(tag.given["data-l"]).split()))
            if tag.lang not in (None, self.lang):
                raise disagrees("words of another language")
        if opened:
            raise disagrees("markup that is not whole")

    def _step(self, tag: _Tag) -> list[str]:
        """Where the lines go from here on."""
        if tag.name == "article" and tag.opens:
            if self.lang or len(self._open) > 1:
                raise disagrees("markup that no template has")
            self.lang, self.dir = tag.given.get("lang", ""), tag.given.get("dir", "")
        if "details" not in self._open:
            return self.lines
        if tag.name == "tr" and tag.opens:
            self.rows.append([])
        return self.rows[-1] if "tr" in self._open else self.heads

    def _bar(self, given: Mapping[str, str]) -> None:
        if given.get("class") not in _BARS:
            return
        width, at = given.get("width", ""), len(self.rows) - 1
        if not (width.isascii() and width.isdecimal() and len(width) <= 3) or at in self.bars:
            raise disagrees("another bar in the table")
        bar = _BARS[given["class"]] * int(width)
        # above nought it begins at the axis, below it ends there
        if given.get("x") != str(_AXIS + min(bar, 0)):
            raise disagrees("another bar in the table")
        self.bars[at] = bar


_STEPS = frozenset({"article", "details", "tr", "svg"})
"""Elements after which lines go elsewhere."""


def _text(piece: str) -> str:
    """Words between two tags, with what was written for them where markup has a meaning."""
    if not piece.isprintable() and UNSEEN.search(piece):
        raise disagrees("characters that nobody sees")
    if "<" in piece or ">" in piece:
        _foreign()
    if "&" not in piece:
        return piece
    return _REFERENCE.sub(lambda found: _REFERENCES.get(found[1]) or _foreign(), piece)


@lru_cache(maxsize=2_048)
def _tag(piece: str) -> _Tag:
    parts = _TAG.fullmatch(piece)
    if parts is None:
        _foreign()
    end, name, attributes, empty = parts.groups()
    pairs = _ATTRIBUTE.findall(attributes)
    given = dict(pairs)
    if name not in _ELEMENTS or bool(empty) is not (name in _LINES) or (end and (empty or pairs)):
        raise disagrees(f"an element {name}")
    if len(given) != len(pairs) or not _ATTRIBUTES.issuperset(given):
        raise disagrees("words that are hidden")
    icon = name == "span" and _ICON in given.get("class", "").split()
    if "aria-hidden" in given and not (name == _DRAWN or icon):
        raise disagrees("words that are hidden")
    if any(given[at] not in held for at, held in _FIXED.items() if at in given):
        raise disagrees("a drawing or a role that no template has")
    if not _CLASSES.issuperset(given.get("class", "").split()):
        raise disagrees("words that may be hidden")
    if name != "article" and "dir" in given and (name, given["dir"]) != ("bdi", "ltr"):
        raise disagrees("words in another direction")
    inline = None
    if name in _INLINE:
        inline = ""
        if name == "bdi":
            opening = LEFT_TO_RIGHT_ISOLATE if given else FIRST_STRONG_ISOLATE
            inline = POP_ISOLATE if end else opening
    return _Tag(
        name,
        opens=not end,
        closes=bool(end or empty),
        given=given,
        inline=inline,
        steps=name in _STEPS,
        draws=name in _LINES,
        staff=given.get("class", "").endswith("--staff"),
        icon=icon,
        lang=given.get("lang"),
    )


def _foreign(*_: str) -> NoReturn:
    raise disagrees("markup that no template has")


def disagrees(what: str) -> TextDisagrees:
    """What the check raises: the words of a page, and where they are not those of the numbers."""
    return TextDisagrees(
        f"The rendered text does not say what the numbers say: {what}.",
        "text",
        "The explanation is withheld; have the package's wording checked.",
    )
