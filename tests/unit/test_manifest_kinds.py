"""A manifest says what kind of answer its model gives: two classes, several, or an amount."""

from __future__ import annotations

import pytest
from kinds import THREE, write_kind
from trained import MANIFEST

from explainer.core.attribution import (
    AmountOutcome,
    Contrast,
    DecisionLine,
    SeveralOutcomes,
    Side,
    Space,
    Task,
)
from explainer.errors import PackageFaulty
from explainer.families.model import Target
from explainer.packages.admit import admit
from explainer.packages.manifest import manifest_as_it_is, read_manifest
from explainer.packages.rows import read_golden

TWO_CLASSES = """positive_class = "yes"
classes = ["no", "yes"]
"""
TWO = """threshold = 0.0
above = "can_be_granted"
below = "check_more_closely"
favours_applicant = "above"
"""
FIGURES = "base = 0.0\nmargin_scale = 1.0\n"
FILES = """
[files]
"model.skops" = { sha256 = "%s", size = 1 }
""" % ("0" * 64)


def written(kind: str, **changes: str) -> bytes:
    """A manifest of this kind; changes are values by key, in TOML, None leaves a key out."""
    model, suggestion, figures, space = {
        "binary": (TWO_CLASSES, TWO, FIGURES, "log-odds"),
        "multiclass": (
            'classes = ["a", "b", "c"]\n',
            'outcomes = { a = "full", b = "part", c = "none" }\n'
            'favourable = ["full", "part", "none"]\n',
            "base = [0.1, 0.2, 0.3]\nmargin_scale = [1.0, 2.0, 3.0]\n",
            "log-odds",
        ),
        "amount": (
            "",
            'unit = "EUR"\ndecimals = 2\nfavours_applicant = "higher"\n',
            FIGURES,
            "amount",
        ),
    }[kind]
    text = MANIFEST + FILES
    for old, new in (
        (TWO_CLASSES, model),
        (TWO, suggestion),
        (FIGURES, figures),
        ('space = "log-odds"', f'space = "{space}"'),
        ('kind = "binary"', f'kind = "{kind}"'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    for key, value in changes.items():
        table, _, key = key.rpartition("__")
        lines = text.splitlines()
        at = lines.index(f"[{table}]")
        end = next(n for n in range(at + 1, len(lines)) if lines[n].startswith("["))
        lines[at + 1 : end] = [
            line for line in lines[at + 1 : end] if not line.startswith(f"{key} =")
        ]
        if value is not None:
            lines.insert(at + 1, f"{key} = {value}")
        text = "\n".join(lines)
    return text.encode()


def test_two_classes_have_a_line_and_one_output():
    found = read_manifest(written("binary"))
    assert found.target == Target(Task.BINARY, ("no", "yes"))
    assert found.suggesting == DecisionLine(0.0, "can_be_granted", "check_more_closely", Side.ABOVE)
    assert (found.base, found.margin_scale, found.target.outputs) == ((0.0,), (1.0,), 1)


@pytest.mark.parametrize("space", [Space.LOG_ODDS, Space.PROBABILITY])
def test_several_classes_have_an_outcome_and_an_output_each(space):
    found = read_manifest(written("multiclass", model__space=f'"{space}"'))
    outcomes = ("full", "part", "none")
    assert found.target == Target(Task.MULTICLASS, ("a", "b", "c"))
    assert found.suggesting == SeveralOutcomes(outcomes, outcomes)
    assert found.outcomes == outcomes
    assert (found.base, found.margin_scale) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert (found.space, found.target.outputs) == (space, 3)
    assert found.suggesting.contrast([0.1, 0.7, 0.7]) == Contrast(1, 2)


def test_an_amount_is_higher_or_lower_in_its_unit():
    found = read_manifest(written("amount"))
    assert found.target == Target(Task.AMOUNT)
    assert found.suggesting == AmountOutcome("EUR", 2, Side.ABOVE)
    assert found.outcomes == ("higher", "lower")
    assert (found.base, found.space, found.target.outputs) == ((0.0,), Space.AMOUNT, 1)
    turned = read_manifest(written("amount", suggestion__favours_applicant='"lower"'))
    assert turned.suggesting == AmountOutcome("EUR", 2, Side.BELOW)


HUGE = "1" + "0" * 400
WRONG = {
    "a kind nobody knows": ("binary", {"model__kind": '"ranking"'}, "model.kind"),
    "two classes of several": ("multiclass", {"model__classes": '["a", "b"]'}, "model.classes"),
    "a class twice": ("multiclass", {"model__classes": '["a", "b", "b"]'}, "model.classes"),
    "no classes": ("multiclass", {"model__classes": None}, "model.classes"),
    "a positive class of several": (
        "multiclass",
        {"model__positive_class": '"a"'},
        "model.positive_class",
    ),
    "an amount of classes": ("multiclass", {"model__space": '"amount"'}, "model.space"),
    "outcomes too few": ("multiclass", {"suggestion__outcomes": '["full"]'}, "outcomes"),
    "an outcome twice": (
        "multiclass",
        {"suggestion__outcomes": '{ a = "full", b = "full", c = "none" }'},
        "outcomes",
    ),
    "an outcome with a space": (
        "multiclass",
        {"suggestion__outcomes": '{ a = "full", b = "in part", c = "none" }'},
        "outcomes",
    ),
    "nobody says what is better": (
        "multiclass",
        {"suggestion__favourable": "[]"},
        "suggestion.favourable",
    ),
    "better than an outcome that is none": (
        "multiclass",
        {"suggestion__favourable": '["full", "part", "more"]'},
        "suggestion.favourable",
    ),
    "a line between several": ("multiclass", {"suggestion__threshold": "0.0"}, "threshold"),
    "interim is no outcome": (
        "multiclass",
        {"suggestion__interim": '["check_more_closely"]'},
        "suggestion.interim",
    ),
    "one mean for all classes": ("multiclass", {"background__base": "0.5"}, "background.base"),
    "no mean at all": ("multiclass", {"background__base": None}, "background.base"),
    "an empty list of means": ("multiclass", {"background__base": "[]"}, "background.base"),
    "a mean too many": (
        "multiclass",
        {"background__base": "[0.1, 0.2, 0.3, 0.4]"},
        "background.base",
    ),
    "a mean that is text": (
        "multiclass",
        {"background__base": '[0.1, "x", 0.2, 0.3]'},
        "background.base",
    ),
    "a mean that is true": (
        "multiclass",
        {"background__base": "[true, 0.2, 0.3]"},
        "background.base",
    ),
    "a spread that is infinite": (
        "multiclass",
        {"background__margin_scale": "[1.0, inf, 3.0]"},
        "background.margin_scale",
    ),
    "a mean that fits no number": (
        "multiclass",
        {"background__base": f"[0.1, {HUGE}, 0.3]"},
        "background.base",
    ),
    "an amount's mean that fits none": ("amount", {"background__base": HUGE}, "background.base"),
    "classes of an amount": ("amount", {"model__classes": '["a", "b"]'}, "model.classes"),
    "log-odds of an amount": ("amount", {"model__space": '"log-odds"'}, "model.space"),
    "means of an amount": ("amount", {"background__base": "[0.1, 0.2]"}, "background.base"),
    "an amount without a unit": ("amount", {"suggestion__unit": '""'}, "suggestion.unit"),
    "decimals below nought": ("amount", {"suggestion__decimals": "-1"}, "suggestion.decimals"),
    "decimals without end": ("amount", {"suggestion__decimals": "7"}, "suggestion.decimals"),
    "nobody says whether more is better": (
        "amount",
        {"suggestion__favours_applicant": None},
        "favours_applicant",
    ),
    "above is better": (
        "amount",
        {"suggestion__favours_applicant": '"above"'},
        "favours_applicant",
    ),
    "outcomes of an amount": (
        "amount",
        {"suggestion__outcomes": '["a", "b"]'},
        "suggestion.outcomes",
    ),
    "an amount of two classes": ("binary", {"model__space": '"amount"'}, "model.space"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_the_kind_is_named_with_the_way_out(name):
    kind, changes, where = WRONG[name]
    assert read_manifest(written(kind))
    with pytest.raises(PackageFaulty) as caught:
        read_manifest(written(kind, **changes))
    assert [fault for fault in caught.value.faults if where in fault.where]
    assert all(fault.what and fault.mend for fault in caught.value.faults)


def test_what_is_wrong_hides_nothing_and_stops_nobody_who_prepares_a_package():
    faults = []
    found = manifest_as_it_is(
        written("multiclass", background__base="[]", suggestion__favourable="[]"), faults
    )
    places = " ".join(fault.where for fault in faults)
    assert "background.base" in places
    assert "suggestion.favourable" in places
    assert found is not None
    assert found.base == (0.0, 0.0, 0.0)


def test_a_recorded_case_has_numbers_for_every_output():
    lines = (
        b'{"case": {}, "margin": 0.5, "probability": 0.25}\n'
        b'{"case": {}, "margin": [0.1, 0.2, 0.3], "probability": [0.2, 0.3, 0.5]}\n'
        b'{"case": {}, "margin": 1250.5}\n'
    )
    assert [(each.margins, each.probabilities) for each in read_golden(lines)] == [
        ((0.5,), (0.25,)),
        ((0.1, 0.2, 0.3), (0.2, 0.3, 0.5)),
        ((1250.5,), ()),
    ]
    for wrong in (
        b'{"case": {}, "margin": "x"}',
        b'{"case": {}, "margin": "1.5"}',
        b'{"case": {}, "margin": true}',
        b'{"case": {}, "margin": NaN}',
        b'{"case": {}, "margin": 1e999}',
        b'{"case": {}, "margin": 1.5, "margin": 2.5}',
        b'{"case": {}, "margin": 1.5, "probability": ["0.5"]}',
        b'{"case": {}, "margin": [0.1, null]}',
        b'{"case": {}, "margin": {"a": 1}}',
        b'{"case": {}, "probability": 0.5}',
    ):
        with pytest.raises(PackageFaulty) as caught:
            read_golden(b'{"case": {}, "margin": 1.0}\n' + wrong)
        assert ["line 2" in fault.where for fault in caught.value.faults] == [True]


def test_swapped_classes_are_noticed_by_what_the_model_named_in_training(tmp_path):
    """Nothing in a file of XGBoost says which class is which."""
    right = write_kind(tmp_path / "right" / THREE.name, THREE)
    assert admit(right)
    swapped = write_kind(
        tmp_path / "swapped" / THREE.name,
        THREE,
        **{'classes = ["grant", "talk", "check"]': 'classes = ["check", "talk", "grant"]'},
    )
    with pytest.raises(PackageFaulty) as caught:
        admit(swapped)
    assert {fault.where.split(",")[0] for fault in caught.value.faults} == {"golden/cases.jsonl"}
    assert "named class" in caught.value.faults[0].what
