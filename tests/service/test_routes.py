"""Who may do what: every role on every route, decided by one table. A new route needs its row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from offices import Office
from visiting import Answer, check_problem

from explainer.core.decision import Role
from explainer.core.disclosure import Audience
from explainer.errors import CaseNotFound, NotAllowed
from explainer.ledger.entries import EntryKind
from service.open_case import open_case
from service.permissions import ALLOWED, Action
from service.store.records import entries_of_case
from service.web.people import applicant_of
from service.wiring import API_ROLES

PERSONS = ("", "caseworker", "supervisor", "operator", "applicant")
OPEN = "open"

# Who gets through, by route. For pages: nobody chosen yet ("") and the four persons; for the API:
# no token (None) and the roles that have tokens. Everybody else is refused with 403.
PAGES: dict[tuple[str, str], tuple[str, frozenset[str]]] = {
    ("GET", "/"): (OPEN, frozenset(PERSONS)),
    ("POST", "/demo/person"): (OPEN, frozenset(PERSONS)),
    ("GET", "/accessibility"): (OPEN, frozenset(PERSONS)),
    ("GET", "/feedback"): (OPEN, frozenset(PERSONS)),
    ("GET", "/healthz"): (OPEN, frozenset(PERSONS)),
    ("GET", "/readyz"): (OPEN, frozenset(PERSONS)),
    ("GET", "/metrics"): (OPEN, frozenset(PERSONS)),
    ("GET", "/cases"): (Action.QUEUE, frozenset({"caseworker"})),
    ("GET", "/cases/{case_id}"): (Action.SEE_AS_CASEWORKER, frozenset({"caseworker"})),
    ("POST", "/cases/{case_id}/decision"): (Action.DECIDE, frozenset({"caseworker"})),
    ("POST", "/cases/{case_id}/assessment"): (Action.DECIDE, frozenset({"caseworker"})),
    ("GET", "/cases/{case_id}/correction"): (Action.DECIDE, frozenset({"caseworker"})),
    ("POST", "/cases/{case_id}/correction"): (Action.DECIDE, frozenset({"caseworker"})),
    ("GET", "/own-records"): (Action.READ_OWN, frozenset({"caseworker"})),
    ("GET", "/application"): (Action.SEE_AS_APPLICANT, frozenset({"applicant"})),
    **{
        ("GET", f"/cases/{{case_id}}/receipts/{{mark}}{what}"): (
            Action.SEE_AS_CASEWORKER,
            frozenset({"caseworker"}),
        )
        for what in ("", "/proof", "/told")
    },
    **{
        ("GET", f"/application/receipts/{{mark}}{what}"): (
            Action.SEE_AS_APPLICANT,
            frozenset({"applicant"}),
        )
        for what in ("", "/proof", "/told")
    },
    ("GET", "/records"): (Action.LIST_RECORDS, frozenset({"supervisor"})),
    ("POST", "/records"): (Action.LIST_RECORDS, frozenset({"supervisor"})),
    ("GET", "/records/{record_id}"): (Action.OPEN_RECORD, frozenset({"supervisor"})),
    ("POST", "/records/{record_id}"): (Action.OPEN_RECORD, frozenset({"supervisor"})),
    ("GET", "/operation"): (Action.OPERATE, frozenset({"operator"})),
    ("GET", "/verify"): (Action.VERIFY, frozenset({"caseworker", "supervisor"})),
    ("POST", "/verify"): (Action.VERIFY, frozenset({"caseworker", "supervisor"})),
}
API: dict[tuple[str, str], tuple[str, frozenset[str]]] = {
    ("POST", "/api/v1/cases"): (Action.SUBMIT, frozenset({"system"})),
    ("GET", "/api/v1/cases/{case_id}/explanation"): (
        Action.READ_PUBLIC,
        frozenset({"system", "caseworker"}),  # each for its own audience, see below
    ),
    ("POST", "/api/v1/cases/{case_id}/assessments"): (Action.DECIDE, frozenset({"caseworker"})),
    ("POST", "/api/v1/cases/{case_id}/decisions"): (Action.DECIDE, frozenset({"caseworker"})),
    ("POST", "/api/v1/cases/{case_id}/events"): (
        Action.RECORD_EVENT,
        frozenset({"system", "caseworker"}),
    ),
    ("GET", "/api/v1/cases/{case_id}/receipts/{entry}"): (
        Action.READ_PUBLIC,
        frozenset({"system", "caseworker"}),  # each of its own audience, as the pages
    ),
    ("GET", "/api/v1/records"): (Action.LIST_RECORDS, frozenset({"supervisor"})),
}
# Open to all and without a dependency of ours: the description of the API, and styles.
PLAIN = {("GET", "/api/v1/openapi.json"), ("GET", "/static")}


def declared(app: Any) -> Iterator[tuple[str, str, str | None]]:
    """Method, path and policy of every route the application has."""
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from declared(inner)
            continue
        dependant = getattr(route, "dependant", None)
        found = [] if dependant is None else [d.call for d in dependant.dependencies]
        policies = [call.policy for call in found if hasattr(call, "policy")]
        assert len(policies) <= 1, f"{route.path} has two policies"
        for method in getattr(route, "methods", None) or {"GET"}:
            if method != "HEAD":
                yield method, route.path, policies[0] if policies else None


def test_every_route_has_a_policy_and_a_row(standing: Office) -> None:
    routes = {(method, path): policy for method, path, policy in declared(standing.app._app)}
    assert {key for key, policy in routes.items() if policy is None} == PLAIN
    table = {key: policy for key, (policy, _) in {**PAGES, **API}.items()}
    assert {key: policy for key, policy in routes.items() if policy} == {
        key: str(policy) for key, policy in table.items()
    }


def test_a_route_without_a_policy_is_noticed() -> None:
    from fastapi import APIRouter, FastAPI

    router = APIRouter()
    router.add_api_route("/new", lambda: None)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(router)
    assert ("GET", "/new", None) in list(declared(app))


@pytest.fixture(scope="module", autouse=True)
def marks(standing: Office) -> None:
    """What receipts are asked for: the applicant's page, and a case a caseworker has open."""
    standing.visitor("applicant", standing.cases[0].id).get("/application")
    standing.visitor("caseworker").get(f"/cases/{standing.cases[1].id}")
    standing.tools.seals.now()


