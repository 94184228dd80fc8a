"""A case somebody damaged or hid is named, keeps nobody from the others, and can be erased."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from ledgers import NOON, Installation, case, shown
from offices import MakeOffice, Office
from test_erasing import BASIS, BOTH, on_both, run

from explainer.core.disclosure import Audience
from explainer.errors import CaseNotFound, ErasureRefused, KeyMissing, RecordsDisagree
from explainer.ledger.log import LogName
from service import erasing
from service.demo import CASEWORKER
from service.erasing import Event, erase_case, record_event
from service.open_case import open_case
from service.retention import CLASSES, Plan, RetentionClass, name_of, plan, retain
from service.store import records
from service.store.cases import find_case_by_ref
from service.store.covered import covered_seqs
from service.store.erasure import finish_erasures
from service.store.key_check import check_keys, keys_of_no_case
from service.verification import cases_at_fault, rows_that_disagree, verify_files
from service.wiring import Ledger

APPROVERS = ("Anna Berg", "Jan Ott")
SHORT = {**CLASSES, "case_file": RetentionClass(13, 13, "Aktenplan 7.3")}
LATER = NOON + timedelta(days=3700)
GARBAGE = "UPDATE case_file SET sealed = '' WHERE id = '{}'"


@dataclass
class Records:
    """Three cases by their numbers, the last of which nobody ever saw; all closed but that one."""

    installation: Installation
    ledger: Ledger
    ids: dict[str, str]

    def tamper(self, statement: str, number: str) -> None:
        self.installation.attacker.run(statement.format(self.ids[number]))

    def plan(self) -> Plan:
        return plan(self.ledger, SHORT, LATER.date())

    def erased(self) -> frozenset[int]:
        with self.ledger.store.reading() as tx:
            return covered_seqs(tx, LogName.LEDGER)

    def entries(self, number: str) -> list[int]:
        query = f"SELECT seq FROM case_entry WHERE case_id = '{self.ids[number]}' ORDER BY seq"
        return [seq for (seq,) in self.installation.attacker.find(query)]

    def key(self, number: str) -> str | None:
        return self.ledger.store.keys.find(f"case:{number}")


@pytest.fixture
def made(installation: Installation) -> Iterator[Records]:
    with closing(installation.open()) as store:
        ledger = installation.ledger(store)
        ids = {number: case(store, number) for number in ("BG-1", "BG-2", "BG-3")}
        for number in ("BG-1", "BG-2"):
            with store.transaction(NOON) as tx:
                records.record_shown(tx, ids[number], shown(number))
            record_event(ledger, number, Event.CLOSED, "Eva", NOON, on=NOON.date())
        yield Records(installation, ledger, ids)


# -- retention -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        GARBAGE,
        "UPDATE payload SET ciphertext = nonce WHERE seq = "
        "(SELECT min(seq) FROM case_entry WHERE case_id = '{}')",
        "UPDATE payload SET ciphertext = nonce WHERE seq = "
        "(SELECT max(seq) FROM case_entry WHERE case_id = '{}')",
    ],
)
def test_a_damaged_case_stays_and_is_named_and_the_others_go(damage: str, made: Records) -> None:
    made.tamper(damage, "BG-1")
    planned = made.plan()
    assert [one.name for one in planned.due] == ["BG-2"]
    named = [name_of(one) for one in planned.damaged]
    assert named == ([made.ids["BG-1"]] if damage == GARBAGE else ["BG-1"])
    assert made.plan().due == planned.due
    left: list[str] = []
    kept = made.entries("BG-1")
    count = retain(made.ledger, SHORT, APPROVERS, LATER, left=lambda one: left.append(name_of(one)))
    assert (count, left) == (1, named)
    assert made.entries("BG-1") == kept
    assert made.key("BG-1") is not None
    assert made.key("BG-2") is None


def test_entries_linked_to_another_case_keep_nobody_from_the_others(made: Records) -> None:
    third = case(made.ledger.store, "BG-4")
    made.ids["BG-4"] = third
    with made.ledger.store.transaction(NOON) as tx:
        records.record_shown(tx, third, shown("BG-4"))
    record_event(made.ledger, "BG-4", Event.CLOSED, "Eva", NOON, on=NOON.date())
    made.installation.attacker.run(
        f"UPDATE case_entry SET case_id = '{made.ids['BG-1']}' WHERE case_id = '{made.ids['BG-2']}'"
    )
    planned = made.plan()
    assert [one.name for one in planned.due] == ["BG-4"]
    assert [name_of(one) for one in planned.damaged] == ["BG-1", "BG-2"]
    assert retain(made.ledger, SHORT, APPROVERS, LATER) == 1
    assert made.key("BG-4") is None
    assert made.key("BG-1") is not None
    assert made.key("BG-2") is not None


def test_a_key_that_is_lost_without_an_erasure_makes_a_case_damaged(made: Records) -> None:
    made.ledger.store.keys.destroy(str(made.key("BG-1")))
    planned = made.plan()
    assert [name_of(one) for one in planned.damaged] == [made.ids["BG-1"]]
    assert isinstance(planned.damaged[0].fault, KeyMissing)
    assert [one.name for one in planned.due] == ["BG-2"]


@on_both
def test_the_dry_run_names_a_damaged_case_and_says_so_by_its_exit_code(
    make_office: MakeOffice,
    make_package: Callable[[], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = make_office(make_package(), cases=2)
    monkeypatch.setattr("service.wiring.the_clock", lambda: LATER)
    office.sql(GARBAGE.format(office.cases[0].id))
    for arguments in (["--dry-run"], BOTH):
        assert run("retain", *arguments, data=office.tools) == 1
        said = capsys.readouterr().out
        assert f"{office.cases[0].id}: DAMAGED, and stays." in said
        assert "Put the database back from a backup" in said
    office.sql(f"DELETE FROM case_file WHERE id = '{office.cases[0].id}'")
    assert run("retain", "--dry-run", data=office.tools) == 0


# -- erasing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["BG-1", "BG-3"])
@pytest.mark.parametrize("by", ["number", "id"])
def test_a_damaged_case_can_be_erased_by_its_number_or_its_id(
    by: str, number: str, made: Records
) -> None:
    made.tamper(GARBAGE, number)
    entries, key = made.entries(number), made.key(number)
    named = number if by == "number" else made.ids[number]
    erased = erase_case(made.ledger, named, "Art. 17 DSGVO", APPROVERS, NOON)
    assert set(entries) <= set(erased.seqs)
    assert erased.seqs
    assert made.erased() == frozenset(erased.seqs)
    assert made.key(number) is None
    assert made.ledger.store.keys.get(str(key)) is None
    query = f"SELECT 1 FROM case_file WHERE id = '{made.ids[number]}'"
    assert made.installation.attacker.find(query) == []
    assert made.key("BG-2") is not None
    check_keys(made.ledger.store)
    assert cases_at_fault(made.ledger.store) == []
    result = made.installation.verify()["ledger"]
    assert result.clean, result.faults
    assert result.counts["ERASED"] == len(erased.seqs)
    with pytest.raises(CaseNotFound):
        erase_case(made.ledger, named, "Art. 17 DSGVO", APPROVERS, NOON)


@pytest.mark.parametrize("number", ["BG-1", "BG-3"])
def test_a_key_store_from_before_the_erasure_of_a_damaged_case_brings_nothing_back(
    number: str, made: Records
) -> None:
    made.tamper(GARBAGE, number)
    erase_case(made.ledger, "BG-2", "Art. 17 DSGVO", APPROVERS, NOON)  # the system has its key now
    old = (made.installation.folder / "keys.sqlite").read_bytes()
    key_id = str(made.key(number))
    erase_case(made.ledger, made.ids[number], "Art. 17 DSGVO", APPROVERS, NOON)
    made.ledger.store.close()
    (made.installation.folder / "keys.sqlite").write_bytes(old)
    with closing(made.installation.open()) as store:
        assert store.keys.get(key_id) is not None
        assert finish_erasures(store) == 1
        assert store.keys.get(key_id) is None
        assert finish_erasures(store) == 0
        check_keys(store)
        assert keys_of_no_case(store) == frozenset()


def test_a_case_of_which_a_record_is_damaged_can_be_erased(made: Records) -> None:
    first = made.entries("BG-1")[0]
    made.installation.attacker.run(f"UPDATE payload SET ciphertext = nonce WHERE seq = {first}")
    erased = erase_case(made.ledger, "BG-1", "Art. 17 DSGVO", APPROVERS, NOON)
    assert list(erased.seqs) == [first, first + 1]
    assert made.installation.verify()["ledger"].clean


def test_a_hold_of_a_damaged_case_stands_and_can_be_released_by_its_number(made: Records) -> None:
    record_event(made.ledger, "BG-1", Event.HOLD, "Eva", NOON, reason="Klage")
    made.tamper(GARBAGE, "BG-1")
    for name in ("BG-1", made.ids["BG-1"]):
        with pytest.raises(ErasureRefused, match="on legal hold"):
            erase_case(made.ledger, name, "Art. 17 DSGVO", APPROVERS, NOON)
    with pytest.raises(RecordsDisagree):
        record_event(made.ledger, made.ids["BG-1"], Event.RELEASE, "Eva", NOON, reason="Ende")
    record_event(made.ledger, "BG-1", Event.RELEASE, "Eva", NOON, reason="Ende")
    erase_case(made.ledger, "BG-1", "Art. 17 DSGVO", APPROVERS, NOON)
    assert made.key("BG-1") is None


def test_who_takes_what_a_hold_said_out_of_the_tables_lifts_no_hold(made: Records) -> None:
    hold = record_event(made.ledger, "BG-1", Event.HOLD, "Eva", NOON, reason="Klage")
    made.installation.attacker.run(f"DELETE FROM payload WHERE seq = {hold.seq}")
    with pytest.raises(RecordsDisagree, match="may have been a legal hold"):
        erase_case(made.ledger, "BG-1", "Art. 17 DSGVO", APPROVERS, NOON)
    # nor of any other case: nothing proves that the link was always there
    with pytest.raises(RecordsDisagree, match="of any case") as told:
        retain(made.ledger, SHORT, APPROVERS, LATER)
    assert told.value.where == f"entry {hold.seq}"
    assert "`warum ledger verify`" in told.value.mend
    with pytest.raises(RecordsDisagree, match="of any case"):
        erase_case(made.ledger, "BG-2", "Art. 17 DSGVO", APPROVERS, NOON)
    assert made.key("BG-1") is not None
    assert made.key("BG-2") is not None
    assert made.erased() == frozenset()


EXCHANGED = (
    "UPDATE case_file SET key_id = 'aside' WHERE id = '{0}'",
    "UPDATE case_file SET key_id = '{2}' WHERE id = '{1}'",
    "UPDATE case_file SET key_id = '{3}' WHERE id = '{0}'",
)


@pytest.mark.parametrize(
    ("one", "other", "damaged"),
    [
        ("BG-1", "BG-2", ""),
        ("BG-1", "BG-2", "both"),
        ("BG-1", "BG-3", ""),
        ("BG-1", "BG-3", "both"),
        # nobody saw either of them
        ("BG-3", "BG-4", ""),
        ("BG-3", "BG-4", "one"),
    ],
)
def test_the_key_of_another_case_is_never_destroyed_for_a_damaged_one(
    one: str, other: str, damaged: str, made: Records
) -> None:
    """Somebody exchanged what two rows say of their keys, or put another's into a damaged one."""
    made.ids["BG-4"] = case(made.ledger.store, "BG-4")
    ids = (made.ids[one], made.ids[other])
    keys = (made.key(one), made.key(other))
    made.installation.attacker.run(*(each.format(*ids, *keys) for each in EXCHANGED))
    if damaged:
        made.tamper(GARBAGE, one)
    if damaged == "both":
        made.tamper(GARBAGE, other)
    for name in (one, other, *ids):
        with pytest.raises(RecordsDisagree):
            erase_case(made.ledger, name, "Art. 17 DSGVO", APPROVERS, NOON)
    assert (made.key(one), made.key(other)) == keys
    assert not made.erased()


