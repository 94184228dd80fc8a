"""A case whose key is lost stops the start, is named, and can be erased as what it is: lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from ledgers import NOON, Installation, case, decision, row, shown
from offices import NOON as OFFICE_NOON
from offices import MakeOffice, Office, decide_by_form
from structlog.testing import capture_logs
from test_backup import APPROVERS, lose, put_back
from test_erasing import BASIS, BOTH, HANDED_OVER, on_both, run

from explainer.errors import (
    CaseNotFound,
    ErasureRefused,
    ExplainerError,
    KeyMissing,
    RecordsDisagree,
    StorageFailed,
)
from explainer.ledger.entries import EntryKind
from explainer.ledger.log import SYSTEM_KEY, LogName
from explainer.packages.bundled import bundled_packages
from service import erasing
from service.actions import submit
from service.certificate import certificate
from service.demo import SYSTEM
from service.doctor import examine
from service.erasing import (
    Event,
    erase_case,
    erase_case_of_lost_key,
    erase_month,
    record_event,
)
from service.retention import CLASSES, plan
from service.store import records
from service.store.cases import find_case_by_ref, get_case
from service.store.covered import covered_seqs
from service.store.erasure import finish_erasures, months_of_access
from service.store.key_check import check_few, check_keys, keys_of_no_case, lost_keys
from service.store.keys import KeyStore
from service.verification import cases_at_fault, keys_at_fault, verify_files
from service.wiring import Ledger, open_tools

LEGAL = "Art. 17 DSGVO"
SEEN, UNSEEN, DECIDED, HELD, OTHER = (f"BG-{number}" for number in range(1, 6))
NUMBERS = (SEEN, UNSEEN, DECIDED, HELD, OTHER)
GARBAGE = "UPDATE case_file SET sealed = '' WHERE id = '{}'"


@dataclass
class Records:
    """Five cases by their numbers: one was shown, one nobody saw, one was decided, one is on hold,
    and the last is to stay as it is."""

    installation: Installation
    ledger: Ledger
    ids: dict[str, str]

    def key(self, number: str) -> str:
        return str(self.ledger.store.keys.find(f"case:{number}"))

    def lose(self, *numbers: str) -> None:
        for number in numbers:
            self.ledger.store.keys.destroy(self.key(number))

    def spoil(self, number: str) -> None:
        """Its key is there and does not open."""
        self.in_keys(f"UPDATE case_key SET wrapped = '' WHERE key_id = '{self.key(number)}'")

    def in_keys(self, statement: str) -> None:
        with closing(sqlite3.connect(self.installation.folder / "keys.sqlite")) as keys:
            keys.execute(statement)
            keys.commit()

    def tamper(self, *statements: str) -> None:
        self.installation.attacker.run(*statements)

    def erase(self, name: str, *, hold_unread: bool = False) -> erasing.Erased:
        return erase_case_of_lost_key(
            self.ledger, name, LEGAL, APPROVERS, NOON, hold_unread=hold_unread
        )

    def entries(self, number: str) -> list[int]:
        query = f"SELECT seq FROM case_entry WHERE case_id = '{self.ids[number]}' ORDER BY seq"
        return [seq for (seq,) in self.installation.attacker.find(query)]

    def erasures(self) -> list[dict[str, object]]:
        """What is said in clear of every erasure there was."""
        found = self.installation.attacker.find("SELECT payload FROM opening ORDER BY seq")
        return [json.loads(bytes(payload)) for (payload,) in found]

    def state(self) -> tuple[object, ...]:
        """What may not change where something is refused."""
        with self.ledger.store.reading() as tx:
            size = tx.log(LogName.LEDGER).head().size
        count = self.installation.attacker.find("SELECT count(*) FROM case_file")
        return size, count, self.ledger.store.keys.names()

    def is_refused(
        self, name: str, error: type[ExplainerError], said: str | None = None, **options: bool
    ) -> None:
        before = self.state()
        with pytest.raises(error, match=said):
            self.erase(name, **options)
        assert self.state() == before


@pytest.fixture
def made(installation: Installation) -> Iterator[Records]:
    with closing(installation.open()) as store:
        ledger = installation.ledger(store)
        ids = {number: case(store, number) for number in NUMBERS}
        for number in (SEEN, DECIDED, HELD, OTHER):
            with store.transaction(NOON) as tx:
                records.record_shown(tx, ids[number], shown(number))
        with store.transaction(NOON) as tx:
            records.add_decision(tx, row(ids[DECIDED]), decision(DECIDED))
        record_event(ledger, HELD, Event.HOLD, "Eva", NOON, reason="Klage")
        yield Records(installation, ledger, ids)


# -- what is told --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [SEEN, UNSEEN, DECIDED])
def test_a_start_without_the_key_of_a_case_names_the_case_and_the_way_out(
    number: str, made: Records
) -> None:
    check_keys(made.ledger.store)
    made.lose(number)
    with pytest.raises(KeyMissing, match="opens 1 of the cases") as refused:
        check_keys(made.ledger.store)
    assert refused.value.where == f"the key store; the cases with the ids {made.ids[number]}"
    way_out = f"`warum ledger erase {made.ids[number]} --key-lost`"
    assert way_out in refused.value.mend
    assert "from a backup" in refused.value.mend
    (fault,) = cases_at_fault(made.ledger.store)
    assert fault.case_id == made.ids[number]
    assert way_out in fault.mend


def test_of_many_cases_some_are_named_and_how_many_more(
    made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.key_check.NAMED", 1)
    made.lose(SEEN, UNSEEN)
    named = sorted(made.ids[number] for number in (SEEN, UNSEEN))
    with pytest.raises(KeyMissing, match="opens 2 of the cases") as refused:
        check_keys(made.ledger.store)
    assert refused.value.where == f"the key store; the cases with the ids {named[0]} and 1 more"
    assert "`warum ledger erase ID --key-lost`" in refused.value.mend


def test_a_key_that_does_not_open_is_named_like_one_that_is_gone(made: Records) -> None:
    made.spoil(SEEN)
    with pytest.raises(StorageFailed, match="does not open with the wrapping key") as refused:
        check_keys(made.ledger.store)
    assert made.ids[SEEN] in refused.value.where
    assert f"`warum ledger erase {made.ids[SEEN]} --key-lost`" in refused.value.mend
    (fault,) = cases_at_fault(made.ledger.store)
    assert "--key-lost" in fault.mend


def test_lost_keys_are_found_however_small_the_parts_are(
    made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.key_check.PART", 1)
    made.lose(SEEN, UNSEEN)
    found = lost_keys(made.ledger.store)
    assert found.cases == tuple(sorted(made.ids[number] for number in (SEEN, UNSEEN)))
    assert (found.there, found.of_no_case, found.damaged) == (3, None, False)


def test_a_key_of_no_case_that_is_lost_is_no_lost_key_of_a_case(made: Records) -> None:
    """Its row and its links are gone: nobody can say whose records these were."""
    made.lose(SEEN)
    one = made.ids[SEEN]
    made.tamper(
        f"DELETE FROM case_entry WHERE case_id = '{one}'", f"DELETE FROM case_file WHERE id='{one}'"
    )
    with pytest.raises(KeyMissing, match="A sealed record is there") as refused:
        check_keys(made.ledger.store)
    assert "--key-lost" not in refused.value.mend
    made.is_refused(one, KeyMissing, "A sealed record is there")


# -- erasing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["gone", "damaged", "gone, and its row is damaged"])
@pytest.mark.parametrize("number", [SEEN, UNSEEN, DECIDED, HELD])
def test_a_case_whose_key_is_lost_is_erased_as_that_and_all_others_stay(
    number: str, loss: str, made: Records
) -> None:
    key, entries = made.key(number), made.entries(number)
    made.spoil(number) if loss == "damaged" else made.lose(number)
    if "row" in loss:
        made.tamper(GARBAGE.format(made.ids[number]))
    erased = made.erase(made.ids[number], hold_unread=number == HELD)
    assert list(erased.seqs) == entries if entries else len(erased.seqs) == 1
    (said,) = made.erasures()
    assert said["key_lost"] is True
    assert said["hold_unread"] is (number == HELD)
    assert said["legal_basis"] == LEGAL
    assert said["seqs"] == list(erased.seqs)
    assert key in said["key_ids"]  # type: ignore[operator]
    assert len(said["approvers"]) == 2  # type: ignore[arg-type]
    check_keys(made.ledger.store)
    assert finish_erasures(made.ledger.store) == 0
    assert cases_at_fault(made.ledger.store) == []
    assert keys_of_no_case(made.ledger.store) == frozenset()
    assert (
        made.installation.attacker.find(f"SELECT 1 FROM case_file WHERE id = '{made.ids[number]}'")
        == []
    )
    result = made.installation.verify(opened=True)["ledger"]
    assert result.clean, result.faults
    assert result.counts["ERASED"] == len(erased.seqs)
    assert result.counts["OK"] == result.size - len(erased.seqs)
    with made.ledger.store.reading() as tx:
        for other in set(NUMBERS) - {number}:
            found = find_case_by_ref(tx, other)
            assert found is not None
            assert found.id == made.ids[other]
            assert [one.leaf.seq for one in records.entries_of_case(tx, found.id)] == (
                made.entries(other)
            )
    with pytest.raises(CaseNotFound):
        made.erase(made.ids[number])


def test_an_erasure_on_purpose_says_nothing_of_a_lost_key(made: Records) -> None:
    erased = erase_case(made.ledger, SEEN, LEGAL, APPROVERS, NOON)
    (said,) = made.erasures()
    assert set(said) == {"approvers", "key_ids", "legal_basis", "seqs"}
    assert "LOST" not in certificate(erased, 30)


@pytest.mark.parametrize("number", [SEEN, UNSEEN])
def test_the_number_of_an_erased_case_can_be_submitted_anew_and_is_another_case(
    number: str, made: Records
) -> None:
    old = made.key(number)
    made.lose(number)
    erased = made.erase(made.ids[number])
    again = case(made.ledger.store, number)
    assert again != made.ids[number]
    assert made.key(number) != old
    with made.ledger.store.transaction(NOON) as tx:
        receipt = records.record_shown(tx, again, shown(number))
    with made.ledger.store.reading() as tx:
        found = records.entries_of_case(tx, again)
    assert [one.leaf.seq for one in found] == [receipt.seq]
    assert receipt.seq not in erased.seqs
    assert finish_erasures(made.ledger.store) == 0
    check_keys(made.ledger.store)
    later = erase_case(made.ledger, number, LEGAL, APPROVERS, NOON)
    assert later.seqs == (receipt.seq,)
    assert made.installation.verify()["ledger"].clean


def test_a_case_that_came_in_again_while_its_key_was_lost_stays_as_it_is(made: Records) -> None:
    made.lose(SEEN)
    again = case(made.ledger.store, SEEN)  # a service that was running by then took it
    made.is_refused(SEEN, ErasureRefused, "The key of this case is there")
    made.erase(made.ids[SEEN])
    check_keys(made.ledger.store)
    with made.ledger.store.reading() as tx:
        found = find_case_by_ref(tx, SEEN)
    assert found is not None
    assert found.id == again


@pytest.mark.parametrize("number", [SEEN, UNSEEN])
def test_a_key_that_turns_up_after_all_is_destroyed_at_the_next_start(
    number: str, made: Records
) -> None:
    key, store = made.key(number), made.ledger.store
    erase_case(made.ledger, OTHER, LEGAL, APPROVERS, NOON)  # the system has its key by now
    old = (made.installation.folder / "keys.sqlite").read_bytes()
    made.lose(number)
    made.erase(made.ids[number])
    store.close()
    (made.installation.folder / "keys.sqlite").write_bytes(old)
    with closing(made.installation.open()) as again:
        assert again.keys.get(key) is not None
        assert finish_erasures(again) == 1
        assert again.keys.get(key) is None
        assert finish_erasures(again) == 0
        check_keys(again)


@pytest.mark.parametrize("loss", ["gone", "damaged"])
@pytest.mark.parametrize("number", [SEEN, UNSEEN])
def test_what_an_interruption_left_is_done_at_the_next_start(
    number: str, loss: str, made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.lose(number) if loss == "gone" else made.spoil(number)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(erasing, "finish_erasures", lambda *_: 0)
        made.erase(made.ids[number])
    with pytest.raises(CaseNotFound, match="is being erased"):
        made.erase(made.ids[number])
    check_keys(made.ledger.store)  # nothing of it is taken for lost any more
    assert finish_erasures(made.ledger.store) == 1
    assert finish_erasures(made.ledger.store) == 0
    assert cases_at_fault(made.ledger.store) == []
    assert keys_of_no_case(made.ledger.store) == frozenset()
    assert len(made.erasures()) == 1


def test_an_erasure_that_broke_off_before_its_entry_can_be_done_again(
    made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StorageFailed("The disk is full.", "the store", "Make room.")

    made.lose(UNSEEN)
    with monkeypatch.context() as patch:
        patch.setattr(erasing, "record_erasure", broken)
        with pytest.raises(StorageFailed, match="disk is full"):
            made.erase(made.ids[UNSEEN])
    assert made.entries(UNSEEN) == []
    assert made.erasures() == []
    assert keys_of_no_case(made.ledger.store) == frozenset()
    assert len(made.erase(made.ids[UNSEEN]).seqs) == 1
    assert made.installation.verify()["ledger"].clean
    left = made.ledger.store.keys.names_of_cases()
    assert sorted(left) == sorted(made.key(number) for number in NUMBERS if number != UNSEEN)


def test_a_case_somebody_marked_as_erased_has_a_way_out_as_well(made: Records) -> None:
    made.lose(SEEN)
    made.tamper(f"UPDATE case_file SET state = 'erased' WHERE id = '{made.ids[SEEN]}'")
    with pytest.raises(KeyMissing) as refused:
        check_keys(made.ledger.store)
    assert made.ids[SEEN] in refused.value.mend
    made.erase(made.ids[SEEN])
    check_keys(made.ledger.store)
    assert cases_at_fault(made.ledger.store) == []


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("number", [SEEN, UNSEEN])
def test_a_case_whose_key_is_there_is_not_erased_as_lost(
    number: str, damaged: bool, made: Records
) -> None:
    if damaged:
        made.tamper(GARBAGE.format(made.ids[number]))
    for name in (made.ids[number], number):
        made.is_refused(name, ErasureRefused, "The key of this case is there")
    made.lose(OTHER)  # and so it stays while another one's is lost
    made.is_refused(made.ids[number], ErasureRefused, "The key of this case is there")


def test_a_number_leads_to_no_case_once_its_key_is_gone(made: Records) -> None:
    made.lose(SEEN)
    made.is_refused(SEEN, CaseNotFound, "no such case")
    with pytest.raises(CaseNotFound) as refused:
        made.erase(SEEN)
    assert "Give the id" in refused.value.mend


@pytest.mark.parametrize("number", [SEEN, UNSEEN, DECIDED, HELD])
def test_without_saying_so_a_case_of_a_lost_key_is_not_erased(number: str, made: Records) -> None:
    made.lose(number)
    before = made.state()
    for name in (number, made.ids[number]):
        with pytest.raises((CaseNotFound, KeyMissing)):
            erase_case(made.ledger, name, LEGAL, APPROVERS, NOON)
    assert made.state() == before


def test_a_case_that_may_be_on_hold_is_erased_only_by_who_says_that_they_know(
    made: Records,
) -> None:
    made.lose(HELD)
    made.is_refused(made.ids[HELD], ErasureRefused, "may be on legal hold")
    with pytest.raises(ErasureRefused) as refused:
        made.erase(made.ids[HELD])
    assert "--hold-unread" in refused.value.mend
    erased = made.erase(made.ids[HELD], hold_unread=True)
    assert erased.hold_unread
    assert "Whether a legal hold lay on the case could not be read" in certificate(erased, 30)


def test_where_nothing_later_is_recorded_no_hold_is_claimed_to_be_unread(made: Records) -> None:
    made.lose(SEEN)
    erased = made.erase(made.ids[SEEN], hold_unread=True)
    assert not erased.hold_unread
    assert made.erasures()[0]["hold_unread"] is False
    assert "no legal hold either" in certificate(erased, 30)


def test_the_certificate_says_that_the_key_was_lost_and_not_destroyed(made: Records) -> None:
    made.lose(SEEN)
    text = certificate(made.erase(made.ids[SEEN]), 30)
    assert "THE KEY WAS LOST BEFORE, not destroyed by this erasure" in text
    assert "was destroyed, then" not in text
    assert "Anna Berg, Jan Ott" in text


@pytest.mark.parametrize(
    ("basis", "approvers", "said"),
    [
        (LEGAL, ("Anna Berg",), "Two different people"),
        (LEGAL, ("Anna Berg", "anna berg "), "Two different people"),
        (" ", APPROVERS, "no legal basis"),
        ("{}", APPROVERS, "names the case"),
    ],
)
def test_two_people_and_a_legal_basis_are_needed_here_too(
    basis: str, approvers: tuple[str, ...], said: str, made: Records
) -> None:
    made.lose(SEEN)
    before = made.state()
    one = made.ids[SEEN]
    with pytest.raises(ErasureRefused, match=said):
        erase_case_of_lost_key(made.ledger, one, basis.format(one), approvers, NOON)
    assert made.state() == before


def test_where_more_cases_lost_their_keys_than_have_them_the_key_store_is_to_be_put_back(
    made: Records,
) -> None:
    made.lose(SEEN, UNSEEN)
    with pytest.raises(KeyMissing) as few:
        check_keys(made.ledger.store)
    assert "--key-lost" in few.value.mend
    made.lose(DECIDED)
    with pytest.raises(KeyMissing, match="opens 3 of the cases") as many:
        check_keys(made.ledger.store)
    assert "--key-lost" not in many.value.mend
    assert "newest backup" in many.value.mend
    for number in (SEEN, UNSEEN, DECIDED):
        made.is_refused(made.ids[number], KeyMissing, "opens 3 of the cases")


@pytest.mark.parametrize("loss", ["gone", "damaged"])
def test_a_lost_key_of_the_system_refuses_everything(loss: str, made: Records) -> None:
    store = made.ledger.store
    erase_case(made.ledger, OTHER, LEGAL, APPROVERS, NOON)
    key_id = str(store.keys.find(SYSTEM_KEY))
    if loss == "gone":
        store.keys.destroy(key_id)
    else:
        made.in_keys(f"UPDATE case_key SET wrapped = '' WHERE key_id = '{key_id}'")
    made.lose(SEEN)
    error = KeyMissing if loss == "gone" else StorageFailed
    with pytest.raises(error) as refused:
        check_keys(store)
    assert "--key-lost" not in refused.value.mend
    made.is_refused(made.ids[SEEN], error)
    # none was made anew
    assert store.keys.find(SYSTEM_KEY) == (None if loss == "gone" else key_id)


def looked_up(made: Records, now: datetime = NOON) -> int:
    with made.ledger.store.transaction(now) as tx:
        access = records.Entry(EntryKind.ACCESS, {"purpose": "audit"})
        return records.record_access(tx, access, case_id=made.ids[SEEN]).seq


@pytest.mark.parametrize("loss", ["gone", "damaged"])
def test_a_lost_key_of_a_month_of_the_access_log_stops_nothing_and_is_named(
    loss: str, made: Records
) -> None:
    store, first = made.ledger.store, looked_up(made)
    key_id = str(store.keys.find("access:2026-11"))
    if loss == "gone":
        store.keys.destroy(key_id)
    else:
        made.in_keys(f"UPDATE case_key SET wrapped = '' WHERE key_id = '{key_id}'")
    (month,) = check_keys(store)
    assert (month.key_id, month.seq, month.month) == (key_id, first, "2026-11")
    assert month.damaged == (loss == "damaged")
    (fault,) = keys_at_fault(store)
    assert (fault.log, fault.seq) == ("access", first)
    assert "2026-11" in fault.what
    made.lose(SEEN)
    made.erase(made.ids[SEEN])
    assert [one.seq for one in check_keys(store)] == [first]


def test_a_month_with_a_lost_key_and_another_one_is_erased_as_one(made: Records) -> None:
    store = made.ledger.store
    seqs = [looked_up(made)]
    store.keys.destroy(str(store.keys.find("access:2026-11")))
    seqs.append(looked_up(made))
    with store.reading() as tx:
        (covered,) = months_of_access(tx).values()
    assert sorted(covered.seqs) == seqs
    assert len(covered.key_ids) == 2
    later = NOON + timedelta(days=400)  # an erasure is in the access log itself, of its own month
    erase_month(made.ledger, "2026-11", LEGAL, APPROVERS, later)
    assert check_keys(store) == ()
    assert keys_at_fault(store) == []


@on_both
@pytest.mark.parametrize("loss", ["gone", "damaged"])
def test_a_service_that_lost_a_key_of_the_access_log_goes_on_recording_and_says_so(
    loss: str,
    make_office: MakeOffice,
    make_package: Callable[[], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package = make_package()
    office = make_office(package, cases=2)
    settings = office.tools.settings
    for name in ("one", "two"):
        assert run("export", tmp_path / name, "--open-all", *HANDED_OVER, data=office.tools) == 0
    assert "do not open" not in capsys.readouterr().out
    key_id = str(office.tools.store.keys.find(f"access:{OFFICE_NOON:%Y-%m}"))
    if loss == "gone":
        office.tools.store.keys.destroy(key_id)
    else:
        with closing(sqlite3.connect(settings.data / "keys.sqlite")) as keys:
            keys.execute(f"UPDATE case_key SET wrapped = '' WHERE key_id = '{key_id}'")
            keys.commit()
    office.tools.close()
    with capture_logs() as logged:
        again = make_office(package, cases=0)
    (said_at_start,) = (one for one in logged if one["event"] == "key of a month lost")
    assert (said_at_start["log_level"], said_at_start["seq"]) == ("error", 0)
    assert run("export", tmp_path / "three", "--open-all", *HANDED_OVER, data=again.tools) == 0
    said = capsys.readouterr().out
    assert "2 payloads do not open" in said
    assert "access: 3 entries, 1 payloads opened" in said
    results = {result.log: result for result in verify_files(again.tools)}
    assert results["ledger"].clean
    assert not results["access"].clean
    assert run("verify", settings.data) == 1
    assert "keys: FAULT at entry 0 of the log access. The key of the" in capsys.readouterr().out
    environment = {"WARUM_DATA": str(settings.data), "WARUM_DATABASE": settings.database}
    found = [one for one in examine(environment, bundled_packages()) if one.about == "keys"]
    assert [one.well for one in found] == [True, False]
    assert "access log" in found[1].says


@on_both
def test_a_damaged_key_keeps_nothing_else_from_being_verified(
    make_office: MakeOffice, make_package: Callable[[], Path]
) -> None:
    office = make_office(make_package(), cases=3)
    office.decided(0)
    key_id = office.tools.store.keys.find(f"case:{office.cases[0].case_ref}")
    with closing(sqlite3.connect(office.tools.settings.data / "keys.sqlite")) as keys:
        keys.execute(f"UPDATE case_key SET wrapped = '' WHERE key_id = '{key_id}'")
        keys.commit()
    assert office.tools.store.keys.all()[str(key_id)] is None
    ledger = next(one for one in verify_files(office.tools) if one.log == "ledger")
    assert ledger.counts["ALTERED"] == 0
    assert any(office.cases[0].id in fault.what for fault in ledger.faults)
    assert not any(office.cases[1].id in fault.what for fault in ledger.faults)
    assert office.visitor("supervisor").get("/verify").status == 200


@on_both
@pytest.mark.parametrize("loss", ["gone", "damaged"])
def test_an_only_case_whose_key_is_lost_is_erased_where_the_key_store_opens_the_rest(
    loss: str, make_office: MakeOffice, make_package: Callable[[], Path]
) -> None:
    package = make_package()
    office = make_office(package, cases=1)
    only, tools = office.decided(0), office.tools
    if loss == "gone":
        without_key(office, 0)
    else:
        key_id = tools.store.keys.find(f"case:{only.case_ref}")
        tools.seals.now()
        tools.close()
        with closing(sqlite3.connect(tools.settings.data / "keys.sqlite")) as keys:
            keys.execute(f"UPDATE case_key SET wrapped = '' WHERE key_id = '{key_id}'")
            keys.commit()
    assert run("erase", only.id, "--key-lost", *BASIS, *BOTH, data=tools) == 0
    again = make_office(package, cases=0)
    assert all(result.clean for result in verify_files(again.tools))


def test_an_only_case_is_not_erased_as_lost_where_nothing_shows_the_key_store_to_be_the_right_one(
    installation: Installation,
) -> None:
    with closing(installation.open()) as store:
        one = case(store, SEEN)
        with store.transaction(NOON) as tx:
            records.record_shown(tx, one, shown(SEEN))
        store.keys.destroy(str(store.keys.find(f"case:{SEEN}")))
        lost = lost_keys(store)
        assert (lost.cases, lost.there, lost.of_no_case, lost.opens) == ((one,), 0, None, False)
        with pytest.raises(KeyMissing, match="opens 1 of the cases"):
            check_few(lost)


EXCHANGED = (
    "UPDATE case_file SET key_id = 'aside' WHERE id = '{0}'",
    "UPDATE case_file SET key_id = '{2}' WHERE id = '{1}'",
    "UPDATE case_file SET key_id = '{3}' WHERE id = '{0}'",
)


@pytest.mark.parametrize("spoiled", [False, True])
@pytest.mark.parametrize("one", [SEEN, UNSEEN])
def test_a_case_is_not_erased_as_lost_where_its_row_names_anothers_lost_key(
    one: str, spoiled: bool, made: Records
) -> None:
    """Somebody exchanged what two rows say of their keys, and one of these keys is lost."""
    ids, keys = (made.ids[one], made.ids[OTHER]), (made.key(one), made.key(OTHER))
    made.tamper(*(each.format(*ids, *keys) for each in EXCHANGED))
    if spoiled and one == SEEN:
        made.tamper(GARBAGE.format(made.ids[one]))
    made.lose(OTHER)
    made.is_refused(made.ids[one], RecordsDisagree, "the key of another case")


@pytest.mark.parametrize("number", [SEEN, UNSEEN])
def test_a_case_is_not_erased_as_lost_where_only_its_tables_name_a_key_that_is_not_there(
    number: str, made: Records
) -> None:
    one = made.ids[number]
    made.tamper(f"UPDATE case_file SET key_id = 'nobodys' WHERE id = '{one}'")
    made.is_refused(one, RecordsDisagree, "the key of another case")
    made.tamper(  # everything that could tell but the bytes themselves
        "UPDATE payload SET key_id = 'nobodys' WHERE seq IN "
        f"(SELECT seq FROM case_entry WHERE case_id = '{one}')",
        *([GARBAGE.format(one)] if number == SEEN else []),
    )
    made.is_refused(one, RecordsDisagree, "the key of another case")


def test_entries_of_another_case_do_not_go_with_one_whose_key_is_lost(made: Records) -> None:
    one, other = made.ids[SEEN], made.ids[OTHER]
    (seq,) = made.entries(OTHER)
    made.lose(SEEN)
    made.tamper(f"INSERT INTO case_entry (case_id, log, seq) VALUES ('{one}', 'ledger', {seq})")
    made.is_refused(one, RecordsDisagree, "the key of another case")
    made.tamper(
        f"DELETE FROM case_entry WHERE case_id = '{one}' AND seq = {seq}",
        f"INSERT INTO case_entry (case_id, log, seq) VALUES "
        f"('{other}', 'ledger', {made.entries(SEEN)[0]})",
    )
    made.is_refused(one, RecordsDisagree, "the key of another case")


# -- the whole way -------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' clock stands where the office's does."""
    monkeypatch.setattr("service.wiring.the_clock", lambda: OFFICE_NOON)