def mark(office: Office, path: str) -> str:
    case = office.cases[1] if path.startswith("/cases/") else office.cases[0]
    with office.tools.store.reading() as tx:
        return entries_of_case(tx, case.id, EntryKind.SHOWN)[-1].receipt.leaf_hash.hex()


def send(office: Office, person: str, method: str, path: str) -> Answer:
    decided = office.cases[0]
    visitor = office.visitor(person, decided.id if person == "applicant" else "")
    (row,) = office.sql(f"SELECT record_id FROM decision_record WHERE case_id = '{decided.id}'")
    if "{mark}" in path:
        path = path.replace("{mark}", mark(office, path))
    path = path.replace("{case_id}", office.cases[1].id).replace("{record_id}", str(row[0]))
    if method == "GET":
        return visitor.get(path)
    fields: dict[str, Any] = {"purpose": "audit", "purpose_text": "Anlass"}
    if path == "/demo/person":
        fields["person"] = "supervisor"
    return visitor.post(path, fields)


@pytest.mark.parametrize("person", PERSONS)
@pytest.mark.parametrize(("method", "path"), PAGES)
def test_a_page_is_for_those_in_the_table(
    standing: Office, person: str, method: str, path: str
) -> None:
    before = standing.size()
    answer = send(standing, person, method, path)
    if person in PAGES[method, path][1]:
        # an empty decision is understood, and found faulty; what nobody asks for comes too late
        assert answer.status in (200, 303, 409, 422)
    else:
        assert answer.status == 403
        assert "Das dürfen Sie mit dieser Rolle nicht tun." in answer.text
        assert standing.size() == before


