"""JSON that describes a model, read strictly: each fault is named, and nothing is passed over."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from explainer.errors import ArtefactRefused

LARGEST = 4 * 1024 * 1024
"""Bytes of a description; some thousand times what the largest model that was seen needs."""

MOST_FAULTS = 20
"""Faults that are named at once; nobody reads more."""

_NEEDED: Any = object()

_NUMBER = re.compile(r"-?([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def written_number(text: str) -> float | None:
    """The number that stands in `text`, infinite where it is too large; None where it is none.

    Digits 0 to 9, a point before decimals, an exponent: what every program reads alike. Python
    itself takes more for a number: 1_000, digits of other scripts, blanks around it.
    """
    return float(text) if _NUMBER.fullmatch(text) else None


def read_json(text: bytes | str, where: str, largest: int = LARGEST) -> Any:
    """What stands in `text`. Raises ArtefactRefused for anything but plain, finite JSON.

    JSON allows a key twice, and Python reads NaN and Infinity besides: both would let two readers
    of one file see two models.
    """
    if len(text) > largest:
        raise ArtefactRefused(
            f"It has {len(text)} bytes; {largest} are allowed.", where, "Use a smaller model."
        )
    try:
        whole = text if isinstance(text, str) else text.decode("utf-8")
        return json.loads(
            whole, object_pairs_hook=_each_once, parse_constant=_no_number, parse_float=_finite
        )
    except _Broken as fault:
        raise _refused(str(fault), where) from None
    except (ValueError, RecursionError) as fault:
        at = f", line {fault.lineno}" if isinstance(fault, json.JSONDecodeError) else ""
        raise _refused(f"This is no JSON in UTF-8 ({type(fault).__name__}{at}).", where) from None


class _Broken(Exception):
    pass


def _refused(what: str, where: str) -> ArtefactRefused:
    return ArtefactRefused(what, where, "Correct the file and seal the package again.")


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Broken(f"The key {shown(key)} stands there twice.")
        found[key] = value
    return found


def _no_number(name: str) -> NoReturn:
    raise _Broken(f"{name} is not a number.")


def _finite(written: str) -> float:
    value = float(written)
    if not math.isfinite(value):
        raise _Broken("A number is too large.")
    return value


def shown(text: object) -> str:
    """Text from a file as a message may quote it: short and plain."""
    whole = repr(str(text))
    return whole if len(whole) <= 80 else whole[:77] + "…'"


class Members:
    """The members of a JSON object, taken one by one; what nobody took is a fault as well."""

    def __init__(self, given: Any, where: str, faults: list[str]) -> None:
        self.where = where
        self._faults = faults
        self._left: dict[str, Any] = {}
        if isinstance(given, dict):
            self._left = dict(given)
        else:
            faults.append(f"{where} is not an object.")

    def fault(self, key: str, what: str) -> None:
        self._faults.append(f"{self._at(key)} {what}")

    def has(self, key: str) -> bool:
        return key in self._left

    def any(self, key: str, default: Any = _NEEDED) -> Any:
        """The member itself; None once its absence, or that it is null, was named."""
        if key in self._left:
            given = self._left.pop(key)
            if given is None:
                self.fault(key, "is null.")
            return given
        if default is _NEEDED:
            self.fault(key, "is missing.")
            return None
        return default

    def number(self, key: str, default: Any = _NEEDED, *, among: tuple[float, float]) -> float:
        """A finite number inside `among`, both ends included."""
        given = self.any(key, default)
        low, high = among
        if given is None:
            return low
        if isinstance(given, bool) or not isinstance(given, int | float):
            self.fault(key, "is not a number.")
            return low
        if not low <= given <= high:
            self.fault(key, f"is not between {low:g} and {high:g}.")
            return low
        return float(given)

    def numbers(self, key: str, count: int, *, among: tuple[float, float]) -> tuple[float, ...]:
        """A number for each output of a model: the number itself where there is one output, else a
        list."""
        if count == 1:
            return (self.number(key, among=among),)
        given = self.any(key)
        listed = given if isinstance(given, list) else []
        low, high = among
        if len(listed) == count and all(
            isinstance(each, int | float) and not isinstance(each, bool) and low <= each <= high
            for each in listed
        ):
            return tuple(map(float, listed))
        if given is not None:
            self.fault(
                key, f"is not a list of {count} numbers between {low:g} and {high:g}, one a class."
            )
        return (low,) * count

    def whole(self, key: str, default: Any = _NEEDED, *, among: tuple[int, int]) -> int:
        given = self.any(key, default)
        low, high = among
        if given is None:
            return low
        if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
            self.fault(key, f"is not a whole number between {low} and {high}.")
            return low
        return given

    def text(self, key: str, default: Any = _NEEDED, *, among: Sequence[str] = ()) -> str:
        """Text that is not empty; one of `among`, if there are any."""
        given = self.any(key, default)
        if given is None:
            return ""
        if not isinstance(given, str) or not given or (among and given not in among):
            self.fault(key, f"is not {' or '.join(among)}." if among else "is not text.")
            return ""
        return given

    def texts(self, key: str, default: Any = _NEEDED) -> tuple[str, ...]:
        """A list of different texts."""
        given = self.any(key, default)
        if given is None:
            return ()
        if not isinstance(given, list | tuple) or not all(isinstance(t, str) and t for t in given):
            self.fault(key, "is not a list of texts.")
            return ()
        if len(set(given)) != len(given):
            self.fault(key, "names something twice.")
            return ()
        return tuple(given)

    def members(self, key: str) -> Members:
        return Members(self.any(key), self._at(key), self._faults)

    def each(self) -> list[tuple[str, Any]]:
        """All that is left, by key, in the order of the file."""
        left, self._left = list(self._left.items()), {}
        return left

    def finish(self) -> None:
        """Whatever is left is not known here, and nothing is passed over."""
        for key, _ in self.each():
            self.fault(key, "is not known here.")

    def _at(self, key: str) -> str:
        name = key if key.isprintable() and len(key) <= 64 else shown(key)
        return f"{self.where}.{name}" if self.where else name


def refuse_all(faults: Sequence[str], mend: str) -> None:
    """Raise one ArtefactRefused that names all faults, if there are any."""
    if not faults:
        return
    more = len(faults) - MOST_FAULTS
    named = list(faults[:MOST_FAULTS]) + ([f"… and {more} more."] if more > 0 else [])
    raise ArtefactRefused(" ".join(named), "model", mend)


NUMBERS = (-1e300, 1e300)
"""Where any finite number will do."""
