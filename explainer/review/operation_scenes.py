"""The page of whoever runs the service, in the situations in which it says something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from explainer.review.marked import numbers
from explainer.review.scenes import SOMETHING, Filled, Scene
from explainer.text.languages import Language

Number = tuple[int, str]
"""A number for the plural, and as it is written."""

ONE, SOME = (1, "1"), (2, "2")
_POINTS = (
    *(
        "broken",
        "unread",
        "lost_keys",
        "alarm",
        "unsealed",
        "late",
        "refused",
        "process",
        "unapproved",
    ),
    *("stale", "wording", "trying", "language", "lapsed", "finding", "tables"),
)
_UNREAD = {"said": None}


def operation_scenes(language: Language) -> Iterator[Scene]:
    """All is well; something is wrong, once, twice and as often as each other plural form of
    `language` needs; nothing can be read."""
    yield _scene(_well())
    for number in dict.fromkeys((ONE, SOME, *counted(language))):
        yield _scene({**_well(), **_wrong(number)})
    parts = ("packages", "logs", "languages_table", "examined", "database", "retention", "versions")
    yield _scene({**_well(), **dict.fromkeys(parts, _UNREAD)})
    nought = (0, "0")
    empty = Filled(_log(SOME), entries=nought, sealed=nought, witnesses=[_witness(SOME)])
    yield _scene({**_well(), "packages": [], "logs": [empty]})


def counted(language: Language) -> list[Number]:
    """A number for each plural form of `language` that stands with more than nought."""
    return [(number, str(number)) for number in numbers(language).values() if number]


def _scene(context: Mapping[str, Any]) -> Scene:
    return Scene("staff/operation.html", {"now": SOMETHING, **context}, "operator")


def _well() -> dict[str, Any]:
    witness = Filled(_witness(SOME), all=True, fault=None)
    return {
        "points": [],
        "broken": None,
        "packages": [_package(state="in_force", approved=True, number=SOME)],
        "logs": [Filled(_log(SOME), unsealed_since="", witnesses=[witness])],
        "languages_table": [
            Filled(tag=SOMETHING, dir="ltr", off="", lapsed=False, fault=None, status=status)
            for status in ("source", "reviewed", "unreviewed", "draft")
        ],
        "examined": [Filled(well=True)],
        "database": {
            "postgresql": False,
            "revision": SOMETHING,
            "expected": SOMETHING,
            "lost_keys": (0, "0"),
        },
        "retention": {
            "by_itself": True,
            "old_enough": (0, "0"),
            "shortest": SOMETHING,
            "classes": [(SOMETHING, SOMETHING, SOMETHING)],
        },
        "versions": dict.fromkeys(("warum", "explainer", "templates", "compiled"), SOMETHING),
        "outside": True,
        "settings": Filled(demo=True, own_table=True, places=SOME),
    }


def _wrong(number: Number) -> dict[str, Any]:
    several = number[0] > 1
    processes = [
        Filled(state=state, failures=number, seconds=number) for state in ("resting", "ended")
    ]
    packages = [
        _package(state="in_force", approved=False, number=number, process=process)
        for process in processes
    ]
    packages += [_package(state=state, number=number) for state in ("trying", "refused")]
    witnesses = [
        Filled(_witness(number), name="cosigner", alarm=True),
        Filled(_witness(number), name="time stamp", late=True),
        Filled(_witness(number), name="cosigner", asked=""),
        Filled(_witness(number), name="time stamp", fault=None),
    ]
    off = ("in_work", "faulty", "not_switched_on")
    return {
        "points": [(about, SOMETHING, number) for about in _POINTS],
        "broken": Filled(),
        "packages": packages,
        "logs": [
            Filled(_log(number), name=name, late=late, witnesses=witnesses)
            for name, late in (("ledger", True), ("access", False))
        ],
        "languages_table": [
            Filled(
                tag=SOMETHING,
                dir="ltr",
                off=why,
                status="in_work",
                lapsed=why != "in_work",
                edition="",
                fault=Filled(),
            )
            for why in off
        ],
        "examined": [Filled(well=False), Filled(well=True)],
        "database": {
            "postgresql": several,
            "revision": SOMETHING,
            "expected": "",
            "lost_keys": number,
        },
        "retention": {
            "by_itself": False,
            "old_enough": number,
            "shortest": SOMETHING,
            "classes": [],
        },
        "versions": {
            **dict.fromkeys(("warum", "explainer", "templates"), SOMETHING),
            "compiled": False,
        },
        "outside": False,
        "settings": Filled(demo=False, own_table=False, places=number),
    }


def _package(state: str, number: Number, **more: object) -> Filled:
    group = Filled(rows=number, stale=number[0] > 1, until="" if number[0] > 1 else SOMETHING)
    process = Filled(state="started", failures=(0, "0"), seconds=number)
    return Filled(
        {
            "state": state,
            "process": process,
            "group": group,
            "faults": [Filled()] if state == "refused" else [],
            "stopped": [(SOMETHING, Filled())],
            "more": number,
            **more,
        }
    )


def _log(number: Number) -> Filled:
    return Filled(
        name="ledger", entries=SOME, sealed=number, unsealed=number, late=False, witnesses=[]
    )


def _witness(number: Number) -> Filled:
    return Filled(
        name="directory", covered=number, all=False, late=False, alarm=False, fault=Filled()
    )
