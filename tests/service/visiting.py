"""Somebody at a browser, for tests: keeps cookies, and finds fault with every page it is given."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from starlette.types import ASGIApp

from explainer.text.catalogs import catalog
from explainer.text.languages import languages
from service.wiring import Tools, demo_token

with warnings.catch_warnings():
    # starlette would rather have a library that is not among ours
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

ADDRESS = "http://127.0.0.1"
POLICY = (
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; script-src 'none'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "wbr"})


@dataclass(eq=False)
class Element:
    """One element of a page, with all the text inside it."""

    tag: str
    attrs: Mapping[str, str]
    parent: Element | None
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def inside(self) -> Iterator[Element]:
        """The elements around this one, from the inside out."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.doctype = ""
        self.faults: list[str] = []
        self._open: list[Element] = []

    def handle_decl(self, decl: str) -> None:
        self.doctype = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice")
        given = {name: value or "" for name, value in attrs}
        element = Element(tag, given, self._open[-1] if self._open else None)
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            self.faults.append(f"</{tag}> closes what is not open")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.words.append(data)


class Answer:
    """What came back, and if it is a page, its elements."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.status: int = response.status_code
        self.headers = response.headers
        self.body: str = response.text
        self.is_page = response.headers.get("content-type", "").startswith("text/html")
        reader = _Reader()
        if self.is_page:
            reader.feed(self.body)
            reader.close()
        self.doctype = reader.doctype
        self.elements = reader.elements
        self.malformed = reader.faults

    def json(self) -> Any:
        return self.response.json()

    def all(self, tag: str, **wanted: str) -> list[Element]:
        """Elements of this tag whose attributes are as wanted; `class_` is one of its classes."""
        found = []
        for element in self.elements:
            given = dict(element.attrs)
            name = wanted.get("class_")
            if element.tag != tag or (name and name not in given.get("class", "").split()):
                continue
            if all(given.get(k) == v for k, v in wanted.items() if k != "class_"):
                found.append(element)
        return found

    def one(self, tag: str, **wanted: str) -> Element:
        found = self.all(tag, **wanted)
        assert len(found) == 1, f"{len(found)} times <{tag}> {wanted}"
        return found[0]

    @property
    def lang(self) -> str:
        return self.one("html").attrs["lang"]

    @property
    def text(self) -> str:
        """The words of the page's own part."""
        return self.one("main").text

    def hidden(self, action: str) -> dict[str, str]:
        """The hidden fields of the form in the page's own part that is sent to `action`."""
        fields = {}
        for element in self.all("input", type="hidden"):
            around = list(element.inside())
            form = next(e for e in around if e.tag == "form")
            if form.attrs["action"] == action and any(e.tag == "main" for e in around):
                fields[element.attrs["name"]] = element.attrs["value"]
        return fields

    def errors(self) -> dict[str, str]:
        """Field and text of every error in the summary."""
        return {
            link.attrs["href"].removeprefix("#"): link.text
            for link in self.all("a")
            if any("w-errors" in e.attrs.get("class", "").split() for e in link.inside())
        }

    def structure(self) -> list[tuple[str, tuple[str, ...]]]:
        """Elements and names of attributes, in order: what text from outside must not change."""
        return [(e.tag, tuple(sorted(e.attrs))) for e in self.elements]


def check_headers(answer: Answer) -> None:
    """The headers every answer has, whatever it says."""
    for name, value in HEADERS.items():
        assert answer.headers.get(name) == value, f"{name} is missing or another"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["cache-control"] in ("no-store", "max-age=3600")
    assert "server" not in answer.headers


def check_page(answer: Answer, secrets: frozenset[str]) -> None:
    """What holds for every page; `secrets` are what may stand in no address."""
    assert answer.malformed == []
    assert answer.doctype.lower() == "doctype html"
    html = answer.one("html")
    assert html.attrs["lang"] == answer.headers["content-language"]
    language = languages()[html.attrs["lang"]]
    assert html.attrs["dir"] == language.dir
    assert {"cookie", "accept-language"} <= {
        part.strip().lower() for part in answer.headers["vary"].split(",")
    }
    heading, title = answer.one("h1").text, answer.one("title").text
    failed = title.startswith(f"{catalog(language).gettext('Fehler:')} {heading}")
    assert title.startswith(heading) or failed, f"{title!r} does not begin with {heading!r}"
    ids = [e.attrs["id"] for e in answer.elements if "id" in e.attrs]
    assert len(ids) == len(set(ids)), "an id stands twice"
    _check_references(answer, set(ids))
    _check_labels(answer)
    _check_no_script(answer)
    _check_addresses(answer, secrets)


