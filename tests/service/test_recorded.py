"""Nothing is shown or decided unrecorded: no entry, no page; no commit, no success."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from offices import Office, decide_by_form
from sqlalchemy import event
from trained import write_package
from visiting import Answer, Visitor, check_problem

from explainer.core.decision import Actor, Role
from explainer.core.disclosure import Audience
from explainer.errors import SuggestionOutdated
from explainer.ledger.entries import EntryKind
from explainer.ledger.sealing import told_commitment
from explainer.text.languages import languages
from service.actions import SentDecision, decide, show

KEY = "a-random-key-of-a-request"


def check_told(office: Office, answer: Answer, *, text: str | None = None) -> dict:
    """The newest entry vouches for exactly what stands on the page; returns its payload."""
    entry = office.entries(since=office.size() - 1)[0]
    assert entry.leaf.type == EntryKind.SHOWN
    told = entry.payload["told"]
    assert told in (answer.body if text is None else text)
    digest = hashlib.sha256(told.encode()).digest()
    assert entry.leaf.told == told_commitment(bytes.fromhex(entry.payload["told_salt"]), digest)
    # one letter more, and it does not fit
    other = hashlib.sha256(told.encode() + b" ").digest()
    assert entry.leaf.told != told_commitment(bytes.fromhex(entry.payload["told_salt"]), other)
    return entry.payload


@pytest.mark.parametrize("tag", ["de", "en"])
def test_a_case_page_leaves_one_entry_with_its_very_bytes(standing: Office, tag: str) -> None:
    visitor, before = standing.visitor("caseworker"), standing.size()
    answer = visitor.get(f"/cases/{standing.cases[1].id}?lang={tag}")
    assert standing.size() == before + 1
    payload = check_told(standing, answer)
    assert payload["audience"] == "caseworker"
    assert payload["language"] == tag
    assert payload["case_ref"] == standing.cases[1].case_ref
    shown = answer.hidden(f"/cases/{standing.cases[1].id}/decision")["shown"]
    assert int(shown) == before, "the form names the entry of what it stands beside"


@pytest.mark.parametrize("tag", ["de", "en", "ar"])
def test_an_applicants_page_leaves_one_entry(standing: Office, tag: str) -> None:
    visitor, before = standing.visitor("applicant"), standing.size()
    answer = visitor.get(f"/application?lang={tag}")
    assert standing.size() == before + 1
    payload = check_told(standing, answer)
    assert (payload["audience"], payload["language"]) == ("applicant", tag)


def test_an_answer_of_the_api_leaves_one_entry(standing: Office) -> None:
    before = standing.size()
    answer = standing.machine("caseworker").get(
        f"/cases/{standing.cases[1].id}/explanation?audience=caseworker"
    )
    assert standing.size() == before + 1
    check_told(standing, answer, text=answer.json()["text"])
    assert answer.json()["entry"] == before


def test_the_same_page_again_is_an_entry_again(standing: Office) -> None:
    visitor, before = standing.visitor("caseworker"), standing.size()
    for _ in range(3):
        visitor.get(f"/cases/{standing.cases[1].id}")
    assert [e.leaf.type for e in standing.entries(since=before)] == ["shown"] * 3


def test_pages_that_tell_nothing_of_a_case_leave_no_entry(standing: Office) -> None:
    before = standing.size()
    caseworker, supervisor = standing.visitor("caseworker"), standing.visitor("supervisor")
    for path in ("/", "/cases", "/cases?state=decided", "/accessibility", "/verify", "/nowhere"):
        caseworker.get(path)
    supervisor.get("/records")
    # nor is a page that is refused
    standing.visitor().get(f"/cases/{standing.cases[1].id}")
    supervisor.get(f"/cases/{standing.cases[1].id}")
    caseworker.get("/cases/there-is-no-such-case")
    assert standing.size() == before


def test_before_a_decision_the_applicant_is_told_nothing_of_the_program(standing: Office) -> None:
    decided, opened = standing.cases[:2]
    visitor = standing.visitor("applicant", decided.id)
    # the visit is bound to a case that was decided; another cannot be chosen
    answer = visitor.post("/demo/person", {"person": "applicant", "case": opened.id})
    assert answer.headers["location"] == "/"
    assert decided.case_ref in visitor.get("/application").text


# -- failing writes ---------------------------------------------------------------------------

BROKEN = {
    "the entry is refused": "CREATE TRIGGER broken BEFORE INSERT ON entry "
    "BEGIN SELECT RAISE(ABORT, 'no'); END",
    "the payload is refused": "CREATE TRIGGER broken BEFORE INSERT ON payload "
    "BEGIN SELECT RAISE(ABORT, 'no'); END",
    "the head is refused": "CREATE TRIGGER broken BEFORE UPDATE ON head "
    "BEGIN SELECT RAISE(ABORT, 'no'); END",
    "its place is refused": "CREATE TRIGGER broken BEFORE INSERT ON case_entry "
    "BEGIN SELECT RAISE(ABORT, 'no'); END",
    # a constraint that is looked at only when all is written: COMMIT itself fails
    "the commit fails": "CREATE TRIGGER broken AFTER INSERT ON entry "
    "BEGIN INSERT INTO dangling VALUES (1); END",
}
BROKEN_DECISION = {
    "the record is refused": "CREATE TRIGGER broken BEFORE INSERT ON decision_record "
    "BEGIN SELECT RAISE(ABORT, 'no'); END",
    "the case is refused": "CREATE TRIGGER broken BEFORE UPDATE ON case_file "
    "BEGIN SELECT RAISE(ABORT, 'no'); END",
    "the key is refused": "CREATE TRIGGER broken BEFORE INSERT ON idempotency "
    "BEGIN SELECT RAISE(ABORT, 'no'); END",
}
DANGLING = (
    "CREATE TABLE IF NOT EXISTS dangling "
    "(x INTEGER REFERENCES nowhere (x) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TABLE IF NOT EXISTS nowhere (x INTEGER PRIMARY KEY)",
)
TABLES = ("entry", "payload", "case_entry", "decision_record", "idempotency", "head", "case_file")


def everything(office: Office) -> list[object]:
    """All rows of all tables: what may not change when something fails."""
    return [office.sql(f"SELECT * FROM {table}") for table in TABLES]


@pytest.fixture
def break_it(standing: Office) -> Iterator[Callable[[str], None]]:
    """A function that breaks the database; it is mended after the test at the latest."""

    def how(name: str) -> None:
        for statement in (*DANGLING, {**BROKEN, **BROKEN_DECISION}[name]):
            standing.sql(statement)

    yield how
    standing.sql("DROP TRIGGER IF EXISTS broken")


@pytest.mark.parametrize("how", BROKEN)
def test_what_cannot_be_recorded_is_not_shown(
    standing: Office, break_it: Callable[[str], None], how: str
) -> None:
    office, case, opened = standing, standing.cases[0], standing.cases[1]
    caseworker, applicant = office.visitor("caseworker"), office.visitor("applicant", case.id)
    machine = office.machine("caseworker")
    told = [
        *(r.text for r in caseworker.get(f"/cases/{opened.id}").all("p", class_="w-suggestion")),
        *(r.text for r in applicant.get("/application").all("p", class_="w-suggestion")),
    ]
    break_it(how)
    before = everything(office)
    for visitor, path in ((caseworker, f"/cases/{opened.id}"), (applicant, "/application")):
        answer = visitor.get(path)
        assert answer.status == 503
        assert not any(text in answer.body for text in told)
        assert case.case_ref not in answer.body
    explained = machine.get(f"/cases/{opened.id}/explanation?audience=caseworker")
    check_problem(explained, 503, "storage.failed")
    assert everything(office) == before
    # nothing is left half done: mended, it works again
    office.sql("DROP TRIGGER broken")
    assert caseworker.get(f"/cases/{opened.id}").status == 200


@pytest.mark.parametrize("how", [*BROKEN, *BROKEN_DECISION])
def test_what_cannot_be_recorded_is_not_decided(
    standing: Office, break_it: Callable[[str], None], how: str
) -> None:
    office, case, key = standing, standing.fresh(), f"{KEY} {how}"
    visitor, machine = office.visitor("caseworker"), office.machine("caseworker")
    action = f"/cases/{case.id}/decision"
    fields = {
        **visitor.get(f"/cases/{case.id}").hidden(action),
        "outcome": "can_be_granted",
        "relation": "not_used",
        "codes": ["E6"],
    }
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    break_it(how)
    before = everything(office)
    assert visitor.post(action, fields).status == 503
    check_problem(machine.post(f"/cases/{case.id}/decisions", form, key=key), 503, "storage.failed")
    assert everything(office) == before
    office.sql("DROP TRIGGER broken")
    assert visitor.post(action, fields).status == 303
    check_problem(
        machine.post(f"/cases/{case.id}/decisions", form, key=key),
        409,
        "decision.suggestion_outdated",
    )


def test_on_a_full_disk_nothing_is_shown(office: Office) -> None:
    engine = office.tools.store.engine
    visitor = office.visitor("caseworker")
    path = f"/cases/{office.cases[0].id}"
    visitor.get(path)

    def no_more_pages(connection, _record):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(engine, "connect", no_more_pages)
    engine.dispose()
    for _ in range(100):
        before = office.size()
        answer = visitor.get(path)
        if answer.status == 503:
            break
        assert answer.status == 200
        assert office.size() == before + 1
    assert answer.status == 503
    assert office.size() == before
    event.remove(engine, "connect", no_more_pages)
    engine.dispose()
    assert visitor.get(path).status == 200


# -- decisions --------------------------------------------------------------------------------


def suggestion(office: Office) -> tuple[str, str]:
    """What was suggested when the case page was opened last, and the other outcome."""
    suggested = office.entries(since=office.size() - 1)[0].payload["recommendation_class"]
    other = {"can_be_granted": "check_more_closely", "check_more_closely": "can_be_granted"}
    return suggested, other[suggested]


def test_a_decision_is_one_record_one_entry_and_a_receipt(standing: Office) -> None:
    office, case = standing, standing.fresh()
    visitor = office.visitor("caseworker")
    page = visitor.get(f"/cases/{case.id}")
    suggested, other = suggestion(office)
    action = f"/cases/{case.id}/decision"
    fields = page.hidden(action)
    answer = visitor.post(
        action,
        {
            **fields,
            "outcome": other,
            "relation": "deviate",
            "codes": ["E6", "D2"],
            "facts": [page.all("input", name="facts")[0].attrs["value"]],
            "note": "Gespräch am Montag",
        },
    )
    assert (answer.status, answer.headers["location"]) == (303, f"/cases/{case.id}?saved=1")
    (entry,) = office.decisions(case)
    assert entry.payload["human_outcome"] == other
    assert entry.payload["recommendation_class"] == suggested
    assert entry.payload["relation"] == "deviate"
    assert entry.payload["reason_codes"] == ["E6", "D2"]
    assert entry.payload["free_text"] == "Gespräch am Montag"
    shown = office.entries()[int(fields["shown"])].payload["told"]
    assert entry.payload["explanation_doc_hash"] == hashlib.sha256(shown.encode()).hexdigest()
    query = "SELECT seq, suggested, outcome FROM decision_record"
    assert office.sql(f"{query} WHERE case_id = '{case.id}'") == [
        (entry.leaf.seq, suggested, other)
    ]
    after = visitor.get(f"/cases/{case.id}")
    assert entry.receipt.leaf_hash.hex() in after.text
    assert "Gespräch am Montag" in after.text
    assert not after.all("form", action=action), "a decided case has no form"


def test_agreeing_is_the_same_record_with_other_values(standing: Office) -> None:
    office, case = standing, standing.fresh()
    visitor = office.visitor("caseworker")
    cases = (case, office.fresh())
    for case, relation in zip(cases, ("agree", "deviate"), strict=True):
        visitor.get(f"/cases/{case.id}")
        suggested, other = suggestion(office)
        decide_by_form(
            visitor,
            case.id,
            outcome=suggested if relation == "agree" else other,
            relation=relation,
            codes=["A1" if relation == "agree" else "E6"],
        )
    agreed, deviated = (office.decisions(case)[0] for case in cases)
    assert set(agreed.payload) == set(deviated.payload)
    public = {"seq", "commit", "ct", "idem"}
    for name in type(agreed.leaf).__slots__:
        same = getattr(agreed.leaf, name) == getattr(deviated.leaf, name)
        assert same or name in public, f"the open part tells an agreement by {name}"


def test_the_same_form_twice_is_one_decision(standing: Office) -> None:
    office, case = standing, standing.fresh()
    visitor = office.visitor("caseworker")
    action = f"/cases/{case.id}/decision"
    fields = {
        **visitor.get(f"/cases/{case.id}").hidden(action),
        "outcome": "can_be_granted",
        "relation": "not_used",
        "codes": ["E6"],
    }
    for _ in range(3):
        answer = visitor.post(action, fields)
        assert (answer.status, answer.headers["location"]) == (303, f"/cases/{case.id}?saved=1")
    assert len(office.decisions(case)) == 1
    answer = visitor.post(action, {**fields, "outcome": "check_more_closely"})
    assert answer.status == 409
    assert list(answer.errors()) == ["entscheidung"]
    assert len(office.decisions(case)) == 1


def test_the_same_request_twice_gets_the_same_answer(standing: Office) -> None:
    office, case = standing, standing.fresh()
    machine, path = office.machine("caseworker"), f"/cases/{case.id}/decisions"
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    first = machine.post(path, form, key=KEY)
    assert first.status == 201
    assert machine.post(path, form, key=KEY).json() == first.json()
    (entry,) = office.decisions(case)
    assert first.json()["entry"] == entry.leaf.seq
    assert first.json()["leaf_hash"] == entry.receipt.leaf_hash.hex()
    for other in ({"note": "anders"}, {"outcome": "check_more_closely"}, {"codes": ["E5"]}):
        answer = machine.post(path, {**form, **other}, key=KEY)
        check_problem(answer, 409, "ledger.idempotency_conflict")
    other_case = f"/cases/{office.cases[2].id}/decisions"
    check_problem(machine.post(other_case, form, key=KEY), 409, "ledger.idempotency_conflict")
    assert len(office.decisions(case)) == 1


@pytest.mark.parametrize("key", [None, "", "short"])
def test_a_decision_by_the_api_needs_a_key(standing: Office, key: str | None) -> None:
    office, case = standing, standing.cases[1]
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    path = f"/cases/{case.id}/decisions"
    answer = office.machine("caseworker").post(path, form, key=key)
    check_problem(answer, 400, "request.idempotency_key_missing")
    assert not office.decisions(case)


@pytest.mark.parametrize("same_key", [True, False])
def test_at_once_from_many_sides_there_is_one_decision(standing: Office, same_key: bool) -> None:
    office, case = standing, standing.fresh()
    path = f"/cases/{case.id}/decisions"
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}

    def send(at: int) -> Answer:
        key = f"{KEY} {case.id}" if same_key else f"{KEY} {case.id} {at}"
        return office.machine("caseworker").post(path, form, key=key)

    office.machine("caseworker").post(path, {}, key=KEY)  # the routes stand before it is crowded
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    accepted = [a for a in answers if a.status == 201]
    assert len(accepted) == (6 if same_key else 1)
    assert len({a.body for a in accepted}) == 1
    assert all(a.status == 409 for a in answers if a not in accepted)
    assert len(office.decisions(case)) == 1


def test_a_second_decision_is_refused_with_the_page(standing: Office) -> None:
    office, case = standing, standing.fresh()
    one, two = office.visitor("caseworker"), office.visitor("caseworker")
    action = f"/cases/{case.id}/decision"
    fields = two.get(f"/cases/{case.id}").hidden(action)
    decide_by_form(one, case.id)
    before = office.size()
    answer = two.post(
        action, {**fields, "outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    )
    assert answer.status == 409
    assert answer.errors()
    assert len(office.decisions(case)) == 1
    # the page was shown again, and that is recorded
    check_told(office, answer)
    assert office.size() == before + 1


@pytest.fixture(scope="module")
def caseworker(standing: Office) -> Visitor:
    """One visit for many tests."""
    return standing.visitor("caseworker")


FAULTY = {
    "nothing at all": ({}, {"outcome", "relation", "codes"}),
    "no reason": ({"outcome": "SAME", "relation": "agree"}, {"codes"}),
    "no outcome": ({"relation": "not_used", "codes": ["E6"]}, {"outcome"}),
    "no relation": ({"outcome": "SAME", "codes": ["E6"]}, {"relation"}),
    "an outcome there is not": (
        {"outcome": "granted", "relation": "not_used", "codes": ["E6"]},
        {"outcome"},
    ),
    "a relation there is not": (
        {"outcome": "SAME", "relation": "ignored", "codes": ["E6"]},
        {"relation"},
    ),
    "a code there is not": ({"outcome": "SAME", "relation": "agree", "codes": ["Z9"]}, {"codes"}),
    "four reasons": (
        {"outcome": "SAME", "relation": "agree", "codes": ["D1", "D2", "D3", "D4"]},
        {"codes"},
    ),
    "agrees with another outcome": (
        {"outcome": "OTHER", "relation": "agree", "codes": ["A1"]},
        {"relation"},
    ),
    "deviates with the same outcome": (
        {"outcome": "SAME", "relation": "deviate", "codes": ["E6"]},
        {"relation"},
    ),
    "a reason for agreeing when deviating": (
        {"outcome": "OTHER", "relation": "deviate", "codes": ["A1"]},
        {"codes"},
    ),
    "another reason without saying which": (
        {"outcome": "OTHER", "relation": "deviate", "codes": ["X1"]},
        {"note"},
    ),
    "another reason that says nothing": (
        {"outcome": "OTHER", "relation": "deviate", "codes": ["X1"], "note": " \u202e\u200b "},
        {"note"},
    ),
    "facts that are not said": (
        {"outcome": "OTHER", "relation": "deviate", "codes": ["E1"]},
        {"note"},
    ),
    "a note that is too long": (
        {"outcome": "OTHER", "relation": "deviate", "codes": ["E6"], "note": "ä" * 501},
        {"note"},
    ),
    "a fact that is not in the list": (
        {"outcome": "OTHER", "relation": "deviate", "codes": ["E6"], "facts": ["weather"]},
        {"facts"},
    ),
}


@pytest.mark.parametrize(
    ("name", "tag"),
    [*((name, "de") for name in FAULTY), ("nothing at all", "en"), ("no reason", "en")],
)
def test_a_faulty_decision_comes_back_with_what_was_entered(
    standing: Office, caseworker: Visitor, name: str, tag: str
) -> None:
    visitor, case = caseworker, standing.cases[2]
    action = f"/cases/{case.id}/decision"
    page = visitor.get(f"/cases/{case.id}?lang={tag}")
    suggested, other = suggestion(standing)
    sent, wrong = FAULTY[name]
    words = {"SAME": suggested, "OTHER": other}
    fields = {**sent}
    if "outcome" in sent:
        fields["outcome"] = words.get(sent["outcome"], sent["outcome"])
    before = standing.size()
    answer = visitor.post(action, {**page.hidden(action), **fields})
    assert answer.status == 422
    assert set(answer.errors()) == wrong
    assert answer.one("div", id="fehler").attrs["role"] == "alert"
    assert answer.one("title").text.startswith("Fehler:" if tag == "de" else "Error:")
    for text in answer.errors().values():
        assert text
    for name_of in ("outcome", "relation", "codes", "facts"):
        ticked = {
            e.attrs["value"] for e in answer.all("input", name=name_of) if "checked" in e.attrs
        }
        given = fields.get(name_of, [])
        wanted = {given} if isinstance(given, str) else set(given)
        offered = {e.attrs["value"] for e in answer.all("input", name=name_of)}
        assert ticked == wanted & offered
    if "ä" in str(fields.get("note")):
        assert fields["note"] in answer.one("textarea", id="note").text
    for element in answer.all("input") + answer.all("textarea"):
        assert (element.attrs.get("aria-invalid") == "true") == (element.attrs.get("name") in wrong)
    # nothing decided; the page was shown again, and that stands in the ledger
    assert [e.leaf.type for e in standing.entries(since=before)] == ["shown"]
    check_told(standing, answer)
    assert int(answer.hidden(action)["shown"]) == before


def test_the_links_of_a_form_that_came_back_lead_somewhere(standing: Office) -> None:
    visitor, case = standing.visitor("caseworker"), standing.cases[2]
    answer = visitor.post(f"/cases/{case.id}/decision", {})
    assert answer.status == 422
    links = [link.attrs["href"] for link in answer.all("a", class_="w-languages__link")]
    assert len(links) == 2
    for href in links:
        assert visitor.get(href).status == 200


def test_a_note_keeps_its_lines_when_it_comes_back(standing: Office) -> None:
    visitor, case = standing.visitor("caseworker"), standing.cases[2]
    action = f"/cases/{case.id}/decision"
    fields = visitor.get(f"/cases/{case.id}").hidden(action)
    answer = visitor.post(action, {**fields, "note": "erste Zeile\r\nzweite Zeile"})
    assert "erste Zeile\nzweite Zeile" in "".join(answer.one("textarea", id="note").words)


def test_nothing_is_preselected(standing: Office) -> None:
    answer = standing.visitor("caseworker").get(f"/cases/{standing.cases[2].id}")
    assert not [e for e in answer.all("input") if "checked" in e.attrs]
    assert not [e for e in answer.all("option") if "selected" in e.attrs]


# -- what was shown ---------------------------------------------------------------------------


def test_what_was_shown_must_belong_to_this_case(standing: Office) -> None:
    office, case = standing, standing.fresh()
    visitor, machine = office.visitor("caseworker"), office.machine("caseworker")
    other = office.cases[2]
    visitor.get(f"/cases/{case.id}")
    suggested, _ = suggestion(office)
    of_other = visitor.get(f"/cases/{other.id}").hidden(f"/cases/{other.id}/decision")["shown"]
    applicant = office.visitor("applicant", office.cases[0].id)
    applicant.get("/application")
    of_applicant = office.size() - 1
    admission = office.entries(EntryKind.MODEL)[0].leaf.seq
    form = {"outcome": suggested, "relation": "agree", "codes": ["A1"]}
    path = f"/cases/{case.id}/decisions"
    key = f"{KEY} {case.id}"
    for at, shown in enumerate((int(of_other), of_applicant, admission, 999_999)):
        answer = machine.post(path, {**form, "shown": shown}, key=f"{key} {at}")
        check_problem(answer, 409, "decision.suggestion_outdated")
    action = f"/cases/{case.id}/decision"
    fields = visitor.get(f"/cases/{case.id}").hidden(action)
    for shown in (of_other, "x", "-1", "1; DROP TABLE entry", "٣", " " + fields["shown"]):
        assert visitor.post(action, {**fields, **form, "shown": shown}).status == 409
    # who was shown nothing cannot say that they followed it
    unseen = f"/cases/{office.fresh().id}/decisions"
    answer = machine.post(unseen, {**form}, key=f"{key} unseen")
    assert check_problem(answer, 422, "decision.faulty")["faults"][0]["where"]
    assert not office.decisions(case)
    assert visitor.post(action, {**fields, **form}).status == 303


def test_who_saw_a_suggestion_cannot_unsee_it(standing: Office) -> None:
    """Left out of the request, what was shown last still stands in the record."""
    case, visitor = standing.fresh(), standing.visitor("caseworker")
    visitor.get(f"/cases/{case.id}")
    seen = standing.size() - 1
    suggested, other = suggestion(standing)
    form = {"outcome": other, "relation": "deviate", "codes": ["E6"]}
    answer = standing.machine("caseworker").post(f"/cases/{case.id}/decisions", form, key=KEY + "s")
    assert answer.status == 201
    (entry,) = standing.decisions(case)
    assert entry.payload["recommendation_class"] == suggested
    shown = standing.entries(since=seen)[0].payload["told"]
    assert entry.payload["explanation_doc_hash"] == hashlib.sha256(shown.encode()).hexdigest()


def test_what_another_package_said_is_outdated(make_office, tmp_path, small_model) -> None:
    first = write_package(tmp_path / "one" / "small_benefit", small_model)
    later = write_package(
        tmp_path / "two" / "small_benefit",
        small_model,
        manifest=lambda text: text.replace('version = "1.0.0"', 'version = "1.1.0"'),
    )
    before = make_office(first, cases=1)
    actor = Actor("somebody", Role.CASEWORKER, unit="demo_office")
    german = languages()["de"]
    shown = show(before.cases[0].id, Audience.CASEWORKER, german, actor, before.tools)
    before.tools.close()
    after = make_office(later, cases=1)
    assert after.cases[0].id == before.cases[0].id
    sent = SentDecision(shown.finding.suggestion, "agree", ("A1",), (), "", str(shown.receipt.seq))
    with pytest.raises(SuggestionOutdated):
        decide(after.cases[0].id, sent, KEY, actor, after.tools)
    assert not after.entries(EntryKind.DECISION)
    again = show(after.cases[0].id, Audience.CASEWORKER, german, actor, after.tools)
    sent = SentDecision(again.finding.suggestion, "agree", ("A1",), (), "", str(again.receipt.seq))
    decide(after.cases[0].id, sent, KEY, actor, after.tools)
    (entry,) = after.entries(EntryKind.DECISION)
    assert entry.payload["model_version"] == "1.1.0"
    # both packages that were in force have their entry
    assert [e.payload["version"] for e in after.entries(EntryKind.MODEL)] == ["1.0.0", "1.1.0"]
