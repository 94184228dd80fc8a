"""What others wrote is text and nothing else, and it stays where it belongs.

Hostile strings go in through every free field. Every page has the same elements and attributes as
with a harmless one, and what was sent is in no log, no address and no header.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from offices import Office
from visiting import Answer, Visitor

from service.events import log
from service.store.cases import CaseFile

HARMLESS = "Ein Satz"
HOSTILE: dict[str, str] = {
    "markup": "<script>alert(1)</script><b onmouseover=alert(1)>fett</b>",
    "an end of everything": "\"'></p></td></li></bdi></main></body><h1>neu</h1>",
    "an end of the field": "</textarea><input name=x autofocus><textarea>",
    "a comment": "<!-- <![CDATA[ --> ]]> &lt;b&gt; &#60;i&#62; &amp;amp;",
    "a template": "{{ 7*7 }} {% raw %} {# #} ${7*7} #{7*7} {0} {value} {x.__class__}",
    "gettext": "%(number)s %s %d %% 100 % %n",
    "direction": "ab\u202ecd\u2066ef\u2069\u200f\u061c\ufeffgh",
    "controls": "a\x00b\x07c\x1bd\x7fe\x85f\r\ng\u2028h",
    "a spreadsheet": "=HYPERLINK(1);+1;-1;@SUM(A1)",
    "a path": "../../../etc/passwd\\..\\file:///etc/passwd",
    "a query": "' OR '1'='1'; DROP TABLE entry; --",
    "a log line": 'x\n{"event": "decision recorded"}\r\nSet-Cookie: a=b',
    "letters of everywhere": "🜚 שָׁלוֹם مرحبا 你好 Ω ﷽ 👩‍👩‍👧 İı ß ﬁ",
    "very long": "lang " * 2000,
    "one long word": "x" * 10_000,
    "isolates left open": "\u2068\u2068\u2068 offen",
}
CANARY = "qz7canary"


def same_structure(one: Answer, other: Answer) -> None:
    """The same elements with the same attributes: text from outside changed nothing else."""
    assert one.status == other.status
    assert one.structure() == other.structure()


def without_marks(text: str) -> str:
    """What a reader may see of it: no controls, and nothing that turns the writing round."""
    for mark in "\u202a\u202b\u202c\u202d\u202e\x00\x07\x1b\x7f":
        assert mark not in text
    return text


Refuse = Callable[..., Answer]


@pytest.fixture(scope="module")
def refuse(standing: Office) -> Refuse:
    """A function that sends a decision that cannot be taken; returns the page that comes back."""
    visitor, case = standing.visitor("caseworker"), standing.cases[2]
    action = f"/cases/{case.id}/decision"
    hidden = visitor.get(f"/cases/{case.id}").hidden(action)

    def send(**fields: object) -> Answer:
        answer = visitor.post(action, {**hidden, **fields})
        assert not standing.decisions(case)
        return answer

    return send


@pytest.fixture(scope="module")
def harmless(refuse: Refuse) -> dict[str, Answer]:
    """What comes back where nothing hostile was sent."""
    choices = dict.fromkeys(("outcome", "relation", "codes", "facts"), HARMLESS)
    return {"note": refuse(outcome="none", note=HARMLESS), "choices": refuse(**choices)}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_note_that_comes_back(refuse: Refuse, harmless: dict[str, Answer], name: str) -> None:
    # faulty in the same way: a note that is too long is another fault
    answer = refuse(outcome="none", note=HOSTILE[name][:480])
    assert answer.status == 422
    same_structure(answer, harmless["note"])
    without_marks(answer.body)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_field_that_takes_one_of_a_few(
    refuse: Refuse, harmless: dict[str, Answer], name: str
) -> None:
    text = HOSTILE[name]
    choices = dict.fromkeys(("outcome", "relation", "codes", "facts"), text[:60])
    same_structure(refuse(**choices), harmless["choices"])
    for field in ("shown", "idempotency_key"):
        assert refuse(**{field: text}).status in (409, 422)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_search(standing: Office, name: str) -> None:
    visitor = standing.visitor("supervisor")

    def searched(text: str) -> Answer:
        return visitor.post("/records", {"case_number": text[:64], "period": "1990-01"})

    answer = searched(HOSTILE[name])
    assert answer.status == 200
    same_structure(answer, searched(HARMLESS))
    without_marks(answer.body)
    for field in ("period", "unit", "relation", "code", "page", "case_number"):
        assert visitor.post("/records", {field: HOSTILE[name]}).status in (200, 422)


@pytest.mark.parametrize("name", HOSTILE)
def test_an_address(standing: Office, name: str) -> None:
    visitor = standing.visitor("caseworker")
    text = HOSTILE[name][:500]
    harmless = visitor.get("/cases/nowhere")
    # what a browser would send: everything written out in bytes
    for path in ("/nowhere/", "/static/"):
        answer = visitor.get(path + "".join(f"%{byte:02x}" for byte in text.encode()))
        assert answer.status in (403, 404)
        assert "<script" not in answer.body
    found = visitor.get("/cases/" + "".join(f"%{byte:02x}" for byte in text.encode()[:90]))
    if found.status == harmless.status and "/" not in text:
        same_structure(found, harmless)
    for query in ("state", "page", "lang"):
        answer = visitor.get("/cases", params={query: text})
        assert answer.status in (200, 422)


# what no client and no server lets into a header is left out
SENDABLE = [name for name, text in HOSTILE.items() if not set(text) & set("\x00\r\n")]


@pytest.mark.parametrize("name", SENDABLE)
def test_a_header(standing: Office, name: str) -> None:
    visitor = standing.visitor()
    value = HOSTILE[name].encode()[:4000]
    for header in ("accept-language", "cookie", "user-agent", "referer", "x-forwarded-host"):
        answer = visitor.get("/", headers={header: value})
        assert answer.status == 200
        same_structure(answer, visitor.get("/", headers={header: HARMLESS}))


# -- what is stored and shown again -----------------------------------------------------------


def decide(visitor: Visitor, case: CaseFile, note: str) -> Answer:
    action = f"/cases/{case.id}/decision"
    fields = visitor.get(f"/cases/{case.id}").hidden(action)
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"], "note": note}
    answer = visitor.post(action, {**fields, **form})
    assert answer.status == 303
    return visitor.get(f"/cases/{case.id}")


def test_notes_and_occasions_that_are_stored(standing: Office) -> None:
    caseworker, supervisor = standing.visitor("caseworker"), standing.visitor("supervisor")
    harmless = standing.fresh()
    wanted = decide(caseworker, harmless, HARMLESS)

    def opened(case: CaseFile, occasion: str) -> Answer:
        record = standing.decisions(case)[0].payload["record_id"]
        return supervisor.post(
            f"/records/{record}", {"purpose": "audit", "purpose_text": occasion[:300]}
        )

    wanted_record = opened(harmless, HARMLESS)
    assert wanted_record.status == 200
    for text in together(240):
        case = standing.fresh()
        page = decide(caseworker, case, text)
        # other cases have other reasons: compared is what stands around them
        assert around(page) == around(wanted)
        without_marks(page.body)
        record = opened(case, text)
        assert around(record) == around(wanted_record)
        without_marks(record.body)
        applicant = standing.visitor("applicant", case.id).get("/application")
        assert applicant.status == 200
        assert text[:40] not in applicant.body, "a note is nothing the applicant is told"


def together(most: int) -> list[str]:
    """All hostile strings, as many in one text as fit: each of them would show by itself."""
    texts = [""]
    for text in HOSTILE.values():
        if len(texts[-1]) + len(text[:100]) > most:
            texts.append("")
        texts[-1] += f"{text[:100]} "
    return texts


def around(answer: Answer) -> list[tuple[str, tuple[str, ...]]]:
    """The structure without the told document and the rows of data, which the case decides."""
    inner = {"w-told", "w-pane--data", "w-data"}
    return [
        (e.tag, tuple(sorted(e.attrs)))
        for e in answer.elements
        if not any(set(a.attrs.get("class", "").split()) & inner for a in [e, *e.inside()])
    ]


@pytest.fixture
def submit(standing: Office) -> Callable[[str, str], CaseFile]:
    """Submit a case whose first value comes from a source with this label."""
    package = standing.tools.packages["unemployment_benefit"]
    machine = standing.machine("system")

    def send(ref: str, label: str) -> Any:
        values = copy.deepcopy(dict(package.golden[0].case["values"]))
        source = {"type": "own_statement", "label": label}
        for name, value in values.items():
            given = value if isinstance(value, dict) else {"value": value}
            values[name] = {**given, "source": source}
        form = {"ref": ref, "package": "unemployment_benefit", "values": values}
        return machine.post("/cases", form)

    return send


def test_where_a_value_is_said_to_come_from(
    standing: Office, submit: Callable[[str, str], Any]
) -> None:
    """A source is a name, not a text: nobody can put a sentence onto the page from there."""
    visitor = standing.visitor("caseworker")
    first = submit("HT-harmless", HARMLESS)
    assert first.status == 201
    wanted = visitor.get(f"/cases/{first.json()['id']}")
    assert HARMLESS in wanted.text
    for at, text in enumerate(HOSTILE.values()):
        answer = submit(f"HT-{at}", text)
        assert answer.status == 422, answer.body
        assert {fault["code"] for fault in answer.json()["faults"]} == {"case.malformed"}
        assert text[:20] not in answer.body
    for at, name in enumerate(
        ("Müller & Söhne (Amt/West), 3-4", "أمانة", "l'État & Cie", "x" * 60)
    ):
        answer = submit(f"HT-name-{at}", name)
        assert answer.status == 201, answer.body
        page = visitor.get(f"/cases/{answer.json()['id']}")
        assert name in page.text
        same_structure(page, wanted)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_case_number_is_letters_and_digits(
    standing: Office, submit: Callable[[str, str], Any], name: str
) -> None:
    answer = submit(HOSTILE[name], HARMLESS)
    assert answer.status == 422
    assert [fault["where"] for fault in answer.json()["faults"]] == ["ref"]


@pytest.mark.parametrize(
    "ref", ["-1", "../x", "UB 1", "UB\n1", "", "x" * 65, "１２", "<b>", "a%2f"]
)
def test_other_case_numbers_are_refused(
    standing: Office, submit: Callable[[str, str], Any], ref: str
) -> None:
    assert submit(ref, HARMLESS).status == 422


def test_a_case_number_with_a_slash_leads_where_it_should(
    standing: Office, submit: Callable[[str, str], Any]
) -> None:
    answer = submit("2026/11/.hidden-_", HARMLESS)
    assert answer.status == 201
    page = standing.visitor("caseworker").get(f"/cases/{answer.json()['id']}")
    assert "2026/11/.hidden-_" in page.one("h1").text


# -- canaries ---------------------------------------------------------------------------------


def test_what_was_sent_stands_in_no_log_no_address_and_no_header(
    standing: Office, submit: Callable[[str, str], Any], logged: io.StringIO
) -> None:
    """Numbers, notes, occasions and sources: through every field, to every kind of answer."""
    ref = f"{CANARY}-1"
    sent = submit(ref, f"{CANARY} Quelle")
    case_id = sent.json()["id"]
    answers = [sent, submit(ref, f"{CANARY} andere Quelle")]
    answers += [submit(f"{CANARY} wrong", CANARY), submit(f"{CANARY}-2", f"{CANARY}: <b>")]
    caseworker, supervisor = standing.visitor("caseworker"), standing.visitor("supervisor")
    action = f"/cases/{case_id}/decision"
    page = caseworker.get(f"/cases/{case_id}")
    answers.append(page)
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    answers.append(caseworker.post(action, {"note": f"{CANARY} falsch", "codes": [CANARY]}))
    answers.append(caseworker.post(action, {"form_token": CANARY, "note": CANARY}))
    fields = {**page.hidden(action), **form, "note": f"{CANARY} Notiz"}
    answers.append(caseworker.post(action, fields))
    answers.append(caseworker.post(action, {**fields, "note": f"{CANARY} anders"}))
    answers.append(caseworker.get(f"/cases/{case_id}"))
    # links of this page lead back to the address that was asked for
    assert caseworker.get(f"/cases/{CANARY}").status == 404
    stranger = standing.visitor()
    answers.append(stranger.get("/nowhere", headers={"cookie": f"warum_demo={CANARY}"}))
    answers.append(caseworker.post("/verify", {"x": CANARY * 10_000}))
    record = next(
        entry.payload["record_id"]
        for entry in standing.entries(since=standing.size() - 8)
        if entry.leaf.type == "decision"
    )
    answers.append(supervisor.post("/records", {"case_number": ref, "code": CANARY[:8]}))
    answers.append(supervisor.post("/records", {"period": CANARY}))
    answers.append(supervisor.post(f"/records/{record}", {"purpose": CANARY}))
    answers.append(
        supervisor.post(
            f"/records/{record}", {"purpose": "audit", "purpose_text": f"{CANARY} Anlass"}
        )
    )
    applicant = standing.visitor("applicant", case_id)
    answers.append(applicant.get("/application"))
    answers.append(applicant.post("/demo/person", {"person": CANARY, "case": CANARY}))
    machine = standing.machine("caseworker")
    path = f"/cases/{case_id}/decisions"
    for key in (f"{CANARY} a random key", CANARY):
        answers.append(machine.post(path, {**form, "note": CANARY}, key=key))
        answers.append(machine.post(path, {**form, CANARY: CANARY}, key=key))
    answers.append(standing.machine(None).get(f"/records?code={CANARY}"))
    # on purpose: a failure deep inside, whose text would quote what was stored
    for broken in (standing.found(ref), standing.fresh()):
        assert broken is not None
        standing.reseal(broken, values_json=CANARY)
        answers.append(caseworker.get(f"/cases/{broken.id}"))
    assert {a.status for a in answers} >= {200, 201, 303, 403, 404, 409, 413, 422, 500}

    said = logged.getvalue()
    assert said.count("\n") > 5, "refusals and failures are logged"
    assert CANARY not in said
    for name in ("demo-caseworker", "demo-supervisor"):
        assert name not in said
    for answer in answers:
        assert CANARY not in str(answer.headers)
        for element in answer.elements:
            for attribute in ("href", "src", "action", "id", "name", "class", "for"):
                assert CANARY not in element.attrs.get(attribute, "")


def test_every_line_of_the_log_is_one_object(standing: Office, logged: io.StringIO) -> None:
    visitor = standing.visitor("caseworker")
    for text in HOSTILE.values():
        visitor.post("/verify", {"form_token": text})
        visitor.get("/cases/x", params={"page": text[:200]})
    lines = logged.getvalue().splitlines()
    assert len(lines) >= len(HOSTILE)
    for line in lines:
        event = json.loads(line)
        assert set(event) <= {
            "event",
            "level",
            "timestamp",
            "code",
            "kind",
            "status",
            "route",
            "reference",
        }
        assert event.get("route", "/").startswith("/") or event["route"] == ""


def test_only_what_is_on_the_list_is_logged(logged: io.StringIO) -> None:
    """A field somebody adds one day is not logged until it was thought about."""
    log.error("refused", code="case.faulty", note=CANARY, case_ref=CANARY, value=7, exc_info=True)
    event = json.loads(logged.getvalue())
    assert set(event) == {"event", "level", "timestamp", "code"}
