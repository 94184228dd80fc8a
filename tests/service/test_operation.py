"""The page of whoever runs Warum: what stands there, what never does, what if a part is gone."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from offices import NOON, MakeOffice, Office, demo_settings, open_office
from servers import DATABASES
from test_languages import check_one_language
from trained import SmallModel, write_package
from visiting import Answer, Element

from explainer.core.decision import Actor, Role
from explainer.errors import (
    ArtefactChanged,
    LogForked,
    MessageMissing,
    ModelFailed,
    NotAllowed,
    PackageFaulty,
    StorageFailed,
    WitnessFailed,
)
from explainer.ledger.log import LogName
from explainer.packages.bundled import find_package
from service import operation
from service.admission import Admission, Admitted
from service.key_watch import KeyWatch
from service.operation import LATE, MOST_TOLD, Point, Unread, look
from service.reported import LONGEST, fit_for_a_page, said
from service.witnesses import Standing, Witnesses

on_both = pytest.mark.parametrize("address", DATABASES, indirect=True)

OPERATOR = Actor("demo-operator", Role.OPERATOR)
PARTS = ("packages", "languages", "logs", "database", "retention", "examined", "versions")
MARKUP = "<script>alert(1)</script>"
NOTHING = "Es gibt keine offenen Punkte."
UNREADABLE = "Dieser Teil lässt sich gerade nicht lesen."


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, small_model: SmallModel) -> Iterator[Office]:
    """An office with one package of the demonstration and one that somebody approved."""
    folder = tmp_path_factory.mktemp("running")
    small = write_package(folder / "small_benefit", small_model, manifest=approved)
    settings = demo_settings(folder / "data", find_package("unemployment_benefit"), small)
    office = open_office(settings, 3)
    office.decided(0)
    office.tools.seals.now()
    yield office
    office.tools.close()


def approved(manifest: str) -> str:
    assert 'status = "not_approved"' in manifest
    return manifest.replace('status = "not_approved"', 'status = "approved"')


def page(office: Office, lang: str = "de") -> Answer:
    answer = office.visitor("operator").get(f"/operation?lang={lang}")
    assert answer.status == 200
    assert answer.lang == lang
    return answer


def part(answer: Answer, name: str) -> Element:
    return answer.one("section", **{"aria-labelledby": f"part-{name}"})


def row(answer: Answer, section: str, label: str, at: int = 0) -> str:
    """The value beside a label in one part of the page."""
    inside = part(answer, section)
    pairs = zip(answer.all("dt"), answer.all("dd"), strict=True)
    found = [dd.text for dt, dd in pairs if dt.text == label and inside in dt.inside()]
    return found[at]


def points(answer: Answer) -> list[str]:
    box = answer.one("section", **{"aria-labelledby": "points"})
    return [link.text for link in answer.all("a") if box in link.inside()]


def changed(office: Office, **settings: Any) -> Office:
    """The same office with other settings."""
    tools = replace(office.tools, settings=replace(office.tools.settings, **settings))
    return Office(tools, office.cases)


# -- what stands there ------------------------------------------------------------------------


def test_it_names_packages_logs_and_versions(running: Office) -> None:
    running.tools.seals.now()  # whatever other tests looked at before
    answer = page(running)
    headings = [h.text for h in answer.all("h3")]
    assert headings[:2] == ["unemployment_benefit", "small_benefit"]
    assert row(answer, "packages", "Zustand") == "zugelassen"
    assert row(answer, "packages", "Freigabe der Behörde") == "fehlt"
    assert row(answer, "packages", "Freigabe der Behörde", 1) == "liegt vor"
    assert row(answer, "packages", "Prozess des Modells").startswith("gestartet")
    assert row(answer, "packages", "Vergleichsgruppe").startswith("veraltet Letzter Tag: 31. Dez")
    assert row(answer, "packages", "Vergleichsgruppe", 1).startswith("nicht veraltet Letzter Tag")
    entries = running.size()
    assert row(answer, "logs", "Einträge") == str(entries)
    assert row(answer, "logs", "Einträge", 1) == str(running.size(LogName.ACCESS))
    checkpoint = row(answer, "logs", "Letzte unterschriebene Prüfmarke")
    assert checkpoint == f"über {entries} Einträge Neuester Eintrag darin: 23. November 2026, 13:00"
    assert row(answer, "logs", "Ohne Unterschrift") == "kein Eintrag"
    assert row(answer, "database", "Datenbank") == "SQLite, eine Datei im Datenordner"
    assert row(answer, "database", "Fassung der Tabellen").endswith("die neueste")
    assert running.tools.explainer_digest in part(answer, "versions").text
    stale = "1 Vergleichsgruppe ist veraltet."
    assert points(answer) == [stale, "1 Modellpaket hat keine Freigabe."]


def test_numbers_and_days_are_written_as_the_reader_writes_them(
    running: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = operation.Group(12345, 2025, date(2027, 3, 1), stale=False)
    one = operation.OnePackage("many", operation.PackageState.IN_FORCE, "2", True, group=group)
    monkeypatch.setattr(operation, "_packages", lambda *_: iter([one]))
    german = row(page(running), "packages", "Vergleichsgruppe")
    assert german == "nicht veraltet Letzter Tag: 1. März 2027 12.345 Anträge, Stand: 2025"
    english = row(page(running, "en"), "packages", "Comparison group")
    assert english == "not out of date Last day: 1 March 2027 12,345 applications, As of: 2025"
    endless = replace(one, group=operation.Group(1, None, None, stale=False))
    monkeypatch.setattr(operation, "_packages", lambda *_: iter([endless]))
    german = row(page(running), "packages", "Vergleichsgruppe")
    assert german == "nicht veraltet Das Paket nennt keinen letzten Tag. 1 Antrag"
    assert points(page(running)) == []
    assert NOTHING in page(running).text


def test_it_is_whole_in_german_and_in_english(running: Office) -> None:
    german, english = page(running), page(running, "en")
    check_one_language(running, english, "en")
    labels = [len(answer.all(tag)) for answer in (german, english) for tag in ("dt", "h3", "tr")]
    assert labels[:3] == labels[3:]
    assert english.one("h1").text == "Operations"
    # whoever asks for a language no page of staff is in gets German
    assert running.visitor("operator").get("/operation?lang=uk").lang == "de"


def test_it_changes_nothing_and_takes_nothing(running: Office) -> None:
    sizes = [running.size(name) for name in LogName]
    visitor = running.visitor("operator")
    answer = visitor.get("/operation")
    main = answer.one("main")
    assert not [f for f in answer.all("form") if main in f.inside()]
    assert visitor.post("/operation", {}).status == 405
    assert [running.size(name) for name in LogName] == sizes


# -- what never stands there ------------------------------------------------------------------


def test_no_case_no_record_and_nobody_is_named(running: Office) -> None:
    (record,) = running.sql("SELECT record_id FROM decision_record")
    keys = [str(key) for (key,) in running.sql("SELECT key_id FROM case_file")]
    named = changed(running, retain_by=("Erika Muster", "Max Beispiel"))
    texts = [page(running).body, page(running, "en").body, page(named).body]
    never = [
        *(case.case_ref for case in running.cases),
        *(case.id for case in running.cases),
        *keys,
        str(record[0]),
        *("Muster", "Beispiel", "demo-caseworker", "demo-operator", "demo_office"),
        str(running.tools.settings.data),
    ]
    assert [word for word in never for text in texts if word in text] == []
    assert "2 Personen haben das genehmigt." in texts[2]


def test_a_reviewed_language_is_told_without_its_reviewer(
    running: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = operation.all_languages()
    reviewer = {"reviewer": "Erika Muster", "reviewed_on": "2026-09-03"}
    english = replace(rows["en"], status=operation.Status.REVIEWED, **reviewer)
    ukrainian = replace(rows["uk"], lapsed=True, **reviewer)
    other = {**rows, "en": english, "uk": ukrainian}
    monkeypatch.setattr(operation, "all_languages", lambda: other)
    answer = page(running)
    assert "geprüft am: 3. September 2026" in answer.text
    assert "geändert seit der Prüfung am: 3. September 2026" in answer.text
    assert "Muster" not in answer.body
    assert "1 Sprache hat sich seit ihrer Prüfung geändert." in points(answer)


def test_only_whoever_runs_the_service_may_look(running: Office) -> None:
    for role in Role:
        if role is Role.OPERATOR:
            continue
        with pytest.raises(NotAllowed):
            look(Actor("somebody", role, unit="demo_office"), running.tools)
    assert isinstance(look(OPERATOR, running.tools), operation.Operation)


def test_whoever_runs_the_service_opens_no_case_by_any_door(running: Office) -> None:
    case = running.cases[0]
    (record,) = running.sql("SELECT record_id FROM decision_record")
    caseworker = running.visitor("caseworker")
    opened = caseworker.get(f"/cases/{case.id}")
    receipts = {a.attrs["href"] for a in opened.all("a") if "/receipts/" in a.attrs.get("href", "")}
    assert receipts
    operator = running.visitor("operator")
    doors = [*receipts, f"/cases/{case.id}", f"/cases/{case.id}/correction", "/cases"]
    doors += ["/own-records", "/records", f"/records/{record[0]}", "/verify", "/application"]
    for path in doors:
        answer = operator.get(path)
        assert answer.status == 403, path
        assert case.case_ref not in answer.body
    # who became operator is no applicant of the case they looked at before
    applicant = running.visitor("applicant", case.id)
    applicant.be("operator")
    assert applicant.get("/application").status == 403


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("golden/UB-0004.applicant.de.txt", "golden/…"),
        ("golden/Erika Muster, 12.txt", "golden/…"),
        ("golden/cases.jsonl, line 3, feature age", "golden/cases.jsonl, line 3, feature age"),
        ("recorded case UB-0004", "recorded case …"),
        ("/agency/data/seals/ledger/signing.key", "WARUM_DATA/seals/ledger/signing.key"),
        ("/agency/models/small/manifest.toml", "WARUM_MODELS/small/manifest.toml"),
        ("WARUM_RETENTION: /people/erika/table.toml, [x]", "WARUM_RETENTION: WARUM_RETENTION, [x]"),
        ("cannot read /people/erika.muster/file.pem.", "cannot read …/file.pem."),
        ("postgresql://warum:secret@db/warum", "postgresql://db/warum"),
        ("postgresql://warum:se/cr@et@db/warum is wrong", "postgresql://db/warum is wrong"),
        ("host=db password=secret user=warum", "host=db password=… user=warum"),
        ("postgresql://u:ge heim@db/x", "postgresql://db/x"),
        ("host=db sslpassword = 'ge heim' user=w", "host=db sslpassword = … user=w"),
        ("{'password': 'abc'}", "{'password': …}"),
        ("Authorization: Bearer abcdef", "Authorization: Bearer …"),
        ("file:///people/anna/x", "file://…/x"),
        ("key:/people/anna/secret.pem", "key:…/secret.pem"),
        ("/agency/database/x/y", "…/y"),
        ("https://witness.example/log", "https://witness.example/log"),
        ("locales/en/wording.po", "locales/en/wording.po"),
        ("one\u202etwo\u0007three\nfour", "one two three four"),
    ],
)
def test_an_error_loses_what_nobody_may_read_there(text: str, shown: str) -> None:
    settings = demo_settings(Path("/agency/data"), Path("/agency/models"))
    settings = replace(settings, retention=Path("/people/erika/table.toml"))
    assert fit_for_a_page(text, settings) == shown
    told = said(StorageFailed(what=text, where=text, mend=text), settings)
    assert (told.what, told.where, told.mend) == (shown, shown, shown)


def test_an_error_without_end_is_cut() -> None:
    settings = demo_settings(Path("data"), Path("models"))
    assert len(fit_for_a_page("x" * 100_000, settings)) == LONGEST


# -- packages ---------------------------------------------------------------------------------


def state_of(office: Office, monkeypatch: pytest.MonkeyPatch, state: Admitted) -> None:
    monkeypatch.setattr(office.tools.admission, "state", state)


def test_a_refused_package_says_what_where_and_how_to_mend_it(
    running: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = ArtefactChanged(f"It changed. {MARKUP}", "model.skops", "Restore it. \u202e")
    several = PackageFaulty("x", [fault] * (MOST_TOLD + 2))
    refused = {MARKUP: fault, "many": several}
    state_of(running, monkeypatch, Admitted({}, refused, done=True))
    answer = page(running)
    assert MARKUP not in answer.body
    assert [h.text for h in answer.all("h3")][:2] == [MARKUP, "many"]
    assert row(answer, "packages", "Zustand").startswith("nicht zugelassen")
    assert row(answer, "packages", "Was ist passiert") == f"It changed. {MARKUP}"
    assert row(answer, "packages", "Wo") == "model.skops"
    assert row(answer, "packages", "Was hilft") == "Restore it."
    assert row(answer, "packages", "Kennung") == "package.artefact_changed"
    assert len([dt for dt in answer.all("dt") if dt.text == "Was hilft"]) == 1 + MOST_TOLD
    assert "Es gibt noch 2 weitere Meldungen." in part(answer, "packages").text
    assert "2 Modellpakete sind nicht zugelassen." in points(answer)
    english = [dd for dd in answer.all("dd") if dd.text.startswith("It changed.")]
    assert {dd.attrs["lang"] for dd in english} == {"en"}


def test_a_package_that_is_still_tried_is_said_to_be(
    running: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_of(running, monkeypatch, Admitted({}, {}, done=False))
    monkeypatch.setattr(Admission, "trying", property(lambda _: ("small_benefit",)))
    answer = page(running)
    assert row(answer, "packages", "Zustand").startswith("noch in Prüfung")
    assert "Der Dienst prüft noch 1 Modellpaket." in points(answer)


def test_without_packages_that_is_said(running: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    state_of(running, monkeypatch, Admitted({}, {}, done=True))
    assert "Es gibt kein Modellpaket." in part(page(running), "packages").text


def test_what_is_tried_is_neither_in_force_nor_refused(office: Office) -> None:
    assert office.tools.admission.trying == ()
    folders = office.tools.admission._folders
    office.tools.admission._found.clear()
    assert office.tools.admission.trying == tuple(folder.name for folder in folders)


def test_a_process_that_failed_is_said_until_it_runs_again(
    make_office: MakeOffice, make_package: Callable[[], Path]
) -> None:
    office = make_office(make_package())  # a model nobody else asks
    (package,) = office.tools.packages.values()
    model: Any = package.explained.model
    assert model.condition.started
    assert model.condition.failures == 0
    os.kill(model.process, signal.SIGKILL)
    model._first_pause = model._pause = 1e6
    with pytest.raises(ModelFailed):
        model.answer([golden_row(package)])
    condition = model.condition
    assert (condition.started, condition.failures) == (False, 1)
    assert 0.9e6 < condition.resting <= 1e6
    answer = page(office)
    process = row(answer, "packages", "Prozess des Modells")
    assert re.fullmatch(
        r"ausgefallen Der Dienst startet ihn frühestens in "
        r"(1\.000\.000|9\d\d\.\d{3}) Sekunden neu\. "
        r"1 Ausfall seit dem letzten Start",
        process,
    )
    assert "1 Modell läuft gerade nicht." in points(answer)
    model._not_before = time.monotonic()
    assert "beim nächsten Fall neu" in row(page(office), "packages", "Prozess des Modells")
    model.answer([golden_row(package)])
    after = row(page(office), "packages", "Prozess des Modells")
    assert after == "gestartet 1 Ausfall seit dem letzten Start"


def golden_row(package: Any) -> dict[str, Any]:
    from explainer.core.case import read_case
    from explainer.families.attribute import raw_row

    return dict(raw_row(read_case(package.golden[0].case, package.catalogue)))


def test_the_page_waits_for_no_model(office: Office) -> None:
    (package,) = office.tools.packages.values()
    with package.explained.model._lock:  # type: ignore[attr-defined]
        assert page(office).status == 200


# -- languages --------------------------------------------------------------------------------


def language_row(answer: Answer, tag: str) -> str:
    (name,) = [code for code in answer.all("bdi", class_="w-code") if code.text == tag]
    (line,) = [e for e in name.inside() if e.tag == "tr"]
    return line.text


def test_each_language_says_whether_it_is_on_and_why_not(
    running: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = replace(
        running.tools.offer,
        settings=replace(running.tools.settings, unreviewed=("uk",)),
        spoken=tuple(one for one in running.tools.offer.spoken if one.tag != "tr"),
        stopped={"tr": MessageMissing(f"A message is fuzzy: {MARKUP}", "locales/tr", "Mend it.")},
    )
    rows = operation.all_languages()
    other = {**rows, "pl": replace(rows["pl"], status=operation.Status.IN_WORK)}
    monkeypatch.setattr(operation, "all_languages", lambda: other)
    answer = page(Office(replace(running.tools, offer=offer), running.cases))
    assert language_row(answer, "de").startswith("Deutsch de an auch für Beschäftigte vollständig")
    assert language_row(answer, "uk").startswith("українська uk an vollständig noch nicht geprüft")
    assert language_row(answer, "ru").startswith("русский ru aus nicht eingeschaltet vollständig")
    assert "schaltet diese Einstellung ein: WARUM_LANGUAGES" in part(answer, "languages").text
    assert "WARUM_LANGUAGES" not in part(page(running), "languages").text
    faulty = "Türkçe tr aus Die Texte haben Fehler. nicht vollständig"
    assert language_row(answer, "tr").startswith(faulty)
    in_work = "polski pl aus Die Übersetzung ist in Arbeit. nicht vollständig"
    assert language_row(answer, "pl").startswith(in_work)
    assert row(answer, "languages", "Was ist passiert") == f"A message is fuzzy: {MARKUP}"
    assert MARKUP not in answer.body
    assert "1 Sprache hat Fehler und ist aus." in points(answer)


# -- logs and witnesses -----------------------------------------------------------------------


def test_entries_that_wait_too_long_for_a_signature_are_a_point(running: Office) -> None:
    running.tools.seals.now()  # all that is recorded is signed, whatever was still on its way
    # what the page asks is another object than what the thread that seals works with
    seals, sealer = copy(running.tools.seals), copy(running.tools.seals.sealers[LogName.LEDGER])
    last = sealer.last()
    assert last is not None
    fewer = replace(last, size=last.size - 2)
    vars(sealer)["last"] = lambda: fewer
    seals.sealers = {**seals.sealers, LogName.LEDGER: sealer}
    behind = Office(replace(running.tools, seals=seals), running.cases)
    soon = page(behind)
    said_soon = row(soon, "logs", "Ohne Unterschrift")
    assert said_soon == "gleich an der Reihe 2 Einträge, offen seit: 23. November 2026, 13:00"
    later = Office(
        replace(behind.tools, now=lambda: NOON + LATE + timedelta(minutes=1)), behind.cases
    )
    assert row(page(later), "logs", "Ohne Unterschrift").startswith("zu lange")
    assert "Neue Einträge warten zu lange auf eine Unterschrift." in points(page(later))
    much_later = Office(replace(behind.tools, now=lambda: NOON + timedelta(days=3)), behind.cases)
    assert "Alter: 3 Tage" in row(page(much_later), "logs", "Letzte unterschriebene Prüfmarke")


def test_each_witness_says_how_far_it_is_and_what_failed_last(
    running: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, before = running.size(), NOON - timedelta(hours=2)
    failed = WitnessFailed(f"It cannot be reached {MARKUP}.", "https://a:b@w.example/x", "Check.")
    forked = LogForked(what="Another log.", where="the log ledger", mend="Stop.")
    known = [
        Standing(LogName.LEDGER, "directory", size, None, None),
        Standing(LogName.LEDGER, "cosigner", size - 1, before, failed, NOON),
        Standing(LogName.LEDGER, "time stamp", size, None, None, NOON),
        Standing(LogName.ACCESS, "cosigner", 0, None, None),
        Standing(LogName.ACCESS, "time stamp", 0, None, forked, NOON),
    ]
    monkeypatch.setattr(Witnesses, "standing", lambda _: known)
    answer = page(running)
    cosigner, stamper = "Zweite Stelle, die mit unterschreibt", "Stelle für Zeitstempel"
    assert row(answer, "logs", cosigner) == (
        f"im Rückstand Bestätigte Einträge: {size - 1}. Offen seit: 23. November 2026, 11:00 "
        "Zuletzt gefragt: 23. November 2026, 13:00. Ohne brauchbare Antwort."
    )
    assert row(answer, "logs", stamper) == (
        "auf dem Stand Alle Einträge sind bestätigt. "
        "Zuletzt gefragt: 23. November 2026, 13:00. Mit guter Antwort."
    )
    assert "Seit dem letzten Start noch nicht gefragt." in row(answer, "logs", cosigner, 1)
    assert row(answer, "logs", stamper, 1).startswith("kennt andere Einträge")
    assert row(answer, "logs", "Wo") == "https://w.example/x"
    assert MARKUP not in answer.body
    assert points(answer)[:2] == [
        "Ein Zeuge kennt andere Einträge als dieses Protokoll. Ändern Sie nichts.",
        "1 Zeuge hat neue Einträge noch nicht bestätigt.",
    ]
    assert "WARUM_WITNESS_URL" not in answer.body


def test_a_log_that_is_no_longer_the_signed_one_is_said_first(
    running: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = LogForked(what="Other entries.", where="the log ledger", mend="Stop.")
    monkeypatch.setattr(running.tools.seals, "broken", broken)
    answer = page(running)
    assert points(answer)[0].startswith("Das Protokoll passt nicht mehr zu seiner Prüfmarke.")
    assert row(answer, "logs", "Kennung") == "ledger.forked"
    assert row(answer, "logs", "Einträge") == str(running.size())


# -- retention and settings -------------------------------------------------------------------


def test_cases_older_than_the_shortest_time_are_counted_and_not_opened(office: Office) -> None:
    assert row(page(office), "retention", "Alte Fälle").startswith("Kein Fall ist älter")
    office.sql("UPDATE case_file SET submitted_at = '2016-11-23T22:00Z', sealed = x'00'")
    # the day on which the 120 months are over counts
    told = row(page(office), "retention", "Alte Fälle")
    assert told.startswith("5 Fälle sind älter als die kürzeste Frist: 120 Monate.")
    office.sql("UPDATE case_file SET submitted_at = '2016-11-24T00:00Z'")
    assert row(page(office), "retention", "Alte Fälle").startswith("Kein Fall ist älter")


def test_an_agencys_table_of_times_is_shown_as_text(running: Office, tmp_path: Path) -> None:
    table = tmp_path / "erika" / "table.toml"
    table.parent.mkdir()
    table.write_text(f'[case_file]\nmonths = 60\nbasis = "{MARKUP} § 1"\n', "utf-8")
    answer = page(changed(running, retention=table))
    assert row(answer, "retention", "Frist der Klasse case_file") == f"60 Monate {MARKUP} § 1"
    assert MARKUP not in answer.body
    assert "eigene Tabelle der Behörde" in part(answer, "versions").text
    table.write_text("[case_file]\nmonths = 1\n", "utf-8")
    wrong = page(changed(running, retention=table))
    assert UNREADABLE in part(wrong, "retention").text
    assert row(wrong, "retention", "Kennung") == "settings.invalid"
    assert "erika" not in wrong.body


def test_no_address_of_a_database_and_no_password_is_shown(running: Office) -> None:
    office = changed(running, database="postgresql://warum:geheim@db.example/warum")
    answer = page(office)
    assert row(answer, "database", "Datenbank") == "PostgreSQL"
    for word in ("geheim", "db.example"):
        assert word not in answer.body


@on_both
def test_it_reads_either_database(make_office: MakeOffice, address: str) -> None:
    office = make_office()
    found = look(OPERATOR, office.tools)
    assert not [name for name in PARTS if isinstance(getattr(found, name), Unread)]
    answer = page(office)
    kind = "PostgreSQL" if address else "SQLite, eine Datei im Datenordner"
    assert row(answer, "database", "Datenbank") == kind
    assert row(answer, "database", "Fassung der Tabellen").endswith("die neueste")
    assert "Diese Prüfung hat keinen Befund." in part(answer, "examined").text
    assert not address or address not in answer.body


def test_tables_of_another_version_are_a_point(office: Office) -> None:
    office.sql("UPDATE alembic_version SET version_num = '0003'")
    answer = page(office)
    told = row(answer, "database", "Fassung der Tabellen")
    assert told.startswith("passt nicht 0003 Der Dienst braucht diese Fassung: 0")
    assert "Die Tabellen der Datenbank passen nicht zum Dienst." in points(answer)


def test_keys_that_are_lost_while_it_runs_are_a_point(
    running: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert row(page(running), "database", "Schlüssel der Fälle") == "Jeder Fall hat einen."
    monkeypatch.setattr(KeyWatch, "lost", lambda _: 1)
    answer = page(running)
    assert points(answer)[0] == "1 Fall hat keinen Schlüssel mehr."
    said = row(answer, "database", "Schlüssel der Fälle")
    assert said.startswith("fehlen")
    assert "warum ledger verify" in said
    assert "Halten Sie den Dienst an" in said
    monkeypatch.setattr(KeyWatch, "lost", lambda _: 1234)
    answer = page(running, "en")
    assert points(answer)[0] == "1,234 cases have no key any more."


def test_the_short_check_names_what_it_found(running: Office) -> None:
    assert "Diese Prüfung hat keinen Befund." in part(page(running), "examined").text
    office = changed(running, outside={"WARUM_WITNESS_URL": "https://user:secret@w.example"})
    answer = page(office)
    assert "witnesses outside" in part(answer, "examined").text
    assert "WARUM_WITNESS_KEY" in part(answer, "examined").text
    assert "secret" not in answer.body
    assert "Die kurze Prüfung hat 1 Befund." in points(answer)


# -- a part that cannot be read ---------------------------------------------------------------


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("foreseen", [True, False])
def test_a_part_that_cannot_be_read_keeps_no_other_away(
    running: Office, monkeypatch: pytest.MonkeyPatch, name: str, foreseen: bool
) -> None:
    def fails(*_: object) -> Any:
        if foreseen:
            raise StorageFailed(what=f"The disk is full {MARKUP}.", where="disk", mend="Free it.")
        raise RuntimeError("Erika Muster")

    monkeypatch.setattr(operation, f"_{name}", fails)
    for lang, sentence in (("de", UNREADABLE), ("en", "This part cannot be read at the moment.")):
        answer = page(running, lang)
        for other in PARTS:
            assert (sentence in part(answer, other).text) is (other == name)
            assert len(part(answer, other).text) > 60
        assert ("The disk is full" in part(answer, name).text) is foreseen
        assert MARKUP not in answer.body
        assert "Muster" not in answer.body
    assert Point("unread", name) in look(OPERATOR, running.tools).points
    assert points(page(running))[0] == "Ein Teil dieser Seite lässt sich nicht lesen."


def test_the_page_comes_without_a_database(make_office: MakeOffice) -> None:
    office = make_office()
    visitor = office.visitor("operator")
    office.tools.seals.now()
    office.tools.store.engine.dispose()
    (office.tools.settings.data / "warum.sqlite").write_bytes(b"no database at all" * 1000)
    answer = visitor.get("/operation")
    assert answer.status == 200
    found = look(OPERATOR, office.tools)
    unread = {name for name in PARTS if isinstance(getattr(found, name), Unread)}
    assert unread == {"logs", "database", "retention"}
    assert "unemployment_benefit" in part(answer, "packages").text
