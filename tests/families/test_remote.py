"""Format remote-oip-v2: one pinned endpoint, bounded in every way, believed only where it fits."""

from __future__ import annotations

import json
import math
import pickle  # noqa: TID251 - the attack these tests are about
import socket
import time
from copy import deepcopy
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from factories import YES, feature
from households import (
    AMOUNT,
    CATALOGUE,
    COUNTS,
    EUROS,
    LINE,
    OUTCOMES,
    THREE,
    check_against_brute_force,
    damages,
    filled,
    households,
    permuted,
)
from serving import certificate, margin, scores, send, start

from explainer.core.attribution import Contrast, Space
from explainer.core.case import Case, FeatureCatalogue, Value
from explainer.errors import (
    ArtefactRefused,
    BackgroundInvalid,
    DoesNotAddUp,
    ExplainerError,
    ModelFailed,
)
from explainer.families import apart, from_remote
from explainer.families.apart import open_apart
from explainer.families.artefacts import open_model
from explainer.families.attribute import explained
from explainer.families.engine.estimate import Stage
from explainer.families.engine.function import MOST_ANSWERS

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "remote-model-1.schema.json"


@pytest.fixture
def endpoint():
    running, stop = start()
    yield running
    stop()


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(papers):
    running, stop = start(papers)
    yield running
    stop()


def description(endpoint=None, **changes) -> dict:
    """What an agency would write; a change of ... leaves a member out."""
    found = {
        "schema": "warum.remote-model/1",
        "url": endpoint.url if endpoint else "http://127.0.0.1:9",
        "model": "benefit",
        "version": "3",
        "classes": ["no", "yes"],
        "inputs": {
            "income": {"datatype": "FP64"},
            "rooms": {"datatype": "INT64"},
            "heating": {"datatype": "BYTES"},
            "tenancy": {"datatype": "BYTES"},
        },
        "output": {"name": "score", "datatype": "FP64", "gives": "log-odds"},
        "stand_ins": {"rooms": 3, "heating": "gas"},
        "max_rows": 4096,
        "seconds": {"connect": 1, "answer": 2},
        "retries": 0,
    }
    if endpoint and endpoint.secure:
        found["trust"] = {"authority": endpoint.authority}
    return {key: value for key, value in (found | changes).items() if value is not ...}


@pytest.fixture
def opened():
    """A function that opens a description; its connections are closed afterwards."""
    held = []

    def make(described, catalogue=CATALOGUE, target=YES):
        data = described if isinstance(described, bytes) else json.dumps(described).encode()
        held.append(open_model("remote-oip-v2", data, catalogue, target))
        return held[-1]

    yield make
    for model in held:
        model._endpoint._connection.close()


# -- right --------------------------------------------------------------------------------------


def test_margins_are_the_endpoints_own(endpoint, opened):
    model, rows = opened(description(endpoint)), households()
    answer = model.answer(rows)
    assert answer.margin.tolist() == [margin(**row) for row in filled(rows)]
    assert model.space is Space.LOG_ODDS
    assert model.stand_ins == {"rooms": 3.0, "heating": "gas"}
    assert set(endpoint.paths) == {"/v2/models/benefit/versions/3/infer"}


def test_values_equal_brute_force(endpoint, opened):
    check_against_brute_force(opened(description(endpoint)))


def test_a_case_adds_up_and_one_connection_serves_all(endpoint, opened):
    rows = households()
    answer = explained(opened(description(endpoint)), CATALOGUE, LINE, rows, "0" * 64)
    for row in filled(rows)[:4]:
        case = Case("A", None, {n: Value(v) for n, v in row.items()})
        found = answer.attribute(case)
        assert abs(found.difference) <= 1e-12
        assert found.method == "interventional-all-coalitions/1"
    assert endpoint.connections == 1


def test_features_in_another_order_get_the_same_values(endpoint, opened):
    rows = households()
    case = Case("A", None, {n: Value(v) for n, v in filled(rows)[0].items()})
    found = [
        {
            c.feature: c.phi
            for c in explained(opened(description(endpoint), c), c, LINE, rows, "0" * 64)
            .attribute(case)
            .contributions
        }
        for c in (CATALOGUE, permuted())
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-12)


def test_rows_are_asked_in_blocks_of_the_declared_size_and_each_once(endpoint, opened):
    model, rows = opened(description(endpoint, max_rows=7)), households(20)
    margins = model.answer(rows + rows).margin
    assert margins.tolist() == [margin(**row) for row in filled(rows + rows)]
    sizes = [asked["inputs"][0]["shape"][0] for asked in endpoint.asked]
    assert sizes == [7, 7, 6]


