"""A rendered fragment of HTML, read back: its words, those of the folded table apart, its bars."""

from __future__ import annotations

from functools import lru_cache
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
_HIDING = ("hidden", "style")
_DRAWN = ("svg", "span")
"""What may be hidden from reading aloud: drawings, whose words stand beside them."""
_BARS = {"xb-pro": 1, "xb-con": -1}
_AXIS = 100


class Fragment:
    """The words of an HTML fragment, those of the folded table apart, and its bars.

    Read as XML: a fragment that browsers would have to mend first is not ours. So are elements
    no template has, as some of them hide their words.

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
        self._to = self.words
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

    def _start(self, tag: str, given: dict[str, str]) -> None:
        if tag not in _ELEMENTS:
            raise disagrees(f"an element {tag}")
        for name in map(str.lower, given):
            if name in _HIDING or (name == "aria-hidden" and tag not in _DRAWN):
                raise disagrees("words that are hidden")
        if tag == "details":
            self._fold(1)
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
        if tag != "bdi":
            self._to.append("\n")

    def _fold(self, deeper: int) -> None:
        self._depth += deeper
        self._to = self.folded if self._depth else self.words
        self._parser.CharacterDataHandler = self._to.append


def _foreign(*_: str) -> None:
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
