"""The JSON API: what it takes, what it refuses, and what each audience gets."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from offices import Office
from visiting import Answer, check_problem

KEY = "a random key of the API tests"
FORM = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def case(standing: Office) -> dict[str, Any]:
    """A case of a number of its own, as a specialist procedure would send it."""
    golden = standing.tools.packages["unemployment_benefit"].golden[0]
    form = copy.deepcopy(dict(golden.case))
    number = standing.sql("SELECT count(*) FROM case_file")[0][0]
    return {**form, "ref": f"API-{number}"}


def test_the_description_describes(standing: Office) -> None:
    description = standing.machine(None).get("/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    schemas = description["components"]["schemas"]
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert name
    for path, methods in description["paths"].items():
        assert path.startswith("/api/v1/")
        for method in methods.values():
            assert method["summary"]
            assert method["description"]
            for status in ("403", "422", "500"):
                assert status in method["responses"]

    def refs(value: Any) -> list[str]:
        if isinstance(value, dict):
            found = [value["$ref"]] if "$ref" in value else []
            return found + [one for inner in value.values() for one in refs(inner)]
        return [one for inner in value for one in refs(inner)] if isinstance(value, list) else []

    for ref in refs(description):
        assert ref.removeprefix("#/components/schemas/") in schemas
    # a token is needed for everything, and how it is sent is said
    (needed,) = description["security"]
    (name,) = needed
    scheme = description["components"]["securitySchemes"][name]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def of_the_description(standing: Office, name: str) -> jsonschema.Draft202012Validator:
    """One of the forms in the description, as a program that knows nothing else would check it."""
    description = standing.machine(None).get("/openapi.json").json()
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": description["components"]}
    )


def content(description: dict[str, Any]) -> str:
    """The name of the form a request or an answer has."""
    ref: str = description["content"]["application/json"]["schema"]["$ref"]
    return ref.removeprefix("#/components/schemas/")


def test_the_description_holds_the_documented_forms(standing: Office, case: dict[str, Any]) -> None:
    paths = standing.machine(None).get("/openapi.json").json()["paths"]
    sent = of_the_description(standing, content(paths["/api/v1/cases"]["post"]["requestBody"]))
    assert sent.is_valid(case)
    assert not sent.is_valid({**case, "caseworker": "Frau M."})
    assert not sent.is_valid({**case, "values": {"age": []}})
    answers = paths["/api/v1/cases/{case_id}/explanation"]["get"]["responses"]
    told = of_the_description(standing, content(answers["200"]))
    for audience in ("applicant", "caseworker"):
        form = explained(standing, audience).json()
        told.validate(form)
        assert not told.is_valid({**form, "margin": 0.5})
        del form["entry"]
        assert not told.is_valid(form)


STAFF = ("staff", "actor", "user", "caseworker_id", "employee", "clerk", "officer", "subject", "by")


def test_no_parameter_and_no_field_is_about_staff(standing: Office) -> None:
    """C2: nothing lists, counts, sorts or filters by the person who acted."""
    description = standing.machine(None).get("/openapi.json").json()
    names = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            names.update(value.get("properties", {}))
            if "in" in value and "name" in value:
                names.add(value["name"])
            for inner in value.values():
                collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)

    collect(description)
    assert {"outcome", "period", "case_id", "Idempotency-Key"} & {*names, "Idempotency-Key"}
    for name in names:
        parts = name.lower().replace("-", "_").split("_")
        assert not set(parts) & set(STAFF), name
    assert not {"sort", "order", "order_by", "group", "group_by"} & names


def test_from_a_case_to_its_record(standing: Office, case: dict[str, Any]) -> None:
    system, caseworker = standing.machine("system"), standing.machine("caseworker")
    submitted = system.post("/cases", case)
    assert submitted.status == 201
    assert set(submitted.json()) == {"id", "ref", "package", "state"}
    assert submitted.json()["ref"] == case["ref"]
    assert case["ref"] not in submitted.json()["id"]
    path = f"/cases/{submitted.json()['id']}"
    # nothing for the applicant before a person has decided
    check_problem(system.get(f"{path}/explanation"), 422, "case.not_decided")
    shown = caseworker.get(f"{path}/explanation?audience=caseworker&language=en").json()
    suggested = shown["suggestion"]["outcome"]
    form = {
        "outcome": suggested,
        "relation": "agree",
        "codes": ["A1"],
        "shown": shown["entry"],
        "note": "",
    }
    decided = caseworker.post(f"{path}/decisions", form, key=f"{KEY} {path}")
    assert decided.status == 201
    assert set(decided.json()) == {"record", "entry", "leaf_hash", "warnings"}
    listed = standing.machine("supervisor").get("/records").json()
    row = next(r for r in listed["records"] if r["record"] == decided.json()["record"])
    assert row["ref"] == case["ref"]
    assert (row["suggested"], row["outcome"]) == (suggested, suggested)
    assert row["entry"] == decided.json()["entry"]
    assert system.get(f"{path}/explanation?language=ar").status == 200


def test_the_same_case_again_gets_the_same_answer(standing: Office, case: dict[str, Any]) -> None:
    system = standing.machine("system")
    first = system.post("/cases", case)
    # in another order and spelling it is the same case
    again = dict(reversed(list(case.items())))
    assert system.post("/cases", again).json() == first.json()
    other = {**case, "values": {**case["values"], "age": 40}}
    check_problem(system.post("/cases", other), 409, "case.exists")
    there = standing.found(case["ref"])
    assert there is not None
    assert there.id == first.json()["id"]


# -- refused ----------------------------------------------------------------------------------


def deep(levels: int) -> bytes:
    return b'{"values": ' * levels + b"1" + b"}" * levels


SECRET = "9f8e7d-canary"
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "half a letter": b'{"ref": "\xff"}',
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "a text": b'"case"',
    "very deep": deep(80_000),
    "deep": deep(500),
    "deep lists": b'{"values": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a huge number": b'{"ref": "X-1", "package": "unemployment_benefit", "values": {"age": '
    + b"9" * 6000
    + b"}}",
    "nothing but a name": b'{"ref": "X-1"}',
    "half of a pair": b'{"ref": "\\ud800", "package": "\\udfff", "values": {"\\ud800": 1}}',
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("what", ["cases", "decisions"])
def test_what_is_no_case_and_no_decision_is_refused(standing: Office, name: str, what: str) -> None:
    path = "/cases" if what == "cases" else f"/cases/{standing.cases[1].id}/decisions"
    machine = standing.machine("system" if what == "cases" else "caseworker")
    headers = {"content-type": "application/json"}
    answer = machine.post(path, key=KEY, content=BODIES[name], headers=headers)
    assert answer.status in (400, 422), answer.body[:200]
    check_problem(answer, answer.status)


@pytest.mark.parametrize("inside", [False, True])
def test_a_key_that_is_there_twice_is_refused(
    standing: Office, case: dict[str, Any], inside: bool
) -> None:
    """Of two values neither can be meant; the command line refuses them too."""
    body = json.dumps(case)
    twice = (
        body.replace('"values": {', '"values": {"age": 99, ', 1)
        if inside
        else body.replace("{", '{"ref": "ANOTHER", ', 1)
    )
    assert json.loads(twice) == case
    answer = standing.machine("system").post(
        "/cases", content=twice.encode(), headers={"content-type": "application/json"}
    )
    problem = check_problem(answer, 422, "request.invalid")
    assert (problem["where"], problem["mend"]) == ("body", "Send each key once.")
    assert standing.found(case["ref"]) is None


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""]
)
def test_a_body_of_another_type_is_refused(
    standing: Office, case: dict[str, Any], content_type: str
) -> None:
    answer = standing.machine("system").post(
        "/cases", content=json.dumps(case).encode(), headers={"content-type": content_type}
    )
    check_problem(answer, 422)


VALUES: dict[str, tuple[str, bytes]] = {
    "not a number": ("case.value_of_wrong_kind", b"NaN"),
    "endless": ("case.value_of_wrong_kind", b"Infinity"),
    "endless the other way": ("case.value_of_wrong_kind", b"-Infinity"),
    "too much": ("case.value_out_of_range", b"1e308"),
    "beyond all numbers": ("case.value_of_wrong_kind", b"1e999"),
    "below": ("case.value_out_of_range", b"-5"),
    "a text": ("case.value_of_wrong_kind", f'"{SECRET}"'.encode()),
    "true": ("case.value_of_wrong_kind", b"true"),
    "a list": ("case.value_of_wrong_kind", f'["{SECRET}"]'.encode()),
    "a part of a year": ("case.value_of_wrong_kind", b"40.5"),
    "nothing": ("case.value_missing", b"null"),
    "an object of something else": ("case.malformed", f'{{"{SECRET}x": 1}}'.encode()),
    "given and missing": ("case.malformed", b'{"value": 40, "missing": "not_given"}'),
    "missing for no known reason": ("case.malformed", f'{{"missing": "{SECRET}"}}'.encode()),
    "a day there is not": ("case.malformed", b'{"value": 40, "as_of": "2026-02-30"}'),
    "a source without end": (
        "case.malformed",
        b'{"value": 40, "source": {"type": "x", "label": "' + b"x" * 300 + b'"}}',
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_is_none_is_refused_and_not_quoted(
    standing: Office, case: dict[str, Any], name: str
) -> None:
    code, raw = VALUES[name]
    marked = json.dumps({**case, "values": {**case["values"], "age": "HERE"}}).encode()
    body = marked.replace(b'"HERE"', raw)
    answer = standing.machine("system").post(
        "/cases", content=body, headers={"content-type": "application/json"}
    )
    problem = check_problem(answer, 422, "case.faulty")
    assert [fault["code"] for fault in problem["faults"]] == [code]
    assert problem["faults"][0]["where"].startswith("age")
    assert problem["faults"][0]["mend"]
    assert SECRET not in answer.body.replace(f"{SECRET}x", "")
    assert standing.found(case["ref"]) is None


def test_every_fault_of_a_case_is_named_at_once(standing: Office, case: dict[str, Any]) -> None:
    wrong = {
        **case,
        "ref": "§ 12",
        "caseworker": "Frau M.",
        "values": {**case["values"], "age": "old", "married": "maybe", "shoe_size": 43},
    }
    problem = check_problem(standing.machine("system").post("/cases", wrong), 422, "case.faulty")
    assert {fault["code"] for fault in problem["faults"]} == {
        "case.malformed",
        "case.feature_unknown",
        "case.value_of_wrong_kind",
        "case.value_out_of_range",
    }
    assert len(problem["faults"]) == 5
    assert "Frau M." not in json.dumps(problem)


@pytest.mark.parametrize("reported", [{"margin": "1"}, {"margin": None}, 1, [], {"margin": True}])
def test_a_reported_score_that_is_none_is_refused(
    standing: Office, case: dict[str, Any], reported: Any
) -> None:
    answer = standing.machine("system").post("/cases", {**case, "reported": reported})
    check_problem(answer, 422, "case.faulty")


@pytest.mark.parametrize("package", ["unknown", "", 1, ["small_benefit"], {"a": 1}, "x" * 500])
def test_a_package_that_is_none_is_refused(
    standing: Office, case: dict[str, Any], package: Any
) -> None:
    answer = standing.machine("system").post("/cases", {**case, "package": package})
    problem = check_problem(answer, 422, "case.faulty")
    assert "unemployment_benefit" in problem["faults"][0]["mend"]


DECISIONS: dict[str, dict[str, Any]] = {
    "an unknown field": {"actor": "somebody"},
    "another unknown field": {"suggested": "can_be_granted"},
    "no reason": {"codes": []},
    "four reasons": {"codes": ["D1", "D2", "D3", "D4"]},
    "a reason there is not": {"codes": [SECRET]},
    "a number as a reason": {"codes": [1]},
    "a reason as text": {"codes": "E6"},
    "no outcome": {"outcome": ""},
    "an outcome there is not": {"outcome": SECRET},
    "an outcome without end": {"outcome": "x" * 100},
    "a relation there is not": {"relation": SECRET},
    "a relation that does not fit": {"relation": "agree_other_reasons", "codes": ["D1"]},
    "a note without end": {"note": "x" * 501},
    "a note that is a number": {"note": 7},
    "half of a pair": {"note": "\ud800"},
    "facts there are not": {"facts": [SECRET]},
    "too many facts": {"facts": ["x"] * 51},
    "shown below nothing": {"shown": -1},
    "shown as text": {"shown": "1x"},
    "shown in part": {"shown": 1.5},
    "shown beyond all numbers": {"shown": 10**30},
}


@pytest.mark.parametrize("name", DECISIONS)
def test_a_faulty_decision_is_refused_and_not_quoted(standing: Office, name: str) -> None:
    case = standing.cases[3]
    machine = standing.machine("caseworker")
    body = json.dumps({**FORM, **DECISIONS[name]}).encode()
    answer = machine.post(
        f"/cases/{case.id}/decisions",
        key=f"{KEY} {name}",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert answer.status in (409, 422), answer.body[:300]
    problem = check_problem(answer, answer.status)
    assert SECRET not in json.dumps(problem)
    assert not standing.decisions(case)


@pytest.mark.parametrize("codes", [[], None, ["D1", "D2", "D3", "D4"]])
def test_grounds_of_another_number_have_their_documented_code(
    standing: Office, codes: list[str] | None
) -> None:
    form = {key: value for key, value in FORM.items() if key != "codes"}
    form |= {} if codes is None else {"codes": codes}
    path = f"/cases/{standing.cases[3].id}/decisions"
    problem = check_problem(
        standing.machine("caseworker").post(path, form, key=f"{KEY} {codes}"), 422
    )
    assert [fault["code"] for fault in problem["faults"]] == ["decision.grounds_missing"]


@pytest.mark.parametrize(
    "query",
    [
        "period=2026",
        "period=2026-13",
        "page=0",
        "page=x",
        "page=1000000000000000000000",
        f"code={SECRET}",
        "code=ZZ",
        "code=%25",
        "code=",
        # as a code there is not: what supervision may not see it cannot search for
        "code=M5",
        "code=M1",
        "relation=xx",
        "relation=" + "x" * 40,
        "unit=" + "x" * 80,
    ],
)
def test_a_faulty_search_is_refused_and_not_quoted(standing: Office, query: str) -> None:
    answer = standing.machine("supervisor").get(f"/records?{query}")
    problem = check_problem(answer, 422, "request.invalid")
    assert problem["where"] == f"query.{query.partition('=')[0]}"
    assert SECRET not in answer.body


def test_a_parameter_that_is_unknown_or_there_twice_is_refused(standing: Office) -> None:
    """Ignored, it would give everything, as if it had been applied."""
    supervisor = standing.machine("supervisor")
    # a case number is none either: it would stand in an address
    for query in ("case_number=UB-0004", "codes=D2", f"{SECRET}=1"):
        answer = supervisor.get(f"/records?{query}")
        problem = check_problem(answer, 422, "request.invalid")
        assert "code, page, period, relation, unit" in problem["mend"]
        assert SECRET not in answer.body
    twice = supervisor.get("/records?code=D2&code=E6")
    assert check_problem(twice, 422, "request.invalid")["where"] == "query.code"
    system = standing.machine("system")
    path = f"/cases/{standing.cases[0].id}/explanation"
    check_problem(system.get(f"{path}?lang=en"), 422, "request.invalid")
    check_problem(system.post("/cases?dry_run=1", {}), 422, "request.invalid")


def test_searching_by_the_api(standing: Office) -> None:
    supervisor = standing.machine("supervisor")
    everything = supervisor.get("/records").json()
    assert everything["total"] == len(everything["records"]) >= 1
    for query, expected in (
        ("period=2026-11", everything["total"]),
        ("period=1990-01", 0),
        ("unit=demo_office", everything["total"]),
        ("unit=test_office", 0),
        ("relation=partly", 0),
        ("code=L7", 0),
        ("code=M", 0),
    ):
        assert supervisor.get(f"/records?{query}").json()["total"] == expected, query
    assert supervisor.get("/records?page=2").json()["records"] == []


# -- what an audience gets --------------------------------------------------------------------

FORBIDDEN = ("margin", "probability", "phi", "contribution", "threshold", "base", "score")


def keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {k for inner in value.values() for k in keys_of(inner)}
    return {k for inner in value for k in keys_of(inner)} if isinstance(value, list) else set()


def explained(standing: Office, audience: str, tag: str = "de") -> Answer:
    role = "caseworker" if audience == "caseworker" else "system"
    path = f"/cases/{standing.cases[0].id}/explanation?audience={audience}&language={tag}"
    answer = standing.machine(role).get(path)
    assert answer.status == 200
    assert answer.headers["content-language"] == tag
    return answer


@pytest.mark.parametrize("audience", ["applicant", "caseworker"])
def test_nobody_gets_the_numbers_of_the_model(standing: Office, audience: str) -> None:
    form = explained(standing, audience).json()
    for key in keys_of(form):
        assert not any(word in key for word in FORBIDDEN), key
    text = json.dumps(form)
    entry = standing.entries(since=standing.size() - 1)[0].payload
    for number in (entry["margin"], entry["probability"], *entry["contributions"].values()):
        value = float.fromhex(number)
        assert repr(value)[:6] not in text or abs(value) < 1e-6


@pytest.mark.parametrize("audience", ["applicant", "caseworker"])
def test_an_answer_has_the_documented_form(standing: Office, audience: str) -> None:
    form = explained(standing, audience).json()
    schema = json.loads((DOCS / "view-1.schema.json").read_text("utf-8"))
    entry = form.pop("entry")
    assert isinstance(entry, int)
    jsonschema.validate(form, schema)


def test_an_applicant_gets_less_than_a_caseworker(standing: Office) -> None:
    applicant = explained(standing, "applicant").json()
    caseworker = explained(standing, "caseworker").json()
    assert "table" not in applicant
    assert len(caseworker["table"]) == 12
    for reason in applicant["reasons"]:
        assert not {"parts_of_100", "decisive", "proxy_for"} & set(reason)
    told = {reason.get("feature") for reason in applicant["reasons"]}
    assert told <= {row["feature"] for row in caseworker["table"]} | {None}
    assert len(applicant["reasons"]) <= 4


@pytest.mark.parametrize("tag", ["de", "en", "ar"])
def test_the_text_is_what_the_page_says(standing: Office, tag: str) -> None:
    text = explained(standing, "applicant", tag).json()["text"]
    page = standing.visitor("applicant", standing.cases[0].id).get(f"/application?lang={tag}")
    assert text in page.body


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("language=vi", 406),
        ("language=", 406),
        ("language=de-DE", 406),
        ("language=" + "x" * 40, 422),
        ("audience=auditor", 422),
        ("audience=supervisor", 422),
        ("audience=", 422),
        ("audience=caseworker", 403),
    ],
)
def test_other_audiences_and_languages_are_refused(
    standing: Office, query: str, status: int
) -> None:
    path = f"/cases/{standing.cases[0].id}/explanation?{query}"
    check_problem(standing.machine("system").get(path), status)


def test_staff_texts_are_german_and_english(standing: Office) -> None:
    path = f"/cases/{standing.cases[0].id}/explanation?audience=caseworker&language=ar"
    check_problem(standing.machine("caseworker").get(path), 406, "language.not_offered")


def test_a_method_there_is_not(standing: Office) -> None:
    machine = standing.machine("system")
    for path in ("/cases", "/records", f"/cases/{standing.cases[0].id}/explanation"):
        response = machine.http.delete(f"/api/v1{path}")
        problem = check_problem(Answer(response), 405, "http.405")
        assert (problem["where"], problem["mend"]) == ("the method", "See /api/v1/openapi.json.")
    problem = check_problem(machine.get("/nowhere"), 404, "http.404")
    assert (problem["where"], problem["mend"]) == ("the address", "See /api/v1/openapi.json.")


def test_every_code_a_program_is_answered_is_documented(standing: Office) -> None:
    """Also those the framework's own refusals are given."""
    page = (DOCS / "errors.md").read_text("utf-8")
    machine = standing.machine("system")
    headers = {"content-type": "application/json"}
    answers = (
        machine.get("/nowhere"),
        Answer(machine.http.delete("/api/v1/cases")),
        machine.post("/cases", content=b"{", headers=headers),
        machine.post("/cases", content=deep(80_000), headers=headers),
        machine.post("/cases", content=b"x" * 1_100_000, headers=headers),
    )
    for answer in answers:
        assert f"| `{answer.json()['code']}` |" in page
        assert f"| {answer.status} |" in next(
            line for line in page.splitlines() if f"`{answer.json()['code']}`" in line
        )
    assert len({answer.json()["code"] for answer in answers}) == 5
