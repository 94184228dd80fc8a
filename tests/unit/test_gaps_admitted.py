"""What may be missing is tried before a package is admitted, and a model that gives no answer for
another reason is not said to take no missing value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from explainer.core.case import FeatureCatalogue
from explainer.errors import ModelFailed, PackageFaulty
from explainer.families.artefacts import open_model
from explainer.families.model import Answer, Model, RawRow, Target
from explainer.packages import package
from explainer.packages.package import open_package

Fails = Callable[[int, Sequence[RawRow]], bool]
"""Whether the n-th question, about these rows, gets no answer."""


class Moody:
    """A model that takes every gap, but for the questions it does not answer."""

    def __init__(self, model: Model, fails: Fails) -> None:
        self._model = model
        self._fails = fails
        self._asked = 0
        self.forms, self.space, self.stand_ins = model.forms, model.space, model.stand_ins

    def answer(self, rows: Sequence[RawRow]) -> Answer:
        self._asked += 1
        if self._fails(self._asked, rows):
            raise ModelFailed("The server was away.", "model", "Try again.")
        return self._model.answer([{**row, "age": row["age"] or 30} for row in rows])


@pytest.fixture
def with_age_optional(make_package, monkeypatch):
    def opened(fails: Fails) -> list[str]:
        """The faults of a package whose age may be missing, without a stand-in."""

        def open_moody(
            declared: str, data: bytes, catalogue: FeatureCatalogue, target: Target
        ) -> Moody:
            return Moody(open_model(declared, data, catalogue, target), fails)

        monkeypatch.setattr(package, "open_apart", open_moody)
        folder = make_package(
            features=lambda text: re.sub(
                r"(?s)optional = false(.*?\[feature\.reason\]\n)(.*?)(\n\n)",
                r"optional = true\1\2\n[feature.reason_missing]\ncan_be_granted = "
                r'"Das Alter fehlte."\ncheck_more_closely = "Das Alter war nicht da."\3',
                text,
                count=1,
            ),
            manifest=lambda text: text.replace('["de", "en"]', '["de"]'),
        )
        try:
            open_package(folder)
        except PackageFaulty as caught:
            return [str(fault) for fault in caught.faults]
        return []

    return opened


def lacks_age(rows: Sequence[RawRow]) -> bool:
    return any(row["age"] is None for row in rows)


def test_a_gap_that_the_model_takes_is_admitted(with_age_optional):
    assert with_age_optional(lambda n, rows: False) == []


def test_a_gap_that_the_model_does_not_take_is_a_fault_in_the_models_own_words(with_age_optional):
    (fault,) = with_age_optional(lambda n, rows: lacks_age(rows))
    assert "gives no answer without it. The server was away." in fault


def test_a_model_that_answers_nothing_is_not_said_to_take_no_gap(with_age_optional):
    (fault,) = with_age_optional(lambda n, rows: True)
    assert "does not answer for the comparison group. The server was away." in fault
    assert "without it" not in fault


def test_a_model_that_was_away_for_a_moment_is_asked_again(with_age_optional):
    assert with_age_optional(lambda n, rows: n == 1) == []
