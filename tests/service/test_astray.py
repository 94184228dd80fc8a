"""Who changes links and names of keys hides no legal hold, and has no other case's entry erased."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from offices import NOON, MakeOffice, Office
from test_erasing import on_both, run

from explainer.errors import ErasureRefused, RecordsDisagree
from explainer.ledger.entries import EntryKind
from explainer.ledger.log import SYSTEM_KEY
from service.erasing import erase_case, erase_case_of_lost_key
from service.retention import CLASSES, RetentionClass, name_of, plan, retain
from service.store.astray import Astray, find_astray
from service.verification import rows_that_disagree, verify_files

LEGAL = "Art. 17 DSGVO"
APPROVERS = ("Anna Berg", "Jan Ott")
MOVES = (
    "unlinked, the system's",
    "unlinked, another's",
    "moved whole",
    "unlinked, gone",
    "moved, gone",
    "moved, damaged",
)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' clock stands where the office's does."""
    monkeypatch.setattr("service.wiring.the_clock", lambda: NOON)


@dataclass
class Held:
    """An office of five cases; one of three that were decided is on hold."""

    office: Office
    hold: int
    ids: list[str]

    @property
    def number(self) -> str:
        return self.office.cases[1].case_ref

    def key(self, at: int) -> str:
        return str(self.office.tools.store.keys.find(f"case:{self.office.cases[at].case_ref}"))

    def hide(self, how: str) -> None:
        """The hold of the second case, which is not told of in a second place."""
        key = {"unlinked, the system's": SYSTEM_KEY}.get(how)
        named = self.key(2) if key is None else self.office.tools.store.keys.find(key)
        at = f"log = 'ledger' AND seq = {self.hold}"
        link = f"UPDATE case_entry SET case_id = '{self.ids[2]}' WHERE {at}"
        self.office.tamper(
            link if how.startswith("moved") else f"DELETE FROM case_entry WHERE {at}",
            f"DELETE FROM payload WHERE {at}"
            if how.endswith("gone")
            else f"UPDATE payload SET ciphertext = nonce WHERE {at}"
            if how.endswith("damaged")
            else f"UPDATE payload SET key_id = '{named}' WHERE {at}",
        )

    def lose(self, at: int) -> None:
        self.office.tools.store.keys.destroy(self.key(at))

    def erased(self) -> int:
        """How many erasures were recorded; not every payload can be opened here."""
        ((count,),) = self.office.sql("SELECT count(*) FROM opening")
        return int(str(count))


@pytest.fixture
def held(make_office: MakeOffice, make_package: Callable[[], Path]) -> Held:
    office = make_office(make_package(), cases=5)
    for at in range(3):
        office.decided(at)
    number = office.cases[1].case_ref
    assert run("hold", number, "--reason", "Klage", "--by", "Eva", data=office.tools) == 0
    office.tools.seals.now()
    (hold,) = office.entries(EntryKind.FOLLOW_UP)
    return Held(office, hold.leaf.seq, [one.id for one in office.cases])


# -- a hidden hold -------------------------------------------------------------------------------


@on_both
@pytest.mark.parametrize("how", MOVES)
def test_a_hidden_hold_is_named_by_the_command_that_verifies(
    how: str, held: Held, capsys: pytest.CaptureFixture[str]
) -> None:
    data = held.office.tools.settings.data
    assert run("verify", data) == 0
    assert "payloads were opened and are what was committed to" in capsys.readouterr().out
    held.hide(how)
    assert run("verify", data) == 1
    said = capsys.readouterr().out
    assert "NOT CLEAN" in said
    assert f"entry {held.hold}" in said
    assert not all(result.clean for result in verify_files(held.office.tools))
    # what is about a case and linked to none is named whatever key it is said to be under
    assert how in MOVES[2:] or held.hold in rows_that_disagree(held.office.tools.store)


@on_both
@pytest.mark.parametrize("how", MOVES)
def test_a_case_whose_hold_was_hidden_is_not_erased(how: str, held: Held) -> None:
    held.hide(how)
    ledger = held.office.tools.ledger
    for name in (held.number, held.ids[1]):
        with pytest.raises(RecordsDisagree, match="legal hold"):
            erase_case(ledger, name, LEGAL, APPROVERS, NOON)
    assert held.erased() == 0
    assert ledger.store.keys.get(held.key(1)) is not None


@on_both
@pytest.mark.parametrize("how", MOVES)
def test_nor_as_one_whose_key_is_lost(how: str, held: Held) -> None:
    held.hide(how)
    held.lose(1)
    for said in (False, True):
        with pytest.raises(RecordsDisagree, match="legal hold"):
            erase_case_of_lost_key(
                held.office.tools.ledger, held.ids[1], LEGAL, APPROVERS, NOON, hold_unread=said
            )
    assert held.erased() == 0


