"""`warum ledger who`: two people of different units look up who acted, and that stands recorded."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from offices import NOON, MakeOffice, Office

from explainer.errors import ErasureRefused, OpeningRefused, StorageFailed
from explainer.ledger.entries import EntryKind
from explainer.ledger.log import LogName
from explainer.ledger.sealing import generate_resolver, halves_of, is_resolver, whole_of
from service.cli import main
from service.opening import LookUp, who_acted
from service.wiring import Ledger

DECIDER = "demo-caseworker"
ASKED = LookUp(("Anna Berg", "Jan Ott"), ("Recht", "Datenschutz"), "complaint", "Az. 7")


@pytest.fixture
def decided(make_office: MakeOffice, make_package: Callable[[], Path]) -> Office:
    office = make_office(make_package())
    office.decided(0)
    office.tools.seals.now()
    return office


def parts(office: Office) -> list[Path]:
    return sorted(office.tools.settings.data.glob("resolver.private-part-*"))


def who(office: Office, entry: object, *changed: object, log: str = "ledger") -> int:
    keys = [word for part in parts(office) for word in ("--key", part)]
    approved = ["--by", "Anna Berg", "--by", "Jan Ott", "--unit", "Recht", "--unit", "Datenschutz"]
    about = ["--purpose", "complaint", "--reason", "Az. 7"]
    asked = ["who", entry, "--log", log, *(changed or (*keys, *approved, *about))]
    return main(["ledger", *map(str, asked), "--data", str(office.tools.settings.data)])


def look_ups(office: Office) -> list[object]:
    return list(office.entries(EntryKind.RESOLVE, LogName.ACCESS))


def test_two_people_learn_who_decided_and_that_is_recorded(
    decided: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    (entry,) = decided.decisions(decided.cases[0])
    for name in (entry.leaf.seq, (entry.payload or {})["record_id"]):
        assert who(decided, name) == 0
        said = capsys.readouterr()
        assert re.findall(r"^  (.*)$", said.out, re.MULTILINE) == [DECIDER]
        assert "it belongs elsewhere" in said.err  # the key, in a demonstration
    first, second = decided.entries(EntryKind.RESOLVE, LogName.ACCESS)
    said_of_it = first.payload or {}
    assert (said_of_it["log"], said_of_it["entry"]) == ("ledger", entry.leaf.seq)
    assert (said_of_it["purpose"], said_of_it["purpose_text"]) == ("complaint", "Az. 7")
    assert said_of_it["units"] == ["Recht", "Datenschutz"]
    for one in (DECIDER, "Anna", "Ott", decided.cases[0].case_ref):
        assert one not in str(said_of_it)
    # it is under a signed head, and can be looked up itself: both who approved it
    with decided.tools.store.reading() as tx:
        assert tx.log(LogName.ACCESS).notes()[-1].splitlines()[1] == b"2"
    assert who(decided, second.leaf.seq, log="access") == 0
    found = re.findall(r"^  (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert found == ["Anna Berg", "Jan Ott"]


def test_the_look_up_stands_recorded_before_anything_is_opened(
    decided: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (entry,) = decided.decisions(decided.cases[0])

    def opened(*_: object) -> str:
        assert len(look_ups(decided)) == 1
        return "somebody"

    monkeypatch.setattr("service.opening.open_actor", opened)
    assert who(decided, entry.leaf.seq) == 0

    def full(*_: object, **__: object) -> None:
        raise StorageFailed("The disk is full.", "the database", "Make room.")

    def none(*_: object) -> str:
        raise AssertionError("opened, and not recorded")

    monkeypatch.setattr("service.opening.open_actor", none)
    monkeypatch.setattr("service.opening.record_access", full)
    assert who(decided, entry.leaf.seq) == 1
    assert DECIDER not in capsys.readouterr().out


REFUSED: dict[str, tuple[type[Exception], LookUp]] = {
    "one person": (ErasureRefused, LookUp(("Anna",), ("A", "B"), "court", "x")),
    "one person twice": (ErasureRefused, LookUp(("Anna", " anna"), ("A", "B"), "court", "x")),
    "nobody": (ErasureRefused, LookUp(("Anna", "..."), ("A", "B"), "court", "x")),
    "three": (ErasureRefused, LookUp(("A", "B", "C"), ("A", "B"), "court", "x")),
    "one unit": (OpeningRefused, LookUp(("Anna", "Jan"), ("Recht", "recht "), "court", "x")),
    "a unit without name": (OpeningRefused, LookUp(("Anna", "Jan"), ("A", "-"), "court", "x")),
    "no purpose": (OpeningRefused, LookUp(("Anna", "Jan"), ("A", "B"), "", "x")),
    "how somebody works": (OpeningRefused, LookUp(("Anna", "Jan"), ("A", "B"), "appraisal", "x")),
    "no reason": (OpeningRefused, LookUp(("Anna", "Jan"), ("A", "B"), "court", "  ")),
    "a long reason": (OpeningRefused, LookUp(("Anna", "Jan"), ("A", "B"), "court", "x" * 301)),
}


@pytest.fixture(scope="module")
def ledger(standing: Office) -> Ledger:
    standing.decided(1)
    return standing.tools.ledger


@pytest.mark.parametrize("name", REFUSED)
def test_an_approval_that_is_not_whole_opens_nothing(
    standing: Office, ledger: Ledger, name: str
) -> None:
    error, asked = REFUSED[name]
    (entry, *_) = standing.decisions(standing.cases[1])
    keys = [part.read_bytes() for part in parts(standing)]
    before = standing.size(LogName.ACCESS)
    with pytest.raises(error):
        who_acted(ledger, LogName.LEDGER, entry.leaf.seq, keys, asked, NOON)
    assert standing.size(LogName.ACCESS) == before


def test_one_part_of_the_key_opens_nothing_and_no_other_key_does(
    standing: Office, ledger: Ledger
) -> None:
    (entry, *_) = standing.decisions(standing.cases[1])
    first, second = (part.read_bytes() for part in parts(standing))
    other = halves_of(generate_resolver()[0])
    before = standing.size(LogName.ACCESS)
    for keys in ([first], [second], [first, first], [first, other[1]], [*other], [], [b""]):
        with pytest.raises(OpeningRefused, match="not the private half"):
            who_acted(ledger, LogName.LEDGER, entry.leaf.seq, keys, ASKED, NOON)
    with pytest.raises(OpeningRefused, match="not the private half"):
        who_acted(ledger, LogName.LEDGER, entry.leaf.seq, [first, second, second], ASKED, NOON)
    assert standing.size(LogName.ACCESS) == before
    # the whole key, as earlier versions laid it aside
    whole = whole_of(second, first)
    assert is_resolver(whole, ledger.resolver)
    _, found = who_acted(ledger, LogName.LEDGER, entry.leaf.seq, [whole], ASKED, NOON)
    assert found == (DECIDER,)


def test_of_what_was_erased_or_nobody_did_nobody_is_looked_up(
    decided: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    (entry,) = decided.decisions(decided.cases[0])
    admitted = decided.entries(EntryKind.MODEL)[0]
    erase = ["erase", decided.cases[0].case_ref, "--basis", "Art. 17 DSGVO"]
    data = str(decided.tools.settings.data)
    assert main(["ledger", *erase, "--by", "Eva", "--by", "Ina", "--data", data]) == 0
    capsys.readouterr()
    for place, said in (
        (entry.leaf.seq, "was erased"),
        (admitted.leaf.seq, "Nobody is sealed"),
        (99_999, "no entry at this position"),
    ):
        assert who(decided, place) == 1
        assert said in capsys.readouterr().err
    assert look_ups(decided) == []
    # who approved the erasure outlives it
    (erasure,) = decided.entries(EntryKind.ERASURE)
    assert who(decided, erasure.leaf.seq) == 0
    assert "  Eva\n  Ina\n" in capsys.readouterr().out


@pytest.mark.parametrize("entry", ["1-2", "1,2", "all", "*", ""])
def test_one_entry_is_looked_up_and_never_several(standing: Office, entry: str) -> None:
    before = standing.size(LogName.ACCESS)
    assert who(standing, entry) == 1
    assert standing.size(LogName.ACCESS) == before


def test_a_key_that_cannot_be_read_is_named(
    standing: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = ("--by", "A", "--by", "B", "--unit", "X", "--unit", "Y")
    why = ("--purpose", "court", "--reason", "x")
    assert who(standing, 1, "--key", tmp_path / "none", *rest, *why) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "none") in said
    assert "Traceback" not in said