def test_what_is_sent_is_the_protocols_form_and_values_only(endpoint, opened):
    opened(description(endpoint)).answer([filled(households())[0]])
    row = filled(households())[0]
    assert endpoint.asked[0] == {
        "inputs": [
            {"name": n, "shape": [1, 1], "datatype": d, "data": [row[n]]}
            for n, d in (
                ("income", "FP64"),
                ("rooms", "INT64"),
                ("heating", "BYTES"),
                ("tenancy", "BYTES"),
            )
        ],
        "outputs": [{"name": "score"}],
    }


def test_tensors_may_have_names_and_a_shape_of_their_own(endpoint, opened):
    endpoint.answer = lambda handler, asked: send(
        handler,
        scores(
            {
                "inputs": [
                    t | {"name": t["name"].lower().removeprefix("x_")} for t in asked["inputs"]
                ]
            }
        ),
    )
    inputs = {n: e | {"name": f"X_{n}"} for n, e in description()["inputs"].items()}
    model = opened(description(endpoint, inputs=inputs, shape="n"))
    rows = filled(households(5))
    assert model.answer(rows).margin.tolist() == [margin(**row) for row in rows]
    assert endpoint.asked[0]["inputs"][0]["shape"] == [5]


@pytest.mark.parametrize("form", ["flat", "one in a row", "two", "two, nested"])
def test_scores_come_in_any_shape_the_protocol_allows(form, endpoint, opened):
    def answer(handler, asked):
        found = scores(asked)
        (tensor,) = found["outputs"]
        chances = [1 / (1 + math.exp(-score)) for score in tensor["data"]]
        pairs = [[1 - chance, chance] for chance in chances]
        n = len(chances)
        tensor["shape"], tensor["data"] = {
            "flat": ([n], chances),
            "one in a row": ([n, 1], [[chance] for chance in chances]),
            "two": ([n, 2], [chance for pair in pairs for chance in pair]),
            "two, nested": ([n, 2], pairs),
        }[form]
        send(handler, found)

    endpoint.answer = answer
    output = {"name": "score", "datatype": "FP64", "gives": "probability"}
    model, rows = opened(description(endpoint, output=output)), filled(households())
    assert model.space is Space.PROBABILITY
    expected = [1 / (1 + math.exp(-margin(**row))) for row in rows]
    assert model.answer(rows).margin == pytest.approx(expected, abs=1e-15)


def test_in_a_process_of_its_own_it_answers_the_same(secure, opened):
    """The only process that is allowed out; with its limits, and TLS."""
    data = json.dumps(description(secure)).encode()
    there, here, rows = (
        open_apart("remote-oip-v2", data, CATALOGUE, YES),
        opened(data),
        households(),
    )
    assert np.array_equal(there.answer(rows).margin, here.answer(rows).margin)
    columns = here.answer(rows).columns
    assert np.array_equal(
        there.row_values(columns[0], columns[1:9], Contrast(0)).by_row,
        here.row_values(columns[0], columns[1:9], Contrast(0)).by_row,
    )
    few = Stage(0, 4)
    assert np.array_equal(
        there.row_values(columns[0], columns[1:9], Contrast(0), few).covariance,
        here.row_values(columns[0], columns[1:9], Contrast(0), few).covariance,
    )
    # mixtures cost more over a network than beside the model
    assert there.forms[0].budget == here.forms[0].budget < MOST_ANSWERS / 8
    secure.answer = lambda handler, asked: send(handler, {}, 400)
    with pytest.raises(ModelFailed) as caught:
        there.answer(rows)
    assert "status 400" in caught.value.what
    assert caught.value.where == f"{secure.url}, model benefit, version 3"
    assert "datatypes" in caught.value.mend
    there.close()


def test_its_time_ends_before_that_of_its_process():
    assert from_remote.ANSWERING < apart.ANSWERING
    assert from_remote.PER_ROW < apart.PER_ROW
    assert from_remote.ENUMERATING < apart.ENUMERATING


def test_an_endpoint_that_changed_its_model_is_found_by_the_sum(endpoint, opened):
    rows = households()
    answer = explained(opened(description(endpoint)), CATALOGUE, LINE, rows, "0" * 64)

    def another(handler, asked):
        found = scores(asked)
        found["outputs"][0]["data"] = [score * 1.01 for score in found["outputs"][0]["data"]]
        send(handler, found)

    endpoint.answer = another
    case = Case("A", None, {n: Value(v) for n, v in filled(rows)[0].items()})
    with pytest.raises(DoesNotAddUp):
        answer.attribute(case)


# -- several classes, and amounts ---------------------------------------------------------------


def by_class(row) -> list[float]:
    """Scores of three classes, none the mirror of another."""
    found = margin(**row)
    return [found, 1.5 - found * (row["tenancy"] == "rent"), 0.2 * found**2 - row["rooms"] / 9]


