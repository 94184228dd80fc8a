"""Recorded cases: which held-out records, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from training import Inputs, Trained


@dataclass(frozen=True)
class Golden:
    """What a package records cases of.

    Attributes
    ----------
    shown : a choice of which every level gets cases
    sources : by input, who says so: a type and a label looked up in wording.toml
    ways : by optional input, the ways in which it may be missing; repeated ones are more frequent
    number : how many cases
    """

    package: str
    inputs: Inputs
    shown: str
    sources: Mapping[str, tuple[str, str]]
    ways: Mapping[str, Sequence[str]]
    number: int
    seed: int
    classes: tuple[str, str] | None = None
    """Names of the labels 0 and 1; an amount has none."""

    def choose(self, result: Trained) -> list[str]:
        """Held-out cases: those a wrong engine would get wrong first, then anybody.

        Close to the line, far on both sides, missing values (each optional feature, several at
        once), values at and beyond the edges of what was trained, every level of one choice.
        """
        generator = np.random.default_rng(self.seed)
        rows, margins = result.held_out, result.margins
        missing = rows[list(self.inputs.optional)].isna()
        chosen: dict[str, None] = {}

        def take(refs: Iterable[str], number: int) -> None:
            fresh = [ref for ref in refs if ref not in chosen]
            chosen.update(dict.fromkeys(fresh[:number]))

        def drawn(condition: pd.Series) -> list[str]:
            refs = rows.index[condition].to_numpy(copy=True)
            return [str(ref) for ref in generator.permutation(refs)]

        take((margins - result.line).abs().sort_values(kind="stable").index, 10)
        take(margins.sort_values(kind="stable").index, 5)
        take(margins.sort_values(kind="stable", ascending=False).index, 5)
        take(missing.sum(axis=1).sort_values(kind="stable", ascending=False).index, 3)
        for name in self.inputs.optional:
            take(drawn(missing[name] & (missing.sum(axis=1) == 1)), 4)
        take(drawn(missing.sum(axis=1) == 2), 3)
        for name in self.inputs.numbers:
            take(drawn(rows[name] == rows[name].max()), 1)
            take(drawn(rows[name] == rows[name].min()), 1)
        for level in sorted(rows[self.shown].dropna().unique()):
            take(drawn(rows[self.shown] == level), 2)
        take(drawn(pd.Series(True, index=rows.index)), max(0, self.number - len(chosen)))
        return sorted(chosen)

    def lines(self, result: Trained) -> str:
        """One JSON object a line. No dates: the records carry none, and none are made up."""
        generator = np.random.default_rng(self.seed + 1)
        lines = []
        for number, ref in enumerate(self.choose(result)):
            bare = number % 12 == 5  # a few cases the way a bare system would send them
            values = {
                name: self._value(name, result.held_out.at[ref, name], bare, generator)
                for name in self.inputs.names
            }
            line = {
                "case": {"ref": ref, "package": self.package, "values": values},
                "margin": float(result.margins[ref]),
            }
            if result.probabilities is not None:
                line["probability"] = float(result.probabilities[ref])
            if self.classes is not None:
                # by the label the bare model predicts: its file may not say what the label means
                line["predicted"] = self.classes[line["probability"] >= 0.5]
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
        return "".join(lines)

    def _value(self, name: str, raw: Any, bare: bool, generator: np.random.Generator) -> Any:
        if pd.isna(raw):
            value: dict[str, Any] = {"missing": str(generator.choice(list(self.ways[name])))}
        else:
            value = {"value": int(raw) if name in self.inputs.numbers else str(raw)}
        if bare:
            return value.get("value", value)
        if value.get("missing") != "not_asked":  # nobody was asked, so there is no source
            type_, label = self.sources[name]
            value["source"] = {"type": type_, "label": label}
        return value


def background_csv(rows: pd.DataFrame, numbers: Sequence[str]) -> str:
    """The comparison group as a table; a missing value stays an empty cell."""
    plain = rows.copy()
    for name in numbers:
        plain[name] = plain[name].astype("Int64")
    return plain.to_csv(index=False, lineterminator="\n")
