"""Pages of caseworkers and of supervision in the situations in which they say something."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, groupby
from typing import Any

from explainer.core.decision import ReasonCode, Relation
from explainer.review.operation_scenes import counted, operation_scenes
from explainer.review.scenes import SOMETHING, Filled, Scene
from explainer.text.catalogs import source_sentences
from explainer.text.values import decimal
from explainer.text.voice import Voice
from explainer.text.wording import VALUE, named_outcomes

PURPOSES = ("appeal", "complaint", "audit", "quality_sample")
PROBLEMS = ("changed", "missing", "tree", "signature", "shorter")
_RELATIONS = tuple(relation.value for relation in Relation)
_CODES = tuple(code.value for code in ReasonCode)
_GROUPS = tuple(
    (letter, tuple(code.value for code in codes))
    for letter, codes in groupby(ReasonCode, key=lambda code: code.group)
)
_FIELDS = {
    "outcome": "outcome",
    "relation": "relation",
    "codes": "codes",
    "checklist": "facts",
    "note": "note",
    "evidence_refs": "evidence_refs",
    "legal_basis_ref": "legal_basis_ref",
    "hearing_ref": "hearing_ref",
    "instruction_ref": "instruction_ref",
}


def staff_scenes(voice: Voice) -> Iterator[Scene]:
    """Pages of caseworkers, of supervision and of whoever runs the service."""
    yield from _case_scenes(voice)
    yield from _error_scenes(voice)
    yield from _other_staff_scenes(voice)
    yield from _record_scenes(voice)
    yield from operation_scenes(voice.language)


def _case(voice: Voice) -> dict[str, Any]:
    """A case nobody has decided."""
    wording = voice.wording
    outcomes = named_outcomes(voice.suggesting)
    example = decimal(1234.0, voice.language.locale)
    hint = voice.say("staff.form.amount", example)
    amount = None
    if not outcomes:
        amount = {"label": wording["amount|decide"], "hint": hint}
    return {
        "case": Filled(benefit=wording["package|benefit"], unit=wording["contact|office"]),
        "told_html": SOMETHING,
        "told_state": "",
        "told_since": "",
        "data": _data(voice),
        "unknown": list(wording.part("checklist").items()),
        "outcomes": [(outcome, voice.outcome(outcome, "decide")) for outcome in outcomes],
        "amount": amount,
        "relations": _RELATIONS,
        "code_groups": _GROUPS,
        "errors": [],
        "form": _EMPTY,
        "note_warned": False,
        "further_open": False,
        "hidden_fields": (),
        "idempotency_key": "",
        "decided": None,
        "correcting": False,
        "saved": False,
    }


_EMPTY = dict.fromkeys(
    (
        *("outcome", "amount", "relation", "codes", "facts", "note", "note_confirmed"),
        *("evidence_refs", "legal_basis_ref", "hearing_ref", "instruction_ref"),
        "entered_afterwards",
    ),
    "",
)


def _data(voice: Voice, *, disputed: bool = False) -> list[Filled]:
    rows = []
    sources = list(voice.wording.part("source").values()) or [SOMETHING]
    for number, feature in enumerate(voice.catalogue):
        used = " " + voice.say("staff.told.used", SOMETHING) if feature.optional else ""
        missing = voice.say("staff.missing.not_given") + used
        rows.append(
            Filled(
                label=voice.wording.label(feature.name),
                help=voice.wording.texts.get(f"feature|{feature.name}|help", ""),
                value=missing if feature.optional else SOMETHING,
                missing=feature.optional,
                disputed=disputed,
                source="" if feature.optional else sources[number % len(sources)],
                as_of="" if feature.optional else SOMETHING,
            )
        )
    return rows


def _decided(voice: Voice, relation: str, codes: tuple[str, ...], at: int = 0) -> Filled:
    outcomes = named_outcomes(voice.suggesting)
    label = voice.outcome(outcomes[at % len(outcomes)], "label") if outcomes else SOMETHING
    return Filled(
        outcome=label,
        suggestion=label,
        relation=relation,
        codes=codes,
        facts=tuple(voice.wording.part("checklist").values()),
        particulars=Filled(evidence=(SOMETHING,), afterwards=True),
        initial=label if relation == "agree" else "not_sure",
        receipt=Filled(),
        corrects=True,
        earlier=[],
    )


def _case_scenes(voice: Voice) -> Iterator[Scene]:
    case = _case(voice)
    person = "caseworker"
    yield Scene("staff/case.html", case, person)
    yield Scene("staff/case.html", {**case, "note_warned": True}, person)
    earlier = _decided(voice, "deviate", ("D1",))
    for at in range(max(len(_RELATIONS), len(named_outcomes(voice.suggesting)))):
        decided = _decided(voice, _RELATIONS[at % len(_RELATIONS)], ("A1",), at)
        done = {**case, "decided": decided, "saved": True}
        yield Scene("staff/case.html", done, person)
        yield Scene("staff/case.html", {**done, "saved": False, "correcting": True}, person)
    corrected = Filled(_decided(voice, "agree", ("A1",)), earlier=[earlier])
    yield Scene("staff/case.html", {**case, "decided": corrected}, person)
    yield Scene(
        "staff/case.html", {**case, "data": _data(voice, disputed=True)}, person, foreseen=True
    )
    for state in ("pending", "unavailable", "withheld", "stopped"):
        without = {**case, "told_html": None, "told_state": state, "told_since": SOMETHING}
        yield Scene("staff/case.html", without, person, foreseen=True)
    assess = {key: case[key] for key in ("case", "data", "outcomes", "amount", "form", "errors")}
    yield Scene("staff/assess.html", {**assess, **_SENDING}, person)


_SENDING = {"hidden_fields": (), "idempotency_key": ""}


def _error_scenes(voice: Voice) -> Iterator[Scene]:
    """Every sentence about what was filled in wrongly, beside its field."""
    case, say = _case(voice), voice.catalog.sentence
    example = decimal(1234.0, voice.language.locale)
    for key in source_sentences():
        if not key.startswith("staff.error."):
            continue
        short = key.removeprefix("staff.error.")
        text = say(key).replace(VALUE, example)
        if short.startswith("assessment.") and short != "assessment.late":
            field = short.rpartition(".")[2]
            wrong = {**case, **_amount(voice, field), "errors": [(field, text)]}
            assess = {k: wrong[k] for k in ("case", "data", "outcomes", "amount", "form", "errors")}
            yield Scene("staff/assess.html", {**assess, **_SENDING}, "caseworker")
        elif short in ("purpose", "purpose_text"):
            yield Scene("staff/record_purpose.html", _purpose([(short, text)]), "supervisor")
        elif short == "period":
            yield Scene("staff/records.html", _records(voice, [], [(short, text)]), "supervisor")
        elif short == "decision.note_personal":
            for kind in (k for k in source_sentences() if k.startswith("staff.personal.")):
                joined = say("told.comma").join((say(kind), SOMETHING))
                text = say(key).replace(VALUE, joined)
                wrong = {**case, "errors": [("note", text)], "note_warned": True}
                yield Scene("staff/case.html", wrong, "caseworker")
        else:
            last = short.rpartition(".")[2]
            field = "entered_afterwards" if ".day_" in short else _FIELDS.get(last, last)
            field = "codes" if "grounds_missing" in short else field
            field = "relation" if "contradicts" in short else field
            wrong = {**case, **_amount(voice, field), "errors": [(field, text)]}
            yield Scene("staff/case.html", {**wrong, "further_open": True}, "caseworker")


def _amount(voice: Voice, field: str) -> dict[str, Any]:
    """An amount in the place of the choice between outcomes, where a fault is about one."""
    if field != "amount":
        return {}
    hint = voice.say("staff.form.amount", decimal(1234.0, voice.language.locale))
    return {"outcomes": [], "amount": {"label": SOMETHING, "hint": hint}}


def _other_staff_scenes(voice: Voice) -> Iterator[Scene]:
    case = _case(voice)
    amount = {**case, **_amount(voice, "amount")}
    yield Scene("staff/case.html", amount, "caseworker")
    assess = {key: amount[key] for key in ("case", "data", "outcomes", "amount", "form", "errors")}
    yield Scene("staff/assess.html", {**assess, **_SENDING}, "caseworker")
    pages = {"number": 2, "count": 3, "previous_href": SOMETHING, "next_href": SOMETHING}
    benefit = voice.wording["package|benefit"]
    for state in ("open", "waiting", "decided"):
        cases = [Filled(state=state, benefit=benefit)]
        context = {"cases": cases, "state": state, "total": 1, "page": pages}
        foreseen = state == "waiting"
        yield Scene("staff/queue.html", context, "caseworker", foreseen)
    empty = {"cases": [], "state": "open", "total": 0, "page": pages}
    yield Scene("staff/queue.html", empty, "caseworker")
    waiting = voice.catalog.sentence("error.service.starting")
    yield Scene("staff/queue.html", {**empty, "waiting": waiting}, "caseworker")
    one = Filled(told_href="x", proof_href="x")
    receipt = {"case": Filled(), "entry": Filled(told_href=""), "seen": one, "ready": True}
    yield Scene("staff/receipt.html", receipt, "caseworker")
    yield Scene("staff/receipt.html", {**receipt, "entry": one, "seen": None}, "caseworker")
    yield Scene("staff/receipt.html", {**receipt, "ready": False}, "caseworker")
    yield from _own_scenes(voice)
    yield from _verify_scenes(voice)


def _own_scenes(voice: Voice) -> Iterator[Scene]:
    decided = dict(_decided(voice, "agree", ("A1",)))
    one = {
        **decided,
        "agrees": True,
        "case_number": SOMETHING,
        "recorded_on": SOMETHING,
        "benefit": voice.wording["package|benefit"],
        "corrected": True,
        "case_href": SOMETHING,
        "receipt_href": SOMETHING,
        "note": SOMETHING,
        "day": SOMETHING,
    }
    elsewhere = {**one, "case_href": "", "suggestion": ""}
    records = [one, elsewhere, {"agrees": False, "case_number": SOMETHING}]
    for listed, older, newest in (
        ([*records, {"unreadable_at": SOMETHING}], "x", "x"),
        ([], "x", ""),
        ([], "", "x"),
        ([], "", ""),
    ):
        context = {"records": listed, "older_href": older, "newest_href": newest}
        yield Scene("staff/own.html", context, "caseworker")


def _verify_scenes(voice: Voice) -> Iterator[Scene]:
    words = voice.catalog
    sending = {"idempotency_key": ""}
    notices = [
        words.sentence("staff.witness.alarm"),
        words.sentence("staff.witness.late").replace(VALUE, SOMETHING),
    ]
    yield Scene("staff/verify.html", {**sending, "result": None, "notices": notices}, "supervisor")
    sizes = dict.fromkeys((1, 2, *(number for number, _ in counted(voice.language))))
    checkpoints = [
        Filled(log=log, size=size)
        for log, size in zip(cycle(("ledger", "access")), sizes, strict=False)
    ]
    for problem in ("", *PROBLEMS):
        for log in ("ledger", "access"):
            result = Filled(
                ok=not problem,
                problem=problem,
                first_bad=SOMETHING if problem else None,
                log=log,
                checkpoints=checkpoints,
            )
            yield Scene("staff/verify.html", {**sending, "result": result}, "supervisor")


def _purpose(errors: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "record": Filled(),
        "purposes": PURPOSES,
        "form": {"purpose": "", "purpose_text": ""},
        "errors": errors,
    }


def _records(voice: Voice, records: list[Filled], errors: list[Any]) -> dict[str, Any]:
    narrowed = {"case_number": "", "period": "", "unit": "", "relation": "", "code": ""}
    return {
        "records": records,
        "filter": narrowed,
        "units": [("x", voice.wording["contact|office"])],
        "relations": _RELATIONS,
        "grounds": ("M", *(code for code in _CODES if not code.startswith("M"))),
        "filtered": False,
        "page": {"number": 2, "count": 3},
        "errors": errors,
    }


def _record_scenes(voice: Voice) -> Iterator[Scene]:
    person = "supervisor"
    benefit, unit = voice.wording["package|benefit"], voice.wording["contact|office"]
    listed = [
        Filled(
            agrees=True,
            benefit=benefit,
            unit=unit,
            relation=relation,
            codes=(code,),
            corrects_href=SOMETHING,
            corrected_href=SOMETHING,
        )
        for relation, code in zip(_RELATIONS, ("A1", "A3", "L3", "E1", "M"), strict=True)
    ]
    listed.append(Filled(agrees=False))
    yield Scene("staff/records.html", _records(voice, listed, []), person)
    for filtered in (True, False):
        context = {**_records(voice, [], []), "filtered": filtered}
        yield Scene("staff/records.html", context, person)
    yield Scene("staff/record_purpose.html", _purpose([]), person)
    for number, purpose in enumerate(PURPOSES):
        relation = _RELATIONS[number]
        record = Filled(
            _decided(voice, relation, ("M",) if number else _CODES),
            benefit=benefit,
            unit=unit,
            purpose=purpose,
            program=voice.wording["package|title"],
            note=None if number else SOMETHING,
        )
        if number == 3:
            record["suggestion"] = ""
        context = {"record": record, "shown_html": SOMETHING, "shown_state": "", "shown_since": ""}
        yield Scene("staff/record.html", context, person)
        gone = {**context, "shown_html": None, "shown_state": "unavailable"}
        yield Scene("staff/record.html", gone, person)