def chances(row) -> list[float]:
    raised = [math.exp(score) for score in by_class(row)]
    return [each / sum(raised) for each in raised]


def euros(row) -> list[float]:
    return [1000 + 250 * by_class(row)[2]]


KINDS = {
    "log-odds of three classes": (by_class, THREE, OUTCOMES, "log-odds"),
    "probabilities of three classes": (chances, THREE, OUTCOMES, "probability"),
    "an amount": (euros, AMOUNT, EUROS, "amount"),
}


def described(endpoint, gives, **changes):
    """A description of this kind; an amount has no classes."""
    changes = {"classes": ... if gives == "amount" else list(THREE.classes)} | changes
    output = {"name": "score", "datatype": "FP64", "gives": gives}
    return description(endpoint, output=output, **changes)


def answering(scored, **changes):
    """An endpoint that gives these scores of each row, in rows."""

    def answer(handler, asked):
        tensors = {tensor["name"]: tensor["data"] for tensor in asked["inputs"]}
        rows = [dict(zip(tensors, row, strict=True)) for row in zip(*tensors.values(), strict=True)]
        given = [scored(row) for row in rows]
        found = scores(asked)
        found["outputs"][0] |= {
            "shape": [len(given), len(given[0])],
            "data": [score for row in given for score in row],
        } | changes
        send(handler, found)

    return answer


@pytest.mark.parametrize("kind", KINDS)
def test_several_classes_and_amounts_equal_brute_force(kind, endpoint, opened):
    scored, target, suggesting, gives = KINDS[kind]
    endpoint.answer = answering(scored)
    model, rows = opened(described(endpoint, gives), target=target), households()
    assert model.answer(rows).margins.tolist() == [scored(row) for row in filled(rows)]
    assert (model.space, len(model.forms)) == (Space(gives), target.outputs)
    check_against_brute_force(model, line=suggesting)


def test_an_amount_may_be_a_flat_list(endpoint, opened):
    rows = filled(households())
    endpoint.answer = answering(euros, shape=[len(rows)])
    model = opened(described(endpoint, "amount"), target=AMOUNT)
    assert model.answer(rows).margins.tolist() == [euros(row) for row in rows]


OTHER_SCORES = {
    "two of three": (lambda row: by_class(row)[:2], "log-odds", THREE, "another shape"),
    "four of three": (lambda row: [*by_class(row), 0.0], "log-odds", THREE, "another shape"),
    "one of three": (euros, "log-odds", THREE, "another shape"),
    "log-odds for chances": (by_class, "probability", THREE, "no probability of 3 classes"),
    "chances that are below nought": (
        lambda row: [1.5, -0.25, -0.25],
        "probability",
        THREE,
        "no probability",
    ),
    "two amounts": (lambda row: [1.0, 2.0], "amount", AMOUNT, "another shape"),
    "three amounts": (by_class, "amount", AMOUNT, "another shape"),
}


@pytest.mark.parametrize("name", OTHER_SCORES)
def test_other_scores_than_those_of_the_classes_are_withheld(name, endpoint, opened):
    scored, gives, target, says = OTHER_SCORES[name]
    endpoint.answer = answering(scored)
    with pytest.raises(ModelFailed) as caught:
        opened(described(endpoint, gives), target=target).answer(filled(households()))
    assert says in caught.value.what


