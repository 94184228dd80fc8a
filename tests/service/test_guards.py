"""The outermost layer: headers on every answer, nothing from other sites, nothing too large; and
settings that are wrong stop the start with advice."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from offices import Office
from visiting import ADDRESS, HEADERS, Answer, Visitor, check_headers, check_problem

from explainer.errors import SettingsInvalid
from explainer.packages.bundled import bundled_packages
from explainer.text.catalogs import catalog
from explainer.text.languages import languages
from service.doctor import examine
from service.settings import SETTINGS, check_may_serve, read_settings


def test_headers_are_on_every_answer(standing: Office) -> None:
    """On pages, refusals, faults and styles alike; `get` and `post` look at each of them."""
    visitor, machine = standing.visitor("caseworker"), standing.machine("system")
    case = standing.cases[1].id
    seen = {
        visitor.get("/").status,
        visitor.get("/nowhere").status,
        visitor.get("/cases?page=0").status,
        visitor.post("/", {}).status,
        visitor.post("/cases", {}).status,
        visitor.post(f"/cases/{case}/decision", {"note": "x" * 70_000}).status,
        visitor.get("/records").status,
        visitor.get("/static/warum.css").status,
        visitor.get("/static/nothing.css").status,
        visitor.get("/static/../app.py").status,
        visitor.get("/static/%2e%2e/app.py").status,
        visitor.get("/healthz").status,
        visitor.get("/", headers={"host": "elsewhere.example"}).status,
        machine.post("/cases", {}).status,
        machine.get("/nowhere").status,
        machine.get("/openapi.json").status,
    }
    assert seen == {200, 403, 404, 405, 413, 421, 422}


def test_a_failure_is_a_page_with_headers_and_without_what_failed(
    standing: Office, logged: io.StringIO
) -> None:
    visitor = standing.visitor("caseworker")
    case = standing.cases[1]
    canary = "8f2c1e-canary"
    before = standing.size()
    standing.reseal(case, values_json=canary)
    try:
        answer = visitor.get(f"/cases/{case.id}")
        machine = standing.machine("caseworker").get(
            f"/cases/{case.id}/explanation?audience=caseworker"
        )
    finally:
        standing.reseal(case)
    assert answer.status == machine.status == 500
    assert answer.is_page
    assert set(machine.json()) == {"code", "what", "where", "mend"}
    # the number on the page is the one in the log; what failed is in neither
    log = logged.getvalue()
    reference = answer.text.split()[-1]
    assert reference in log
    for text in (answer.body, machine.body, log):
        assert canary not in text
        assert "Traceback" not in text
    assert standing.size() == before


def test_the_styles_may_be_kept_and_pages_may_not(standing: Office) -> None:
    visitor = standing.visitor()
    assert visitor.get("/static/warum.css").headers["cache-control"] == "max-age=3600"
    for path in ("/", "/nowhere", "/healthz", "/accessibility"):
        assert visitor.get(path).headers["cache-control"] == "no-store"


def test_everything_the_pages_ask_for_is_there(standing: Office) -> None:
    visitor = standing.visitor()
    page = visitor.get("/")
    asked = [e.attrs["href"] for e in page.all("link")] + [e.attrs["src"] for e in page.all("img")]
    assert len(asked) >= 4
    for address in asked:
        assert visitor.get(address).status == 200, address


# -- cross-site -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def caseworker(standing: Office) -> Visitor:
    """One visit for many tests."""
    return standing.visitor("caseworker")


FORGED: dict[str, dict[str, str]] = {
    "another site": {"sec-fetch-site": "cross-site"},
    "a sister site": {"sec-fetch-site": "same-site"},
    "something else": {"sec-fetch-site": "sometimes"},
    "another site, though the origin is ours": {"sec-fetch-site": "cross-site", "origin": ADDRESS},
    "another origin": {"origin": "https://elsewhere.example"},
    "an origin that begins like ours": {"origin": f"{ADDRESS}.elsewhere.example"},
    "an origin with our name in front": {"origin": "http://127.0.0.1@elsewhere.example"},
    "another port": {"origin": "http://127.0.0.1:9999"},
    "an origin that is withheld": {"origin": "null"},
    "an empty origin": {"origin": ""},
    "no sign of where from": {},
}


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("path", ["/cases/{}/decision", "/demo/person", "/records", "/verify"])
def test_a_form_from_elsewhere_is_refused(
    standing: Office, caseworker: Visitor, name: str, path: str
) -> None:
    visitor, case = caseworker, standing.cases[1]
    before = standing.size()
    fields = {
        "form_token": visitor.form_token(),
        "person": "supervisor",
        "outcome": "can_be_granted",
        "relation": "not_used",
        "codes": "E6",
    }
    response = visitor.http.post(path.format(case.id), data=fields, headers=FORGED[name])
    assert response.status_code == 403
    check_headers(Answer(response))
    assert standing.size() == before
    assert visitor.get("/cases").status == 200, "still the same person"


@pytest.mark.parametrize("tag", languages())
def test_a_refusal_is_a_page_in_the_language_of_the_visitor(standing: Office, tag: str) -> None:
    """It is made for nobody's visit: it ends none, begins none, and holds no token of one."""
    visitor = standing.visitor("caseworker")
    visit = visitor.http.cookies["warum_demo"]
    words = catalog(languages()[tag])
    elsewhere = {"sec-fetch-site": "cross-site", "accept-language": tag}
    for cookies in ({}, {"cookie": f"warum_lang={tag}", "accept-language": "de"}):
        answer = visitor.post("/verify", {}, headers=elsewhere | cookies)
        assert answer.status == 403
        assert answer.is_page
        assert answer.one("html").attrs["lang"] == tag
        assert words.sentence("error.request.from_elsewhere") in answer.text
        assert "set-cookie" not in answer.headers
        assert "form_token" not in answer.body
    long = visitor.post("/verify", {"x": "x" * 70_000}, headers={"accept-language": tag})
    assert long.status == 413
    assert words.sentence("error.page.too_large") in long.text
    assert "set-cookie" not in long.headers
    assert visitor.http.cookies["warum_demo"] == visit