def _check_references(answer: Answer, ids: set[str]) -> None:
    for element in answer.elements:
        for name in ("for", "aria-describedby", "aria-labelledby"):
            for wanted in element.attrs.get(name, "").split():
                assert wanted in ids, f"{name}={wanted} leads nowhere"
        href = element.attrs.get("href", "")
        if href.startswith("#"):
            assert href[1:] in ids, f"{href} leads nowhere"


def _check_labels(answer: Answer) -> None:
    labelled = {e.attrs["for"]: e.text for e in answer.all("label")}
    for element in answer.elements:
        if element.tag in ("input", "select", "textarea") and element.attrs.get("type") != "hidden":
            assert labelled.get(element.attrs.get("id", "")), f"no label: {element.attrs}"
        if element.tag in ("button", "a", "legend", "summary", "caption"):
            assert element.text or element.attrs.get("aria-label"), f"<{element.tag}> says nothing"


def _check_no_script(answer: Answer) -> None:
    for element in answer.elements:
        assert element.tag not in ("script", "style", "iframe", "object", "base")
        for name, value in element.attrs.items():
            assert name != "style", "a style attribute, which the policy forbids"
            assert not name.startswith("on"), f"{name} is a script"
            assert not value.strip().lower().startswith("javascript:")


def _check_addresses(answer: Answer, secrets: frozenset[str]) -> None:
    addresses = [
        element.attrs[name]
        for element in answer.elements
        for name in ("href", "src", "action", "formaction")
        if name in element.attrs
    ]
    for address in addresses:
        assert not re.match(r"[a-z]+://|//", address), f"another site: {address}"
    all_of_them = "\n".join(addresses)
    for secret in secrets:
        assert secret not in all_of_them, "a case number stands in an address"


class Visitor:
    """Somebody who looks at the service of `tools`, in one browser."""

    def __init__(self, app: ASGIApp, tools: Tools, **headers: str) -> None:
        self.tools = tools
        self.http = TestClient(
            app,
            base_url=ADDRESS,
            raise_server_exceptions=False,
            follow_redirects=False,
            headers=headers,
        )
        self.token = ""

    def get(self, path: str, **options: Any) -> Answer:
        return self._checked(self.http.get(path, **options))

    def post(self, path: str, data: Mapping[str, Any], **options: Any) -> Answer:
        """Send a form, with the visit's token, as a browser does from our own page."""
        headers = {"sec-fetch-site": "same-origin", **options.pop("headers", {})}
        fields = {"form_token": self.form_token(), **data}
        return self._checked(self.http.post(path, data=fields, headers=headers, **options))

    def form_token(self) -> str:
        if not self.token:
            found = self.get("/").all("input", name="form_token")
            self.token = found[0].attrs["value"]
        return self.token

    def be(self, person: str, case: str = "") -> Visitor:
        """Choose a person on the bar of the demonstration."""
        answer = self.post("/demo/person", {"person": person, **({"case": case} if case else {})})
        assert answer.status == 303, answer.status
        return self

    def _checked(self, response: Any) -> Answer:
        answer = Answer(response)
        check_headers(answer)
        secrets = frozenset(
            golden.case["ref"] for p in self.tools.packages.values() for golden in p.golden
        )
        headers = str(answer.headers)
        for secret in secrets:
            assert secret not in headers, "a case number stands in a header"
        if answer.is_page:
            check_page(answer, secrets)
        return answer


class Machine:
    """A holder of an API token."""

    def __init__(self, app: ASGIApp, tools: Tools, role: str | None) -> None:
        headers = {}
        if role is not None:
            headers["authorization"] = f"Bearer {demo_token(tools.settings.data, role)}"
        self.http = TestClient(
            app,
            base_url=ADDRESS,
            raise_server_exceptions=False,
            headers=headers,
        )

    def get(self, path: str, **options: Any) -> Answer:
        return self._checked(self.http.get(f"/api/v1{path}", **options))

    def post(self, path: str, form: Any = None, key: str | None = None, **options: Any) -> Answer:
        headers = {"sec-fetch-site": "none", **options.pop("headers", {})}
        if key is not None:
            headers["idempotency-key"] = key
        if form is not None:
            options["json"] = form
        return self._checked(self.http.post(f"/api/v1{path}", headers=headers, **options))

    @staticmethod
    def _checked(response: Any) -> Answer:
        answer = Answer(response)
        check_headers(answer)
        return answer


def check_problem(answer: Answer, status: int, code: str | None = None) -> dict[str, Any]:
    """An error for machines, in its one form."""
    assert answer.status == status, (answer.status, answer.body[:300])
    problem: dict[str, Any] = answer.json()
    assert (
        {"code", "what", "where", "mend"}
        <= set(problem)
        <= {
            "code",
            "what",
            "where",
            "mend",
            "faults",
        }
    )
    assert all(isinstance(problem[key], str) for key in ("code", "what", "where", "mend"))
    assert problem["what"]
    if code is not None:
        assert problem["code"] == code
    return problem