def without_key(office: Office, at: int) -> str:
    """The service ended, and the key of a case is lost; returns its name."""
    key_id = str(office.tools.store.keys.find(f"case:{office.cases[at].case_ref}"))
    office.tools.store.keys.destroy(key_id)
    office.tools.seals.now()
    office.tools.close()
    return key_id


@on_both
@pytest.mark.parametrize("at", [0, 1])
def test_a_service_that_lost_a_key_starts_again_and_everything_goes_on(
    at: int,
    make_office: MakeOffice,
    make_package: Callable[[], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package = make_package()
    office = make_office(package, cases=4)
    settings, lost = office.tools.settings, office.cases[at]
    office.decided(0)
    without_key(office, at)
    with pytest.raises(KeyMissing, match="opens 1 of the cases") as refused:
        open_tools(settings, lambda: OFFICE_NOON)
    assert f"`warum ledger erase {lost.id} --key-lost`" in refused.value.mend
    for command in (["retain", "--dry-run"], ["hold", lost.id, "--reason", "x", "--by", "Eva"]):
        assert run(*command, data=office.tools) == 1
    assert run("erase", lost.id, *BASIS, *BOTH, data=office.tools) == 1
    assert "--key-lost" in capsys.readouterr().err
    assert run("verify", settings.data) == 1
    said = capsys.readouterr().out
    assert f"tables: FAULT. The case {lost.id}: " in said
    assert f"`warum ledger erase {lost.id} --key-lost`" in said

    paper = tmp_path / "certificate.txt"
    asked = ["erase", lost.id, "--key-lost", *BASIS, *BOTH, "--certificate", paper]
    assert run(*asked, data=office.tools) == 0
    assert "THE KEY WAS LOST BEFORE" in paper.read_text()

    again = make_office(package, cases=0)
    assert all(result.clean for result in verify_files(again.tools))
    (entry,) = again.entries(EntryKind.ERASURE)
    assert entry.payload is not None
    assert entry.payload["key_lost"] is True
    with again.tools.store.reading() as tx:
        assert get_case(tx, lost.id) is None
        assert len(covered_seqs(tx, LogName.LEDGER)) == len(entry.payload["seqs"])  # type: ignore[arg-type]
    (only,) = again.tools.packages.values()
    anew = submit({**only.golden[at].case, "ref": lost.case_ref}, SYSTEM, again.tools)
    assert anew.id != lost.id
    for file in (anew, office.cases[2]):
        decide_by_form(again.visitor("caseworker"), file.id)
    assert len(again.decisions(anew)) == 1
    planned = plan(again.tools.ledger, CLASSES, OFFICE_NOON.date().replace(year=2040))
    assert planned.damaged == ()
    assert run("retain", *BOTH, data=again.tools) == 0
    again.tools.seals.now()
    assert run("verify", settings.data) == 0

    out = tmp_path / "export"
    assert run("export", out, "--open-all", *HANDED_OVER, data=again.tools) == 0
    keys = [
        f"--key={(settings.data / 'seals' / log / 'verifier.key').read_text().strip()}"
        for log in LogName
    ]
    capsys.readouterr()
    assert run("verify", out, *keys) == 0
    assert "ERASED" in capsys.readouterr().out

    assert run("backup", tmp_path / "kept", "--keys", tmp_path / "keys", data=again.tools) == 0
    again.tools.close()
    lose(settings, "keys.sqlite")
    put_back(settings, tmp_path / "kept", tmp_path / "keys")
    restored = make_office(package, cases=0)
    assert len(restored.decisions(anew)) == 1
    assert all(result.clean for result in verify_files(restored.tools))


@on_both
def test_the_command_erases_nothing_where_the_whole_key_store_is_gone(
    make_office: MakeOffice, make_package: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    package = make_package()
    office = make_office(package, cases=3)
    one, data = office.decided(0), office.tools.settings.data
    office.tools.seals.now()
    size = office.size()
    office.tools.close()
    shutil.move(data / "keys.sqlite", data / "aside")
    KeyStore.open(data / "keys.sqlite", data / "wrap.key").close()  # an empty one in its place
    for name in (one.id, office.cases[1].id):
        assert run("erase", name, "--key-lost", *BASIS, *BOTH, data=office.tools) == 1
        said = capsys.readouterr().err
        assert "Put the key store back from its backup" in said
        assert "--key-lost" not in said
    (data / "keys.sqlite").unlink()
    shutil.move(data / "aside", data / "keys.sqlite")
    shutil.move(data / "wrap.key", data / "aside")
    assert run("erase", one.id, "--key-lost", *BASIS, *BOTH, data=office.tools) == 1
    assert "The wrapping key is gone" in capsys.readouterr().err
    shutil.move(data / "aside", data / "wrap.key")
    again = make_office(package, cases=0)
    assert again.size() == size
    assert len(again.decisions(one)) == 1


@on_both
def test_the_flag_about_holds_is_for_lost_keys_only(
    make_office: MakeOffice, make_package: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    office = make_office(make_package(), cases=1)
    number = office.cases[0].case_ref
    assert run("erase", number, "--hold-unread", *BASIS, *BOTH, data=office.tools) == 1
    assert "error [ledger.erasure_refused]" in capsys.readouterr().err
    assert office.found(number) is not None


@on_both
def test_the_doctor_says_which_case_lost_its_key_and_counts_keys_of_no_case(
    make_office: MakeOffice, make_package: Callable[[], Path]
) -> None:
    office = make_office(make_package(), cases=3)
    settings = office.tools.settings
    environment = {"WARUM_DATA": str(settings.data), "WARUM_DATABASE": settings.database}

    def keys() -> object:
        (found,) = (one for one in examine(environment, bundled_packages()) if one.about == "keys")
        return found.well, found.says, found.mend

    assert keys() == (True, "every case has its key; 0 keys of no case", "")
    office.tools.store.keys.get_or_create("case:BG-NOBODYS")
    assert keys() == (True, "every case has its key; 1 keys of no case", "")
    lost = office.cases[1]
    without_key(office, 1)
    well, says, mend = keys()  # type: ignore[misc]
    assert not well
    assert lost.id in says
    assert f"`warum ledger erase {lost.id} --key-lost`" in mend


def test_whoever_erases_a_lost_case_skips_the_refusal_of_lost_keys_only(
    make_office: MakeOffice, make_package: Callable[[], Path], tmp_path: Path
) -> None:
    """A log that was put back to an older state stops this command like any other."""
    office = make_office(make_package(), cases=3)
    data, lost = office.tools.settings.data, office.cases[1]
    shutil.copyfile(data / "warum.sqlite", tmp_path / "older")
    office.decided(0)
    without_key(office, 1)
    shutil.copyfile(tmp_path / "older", data / "warum.sqlite")
    assert run("erase", lost.id, "--key-lost", *BASIS, *BOTH, data=office.tools) == 1
    with closing(sqlite3.connect(data / "warum.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM opening").fetchone() == (0,)


# -- what goes on while a key is lost ------------------------------------------------------------


def what_a_court_asks(case: str) -> list[list[object]]:
    return [
        ["hold", case, "--reason", "Klage", "--by", "Eva Ott"],
        ["event", case, "objection", "--on", "2026-11-23", "--by", "Eva Ott"],
        ["release", case, "--reason", "Klage", "--by", "Eva Ott"],
    ]


def test_while_a_key_is_lost_other_cases_can_be_put_on_hold(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    lost, other = office.cases[0], office.cases[1]
    without_key(office, 0)
    for command in what_a_court_asks(other.case_ref):
        assert run(*command, data=office.tools) == 0, capsys.readouterr().err
    for name in (lost.id, lost.case_ref):
        for command in what_a_court_asks(name):
            assert run(*command, data=office.tools) == 1
    assert run("retain", "--dry-run", data=office.tools) == 1
    with closing(KeyStore.existing(*key_files(office))) as keys:
        assert keys.find(f"case:{lost.case_ref}") is None


@pytest.mark.parametrize("month", ["there", "damaged"])
def test_while_a_key_is_lost_everything_else_can_be_handed_over_and_that_is_recorded(
    month: str, office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, other = office.tools.settings, office.decided(1)
    if month == "damaged":
        asked = ("export", tmp_path / "before", "--open-all", *HANDED_OVER)
        assert run(*asked, data=office.tools) == 0
        name = office.tools.store.keys.find(f"access:{OFFICE_NOON:%Y-%m}")
        with closing(sqlite3.connect(settings.data / "keys.sqlite")) as keys:
            keys.execute(f"UPDATE case_key SET wrapped = '' WHERE key_id = '{name}'")
            keys.commit()
    office.decided(0)
    decided_at = [one.leaf.seq for one in office.decisions(other)]
    without_key(office, 0)
    before = office.size(LogName.ACCESS)
    for out, what in (("all", ["--open-all"]), ("one", ["--case", other.case_ref])):
        done = run("export", tmp_path / out, *what, *HANDED_OVER, data=office.tools)
        assert done == 0, capsys.readouterr().err
    told = capsys.readouterr()
    (read,) = decided_at
    assert run("replay", read, *HANDED_OVER, data=office.tools) == 0
    assert other.case_ref in capsys.readouterr().out
    assert "do not open" in told.out
    assert "the keys of 1 of the cases are lost" in told.err
    recorded = [one.leaf.type for one in office.entries(log=LogName.ACCESS, since=before)]
    assert recorded == [EntryKind.EXPORT, EntryKind.EXPORT, EntryKind.ACCESS]
    for name in (office.cases[0].case_ref, office.cases[0].id):
        asked = ("export", tmp_path / "lost", "--case", name, *HANDED_OVER)
        assert run(*asked, data=office.tools) == 1
    assert office.size(LogName.ACCESS) == before + 3


def test_where_more_is_lost_than_keys_of_cases_nothing_is_recorded(office: Office) -> None:
    keys = office.tools.store.keys
    office.tools.seals.now()
    keys.destroy(str(keys.find(SYSTEM_KEY)))
    before = keys.names()
    office.tools.close()
    for command in what_a_court_asks(office.cases[1].case_ref):
        assert run(*command, data=office.tools) == 1
    with closing(KeyStore.existing(*key_files(office))) as there:
        assert there.names() == before


def key_files(office: Office) -> tuple[Path, Path]:
    data = office.tools.settings.data
    return data / "keys.sqlite", data / "wrap.key"
