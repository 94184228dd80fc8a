"""The rules by name: what each asks for, and what to do about a text that breaks it.

Names stand in findings, in `locales/plain/` and in docs/plain-language.md, whose table is made from
here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from explainer.plain.english import ENGLISH
from explainer.plain.german import GERMAN
from explainer.plain.lists import FAIL, WARN, Lists
from explainer.plain.sentences import Rule


@dataclass(frozen=True, slots=True)
class About:
    """What a rule asks for, and how to mend a text that breaks it."""

    asks: str
    mend: str


RULES: dict[str, About] = {
    # -- sentences
    "length": About("Few words a sentence.", "Make two sentences of it."),
    "clauses": About(
        "One thought a sentence: plain texts take one subordinate clause, easy ones none.",
        "Give each thought a sentence of its own.",
    ),
    "commas": About("One comma a sentence, lists aside.", "Make two sentences of it."),
    "verbs": About(
        "Two verbs that carry a statement, in easy texts one.", "Make two sentences of it."
    ),
    "passive": About(
        "Who acts is said.", "Say who does it: begin with the person, the office or the program."
    ),
    "negation": About(
        "At most one negation; in easy texts none but those that pages put in bold by themselves.",
        "Say what is so.",
    ),
    "double-negation": About("No two negations that cancel each other.", "Say it without both."),
    "genitive": About(
        "At most one genitive; in easy texts none.", "Write it with “von”, or as a sentence."
    ),
    "subjunctive": About(
        "“Would” and “could have” only where a text tells what another value had changed.",
        "Say what is so, or what people can do.",
    ),
    "tense": About(
        "Present and perfect; of the simple past only the few forms everybody uses.",
        "Use the present or the perfect.",
    ),
    "noun-style": About(
        "At most one noun made from a verb or an adjective; terms of the glossary do not count.",
        "Use the verb.",
    ),
    "long-word": About(
        "No word of more than 20 letters; in easy texts no part of more than 14.",
        "Use a shorter word. In easy texts part it with a hyphen, if the parts say the same.",
    ),
    "abbreviation": About("No abbreviations.", "Write it out."),
    "initials": About(
        "Words of initials are explained: they stand in brackets behind the full words.",
        "Write the full words first, then the initials in brackets.",
    ),
    "brackets": About("One pair of brackets a message.", "Make sentences of what stands in them."),
    "sign": About("Easy texts hold no signs but full stops, commas and the like.", "Say the word."),
    "soft-hyphen": About("No word is broken, not even invisibly.", "Remove the soft hyphen."),
    "hyphen": About(
        "After a hyphen that parts a long word the next part begins with a capital.",
        "Write the capital.",
    ),
    "address": About(
        "People are addressed, formally and directly.",
        "Write “Sie”; in English “you”, in other languages their formal address.",
    ),
    "number": About(
        "Numbers are digits; in easy texts days are written out, and hours have no leading zero.",
        "Write digits, “1. März 2026”, “9:00 Uhr”.",
    ),
    "list": About("More than three things are a list.", "Make a list, one thing a line."),
    "heading": About("In easy texts a heading is a question or has two to five words.", "Shorten."),
    "label": About(
        "No text says of itself that it is Leichte Sprache: only readers can say so.",
        "Remove the words; the table of languages says what was checked.",
    ),
    "advice": About(
        "No text promises an outcome to whoever lives otherwise.",
        "Say what can be handed in or corrected, and that you check again.",
    ),
    # -- words
    "cause": About(
        "Nothing is said to be a cause: the program counts what goes together.",
        "Say what pointed towards the suggestion and what away from it.",
    ),
    "certainty": About(
        "Nothing is said to be certain or proven.", "Say how much influence it had."
    ),
    "blame": About(
        "Nobody is suspected or blamed.", "Say which piece of information is missing or differs."
    ),
    "machine-decides": About(
        "A program suggests; people decide.",
        "Let the program suggest, and name the person or office that decided.",
    ),
    "groups": About(
        "People are not lumped together.",
        "Compare applications with a comparison group, not people.",
    ),
    "threat": About(
        "Explaining is no place for threats; duties stand with the decision.", "Remove it here."
    ),
    "jargon": About("No words of the trade.", "Use the word of the glossary."),
    "subject": About(
        "“The AI” does nothing.", "Write “the program”, after saying once what it is."
    ),
    "gender": About(
        "People are named without their sex.",
        "Name the function or the group (“Vermietung”, “Beschäftigte”), or both forms.",
    ),
    "ambiguous": About(
        "Words that can be read as a cause.", "Say it with another word, unless it is no cause."
    ),
    "form": About(
        "No decimals but money, no per cent, no column names.",
        "Use words for influence, parts of 100 for shares, and labels for columns.",
    ),
    "term": About("One word for one thing: the glossary's.", "Use the word of the glossary."),
    "glossary": About(
        "A translation names what the German text names, by the term of its own glossary.",
        "Use the term, unless a pronoun stands for it.",
    ),
    # -- documents
    "mean-length": About("Sentences are short on the whole.", "Part the longest sentences."),
    "document-length": About(
        "What the program contributed is told on one page.", "Tell the rest on request."
    ),
    "passive-share": About("Hardly a sentence of a document is passive.", "Say who acts."),
    "wstf1": About("Wiener Sachtextformel 1, German.", "Shorter words and sentences."),
    "amstad": About(
        "Reading ease with Amstad's constants, German.", "Shorter words and sentences."
    ),
    "lix": About("LIX, German.", "Fewer long words, shorter sentences."),
    "flesch-kincaid": About("Flesch-Kincaid, English.", "Shorter words and sentences."),
    "reading-ease": About("Flesch reading ease, English.", "Shorter words and sentences."),
    # -- the list of what was accepted
    "acceptance": About(
        "An accepted warning has a name and a date, and holds for the text as it was.",
        "Read the new text; accept it again with name, date and digest, or remove the entry.",
    ),
}


def rules_for(lists: Lists) -> Iterator[tuple[str, list[tuple[str, int]], Rule]]:
    """Every rule of a level, with its marks: severity and how many it allows, the worst first."""
    rules = GERMAN if lists.tag.startswith("de") else ENGLISH
    for name, marks in lists.thresholds.items():
        order = [(severity, marks[severity]) for severity in (FAIL, WARN) if severity in marks]
        yield name, order, rules[name]
