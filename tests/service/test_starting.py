"""Pages answer before the packages are admitted; what needs a package waits, and says so.

Here the moment between is held still: everything is open, and no package was tried yet.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from offices import NOON, Office, demo_settings, open_office
from test_routes import PAGES, PERSONS, send
from trained import SmallModel, write_package
from visiting import Answer, check_problem

from explainer.errors import PackageFaulty, SettingsInvalid
from explainer.ledger.entries import EntryKind
from explainer.packages.package import ModelPackage
from service.actions import submit
from service.admission import Admission, Admitted, Starting
from service.demo import SYSTEM
from service.routes.caseworker import RELATIONS
from service.settings import Settings
from service.shelf import Shelf
from service.store.cases import CaseFile
from service.wiring import open_tools, prepare_tools

SMALL = "small_benefit"
WAIT = {
    "de": ("Das Programm startet noch", "Bitte laden Sie die Seite gleich neu."),
    "en": ("The program is still starting", "Please reload the page in a moment."),
    "ar": ("ما زال البرنامج قيد التشغيل", "يُرجى إعادة تحميل الصفحة بعد لحظات."),
}
FORM = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory, small_model: SmallModel) -> list[Path]:
    """Two packages of the same kind under two names."""
    folder = tmp_path_factory.mktemp("packages")
    return [
        write_package(
            folder / name, small_model, manifest=lambda text, n=name: text.replace(SMALL, n)
        )
        for name in (SMALL, "second_benefit")
    ]


@pytest.fixture(scope="module")
def before(
    tmp_path_factory: pytest.TempPathFactory, packages: list[Path]
) -> tuple[Settings, Office]:
    """An office that was open yesterday: one case of its first package is decided."""
    data = tmp_path_factory.mktemp("before") / "data"
    settings = demo_settings(data, *packages)
    office = open_office(settings, 0)
    cases = []
    for package in office.tools.packages.values():
        cases += [_submitted(office, package, at) for at in range(3)]
    office = Office(office.tools, tuple(cases))
    office.decided(0)
    office.visitor("applicant", cases[0].id).get("/application")
    office.visitor("caseworker").get(f"/cases/{cases[1].id}")
    office.tools.seals.now()
    office.tools.close()
    return settings, office


def _submitted(office: Office, package: ModelPackage, at: int) -> CaseFile:
    name = package.manifest.id
    case = {**package.golden[at].case, "package": name, "ref": f"{name[:2].upper()}-{at}"}
    return submit(case, SYSTEM, office.tools)


@pytest.fixture
def starting(tmp_path: Path, before: tuple[Settings, Office]) -> Iterator[Office]:
    """The same office this morning: it answers, and no package is admitted yet."""
    settings, office = before
    shutil.copytree(settings.data, tmp_path / "data")
    tools = prepare_tools(replace(settings, data=tmp_path / "data"), lambda: NOON)
    yield Office(tools, office.cases)
    tools.close()


def check_waits(answer: Answer, tag: str = "de") -> None:
    """The page that asks for a moment of patience, in this language."""
    assert answer.status == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.lang == tag
    for words in WAIT[tag]:
        assert words in answer.text
    # it never reloads by itself: that would take the page from under its reader
    assert not [one for one in answer.all("meta") if "http-equiv" in one.attrs]


# -- what answers, what waits -----------------------------------------------------------------


def test_the_process_lives_and_says_that_it_is_not_ready(starting: Office) -> None:
    visitor = starting.visitor()
    assert visitor.get("/healthz").json() == {"status": "alive"}
    ready = visitor.get("/readyz")
    assert (ready.status, ready.headers["retry-after"]) == (503, "2")
    assert ready.json() == {
        "status": "starting",
        "code": "service.starting",
        "packages": [],
        "refused": [],
    }
    assert visitor.get("/metrics").body.count("warum_ready 0\n") == 1
    starting.tools.admission.run()
    ready = visitor.get("/readyz")
    assert visitor.get("/metrics").body.count("warum_ready 1\n") == 1
    assert ready.status == 200
    assert ready.json()["packages"] == ["second_benefit", SMALL]


@pytest.mark.parametrize("person", PERSONS)
@pytest.mark.parametrize("path", [path for method, path in PAGES if method == "GET"])
def test_every_page_answers_or_asks_for_a_moment(starting: Office, person: str, path: str) -> None:
    """None fails, none tries a package of its own accord, none shows a case."""
    before = starting.size()
    answer = send(starting, person, "GET", path)
    if person not in PAGES["GET", path][1]:
        assert answer.status == 403
    elif "{case_id}" in path and "{mark}" not in path:
        check_waits(answer)
    elif path == "/readyz":
        assert answer.json()["status"] == "starting"
    elif answer.status != 200:
        check_waits(answer)
    assert starting.size() == before
    assert starting.tools.shelf._open == {}


def test_pages_about_no_case_answer_at_once(starting: Office) -> None:
    visitor = starting.visitor()
    for path in ("/accessibility", "/feedback", "/static/warum.css"):
        assert visitor.get(path).status == 200
    start = visitor.get("/")
    assert start.status == 200
    # that no case was decided would not be true
    assert "Über die Fälle hat noch niemand entschieden." not in start.text
    assert "Das Programm startet noch." in start.text


@pytest.mark.parametrize("tag", ["de", "en"])
def test_lists_answer_at_once_and_say_what_is_missing(starting: Office, tag: str) -> None:
    queue = starting.visitor("caseworker").get(f"/cases?lang={tag}")
    records = starting.visitor("supervisor").get(f"/records?lang={tag}")
    for answer, numbers in (
        (queue, [case.case_ref for case in starting.cases[1:]]),
        (records, [starting.cases[0].case_ref]),
    ):
        assert answer.status == 200
        assert all(number in answer.text for number in numbers)
        assert " ".join((f"{WAIT[tag][0]}.", WAIT[tag][1])) in answer.text
    starting.tools.admission.run()
    for person, path in (("caseworker", "/cases"), ("supervisor", "/records")):
        assert WAIT[tag][0] not in starting.visitor(person).get(f"{path}?lang={tag}").text


def test_the_records_can_be_verified_meanwhile(starting: Office) -> None:
    answer = starting.visitor("supervisor").post("/verify", {})
    assert answer.status == 200
    assert answer.all("section", class_="w-verdict--ok")


@pytest.mark.parametrize("tag", ["de", "en"])
def test_a_case_waits_for_its_package(starting: Office, tag: str) -> None:
    visitor, before = starting.visitor("caseworker"), starting.size()
    for case in starting.cases:
        page = visitor.get(f"/cases/{case.id}?lang={tag}")
        check_waits(page, tag)
        assert page.one("a", class_="kern-btn").attrs["href"] == f"/cases/{case.id}"
        assert case.case_ref not in page.body
    assert starting.size() == before, "nothing was shown, so nothing is recorded"
    starting.tools.admission.run()
    for case in starting.cases[1:]:
        assert visitor.get(f"/cases/{case.id}").all("p", class_="w-suggestion")


@pytest.mark.parametrize("tag", ["de", "en", "ar"])
def test_the_person_whose_case_it_is_waits_too(starting: Office, tag: str) -> None:
    visitor = starting.visitor("applicant", starting.cases[0].id)
    check_waits(visitor.get(f"/application?lang={tag}"), tag)
    starting.tools.admission.run()
    told = visitor.get(f"/application?lang={tag}")
    offered = tag if tag in starting.tools.packages[SMALL].wordings else "de"
    assert (told.status, told.lang) == (200, offered)
    assert starting.entries(EntryKind.SHOWN)[-1].payload["language"] == offered


def test_a_case_that_is_not_theirs_looks_like_none(starting: Office) -> None:
    """Who may not see a case does not learn from the waiting that it is there."""
    starting.sql(f"UPDATE case_file SET unit = 'other' WHERE id = '{starting.cases[1].id}'")
    visitor = starting.visitor("caseworker")
    answers = [visitor.get(f"/cases/{one}") for one in (starting.cases[1].id, "nowhere")]
    assert [one.status for one in answers] == [404, 404]
    assert len({one.text for one in answers}) == 1
    machine = starting.machine("supervisor")
    for one in (starting.cases[0].id, "nowhere"):
        refused = machine.get(f"/cases/{one}/explanation")
        check_problem(refused, 403, "access.not_allowed")


# -- deciding ---------------------------------------------------------------------------------


@pytest.mark.parametrize("relation", RELATIONS)
def test_nothing_is_decided_without_the_package(starting: Office, relation: str) -> None:
    """Least of all as if the program had not been used: nobody chose that."""
    case, before = starting.cases[1], starting.size()
    answer = starting.visitor("caseworker").post(
        f"/cases/{case.id}/decision", {**FORM, "relation": relation}
    )
    assert answer.status == 503
    by_api = starting.machine("caseworker").post(
        f"/cases/{case.id}/decisions", {**FORM, "relation": relation}, key="a key of this test"
    )
    check_problem(by_api, 503, "service.starting")
    assert by_api.headers["retry-after"] == "2"
    assert starting.size() == before
    assert starting.decisions(case) == []
    assert starting.sql("SELECT count(*) FROM decision_record") == [(1,)]


def test_a_form_that_came_too_early_is_sent_again_as_it_was(starting: Office) -> None:
    case, action = starting.cases[1], f"/cases/{starting.cases[1].id}/decision"
    visitor = starting.visitor("caseworker")
    note = 'Zeile eins\nmit <b>"Zeichen"</b> & mehr'
    sent = {**FORM, "codes": ["E6", "P5"], "note": note, "idempotency_key": "k" * 32}
    early = visitor.post(action, sent)
    assert early.status == 503
    assert WAIT["de"][0] in early.text
    assert "Ihre Eingaben sind noch nicht gespeichert." in early.text
    fields: dict[str, list[str]] = {}
    for one in early.all("input", type="hidden"):
        if any(e.attrs.get("action") == action for e in one.inside()):
            fields.setdefault(one.attrs["name"], []).append(one.attrs["value"])
    assert fields["codes"] == ["E6", "P5"]
    assert [value.replace("\r\n", "\n") for value in fields["note"]] == [note]
    assert visitor.post(action, fields).status == 503, "still too early"
    starting.tools.admission.run()
    assert visitor.post(action, fields).status == 303
    (decided,) = starting.decisions(case)
    assert decided.payload["free_text"] == note
    assert decided.payload["reason_codes"] == ["E6", "P5"]
    assert visitor.post(action, fields).status == 303, "the same form is the same decision"
    assert len(starting.decisions(case)) == 1


def test_a_form_of_another_site_is_not_handed_back(starting: Office) -> None:
    action = f"/cases/{starting.cases[1].id}/decision"
    answer = starting.visitor("caseworker").post(action, {**FORM, "form_token": "guessed"})
    assert answer.status == 403
    assert not answer.all("input", name="outcome")


# -- programs ---------------------------------------------------------------------------------


def test_programs_are_told_when_to_ask_again(starting: Office) -> None:
    caseworker, system = starting.machine("caseworker"), starting.machine("system")
    path = f"/cases/{starting.cases[0].id}/explanation?audience="
    for answer in (
        caseworker.get(f"{path}caseworker"),
        system.get(f"{path}applicant"),
        system.post("/cases", {"ref": "NEW-1", "package": SMALL, "values": {}}),
        # which package is meant by none, and which there are, nobody knows yet
        system.post("/cases", {"ref": "NEW-1", "values": {}}),
        system.post("/cases", {"ref": "NEW-1", "package": "nowhere", "values": {}}),
    ):
        problem = check_problem(answer, 503, "service.starting")
        assert "/readyz" in problem["mend"]
        assert answer.headers["retry-after"] == "2"
    assert starting.machine("supervisor").get("/records").json()["total"] == 1
    starting.tools.admission.run()
    refused = system.post("/cases", {"ref": "NEW-1", "package": "nowhere", "values": {}})
    check_problem(refused, 422, "case.faulty")


def test_a_package_speaks_while_another_is_still_tried(starting: Office) -> None:
    first, second = starting.cases[1], starting.cases[3]
    assert (first.package_id, second.package_id) == (SMALL, "second_benefit")
    starting.tools.admission.run()
    package = starting.tools.packages[SMALL]
    starting.tools.admission.state = Admitted({SMALL: package}, {}, done=False)
    visitor = starting.visitor("caseworker")
    assert visitor.get(f"/cases/{first.id}").all("p", class_="w-suggestion")
    check_waits(visitor.get(f"/cases/{second.id}"))
    system = starting.machine("system")
    case = {**package.golden[40].case, "ref": "NEW-2"}
    assert system.post("/cases", {**case, "package": SMALL}).status == 201
    # the only one known so far is not the only one there is
    check_problem(system.post("/cases", case), 503, "service.starting")


# -- how packages come into force -------------------------------------------------------------


def admission_of(folders: list[Path], place: Path, recorded: list[str]) -> Admission:
    shelf = Shelf(place, ())
    return Admission(folders, shelf, lambda package: recorded.append(package.manifest.id))


def test_a_package_has_its_entry_before_it_speaks(packages: list[Path], tmp_path: Path) -> None:
    seen: list[tuple[str, Admitted]] = []

    def record(package: ModelPackage) -> None:
        seen.append((package.manifest.id, admission.state))

    admission = Admission(packages, Shelf(tmp_path, ()), record)
    admission.run()
    assert {name for name, _ in seen} == {SMALL, "second_benefit"}
    for name, state in seen:
        assert name not in state.packages
        assert not state.done
    # in the order of their folders, whichever was ready first
    assert list(admission.state.packages) == [SMALL, "second_benefit"]
    assert admission.state.done


def test_a_package_that_cannot_be_recorded_does_not_speak(
    packages: list[Path], tmp_path: Path
) -> None:
    def record(package: ModelPackage) -> None:
        raise SettingsInvalid("No.", "the log", "Mend it.")

    admission = Admission(packages, Shelf(tmp_path, ()), record)
    with pytest.raises(SettingsInvalid, match="the log"):
        admission.run()
    assert admission.state == Admitted({}, {}, done=False)


def test_what_was_known_before_does_not_change(packages: list[Path], tmp_path: Path) -> None:
    admission = admission_of(packages, tmp_path, [])
    at_first = admission.state
    admission.run()
    assert at_first == Admitted({}, {}, done=False)
    with pytest.raises(Starting):
        at_first.check_tried(SMALL)
    admission.state.check_tried("nowhere")


def test_nothing_is_written_after_closing(packages: list[Path], tmp_path: Path) -> None:
    recorded: list[str] = []
    admission = admission_of(packages, tmp_path / "shelf", recorded)
    admission.close()
    ended: list[Exception | None] = []
    admission.run()
    admission.begin(ended.append)
    assert recorded == ended == []
    assert not admission.state.done
    assert not (tmp_path / "shelf").exists()


def test_a_package_with_faults_is_left_out_and_named(
    packages: list[Path], tmp_path: Path, make_package: Callable[..., Path]
) -> None:
    broken = make_package("broken_benefit")
    (broken / "features.toml").write_text("changed")
    manifestless = make_package("unreadable_benefit")
    (manifestless / "manifest.toml").unlink()
    (manifestless / "manifest.toml").symlink_to(broken / "CARD.md")
    admission = admission_of([broken, packages[0], manifestless], tmp_path / "shelf", [])
    admission.run()
    assert list(admission.state.packages) == [SMALL]
    assert list(admission.state.refused) == ["broken_benefit", "unreadable_benefit"]
    assert isinstance(admission.state.refused["broken_benefit"], PackageFaulty)


def test_two_packages_of_one_id_are_refused(
    packages: list[Path], tmp_path: Path, make_package: Callable[..., Path]
) -> None:
    twin, recorded = make_package("twin"), []
    admission = admission_of([packages[0], twin], tmp_path / "shelf", recorded)
    with pytest.raises(SettingsInvalid, match="the same id"):
        admission.run()
    # nor did the one that was faster speak for a moment
    assert (recorded, dict(admission.state.packages)) == ([], {})
    assert not (tmp_path / "shelf").exists()


def test_of_two_packages_of_one_id_the_one_without_faults_speaks(
    packages: list[Path], tmp_path: Path, make_package: Callable[..., Path]
) -> None:
    twin = make_package("twin")
    (twin / "features.toml").write_text("changed")
    admission = admission_of([twin, packages[0]], tmp_path / "shelf", [])
    admission.run()
    assert list(admission.state.packages) == [SMALL]
    assert list(admission.state.refused) == ["twin"]


def test_without_any_package_nothing_starts(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    settings = demo_settings(tmp_path / "data", tmp_path / "none")
    with pytest.raises(SettingsInvalid, match="There is no package"):
        prepare_tools(settings, lambda: NOON)


def test_where_every_package_is_refused_nothing_starts(
    tmp_path: Path, make_package: Callable[..., Path]
) -> None:
    broken = make_package("broken_benefit")
    (broken / "features.toml").write_text("changed")
    with pytest.raises(PackageFaulty, match="broken_benefit"):
        open_tools(demo_settings(tmp_path / "data", broken), lambda: NOON)


def test_a_new_package_has_one_entry_and_a_known_one_no_more(starting: Office) -> None:
    models = starting.entries(EntryKind.MODEL)
    starting.tools.admission.run()
    assert starting.entries(EntryKind.MODEL) == models
    assert {one.payload["package"] for one in models} == {SMALL, "second_benefit"}