OTHER_KINDS = {
    "three classes for two": (described(None, "log-odds"), YES, "classes are"),
    "two classes for three": (description(), THREE, "classes are"),
    "classes in another order": (
        described(None, "log-odds", classes=["yes", "part", "no"]),
        THREE,
        "classes are",
    ),
    "an amount with classes": (
        described(None, "amount", classes=["no", "yes"]),
        AMOUNT,
        "classes says nothing",
    ),
    "classes without names": (
        described(None, "log-odds", classes=...),
        THREE,
        "classes is missing",
    ),
    "an amount for classes": (described(None, "amount"), THREE, "gives is not"),
    "classes for an amount": (described(None, "log-odds"), AMOUNT, "gives is not amount"),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_a_description_of_another_kind_is_refused_by_name(name, opened):
    written, target, says = OTHER_KINDS[name]
    with pytest.raises(ArtefactRefused) as caught:
        opened(written, target=target)
    assert says in caught.value.what


def test_the_schema_takes_every_kind_and_no_mixture():
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    for gives in ("log-odds", "probability", "amount"):
        assert validator.is_valid(described(None, gives))
    for name in ("an amount with classes", "classes without names"):
        assert not validator.is_valid(OTHER_KINDS[name][0])


# -- values it cannot be asked about ------------------------------------------------------------

UNASKED = {
    "a number missing": ({"rooms": None}, {"stand_ins": ...}, "rooms"),
    "a choice missing": ({"heating": None}, {"stand_ins": ...}, "heating"),
    "half a room": ({"rooms": 2.5}, {}, "rooms"),
    "not a number": ({"income": "4711 secret"}, {}, "income"),
    "infinite": ({"income": math.inf}, {}, "income"),
    "an unknown choice": ({"heating": "coal"}, {}, "heating"),
    "too many rooms": (
        {"rooms": 2.0**40},
        {"inputs": description()["inputs"] | {"rooms": {"datatype": "INT32"}}},
        "rooms",
    ),
    "too large for single precision": (
        {"income": 1e39},
        {"inputs": description()["inputs"] | {"income": {"datatype": "FP32"}}},
        "income",
    ),
    "missing, and no whole number": (
        {"income": None},
        {},
        "income",
    ),
}


@pytest.mark.parametrize("name", UNASKED)
def test_what_cannot_be_asked_is_withheld_and_the_feature_named(name, endpoint, opened):
    changes, described, where = UNASKED[name]
    model = opened(description(endpoint, **described))
    with pytest.raises(ModelFailed) as caught:
        model.answer([filled(households())[0] | changes])
    assert caught.value.where == where
    assert "4711" not in str(caught.value)
    assert endpoint.asked == []


# -- answers that are not believed --------------------------------------------------------------


def changed(**changes):
    """A right answer with other members; ... leaves one out."""

    def answer(handler, asked):
        found = scores(asked) | changes
        send(handler, {key: value for key, value in found.items() if value is not ...})

    return answer


def tensor(**changes):
    def answer(handler, asked):
        found = scores(asked)
        one = found["outputs"][0]
        one |= {key: do(one) if callable(do) else do for key, do in changes.items()}
        found["outputs"] = [{key: value for key, value in one.items() if value is not ...}]
        send(handler, found)

    return answer


def written(text: bytes):
    return lambda handler, asked: send(handler, text)


def replaced(old: str, new: str):
    return lambda handler, asked: send(
        handler, json.dumps(scores(asked)).replace(old, new).encode()
    )


def with_first(value):
    """The first score replaced by other JSON."""

    def answer(handler, asked):
        found = scores(asked)
        found["outputs"][0]["data"][0] = "@"
        send(handler, json.dumps(found).replace('"@"', value).encode())

    return answer


WRONG = {
    "nothing": (written(b""), "no plain JSON"),
    "text": (written(b"Das ist keine Antwort."), "no plain JSON"),
    "bytes": (written(bytes(range(256))), "no plain JSON"),
    "half": (written(b'{"model_name": "benefit", "outputs": ['), "no plain JSON"),
    "nested without end": (written(b"[" * 60_000), "no plain JSON"),
    "a list": (written(b"[]"), "no object"),
    "null": (written(b"null"), "no object"),
    "a key twice": (replaced('"model_version"', '"model_name": "x", "model_name"'), "no plain"),
    "no model": (changed(model_name=...), "another model_name"),
    "another model": (changed(model_name="other"), "another model_name"),
    "another version": (changed(model_version="4"), "another model_version"),
    "a version by number": (changed(model_version=3), "another model_version"),
    "no outputs": (changed(outputs=...), "no list of outputs"),
    "outputs null": (changed(outputs=None), "no list of outputs"),
    "outputs as an object": (changed(outputs={"score": [1]}), "no list of outputs"),
    "outputs of numbers": (changed(outputs=[1, 2]), "no list of outputs"),
    "outputs empty": (changed(outputs=[]), "0 outputs"),
    "another output": (tensor(name="label"), "0 outputs"),
    "an output twice": (
        lambda h, a: send(h, scores(a) | {"outputs": scores(a)["outputs"] * 2}),
        "2 outputs",
    ),
    "another datatype": (tensor(datatype="FP32"), "another datatype"),
    "no datatype": (tensor(datatype=...), "another datatype"),
    "no shape": (tensor(shape=...), "another shape"),
    "shape as a number": (tensor(shape=5), "another shape"),
    "shape of truth": (tensor(shape=[5, True]), "another shape"),
    "shape of decimals": (tensor(shape=[5.0, 1]), "another shape"),
    "a row too few, said": (
        tensor(shape=[4, 1], data=lambda t: t["data"][:4]),
        "another shape",
    ),
    "a row too few, not said": (tensor(data=lambda t: t["data"][:4]), "another number"),
    "a row too many": (tensor(data=lambda t: [*t["data"], 1.0]), "another number"),
    "three classes": (tensor(shape=[5, 3], data=[0.1] * 15), "another shape"),
    "rows turned": (tensor(shape=[1, 5]), "another shape"),
    "no data": (tensor(data=...), "another number"),
    "data null": (tensor(data=None), "another number"),
    "data as text": (tensor(data="12345"), "another number"),
    "data as an object": (tensor(data={"0": 1.0}), "another number"),
    "rows of different length": (tensor(data=[[1.0], [1.0], [], [1.0], [1.0]]), "another shape"),
    "nested too deep": (tensor(data=[[[1.0]]] * 5), "no numbers"),
    "NaN": (with_first("NaN"), "no plain JSON"),
    "Infinity": (with_first("-Infinity"), "no plain JSON"),
    "a number too large": (with_first("1e999"), "no plain JSON"),
    "a whole number too large": (with_first("1" + "0" * 400), "too large"),
    "null for a score": (with_first("null"), "no numbers"),
    "true for a score": (with_first("true"), "no numbers"),
    "text for a score": (with_first('"1.5"'), "no numbers"),
    "two log-odds that are none": (tensor(shape=[5, 2], data=[0.25, 0.75] * 5), "two scores"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_that_is_not_what_was_asked_is_withheld(name, endpoint, opened):
    endpoint.answer, says = WRONG[name]
    with pytest.raises(ModelFailed) as caught:
        opened(description(endpoint)).answer(filled(households(5)))
    assert says in caught.value.what
    assert caught.value.where.startswith(endpoint.url)
    assert caught.value.mend
    assert len(endpoint.asked) == 1


def test_what_the_endpoint_writes_is_never_quoted(endpoint, opened):
    for status in (200, 302, 400, 404, 500):
        endpoint.answer = lambda h, a, s=status: send(h, {"error": "age 4711 secret"}, s)
        with pytest.raises(ModelFailed) as caught:
            opened(description(endpoint)).answer(filled(households(5)))
        assert "4711" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status, endpoint, opened):
    endpoint.answer = lambda h, a: send(h, {}, status, Location=f"{endpoint.url}/elsewhere")
    with pytest.raises(ModelFailed, match="redirects"):
        opened(description(endpoint)).answer(filled(households(5)))
    assert endpoint.paths == ["/v2/models/benefit/versions/3/infer"]


# -- time and size ------------------------------------------------------------------------------


def drop(handler):
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def silent(handler, asked):
    """Nothing, until whoever asked hangs up."""
    handler.connection.settimeout(LONG)
    handler.connection.recv(1)
    raise ConnectionAbortedError


def dripping(handler, asked):
    """A byte now and then, so that no single wait is long."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    for _ in range(DRIPS):
        handler.wfile.write(b" ")
        time.sleep(LONG / DRIPS)


def dripping_headers(handler, asked):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for at in range(DRIPS):
        handler.wfile.write(b"X-%d: 1\r\n" % at)
        time.sleep(LONG / DRIPS)


def continuing(handler, asked):
    """Never the answer itself, only that it will come."""
    for _ in range(DRIPS):
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(LONG / DRIPS)


LONG, DRIPS = 60.0, 2000
"""Seconds an endpoint goes on where nobody hangs up, and pieces of what it sends meanwhile."""


@pytest.mark.parametrize("way", [silent, dripping, dripping_headers, continuing])
def test_an_answer_that_is_too_slow_is_given_up(way, endpoint, opened):
    outlasted = []

    def answer(handler, asked):
        way(handler, asked)  # raises once nobody listens any more
        outlasted.append(way)

    endpoint.answer = answer
    model = opened(description(endpoint, seconds={"connect": 1, "answer": 0.3}))
    with pytest.raises(ModelFailed, match="in time"):
        model.answer(filled(households(5)))
    assert not outlasted


def test_all_tries_together_have_a_limit(endpoint, opened, monkeypatch):
    monkeypatch.setattr(from_remote, "ENUMERATING", 0.5)
    endpoint.answer = silent
    model = opened(description(endpoint, seconds={"connect": 1, "answer": 0.2}, retries=10))
    columns = np.array([[1.0, 2.0, 0.0, 1.0], [2.0, 3.0, 1.0, 0.0]])
    with pytest.raises(ModelFailed, match="in time"):
        model.row_values(columns[0], columns[1:], Contrast(0))
    # of eleven that were allowed; each takes 0.2 seconds of 0.5
    assert 1 <= len(endpoint.paths) <= 3


def endless(handler, asked):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    with_blanks = b" " * 65_536
    while True:
        handler.wfile.write(with_blanks)


def endless_chunks(handler, asked):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        handler.wfile.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")


@pytest.mark.parametrize("way", [endless, endless_chunks, written(b" " * 200_000)])
def test_an_answer_that_is_too_large_is_given_up(way, endpoint, opened):
    endpoint.answer = way
    with pytest.raises(ModelFailed, match="larger than"):
        opened(description(endpoint)).answer(filled(households(5)))


def raw(data: bytes):
    def answer(handler, asked):
        handler.wfile.write(data)
        drop(handler)

    return answer


NO_HTTP = {
    "another protocol": raw(b"220 mail.example.org ESMTP\r\n"),
    "a status that is none": raw(b"HTTP/1.1 abc OK\r\n\r\n"),
    "an endless line": raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n"),
    "too many headers": raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"),
    "a chunk of no size": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"),
    "broken off": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{"),
    "broken off in chunks": raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n{\r\n"
    ),
    "nothing at all": raw(b""),
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_whole_answer_is_given_up(name, endpoint, opened):
    endpoint.answer = NO_HTTP[name]
    with pytest.raises(ModelFailed, match=r"no HTTP|broke off"):
        opened(description(endpoint)).answer(filled(households(5)))


# -- asked again --------------------------------------------------------------------------------


def failing(times, way):
    """Wrong so many times, then right."""
    left = [times]

    def answer(handler, asked):
        left[0] -= 1
        if left[0] >= 0:
            way(handler, asked)
        else:
            send(handler, scores(asked))

    return answer


AGAIN = {
    **{f"status {n}": lambda h, a, n=n: send(h, {}, n) for n in (429, 502, 503, 504)},
    "broken off": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{"),
    "closed": raw(b""),
}


@pytest.mark.parametrize("name", AGAIN)
def test_what_may_be_well_in_a_moment_is_asked_again(name, endpoint, opened):
    endpoint.answer = failing(2, AGAIN[name])
    rows = filled(households(5))
    model = opened(description(endpoint, retries=2))
    assert model.answer(rows).margin.tolist() == [margin(**row) for row in rows]
    endpoint.answer = failing(9, AGAIN[name])
    with pytest.raises(ModelFailed):
        model.answer(rows)


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_what_will_not_be_well_is_not_asked_again(status, endpoint, opened):
    endpoint.answer = lambda h, a: send(h, {}, status)
    with pytest.raises(ModelFailed, match=f"status {status}"):
        opened(description(endpoint, retries=5)).answer(filled(households(5)))
    assert len(endpoint.asked) == 1


def test_a_connection_the_endpoint_closed_meanwhile_is_opened_anew(endpoint, opened):
    def closing(handler, asked):
        send(handler, scores(asked))
        drop(handler)

    endpoint.answer = closing
    model, rows = opened(description(endpoint)), filled(households(5))
    for _ in range(3):
        assert model.answer(rows).margin.tolist() == [margin(**row) for row in rows]
    assert endpoint.connections == 3


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_endpoint_that_closes_after_each_answer_is_read_to_the_end(version, endpoint, opened):
    def closing(handler, asked):
        body = json.dumps(scores(asked)).encode()
        handler.wfile.write(f"HTTP/{version} 200 OK\r\nConnection: close\r\n\r\n".encode())
        handler.wfile.write(body)
        drop(handler)

    endpoint.answer = closing
    model, rows = opened(description(endpoint)), filled(households())
    for _ in range(2):
        assert model.answer(rows).margin.tolist() == [margin(**row) for row in rows]


def test_an_endpoint_that_is_not_there_is_said_to_be_so(opened):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ModelFailed, match="cannot be reached") as caught:
            opened(description(url=url, retries=1)).answer(filled(households(5)))
    assert caught.value.where == f"{url}, model benefit, version 3"


def test_a_package_whose_endpoint_is_not_there_is_refused_not_crashed(opened):
    with pytest.raises(BackgroundInvalid, match="cannot be reached"):
        explained(opened(description()), CATALOGUE, LINE, households(), "0" * 64)


# -- who answers --------------------------------------------------------------------------------


def test_the_authority_that_is_pinned_is_believed(secure, opened):
    rows = filled(households(5))
    assert opened(description(secure)).answer(rows).margin.shape == (5,)


def test_the_certificate_that_is_pinned_is_believed(secure, opened):
    rows = filled(households(5))
    trust = {"certificate_sha256": secure.fingerprint}
    assert opened(description(secure, trust=trust)).answer(rows).margin.shape == (5,)


def test_another_certificate_is_not_believed_and_told_nothing(secure, opened, tmp_path):
    other = certificate(tmp_path)
    for trust in ({"authority": other.authority}, {"certificate_sha256": other.fingerprint}):
        with pytest.raises(ModelFailed, match="not the pinned one") as caught:
            opened(description(secure, trust=trust, retries=3)).answer(filled(households(5)))
        assert "pin the new one" in caught.value.mend
    assert secure.asked == []


@pytest.mark.parametrize("how", [{"host": "other.example.org"}, {"days": -1}])
def test_a_certificate_for_another_name_or_day_is_not_believed(how, opened, tmp_path):
    running, stop = start(certificate(tmp_path, **how))
    try:
        with pytest.raises(ModelFailed, match="not the pinned one"):
            opened(description(running)).answer(filled(households(5)))
        assert running.asked == []
    finally:
        stop()


def test_an_endpoint_without_tls_where_there_should_be_is_not_believed(endpoint, secure, opened):
    url = endpoint.url.replace("http:", "https:")
    trust = {"authority": secure.authority}
    with pytest.raises(ModelFailed, match="TLS"):
        opened(description(endpoint, url=url, trust=trust)).answer(filled(households(5)))
    assert endpoint.asked == []


# -- descriptions -------------------------------------------------------------------------------

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
INPUTS = description()["inputs"]
HTTPS = "https://models.example.org"

DESCRIPTIONS = {
    "another form": ({"schema": "warum.remote-model/2"}, "schema"),
    "no model": ({"model": ...}, "model is missing"),
    "a model with a path": ({"model": "a/../b"}, "model is not made of"),
    "a model of dots": ({"model": ".."}, "model is not made of"),
    "no version": ({"version": ...}, "version is missing"),
    "a version by number": ({"version": 3}, "version is not text"),
    "no URL": ({"url": "models.example.org"}, "url is no https URL"),
    "a file": ({"url": "file:///etc/passwd"}, "url is no https URL"),
    "http elsewhere": ({"url": "http://models.example.org"}, "loopback"),
    "http that looks local": ({"url": "http://localhost.example.org"}, "loopback"),
    "http by a number": ({"url": "http://10.0.0.1"}, "loopback"),
    "a password": ({"url": "https://a:b@models.example.org"}, "more than a server"),
    "a question": ({"url": f"{HTTPS}/?x=1"}, "more than a server"),
    "a path upwards": ({"url": f"{HTTPS}/a/../b"}, "path"),
    "a path with a line": ({"url": f"{HTTPS}/a%0d%0aX:y"}, "path"),
    "a port that is none": ({"url": f"{HTTPS}:99999"}, "no URL"),
    "https without trust": ({"url": HTTPS}, "trust is missing"),
    "http with trust": ({"trust": {"certificate_sha256": "0" * 64}}, "trust says nothing"),
    "trust in nothing": ({"url": HTTPS, "trust": {}}, "trust needs either"),
    "trust in two": (
        {"url": HTTPS, "trust": {"authority": PEM, "certificate_sha256": "0" * 64}},
        "trust needs either",
    ),
    "an authority that is none": ({"url": HTTPS, "trust": {"authority": PEM}}, "no certificate"),
    "a fingerprint that is none": (
        {"url": HTTPS, "trust": {"certificate_sha256": "0" * 40}},
        "64 small hexadecimal",
    ),
    "one class": ({"classes": ["yes"]}, "classes"),
    "three classes": ({"classes": ["a", "b", "yes"]}, "classes"),
    "classes turned": ({"classes": ["yes", "no"]}, "classes"),
    "a feature too few": (
        {"inputs": {n: e for n, e in INPUTS.items() if n != "rooms"}},
        "inputs.rooms is missing",
    ),
    "a feature too many": ({"inputs": INPUTS | {"age": {"datatype": "FP64"}}}, "inputs.age is no"),
    "a number as text": ({"inputs": INPUTS | {"rooms": {"datatype": "BYTES"}}}, "rooms.datatype"),
    "a choice as a number": (
        {"inputs": INPUTS | {"heating": {"datatype": "FP64"}}},
        "heating.datatype",
    ),
    "a datatype that is none": (
        {"inputs": INPUTS | {"rooms": {"datatype": "FLOAT"}}},
        "rooms.datatype",
    ),
    "a tensor twice": (
        {"inputs": INPUTS | {"rooms": {"datatype": "FP64", "name": "income"}}},
        "income twice",
    ),
    "an amount": (
        {"output": {"name": "s", "datatype": "FP64", "gives": "amount"}},
        "output.gives",
    ),
    "labels": ({"output": {"name": "s", "datatype": "BYTES", "gives": "log-odds"}}, "datatype"),
    "a shape that is none": ({"shape": "1 x n"}, "shape"),
    "a stand-in that is no choice": ({"stand_ins": {"heating": "coal"}}, "stand_ins.heating"),
    "a stand-in for nobody": ({"stand_ins": {"age": 3}}, "stand_ins.age"),
    "no rows": ({"max_rows": 0}, "max_rows"),
    "too many rows": ({"max_rows": 10**9}, "max_rows"),
    "no time": ({"seconds": {"connect": 0, "answer": 1}}, "seconds.connect"),
    "too much time": ({"seconds": {"connect": 1, "answer": 3600}}, "seconds.answer"),
    "too many tries": ({"retries": 1000}, "retries"),
    "a password of its own": ({"token": "secret"}, "token is not known"),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_description_that_does_not_fit_is_refused_by_name(name, opened):
    changes, says = DESCRIPTIONS[name]
    with pytest.raises(ArtefactRefused) as caught:
        opened(description(**changes))
    assert says in caught.value.what
    assert caught.value.mend


def test_all_faults_are_named_at_once(opened):
    with pytest.raises(ArtefactRefused) as caught:
        opened(description(model=1, retries=-1, inputs={}))
    assert all(n in caught.value.what for n in ("model", "retries", "inputs.tenancy"))


@pytest.mark.parametrize("protocol", range(6))
def test_a_renamed_pickle_is_refused(protocol):
    with pytest.raises(ArtefactRefused):
        open_model("remote-oip-v2", pickle.dumps(description(), protocol), CATALOGUE, YES)


@pytest.mark.parametrize("count", COUNTS)
def test_a_damaged_description_is_refused_or_leads_nowhere_else(count, endpoint, opened):
    rows = filled(households(5))
    met = {"refused": 0, "failed": 0, "right": 0}
    described = description(endpoint, seconds={"connect": 0.2, "answer": 0.5})
    for damaged in damages(json.dumps(described, indent=1).encode(), count):
        try:
            margins = opened(damaged).answer(rows).margin
        except ArtefactRefused:
            met["refused"] += 1
        except ExplainerError:
            met["failed"] += 1
        else:
            met["right"] += margins.tolist() == [margin(**row) for row in rows]
    assert sum(met.values()) == count
    assert met["refused"] > 0


@pytest.mark.parametrize("count", COUNTS)
def test_a_damaged_answer_gives_our_errors_only(count, endpoint, opened):
    rows = filled(households(5))
    model = opened(description(endpoint))
    model.answer(rows)
    whole = json.dumps(scores(endpoint.asked[0])).encode()
    for damaged in damages(whole, count):
        endpoint.answer = written(damaged)
        try:
            margins = model.answer(rows).margin
        except ModelFailed:
            continue
        # a digit that became another: base and contributions will not add up to it
        assert margins.shape == (5,)
        assert np.isfinite(margins).all()


def test_the_schema_is_one_and_takes_the_descriptions(papers):
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    checked = jsonschema.Draft202012Validator(schema)
    checked.validate(description())
    for trust in ({"authority": papers.authority}, {"certificate_sha256": "0" * 64}):
        checked.validate(description(url=HTTPS, trust=trust))


TOLD_BY_MORE = {
    "a model of dots",
    "http elsewhere",
    "http that looks local",
    "http by a number",
    "a path upwards",
    "a port that is none",
    "https without trust",
    "http with trust",
    "an authority that is none",
    "three classes",
    "classes turned",
    "a feature too few",
    "a feature too many",
    "a number as text",
    "a choice as a number",
    "a tensor twice",
    "a stand-in that is no choice",
    "a stand-in for nobody",
}
"""What the schema cannot say, or only who knows the features can."""


@pytest.mark.parametrize("name", sorted(DESCRIPTIONS.keys() - TOLD_BY_MORE))
def test_the_schema_refuses_what_the_reader_refuses(name):
    schema = json.loads(SCHEMA.read_text("utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(description(**DESCRIPTIONS[name][0]))


def test_more_features_than_can_be_enumerated_are_estimated_and_it_is_said(endpoint, opened):
    rows = households()
    row = filled(rows)[0]
    exact = explained(opened(description(endpoint)), CATALOGUE, LINE, rows, "0" * 64).attribute(
        Case("A", None, {n: Value(v) for n, v in row.items()})
    )
    # the endpoint looks at none of the others, so the values are those of the four
    more = {f"more_{at}": 1.0 for at in range(13)}
    many = FeatureCatalogue([*CATALOGUE, *map(feature, more)])
    inputs = INPUTS | {name: {"datatype": "FP64"} for name in more}
    model = opened(description(endpoint, inputs=deepcopy(inputs)), many)
    found = explained(model, many, LINE, [each | more for each in rows], "0" * 64).attribute(
        Case("A", None, {n: Value(v) for n, v in (row | more).items()})
    )
    assert exact.method == "interventional-all-coalitions/1"
    assert found.method != exact.method
    assert abs(found.difference) <= 1e-9
    known = {each.feature: each.phi for each in exact.contributions}
    for each in found.contributions:
        assert abs(each.phi - known.get(each.feature, 0.0)) <= 5 * each.error + 1e-9
