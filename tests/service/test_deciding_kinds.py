"""Several outcomes and amounts in the service: shown, decided, recorded, looked up again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kinds import AMOUNT, THREE, write_kind
from offices import Office, demo_settings, open_office

from explainer.core.attribution import Compared
from explainer.core.explanation import Explanation
from explainer.ledger.entries import EntryKind
from explainer.text.languages import language
from explainer.text.values import amount_in_words
from service.store.cases import CaseFile
from service.verification import verify_files


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office with a package of three outcomes, and one whose suggestion is an amount."""
    folder = tmp_path_factory.mktemp("kinds")
    models = [write_kind(folder / kind.name, kind) for kind in (THREE, AMOUNT)]
    # the same numbers of cases stand in both packages
    for place, mark in zip(models, "TA", strict=True):
        golden = place / "golden" / "cases.jsonl"
        golden.write_text(golden.read_text().replace('"K-', f'"{mark}-'))
    office = open_office(_sealed(demo_settings(folder / "data", *models), models), 30)
    yield office
    office.tools.close()


def _sealed(settings: Any, models: list[Path]) -> Any:
    from explainer.packages.scaffold import seal

    for place in models:
        seal(place)
    return settings


@pytest.fixture(scope="module")
def cases(both: Office) -> dict[str, Iterator[CaseFile]]:
    """Cases nobody has touched, by package."""
    return {
        kind.name: iter([case for case in both.cases if case.package_id == kind.name])
        for kind in (THREE, AMOUNT)
    }


def explained(office: Office, case: CaseFile) -> Explanation:
    import json

    from explainer.core.case import read_case
    from explainer.pipeline import explain

    package = office.tools.packages[case.package_id]
    read = read_case(json.loads(case.values_json), package.catalogue)
    return explain(read, package, office.tools.now().date())


def send(office: Office, case: CaseFile, **changes: object) -> Any:
    """Open the case as a caseworker and send its form; `changes` are what was filled in."""
    visitor = office.visitor("caseworker")
    action = f"/cases/{case.id}/decision"
    page = visitor.get(f"/cases/{case.id}")
    filled = {"relation": "agree", "codes": ["A1"], **changes}
    return visitor, page, visitor.post(action, {**page.hidden(action), **filled})


def written(office: Office, text: str, tag: str = "de") -> str:
    voice = office.tools.packages[AMOUNT.name].voice(language(tag), staff=False)
    return " ".join(amount_in_words(text, "EUR", voice.catalog).split())


# -- several outcomes ----------------------------------------------------------------------------


def test_the_case_page_names_both_outcomes_and_offers_all(both, cases):
    case = next(cases[THREE.name])
    found = explained(both, case)
    page = both.visitor("caseworker").get(f"/cases/{case.id}")
    wording = both.tools.packages[THREE.name].wordings["de"]
    assert wording[f"outcome|{found.suggestion}|suggested_staff"] in page.text
    label = wording[f"outcome|{found.runner_up}|label"]
    assert f"Ein anderer Vorschlag war an zweiter Stelle: {label}." in page.text
    offered = [e.attrs["value"] for e in page.all("input", type="radio", name="outcome")]
    assert offered == ["grant", "talk", "check"]
    assert page.all("input", name="amount") == []


def test_agreeing_with_one_of_three_is_recorded_with_all_that_was_shown(both, cases):
    case = next(cases[THREE.name])
    found = explained(both, case)
    _, _, answer = send(both, case, outcome=found.suggestion)
    assert answer.status == 303
    (entry,) = both.decisions(case)
    assert entry.payload["recommendation_class"] == found.suggestion
    assert entry.payload["human_outcome"] == found.suggestion
    assert entry.payload["direction"] == "neutral"
    shown = next(
        one
        for one in both.entries(EntryKind.SHOWN)
        if one.leaf.seq == entry.payload["explanation_entry"]
    )
    assert shown.payload["task"] == "multiclass"
    assert shown.payload["runner_up"] == found.runner_up
    assert shown.payload["margins"] == [margin.hex() for margin in found.margins]