def test_a_case_is_not_erased_twice_while_its_erasure_is_carried_out(
    made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as interrupted:
        interrupted.setattr(erasing, "finish_erasures", lambda *_: 0)
        erase_case(made.ledger, "BG-1", "Art. 17 DSGVO", APPROVERS, NOON)
    covered = made.erased()
    with pytest.raises(CaseNotFound, match="being erased"):
        erase_case(made.ledger, "BG-1", "Art. 17 DSGVO", APPROVERS, NOON)
    assert [one.name for one in made.plan().due] == ["BG-2"]
    others = {"other": SHORT["case_file"], "access_log": SHORT["access_log"]}
    assert plan(made.ledger, others, LATER.date()).without_rule == {"case_file": 2}
    assert cases_at_fault(made.ledger.store) == []
    # its key goes first: until its rows went as well, nothing is taken for a loss
    made.ledger.store.keys.destroy(str(made.key("BG-1")))
    assert made.plan().damaged == ()
    assert cases_at_fault(made.ledger.store) == []
    assert rows_that_disagree(made.ledger.store) == []
    check_keys(made.ledger.store)
    again = case(made.ledger.store, "BG-1")  # it may come in anew meanwhile, and stays
    assert finish_erasures(made.ledger.store) == 1
    assert made.erased() == covered
    with made.ledger.store.reading() as tx:
        found = find_case_by_ref(tx, "BG-1")
    assert found is not None
    assert found.id == again


def test_what_an_interruption_left_of_an_erasure_is_done_with_the_next_retention(
    made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as interrupted:
        interrupted.setattr(erasing, "finish_erasures", lambda *_: 0)
        erase_case(made.ledger, "BG-3", "Art. 17 DSGVO", APPROVERS, NOON)
    erase_case(made.ledger, "BG-2", "Art. 17 DSGVO", APPROVERS, NOON)
    assert made.key("BG-3") is not None
    assert retain(made.ledger, SHORT, APPROVERS, LATER) == 1
    assert [made.key(number) for number in made.ids] == [None, None, None]
    assert made.installation.attacker.find("SELECT 1 FROM case_file") == []


# -- verifying -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (GARBAGE, "not what was sealed"),
        ("UPDATE case_file SET key_id = 'nobodys' WHERE id = '{}'", "its key is not"),
        ("UPDATE case_file SET state = 'erased' WHERE id = '{}'", "its state 'erased'"),
        (
            "UPDATE case_file SET state = 'erased', key_id = 'nobodys' WHERE id = '{}'",
            "its state 'erased'",
        ),
        (
            "UPDATE case_file SET state = 'erased', key_id = 'nobodys', sealed = '' "
            "WHERE id = '{}'",
            "its state 'erased'",
        ),
        ("UPDATE case_file SET state = 'decided' WHERE id = '{}'", "its state 'decided'"),
        ("UPDATE case_file SET state = 'gone' WHERE id = '{}'", "its state 'gone'"),
    ],
)
@pytest.mark.parametrize("number", ["BG-1", "BG-3"])
def test_whoever_hides_a_case_that_waits_is_found_out(
    number: str, change: str, said: str, made: Records
) -> None:
    assert cases_at_fault(made.ledger.store) == []
    made.tamper(change, number)
    (fault,) = cases_at_fault(made.ledger.store)
    assert fault.case_id == made.ids[number]
    assert said in fault.what
    assert "from a backup" in fault.mend