@pytest.mark.parametrize("role", [None, *API_ROLES])
@pytest.mark.parametrize(("method", "path"), API)
def test_the_api_is_for_those_in_the_table(
    standing: Office, role: str | None, method: str, path: str
) -> None:
    audience = "caseworker" if role == "caseworker" else "applicant"
    # the applicant is told only of what was decided
    case = standing.cases[1] if role == "caseworker" else standing.cases[0]
    declared = path
    path = path.removeprefix("/api/v1").replace("{case_id}", case.id)
    if "{entry}" in path:
        with standing.tools.store.reading() as tx:
            seen = entries_of_case(tx, case.id, EntryKind.SHOWN)
        standing.tools.seals.now()
        path = path.replace("{entry}", str(seen[-1].leaf.seq))
    machine = standing.machine(role)
    if method == "GET":
        query = "" if path.endswith("/records") else f"?audience={audience}"
        answer = machine.get(path + query)
    else:
        # refused for what it says, not for who says it
        form = {"outcome": "can_be_granted", "relation": "agree", "codes": ["Z9"]}
        answer = machine.post(path, form, key=f"a random key of {role}")
    if role in API[method, declared][1]:
        assert answer.status in (200, 422), answer.body
    else:
        check_problem(answer, 403, "access.not_allowed")


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic wrong", "ä"])
def test_a_wrong_token_is_nobody(standing: Office, token: str) -> None:
    answer = standing.machine(None).get(
        "/records", headers={"authorization": token.encode("latin-1")}
    )
    check_problem(answer, 403, "access.not_allowed")


def test_a_token_opens_no_page_and_a_visit_no_api(standing: Office) -> None:
    machine = standing.machine("caseworker")
    assert machine.http.get("/cases").status_code == 403
    visitor = standing.visitor("supervisor")
    check_problem(visitor.get("/api/v1/records"), 403, "access.not_allowed")


def test_each_token_sees_as_its_own_audience(standing: Office) -> None:
    path = f"/cases/{standing.cases[0].id}/explanation?audience="
    for role, audience, status in (
        ("system", "applicant", 200),
        ("system", "caseworker", 403),
        ("caseworker", "caseworker", 200),
        ("caseworker", "applicant", 403),
        ("supervisor", "applicant", 403),
        ("supervisor", "caseworker", 403),
    ):
        assert standing.machine(role).get(path + audience).status == status, (role, audience)


# -- own, other, none -------------------------------------------------------------------------


def alike(answers: list[Answer]) -> None:
    """The same status and the same words: nobody can tell one from the other."""
    assert {a.status for a in answers} == {404}
    assert len({a.text if a.is_page else a.body for a in answers}) == 1
    assert len({str(sorted(set(a.headers) - {"set-cookie"})) for a in answers}) == 1


def other_unit(office: Office) -> str:
    return next(case.id for case in office.cases if case.unit == "test_office")


NOWHERE = ("there-is-no-such-case", "0", "%00", "..%2f", "' OR 1=1", "ä" * 300)


def test_of_another_unit_and_of_nobody_look_the_same(standing: Office) -> None:
    visitor = standing.visitor("caseworker")
    before = standing.size()
    ids = [other_unit(standing), *NOWHERE[:2], NOWHERE[4], NOWHERE[5]]
    alike([visitor.get(f"/cases/{one}") for one in ids])
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    for kind in ("decision", "correction", "assessment"):
        alike([visitor.post(f"/cases/{one}/{kind}", form) for one in ids])
    alike([visitor.get(f"/cases/{one}/correction") for one in ids])
    assert standing.size() == before


def test_the_same_by_the_api(standing: Office) -> None:
    machine = standing.machine("caseworker")
    ids = [other_unit(standing), *NOWHERE[:2]]
    alike([machine.get(f"/cases/{one}/explanation?audience=caseworker") for one in ids])
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    alike(
        [machine.post(f"/cases/{one}/decisions", form, key=f"key of the case {one}") for one in ids]
    )


@pytest.mark.parametrize("role", ["caseworker", "supervisor", "system"])
def test_a_role_that_may_not_look_learns_not_what_there_is(standing: Office, role: str) -> None:
    machine = standing.machine(role)
    audience = "caseworker" if role == "system" else "applicant"
    answers = [
        machine.get(f"/cases/{one}/explanation?audience={audience}")
        for one in (standing.cases[0].id, standing.cases[1].id, *NOWHERE[:2])
    ]
    assert {a.status for a in answers} == {403}
    assert len({a.body for a in answers}) == 1


def test_the_queue_is_that_of_the_own_unit(standing: Office) -> None:
    page = standing.visitor("caseworker").get("/cases")
    assert any(case.unit == "test_office" for case in standing.cases)
    assert not [link for link in page.all("a") if link.text.startswith("T-")]


def test_an_applicant_sees_their_own_case_only(standing: Office) -> None:
    visitor = standing.visitor("applicant", standing.cases[0].id)
    page = visitor.get("/application")
    assert standing.cases[0].case_ref in page.text
    for other in standing.cases[1:4]:
        for path in (f"/cases/{other.id}", f"/application/{other.id}"):
            assert visitor.get(path).status in (403, 404)
        asked = visitor.get(f"/application?case={other.id}&case_id={other.id}")
        assert other.case_ref not in asked.body


