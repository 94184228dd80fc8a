"""Missing values without a stand-in: the model takes them as they are, and nobody is told else."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import date

import lightgbm
import numpy as np
import pandas as pd
import pytest
from factories import YES

from explainer.core.case import Missing, Value, read_case
from explainer.core.disclosure import Audience, disclose
from explainer.core.explanation import Limit
from explainer.errors import PackageFaulty
from explainer.families.artefacts import parse
from explainer.families.attribute import raw_row
from explainer.families.model import Input
from explainer.packages.admit import admit
from explainer.packages.bundled import find_package
from explainer.packages.scaffold import seal
from explainer.pipeline import explain, tell
from explainer.text.languages import language

DAY = date(2026, 3, 1)
NUMBERS = (Input("income", None), Input("rooms", None))


def booster_on(gaps: float) -> lightgbm.Booster:
    """A small booster; `gaps` is the share of rows in training without a number of rooms."""
    generator = np.random.default_rng(7)
    table = pd.DataFrame(
        {"income": generator.normal(30, 8, 600), "rooms": generator.integers(1, 7, 600) * 1.0}
    )
    label = (table["income"] + 5 * table["rooms"] + generator.normal(0, 6, 600) > 47).astype(int)
    table.loc[generator.random(600) < gaps, "rooms"] = np.nan
    settings = {"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(settings, lightgbm.Dataset(table, label), num_boost_round=10)


def opened(booster: lightgbm.Booster):
    return parse("lightgbm-txt", booster.model_to_string().encode(), NUMBERS, YES)


def test_a_booster_that_learned_from_gaps_has_no_stand_in_for_them():
    model = opened(booster_on(gaps=0.2))
    assert "rooms" not in model.stand_ins
    assert model.stand_ins == {"income": 0.0}


def test_a_booster_that_never_saw_a_gap_puts_nought_in_its_place():
    """LightGBM does so without a word; people have to be told."""
    model = opened(booster_on(gaps=0.0))
    assert model.stand_ins == {"income": 0.0, "rooms": 0.0}
    rows = [{"income": 30.0, "rooms": rooms} for rooms in (None, 0.0)]
    without, nought = model.answer(rows).margin
    assert without == nought


def test_the_mortgage_package_declares_no_stand_in(mortgage):
    optional = [feature for feature in mortgage.catalogue if feature.optional]
    assert [feature.name for feature in optional] == [
        "term",
        "units",
        "obligation_ratio",
        "payment_history",
    ]
    assert all(feature.stand_in is None for feature in optional)
    row = raw_row(read_case(mortgage.golden[0].case, mortgage.catalogue))
    stand_ins = mortgage.explained.model.stand_ins
    assert not {feature.name for feature in optional} & set(stand_ins)
    rows = [row, *({**row, feature.name: None} for feature in optional)]
    assert np.isfinite(mortgage.explained.model.answer(rows).margin).all()


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(find_package("mortgage_guarantee"), tmp_path / "mortgage_guarantee")
    return tmp_path / "mortgage_guarantee"


def test_a_stand_in_the_model_never_used_is_refused(folder):
    features = folder / "features.toml"
    text = features.read_text()
    features.write_text(text.replace("optional = true", "optional = true\nstand_in = 360", 1))
    seal(folder)
    with pytest.raises(PackageFaulty) as caught:
        admit(folder)
    (fault,) = caught.value.faults
    assert fault.where == "features.toml, term.stand_in"
    assert "no imputer" in fault.what


def test_what_the_model_silently_takes_for_nought_must_be_declared(folder):
    """The share of the price was always there in training: a gap would count as 0 of 100."""
    features = folder / "features.toml"
    texts = re.split(r"(?=\[\[feature\]\])", features.read_text())
    at = next(i for i, text in enumerate(texts) if 'name = "loan_to_price"' in text)
    texts[at] = texts[at].replace("optional = false", "optional = true")
    texts[at] += '[feature.reason_missing]\ncan_be_granted = "A."\ncheck_more_closely = "B."\n'
    features.write_text("".join(texts))
    manifest = folder / "manifest.toml"
    manifest.write_text(manifest.read_text().replace('["de", "en", "ar"]', '["de"]'))
    seal(folder)
    with pytest.raises(PackageFaulty) as caught:
        admit(folder)
    assert [fault.where for fault in caught.value.faults] == [
        "features.toml, loan_to_price.stand_in"
    ]
    assert "puts 0.0" in caught.value.faults[0].what


# -- what people are told ---------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["de", "en", "ar"])
def test_nobody_is_told_of_a_stand_in_where_there_is_none(mortgage, tag):
    """Many gaps: the warning says that information was missing, and nothing of stand-ins."""
    case = read_case(mortgage.golden[0].case, mortgage.catalogue)
    gone = {f.name: Value(None, Missing.NOT_GIVEN) for f in mortgage.catalogue if f.optional}
    explanation = explain(replace(case, values={**case.values, **gone}), mortgage, DAY)
    assert Limit.MANY_MISSING in explanation.limits
    for audience in Audience:
        staff = audience is Audience.CASEWORKER
        if staff and not language(tag).staff:
            continue
        voice = mortgage.voice(language(tag), staff=staff)
        text = tell(explanation, audience, language(tag), mortgage, form="text").body.decode()
        assert voice.say("told.limit.many_missing_bare") in text
        assert voice.say("told.limit.many_missing") not in text
        assert voice.say("told.stand_in").split(":")[0] not in text
        view = disclose(explanation, audience, mortgage.disclosure)
        told = [r for r in view.reasons if r.feature in gone and r.outcome is not None]
        assert told
        for reason in told:
            assert reason.stand_in is None
            assert voice.wording.reason(reason.feature, reason.outcome, missing=True) in text


def test_where_every_gap_has_its_stand_in_the_warning_says_so(demo):
    (recorded,) = (golden.case for golden in demo.golden if golden.case["ref"] == "UB-0110")
    explanation = explain(read_case(recorded, demo.catalogue), demo, DAY)
    assert Limit.MANY_MISSING in explanation.limits
    voice = demo.voice(language("de"), staff=False)
    text = tell(explanation, Audience.APPLICANT, language("de"), demo, form="text").body.decode()
    assert voice.say("told.limit.many_missing") in text
    assert voice.say("told.limit.many_missing_bare") not in text