def test_an_erasure_of_another_case_does_not_account_for_a_hidden_one(made: Records) -> None:
    erased = erase_case(made.ledger, "BG-1", "Art. 17 DSGVO", APPROVERS, NOON)
    made.tamper("UPDATE case_file SET state = 'erased', key_id = 'nobodys' WHERE id = '{}'", "BG-3")
    made.installation.attacker.run(
        "INSERT INTO case_entry (case_id, log, seq) "
        f"VALUES ('{made.ids['BG-3']}', 'ledger', {erased.seqs[0]})"
    )
    assert [one.case_id for one in cases_at_fault(made.ledger.store)] == [made.ids["BG-3"]]


@on_both
def test_the_command_names_a_damaged_and_a_hidden_case_and_says_how_to_mend_it(
    make_office: MakeOffice, make_package: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    office = make_office(make_package(), cases=3)
    office.decided(0)
    data = office.tools.settings.data
    office.tools.seals.now()
    assert run("verify", data) == 0
    assert "FAULT" not in capsys.readouterr().out
    office.sql(GARBAGE.format(office.cases[1].id))
    hidden = f"state = 'erased', key_id = 'nobodys' WHERE id = '{office.cases[2].id}'"
    office.sql(f"UPDATE case_file SET {hidden}")
    assert run("verify", data) == 1
    said = capsys.readouterr().out
    for one in office.cases[1:]:
        assert f"tables: FAULT. The case {one.id}: " in said
    assert "note: the key store has 1 keys of no case." in said  # the hidden one's
    assert said.count("Put the database back") + said.count("put the database back") == 2
    assert not all(result.clean for result in verify_files(office.tools))
    assert run("erase", office.cases[1].case_ref, *BASIS, *BOTH, data=office.tools) == 0
    assert [one.case_id for one in cases_at_fault(office.tools.store)] == [office.cases[2].id]


def test_a_key_that_is_of_no_case_is_counted(made: Records) -> None:
    store = made.ledger.store
    assert keys_of_no_case(store) == frozenset()
    key_id, _ = store.keys.get_or_create("case:BG-4")  # as a submission that broke off does
    assert keys_of_no_case(store) == {key_id}
    case(store, "BG-4")
    assert keys_of_no_case(store) == frozenset()
    made.tamper("DELETE FROM case_file WHERE id = '{}'", "BG-3")
    assert keys_of_no_case(store) == {made.key("BG-3")}
    made.installation.attacker.run(
        "DELETE FROM case_entry", "PRAGMA foreign_keys = OFF", "DELETE FROM case_file"
    )
    # of those that were seen the records are there still, and say so themselves
    assert keys_of_no_case(store) == {made.key("BG-3"), made.key("BG-4")}
    assert rows_that_disagree(store) == [0, 1, 2, 3]


@on_both
def test_a_decided_case_that_is_being_erased_is_no_fault(
    make_office: MakeOffice, make_package: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = make_office(make_package(), cases=1)
    number = office.decided(0).case_ref
    with monkeypatch.context() as interrupted:
        interrupted.setattr(erasing, "finish_erasures", lambda *_: 0)
        assert run("erase", number, *BASIS, *BOTH, data=office.tools) == 0
    for key_goes in (False, True):
        if key_goes:
            office.tools.store.keys.destroy(str(office.tools.store.keys.find(f"case:{number}")))
        assert rows_that_disagree(office.tools.store) == []
        assert cases_at_fault(office.tools.store) == []


# -- parts ---------------------------------------------------------------------------------------


def test_everything_is_found_however_small_the_parts_are(
    made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("retention", "verification", "store.erasure", "store.key_check", "store.of_case"):
        monkeypatch.setattr(f"service.{name}.PART", 1)
    made.tamper(GARBAGE, "BG-3")
    assert [one.name for one in made.plan().due] == ["BG-1", "BG-2"]
    assert [one.case_id for one in cases_at_fault(made.ledger.store)] == [made.ids["BG-3"]]
    made.installation.attacker.run("DELETE FROM case_entry WHERE seq IN (1, 2)")
    assert rows_that_disagree(made.ledger.store) == [1, 2]
    assert len(erase_case(made.ledger, "BG-1", "§ 84", APPROVERS, NOON).seqs) == 2
    assert len(erase_case(made.ledger, "BG-3", "§ 84", APPROVERS, NOON).seqs) == 1
    check_keys(made.ledger.store)
    assert finish_erasures(made.ledger.store) == 0
    assert made.installation.verify()["ledger"].clean


def test_a_decided_case_is_opened_once(
    make_office: MakeOffice, make_package: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.store import cases, sealed

    office: Office = make_office(make_package(), cases=1)
    decided = office.decided(0)
    opened: list[str] = []
    unseal = sealed.unseal

    def counted(case_id: str, stored: bytes, key: bytes | None) -> tuple[str, str] | None:
        opened.append(case_id)
        return unseal(case_id, stored, key)

    for module in (cases, sealed):
        monkeypatch.setattr(module, "unseal", counted)
    found = open_case(decided.id, Audience.CASEWORKER, CASEWORKER, office.tools)
    assert found.decided is not None
    assert opened == [decided.id]
