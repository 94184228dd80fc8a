"""A rendered plain text, read back: its lines, and the table at its end row by row."""

from __future__ import annotations

import re

from explainer.text.fragment import UNSEEN, disagrees
from explainer.text.phrases import Frame
from explainer.text.read_values import plain
from explainer.text.values import FIRST_STRONG_ISOLATE, LEFT_TO_RIGHT_ISOLATE, POP_ISOLATE

_ISOLATES = dict.fromkeys(map(ord, (FIRST_STRONG_ISOLATE, LEFT_TO_RIGHT_ISOLATE, POP_ISOLATE)), " ")

_GOES_ON = re.compile(r" \n *(?=\S)")


class PlainText:
    """The lines of a text without the marks of its lists, and the rows of its table.

    Attributes are those of Fragment; a text has no bars.

    Raises TextDisagrees for characters that nobody sees.
    """

    def __init__(self, body: str, known: Frame) -> None:
        if UNSEEN.search(body.translate(_ISOLATES) if known.isolated else body):
            raise disagrees("characters that nobody sees")
        if known.leveled:
            # a line that ends with a space goes on in the next one: see level.py
            body = _GOES_ON.sub(" ", body)
        self.lines = [line for line in map(_bare, body.split("\n")) if line]
        self.heads: list[str] = []
        self.rows: list[list[str]] = []
        if known.staff and known.table in self.lines:
            at = self.lines.index(known.table)
            self.heads = self.lines[at : at + 2]
            self.rows = [_cells(line, known) for line in self.lines[at + 2 :]]
            self.lines = self.lines[:at]


def _bare(line: str) -> str:
    text = plain(line)
    return text[2:] if line.startswith("- ") else text


def _cells(line: str, known: Frame) -> list[str]:
    """Label, value and effect, and whether it is one of the reasons above."""
    above = known.frame["above"]
    row = line.removesuffix(f". {above}")
    rest, _, effect = row.rpartition(" – ")
    labels = (label for label in known.labels if rest.startswith(f"{label}: "))
    label = max(labels, key=len, default="")
    cells = [label, rest[len(label) + 2 :], effect]
    return cells if row == line else [*cells, above]
