"""The rules by which reasons are chosen, each with a table of input and expected output.

These tables are tested as they stand (test_how_reasons_are_chosen.py) and are the page
`docs/how-reasons-are-chosen.md`: the page cannot say what the program does not do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explainer.core.attribution import Task

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-reasons-are-chosen.md"

# Pieces of information in the tables are called A, B, C … in the order of the catalogue. An
# amount is how far one moved the score; above 0 it points to the suggested side.


@dataclass(frozen=True)
class Row:
    """One line of a table: what goes in, and what must come out."""

    moved: dict[str, float]
    expect: Any
    says: str = ""
    unstable: tuple[str, ...] = ()
    facts: dict[str, float] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    turns: bool = True
    """Whether the same holds with every sign turned."""
    task: Task = Task.BINARY


@dataclass(frozen=True)
class Rule:
    """One rule in words, the column that is expected, and its table."""

    id: str
    title: str
    words: str
    expected: str
    rows: tuple[Row, ...]


# the line far away and most of the comparison group on the other side, so that the opening rows
# "close" and "usual" do not apply where another rule is shown
FAR = {"base": 5.0}

# an amount has the mean of the comparison group in the place of a line
MEAN = {"base": 0.0}
SEVERAL, AN_AMOUNT = Task.MULTICLASS, Task.AMOUNT
_TASKS = {SEVERAL: "several outcomes", AN_AMOUNT: "an amount"}

RULES = (
    Rule(
        "R1",
        "Order",
        "Pieces of information stand in the order of their influence, the largest first, whichever "
        "way they point. Two of the same size stand in the order of the catalogue. Nothing is "
        "drawn at random.",
        "ranks",
        (
            Row({"A": 1.0, "B": 3.0, "C": 2.0}, "B C A"),
            Row({"A": 1.0, "B": -3.0, "C": 2.0}, "B C A", "The way it points does not count."),
            Row({"A": 2.0, "B": -2.0, "C": 2.0}, "A B C", "Equal: the order of the catalogue."),
            Row({"C": 2.0, "B": 2.0, "A": 2.0}, "C B A", "Equal: another catalogue."),
            Row({"A": 0.0, "B": 0.0, "C": 1.0}, "C A B"),
        ),
    ),
    Rule(
        "R2",
        "Share",
        "What is compared is never the raw number but its share: the size of one movement divided "
        "by the sum of the sizes of all. Shares are rounded to thousandths, halves to the even "
        "neighbour, before anything is compared with them. So the last bit of a computation "
        "cannot decide which word a person reads. Where nothing moved, every share is 0.",
        "share of A",
        (
            Row({"A": 1.0, "B": 3.0}, 250),
            Row({"A": -1.0, "B": 3.0}, 250),
            Row({"A": 399.5, "B": 600.5}, 400, "Half: to the even neighbour, here up."),
            Row({"A": 398.5, "B": 601.5}, 398, "Half: to the even neighbour, here down."),
            Row({"A": 49.5, "B": 950.5}, 50),
            Row({"A": 0.0, "B": 0.0}, 0),
        ),
    ),
    Rule(
        "R3",
        "Direction",
        "The comparison group is drawn again 30 times. If a movement points the same way in fewer "
        "than 27 of them, its direction is a matter of chance. From a share of 0.15 on it is told "
        "all the same, without a direction, also where enough was said without it; below, it "
        "belongs to the rest. It does not count towards the most that may be told for one side, "
        "but no more are told in all than R5 says, and the other side (R6) goes before it.",
        "reasons",
        (
            Row({"A": 4.0, "B": 6.0}, "B+ A?", unstable=("A",)),
            Row(
                {"A": 150.0, "B": 850.0},
                "B+ A?",
                "Exactly 0.15.",
                ("A",),
                policy={"coverage": 1000},
            ),
            Row(
                {"A": 149.0, "B": 851.0},
                "B+",
                "Just below: the rest.",
                ("A",),
                policy={"coverage": 1000},
            ),
            Row({"A": -4.0, "B": 6.0}, "B+ A?", "It never says which way.", ("A",)),
            Row({"A": 4.0, "B": 4.0, "C": 4.0, "D": 4.0}, "A? B+ C+ D+", unstable=("A",)),
            Row(
                {"A": 45, "B": 37, "C": 18},
                "A+ B+ C?",
                "0.80 is reached with two.",
                unstable=("C",),
            ),
            Row({"A": 46, "B": 40, "C": 14}, "A+ B+", "Just below: the rest.", unstable=("C",)),
            Row(
                {"A": 30, "B": 20, "C": 18, "D": -12},
                "A+ B+ D-",
                "Three in all: the other side goes before it.",
                unstable=("C",),
                policy={"cap": 3},
            ),
            Row(
                {"A": 20, "B": 18, "C": -17, "D": -16, "E": 15},
                "A+ B+ C- D-",
                "Four in all.",
                unstable=("E",),
            ),
        ),
    ),
    Rule(
        "R4",
        "Strength",
        "From a share of 0.40 on an influence is called very large, from 0.15 large, from 0.05 "
        "small. What is below is no reason; in the table for caseworkers it is said to have hardly "
        "any influence, and one that moved nothing to have none. Where all movements together are "
        "less than a tenth of the spread of the comparison group, each is called small: a large "
        "share of almost nothing must not sound large.",
        "strength of A",
        (
            Row({"A": 400.0, "B": 600.0}, "very_large"),
            Row({"A": 399.0, "B": 601.0}, "large"),
            Row({"A": 399.5, "B": 600.5}, "very_large", "Rounded before it is compared."),
            Row({"A": 150.0, "B": 850.0}, "large"),
            Row({"A": 149.0, "B": 851.0}, "small"),
            Row({"A": 50.0, "B": 950.0}, "small"),
            Row({"A": 49.0, "B": 951.0}, "hardly"),
            Row({"A": 0.0, "B": 1.0}, "none"),
            Row({"A": -400.0, "B": 600.0}, "very_large"),
            Row({"A": 0.05, "B": 0.02}, "small", "All together under a tenth of the spread."),
            Row({"A": 0.07, "B": 0.03}, "very_large", "Exactly a tenth: as always."),
            Row({"A": 0.001, "B": 0.06}, "hardly", "Under the floor it stays."),
        ),
    ),
    Rule(
        "R5",
        "How many",
        "The strongest are told first, until together they reach a share of 0.80 or four are told. "
        "At most three point towards the suggestion and at most two away from it; one that would "
        "be over is passed by, and the next is looked at. Two are told at least where two reach a "
        "share of 0.05, which is the floor: below it nothing is a reason. A package may state "
        "other numbers; they are the same for every language and every reader.",
        "reasons",
        (
            Row({"A": 50.0, "B": 30.0, "C": 20.0}, "A+ B+", "0.80 is reached with two."),
            Row({"A": 50.0, "B": 29.0, "C": 21.0}, "A+ B+ C+"),
            Row({"A": 90.0, "B": 6.0, "C": 4.0}, "A+ B+", "Enough with one, yet two are told."),
            Row({"A": 96.0, "B": 4.0}, "A+", "The second is under the floor."),
            Row({"A": 950.0, "B": 50.0}, "A+ B+", "Exactly the floor."),
            Row({"A": 1.0, "B": 0.0}, "A+", "What moved nothing is never named."),
            Row({"A": 0.0, "B": 0.0}, "", "Nothing moved: no reason."),
            Row({"A": 30, "B": 25, "C": 25, "D": 20}, "A+ B+ C+", "At most three towards it."),
            Row(
                {"A": 40, "B": -15, "C": -15, "D": -15, "E": 15},
                "A+ B- C- E+",
                "At most two away from it.",
            ),
            Row(
                {"A": 25, "B": 20, "C": 19, "D": 18, "E": -9, "F": 9},
                "A+ B+ C+ E-",
                "D is passed by; E is looked at.",
            ),
            Row({"A": 30, "B": -20, "C": 18, "D": -16, "E": 16}, "A+ B- C+ D-", "Four in all."),
            Row({"A": 30, "B": 25, "C": 25, "D": 20}, "A+ B+", policy={"cap": 2, "cap_towards": 2}),
        ),
    ),
    Rule(
        "R6",
        "The other side is heard",
        "If nothing that points away from the suggestion was chosen, the strongest that does and "
        "has a share of 0.10 is told as well. If four are told already, it takes the place of the "
        "last.",
        "reasons",
        (
            Row({"A": 50, "B": 40, "C": -10}, "A+ B+ C-", "Exactly 0.10."),
            Row({"A": 501, "B": 400, "C": -99}, "A+ B+", "Just below."),
            Row({"A": 45, "B": 35, "C": -10, "D": -10}, "A+ B+ C-", "The strongest of them."),
            Row(
                {"A": 30, "B": 22, "C": 20, "D": 17, "E": -11},
                "A+ B+ C+ E-",
            ),
            Row(
                {"A": 26, "B": 22, "C": 21, "D": 20, "E": -11},
                "A+ B? C+ E-",
                "It takes the place of D, the last of four.",
                ("B",),
            ),
            Row({"A": 50, "B": 40, "C": -10}, "A+ B+", "No clear direction: not heard.", ("C",)),
            Row({"A": 60, "B": -30, "C": -10}, "A+ B-", "It was heard already."),
        ),
    ),
    Rule(
        "R7",
        "The rest",
        "What is not named is always told together, as one sentence that is true: no influence, "
        "little (under 0.10), some (under 0.30), or much. No person is left to think that the "
        "reasons named were all there was.",
        "rest",
        (
            Row({"A": 60.0, "B": 40.0}, "none"),
            Row({"A": 60.0, "B": 40.0, "C": 0.0}, "none"),
            Row({"A": 6000.0, "B": 3997.0, "C": 3.0}, "none", "Less than half a thousandth."),
            Row({"A": 600.0, "B": 399.0, "C": 1.0}, "little"),
            Row({"A": 601.0, "B": 300.0, "C": 49.0, "D": 50.0}, "little", "0.099."),
            Row({"A": 600.0, "B": 300.0, "C": 50.0, "D": 50.0}, "some", "0.100."),
            Row({"A": 300, "B": 201, "C": 200, "D": 199, "E": 100}, "some", "0.299."),
            Row({"A": 300, "B": 200, "C": 200, "D": 199, "E": 101}, "much", "0.300."),
        ),
    ),
    Rule(
        "R8",
        "The first line",
        "The shape of the case is said first. The first row that fits is taken. Close: the score "
        "is within a tenth of the spread of the line; of several outcomes, of the score of the "
        "runner-up; never of an amount, which has no line. Flat: all movements together are less "
        "than that. Usual: the movements point away from the suggestion, which more than half of "
        "the comparison group get too; never of an amount, which is higher or lower by just what "
        "moved it. Mixed: on both sides something has a share of 0.25. Spread: nothing has a share "
        "of 0.15. Clear: everything else.",
        "opening",
        (
            Row({"A": 1.0}, "close", facts={"base": -1.05}),
            Row({"A": 0.1}, "close", "Exactly a tenth of the spread.", facts={"base": 0.0}),
            Row({"A": 1.0}, "clear", "Just beyond.", facts={"base": -0.89}),
            Row({"A": 0.05}, "close", "Close comes before flat.", facts={"base": 0.0}),
            Row({"A": 1.0}, "close", "To the runner-up.", facts={"base": -1.05}, task=SEVERAL),
            Row({"A": 0.1}, "clear", "Nothing is near a line.", facts=MEAN, task=AN_AMOUNT),
            Row({"A": 0.05}, "flat", facts=MEAN, task=AN_AMOUNT),
            Row({"A": 0.05, "B": 0.04}, "flat", facts=FAR),
            Row({"A": 0.1}, "clear", "Exactly a tenth is not flat.", facts=FAR),
            Row({"A": 0.0}, "flat", "Nothing moved.", facts=FAR),
            Row({"A": -3.0, "B": 1.0}, "usual", facts={"base": 5.0, "share_above": 0.51}),
            Row(
                {"A": -3.0, "B": 1.0},
                "usual",
                "More than half get this one of several.",
                facts={"base": 5.0, "share_above": 0.51},
                turns=False,
                task=SEVERAL,
            ),
            Row(
                {"A": -3.0, "B": 1.0},
                "mixed",
                "Just half get the same.",
                facts={"base": 5.0, "share_above": 0.5},
            ),
            Row({"A": 3.0, "B": -2.0}, "mixed", facts={"share_above": 0.9}),
            Row(
                {"A": 3.0, "B": -3.0},
                "mixed",
                "Together they point nowhere.",
                facts={"base": 5.0, "share_above": 0.9},
            ),
            Row({"A": 3.0, "B": -1.0}, "mixed", "Exactly 0.25.", facts=FAR),
            Row({"A": 751.0, "B": -249.0}, "clear", "Just below.", facts=FAR),
            Row({"A": 3.0, "B": -1.0}, "clear", "No clear direction.", ("B",), FAR),
            Row(dict.fromkeys("ABCDEFG", 1.0), "spread", facts=FAR),
            Row(
                {"A": 15.0, "B": 14, "C": 14, "D": 14, "E": 14, "F": 14, "G": 15},
                "clear",
                facts=FAR,
            ),
        ),
    ),
    Rule(
        "R9",
        "The largest",
        "Only one reason may be called the largest, and only where its share is 0.10 ahead of the "
        "next and its direction is clear. Where all movements together are less than a tenth of "
        "the spread, nothing had a large influence, and nothing is called the largest.",
        "the largest",
        (
            Row({"A": 55.0, "B": 45.0}, "A"),
            Row({"A": 549.0, "B": 451.0}, "", "0.098 ahead."),
            Row({"A": 5.0, "B": 5.0}, ""),
            Row({"A": 1.0}, "A", "There is no next."),
            Row({"A": 55.0, "B": 45.0}, "", "No clear direction.", ("A",)),
            Row({"A": 60.0, "B": -40.0}, "A", "The way the next points does not count."),
            Row({"A": 0.06, "B": 0.03}, "", "All together under a tenth of the spread."),
            Row({"A": 0.06, "B": 0.04}, "A", "Exactly a tenth: as always."),
        ),
    ),
    Rule(
        "R10",
        "What decided",
        "Caseworkers are told where a single reason carries the case over the line: it points "
        "towards the suggestion, its direction is clear, and without its movement the case would "
        "lie on the other side. A score exactly on the line belongs to the upper side. Of several "
        "outcomes: without its movement the runner-up would be ahead. Of an amount nothing "
        "decides: there is no line. Applicants are not told, because they would read it as a "
        "promise.",
        "decided",
        (
            Row({"A": 2.0, "B": 1.0}, "A", facts={"base": -1.5}),
            Row(
                {"A": 2.0, "B": 1.0},
                "",
                "It would lie on the line, which belongs to this side.",
                facts={"base": -1.0},
                turns=False,
            ),
            Row(
                {"A": -2.0, "B": -1.0},
                "A",
                "It would lie on the line, which belongs to the other side.",
                facts={"base": 1.0},
                turns=False,
            ),
            Row({"A": 2.0, "B": 1.0}, "", facts={"base": -0.5}),
            Row({"A": 2.0, "B": 2.0}, "A B", "Each of two.", facts={"base": -3.0}),
            Row({"A": 2.0, "B": -1.0}, "A", "Never one that points away.", facts={"base": -0.5}),
            Row({"A": 2.0, "B": 1.0}, "", "No clear direction.", ("A",), {"base": -1.5}),
            Row({"A": 2.0, "B": 1.0}, "A", facts={"base": -1.5}, task=SEVERAL),
            Row(
                {"A": 2.0, "B": -1.0}, "", "No line to be carried over.", facts=MEAN, task=AN_AMOUNT
            ),
        ),
    ),
)

INTRODUCTION = """\
<!-- Made from tests/spec/reasons_page.py by `python tests/spec/write_page.py`, and compared with \
it by every test run. Changes here are overwritten. -->