@on_both
@pytest.mark.parametrize("how", MOVES[:3])
def test_a_hidden_hold_keeps_nobody_from_erasing_other_cases(how: str, held: Held) -> None:
    held.hide(how)
    ledger = held.office.tools.ledger
    erase_case(ledger, held.office.cases[0].case_ref, LEGAL, APPROVERS, NOON)
    held.lose(3)
    if how == MOVES[0]:
        erase_case_of_lost_key(ledger, held.ids[3], LEGAL, APPROVERS, NOON)
    assert ledger.store.keys.get(held.key(1)) is not None


@on_both
def test_a_key_that_is_lost_elsewhere_takes_no_hold_for_a_hidden_one(held: Held) -> None:
    """Both lost theirs; the tables agree whose the hold is."""
    held.lose(1)
    held.lose(3)
    ledger = held.office.tools.ledger
    assert find_astray(ledger.store).of_lost_keys == {held.hold}
    erase_case_of_lost_key(ledger, held.ids[3], LEGAL, APPROVERS, NOON)
    with pytest.raises(ErasureRefused, match="may be on legal hold"):
        erase_case_of_lost_key(ledger, held.ids[1], LEGAL, APPROVERS, NOON)
    erase_case_of_lost_key(ledger, held.ids[1], LEGAL, APPROVERS, NOON, hold_unread=True)
    assert find_astray(ledger.store) == Astray()


@on_both
def test_retention_leaves_a_case_whose_hold_was_hidden_and_erases_the_others(held: Held) -> None:
    tools = held.office.tools
    day = NOON.date().isoformat()
    for case in held.office.cases[:3]:
        assert run("event", case.case_ref, "closed", "--on", day, "--by", "Eva", data=tools) == 0
    classes = {**CLASSES, "case_file": RetentionClass(13, 13, "Aktenplan 7.3")}
    later = NOON + timedelta(days=3700)
    held.hide(MOVES[0])
    planned = plan(tools.ledger, classes, later.date())
    assert held.number in [name_of(one) for one in planned.damaged]
    assert held.number not in [one.name for one in planned.due]
    assert retain(tools.ledger, classes, APPROVERS, later) >= 2
    assert tools.store.keys.get(held.key(1)) is not None
    assert tools.store.keys.find(f"case:{held.office.cases[0].case_ref}") is None


@on_both
def test_hidden_entries_are_found_however_small_the_parts_are(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.astray.PART", 1)
    assert find_astray(held.office.tools.store) == Astray()
    held.hide(MOVES[0])
    assert [one.seq for one in find_astray(held.office.tools.store).unopened] == [held.hold]


# -- another case's entry ------------------------------------------------------------------------


@on_both
@pytest.mark.parametrize("lost", [False, True])
def test_a_decision_somebody_gave_to_another_case_does_not_go_with_it(
    lost: bool, held: Held, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that the tables said of it was changed: link, name of the key, row and state."""
    office = held.office
    (decision,) = office.decisions(office.cases[0])
    at = f"log = 'ledger' AND seq = {decision.leaf.seq}"
    office.tamper(
        f"UPDATE case_entry SET case_id = '{held.ids[2]}' WHERE {at}",
        f"UPDATE payload SET key_id = '{held.key(2)}' WHERE {at}",
        f"DELETE FROM decision_record WHERE case_id = '{held.ids[0]}'",
        f"UPDATE case_file SET state = 'open' WHERE id = '{held.ids[0]}'",
    )
    assert run("verify", office.tools.settings.data) == 1
    assert f"entry {decision.leaf.seq}" in capsys.readouterr().out
    if lost:
        held.lose(2)
    erase, name = (
        (erase_case_of_lost_key, held.ids[2]) if lost else (erase_case, office.cases[2].case_ref)
    )
    with pytest.raises(RecordsDisagree, match="another case"):
        erase(office.tools.ledger, name, LEGAL, APPROVERS, NOON)
    assert held.erased() == 0


@on_both
def test_what_is_damaged_goes_with_the_case_the_tables_give_it_to(held: Held) -> None:
    (decision,) = held.office.decisions(held.office.cases[0])
    held.office.tamper(
        f"UPDATE payload SET ciphertext = nonce WHERE log = 'ledger' AND seq = {decision.leaf.seq}"
    )
    erased = erase_case(
        held.office.tools.ledger, held.office.cases[0].case_ref, LEGAL, APPROVERS, NOON
    )
    assert decision.leaf.seq in erased.seqs
