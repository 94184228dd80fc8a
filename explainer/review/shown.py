"""What the sheet of a translation takes its pictures from: documents of cases, pages of the site.

Documents are those of a package's recorded cases, told and checked as always. What no recorded case
shows is looked for in cases made of them, then with every reason told however small, and last in
numbers made up for it; a picture says which of these it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from explainer.core.case import read_case
from explainer.core.decision import Relation
from explainer.core.disclosure import Audience, Told, disclose
from explainer.core.explanation import Explanation, ReasonPolicy
from explainer.errors import (
    DoesNotAddUp,
    LanguageError,
    NotExplainable,
    OutsideExperience,
    PackageReplaced,
)
from explainer.packages.package import ModelPackage
from explainer.pipeline import explain, tell, tell_plainly, tell_withheld
from explainer.review.made_cases import (
    Ellipses,
    Recorded,
    about_feature,
    cases_for,
    decisions,
    variants,
)
from explainer.review.marked import Key, Marks, leveled_with_marks, without_marks
from explainer.review.pictures import Album, Truth
from explainer.review.scenes import (
    SOMETHING,
    Scene,
    not_in,
    public_scenes,
    rendered,
)
from explainer.review.staff_scenes import staff_scenes
from explainer.text.catalogs import catalog
from explainer.text.extract import ROOT
from explainer.text.languages import Language, languages
from explainer.text.render import as_markup, environment, environment_of, leveled, render_plainly
from explainer.text.sentences import (
    HumanDecision,
    Sentences,
    to_sentences,
    translation_banner,
    withheld_sentences,
)
from explainer.text.voice import Voice
from explainer.text.wording import Wording, named_outcomes

SITE = ROOT / "service" / "templates"
CASES = 25
"""Recorded cases that are told as they are."""
TRIED, MORE_TRIED = 12, 2
"""Cases made for one text before it is given up; and once it was seen, for a better one."""
_EVERY_REASON = ReasonPolicy(
    cap=99, cap_towards=99, cap_away=99, floor=0, coverage=1001, opposing_floor=0, unclear_floor=0
)


_READER = {
    Audience.APPLICANT: "für die antragstellende Person",
    Audience.CASEWORKER: "für die Sachbearbeitung",
}
_PAGES = {
    "public/start.html": "Erste Seite der Vorführung",
    "public/accessibility.html": "Erklärung zur Barrierefreiheit",
    "public/feedback.html": "Rückmeldung",
    "public/waiting.html": "Seite der antragstellenden Person vor der Entscheidung",
    "public/applicant.html": "Seite der antragstellenden Person",
    "public/receipt.html": "Beleg der antragstellenden Person",
    "public/starting.html": "Seite, während das Programm startet",
    "public/error.html": "Seite über einen Fehler",
    "staff/case.html": "Fall, für die Sachbearbeitung",
    "staff/assess.html": "Erste Einschätzung, für die Sachbearbeitung",
    "staff/queue.html": "Liste der Fälle, für die Sachbearbeitung",
    "staff/receipt.html": "Beleg, für die Sachbearbeitung",
    "staff/own.html": "Eigene Einträge, für die Sachbearbeitung",
    "staff/verify.html": "Prüfung des Protokolls, für die Fachaufsicht",
    "staff/records.html": "Protokoll, für die Fachaufsicht",
    "staff/record_purpose.html": "Zweck der Einsicht, für die Fachaufsicht",
    "staff/operation.html": "Betrieb",
    "staff/record.html": "Eintrag im Protokoll, für die Fachaufsicht",
}


def _is_staff(audience: Audience) -> bool:
    return audience is Audience.CASEWORKER


class _Pending(NotExplainable):
    """Its explanation is being worked out, as the service says it."""

    code = "explanation.pending"


class Stage:
    """One package in one language, ready to be pictured.

    Where the package is not worded in the language, ellipses stand for its words. Raises
    LanguageError where the product is not whole in it.
    """

    def __init__(self, package: ModelPackage, language: Language, album: Album) -> None:
        self.package, self.language, self.album = package, language, album
        self.staff = language.staff
        self.audiences = list(Audience) if language.staff else [Audience.APPLICANT]
        self.worded = language.tag in package.wordings
        self.voices = {a: self._voice(staff=_is_staff(a)) for a in self.audiences}
        self._environments = {
            a: environment_of(voice.catalog, SITE) for a, voice in self.voices.items()
        }

    def _voice(self, *, staff: bool) -> Voice:
        marks = self.album.marks
        if self.worded:
            return marks.voice(self.package.voice(self.language, staff=staff), staff=staff)
        return replace(
            self.package.voice(languages()["de"], staff=staff),
            language=self.language,
            catalog=marks.catalog(catalog(self.language, staff=staff), staff=staff),
            wording=Wording(self.language, Ellipses()),
        )

    # -- documents ----------------------------------------------------------------------------

    def recorded(self) -> list[Recorded]:
        """Picture recorded cases as they are told, and give all that can be explained."""
        found: list[Recorded] = []
        outcomes = named_outcomes(self.package.manifest.suggesting)
        for golden in self.package.golden[:CASES]:
            case = read_case(golden.case, self.package.catalogue)
            try:
                found.append((case, explain(case, self.package, self.package.manifest.created)))
            except NotExplainable:
                continue
        if not self.worded or not found:
            return found
        for number, (_, explanation) in enumerate(found):
            self._told(explanation, self.package, Truth.RECORDED, None)
            if number < len(Relation) and len(outcomes) > 1:
                for decision in decisions(explanation, outcomes):
                    self._told(explanation, self.package, Truth.RECORDED, decision)
        self._file(found[0][1])
        for kind in (DoesNotAddUp, OutsideExperience, PackageReplaced, _Pending):
            self._withheld(kind("", "", ""))
        if outcomes:
            undelivered = HumanDecision(outcomes[0], Relation.NOT_USED, None)
            self._withheld(DoesNotAddUp("", "", ""), undelivered)
        self._plainly()
        return found

    def made(self, recorded: Sequence[Recorded], wanted: Iterable[Key]) -> None:
        """Look for cases that show what no recorded one does, best as a reason that is told."""
        if not self.worded:
            return
        created, manifest = self.package.manifest.created, self.package.manifest
        wide = replace(self.package, manifest=replace(manifest, policy=_EVERY_REASON))
        known: dict[str, Explanation] = {}
        # a reason brings the name of its feature and its value with it
        for key in sorted(self.album.lacks(wanted), key=lambda key: "|reason|" not in key[0]):
            if key[0].startswith(("proxy|", "staff.")) and not self.staff:
                continue
            left = TRIED
            for case, feature in cases_for(key[0], recorded, self.package):
                left -= 1
                if left < 0 or self.album.shows(key, Truth.MADE):
                    break
                try:
                    explanation = known.get(case.digest) or explain(case, wide, created)
                except NotExplainable:
                    continue
                known[case.digest] = explanation
                if key not in self.album:
                    self._told(explanation, wide, Truth.EVERY_REASON, None)
                    left = min(left, MORE_TRIED) if key in self.album else left
                if key in self.album and self._may_be_told(feature, explanation):
                    told = explain(case, self.package, created)
                    self._told(told, self.package, Truth.MADE, None)

    def _may_be_told(self, feature: str, explanation: Explanation) -> bool:
        policy = self.package.manifest.policy
        return any(
            finding.feature.name == feature
            and finding.rank <= policy.cap
            and finding.share >= policy.floor
            for finding in explanation.findings
        )

    def _told(
        self,
        explanation: Explanation,
        package: ModelPackage,
        truth: Truth,
        decision: HumanDecision | None,
    ) -> None:
        for audience in self.audiences:
            said = None if _is_staff(audience) else decision
            try:
                told = tell(explanation, audience, self.language, package, decision=said)
            except NotExplainable:
                continue
            view = disclose(explanation, audience, package.disclosure)
            sentences = to_sentences(view, self.voices[audience], said)
            self._document(f" ({explanation.case_ref})", audience, sentences, truth, told)

    def _withheld(self, fault: NotExplainable, decision: HumanDecision | None = None) -> None:
        for audience in self.audiences:
            said = None if _is_staff(audience) else decision
            told = tell_withheld(fault, audience, self.language, self.package, decision=said)
            sentences = withheld_sentences(fault, audience, self.voices[audience], said)
            self._document(", die es nicht gibt", audience, sentences, Truth.RECORDED, told)

    def _plainly(self) -> None:
        for audience in self.audiences:
            html = render_plainly(audience, self.voices[audience]).body.decode()
            told = tell_plainly(audience, self.language, self.package)
            if without_marks(html).encode() == told.body:
                self.album.add(f"Erklärung {_READER[audience]}, die es nicht gibt", html)

    def _file(self, explanation: Explanation) -> None:
        """Picture the whole document that `warum explain` writes."""
        audience = Audience.APPLICANT
        voice, env = self.voices[audience], self._environments[audience]
        view = disclose(explanation, audience, self.package.disclosure)
        body = env.get_template(f"{audience}/page.html").render(s=to_sentences(view, voice))
        told = tell(explanation, audience, self.language, self.package)
        if leveled(without_marks(body), self.language).encode() != told.body:
            return
        html = env.get_template("_base/document.html").render(
            told=as_markup(Told(body.encode(), "text/html", self.language.tag, audience)),
            lang=self.language.tag,
            dir=self.language.dir,
            title=voice.wording["package|title"],
        )
        self.album.add("Erklärung in einer Datei", leveled_with_marks(html, self.language))

    def _document(
        self, name: str, audience: Audience, sentences: Sentences, truth: Truth, told: Told | None
    ) -> None:
        """Picture a document; where it was told, only if it is that, byte for byte."""
        template = self._environments[audience].get_template(f"{audience}/page.html")
        html = leveled_with_marks(template.render(s=sentences), self.language)
        if told is None or without_marks(html).encode() == told.body:
            self.album.add(f"Erklärung {_READER[audience]}{name}", html, truth)

    # -- pages --------------------------------------------------------------------------------

    def site(self) -> None:
        """Picture the pages of the site, in every situation they are seen in."""
        for audience, voice in self.voices.items():
            banner = self._banner(voice)
            for scene in staff_scenes(voice) if _is_staff(audience) else public_scenes(voice):
                self._scene(scene, audience, banner)
        # a page that is there in German only, asked for in this language
        german = self.package.voice(languages()["de"], staff=False)
        scene = not_in(self.voices[Audience.APPLICANT], german)
        env = environment(german.language, staff=False, extra=SITE)
        self.album.add(_PAGES[scene.template], rendered(scene, env, german.catalog, None))

    def _banner(self, voice: Voice) -> str | None:
        return translation_banner(
            voice.catalog, self.language, package_reviewed=voice.wording.reviewed
        )

    def _scene(self, scene: Scene, audience: Audience, banner: str | None) -> None:
        words = self.voices[audience].catalog
        try:
            html = rendered(scene, self._environments[audience], words, banner)
        except LanguageError:
            return  # a word of it is missing, so nobody sees it in this language
        truth = Truth.FORESEEN if scene.foreseen else Truth.RECORDED
        self.album.add(_PAGES[scene.template], html, truth)

    # -- made up ------------------------------------------------------------------------------

    def invented(self, recorded: Sequence[Recorded], wanted: Iterable[Key]) -> None:
        """Picture documents about numbers nobody computed: for words of other kinds of packages."""
        if not recorded:
            return
        explanation = recorded[0][1]
        for audience, voice in self.voices.items():
            example = partial(self._document, "", audience, truth=Truth.INVENTED, told=None)
            for key in self.album.lacks(wanted):
                for other in about_feature(key[0], recorded):
                    view = disclose(other, audience, self.package.disclosure)
                    example(to_sentences(view, voice))
            for other, speaking in variants(explanation, voice):
                view = disclose(other, audience, self.package.disclosure)
                # words of another kind of package, which this one does not have
                with suppress(LanguageError):
                    example(to_sentences(view, speaking))
            view = disclose(explanation, audience, self.package.disclosure)
            for artificial in (True, False):
                speaking = replace(voice, artificial_intelligence=artificial)
                for relation in Relation:
                    suggested = explanation.recommended
                    decision = HumanDecision(suggested, relation, suggested)
                    example(to_sentences(view, speaking, decision))
                never = None if _is_staff(audience) else HumanDecision(suggested, relation, None)
                fault = DoesNotAddUp("", "", "")
                example(withheld_sentences(fault, audience, speaking, never))
            linked = replace(to_sentences(view, voice), german_href=SOMETHING)
            self._document("", audience, linked, Truth.FORESEEN, None)


def pictured(
    packages: Sequence[ModelPackage],
    language: Language,
    wanted: Sequence[Key],
    step: Callable[[], None],
) -> Album:
    """Pictures of `wanted`, as many as there are, in `language`; none where it is not whole.

    `step` is called STEPS times for each package.
    """
    album = Album(Marks(), language)
    stages = []
    for package in packages:
        with suppress(LanguageError):
            stages.append(Stage(package, language, album))
    recorded = {}
    for stage in stages:
        stage.site()
        step()
        if album.lacks(wanted):
            recorded[stage.package.manifest.id] = stage.recorded()
        step()
    for find in (Stage.made, Stage.invented):
        for stage in stages:
            if album.lacks(wanted):
                find(stage, recorded[stage.package.manifest.id], wanted)
            step()
    return album


STEPS = 4
"""Of `pictured`, for each package."""