# How reasons are chosen

A model gives a score; the score moves away from the mean of a comparison group, and every piece
of information has its part in that movement. Those parts are exact and add up to the model's own
score, or nothing is shown at all. This page says which of them a person is told as reasons, in
which order and in which words. It happens before any language: readers of German, English and
Arabic are told the same reasons, in the same order, with the same strength.

Each rule has a table. It is run as a test on every change, against the code that serves people.

How to read the tables: pieces of information are called A, B, C … in the order of the catalogue.
*Moved* says how far each moved the score; above 0 it points towards the suggestion. In the last
column `A+` is a reason that points towards the suggestion, `A-` one that points away from it, and
`A?` one without a clear direction. Shares stand in thousandths. Unless a row says otherwise, the
spread of the comparison group (the margin scale) is 1, the line is at 0, and the comparison group
has its mean at 0.

Most packages suggest one of two outcomes. Where there are more, the score is how far the
suggested outcome is ahead of the one that comes second, and both are named: what points away from
the suggestion points towards the second. Where the suggestion is an amount, there is no line: it
is said to be higher or lower than the mean of the comparison group, and reasons point to a higher
or a lower amount. The rules are the same; where one of them speaks of the line, it says what
holds instead.
"""

LIMITS = """\
## When the program knows too little

Three limits are told beside a suggestion (`explainer/families/limits.py`; a package may state
other numbers in `[limits]`). *Few*: a value with a share of 0.05 lies outside what the model was
trained on, or few applications of the comparison group are comparable with this one. *Many
missing*: values that were missing have a share of 0.30 together. *Stale*: the day until which the
package is meant to be used has passed. Where three values lie outside what the model was trained
on, there is no suggestion.

