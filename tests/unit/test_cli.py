"""The command line: answers on standard output, everything else on standard error, no traces."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import io
import json
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
import skops.io
from test_forms import validator
from trained import DEMO, golden, write_package

from explainer import cli
from explainer.core.disclosure import Audience
from explainer.core.forms import error_form
from explainer.errors import CaseMalformed, ExplainerError
from explainer.packages.manifest import read_manifest
from explainer.packages.rows import read_golden
from explainer.text.languages import language

NOTE = "It was not recorded"
OFFERED = read_manifest((DEMO / "manifest.toml").read_bytes()).offered
CASES = [
    golden_case.case for golden_case in read_golden((DEMO / "golden/cases.jsonl").read_bytes())
]
CANARY = "Kanarienvogel"
SMALL = {
    "ref": "UB-1",
    "package": "small_benefit",
    "values": {
        "age": {"value": 51, "source": {"type": "own_statement", "label": "application_form"}},
        "married": "yes",
        "tenure": 3,
        "job_lost_by": "other",
    },
}
"""A case of the small package, which opens in a moment."""
MANY = [{**SMALL, "ref": f"UB-{n}"} for n in (1, 2, 3)]


def warum(*arguments: object) -> int:
    """As `warum` does it: parse, then run; what argparse refuses ends with its own code."""
    parser = argparse.ArgumentParser(prog="warum")
    cli.add_commands(parser.add_subparsers(required=True))
    try:
        options = parser.parse_args([str(each) for each in arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
    return cli.run(lambda: options.action(options))


@pytest.fixture
def run(capsys):
    """Run a command; gives its exit code, standard output and standard error."""

    def ran(*arguments: object) -> tuple[int, str, str]:
        code = warum(*arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert "internal" not in err
        return code, out, err

    return ran


@pytest.fixture(scope="module")
def folder(small_model, tmp_path_factory):
    """The small package in its folder; nobody writes into it."""
    return write_package(tmp_path_factory.mktemp("cli") / "small_benefit", small_model)


@pytest.fixture
def case_file(tmp_path):
    def write(content: object = SMALL, name: str = "case.json") -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, "utf-8")
        else:
            path.write_text(json.dumps(content), "utf-8")
        return path

    return write


def test_a_case_is_explained_to_the_applicant_in_german_unless_asked_otherwise(run, case_file):
    code, out, err = run("explain", "unemployment_benefit", case_file(CASES[0]))
    assert code == cli.DONE
    assert out.startswith("WAS DAS PROGRAMM BEIGETRAGEN HAT\n")
    assert "Das sprach für den Vorschlag:" in out
    assert NOTE in err
    assert NOTE not in out


FORMS = [
    (form, audience, tag)
    for form in ("text", "json", "html")
    for audience in (None, *Audience)
    for tag in OFFERED
    if audience is not Audience.CASEWORKER or language(tag).staff
]


@pytest.fixture
def admitted_before(monkeypatch, demo):
    """For many answers of one package: it is not admitted anew for each of them."""

    def admitted(folder: Path):
        assert folder == DEMO
        return demo

    monkeypatch.setattr("explainer.packages.admit.admit", admitted)


@pytest.mark.usefixtures("admitted_before")
@pytest.mark.parametrize(("form", "audience", "tag"), FORMS)
def test_every_form_for_every_audience_in_every_language(run, case_file, form, audience, tag):
    to = ("--audience", audience) if audience else ()
    code, out, err = run(
        *("explain", "unemployment_benefit", case_file(CASES[0])),
        *("--format", form, "--language", tag),
        *to,
    )
    assert code == cli.DONE
    assert NOTE in err
    assert len(err.splitlines()) == 1
    if form == "json":
        answer = json.loads(out)
        if audience is None:
            validator("explanation-1").validate(answer)
        else:
            validator("view-1").validate(answer)
            assert (answer["audience"], answer["language"]) == (audience, tag)
    elif form == "html":
        spoken = language(tag)
        assert out.startswith("<!doctype html>")
        assert f'<html lang="{tag}" dir="{spoken.dir}">' in out
        assert out.count("<h1>") == 1
        assert ("w-told--caseworker" in out) == (audience is Audience.CASEWORKER)
    else:
        assert out.strip()
        assert "margin" not in out
    assert out.endswith("\n")


def test_the_same_case_gives_the_same_bytes(run, case_file, folder):
    asked = ("explain", folder, case_file(), "--format", "html")
    assert run(*asked)[1] == run(*asked)[1]


def test_the_day_decides_whether_the_model_is_stale(run, case_file, folder):
    asked = ("explain", folder, case_file())
    assert "auf dem Stand von 2020" in run(*asked, "--date", "2028-01-01")[1]
    assert "auf dem Stand von 2020" not in run(*asked, "--date", "2027-12-31")[1]


def as_input(monkeypatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


@pytest.mark.parametrize(
    "write",
    [
        lambda case: json.dumps(case).encode(),
        lambda case: json.dumps(case, indent=2).encode(),
        lambda case: b"\xef\xbb\xbf" + json.dumps(case).encode() + b"\r\n\n",
        lambda case: json.dumps({"case": case, "margin": 1.0}).encode(),
    ],
    ids=["one line", "many lines", "with a byte order mark", "as it is recorded"],
)
def test_a_case_comes_from_standard_input(run, monkeypatch, case_file, write, folder):
    straight = run("explain", folder, case_file())[1]
    as_input(monkeypatch, write(SMALL))
    assert run("explain", folder, "-")[:2] == (cli.DONE, straight)


def lines(*rows: object) -> bytes:
    texts = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    return ("\n".join(texts) + "\n").encode()


@pytest.mark.parametrize("where", ["file", "input"])
def test_cases_line_by_line_give_answers_line_by_line(run, monkeypatch, case_file, where, folder):
    data = lines(*MANY[:3])
    if where == "input":
        as_input(monkeypatch, data)
    name = "-" if where == "input" else case_file(data, "cases.jsonl")
    code, out, _ = run("explain", folder, name, "--format", "json")
    assert code == cli.DONE
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["case"]["ref"] for answer in answers] == [case["ref"] for case in MANY[:3]]


def test_one_line_that_is_wrong_does_not_stop_the_others(run, case_file, folder):
    wrong = {**MANY[1], "values": {**MANY[1]["values"], "age": CANARY}}
    data = lines(SMALL, wrong, "", "{", MANY[2])
    code, out, err = run("explain", folder, case_file(data, "cases.jsonl"))
    assert code == cli.REFUSED
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer.get("ref") for answer in answers] == [
        SMALL["ref"],
        None,
        None,
        MANY[2]["ref"],
    ]
    assert [answer.get("line") for answer in answers] == [None, 2, 4, None]
    assert answers[1]["error"]["code"] == "case.faulty"
    assert [f["where"] for f in answers[1]["error"]["faults"]] == ["age"]
    assert "line 2" in err
    assert "line 4" in err
    assert CANARY not in out + err


def test_a_line_end_inside_a_text_does_not_cut_a_case(run, case_file, folder):
    labelled = json.loads(json.dumps(SMALL))
    labelled["values"]["age"]["source"]["label"] = "a\u2028b\u0085c"
    data = lines(labelled, MANY[1])
    code, out, _ = run("explain", folder, case_file(data, "cases.jsonl"))
    assert code == cli.REFUSED
    refused, told = map(json.loads, out.splitlines())
    assert refused["line"] == 1
    assert [fault["where"] for fault in refused["error"]["faults"]] == ["age.source"]
    assert told["ref"] == MANY[1]["ref"]


@pytest.fixture
def reported(small_model):
    """The case with the score a running system reported: the right one, or off by so much."""
    row = {n: v["value"] if isinstance(v, dict) else v for n, v in SMALL["values"].items()}
    margin = float(small_model.pipeline.decision_function(pd.DataFrame([row]))[0])
    return lambda off: {**SMALL, "reported": {"margin": margin + off}}


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_what_is_withheld_says_so_and_ends_with_three(run, case_file, form, folder, reported):
    asked = ("explain", folder, case_file(reported(0.5)), "--format", form)
    code, out, err = run(*asked, "--audience", "applicant")
    assert code == cli.WITHHELD
    assert "Eine Prüfung ist fehlgeschlagen." in out
    assert "explanation.score_differs" in err
    assert "hat vorgeschlagen" not in out
    if form == "json":
        validator("view-1").validate(json.loads(out))
    assert run("explain", folder, case_file(reported(0.0)))[0] == cli.DONE


def test_a_withheld_explanation_for_machines_says_what_was_compared(
    run, case_file, folder, reported
):
    asked = ("explain", folder, case_file(reported(0.5)), "--format", "json")
    code, out, err = run(*asked)
    assert code == cli.WITHHELD
    form = json.loads(out)
    validator("explanation-1").validate(form)
    assert form["schema"] == "warum.explanation/1"
    assert form["withheld"] == {"code": "explanation.score_differs"}
    assert form["package"]["id"] == "small_benefit"
    assert form["checked"]["reported"] == form["checked"]["model_output"] + 0.5
    assert abs(form["checked"]["difference"]) < 1e-6
    assert not {"suggestion", "audience", "text"} & set(form)
    assert "explanation.score_differs" in err
    far = json.loads(json.dumps(SMALL))
    far["values"] |= {"age": 79, "tenure": 59}
    data = lines(far, SMALL)
    code, out, _ = run("explain", folder, case_file(data, "cases.jsonl"), "--format", "json")
    assert code == cli.WITHHELD
    withheld, told = map(json.loads, out.splitlines())
    validator("explanation-1").validate(withheld)
    assert withheld["withheld"] == {"code": "explanation.outside_experience"}
    # what lies outside gets no suggestion, and no score from which one could be read
    assert "checked" not in withheld
    assert "suggestion" in told


def test_the_worst_line_decides_how_it_ends(run, case_file, folder, reported):
    asked = ("explain", folder)
    withheld = case_file(lines(SMALL, reported(0.5), MANY[1]), "cases.jsonl")
    assert run(*asked, withheld)[0] == cli.WITHHELD
    both = case_file(lines("{", reported(0.5)), "cases.jsonl")
    assert run(*asked, both)[0] == cli.REFUSED


def test_what_lies_outside_of_training_is_withheld_for_everybody(run, case_file, folder):
    far = json.loads(json.dumps(SMALL))
    far["values"] |= {"age": 79, "tenure": 59}
    for audience in Audience:
        code, out, err = run("explain", folder, case_file(far), "--audience", audience)
        assert code == cli.WITHHELD
        assert "explanation.outside_experience" in err
        assert "Das Programm kennt solche Anträge nicht." in out
        assert "vorgeschlagen" not in out


with_value = json.dumps(SMALL)
DEEP = "[" * 100_000

REFUSED = {
    "no case": ("", "no case in it"),
    "blanks": ("  \n ", "no case in it"),
    "no JSON": (f"{{{CANARY}", "line 1, column 2"),
    "cut off": (with_value[:-20], "not JSON"),
    "NaN for a case number": (with_value.replace('"UB-1"', "NaN"), "case number"),
    "NaN for a case": ('{"case": NaN}', "JSON object"),
    "NaN for the values": ('{"ref": "A-1", "values": NaN}', "values are not there"),
    "a key twice": (with_value.replace('"ref"', '"ref": "B-2", "ref"'), "a key is there twice"),
    "a feature twice": (
        with_value.replace('"age": {', '"age": 20, "age": {'),
        "a key is there twice",
    ),
    "nested without end": (DEEP, "nested too deeply"),
    "nested inside a value": (with_value.replace('"value": 51', f'"value": {DEEP}'), "nested"),
    "a list": ("[1, 2]", "JSON object"),
    "a number": ("7", "JSON object"),
    "bytes that are no text": (b"\xff\xfe\x00", "not UTF-8"),
    "half a letter": (with_value.encode().replace(b"UB-", b"UB-\xc3"), "not UTF-8"),
    "half a surrogate pair": (
        with_value.replace('"own_statement"', '"\\ud800"'),
        "kind of source is not known",
    ),
    "an endless score": (
        with_value.replace('{"ref"', '{"reported": {"margin": 1' + "0" * 400 + '}, "ref"', 1),
        "reported score",
    ),
    "more digits than Python reads": (
        with_value.replace('"value": 51', '"value": 1' + "0" * 5000),
        "not JSON",
    ),
    "another package": (
        with_value.replace('"package": "small_benefit"', '"package": "housing"'),
        "meant for the package housing",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_that_is_none_is_refused_with_a_sentence(run, case_file, name, folder):
    content, says = REFUSED[name]
    code, out, err = run("explain", folder, case_file(content))
    assert code == cli.REFUSED
    assert out == ""
    assert says in err
    assert "error [case.faulty]" in err
    assert CANARY not in err


@pytest.mark.parametrize("name", REFUSED)
def test_the_same_from_standard_input(run, monkeypatch, name, folder):
    content, _ = REFUSED[name]
    as_input(monkeypatch, content if isinstance(content, bytes) else content.encode())
    code, _, err = run("explain", folder, "-")
    assert code == cli.REFUSED
    assert CANARY not in err


NOT_FINITE = ["NaN", "Infinity", "-Infinity", "1e999"]


@pytest.mark.parametrize("written", NOT_FINITE)
@pytest.mark.parametrize("way", ["json", "jsonl", "input", "inputs"])
def test_what_is_no_finite_number_is_refused_by_its_feature(
    run, monkeypatch, case_file, folder, way, written
):
    wrong = with_value.replace('"value": 51', f'"value": {written}')
    text = wrong if way in ("json", "input") else f"{wrong}\n{with_value}\n"
    name = case_file(text, f"cases.{way}") if way.startswith("json") else "-"
    if name == "-":
        as_input(monkeypatch, text.encode())
    code, _, err = run("explain", folder, name)
    assert code == cli.REFUSED
    assert "[case.value_of_wrong_kind] age: NaN and infinity are not values." in err
    assert "case.malformed" not in err


def test_all_faults_of_a_case_are_named_each_on_its_line(run, case_file, folder):
    values = {**SMALL["values"], "age": CANARY, "shoe_size": 44}
    del values["married"]
    code, out, err = run("explain", folder, case_file({"ref": "A-1", "values": values}))
    assert (code, out) == (cli.REFUSED, "")
    places = [line for line in err.splitlines() if line.startswith("  - ")]
    assert len(places) == 3
    assert CANARY not in err


def test_what_cannot_be_found_is_named(run, case_file, tmp_path, folder):
    for arguments in (
        ("explain", folder, tmp_path / "missing.json"),
        ("explain", folder, tmp_path),
        ("explain", "housing_benefit", case_file()),
        ("explain", tmp_path, case_file()),
        ("explain", folder, case_file(), "--language", "vi"),
        (
            "explain",
            folder,
            case_file(),
            "--language",
            "ar",
            "--audience",
            "caseworker",
        ),
        ("package", "check", tmp_path),
        ("package", "seal", tmp_path),
        ("package", "new", tmp_path / "new_one", "--artefact", tmp_path / "missing.skops"),
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (cli.REFUSED, ""), arguments
        assert err.startswith("error ["), arguments


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("explain",),
        ("explain", "small_benefit"),
        ("explain", "small_benefit", "x.json", "--format", "pdf"),
        ("explain", "small_benefit", "x.json", "--audience", "supervisor"),
        ("explain", "small_benefit", "x.json", "--date", "tomorrow"),
        ("package",),
        ("package", "new", "folder"),
        ("decide", "x"),
    ],
)
def test_a_command_that_is_not_understood_ends_with_two(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (cli.USAGE, "")
    assert "usage: warum" in err


@pytest.mark.parametrize("command", [("explain",), ("package",), ("package", "new")])
def test_help_is_an_answer(run, command):
    code, out, err = run(*command, "--help")
    assert (code, err) == (cli.DONE, "")
    assert "exit codes:" in out or command == ("package", "new")


# -- packages ---------------------------------------------------------------------------------


def test_check_prints_what_a_package_is_and_names_every_fault(run, make_package, small_model):
    folder = make_package(
        manifest=lambda t: t.replace('"de", "en"', '"de"'), files={"locales/en/wording.po": None}
    )
    code, out, err = run("package", "check", folder)
    assert (code, err) == (cli.DONE, "")
    assert "small_benefit 1.0.0: no fault found." in out
    assert "               brute force over all coalitions\n" in out
    assert re.search(r"\n {15}(\d+) of \1 on thresholds and beside them: \d+ add up, 0", out)
    (folder / "CARD.md").write_text("changed")
    (folder / "more.txt").write_text("more")
    code, out, err = run("package", "check", folder)
    assert (code, out) == (cli.REFUSED, "")
    assert "2 faults" in err
    assert err.count("\n  - [package.artefact_changed]") == 2


def test_new_seal_and_golden_go_hand_in_hand(run, make_package, tmp_path, small_model):
    (tmp_path / "model.skops").write_bytes(small_model.data)
    code, out, _ = run("package", "new", tmp_path / "fresh", "--artefact", tmp_path / "model.skops")
    assert code == cli.DONE
    assert "4 features" in out
    code, out, _ = run("package", "seal", tmp_path / "fresh")
    assert (code, out.split()[0]) == (cli.DONE, "7")

    folder = make_package(
        manifest=lambda t: t.replace('"de", "en"', '"de"'), files={"locales/en/wording.po": None}
    )
    (folder / "golden" / "T-777.applicant.de.txt").write_text("old")
    assert run("package", "seal", folder)[0] == cli.DONE
    code, out, _ = run("package", "golden", folder, "--count", 1)
    assert code == cli.DONE
    assert "Have people read every one" in out
    assert [tuple(line.split()) for line in out.splitlines() if line.startswith("  ")] == [
        ("new", "T-000.applicant.de.txt"),
        ("new", "T-000.caseworker.de.txt"),
        ("removed", "T-777.applicant.de.txt"),
    ]
    assert sorted(p.name for p in (folder / "golden").glob("*.txt")) == [
        "T-000.applicant.de.txt",
        "T-000.caseworker.de.txt",
    ]
    out = run("package", "golden", folder, "--count", 1)[1]
    assert "no text is new or changed" in out
    assert "Have people" not in out
    text = folder / "golden" / "T-000.applicant.de.txt"
    text.write_text("something else")
    assert run("package", "seal", folder)[0] == cli.DONE
    out = run("package", "golden", folder, "--count", 1)[1]
    assert "changed  T-000.applicant.de.txt" in out
    assert "T-000.caseworker" not in out


def test_no_text_is_recorded_of_a_package_that_may_not_speak(run, make_package):
    folder = make_package(manifest=lambda t: t.replace("base = ", "base = 7 # "))
    code, out, err = run("package", "golden", folder)
    assert (code, out) == (cli.REFUSED, "")
    assert "background_invalid" in err
    assert not list((folder / "golden").glob("*.txt"))


def test_the_help_of_check_says_what_only_it_asks(run):
    out = run("package", "check", "--help")[1]
    for word in ("shap", "brute force", "up to 14 features", "start-up"):
        assert word in out


def test_a_model_that_is_refused_leaves_no_folder(run, tmp_path):
    (tmp_path / "model.skops").write_bytes(skops.io.dumps({"a": 1}))
    code, out, err = run(
        "package", "new", tmp_path / "fresh", "--artefact", tmp_path / "model.skops"
    )
    assert (code, out) == (cli.REFUSED, "")
    assert "package.artefact_refused" in err
    assert not (tmp_path / "fresh").exists()


def test_sealing_on_a_full_disk_leaves_the_old_manifest(run, make_package):
    folder = make_package()
    before = (folder / "manifest.toml").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
    try:
        code, out, err = run("package", "seal", folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (code, out) == (cli.REFUSED, "")
    assert err.startswith("error [file]")
    assert (folder / "manifest.toml").read_bytes() == before
    assert not list(folder.glob(".manifest*"))


# -- on a terminal ------------------------------------------------------------------------------


def on_a_terminal(*arguments: object, out: str | Path) -> tuple[int, str, str]:
    """Run a command in a process of its own, standard error a real terminal; `out` is a file for
    standard output, or "pipe", or "terminal". Gives exit code, standard output and error."""
    ours, theirs = pty.openpty()
    # a small window, as people have it
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    target = out.open("wb") if isinstance(out, Path) else None
    program = (
        "import argparse, sys; from explainer import cli; parser = argparse.ArgumentParser();"
        "cli.add_commands(parser.add_subparsers()); options = parser.parse_args();"
        "sys.exit(cli.run(lambda: options.action(options)))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout={"pipe": subprocess.PIPE, "terminal": theirs}.get(str(out), target),
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    shown: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(ours, shown))
    reader.start()
    answer, _ = process.communicate(timeout=120)
    reader.join(timeout=60)
    os.close(ours)
    if target is not None:
        target.close()
        answer = out.read_bytes()
    return process.returncode, (answer or b"").decode(), b"".join(shown).decode()


def _read_all(handle: int, into: list[bytes]) -> None:
    # Linux answers EIO when nobody holds the other end any more
    with contextlib.suppress(OSError):
        while data := os.read(handle, 65536):
            into.append(data)


BAR = "Explaining"


@pytest.mark.parametrize("out", ["file", "pipe"])
def test_answers_reach_the_file_while_the_bar_is_on_the_terminal(case_file, tmp_path, folder, out):
    cases = case_file(lines(SMALL, "{", MANY[1]), "cases.jsonl")
    target = tmp_path / "answers.jsonl" if out == "file" else out
    code, answers, shown = on_a_terminal("explain", folder, cases, "--format", "json", out=target)
    assert code == cli.REFUSED
    found = [json.loads(line) for line in answers.splitlines()]
    assert ["error" in answer for answer in found] == [False, True, False]
    assert BAR in shown
    assert "warum.explanation/1" not in shown
    assert shown.index("error [case.faulty] line 2") > shown.index("not recorded")


def test_an_error_has_lines_of_its_own_beside_the_bar(case_file, tmp_path, folder):
    cases = case_file(lines(SMALL, "{", MANY[1]), "cases.jsonl")
    _, _, shown = on_a_terminal("explain", folder, cases, out=tmp_path / "answers.jsonl")
    (line,) = [line for line in shown.splitlines() if "error [case.faulty]" in line]
    assert BAR not in line


def test_on_a_terminal_alone_answers_come_without_a_bar(case_file, folder):
    cases = case_file(lines(*MANY), "cases.jsonl")
    code, _, shown = on_a_terminal("explain", folder, cases, "--format", "json", out="terminal")
    assert code == cli.DONE
    assert BAR not in shown
    answers = [line for line in shown.splitlines() if line.startswith("{")]
    assert [json.loads(line)["case"]["ref"] for line in answers] == [c["ref"] for c in MANY]


def test_a_check_on_a_terminal_prints_its_report(tmp_path, folder):
    code, report, shown = on_a_terminal("package", "check", folder, out=tmp_path / "report.txt")
    assert code == cli.DONE
    assert "no fault found" in report
    assert "Telling the recorded cases" in shown
    assert "no fault found" not in shown


# -- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (
            CaseMalformed("What.", "where", "Mend."),
            cli.REFUSED,
            "error [case.malformed] where: What.",
        ),
        (OSError(28, "No space left on device", "x.toml"), cli.REFUSED, "x.toml: No space left"),
        (OSError("odd"), cli.REFUSED, "error [file]"),
        (KeyboardInterrupt(), 130, "stopped."),
        (ZeroDivisionError(CANARY), 70, "error [internal] ZeroDivisionError"),
        (RecursionError(), 70, "fault of Warum"),
    ],
)
def test_whatever_goes_wrong_becomes_a_sentence(capsys, raised, code, says):
    def action() -> int:
        raise raised

    assert cli.run(action) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert CANARY not in err
    assert "Traceback" not in err


def test_an_error_as_json_holds_all_it_gathers():
    class Both(ExplainerError):
        code = "both"

    fault = Both("What.", "where", "Mend.")
    fault.faults = (CaseMalformed("A.", "a", "b"), ("field", CaseMalformed("B.", "c", "d")))
    form = error_form(fault)
    assert [each["what"] for each in form["faults"]] == ["A.", "B."]
    assert form["code"] == "both"


def test_recorded_cases_are_cases(run, tmp_path, make_package, small_model):
    """The file of recorded cases can be handed to explain as it is."""
    path = tmp_path / "cases.jsonl"
    path.write_bytes(golden(small_model, 3))
    folder = make_package()
    code, out, _ = run("explain", folder, path, "--format", "json", "--audience", "caseworker")
    assert code == cli.DONE
    for line in out.splitlines():
        validator("view-1").validate(json.loads(line))


def test_the_validator_is_strict():
    with pytest.raises(jsonschema.ValidationError):
        validator("view-1").validate({})
