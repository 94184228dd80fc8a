"""Values found while the model answers are the same as afterwards, or they are not used."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from lying import let_lie
from trained_formats import (
    OUTCOMES,
    SUGGESTING,
    VARIANTS,
    apart,
    awkward,
    case,
    comparison,
    made,
)

from explainer.errors import ArtefactRefused, ExplainerError, ModelFailed
from explainer.families.apart import ModelApart, open_apart
from explainer.families.attribute import Explained, explained

BARE = [name for name in VARIANTS if name.startswith(("xgboost", "lightgbm", "catboost"))]
AMOUNT = next(name for name in OUTCOMES if name.startswith("amount: xgboost"))
SEVERAL_CLASSES = next(name for name in OUTCOMES if "xgboost" in name and name != AMOUNT)
ONE = "xgboost"
"""The variant for what is the same for all: numbers and choices, columns as they are asked."""


def answering(name: str, model: ModelApart) -> Explained:
    one = made(name)
    return explained(model, one.catalogue, SUGGESTING[one.target.task], comparison(name), "0" * 64)


def opened(name: str) -> ModelApart:
    one = made(name)
    return open_apart(one.declared, one.data, one.catalogue, one.target)


def said(subject: Explained, row: object) -> object:
    try:
        return subject.attribute(case(row))
    except ExplainerError as fault:
        return type(fault), fault.what


@pytest.mark.parametrize("name", [*BARE, AMOUNT])
def test_what_was_found_early_is_bit_by_bit_what_is_found_afterwards(name):
    subject, model = answering(name, apart(name)), apart(name)
    table = model._table
    for row in awkward(name)[::3]:
        early = said(subject, row)
        model._table = None
        try:
            assert said(subject, row) == early
        finally:
            model._table = table


def test_bare_boosters_of_one_output_are_computed_early(monkeypatch):
    """Otherwise the promise above would compare two ways that are one."""
    early = []
    real = Explained._answer

    def noting(self, row):
        answer, found = real(self, row)
        early.append(found is not None)
        return answer, found

    monkeypatch.setattr(Explained, "_answer", noting)
    found = {}
    for name in [*BARE, AMOUNT]:
        early.clear()
        said(answering(name, apart(name)), comparison(name)[3])
        found[name] = early == [True]
    assert found[ONE]
    assert found[AMOUNT]
    assert sum(found.values()) > len(found) / 2, found


def test_of_several_outcomes_nothing_is_computed_before_they_are_known(monkeypatch):
    subject = answering(SEVERAL_CLASSES, apart(SEVERAL_CLASSES))
    monkeypatch.setattr(
        Explained, "_contributions", lambda *_: pytest.fail("which two is not known yet")
    )
    answer, early = subject._answer(comparison(SEVERAL_CLASSES)[0])
    assert early is None
    assert answer.margins.shape == (1, 3)


def test_columns_the_model_did_not_take_count_for_nothing():
    """A process that says of its table what it does not do misleads nobody."""
    model = opened(ONE)
    try:
        subject = answering(ONE, model)
        honest = [subject.attribute(case(row)) for row in comparison(ONE)[:5]]
        table = model._table
        assert table is not None
        turned = {
            at: {choice: len(codes) - 1 - code for choice, code in codes.items()}
            for at, codes in table.codes.items()
        }
        assert turned
        model._table = replace(table, codes=turned)
        assert [subject.attribute(case(row)) for row in comparison(ONE)[:5]] == honest
    finally:
        model.close()


def test_whatever_fails_meanwhile_never_leaves_a_reply_for_the_next_question():
    model = opened(ONE)
    try:
        rows = comparison(ONE)[:2]
        right = model.answer(rows[1:]).margins
        first = model.process

        def fails(columns):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            model.answer(rows[:1], fails)
        assert model.process is None
        assert np.array_equal(model.answer(rows[1:]).margins, right)
        assert model.process not in (None, first)
    finally:
        model.close()


def test_time_we_take_ourselves_is_not_held_against_the_process(monkeypatch):
    model = opened(ONE)
    try:
        rows, real, later = comparison(ONE)[:1], time.monotonic, [0.0]
        right, process = model.answer(rows).margins, model.process
        monkeypatch.setattr(time, "monotonic", lambda: real() + later[0])

        def takes_an_hour(columns):
            later[0] += 3600

        assert np.array_equal(model.answer(rows, takes_an_hour).margins, right)
        assert model.process == process
    finally:
        model.close()


def test_a_choice_nobody_knows_is_refused_alike_with_and_without():
    model = apart(ONE)
    row = {**comparison(ONE)[0], "heating": "coal"}
    faults = []
    for meanwhile in (None, lambda columns: pytest.fail("there are no columns")):
        with pytest.raises(ModelFailed) as caught:
            model.answer([row], meanwhile)
        faults.append((caught.value.what, caught.value.where))
    assert faults[0] == faults[1]


LIES = {
    "no table at all": lambda head: head.pop("table"),
    "a table of words": lambda head: head.update(table="columns"),
    "names of nobody": lambda head: head["table"].update(names=["a", "b"]),
    "one name twice": lambda head: head["table"]["names"].__setitem__(0, head["table"]["names"][1]),
    "codes without columns": lambda head: head["table"].update(codes=[["x", [["wood", 0]]]]),
    "codes that are no numbers": lambda head: head["table"].update(codes=[[0, [["wood", "x"]]]]),
    "codes of columns that are not there": lambda head: head["table"].update(
        codes=[[99, [["wood", 0.0]]]]
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_process_that_lies_about_its_table_is_refused(lie, monkeypatch):
    let_lie(monkeypatch, LIES[lie])
    with pytest.raises(ArtefactRefused):
        opened(ONE)