An application of the comparison group is comparable if it agrees with the case in information
that has at least half of the total movement: a similarity weighted by what moved this very case
(Gower 1971). Two values agree if they are the same choice, both missing, or numbers no further
apart than a quarter of the distance from the 10th to the 90th percentile of the group. Few are
fewer than 30 and fewer than one in 50: the comparison group is a sample, and one in 50 of 300
rows stands for more applications than six. Where the rows have weights, one in 50 goes by weight. A
package that states `comparable_rows` means rows, as they are.

| Package | Recorded cases | Told | Rows of its own comparison group | Told |
|---|---|---|---|---|
| `unemployment_benefit` | 60 | 0 | 300 | 3 |
| `mortgage_guarantee` | 72 | 6 | 300 | 7 |

The recorded cases of both packages hold unusual ones on purpose. A stricter measure would say it
of ordinary applications: for more than half of the recorded cases of either package, fewer than
30 rows agree in both of the two strongest reasons.
"""

CODE = """\
The rules stand in `explainer/core/reasons.py`, with the same numbers. What an applicant and
what a caseworker may see of the result is another matter, and stands in
`explainer/core/disclosure.py`.
"""


def page() -> str:
    """The whole page, as it must stand in docs/."""
    parts = [INTRODUCTION]
    parts += [
        f"## {rule.id}. {rule.title}\n\n{_wrapped(rule.words)}\n\n{_table(rule)}" for rule in RULES
    ]
    parts.append(LIMITS)
    parts.append("## Where this stands in the code\n\n" + CODE)
    return "\n".join(parts)


def _wrapped(words: str, width: int = 98) -> str:
    lines, line = [], ""
    for word in words.split():
        if len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join([*lines, line])


def _table(rule: Rule) -> str:
    lines = [f"| Moved | Besides | {rule.expected} | |", "|---|---|---|---|"]
    for row in rule.rows:
        moved = " · ".join(f"{name} {amount:g}" for name, amount in row.moved.items())
        besides = [_TASKS[row.task]] if row.task in _TASKS else []
        besides += [f"{name} not stable" for name in row.unstable]
        besides += [f"{_FACTS[name]} {value:g}" for name, value in row.facts.items()]
        besides += [f"{_POLICY[name]} {value:g}" for name, value in row.policy.items()]
        expect = f"`{row.expect}`" if row.expect != "" else "–"
        lines.append(f"| {moved} | {', '.join(besides)} | {expect} | {row.says} |")
    return "\n".join(lines) + "\n"


_FACTS = {"base": "mean", "share_above": "share of the group on the same side"}
_POLICY = {"coverage": "enough at", "cap": "at most", "cap_towards": "at most towards"}
