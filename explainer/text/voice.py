"""Product and package words of one language, looked up together."""

from __future__ import annotations

from dataclasses import dataclass

from explainer.core.attribution import AmountOutcome, Suggesting, is_amount
from explainer.core.case import FeatureCatalogue
from explainer.text.catalogs import Catalog
from explainer.text.languages import Language
from explainer.text.values import amount_in_words, isolate
from explainer.text.wording import VALUE, Wording


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """Everything needed to speak about one package in one language. Each is its own: what was made
    for one is found again by it."""

    language: Language
    catalog: Catalog
    wording: Wording
    catalogue: FeatureCatalogue
    suggesting: Suggesting
    artificial_intelligence: bool

    def say(self, key: str, value: str | None = None) -> str:
        sentence = self.catalog.sentence(key)
        return sentence if value is None else sentence.replace(VALUE, value)

    def several(self, key: str) -> tuple[str, ...]:
        return (self.say(key),)

    def outcome(self, outcome: str, form: str) -> str:
        """The agency's words for an outcome as records hold it: a whole sentence, or with `label`
        and `decide` a name. An amount is put into the agency's sentence, or stands alone."""
        if not isinstance(self.suggesting, AmountOutcome) or not is_amount(outcome):
            return self.wording[f"outcome|{outcome}|{form}"]
        amount = amount_in_words(outcome, self.suggesting.unit, self.catalog)
        if form == "label":
            return amount
        return self.wording[f"amount|{form}"].replace(VALUE, isolate(amount))
