"""A package is admitted whole or not at all, and every fault is named at once."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import resource
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from trained import DEMO, MANIFEST, SmallModel, background, golden, manifest_of, small_pipeline

from explainer.cli.packages import tell_as_text
from explainer.errors import (
    ArtefactRefused,
    LanguageNotOffered,
    ManifestInvalid,
    PackageError,
    PackageFaulty,
    PackageNotFound,
)
from explainer.packages.admit import admit, check, record_texts
from explainer.packages.bundled import find_package, packages_in
from explainer.packages.manifest import read_manifest
from explainer.packages.package import open_package
from explainer.packages.rows import read_background, read_golden
from explainer.packages.scaffold import new_package, replace, seal
from explainer.text.languages import language

MANIFEST_BAD = "package.manifest_invalid"
CHANGED = "package.artefact_changed"
REFUSED = "package.artefact_refused"
WORDS = "package.wording_incomplete"
BACKGROUND = "package.background_invalid"
GOLDEN = "package.golden_case_differs"


def faults_of(folder: Path, open_: Callable = admit) -> list[tuple[str, str]]:
    """Code and text of every fault."""
    with pytest.raises(PackageFaulty) as caught:
        open_(folder)
    assert caught.value.faults
    assert all(isinstance(f, PackageError) and f.mend for f in caught.value.faults)
    return [(f.code, str(f)) for f in caught.value.faults]


def only_fault(folder: Path, code: str, says: str, open_: Callable = admit) -> None:
    found = faults_of(folder, open_)
    assert [code] == [each for each, _ in found], found
    assert says in found[0][1]


def changed(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, 1)

    return change


def test_a_whole_package_is_admitted(make_package):
    package = admit(make_package())
    assert package.manifest.id == "small_benefit"
    assert package.manifest.outcomes == ("can_be_granted", "check_more_closely")
    assert set(package.wordings) == {"de", "en"}
    assert len(package.golden) == 50
    assert package.identity.digest == package.manifest.digest


def test_the_packages_that_come_with_warum_are_found_by_name():
    assert find_package("unemployment_benefit") == DEMO
    assert find_package("mortgage_guarantee") == DEMO.with_name("mortgage_guarantee")
    assert find_package(str(DEMO)) == DEMO
    with pytest.raises(PackageNotFound, match="unemployment_benefit"):
        find_package("housing_benefit")
    with pytest.raises(PackageNotFound):
        find_package("../etc")
    assert DEMO in packages_in([DEMO.parent])
    assert packages_in([DEMO]) == [DEMO]
    assert packages_in([DEMO / "nowhere"]) == []


# -- files ------------------------------------------------------------------------------------


def test_a_changed_file_is_named(make_package):
    folder = make_package()
    (folder / "CARD.md").write_text("# something else\n")
    only_fault(folder, CHANGED, "CARD.md")


def test_a_file_of_the_same_length_with_one_other_letter_is_named(make_package):
    folder = make_package()
    text = (folder / "background.csv").read_bytes()
    (folder / "background.csv").write_bytes(text.replace(b"34,", b"35,", 1))
    only_fault(folder, CHANGED, "background.csv")


def test_a_missing_file_is_named(make_package):
    folder = make_package()
    (folder / "CARD.md").unlink()
    only_fault(folder, CHANGED, "CARD.md")


def test_a_file_that_nobody_named_is_refused(make_package):
    folder = make_package()
    (folder / "sitecustomize.py").write_text("print('hello')\n")
    only_fault(folder, CHANGED, "sitecustomize.py")


@pytest.mark.parametrize("hidden", [".hidden", "golden/.extra", "locales/en/again.po"])
def test_no_folder_and_no_dot_hides_a_file(make_package, hidden):
    folder = make_package()
    (folder / hidden).write_text("x")
    only_fault(folder, CHANGED, hidden)


def test_a_link_is_refused_wherever_it_stands(make_package, tmp_path):
    folder = make_package()
    (folder / "CARD.md").rename(tmp_path / "CARD.md")
    (folder / "CARD.md").symlink_to(tmp_path / "CARD.md")
    only_fault(folder, REFUSED, "CARD.md")
    (folder / "CARD.md").unlink()
    (tmp_path / "CARD.md").rename(folder / "CARD.md")
    (folder / "more").symlink_to(tmp_path)
    only_fault(folder, CHANGED, "more")


def test_a_named_pipe_is_refused_and_not_waited_for(make_package):
    folder = make_package()
    (folder / "CARD.md").unlink()
    os.mkfifo(folder / "CARD.md")
    only_fault(folder, REFUSED, "CARD.md")


def test_where_there_is_no_manifest_there_is_no_package(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(PackageNotFound):
            open_package(place)


def test_a_needed_file_that_the_manifest_does_not_name_is_missed(make_package):
    folder = make_package(files={"wording.toml": None})
    only_fault(folder, MANIFEST_BAD, "wording.toml")


def test_a_package_without_its_card_is_none(make_package):
    only_fault(make_package(files={"CARD.md": None}), MANIFEST_BAD, "CARD.md")


# -- the manifest -----------------------------------------------------------------------------

DEEP = "x = " + "[" * 3000 + "]" * 3000

MANIFESTS = {
    "no TOML": (lambda t: "]", "not TOML"),
    "nested without end": (lambda t: DEEP, "nested"),
    "two lines drawn": (changed("threshold = 0.0", "threshold = 0.0\nthreshold = 0.5"), "not TOML"),
    "two tables of the line": (lambda t: t + "\n[suggestion]\nthreshold = 1.0\n", "not TOML"),
    "an unknown key": (changed("licence =", "license = 'x'\nlicence ="), "license"),
    "an unknown table": (lambda t: t + "\n[plugins]\nrun = 'x'\n", "plugins"),
    "an unknown key in a table": (changed("threshold", "treshold = 1\nthreshold"), "treshold"),
    "a key missing": (changed('owner = "Musteramt"\n', ""), "owner"),
    "an empty owner": (changed('owner = "Musteramt"', 'owner = " "'), "owner"),
    "a table missing": (changed("[retention]\nclass", "[background.more]\nclass"), "retention"),
    "another protocol": (changed("protocol = 1", "protocol = 2"), "Protocol 2"),
    "an id that climbs": (changed('"small_benefit"\nversion', '"../x"\nversion'), "id"),
    "a file that climbs": (changed('"model.skops"', '"../model.skops"'), "model.file"),
    "a hidden file": (changed('"background.csv"', '".background.csv"'), "background.file"),
    "a date that is a time": (changed("2026-03-01", "2026-03-01T00:00:00Z"), "created"),
    "a stale date that is a time": (changed("2027-12-31", "2027-12-31T00:00:00"), "stale_after"),
    "stale without its year": (changed("as_of = 2020\n", ""), "limits"),
    "a truth in quotation marks": (changed("= true", '= "true"'), "artificial_intelligence"),
    "a line that is no number": (changed("threshold = 0.0", "threshold = nan"), "threshold"),
    "a line at infinity": (changed("threshold = 0.0", "threshold = inf"), "threshold"),
    "a line that is true": (changed("threshold = 0.0", "threshold = true"), "threshold"),
    "one outcome on both sides": (changed('"check_more_closely"', '"can_be_granted"'), "below"),
    "nobody favoured": (
        changed('favours_applicant = "above"', 'favours_applicant = ""'),
        "favours",
    ),
    "discretion": (changed('"bound"', '"discretion"'), "decision_type"),
    "an interim outcome that is none": (
        changed("threshold", 'interim = ["wait"]\nthreshold'),
        "interim",
    ),
    "interim outcomes that are no list": (
        changed("threshold", 'interim = "can_be_granted"\nthreshold'),
        "interim",
    ),
    "another space": (changed('"log-odds"', '"percent"'), "space"),
    "classes the other way round": (changed('["no", "yes"]', '["yes", "no"]'), "classes"),
    "three classes": (changed('["no", "yes"]', '["no", "maybe", "yes"]'), "classes"),
    "a share above one": (changed('"0.80"', '"80"'), "coverage"),
    "a share that is no number": (changed('"0.80"', '"NaN"'), "coverage"),
    "a share that is not finite": (changed('"0.80"', '"Infinity"'), "coverage"),
    "a share as a float": (changed('"0.80"', "0.80"), "coverage"),
    "a share with a line between its digits": (changed('"0.80"', '"0.8_0"'), "coverage"),
    "a share in other digits": (changed('"0.80"', '"٠.٨٠"'), "coverage"),
    "a share that would be cut": (changed('"0.80"', '"0.0505"'), "coverage"),
    "a line beyond every number": (
        changed("threshold = 0", f"threshold = 1{'0' * 400}\n# 0"),
        "threshold",
    ),
    "no reason at all": (changed("cap_applicant = 4", "cap_applicant = 0"), "reasons"),
    "too many reasons": (changed("cap_applicant = 4", "cap_applicant = 40"), "reasons"),
    "more reasons than readers of Leichte Sprache are asked to read": (
        changed('["de", "en"]', '["de", "de-simple"]'),
        "cap_applicant",
    ),
    "more towards than in all": (changed("cap_towards = 3", "cap_towards = 5"), "reasons"),
    "none towards": (changed("cap_towards = 3", "cap_towards = 0"), "reasons"),
    "none away": (changed("cap_towards = 3", "cap_towards = 3\ncap_away = 0"), "reasons"),
    "unclear below the floor": (changed("[limits]", 'unclear_floor = "0.01"\n[limits]'), "unclear"),
    "every case outside": (changed("outside_values = 2", "outside_values = 0"), "outside_values"),
    "German not offered": (changed('["de", "en"]', '["en"]'), "offered"),
    "the default not offered": (changed('default = "de"', 'default = "ar"'), "offered"),
    "approved by a word of one's own": (changed('"not_approved"', '"fine"'), "review.status"),
    "no mean of the comparison group": (changed("base = 0.0\n", ""), "background.base"),
    "a mean in words": (changed("base = 0.0", 'base = ""'), "background.base"),
    "a spread that is no number": (
        changed("margin_scale = 1.0", "margin_scale = nan"),
        "background.margin_scale",
    ),
    "a digest that is none": (
        lambda t: t + '\n[files]\n"x" = { sha256 = "1", size = 1 }\n',
        "files",
    ),
    "a file entry that climbs": (
        lambda t: t + f'\n[files]\n"../x" = {{ sha256 = "{"0" * 64}", size = 1 }}\n',
        "files",
    ),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_with_a_fault_is_refused_where_it_is(name):
    change, says = MANIFESTS[name]
    with pytest.raises(PackageFaulty) as caught:
        read_manifest(change(MANIFEST).encode())
    assert {f.code for f in caught.value.faults} == {MANIFEST_BAD}
    assert says in "\n".join(map(str, caught.value.faults))


def test_bytes_that_are_no_text_are_no_manifest():
    with pytest.raises(PackageFaulty):
        read_manifest(b"\xff\xfe\x00")


def test_several_faults_of_a_manifest_are_named_at_once():
    text = MANIFEST.replace('owner = "Musteramt"', 'owner = ""').replace("protocol = 1", "x = 1")
    text = text.replace("rows = 300", 'rows = "many"').replace('"log-odds"', '"percent"')
    with pytest.raises(PackageFaulty) as caught:
        read_manifest(text.encode())
    places = {fault.where for fault in caught.value.faults}
    assert {"manifest.toml, owner", "manifest.toml, protocol", "manifest.toml, x"} <= places
    assert {"manifest.toml, background.rows", "manifest.toml, model.space"} <= places


def test_the_digest_of_a_package_covers_every_file(make_package):
    folder = make_package()
    before = admit(folder).identity.digest
    (folder / "CARD.md").write_text("# other words\n")
    seal(folder)
    assert admit(folder).identity.digest != before


# -- features, words, comparison group, model ----------------------------------------------------


def no_english(text: str) -> str:
    return text.replace('"de", "en"', '"de"')


FEATURES = {
    "a protected characteristic": (
        changed('"proxy_suspect"', '"protected_not_allowed"'),
        MANIFEST_BAD,
        "protected characteristic may not be an input",
    ),
    "no class": (changed('class = "proxy_suspect"\n', ""), MANIFEST_BAD, "class"),
    "an unknown class": (changed('"proxy_suspect"', '"harmless"'), MANIFEST_BAD, "class"),
    "a proxy for nothing": (changed('proxy_for = "age"\n', ""), MANIFEST_BAD, "proxy_for"),
    "a law without its norm": (
        changed('class = "proxy_suspect"\nproxy_for = "age"', 'class = "legally_required"'),
        MANIFEST_BAD,
        "norm",
    ),
    "an unknown key": (
        changed('mend = "none"', 'mend = "none"\ncolour = "red"'),
        MANIFEST_BAD,
        "colour",
    ),
    "an unknown unit": (changed('unit = "years"', 'unit = "furlongs"'), MANIFEST_BAD, "unit"),
    "a range the wrong way round": (changed("[16, 80]", "[80, 16]"), MANIFEST_BAD, "range"),
    "an endless range": (changed("[16, 80]", "[16, inf]"), MANIFEST_BAD, "range"),
    "trained beyond the hard range": (changed("[20, 61]", "[20, 99]"), MANIFEST_BAD, "trained"),
    "one choice only": (changed('["yes", "no"]', '["yes"]'), MANIFEST_BAD, "choices"),
    "a choice twice": (changed('["yes", "no"]', '["yes", "yes"]'), MANIFEST_BAD, "choices"),
    "the same feature twice": (changed('name = "married"', 'name = "age"'), MANIFEST_BAD, "twice"),
    "optional without a stand-in": (changed("stand_in = 4\n", ""), MANIFEST_BAD, "stand_in"),
    "another stand-in": (changed("stand_in = 4", "stand_in = 5"), MANIFEST_BAD, "puts 4.0"),
    "a stand-in out of range": (
        changed("stand_in = 4", "stand_in = 400"),
        MANIFEST_BAD,
        "stand_in",
    ),
    "optional without an imputer": (
        changed("optional = false", "optional = true\nstand_in = 30"),
        MANIFEST_BAD,
        "no imputer",
    ),
    "optional, and the model gives no answer without": (
        lambda t: re.sub(
            r"(?s)optional = false(.*?\[feature\.reason\]\n)(.*?)(\n\n)",
            r"optional = true\1\2\n[feature.reason_missing]\ncan_be_granted = "
            r'"Das Alter fehlte."\ncheck_more_closely = "Das Alter war nicht da."\3',
            t,
            count=1,
        ),
        MANIFEST_BAD,
        "gives no answer without",
    ),
    "a sentence missing": (
        lambda t: re.sub(r'"can_be_granted" = "Ihr Alter.*\n', "", t),
        MANIFEST_BAD,
        "feature|age|reason|can_be_granted",
    ),
    "a label missing": (changed('label = "Alter"\n', ""), MANIFEST_BAD, "label"),
    "a choice without a label": (
        changed('"yes" = "Verheiratet"\n', ""),
        MANIFEST_BAD,
        "feature|married|choice|yes",
    ),
    "a slot of one's own": (changed("{value}", "{age}"), WORDS, "slot"),
    "a slot before its colon": (changed("lautet: {value}", "{value} lautet"), WORDS, "colon"),
    "markup": (changed("Ihr Alter sprach", "<b>Ihr Alter</b> sprach"), WORDS, "markup"),
    "a sentence that is a number": (changed('"Verheiratet"', "5"), WORDS, "married"),
    "a feature with another name": (changed('name = "age"', 'name = "years"'), REFUSED, "years"),
}


@pytest.mark.parametrize("name", FEATURES)
def test_a_fault_of_the_catalogue_is_refused_where_it_is(make_package, name):
    change, code, says = FEATURES[name]
    found = faults_of(make_package(features=change, manifest=no_english))
    assert any(code == each and says in text for each, text in found), found


WORDINGS = {
    "an outcome without its sentence": (
        changed('"decide" = "Antrag bewilligen"\n', ""),
        "outcome|can_be_granted|decide",
    ),
    "no telephone": (changed('"phone" = "030 23125 123"\n', ""), "contact|phone"),
    "an outcome the manifest does not have": (
        changed("[contact]", '[outcome.refused]\nlabel = "Nein"\n[contact]'),
        "refused",
    ),
    "a text that is a number": (changed('"030 23125 123"', "3023125123"), "contact.phone"),
    "a text that is a list": (changed('"030 23125 123"', '["030"]'), "contact.phone"),
    "no TOML": (lambda t: t + "]", "not TOML"),
    "markup": (changed('"030 23125 123"', '"<a href=x>030</a>"'), "contact|phone"),
}


@pytest.mark.parametrize("name", WORDINGS)
def test_a_fault_of_the_words_is_refused_where_it_is(make_package, name):
    change, says = WORDINGS[name]
    found = faults_of(make_package(wording=change, manifest=no_english))
    assert any(says in text for _, text in found), found


CATALOGS = {
    "a sentence missing": (
        changed('msgctxt "feature|age|label"', 'msgctxt "x"'),
        "feature|age|label",
    ),
    "a fuzzy sentence": (
        changed('msgctxt "feature|age|label"', '#, fuzzy\nmsgctxt "feature|age|label"'),
        "fuzzy",
    ),
    "a slot lost": (changed('{value}."\n\nmsg', '."\n\nmsg'), "slots"),
    "no catalog at all": (lambda t: "lost words", "catalog"),
    "an empty catalog": (lambda t: "", "missing"),
}


@pytest.mark.parametrize("name", CATALOGS)
def test_a_language_that_is_not_whole_is_not_offered_and_the_others_are(make_package, name):
    change, says = CATALOGS[name]
    folder = make_package(english=change)
    package = admit(folder)
    assert list(package.wordings) == ["de"]
    assert (package.stopped["en"].code, says in str(package.stopped["en"])) == (WORDS, True)
    with pytest.raises(LanguageNotOffered):
        package.voice(language("en"), staff=False)
    # whoever prepares the package has to mend it
    found = faults_of(folder, check_german)
    assert any(code == WORDS and says in text for code, text in found)


def test_a_language_warum_does_not_have_is_not_offered(make_package):
    folder = make_package(manifest=changed('"en"]', '"en", "xx"]'))
    package = admit(folder)
    assert list(package.wordings) == ["de", "en"]
    assert package.stopped["xx"].code == MANIFEST_BAD
    assert any("xx" in text for code, text in faults_of(folder, check_german))


def test_a_language_the_package_does_not_offer_is_refused(make_package):
    package = admit(make_package(manifest=no_english, files={"locales/en/wording.po": None}))
    with pytest.raises(LanguageNotOffered):
        package.voice(language("en"), staff=False)


def signed(review: str) -> Callable[[str], str]:
    return changed("[review]\n", f"[languages.reviewed]\n{review}\n\n[review]\n")


def test_a_translation_is_reviewed_as_long_as_it_is_what_was_read(make_package):
    first = make_package("unsigned")
    digest = hashlib.sha256((first / "locales/en/wording.po").read_bytes()).hexdigest()
    review = f'en = {{ reviewer = "A. Reader", reviewed_on = 2026-03-01, digest = "{digest}" }}'
    assert not admit(first).wordings["en"].reviewed
    assert admit(make_package("signed", manifest=signed(review))).wordings["en"].reviewed
    another = make_package(
        "changed", manifest=signed(review), english=changed('"Age"', '"Years of age"')
    )
    assert not admit(another).wordings["en"].reviewed


@pytest.mark.parametrize(
    "review",
    [
        "en = 1",
        'en = { reviewer = "A. Reader" }',
        'en = { reviewer = " ", reviewed_on = 2026-03-01, digest = "0" }',
        'en = { reviewer = "A. Reader", reviewed_on = "yesterday", digest = "0" }',
    ],
)
def test_a_review_nobody_signed_is_refused(make_package, review):
    only_fault(make_package(manifest=signed(review)), MANIFEST_BAD, "languages.reviewed.en")


def more_cells(data: bytes) -> bytes:
    return data.replace(b"slack_work\n", b"slack_work,77\n", 1)


BACKGROUNDS = {
    "fewer rows than the manifest says": (lambda d: d[: d.rstrip().rfind(b"\n") + 1], "299 rows"),
    "more rows": (lambda d: d + b"30,yes,3,other\n", "301 rows"),
    "another column": (lambda d: d.replace(b"age", b"years", 1), "columns"),
    "a column less": (lambda d: d.replace(b"age,", b"", 1), "columns"),
    "a column twice": (lambda d: d.replace(b"married", b"age", 1), "columns"),
    "a cell too many": (more_cells, "line 2"),
    "a number out of range": (lambda d: d.replace(b"\n56,", b"\n560,", 1), "line 2, age"),
    "text for a number": (lambda d: d.replace(b"\n56,", b"\nold,", 1), "line 2, age"),
    "NaN for a number": (lambda d: d.replace(b"\n56,", b"\nnan,", 1), "line 2, age"),
    "an unknown choice": (lambda d: d.replace(b",yes,", b",maybe,", 1), "married"),
    "an empty cell that is needed": (lambda d: d.replace(b"\n56,", b"\n,", 1), "line 2, age"),
    "nothing": (lambda d: b"", "columns"),
    "bytes of something else": (lambda d: b"\x00\xff\r" * 99, "background.csv"),
    "a cell without end": (lambda d: b'"' + b"x" * 200_000, "background.csv"),
}


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_a_comparison_group_that_does_not_fit_is_refused(make_package, small_model, name):
    change, says = BACKGROUNDS[name]
    data = change(background(small_model.rows))
    only_fault(make_package(files={"background.csv": data}), BACKGROUND, says)


NO_NUMBERS = {
    "a line between digits": "1_0",
    "digits of another script": "４０",
    "a blank before it": " 40",
    "a blank behind it": "40 ",
    "a sign nobody writes": "+40",
    "a comma": '"40,0"',
    "nothing behind the point": "40.",
    "hexadecimal": "0x28",
    "not a number": "nan",
    "infinite": "inf",
}


@pytest.mark.parametrize("cell", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_a_number_to_python_alone_is_none_in_a_comparison_row(
    make_package, small_model, cell
):
    head, first, *rest = background(small_model.rows).decode().splitlines()
    line = f"{cell},{first.partition(',')[2]}"
    data = "\n".join([head, line, *rest]).encode()
    assert head.startswith("age,")
    only_fault(make_package(files={"background.csv": data}), BACKGROUND, "line 2, age")


@pytest.mark.parametrize("cell", ["40", "40.0", "4e1", "4.0E+01", "400e-1", "040"])
def test_every_way_programs_write_a_number_is_the_same_number(small_model, small, cell):
    head, first = background(small_model.rows).decode().splitlines()[:2]
    lines = [f"{head}\n{value},{first.partition(',')[2]}\n".encode() for value in (cell, "40")]
    one, other = (read_background(data, small.catalogue).rows for data in lines)
    assert one == other
    assert one[0]["age"] == 40


@pytest.mark.parametrize("cut", [lambda cells: cells[:-1], lambda cells: [*cells, ""]])
def test_a_comparison_row_of_another_length_is_no_row_with_gaps(make_package, small_model, cut):
    lines = background(small_model.rows).decode().splitlines()
    lines[4] = ",".join(cut(lines[4].split(",")))
    folder = make_package(files={"background.csv": "\n".join(lines).encode()})
    (fault,) = (text for _, text in faults_of(folder, admit) if "cells" in text)
    assert fault.startswith("background.csv, line 5: ")


def test_an_empty_line_does_not_shift_what_faults_call_a_line(small_model, small):
    lines = background(small_model.rows).decode().splitlines()
    lines.insert(3, "")
    lines[9] = "x" + lines[9]
    with pytest.raises(PackageFaulty) as caught:
        read_background("\n".join([*lines, "", ""]).encode(), small.catalogue)
    assert [fault.where for fault in caught.value.faults] == [
        "background.csv, line 4",
        "background.csv, line 10, age",
    ]


def test_a_stale_background_is_refused(make_package, small_model):
    """Rows and model are whole, sealed and fit the catalogue; they do not belong together."""
    rows = background(small_model.rows).splitlines(keepends=True)
    older = b"".join([rows[0], *rows[1:151], *rows[1:151]])
    folder = make_package(files={"background.csv": older})
    for open_ in (admit, check_german):
        only_fault(folder, BACKGROUND, "background.csv: It is stale", open_)
    # the model was trained again, on the same rows, and the group was not measured again
    again = small_pipeline(random_state=2, subsample=0.5).fit(
        small_model.rows, other_labels(small_model)
    )
    renewed = SmallModel(again, skops.io.dumps(again), small_model.rows)
    folder = make_package(
        "renewed", files={"model.skops": renewed.data, "golden/cases.jsonl": golden(renewed)}
    )
    only_fault(folder, BACKGROUND, "Draw the comparison group again")


@pytest.mark.parametrize(("key", "off"), [("base", 1e-4), ("margin_scale", -1e-3)])
def test_figures_of_the_comparison_group_may_differ_by_the_tolerance_only(
    make_package, small_model, key, off
):
    declared = tomllib.loads(manifest_of(small_model))["background"][key]
    for added, good in ((off / 100, True), (off, False)):
        line = changed(f"{key} = {declared}", f"{key} = {declared + added}")
        folder = make_package(f"small_{good}".lower(), manifest=line)
        if good:
            assert admit(folder)
        else:
            only_fault(folder, BACKGROUND, "It is stale")


def test_all_lines_that_do_not_fit_are_named(small, small_model):
    data = background(small_model.rows).replace(b",yes,", b",maybe,")
    with pytest.raises(PackageFaulty) as caught:
        read_background(data, small.catalogue)
    assert len(caught.value.faults) > 50


def test_a_missing_value_of_the_comparison_group_stays_missing(small, small_model):
    rows = read_background(background(small_model.rows), small.catalogue).rows
    assert sum(row["tenure"] is None for row in rows) == small_model.rows["tenure"].isna().sum() > 0


def test_a_pickle_in_the_place_of_the_model_is_refused(make_package, small_model):
    import pickle  # noqa: TID251 - the attack

    folder = make_package(files={"model.skops": pickle.dumps(small_model.pipeline)})
    only_fault(folder, REFUSED, "pickle")


def test_a_format_that_is_a_program_is_refused(make_package):
    only_fault(make_package(manifest=changed('"skops"', '"joblib"')), REFUSED, "joblib")


def test_another_model_is_known_by_its_scores(make_package, small_model):
    other = small_pipeline(learning_rate=0.3).fit(small_model.rows, other_labels(small_model))
    folder = make_package(files={"model.skops": skops.io.dumps(other)})
    found = faults_of(folder)
    assert {code for code, _ in found} == {GOLDEN, BACKGROUND}
    assert len(found) > 30


def other_labels(small_model):
    return small_model.pipeline.predict(small_model.rows)


def test_one_recorded_score_that_differs_is_named_by_its_line(make_package, small_model):
    lines = golden(small_model).decode().splitlines()
    row = json.loads(lines[6])
    row["margin"] += 0.01
    lines[6] = json.dumps(row)
    folder = make_package(files={"golden/cases.jsonl": "\n".join(lines).encode()})
    only_fault(folder, GOLDEN, "line 7")


def test_a_margin_on_another_scale_than_declared_is_known_by_its_probabilities(
    make_package, small_model
):
    """Half log-odds add up as well as log-odds do; only the probability tells them apart."""
    lines = [json.loads(line) for line in golden(small_model).decode().splitlines()]
    for row in lines:
        row["probability"] = 1 / (1 + math.exp(-2 * row["margin"]))
    data = "\n".join(map(json.dumps, lines)).encode()
    found = faults_of(make_package(files={"golden/cases.jsonl": data}))
    assert len(found) > 40
    assert all("probability recorded in training" in text for _, text in found)


GOLDENS = {
    "no JSON": (b"{", MANIFEST_BAD, "line 1"),
    "a list": (b"[1]\n", MANIFEST_BAD, "line 1"),
    "without its score": (b'{"case": {}}\n', MANIFEST_BAD, "line 1"),
    "a score in words": (
        b'{"case": {}, "margin": "x", "probability": 1}\n',
        MANIFEST_BAD,
        "line 1",
    ),
    "nested without end": (b"[" * 100_000, MANIFEST_BAD, "line 1"),
    "an endless number": (
        b'{"case": {}, "margin": 1' + b"0" * 400 + b', "probability": 1}\n',
        MANIFEST_BAD,
        "line 1",
    ),
    "a case of another package": (
        b'{"case": {"ref": "A", "values": {"x": 1}}, "margin": 1, "probability": 1}\n',
        GOLDEN,
        "line 1, x",
    ),
}


@pytest.mark.parametrize("name", GOLDENS)
def test_a_recorded_case_that_is_none_is_named_by_its_line(make_package, name):
    data, code, says = GOLDENS[name]
    found = faults_of(make_package(files={"golden/cases.jsonl": data}))
    assert {each for each, _ in found} == {code}
    assert any(says in text for _, text in found)


def test_a_recorded_score_that_is_no_number_differs(make_package, small_model):
    data = golden(small_model, 1).replace(b'"margin": ', b'"margin": NaN, "x": ')
    only_fault(make_package(files={"golden/cases.jsonl": data}), MANIFEST_BAD, "line 1")


def test_a_line_end_inside_a_text_does_not_cut_a_recorded_case(small_model):
    row = json.loads(golden(small_model, 1))
    row["case"]["values"]["age"] = {
        "value": 50,
        "source": {"type": "x", "label": "a\u2028b\u0085c"},
    }
    data = (json.dumps(row, ensure_ascii=False) + "\n").encode()
    assert len(read_golden(data * 2)) == 2
    assert read_golden(b"") == ()


def test_faults_of_several_files_are_named_at_once(make_package):
    folder = make_package(
        features=changed("stand_in = 4", "stand_in = 5"),
        english=changed('msgctxt "feature|age|label"', 'msgctxt "x"'),
        files={"golden/cases.jsonl": b"{"},
    )
    codes = sorted(code for code, _ in faults_of(folder, check_german))
    assert codes == sorted([MANIFEST_BAD, WORDS, MANIFEST_BAD])


# -- check ------------------------------------------------------------------------------------


def quiet(title: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def check_german(folder: Path) -> object:
    return check(folder, tell_as_text, quiet).package


def test_check_tells_every_case_and_asks_both_witnesses(make_package):
    titles = set()
    folder = make_package(manifest=no_english, files={"locales/en/wording.po": None})
    checked = check(folder, tell_as_text, lambda title, *_: titles.add(title))
    assert len(checked.package.golden) == 50
    assert checked.witnesses == ["brute force over all coalitions", "shap's exact explainer"]
    assert len(titles) == 4


def test_check_wants_enough_recorded_cases(make_package, small_model):
    folder = make_package(
        manifest=no_english,
        files={"golden/cases.jsonl": golden(small_model, 3), "locales/en/wording.po": None},
    )
    only_fault(folder, GOLDEN, "3 recorded cases", check_german)


def test_recorded_texts_are_compared_word_for_word(make_package, small_model):
    folder = make_package(manifest=no_english, files={"locales/en/wording.po": None})
    texts = record_texts(open_package(folder), tell_as_text, 2)
    assert sorted(texts) == [
        f"T-00{n}.{audience}.de.txt" for n in (0, 1) for audience in ("applicant", "caseworker")
    ]
    for name, text in texts.items():
        (folder / "golden" / name).write_bytes(text)
    seal(folder)
    assert len(check_german(folder).recorded_texts) == 4

    changed_name = "T-000.applicant.de.txt"
    (folder / "golden" / changed_name).write_bytes(texts[changed_name] + b"P.S.\n")
    (folder / "golden" / "T-999.applicant.de.txt").write_bytes(b"Nobody's.\n")
    seal(folder)
    found = faults_of(folder, check_german)
    assert [code for code, _ in found] == [WORDS, WORDS]
    assert changed_name in found[0][1]
    assert "T-999" in found[1][1]


REFS = ["A/1", "UB-1/2026/7", "a..b", "a.b_c-d"]


@pytest.mark.parametrize("ref", REFS)
def test_the_text_of_every_case_number_has_a_name_a_manifest_can_name(
    make_package, small_model, ref
):
    lines = golden(small_model).replace(b'"T-000"', json.dumps(ref).encode())
    folder = make_package(
        manifest=no_english, files={"golden/cases.jsonl": lines, "locales/en/wording.po": None}
    )
    texts = record_texts(open_package(folder), tell_as_text, 1)
    assert len(texts) == 2
    for name, text in texts.items():
        (folder / "golden" / name).write_bytes(text)
    seal(folder)
    assert set(admit(folder).recorded_texts) == set(texts)


NOT_TABLES = {
    "choices without labels of their own": (
        "features.toml",
        '[feature.choice_labels]\n"yes"',
        'choice_labels = 5\n[feature.x]\n"yes"',
    ),
    "a sentence in the place of sentences": (
        "features.toml",
        "[feature.reason]\n",
        'reason = "x"\n[feature.y]\n',
    ),
    "features that are no tables": ("features.toml", "[[feature]]\n", "feature = [5]\n[x]\n"),
    "words that are no tables": ("wording.toml", "[package]\n", "package = 5\n[x]\n"),
}


@pytest.mark.parametrize("name", NOT_TABLES)
def test_check_names_what_is_no_table_and_goes_on(make_package, name):
    file, old, new = NOT_TABLES[name]
    folder = make_package(manifest=no_english)
    text = (folder / file).read_text("utf-8")
    assert old in text
    first, _, rest = text.partition(old)
    if new.startswith("feature ="):
        rest = rest.partition("[[feature]]")[0]
    (folder / file).write_text(first + new + rest, "utf-8")
    seal(folder)
    assert faults_of(folder, check_german)


def test_check_names_faults_of_all_files_though_the_digests_are_old(make_package):
    folder = make_package(manifest=no_english, files={"locales/en/wording.po": None})
    for name, old, new in (
        ("manifest.toml", 'owner = "Musteramt"', 'owner = ""'),
        ("features.toml", "[16, 80]", "[80, 16]"),
        ("wording.toml", "030 23125 123", "<030>"),
    ):
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), "utf-8")
    found = "\n".join(text for _, text in faults_of(folder, check_german))
    for place in ("manifest.toml, owner", "features.toml, feature age.range", "contact|phone"):
        assert place in found


BROKEN = {
    # file: what is put in the place of what, and what must be said, whatever else is broken
    "features.toml": ("[16, 80]", "[80, 16]", "features.toml, feature age.range"),
    "manifest.toml": ('"small_benefit"\nversion', '"../x"\nversion', "manifest.toml, id"),
    "wording.toml": ("030 23125 123", "<030>", "contact|phone"),
    "locales/en/wording.po": ('msgctxt "feature|tenure|label"', 'msgctxt "x"', "tenure|label"),
    "background.csv": (",yes,", ",maybe,", "background.csv, line 2, married"),
    "golden/cases.jsonl": ('"margin": ', '"m": ', "golden/cases.jsonl, line 7"),
    "model.skops": ("", "", "pickle"),
}


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "not sealed"])
def test_a_fault_in_one_file_hides_none_in_another(make_package, sealed):
    import pickle  # noqa: TID251 - the attack

    folder = make_package()
    for name, (old, new, _) in BROKEN.items():
        if name == "model.skops":
            (folder / name).write_bytes(pickle.dumps({"a": 1}))
            continue
        text = (folder / name).read_text("utf-8")
        assert old in text, name
        (folder / name).write_text(text.replace(old, new), "utf-8")
    if sealed:
        seal(folder)
    found = "\n".join(text for _, text in faults_of(folder, check_german))
    assert [name for name, (_, _, says) in BROKEN.items() if says not in found] == []


@pytest.mark.parametrize("name", ["features.toml", "manifest.toml", "wording.toml"])
def test_a_file_that_is_no_toml_hides_no_fault_in_the_others(make_package, name):
    broken = {n: b for n, b in BROKEN.items() if n in ("background.csv", "golden/cases.jsonl")}
    if name == "features.toml":
        del broken["background.csv"]  # what may stand in it nobody can say
    folder = make_package()
    (folder / name).write_text("]", "utf-8")
    for file, (old, new, _) in broken.items():
        text = (folder / file).read_text("utf-8")
        (folder / file).write_text(text.replace(old, new), "utf-8")
    found = "\n".join(text for _, text in faults_of(folder, check_german))
    assert f"{name}: The file is not TOML" in found
    assert [file for file, (_, _, says) in broken.items() if says not in found] == []


def test_of_a_recorded_case_the_features_that_are_whole_are_looked_into(make_package, small_model):
    lines = golden(small_model).decode().splitlines()
    row = json.loads(lines[6])
    row["case"]["values"] |= {"married": "maybe", "shoe_size": 44}
    lines[6] = json.dumps(row)
    folder = make_package(
        features=changed("[16, 80]", "[80, 16]"),
        files={"golden/cases.jsonl": "\n".join(lines).encode()},
    )
    recorded = [text for _, text in faults_of(folder, check_german) if "cases.jsonl" in text]
    assert [text.partition(":")[0] for text in recorded] == [
        "golden/cases.jsonl, line 7, shoe_size",
        "golden/cases.jsonl, line 7, married",
    ]


def test_one_case_that_is_none_does_not_hide_a_score_that_differs(make_package, small_model):
    lines = golden(small_model).decode().splitlines()
    for at, change in ((3, {"case": {"ref": "T-003", "values": {}}}), (6, {"margin": 77.0})):
        lines[at] = json.dumps(json.loads(lines[at]) | change)
    folder = make_package(files={"golden/cases.jsonl": "\n".join(lines).encode()})
    for open_ in (admit, check_german):
        found = "\n".join(text for _, text in faults_of(folder, open_))
        assert "line 4, age" in found
        assert "line 7: The model gives another score" in found


# -- seal -------------------------------------------------------------------------------------


def test_sealing_rewrites_the_table_of_files_and_nothing_else(make_package, small_model):
    folder = make_package()
    text = (folder / "manifest.toml").read_text()
    head, _, _ = text.partition("[files]")
    assert head.strip() == manifest_of(small_model).strip()
    (folder / "CARD.md").write_text("# other\n")
    assert seal(folder) == 7
    again = (folder / "manifest.toml").read_text()
    assert again.partition("[files]")[0] == head
    assert again != text
    assert seal(folder) == 7
    assert (folder / "manifest.toml").read_text() == again


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t.replace("[files]", "[files]   # written by seal"),
        lambda t: t + "\n[more]\nx = 1\n",
        lambda t: t.replace("[files]", "# [files] come last\n[files]"),
    ],
)
def test_sealing_again_finds_its_table_however_it_was_edited(make_package, change):
    folder = make_package()
    path = folder / "manifest.toml"
    path.write_bytes(change(path.read_text()).encode())
    before = {k: v for k, v in tomllib.loads(path.read_bytes().decode()).items() if k != "files"}
    seal(folder)
    parsed = tomllib.loads(path.read_bytes().decode())
    assert {k: v for k, v in parsed.items() if k != "files"} == before
    assert len(parsed["files"]) == 7


@pytest.mark.parametrize("name", [".DS_Store", "my model.skops", "Übersicht.md", 'a"b.md', "a..b"])
def test_sealing_names_files_that_a_manifest_cannot_name(make_package, name):
    folder = make_package()
    before = (folder / "manifest.toml").read_bytes()
    (folder / name).write_text("x")
    with pytest.raises(ManifestInvalid):
        seal(folder)
    assert (folder / "manifest.toml").read_bytes() == before


def test_sealing_where_there_is_nothing_to_seal_says_so(tmp_path):
    with pytest.raises(PackageNotFound):
        seal(tmp_path)
    (tmp_path / "manifest.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestInvalid):
        seal(tmp_path)


def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    """What a full disk does: writing fails half-way, or the new file cannot take its place."""
    target = tmp_path / "manifest.toml"
    target.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="large"):
            replace(target, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.toml"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "full").write_text("x")
    with pytest.raises(OSError, match="directory"):
        replace(tmp_path / "folder", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "manifest.toml"]


# -- bring your own model -----------------------------------------------------------------------


def other_pipeline() -> tuple[Pipeline, pd.DataFrame]:
    """Another office's model: rent subsidies, scaled amounts, a choice that may be missing."""
    random = np.random.default_rng(11)
    rows = pd.DataFrame(
        {
            "rent": random.integers(200, 1500, 240).astype(float),
            "rooms": random.integers(1, 6, 240).astype(float),
            "heating": pd.Series(random.choice(["gas", "oil", "other"], 240), dtype=object),
        }
    )
    rows.loc[rows.index % 9 == 0, "heating"] = np.nan
    worth = (
        rows["rent"] / 300 - rows["rooms"] + (rows["heating"] == "oil") + random.normal(0, 1, 240)
    )
    pipeline = Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("amounts", StandardScaler(), ["rooms", "rent"]),
                        (
                            "choices",
                            Pipeline(
                                [
                                    ("fill", SimpleImputer(strategy="most_frequent")),
                                    ("one_hot", OneHotEncoder()),
                                ]
                            ),
                            ["heating"],
                        ),
                    ]
                ),
            ),
            ("booster", GradientBoostingClassifier(n_estimators=15, random_state=0)),
        ]
    )
    return pipeline.fit(rows, np.where(worth > 1, "help", "none")), rows