def test_a_refusal_for_machines_has_the_form_of_all_errors(standing: Office) -> None:
    machine = standing.machine("system")
    nobody = standing.machine(None)
    large = machine.post("/cases", {"x": "x" * 1_100_000})
    check_problem(large, 413, "request.too_large")
    for headers in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "none"}, {}):
        answer = Answer(nobody.http.post("/api/v1/cases", json={}, headers=headers))
        problem = check_problem(answer, 403, "access.not_allowed")
        assert problem["where"] == "authorization"
    # a program comes with its token, from wherever it likes
    elsewhere = machine.post("/cases", {}, headers={"sec-fetch-site": "cross-site"})
    check_problem(elsewhere, 422, "case.faulty")


def test_a_name_that_is_not_served_is_said_in_two_languages_and_without_a_page(
    standing: Office,
) -> None:
    answer = standing.visitor().get("/", headers={"host": "elsewhere.example"})
    assert answer.body == "Diese Adresse gibt es hier nicht. This address is not served here."
    assert not answer.is_page


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": ADDRESS}]
)
def test_our_own_forms_are_taken(standing: Office, headers: dict[str, str]) -> None:
    visitor = standing.visitor("caseworker")
    data = {"form_token": visitor.form_token()}
    assert visitor.http.post("/verify", data=data, headers=headers).status_code == 200


@pytest.mark.parametrize("token", [None, "", "x", "ä", "0" * 64, "0" * 5000])
@pytest.mark.parametrize("path", ["/cases/{}/decision", "/demo/person", "/records", "/verify"])
def test_a_form_without_the_token_of_the_visit_is_refused(
    standing: Office, token: str | None, path: str
) -> None:
    person = "supervisor" if path == "/records" else "caseworker"
    visitor, case = standing.visitor(person), standing.cases[1]
    before = standing.size()
    data = {"person": "applicant", **({} if token is None else {"form_token": token})}
    headers = {"sec-fetch-site": "same-origin"}
    response = visitor.http.post(path.format(case.id), data=data, headers=headers)
    assert response.status_code == 403
    assert "Bitte laden Sie die Seite neu." in response.text
    assert standing.size() == before