@pytest.mark.parametrize(
    ("suggested", "decided", "direction"),
    [("talk", "grant", "in_favour"), ("talk", "check", "against"), ("check", "talk", "in_favour")],
)
def test_in_whose_favour_deciding_for_another_of_three_is(both, suggested, decided, direction):
    untouched = (
        case
        for case in both.cases
        if case.package_id == THREE.name
        and not both.decisions(case)
        and explained(both, case).suggestion == suggested
    )
    case = next(untouched)
    _, _, answer = send(both, case, outcome=decided, relation="deviate", codes=["E6"])
    assert answer.status == 303
    (entry,) = both.decisions(case)
    assert entry.payload["direction"] == direction


def test_the_applicant_reads_which_of_three_was_decided_and_what_came_second(both):
    case = next(c for c in both.cases if c.package_id == THREE.name and both.decisions(c))
    (entry,) = both.decisions(case)
    found = explained(both, case)
    for tag in ("de", "en", "ar"):
        page = both.visitor("applicant", case.id).get(f"/application?lang={tag}")
        wording = both.tools.packages[THREE.name].wordings[tag]
        assert wording[f"outcome|{entry.payload['human_outcome']}|decided"] in page.text
        assert wording[f"outcome|{found.runner_up}|label"] in page.text


# -- an amount -----------------------------------------------------------------------------------


def test_the_case_page_asks_for_an_amount_and_suggests_none_in_the_field(both, cases):
    case = next(cases[AMOUNT.name])
    found = explained(both, case)
    page = both.visitor("caseworker").get(f"/cases/{case.id}")
    assert f"vorgeschlagen: {written(both, found.amount.text)}." in page.text
    side = {"higher": "höher", "lower": "niedriger"}[found.amount.compared]
    assert f"Dieser Vorschlag ist {side} als im Durchschnitt der Vergleichsgruppe." in page.text
    assert page.one("input", id="amount").attrs["value"] == ""
    assert page.one("label", **{"for": "amount"}).text.startswith("Beihilfe im Monat in Euro")
    assert "zum Beispiel so: 1.234,00." in page.text
    assert page.all("input", name="outcome") == []


@pytest.mark.parametrize("tag", ["de", "en"])
def test_the_suggested_amount_is_agreed_to_in_the_readers_own_spelling(both, cases, tag):
    case = next(cases[AMOUNT.name])
    found = explained(both, case)
    visitor = both.visitor("caseworker")
    action = f"/cases/{case.id}/decision"
    page = visitor.get(f"/cases/{case.id}?lang={tag}")
    assert page.lang == tag
    own = found.amount.text.replace(".", "," if tag == "de" else ".")
    sent = {**page.hidden(action), "amount": own, "relation": "agree", "codes": ["A1"]}
    # the page was filled in in one language and is answered in another
    answer = visitor.post(f"{action}?lang={'en' if tag == 'de' else 'de'}", sent)
    assert answer.status == 303
    (entry,) = both.decisions(case)
    assert entry.payload["recommendation_class"] == found.amount.text
    assert entry.payload["human_outcome"] == found.amount.text
    assert (entry.payload["relation"], entry.payload["direction"]) == ("agree", "neutral")
    shown = next(
        one
        for one in both.entries(EntryKind.SHOWN)
        if one.leaf.seq == entry.payload["explanation_entry"]
    )
    assert (shown.payload["task"], shown.payload["amount_unit"]) == ("amount", "EUR")
    page = visitor.get(f"/cases/{case.id}?lang=de")
    assert written(both, found.amount.text) in page.text


@pytest.mark.parametrize(
    ("amount", "stored", "direction"),
    [("1.200,5", "1200.50", "in_favour"), ("10", "10.00", "against")],
)
def test_deciding_more_is_in_favour_and_less_against_the_applicant(
    both, cases, amount, stored, direction
):
    case = next(cases[AMOUNT.name])
    _, _, answer = send(both, case, amount=amount, relation="deviate", codes=["E6"])
    assert answer.status == 303
    (entry,) = both.decisions(case)
    assert (entry.payload["human_outcome"], entry.payload["direction"]) == (stored, direction)
    for tag in ("de", "en", "ar"):
        page = both.visitor("applicant", case.id).get(f"/application?lang={tag}")
        assert page.one("p", class_="w-outcome").text == written_decision(both, stored, tag)


