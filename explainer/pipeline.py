"""The straight path: a case becomes an explanation, a view, sentences, and what was told.

Read this file as a table of contents. Numbers, then meaning, then words; each step is a frozen
type that cannot exist unless it is valid, and nothing later looks back.
"""

from __future__ import annotations

from datetime import date

from explainer.core.attribution import AmountOutcome, Attribution
from explainer.core.case import Case
from explainer.core.disclosure import Audience, Told, View, disclose
from explainer.core.explanation import Explanation, Limit
from explainer.core.reasons import choose_reasons, precision_of
from explainer.errors import NotExplainable
from explainer.families.limits import limits_of
from explainer.packages.package import ModelPackage
from explainer.text.checker import check_told, check_withheld
from explainer.text.languages import Language
from explainer.text.render import render_html, render_plainly, render_text
from explainer.text.sentences import (
    HumanDecision,
    Sentences,
    to_sentences,
    withheld_sentences,
)

RENDER = {"html": render_html, "text": render_text}


def explain(case: Case, package: ModelPackage, today: date) -> Explanation:
    """Say why the model of `package` scores `case` as it does; in no language yet.

    Raises NotExplainable: there is no second-best number.
    """
    catalogue, rules, policy = package.catalogue, package.manifest.limits, package.manifest.policy

    def limits(attribution: Attribution) -> frozenset[Limit]:
        return limits_of(case, attribution, catalogue, rules, today, package.comparable)

    def said(attribution: Attribution) -> object:
        choice = choose_reasons(attribution, case, catalogue, policy)
        return limits(attribution), choice.said

    attribution = package.explained.attribute(case, said)
    choice = choose_reasons(attribution, case, catalogue, policy)
    suggesting = package.manifest.suggesting
    return Explanation(
        package=package.identity,
        case_ref=case.ref,
        case_digest=case.digest,
        side=attribution.side,
        suggestion=attribution.line.outcome(attribution.side),
        line=attribution.line,
        margin=attribution.margin,
        probability=attribution.probability,
        total=attribution.total,
        comparison=attribution.comparison,
        method=attribution.method,
        reasons=choice.reasons,
        findings=choice.findings,
        opening=choice.opening,
        rest=choice.rest,
        rest_share=choice.rest_share,
        limits=limits(attribution),
        precision=precision_of(attribution),
        task=attribution.task,
        margins=attribution.margins,
        amount=suggesting.told(attribution.margin, attribution.comparison.base)
        if isinstance(suggesting, AmountOutcome)
        else None,
    )


def tell(
    explanation: Explanation,
    audience: Audience,
    language: Language,
    package: ModelPackage,
    *,
    form: str = "html",
    decision: HumanDecision | None = None,
) -> Told:
    """Put `explanation` into `language`, as far as `audience` may see it.

    Raises TextDisagrees where the rendered text, read back, says anything else than the numbers.
    """
    voice = package.voice(language, staff=audience is Audience.CASEWORKER)
    view: View = disclose(explanation, audience, package.disclosure)
    sentences: Sentences = to_sentences(view, voice, decision)
    told: Told = RENDER[form](sentences, language)
    policy = package.manifest.policy
    check_told(told, explanation, audience, voice, policy, package.disclosure, decision)
    return told


def tell_withheld(
    fault: NotExplainable,
    audience: Audience,
    language: Language,
    package: ModelPackage,
    *,
    form: str = "html",
    decision: HumanDecision | None = None,
) -> Told:
    """Say that there is no explanation, and why; the case stays decidable.

    Raises TextDisagrees where the rendered text, read back, says anything else.
    """
    voice = package.voice(language, staff=audience is Audience.CASEWORKER)
    told: Told = RENDER[form](withheld_sentences(fault, audience, voice, decision), language)
    check_withheld(told, fault, audience, voice, decision)
    return told


def tell_plainly(
    audience: Audience, language: Language, package: ModelPackage, *, form: str = "html"
) -> Told:
    """Say in one fixed sentence that there is no explanation, and whom to call: for where even
    `tell_withheld` raises."""
    voice = package.voice(language, staff=audience is Audience.CASEWORKER)
    return render_plainly(audience, voice, form)