def test_the_token_of_another_visit_is_refused(standing: Office) -> None:
    one, two = standing.visitor("caseworker"), standing.visitor("caseworker")
    assert one.form_token() != two.form_token()
    assert one.post("/verify", {"form_token": two.form_token()}).status == 403


def test_cookies_are_not_for_scripts_and_not_for_other_sites(standing: Office) -> None:
    answer = standing.visitor().get("/?lang=en")
    cookies = answer.response.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert "httponly" in cookie.lower()
        assert "samesite=lax" in cookie.lower()
        assert "domain=" not in cookie.lower()


@pytest.mark.parametrize(
    "host",
    [
        "elsewhere.example",
        "127.0.0.1.elsewhere.example",
        "localhost.elsewhere.example:8000",
        "127.0.0.1@elsewhere.example",
        "elsewhere.example/127.0.0.1",
        "[::2]",
        "[",
        "",
        "0.0.0.0",
        "127.0.0.1\\.elsewhere.example",
    ],
)
def test_another_name_is_not_served(standing: Office, host: str) -> None:
    """A name somebody pointed at this machine (DNS rebinding)."""
    for path in ("/", "/cases", "/api/v1/records", "/static/warum.css"):
        assert standing.visitor().get(path, headers={"host": host}).status == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "[::1]:8000"])
def test_the_names_of_this_machine_are_served(standing: Office, host: str) -> None:
    assert standing.visitor().get("/", headers={"host": host}).status == 200


# -- size -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "size"), [("/verify", 70_000), ("/api/v1/cases", 1_100_000)])
def test_what_is_too_large_is_refused(standing: Office, path: str, size: int) -> None:
    machine, visitor = standing.machine("system"), standing.visitor("caseworker")
    http = machine.http if path.startswith("/api/") else visitor.http
    headers = {"sec-fetch-site": "none"}
    headers["content-type"] = (
        "application/json" if path.startswith("/api/") else "application/x-www-form-urlencoded"
    )
    told = http.post(path, content=b"x" * size, headers=headers)
    assert told.status_code == 413
    check_headers(Answer(told))

    def chunks() -> Iterator[bytes]:
        for _ in range(size // 1000 + 1):
            yield b"x" * 1000

    untold = http.post(path, content=chunks(), headers=headers)
    assert untold.status_code == 413
    check_headers(Answer(untold))


@pytest.mark.parametrize(
    "length", ["-1", "1e3", "\u00b2", "0x10", "9" * 30, "9" * 5000, "1,1", "abc"]
)
def test_a_length_that_is_none_is_refused(standing: Office, length: str) -> None:
    headers = {"sec-fetch-site": "same-origin", "content-length": length.encode("latin-1")}
    response = standing.visitor("caseworker").http.post("/verify", headers=headers)
    assert response.status_code in (400, 413)
    check_headers(Answer(response))
    answer = standing.machine("system").post("/cases", headers=headers)
    check_problem(answer, answer.status)
    assert answer.status in (400, 413)


def test_many_small_fields_are_refused(standing: Office) -> None:
    visitor = standing.visitor("caseworker")
    answer = visitor.post(f"/cases/{standing.cases[1].id}/decision", {"codes": ["E6"] * 3000})
    assert answer.status == 400


def test_a_file_is_no_form(standing: Office) -> None:
    visitor = standing.visitor("caseworker")
    response = visitor.http.post(
        f"/cases/{standing.cases[1].id}/decision",
        data={"form_token": visitor.form_token()},
        files={"note": ("x.txt", b"hello")},
        headers={"sec-fetch-site": "same-origin"},
    )
    assert response.status_code == 422


# -- settings ---------------------------------------------------------------------------------

BUNDLED = bundled_packages()


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"WARUM_PROT": "8000"}, "WARUM_PROT"),
        ({"WARUM_PORT": "0"}, "WARUM_PORT"),
        ({"WARUM_PORT": "65536"}, "WARUM_PORT"),
        ({"WARUM_PORT": "80 80"}, "WARUM_PORT"),
        ({"WARUM_PORT": "٨٠"}, "WARUM_PORT"),
        ({"WARUM_PORT": "-1"}, "WARUM_PORT"),
        ({"WARUM_DEADLINE": "soon"}, "WARUM_DEADLINE"),
        ({"WARUM_DEADLINE": "61"}, "WARUM_DEADLINE"),
        ({"WARUM_DEMO": "yes"}, "WARUM_DEMO"),
        ({"WARUM_LANGUAGES": "en,xx"}, "WARUM_LANGUAGES: xx"),
        ({"WARUM_LANGUAGES": "de"}, "WARUM_LANGUAGES: de"),
        ({"WARUM_LANGUAGES": "all"}, "WARUM_LANGUAGES: all"),
        ({"WARUM_TENANT": "Amt für Arbeit"}, "WARUM_TENANT"),
        ({"WARUM_MODELS": "/there/is/no/such/folder"}, "WARUM_MODELS"),
    ],
)
def test_a_wrong_setting_is_named_with_advice(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        read_settings(environment, BUNDLED)
    assert named in str(caught.value)
    assert caught.value.mend


def test_the_defaults_are_those_that_are_documented() -> None:
    settings = read_settings({}, BUNDLED)
    assert not settings.demo
    assert settings.host == "127.0.0.1"
    assert {setting.name for setting in SETTINGS} >= {"WARUM_DATA", "WARUM_PORT", "WARUM_DEMO"}
    assert settings == read_settings({name.name: "" for name in SETTINGS}, BUNDLED)


def test_outside_demo_mode_nothing_is_served() -> None:
    with pytest.raises(SettingsInvalid, match="WARUM_DEMO"):
        check_may_serve(read_settings({}, BUNDLED))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "warum.example", "127.0.0.2"])
