"""Pages of the site in the situations in which they say something, and texts that are on no page.

The pages are rendered by their own templates. Words come from the catalogs and from a package;
what is of one case, of a person or of the records stands as an ellipsis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment

from explainer.errors import LanguageError
from explainer.review.marked import MARK, Key, Marks, leveled_with_marks, number_of
from explainer.text.catalogs import Catalog, catalog, source_sentences
from explainer.text.languages import Language
from explainer.text.values import DURATIONS, amount_in_words
from explainer.text.voice import Voice
from explainer.text.wording import named_outcomes

SOMETHING = "…"


class Filled(dict[str, Any]):
    """What a template is given: the fields named, and an ellipsis for every other."""

    def __missing__(self, key: str) -> str:
        return SOMETHING

    def __bool__(self) -> bool:
        return True  # what is given is there, whatever is said of it


@dataclass(frozen=True, slots=True)
class Scene:
    """A page in one situation. `foreseen`: its template has it, and no page is in it so far."""

    template: str
    context: Mapping[str, Any]
    person: str | None = None
    foreseen: bool = False


def public_scenes(voice: Voice) -> Iterator[Scene]:
    """Pages everybody may see."""
    wording, say = voice.wording, voice.catalog.sentence
    yield Scene("public/start.html", _start(voice, [Filled(label=wording["package|benefit"])]))
    yield Scene("public/start.html", _start(voice, []))
    yield Scene("public/start.html", {**_start(voice, []), "starting": True})
    yield Scene("public/accessibility.html", {})
    yield Scene("public/feedback.html", {})
    office = Filled(
        name=wording["contact|office"],
        role=wording["contact|function"],
        person="",
        phone=wording["contact|phone"],
        hours=wording["contact|hours"],
        post=tuple(wording["contact|address"].splitlines()),
    )
    own = {"office": office, "case_number": SOMETHING}
    yield Scene("public/waiting.html", own, "applicant")
    # an amount is told as one
    outcomes = named_outcomes(voice.suggesting) or ("1234",)
    german_href = None if voice.language.is_source else SOMETHING
    for number, outcome in enumerate(outcomes):
        for foreseen in (False, True):
            decision = Filled(
                outcome=voice.outcome(outcome, "decided"),
                lang=voice.language.tag,
                dir=voice.language.dir,
                interim=number > 0,
                corrected=SOMETHING if number == 0 else "",
                reasons=(SOMETHING,) if foreseen else (),
            )
            context = {
                **own,
                "decision": decision,
                "told_html": None if foreseen else SOMETHING,
                "receipt_href": "",
                "remedies": (SOMETHING,) if foreseen else None,
                "german_href": german_href,
            }
            yield Scene("public/applicant.html", context, "applicant", foreseen)
    for ready in (True, False):
        receipt = {"ready": ready, "entry": Filled()}
        yield Scene("public/receipt.html", receipt, "applicant")
    for sent in ((), (("", SOMETHING),)):
        yield Scene("public/starting.html", {"sent": sent, "action": ""}, "applicant")
    for key in source_sentences():
        if key.startswith("error.") and key != "error.title":
            problem = {"title": say("error.title"), "what": say(key), "where": "", "mend": ""}
            context = {"problem": problem, "reference": SOMETHING, "back_href": ""}
            yield Scene("public/error.html", context)
    problem = {"title": say("error.title"), "what": SOMETHING, "where": "", "mend": SOMETHING}
    context = {"problem": problem, "reference": SOMETHING, "back_href": ""}
    yield Scene("public/error.html", context)


def not_in(voice: Voice, german: Voice) -> Scene:
    """A page that is there in German only, asked for in the language of `voice`."""
    say = voice.catalog.sentence
    text = f"{say('error.language.not_offered')} {say('told.german_instead')}"
    sentence = {"lang": voice.language.tag, "dir": voice.language.dir, "text": text}
    return Scene("public/start.html", {**_start(german, []), "not_in": [sentence]})


def _start(voice: Voice, applicants: list[Filled]) -> dict[str, Any]:
    origin = voice.wording.texts.get("demo|note", "")
    return {"applicants": applicants, "origin": origin, "starting": False}


def rendered(scene: Scene, env: Environment, words: Catalog, banner: str | None) -> str:
    """The page of a scene, in the language and by the templates of `env`."""
    language = words.language
    frame = {
        "lang": language.tag,
        "dir": language.dir,
        "languages": [Filled(tag=language.tag, dir=language.dir, autonym=language.autonym)],
        "path": "",
        "banner": banner,
        "in_german": "" if language.is_source else SOMETHING,
        "person": scene.person,
        "notices": (),
        "waiting": "",
        "not_in": [],
        "demo": True,
        "form_token": "",
        "errors": [],
    }
    html = env.get_template(scene.template).render({**frame, **scene.context})
    return leveled_with_marks(html, language)


def nowhere(text: Key, language: Language) -> str:
    """Why no page contains this text of the product in `language`; "" where one may."""
    key = text[0]
    if key in _NOWHERE:
        return _NOWHERE[key]
    if number_of(text, language) == 0:
        return _OF_NOUGHT
    unit = key.removeprefix("told.one.")
    if unit in DURATIONS and unit != key:
        try:
            words = catalog(language)
        except LanguageError:
            return ""
        # asked of the program itself: is the text in what it writes for one year?
        if not MARK.search(amount_in_words("1", unit, Marks().catalog(words))):
            return _WITH_NUMBER
    return ""


_NOWHERE = {
    "told.headed": "Steht auf keiner Seite: nur nach den Überschriften einer Erklärung, "
    "die als reiner Text ausgegeben wird.",
}
_OF_NOUGHT = (
    "Steht auf keiner Seite: Diese Form gehört zur Zahl 0. Wo nichts ist, sagt die Seite das in "
    "anderen Worten."
)
_WITH_NUMBER = (
    "Steht in dieser Sprache auf keiner Seite: Die Zahl ist schon in den Wörtern, "
    "die das Programm aus dem Verzeichnis CLDR nimmt."
)