def written_decision(office: Office, stored: str, tag: str) -> str:
    sentence = office.tools.packages[AMOUNT.name].wordings[tag]["amount|decided"]
    return sentence.replace("{value}", written(office, stored, tag))


def test_what_is_no_amount_is_refused_in_words_and_stays_in_the_field(both, cases):
    case = next(cases[AMOUNT.name])
    before = both.size()
    for amount in ("", "viel", "1.200.50", "1200.50", "1.200,505", "12 €", "1e3"):
        _, _, answer = send(both, case, amount=amount)
        assert answer.status == 422
        assert answer.errors() == {
            "amount": "Bitte schreiben Sie den Betrag als Zahl, zum Beispiel so: 1.234,00."
        }
        assert answer.one("input", id="amount").attrs["value"] == amount
    # outcomes are none either
    _, _, answer = send(both, case, outcome="higher")
    assert answer.status == 422
    assert both.decisions(case) == []
    assert both.size() > before


def test_a_cent_more_is_not_agreement(both, cases):
    case = next(cases[AMOUNT.name])
    found = explained(both, case)
    cents = int(found.amount.text.replace(".", "")) + 1
    more = f"{cents // 100},{cents % 100:02}"
    _, _, answer = send(both, case, amount=more, relation="agree")
    assert answer.status == 422
    assert list(answer.errors()) == ["relation"]
    assert answer.one("input", id="amount").attrs["value"] == more
    _, _, answer = send(both, case, amount=more, relation="partly", codes=["E6"])
    assert answer.status == 303
    assert both.decisions(case)[0].payload["direction"] == "in_favour"


def test_programs_send_a_decimal_and_read_the_amount_and_what_came_second(both, cases):
    machine = both.machine("caseworker")
    for kind in (THREE, AMOUNT):
        case = next(cases[kind.name])
        found = explained(both, case)
        path = f"/cases/{case.id}"
        said = machine.get(f"{path}/explanation?audience=caseworker").json()
        if kind is THREE:
            assert said["suggestion"] == {
                "task": "multiclass",
                "outcome": found.suggestion,
                "runner_up": found.runner_up,
            }
            wrong, right = "higher", found.suggestion
        else:
            assert said["suggestion"] == {
                "task": "amount",
                "amount": found.amount.text,
                "unit": "EUR",
                "compared": Compared(found.suggestion).value,
            }
            wrong, right = found.amount.text.replace(".", ","), found.amount.text
        sent = {"outcome": wrong, "relation": "agree", "codes": ["A1"], "shown": said["entry"]}
        refused = machine.post(f"{path}/decisions", sent, key="0123456789abcdef")
        assert refused.status == 422
        assert refused.json()["faults"][0]["code"] == "decision.incomplete"
        taken = machine.post(
            f"{path}/decisions",
            sent | {"outcome": right},
            key=f"0123456789-{kind.name}",
        )
        assert taken.status == 201
        assert both.decisions(case)[0].payload["human_outcome"] == right


def test_supervision_reads_amounts_as_amounts_and_the_records_hold(both, cases):
    case = next(cases[AMOUNT.name])
    send(both, case, amount="1.200,5", relation="deviate", codes=["E6"])
    (entry,) = both.decisions(case)
    visitor = both.visitor("supervisor")
    records = both.machine("supervisor").get("/records").json()["records"]
    one = next(r for r in records if r["record"] == entry.payload["record_id"])
    assert (one["benefit_type"], one["outcome"]) == (AMOUNT.name, "1200.50")
    page = visitor.get(f"/records/{one['record']}")
    action = f"/records/{one['record']}"
    opened = visitor.post(action, {**page.hidden(action), "purpose": "audit", "purpose_text": ""})
    assert opened.status == 200
    assert "1.200,50 €" in opened.text
    assert written(both, one["suggested"]) in opened.text
    assert all(result.clean for result in verify_files(both.tools))