@pytest.fixture(scope="module")
def housing() -> tuple[Pipeline, pd.DataFrame]:
    return other_pipeline()


def test_a_skeleton_holds_the_inputs_of_the_model(housing, tmp_path):
    (tmp_path / "model.skops").write_bytes(skops.io.dumps(housing[0]))
    folder = tmp_path / "made" / "Housing-Benefit"
    names = new_package(folder, tmp_path / "model.skops")
    assert names == ["rent", "rooms", "heating"]
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        "CARD.md",
        "background.csv",
        "features.toml",
        "golden/README.md",
        "golden/cases.jsonl",
        "manifest.toml",
        "model.skops",
        "wording.toml",
    ]
    manifest = tomllib.loads((folder / "manifest.toml").read_text())
    assert manifest["id"] == "housing_benefit"
    assert manifest["model"]["classes"] == ["help", "none"]
    features = tomllib.loads((folder / "features.toml").read_text())["feature"]
    assert [f["name"] for f in features] == names
    assert features[2]["choices"] == ["gas", "oil", "other"]
    assert features[2]["optional"] is True
    assert (folder / "background.csv").read_text() == "rent,rooms,heating\n"
    assert [p.name for p in (tmp_path / "made").iterdir()] == ["Housing-Benefit"]


def test_a_skeleton_is_no_package_yet_and_check_says_what_is_left(housing, tmp_path):
    (tmp_path / "model.skops").write_bytes(skops.io.dumps(housing[0]))
    new_package(tmp_path / "housing", tmp_path / "model.skops")
    left = "\n".join(text for _, text in faults_of(tmp_path / "housing"))
    assert "manifest.toml, owner" in left
    for key in ("note", "base", "margin_scale"):
        assert f"background.{key}" in left


