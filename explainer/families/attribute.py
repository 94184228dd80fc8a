"""A case becomes an Attribution, or it is withheld: row -> engine -> check."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from explainer.core.attribution import (
    TOLERANCE,
    Attribution,
    ComparisonGroup,
    Contrast,
    Contribution,
    Suggesting,
)
from explainer.core.case import Case, FeatureCatalogue
from explainer.errors import BackgroundInvalid, ModelFailed, NotPrecise, OutsideExperience
from explainer.families.against import Against, Measured, Outputs, against
from explainer.families.apart import ModelApart
from explainer.families.engine.forest import Floats, Ints, Trees
from explainer.families.engine.function import Function
from explainer.families.engine.linear import Linear
from explainer.families.model import Answer, Model, RawRow
from explainer.families.settled import Said, precise, settled
from explainer.families.weights import (
    FEWEST_ROWS,
    mean,
    rows_worth,
    sample,
    spread,
    weights_of,
)

METHODS = {
    Trees: "interventional-exact-groups/2",
    Linear: "interventional-linear-groups/1",
    Function: "interventional-all-coalitions/1",
}
ESTIMATE = "interventional-estimate/1"
WEIGHTED = "+weights/1"
"""Recorded with every explanation; another way to reach the numbers gets another name. `WEIGHTED`
is added where the rows of the comparison group do not weigh alike."""

RESAMPLES = 30
STABLE = 27
SEED = 20261122
SAMPLE = 128
"""Resamples for the stability of a sign, and the comparison rows they are drawn from; fixed."""


@dataclass(frozen=True)
class Explained:
    """A model, its comparison group and what it suggests: answers with checked attributions.

    `comparisons` holds the comparison group as each contrast sees it; of several outcomes, only
    those in which its rows differ.
    """

    model: Model
    catalogue: FeatureCatalogue
    suggesting: Suggesting
    comparisons: Mapping[Contrast, ComparisonGroup]
    comparison_columns: Floats
    comparison_margins: Floats
    """Of all outputs, shape (n_rows, n_outputs)."""
    weights: Floats | None = None
    """Of the comparison rows, shape (n_rows,), as `weights_of` gives them; None: all alike."""

    @property
    def comparison(self) -> ComparisonGroup:
        """The only one, of two classes or an amount."""
        (only,) = self.comparisons.values()
        return only

    @property
    def outputs(self) -> tuple[tuple[float, float], ...]:
        """Mean of the comparison group's margins and their 90th minus their 10th percentile, of
        each output of the model."""
        means = mean(self.comparison_margins, self.weights)
        scales = spread(self.comparison_margins, self.weights)
        return tuple(zip(means.tolist(), scales.tolist(), strict=True))

    def contrast(self, row: RawRow) -> Contrast:
        """What a case with these raw values is explained as."""
        return self.suggesting.contrast(self.model.answer([row]).margins[0].tolist())

    @cached_property
    def _against(self) -> Against:
        return against(self.model, self.comparison_columns, self.weights)

    @cached_property
    def _sample(self) -> Ints:
        """Fixed positions of comparison rows, for the stability of signs."""
        return sample(len(self.comparison_columns), self.weights, SAMPLE, SEED)

    @cached_property
    def rows_worth(self) -> float:
        """How many comparison rows of the same weight would tell a mean as well."""
        return rows_worth(len(self.comparison_columns), self.weights)

    def attribute(self, case: Case, said: Said | None = None) -> Attribution:
        """How far each feature moved the margin of `case` away from the comparison group.

        Where that is estimated, the model is asked until `said`, what is said of an attribution,
        would stay the same whatever the errors, or until the budget of answers is used; without
        `said`, until the values may be told at all.

        Raises DoesNotAddUp, ScoreDiffers, ModelFailed, NotPrecise or OutsideExperience: there is
        no second-best number.
        """
        answer, early = self._answer(raw_row(case))
        margins = tuple(float(margin) for margin in answer.margins[0])
        contrast = self.suggesting.contrast(margins)
        if contrast not in self.comparisons:
            raise OutsideExperience(
                "The rows of the comparison group do not differ between these two outcomes.",
                "comparison group",
                "Decide without the program; or draw a group in which each outcome occurs.",
            )
        if early is not None:
            return self._attribution(case, answer, contrast, margins, early, None)
        found: Attribution | None = None
        for measured in self._against.measured(answer.columns[0], contrast, self._sample):
            contributions = self._contributions(measured)
            found = self._attribution(
                case, answer, contrast, margins, contributions, measured.answers
            )
            if measured.covariance is None:
                return found
            if precise(found) and (said is None or settled(found, measured.covariance, said)):
                break
        if found is None or not precise(found):
            raise NotPrecise(
                "The contributions could only be estimated, and not precisely enough.",
                "attribution",
                "Use fewer features or a model of trees or a linear one; docs/attribution.md.",
            )
        # a sign that another draw might turn is no direction
        return replace(
            found,
            contributions=tuple(
                replace(each, stable=each.stable and abs(each.phi) > 3 * each.error)
                for each in found.contributions
            ),
        )

    def _answer(self, row: RawRow) -> tuple[Answer, tuple[Contribution, ...] | None]:
        """The model's answer, and the contributions if they were found while it was on its way.

        The library takes about as long for a single row as we do: side by side they cost half.
        """
        contrasts, against = tuple(self.comparisons), self._against
        if not (
            isinstance(self.model, ModelApart)
            and isinstance(against, Outputs)
            and self.suggesting.contrasts() == contrasts
            and len(contrasts) == 1
        ):
            return self.model.answer([row]), None
        early: list[tuple[Floats, tuple[Contribution, ...]]] = []

        def begin(columns: Floats) -> None:
            (measured,) = against.measured(columns[0], contrasts[0], self._sample)
            early.append((columns, self._contributions(measured)))

        answer = self.model.answer([row], begin)
        for columns, contributions in early:
            # only what belongs to the columns the model itself took counts
            if np.array_equal(columns, answer.columns, equal_nan=True):
                return answer, contributions
        return answer, None

    def _contributions(self, measured: Measured) -> tuple[Contribution, ...]:
        phi = measured.values
        stable = _stable_signs(measured.by_row, phi, self.rows_worth)
        errors = np.zeros(len(phi))
        if measured.covariance is not None:
            errors = np.sqrt(np.diag(measured.covariance))
        return tuple(
            map(
                Contribution,
                self.catalogue.names,
                phi.tolist(),
                stable.tolist(),
                errors.tolist(),
            )
        )

    def _attribution(
        self,
        case: Case,
        answer: Answer,
        contrast: Contrast,
        margins: tuple[float, ...],
        contributions: tuple[Contribution, ...],
        answers: int | None,
    ) -> Attribution:
        comparison = self.comparisons[contrast]
        return Attribution(
            comparison,
            contributions,
            float(answer.of(contrast)[0]),
            self.model.space.probability(margins, contrast.towards),
            self.suggesting.between(contrast, comparison.base),
            self.method,
            self._reported(case, contrast, margins),
            self.suggesting.task,
            margins,
            answers,
        )

    def _reported(self, case: Case, contrast: Contrast, margins: tuple[float, ...]) -> float | None:
        """What the running system said of the contrast, if anything; NaN, which differs from
        everything, where it said something else of the other outcomes."""
        given = case.reported_margin
        if given is None:
            return None
        said = given if isinstance(given, tuple) else (given,)
        if len(said) != len(margins):
            return math.nan  # of another model
        if contrast.away is None:
            return said[contrast.towards]
        widest = max(group.scale for group in self.comparisons.values())
        ahead = contrast.towards
        for at in range(len(margins)):
            # of several outcomes only differences count, and each on its own scale
            group = self.comparisons.get(Contrast(ahead, at))
            scale = widest if group is None else group.scale
            off = (said[ahead] - said[at]) - (margins[ahead] - margins[at])
            if not abs(off) <= TOLERANCE * scale:
                return math.nan
        return said[ahead] - said[contrast.away]

    @property
    def method(self) -> str:
        """How the numbers are reached, as it is recorded."""
        found = ESTIMATE if self.estimated else METHODS[type(self.model.forms[0])]
        return found if self.weights is None else found + WEIGHTED

    @property
    def estimated(self) -> bool:
        """Whether contributions are estimated: not all coalitions can be asked."""
        form = self.model.forms[0]
        return isinstance(form, Function) and not form.enumerable(len(self.comparison_columns))

    def prepare(self) -> None:
        """Lay the comparison group out now rather than for the first case.

        Raises ArtefactRefused where the model's form cannot be explained against it.
        """
        _ = self._against


def explained(
    model: Model,
    catalogue: FeatureCatalogue,
    suggesting: Suggesting,
    rows: Sequence[RawRow],
    digest: str,
    weights: Sequence[float] | None = None,
) -> Explained:
    """Set the model beside its comparison group.

    `weights` are positive finite numbers, one for each row; default: all alike.

    Raises BackgroundInvalid where the group cannot serve: fewer than 30 rows or, by their weights,
    worth fewer; all alike; or some that the model gives no answer for.
    """
    if len(rows) < FEWEST_ROWS:
        raise BackgroundInvalid(
            f"The comparison group has {len(rows)} rows.",
            "background.csv",
            f"Give at least {FEWEST_ROWS}.",
        )
    used = weights_of(weights)
    try:
        answer = model.answer(rows)
    except ModelFailed as fault:
        # no case is withheld here: without its group the whole package cannot be admitted
        raise BackgroundInvalid(
            f"The model does not answer for the comparison group. {fault.what}",
            fault.where,
            fault.mend,
        ) from None
    groups = {
        contrast: group
        for contrast in suggesting.contrasts()
        if (group := _group(answer, contrast, suggesting, digest, used)) is not None
    }
    if not groups:
        raise BackgroundInvalid(
            "All rows of the comparison group have the same score.",
            "background.csv",
            "Choose rows that differ.",
        )
    found = Explained(model, catalogue, suggesting, groups, answer.columns, answer.margins, used)
    found.prepare()
    return found


def _group(
    answer: Answer,
    contrast: Contrast,
    suggesting: Suggesting,
    digest: str,
    weights: Floats | None,
) -> ComparisonGroup | None:
    """The group as a contrast sees it; None where its rows do not differ in it, so that nothing
    can be called large or small."""
    margins = answer.of(contrast)
    scale = float(spread(margins, weights))
    if not scale > 0:
        return None
    base = float(mean(margins, weights))
    if contrast.away is None:
        alike = margins >= suggesting.between(contrast, base).threshold
    else:
        alike = np.array(
            [
                suggesting.contrast(row).towards == contrast.towards
                for row in answer.margins.tolist()
            ]
        )
    share = float(mean(alike.astype(np.float64), weights))
    if weights is not None:
        # exactly half is no majority, whatever the last bit of a sum says
        share = round(share, 12)
    return ComparisonGroup(digest, len(margins), base, scale, share)


def raw_row(case: Case) -> RawRow:
    """The values of a case as a model takes them."""
    return {name: value.value for name, value in case.values.items()}


@lru_cache(maxsize=64)
def _strays(n: int, n_rows: float) -> Floats:
    """How far the mean of each resample strays from that of all, as weights of the `n` rows of a
    sample; shape (RESAMPLES, n). Less by the root of how much larger the group is."""
    draws = np.random.default_rng(SEED).integers(0, n, size=(RESAMPLES, n))
    counts = np.stack([np.bincount(drawn, minlength=n) for drawn in draws])
    weights: Floats = (counts - 1) / n * math.sqrt(n / n_rows)
    return weights


def _stable_signs(
    by_row: Floats, phi: Floats, rows_worth: float
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each sign holds in at least 27 of 30 resamples of the comparison group.

    Drawn from a sample of its rows: how far the mean of a resample strays from the mean of the
    sample, less by the root of how much larger the group is, is how far the group's own would.

    Of a group with weights the sample has a row as often as it weighs, so drawing from it evenly
    is drawing from the group by weight: a weight says for how many applications a row stands, and
    those might have been drawn instead. The group counts as large as its rows are worth: a mean by
    weights w strays as much as one of (sum of w)^2 / (sum of w^2) rows that weigh alike.
    """
    means = phi + _strays(len(by_row), rows_worth) @ by_row
    return np.asarray(np.count_nonzero(means * phi > 0, axis=0) >= STABLE)
