"""A rendered fragment of HTML, read back: its words, those of the folded table apart, its bars."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NoReturn
from xml.parsers import expat  # no entity can be declared in what it gets

from explainer.errors import TextDisagrees

_ELEMENTS = frozenset(
    {
        *("a", "address", "article", "bdi", "details", "div", "h2", "h3", "h4", "li", "p"),
        *("section", "span", "summary", "ul", "svg", "rect", "line"),
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
_LINES = ("rect", "line")
_OTHERWISE = re.compile(rf"<(?!(?:{'|'.join(_LINES)})\b)[^<]*/>|&#(?!3[49];)")
"""Closed for XML and open for browsers; numbers that stand for other characters there."""
_DRAWN = ("svg", "span")
"""What may be hidden from reading aloud: drawings, whose words stand beside them."""
_BARS = {"xb-pro": 1, "xb-con": -1}
_AXIS = 100


class Fragment:
    """The words of an HTML fragment, those of the folded table apart, and its bars.

    Read as XML: a fragment that browsers would have to mend first is not ours. Nor is one with
    elements or attributes no template has, as some of them hide words, or with words in a drawing.

    Attributes
    ----------
    words, folded : what is read, in order, with a line feed at the edges of elements
    bars : widths of the bars of the table, below 0 on the side away from the suggestion

    Raises TextDisagrees.
    """

    def __init__(self, body: str) -> None:
        self.words: list[str] = []
        self.folded: list[str] = []
        self.bars: list[int] = []
        self._depth = 0
        self._drawing = False
        self._in_drawings: list[str] = []
        self._to = self.words
        if _OTHERWISE.search(body):
            _foreign()
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._to.append
        # all three are read in another way in HTML
        parser.CommentHandler = parser.StartCdataSectionHandler = _foreign
        parser.ProcessingInstructionHandler = _foreign
        try:
            # one root around it, so that nothing can be declared in front
            for part, last in (("<div>", False), (body, False), ("</div>", True)):
                parser.Parse(part, last)
        except expat.ExpatError:
            raise disagrees("markup that is not whole") from None
        finally:
            del self._parser  # it refers back to us
        if "".join(self._in_drawings).strip():
            raise disagrees("words in a drawing")

    def _start(self, tag: str, given: dict[str, str]) -> None:
        if tag not in _ELEMENTS or (tag in _LINES) is not self._drawing:
            raise disagrees(f"an element {tag}")
        if not _ATTRIBUTES.issuperset(given) or ("aria-hidden" in given and tag not in _DRAWN):
            raise disagrees("words that are hidden")
        if tag == "details":
            self._fold(1)
        if tag == "svg":
            self._draw(True)
        if tag == "rect" and given.get("class") in _BARS:
            width = given.get("width", "")
            if not (width.isascii() and width.isdecimal() and len(width) <= 3):
                raise disagrees("another bar in the table")
            bar = _BARS[given["class"]] * int(width)
            # above nought it begins at the axis, below it ends there
            if given.get("x") != str(_AXIS + min(bar, 0)):
                raise disagrees("another bar in the table")
            self.bars.append(bar)
        if tag != "bdi":
            self._to.append("\n")

    def _end(self, tag: str) -> None:
        if tag == "details":
            self._fold(-1)
        if tag == "svg":
            self._draw(False)
        if tag != "bdi":
            self._to.append("\n")

    def _fold(self, deeper: int) -> None:
        self._depth += deeper
        self._read_on()

    def _draw(self, drawing: bool) -> None:
        self._drawing = drawing
        self._read_on()

    def _read_on(self) -> None:
        self._to = self.folded if self._depth else self.words
        if self._drawing:
            self._to = self._in_drawings
        self._parser.CharacterDataHandler = self._to.append


def _foreign(*_: str) -> NoReturn:
    raise disagrees("markup that no template has")


@lru_cache(maxsize=2)
def read_fragment(body: str) -> Fragment:
    """Read once for both checks."""
    return Fragment(body)


def disagrees(what: str) -> TextDisagrees:
    return TextDisagrees(
        f"The rendered text does not say what the numbers say: {what}.",
        "text",
        "The explanation is withheld; have the package's wording checked.",
    )