@pytest.mark.parametrize("folder", ["1benefit", "___", "é", "x" * 65])
def test_a_folder_whose_name_is_no_id_is_refused_before_anything_is_written(tmp_path, folder):
    with pytest.raises(ManifestInvalid):
        new_package(tmp_path / folder, tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_in_use_is_left_alone(tmp_path, small_model):
    (tmp_path / "model.skops").write_bytes(small_model.data)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("important")
    with pytest.raises(ManifestInvalid, match="not empty"):
        new_package(tmp_path / "used", tmp_path / "model.skops")
    assert [p.name for p in (tmp_path / "used").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("artefact", [b"", b"PK\x03\x04", b"\x80\x04K\x01.", b"no model"], ids=repr)
def test_nothing_half_written_remains_of_a_skeleton_that_failed(tmp_path, artefact):
    (tmp_path / "model.skops").write_bytes(artefact)
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "fresh", "deep/er"):
        with pytest.raises(ArtefactRefused):
            new_package(tmp_path / folder, tmp_path / "model.skops")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "model.skops"]
    with pytest.raises(ArtefactRefused):
        new_package(tmp_path / "fresh", tmp_path / "missing.skops")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "model.skops"]


def test_an_agency_brings_its_own_model_and_check_passes(housing, tmp_path):
    """From a fitted pipeline to an admitted package, by filling in what `check` asks for."""
    pipeline, rows = housing
    (tmp_path / "model.skops").write_bytes(skops.io.dumps(pipeline))
    folder = tmp_path / "housing_benefit"
    new_package(folder, tmp_path / "model.skops")

    # as golden/README.md of the skeleton says
    margins = pipeline.decision_function(rows.iloc[::4])
    low, high = np.quantile(margins, [0.1, 0.9])

    def edit(name: str, *changes: tuple[str, str]) -> None:
        text = (folder / name).read_text("utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        (folder / name).write_text(text, "utf-8")

    edit(
        "manifest.toml",
        ('owner = ""', 'owner = "Wohngeldstelle"'),
        ('licence = ""', 'licence = "intern"'),
        ('purpose = ""', 'purpose = "Vorschlag, welche Anträge genauer zu prüfen sind."'),
        ('unit = ""', 'unit = "housing"'),
        ("rows = 0", "rows = 60"),
        ('note = ""', 'note = "Jeder vierte Antrag des Jahres."'),
        ('base = ""', f"base = {margins.mean()}"),
        ('margin_scale = ""', f"margin_scale = {high - low}"),
    )
    words = {
        "rent": ("Miete", "Ihre Miete", "[0, 5000]", "[200, 1499]"),
        "rooms": ("Zimmer", "Die Zahl der Zimmer", "[0, 20]", "[1, 5]"),
        "heating": ("Heizung", "Die Art der Heizung", "", ""),
    }
    parts = (folder / "features.toml").read_text("utf-8").split("[[feature]]")
    done = [parts[0]]
    for part in parts[1:]:
        name = tomllib.loads(part)["name"]
        label, start, hard, learnt = words[name]
        part = part.replace("range = []", f"range = {hard}")
        part = part.replace("trained = []", f"trained = {learnt}")
        part = part.replace('class = ""', 'class = "neutral"').replace(
            'label = ""', f'label = "{label}"'
        )
        for choice in ("gas", "oil", "other"):
            part = part.replace(f'"{choice}" = ""', f'"{choice}" = "{choice.title()}"')
        whole, _, missing = part.partition("[feature.reason_missing]")
        for outcome, way in (("can_be_granted", "gegen"), ("check_more_closely", "für")):
            sentence = f"{start} sprach {way} eine genauere Prüfung. Die Angabe lautet: {{value}}."
            whole = whole.replace(f'{outcome} = ""', f'{outcome} = "{sentence}"')
            sentence = f"{start} fehlte. Der Ersatzwert sprach {way} eine genauere Prüfung."
            missing = missing.replace(f'{outcome} = ""', f'{outcome} = "{sentence}"')
        done.append(whole + (f"[feature.reason_missing]{missing}" if missing else ""))
    (folder / "features.toml").write_text("[[feature]]".join(done), "utf-8")
    wording = (folder / "wording.toml").read_text("utf-8")
    for number in range(wording.count('""')):
        wording = wording.replace('""', f'"Satz Nummer {number} der Wohngeldstelle"', 1)
    (folder / "wording.toml").write_text(wording, "utf-8")
    (folder / "background.csv").write_bytes(background(rows.iloc[::4]))
    recorded = []
    for at, row in enumerate(rows.head(50).to_dict("records")):
        values = {n: None if v != v else v for n, v in row.items()}
        asked = rows.iloc[[at]]
        recorded.append(
            json.dumps(
                {
                    "case": {"ref": f"W-{at}", "values": values},
                    "margin": float(pipeline.decision_function(asked)[0]),
                    "probability": float(pipeline.predict_proba(asked)[0, 1]),
                }
            )
        )
    (folder / "golden" / "cases.jsonl").write_text("\n".join(recorded) + "\n", "utf-8")

    codes = {code for code, _ in faults_of(folder)}
    assert codes == {CHANGED}  # everything is filled in; the digests are still the old ones
    seal(folder)
    package = check_german(folder)
    assert package.manifest.id == "housing_benefit"
    told = record_texts(package, tell_as_text, 1)["W-0.applicant.de.txt"].decode()
    assert "Miete" in told or "Zimmer" in told or "Heizung" in told
    assert "rooms" not in told
