"""Every field of the record is filled from what happened, or null for a reason the docs state."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from offices import NOON, Office, decide_by_form
from pseudo import forget, other_locales
from visiting import check_problem

from explainer.text.catalogs import catalog, source_sentences
from explainer.text.editions import catalog_version, template_version
from explainer.text.languages import languages
from explainer.text.render import environment
from service.erasing import Event, record_event
from service.offer import make_offer
from service.store.cases import CaseFile

FIELDS = {
    *("record_id", "corrects", "case_ref", "created_at", "entered_afterwards", "unit_id"),
    *("benefit_type", "decision_type", "model_id", "model_version", "model_digest"),
    *("explainer_version", "template_version", "catalog_version", "recommendation_class"),
    *("score_band", "limits_flags", "initial_assessment", "recommendation_shown_at"),
    *("explanation_doc_hash", "explanation_entry", "withheld", "human_outcome", "relation"),
    *("direction", "reason_codes", "facts_considered", "free_text", "evidence_refs"),
    *("legal_basis_ref", "hearing_ref", "instruction_ref", "actor_pseudonym", "role"),
    *("second_person", "retention_class", "erase_after"),
}
"""The contract: whoever adds one says in docs/ledger.md what it holds."""


def test_the_paper_names_every_field() -> None:
    paper = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text("utf-8")
    table = paper.split("## The record of a decision")[1].split("\n## ")[0]
    assert {name for name in FIELDS if f"`{name}`" not in table} == set()


RESTS_ON = {
    "evidence_refs": ["Bl. 12 der Akte", "Bl. 14 <b>"],
    "legal_basis_ref": "§ 7 Abs. 1 SGB II",
    "hearing_ref": "Schreiben, Bl. 20",
    "instruction_ref": "FW 3/2026",
}
TYPED = {**RESTS_ON, "evidence_refs": "Bl. 12 der Akte\r\n\r\n Bl. 14 <b> \r\n"}


def shown_texts(standing: Office, case: CaseFile) -> tuple[str, str]:
    """The decided case's page, and supervision's page of its record."""
    own = standing.visitor("caseworker").get(f"/cases/{case.id}")
    record = standing.decisions(case)[-1].payload["record_id"]
    theirs = standing.visitor("supervisor").post(f"/records/{record}", {"purpose": "audit"})
    assert theirs.status == 200
    return own.text, theirs.text


@pytest.mark.parametrize("by", ["form", "api"])
def test_what_a_decision_rests_on_is_sealed_and_shown(standing: Office, by: str) -> None:
    case = standing.fresh()
    if by == "form":
        decide_by_form(standing.visitor("caseworker"), case.id, codes=["P4"], **TYPED)
    else:
        form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["P4"], **RESTS_ON}
        path = f"/cases/{case.id}/decisions"
        answer = standing.machine("caseworker").post(path, form, key=f"a key for {case.id}")
        assert answer.status == 201
    (entry,) = standing.decisions(case)
    assert {name: entry.payload[name] for name in RESTS_ON} == RESTS_ON
    for text in shown_texts(standing, case):
        for said in (*RESTS_ON["evidence_refs"], *map(RESTS_ON.__getitem__, list(RESTS_ON)[1:])):
            assert said in text


def test_beside_a_ground_about_the_program_supervision_sees_no_evidence(standing: Office) -> None:
    """Where its proof stands, or its law, could tell which ground it is."""
    case = standing.fresh()
    decide_by_form(standing.visitor("caseworker"), case.id, codes=["M5", "P4"], **TYPED)
    assert standing.decisions(case)[0].payload["evidence_refs"] == RESTS_ON["evidence_refs"]
    own, theirs = shown_texts(standing, case)
    for reference in ("Bl. 12 der Akte", "§ 7 Abs. 1 SGB II", "Schreiben, Bl. 20"):
        assert reference in own
        assert reference not in theirs
    assert "keine Notiz und keine Fundstellen" in theirs
    assert "FW 3/2026" in theirs


def test_every_record_has_the_same_fields_whatever_was_decided(standing: Office) -> None:
    visitor = standing.visitor("caseworker")
    payloads: list[Any] = []
    for relation in ("agree", "agree_other_reasons", "partly", "deviate", "not_used"):
        case = standing.fresh()
        visitor.get(f"/cases/{case.id}")
        suggested = standing.entries(since=standing.size() - 1)[0].payload["recommendation_class"]
        other = {"can_be_granted", "check_more_closely"} - {suggested}
        outcome = other.pop() if relation == "deviate" else suggested
        decide_by_form(visitor, case.id, outcome=outcome, relation=relation, codes=["D2"])
        payloads.append(standing.decisions(case)[-1].payload)
        action = f"/cases/{case.id}/correction"
        fields = visitor.get(action).hidden(action)
        sent = {"outcome": suggested, "relation": "agree", "codes": ["A1"], **TYPED}
        assert visitor.post(action, {**fields, **sent}).status == 303
        payloads.append(standing.decisions(case)[-1].payload)
    # decided without ever having been shown anything
    case = standing.fresh()
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["P5"]}
    path = f"/cases/{case.id}/decisions"
    standing.machine("caseworker").post(path, form, key=f"a key for {case.id}")
    payloads.append(standing.decisions(case)[-1].payload)
    assert [set(one) for one in payloads] == [FIELDS] * 11


def test_the_digests_are_those_of_what_was_shown_and_of_the_words_in_force(
    standing: Office,
) -> None:
    case, visitor = standing.fresh(), standing.visitor("caseworker")
    for tag in ("de", "en"):
        page = visitor.get(f"/cases/{case.id}?lang={tag}")
    place = int(page.hidden(f"/cases/{case.id}/decision")["shown"])
    shown = standing.entries(since=place)[0]
    decide_by_form(visitor, case.id)
    (entry,) = standing.decisions(case)
    # decide_by_form opened the page once more, in the language kept
    told = standing.entries()[entry.payload["explanation_entry"]].payload
    assert told["language"] == shown.payload["language"] == "en"
    body = told["told"].encode()
    assert entry.payload["explanation_doc_hash"] == hashlib.sha256(body).hexdigest()
    package = standing.tools.packages["unemployment_benefit"]
    assert entry.payload["model_digest"] == told["model_digest"] == package.identity.digest
    assert entry.leaf.model == package.identity.digest
    for payload in (told, entry.payload):
        assert payload["template_version"] == template_version()
        assert payload["catalog_version"] == catalog_version(languages()["en"])
    assert catalog_version(languages()["en"]) != catalog_version(languages()["de"])


def test_another_word_in_a_catalog_is_another_version(tmp_path) -> None:
    with other_locales(tmp_path / "locales") as folder:
        versions = []
        for name in ("", "sentences.toml", "en/LC_MESSAGES/staff.po"):
            if name:
                (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
            forget()
            versions.append(catalog_version(languages()["en"]))
    assert len(set(versions)) == 3


@pytest.mark.parametrize("first", ["words", "version"])
def test_a_version_is_of_the_words_that_speak_whatever_is_laid_over_them(tmp_path, first) -> None:
    """An upgrade under a running service: what was read stays, and the record names that."""
    with other_locales(tmp_path / "locales") as folder:
        wanted = catalog_version(languages()["en"])
        forget()
        english = languages()["en"]
        if first == "words":
            said = catalog(english, staff=True).gettext("Meine Einträge")
            catalog(english).sentence(next(iter(source_sentences())))
        else:
            assert catalog_version(english) == wanted
            said = "My entries"
        for path in (folder / "sentences.toml", *(folder / "en").rglob("*.po")):
            text = path.read_text("utf-8")
            path.write_text(text.replace(said, "Something else") + "\n", "utf-8")
        catalog.cache_clear()
        assert catalog(english, staff=True).gettext("Meine Einträge") == said
        assert catalog_version(english) == wanted


def test_a_version_is_of_the_templates_that_are_filled_in(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("explainer.text.render.TEMPLATES", tmp_path)
    monkeypatch.setattr("explainer.text.editions.TEMPLATES", tmp_path)
    versions = []
    for words in ("one", "two"):
        (tmp_path / "page.html").write_text(words)
        for cached in (environment, template_version):
            cached.cache_clear()
        filled_in = environment(languages()["de"], staff=False).get_template("page.html").render()
        versions.append((filled_in, template_version()))
    forget()
    template_version.cache_clear()
    assert versions == [versions[0]] * 2
    assert versions[0][0] == "one"


def test_the_versions_are_taken_before_anything_is_shown(office: Office) -> None:
    forget()
    template_version.cache_clear()
    make_offer(office.tools.settings)
    taken = template_version.cache_info().misses, catalog_version.cache_info().misses
    template_version()
    for row in languages().values():
        catalog_version(row)
    assert (template_version.cache_info().misses, catalog_version.cache_info().misses) == taken


def test_when_a_case_may_go_is_recorded_where_time_runs_already(office: Office) -> None:
    tools, (one, two) = office.tools, office.cases[:2]
    record_event(
        tools.ledger, two.case_ref, Event.NOTIFIED, "Anna Berg", tools.now(), on=NOON.date()
    )
    for case in (one, two):
        decide_by_form(office.visitor("caseworker"), case.id)
    assert office.decisions(one)[0].payload["erase_after"] is None
    # ten years, the time of a fresh installation
    assert office.decisions(two)[0].payload["erase_after"] == "2036-11-23"


# -- recorded afterwards -------------------------------------------------------------------------


def in_two_days(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    later: datetime = NOON + timedelta(days=2)
    object.__setattr__(office.tools, "now", lambda: later)


def test_a_case_decided_on_paper_tells_the_day_it_was_decided(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = office.cases[0]
    visitor = office.visitor("caseworker")
    visitor.get(f"/cases/{case.id}")
    in_two_days(office, monkeypatch)
    decide_by_form(visitor, case.id, entered_afterwards="2026-11-24")
    (entry,) = office.decisions(case)
    assert entry.payload["entered_afterwards"] == "2026-11-24"
    assert entry.payload["created_at"][:10] == "2026-11-25"
    own, theirs = shown_texts(office, case)
    for text in (own, theirs, office.visitor("applicant", case.id).get("/application").text):
        assert "24. November 2026" in text
    assert "Nachgetragen" in own
    assert "Nachgetragen" in theirs


def test_what_was_shown_only_later_took_no_part_in_a_decision_on_paper(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, late = office.cases[:2]
    visitor = office.visitor("caseworker")
    visitor.get(f"/cases/{early.id}")
    seen = office.size() - 1
    in_two_days(office, monkeypatch)
    for case in (early, late):
        decide_by_form(visitor, case.id, entered_afterwards="2026-11-24", codes=["P5"])
    assert office.decisions(early)[0].payload["explanation_entry"] == seen
    unseen = office.decisions(late)[0].payload
    nothing = (
        *("explanation_entry", "recommendation_class", "recommendation_shown_at"),
        *("explanation_doc_hash", "template_version", "catalog_version", "score_band"),
    )
    assert [unseen[name] for name in nothing] == [None] * 7


@pytest.mark.parametrize(("day", "status"), [("2026-11-24", 422), ("2026-11-25", 303)])
def test_nothing_was_corrected_before_the_day_it_was_decided(
    office: Office, monkeypatch: pytest.MonkeyPatch, day: str, status: int
) -> None:
    case, visitor = office.cases[0], office.visitor("caseworker")
    in_two_days(office, monkeypatch)
    decide_by_form(visitor, case.id)
    action = f"/cases/{case.id}/correction"
    sent = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    fields = {**visitor.get(action).hidden(action), **sent, "entered_afterwards": day}
    answer = visitor.post(action, fields)
    assert answer.status == status
    assert set(answer.errors()) == ({"entered_afterwards"} if status == 422 else set())
    assert len(office.decisions(case)) == (1 if status == 422 else 2)


@pytest.mark.parametrize("day", ["2026-11-22", "2026-11-24", "24.11.2026", "gestern"])
def test_an_impossible_day_is_refused_at_its_field_and_nothing_is_lost(
    standing: Office, day: str
) -> None:
    case, visitor = standing.fresh(), standing.visitor("caseworker")
    action = f"/cases/{case.id}/decision"
    sent = {
        **visitor.get(f"/cases/{case.id}").hidden(action),
        "outcome": "can_be_granted",
        "relation": "not_used",
        "codes": ["E6"],
        "entered_afterwards": day,
        **TYPED,
    }
    answer = visitor.post(action, sent)
    assert (answer.status, set(answer.errors())) == (422, {"entered_afterwards"})
    assert "open" in answer.one("details", class_="w-further").attrs
    for name in ("legal_basis_ref", "hearing_ref", "instruction_ref", "entered_afterwards"):
        assert answer.one("input", name=name).attrs["value"] == sent[name]
    lines = "".join(answer.one("textarea", id="evidence_refs").words).strip().split("\n")
    assert lines == RESTS_ON["evidence_refs"]
    assert not standing.decisions(case)


def test_the_form_folds_away_what_few_decisions_need(standing: Office) -> None:
    answer = standing.visitor("caseworker").get(f"/cases/{standing.cases[2].id}")
    further = answer.one("details", class_="w-further")
    assert "open" not in further.attrs
    folded = [
        e for e in answer.elements if e.attrs.get("name") in {*RESTS_ON, "entered_afterwards"}
    ]
    assert len(folded) == 5
    for element in folded:
        assert further in list(element.inside())
        assert "required" not in element.attrs
    assert not answer.all("input", name="note_confirmed"), "nobody is asked before there is cause"


TOO_MUCH: dict[str, Any] = {
    "evidence_refs": "\n".join(f"Bl. {at}" for at in range(11)),
    "legal_basis_ref": "x" * 201,
    "hearing_ref": "x" * 201,
    "instruction_ref": "x" * 201,
}


@pytest.mark.parametrize("field", TOO_MUCH)
@pytest.mark.parametrize("tag", ["de", "en"])
def test_a_reference_that_is_too_long_is_said_at_its_field(
    standing: Office, field: str, tag: str
) -> None:
    case, visitor = standing.cases[3], standing.visitor("caseworker")
    action = f"/cases/{case.id}/decision"
    fields = visitor.get(f"/cases/{case.id}?lang={tag}").hidden(action)
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    answer = visitor.post(action, {**fields, **form, field: TOO_MUCH[field]})
    assert set(answer.errors()) == {field}
    assert "200" in answer.errors()[field]
    api = {**form, field: TOO_MUCH[field].split("\n") if "\n" in TOO_MUCH[field] else "x" * 201}
    problem = standing.machine("caseworker").post(
        f"/cases/{case.id}/decisions", api, key=f"a key for {case.id}"
    )
    check_problem(problem, 422, "request.invalid")
    assert not standing.decisions(case)


@pytest.mark.parametrize("text", ["a\u202eb", "a\nb", "a\x00b"])
def test_the_api_takes_no_reference_that_hides_something(standing: Office, text: str) -> None:
    case = standing.cases[3]
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    answer = standing.machine("caseworker").post(
        f"/cases/{case.id}/decisions", {**form, "hearing_ref": text}, key=f"a key for {case.id}"
    )
    problem = check_problem(answer, 422, "decision.faulty")
    assert [one["code"] for one in problem["faults"]] == ["decision.reference_invalid"]


# -- notes ---------------------------------------------------------------------------------------

PERSONAL = "Frau Kanarienvogel war krank, Tel. 0231 5550123."


@pytest.mark.parametrize(
    ("tag", "words"), [("de", "etwas zur Gesundheit, ein Name"), ("en", "something about health")]
)
def test_a_note_is_asked_about_once_and_recorded_if_it_is_to_stay(
    standing: Office, logged: io.StringIO, tag: str, words: str
) -> None:
    case, visitor = standing.fresh(), standing.visitor("caseworker")
    action = f"/cases/{case.id}/decision"
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"], **TYPED}
    page = visitor.get(f"/cases/{case.id}?lang={tag}")
    asked = visitor.post(action, {**page.hidden(action), **form, "note": PERSONAL})
    assert (asked.status, set(asked.errors())) == (422, {"note"})
    assert words in asked.errors()["note"]
    assert "Kanarienvogel" not in asked.errors()["note"]
    assert PERSONAL in asked.one("textarea", id="note").text
    assert "checked" not in asked.one("input", name="note_confirmed").attrs
    assert asked.one("input", name="legal_basis_ref").attrs["value"] == TYPED["legal_basis_ref"]
    assert not standing.decisions(case)
    sent = {**asked.hidden(action), **form, "note": PERSONAL, "note_confirmed": "1"}
    # another fault: the confirmation is not lost either
    faulty = visitor.post(action, {**sent, "codes": []})
    assert set(faulty.errors()) == {"codes"}
    assert "checked" in faulty.one("input", name="note_confirmed").attrs
    assert visitor.post(action, sent).status == 303
    assert standing.decisions(case)[0].payload["free_text"] == PERSONAL
    assert "Kanarienvogel" not in logged.getvalue()
    assert "5550123" not in logged.getvalue()


def test_a_note_is_asked_about_beside_all_other_faults(standing: Office) -> None:
    case, visitor = standing.cases[3], standing.visitor("caseworker")
    action = f"/cases/{case.id}/decision"
    fields = visitor.get(f"/cases/{case.id}").hidden(action)
    answer = visitor.post(action, {**fields, "note": PERSONAL})
    assert set(answer.errors()) == {"outcome", "relation", "codes", "note"}


def test_a_note_that_says_nothing_of_the_kind_is_not_asked_about(standing: Office) -> None:
    case = standing.fresh()
    decide_by_form(
        standing.visitor("caseworker"), case.id, note="Vertrag lag vor.", note_confirmed=""
    )
    assert standing.decisions(case)


def test_the_api_warns_and_never_blocks(standing: Office) -> None:
    machine = standing.machine("caseworker")
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    for note, warnings in ((PERSONAL, ["health", "name", "phone"]), ("Vertrag lag vor.", [])):
        case = standing.fresh()
        path, sent = f"/cases/{case.id}/decisions", {**form, "note": note}
        answer = machine.post(path, sent, key=f"a key for {case.id}")
        assert (answer.status, answer.json()["warnings"]) == (201, warnings)
        # the same answer again, the warning with it
        assert machine.post(path, sent, key=f"a key for {case.id}").json() == answer.json()


def test_nothing_anybody_typed_is_in_a_leaf(standing: Office) -> None:
    case = standing.fresh()
    decide_by_form(
        standing.visitor("caseworker"),
        case.id,
        note=PERSONAL,
        codes=["P4"],
        **TYPED,
        entered_afterwards="2026-11-23",
    )
    leaves = [json.loads(one.receipt.leaf) for one in standing.entries()]
    text = json.dumps(leaves, ensure_ascii=False)
    for said in (PERSONAL, "Kanarienvogel", case.case_ref, case.id, "FW 3/2026", "Bl. 12", "P4"):
        assert said not in text
    fields = {"v", "seq", "type", "ts", "ts_source", "tenant", "model", "explainer"}
    assert all(set(leaf) == {*fields, "commit", "ct", "told", "idem"} for leaf in leaves)