def test_an_applicant_is_bound_to_one_case_whatever_a_route_asks_for(standing: Office) -> None:
    own, other = standing.cases[:2]
    applicant = applicant_of(own.id)
    assert open_case(own.id, Audience.APPLICANT, applicant, standing.tools).file.id == own.id
    for case_id, audience in (
        (other.id, Audience.APPLICANT),
        ("nowhere", Audience.APPLICANT),
    ):
        with pytest.raises(CaseNotFound):
            open_case(case_id, audience, applicant, standing.tools)
    for case_id in (own.id, other.id, "nowhere"):
        with pytest.raises(NotAllowed):
            open_case(case_id, Audience.CASEWORKER, applicant, standing.tools)


def test_a_record_that_is_not_there(standing: Office) -> None:
    visitor = standing.visitor("supervisor")
    case_id = standing.cases[0].id  # the id of a case is no id of a record
    alike([visitor.get(f"/records/{one}") for one in (case_id, *NOWHERE[:2])])
    fields = {"purpose": "audit", "purpose_text": "Anlass"}
    alike([visitor.post(f"/records/{one}", fields) for one in (case_id, *NOWHERE[:2])])


def test_a_visit_that_was_tampered_with_is_nobody(standing: Office) -> None:
    import base64

    visitor = standing.visitor("supervisor")
    cookie = visitor.http.cookies["warum_demo"]
    data, _, mac = cookie.partition(".")
    plain = base64.urlsafe_b64decode(data).decode().replace("supervisor", "caseworker")
    forged = base64.urlsafe_b64encode(plain.encode()).decode()
    for value in (f"{forged}.{mac}", f"{data}.", data, "", ".", "x" * 4000, f"{data}.{mac[::-1]}"):
        stranger = standing.visitor()
        answer = stranger.get("/cases", headers={"cookie": f"warum_demo={value}"})
        assert answer.status == 403


# -- the demonstration ------------------------------------------------------------------------


def test_nobody_else_can_be_chosen(standing: Office) -> None:
    visitor = standing.visitor()
    for person in ("administrator", "system", "", "auditor", "caseworker|x"):
        assert visitor.post("/demo/person", {"person": person}).status in (404, 422)
    assert visitor.get("/cases").status == 403


@pytest.mark.parametrize("case", ["", "nowhere", "a|b", "x" * 5000, "\0", "ä|caseworker"])
def test_an_applicant_needs_a_case_that_was_decided(standing: Office, case: str) -> None:
    visitor = standing.visitor()
    answer = visitor.post("/demo/person", {"person": "applicant", "case": case})
    assert answer.status == 303
    assert answer.headers["location"] == ("/" if case else "/application")
    # whatever was sent, the visit goes on
    assert visitor.be("caseworker", case).get("/cases").status == 200


def test_an_open_case_is_not_offered_to_applicants(standing: Office) -> None:
    page = standing.visitor().get("/")
    offered = {e.attrs["value"] for e in page.all("input", name="case")}
    assert standing.cases[0].id in offered
    assert standing.cases[1].id not in offered


# -- the table of roles -----------------------------------------------------------------------


def test_the_table_of_permissions_is_whole() -> None:
    assert set(ALLOWED) == set(Role)
    assert set().union(*ALLOWED.values()) == set(Action)


def test_nobody_may_look_over_shoulders() -> None:
    """Supervision opens single records for a purpose: it sees no case, and it does not decide."""
    assert not ALLOWED[Role.SUPERVISOR] & {
        Action.SEE_AS_CASEWORKER,
        Action.SEE_AS_APPLICANT,
        Action.QUEUE,
        Action.DECIDE,
        Action.READ_OWN,
        Action.SUBMIT,
    }
    assert not ALLOWED[Role.CASEWORKER] & {Action.LIST_RECORDS, Action.OPEN_RECORD}
    assert ALLOWED[Role.OPERATOR] == {Action.OPERATE}
    assert [role for role in Role if Action.OPERATE in ALLOWED[role]] == [Role.OPERATOR]
    assert Action.DECIDE not in ALLOWED[Role.SYSTEM] | ALLOWED[Role.APPLICANT]
