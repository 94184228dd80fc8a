"""A TOML table that is read key by key: what is wrong, and what nobody asked for, is collected."""

from __future__ import annotations

import re
import tomllib
from datetime import datetime
from decimal import Decimal
from typing import Any

from explainer.errors import ManifestInvalid, PackageError

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SHARE = re.compile(r"0(\.[0-9]{1,3})?|1(\.0{1,3})?")


class Table:
    """A TOML table that is read key by key; collects what is wrong and what nobody asked for."""

    def __init__(self, name: str, data: object, faults: list[PackageError], file: str) -> None:
        self._name = name
        self._file = file
        self._faults = faults
        self._data: dict[str, Any] = {}
        if isinstance(data, dict):
            self._data = dict(data)
        else:
            self.fault("The table is missing.", f"Add [{name}].")

    def fault(self, what: str, mend: str, key: str = "") -> None:
        at = ".".join(part for part in (self._name, key) if part)
        self._faults.append(ManifestInvalid(what, f"{self._file}, {at}", mend))

    def has(self, key: str) -> bool:
        return key in self._data

    def take(
        self, key: str, kind: type | tuple[type, ...], hint: str, *, default: Any = None
    ) -> Any:
        """The value of `key`, or `default`; without a default the key is needed."""
        if key not in self._data:
            if default is None:
                self.fault("The key is missing.", hint, key)
            return default
        value = self._data.pop(key)
        wanted = kind if isinstance(kind, tuple) else (kind,)
        # TOML's true is a number to Python, and its times are dates
        if (
            not isinstance(value, wanted)
            or (isinstance(value, bool) and bool not in wanted)
            or isinstance(value, datetime)
        ):
            self.fault("The value is of the wrong kind.", hint, key)
            return default
        return value

    def text(self, key: str, hint: str, pattern: re.Pattern[str] | None = None) -> str:
        value = self.take(key, str, hint)
        if isinstance(value, str) and (
            not value.strip() or (pattern is not None and not pattern.fullmatch(value))
        ):
            self.fault("The text is empty or of the wrong form.", hint, key)
        return value or ""

    def choice(self, key: str, among: tuple[str, ...]) -> str:
        value = self.take(key, str, f"Give one of: {', '.join(among)}.")
        if value is not None and value not in among:
            self.fault("The value is not known.", f"Give one of: {', '.join(among)}.", key)
        return value if value in among else among[0]

    def thousandths(self, key: str, default: str) -> int:
        """A share written as a decimal string, as a whole number of thousandths."""
        raw = self.take(key, str, f'Give a share such as "{default}".', default=default)
        if not _SHARE.fullmatch(raw):
            hint = f'Give, say, "{default}", with three decimals at most.'
            self.fault("The share is not between 0 and 1.", hint, key)
            raw = default
        return int(Decimal(raw) * 1000)

    def table(self, key: str) -> Table:
        inner = self._data.pop(key, None)
        name = f"{self._name}.{key}" if self._name else key
        return Table(name, inner, self._faults, self._file)

    def rest(self) -> dict[str, Any]:
        left, self._data = self._data, {}
        return left

    def done(self) -> None:
        for key in self._data:
            self.fault("The key is not known.", "Remove it, or check its spelling.", key)


def parse_toml(data: bytes, file: str) -> dict[str, Any]:
    """Raises ManifestInvalid with the line where the file is no TOML."""
    try:
        return tomllib.loads(data.decode())
    except RecursionError:
        raise ManifestInvalid("The file is nested too deeply.", file, "Correct it.") from None
    except ValueError as fault:
        raise ManifestInvalid(f"The file is not TOML: {fault}.", file, "Correct it.") from None