def test_the_demonstration_stays_on_this_machine(host: str) -> None:
    with pytest.raises(SettingsInvalid, match="WARUM_HOST"):
        check_may_serve(read_settings({"WARUM_DEMO": "1", "WARUM_HOST": host}, BUNDLED))


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WARUM_")}
    return subprocess.run(
        [sys.executable, "-m", "service.start", *arguments],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_port_that_is_taken_is_said_at_once(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", folder=tmp_path, WARUM_DEMO="1", WARUM_PORT=port)
    assert done.returncode == 1
    assert f"WARUM_PORT={port}" in done.stderr
    assert "choose another" in done.stderr
    assert not (tmp_path / "var").exists(), "nothing was made for a service that cannot run"


def test_serve_outside_demo_mode_says_what_to_do(tmp_path: Path) -> None:
    done = run("serve", folder=tmp_path)
    assert done.returncode == 1
    assert "warum demo" in done.stderr
    assert "Traceback" not in done.stderr


# -- doctor -----------------------------------------------------------------------------------


def test_the_doctor_finds_a_healthy_installation_healthy(tmp_path: Path) -> None:
    found = {one.about: one for one in examine({"WARUM_DATA": str(tmp_path / "data")}, BUNDLED)}
    unwell = [one for one in found.values() if not one.well]
    assert unwell == []
    assert {"python", "sqlite", "import names", "styles", "language ar", "settings"} <= set(found)
    assert "package unemployment_benefit" in found
    assert not (tmp_path / "data").exists(), "the doctor changes nothing"


@pytest.mark.parametrize(
    ("environment", "about"),
    [({"WARUM_PORT": "x"}, "settings"), ({"WARUM_MODELS": "EMPTY"}, "packages")],
)
def test_the_doctor_names_what_is_wrong(
    tmp_path: Path, environment: dict[str, str], about: str
) -> None:
    (tmp_path / "empty").mkdir()
    given = {k: v.replace("EMPTY", str(tmp_path / "empty")) for k, v in environment.items()}
    found = {one.about: one for one in examine(given, BUNDLED)}
    assert not found[about].well
    assert found[about].mend


def test_the_doctor_names_a_package_that_was_changed(tmp_path: Path, make_package: Any) -> None:
    folder = make_package()
    (folder / "CARD.md").write_bytes(b"changed")
    found = {one.about: one for one in examine({"WARUM_MODELS": str(folder)}, BUNDLED)}
    assert not found["package small_benefit"].well


def test_the_headers_looked_for_are_those_that_are_set() -> None:
    from service.web.guards import HEADERS as SET

    assert set(HEADERS) <= set(SET)
