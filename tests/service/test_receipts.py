"""Receipts people take away: whose they are, when there is one, and that they hold for others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from offices import MakeOffice, Office, decide_by_form
from visiting import Answer, Visitor
from witnesses import KEY, WITNESS, Witness

from explainer.core.disclosure import Audience
from explainer.errors import ProofInvalid
from explainer.ledger import verify
from explainer.ledger.checkpoint import parse_note
from explainer.ledger.entries import Entry, EntryKind
from explainer.ledger.log import LogName
from explainer.ledger.receipt import write_receipt
from explainer.ledger.tree import subtrees
from service import sealing
from service.cli import main
from service.store import receipts, records
from service.store.cases import CaseFile
from service.store.receipts import receipt_of
from service.store.records import OpenedEntry, entries_of_case
from service.witnesses import Cosigner

LEDGER = LogName.LEDGER
KEEP, RECEIPT, TEXT = "Beleg zum Aufheben", "Beleg herunterladen", "Text herunterladen"


def mark_of(entry: OpenedEntry) -> str:
    return entry.receipt.leaf_hash.hex()


def shown(office: Office, case: CaseFile, audience: Audience) -> OpenedEntry:
    """What was shown of a case last to one of its audiences."""
    with office.tools.store.reading() as tx:
        found = entries_of_case(tx, case.id, EntryKind.SHOWN)
    return [e for e in found if e.payload and e.payload["audience"] == audience.value][-1]


def links(page: Answer, text: str) -> list[str]:
    return [a.attrs["href"] for a in page.all("a") if a.text == text]


def key_of(office: Office) -> str:
    return str(office.tools.seals.sealers[LEDGER].key)


def alone(
    folder: Path, key: str, receipt: bytes, told: bytes | None, *more: str
) -> tuple[int, str]:
    """What the one file says of two files, in a folder with nothing of ours."""
    shutil.copy(verify.__file__, folder / "verify.py")
    asked = [sys.executable, "-I", "verify.py", "kept.tlog-proof", "--key", key]
    (folder / "kept.tlog-proof").write_bytes(receipt)
    if told is not None:
        (folder / "kept.html").write_bytes(told)
        asked += ["--told", "kept.html"]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def applicant(standing: Office) -> Visitor:
    return standing.visitor("applicant", standing.cases[0].id)


# -- what is handed out -----------------------------------------------------------------------


def test_an_applicant_keeps_what_they_were_told_and_others_can_check_it(
    standing: Office, applicant: Visitor, tmp_path: Path
) -> None:
    (href,) = links(applicant.get("/application"), KEEP)
    standing.tools.seals.now()
    page = applicant.get(href)
    receipt, told = (applicant.get(*links(page, what)) for what in (RECEIPT, TEXT))
    entry = shown(standing, standing.cases[0], Audience.APPLICANT)
    assert entry.payload is not None
    given = told.response.content
    assert given == str(entry.payload["told"]).encode()
    code, said = alone(tmp_path, key_of(standing), receipt.response.content, given)
    assert code == 0, said
    changed = given.replace(b"<p", b"<P", 1)
    code, said = alone(tmp_path, key_of(standing), receipt.response.content, changed)
    assert code == 1
    assert "not what this entry vouches for" in said


def test_a_caseworker_keeps_the_decision_and_what_was_shown_before_it(
    standing: Office, tmp_path: Path
) -> None:
    caseworker, case = standing.visitor("caseworker"), standing.cases[0]
    (href,) = links(caseworker.get(f"/cases/{case.id}"), KEEP)
    standing.tools.seals.now()
    page = caseworker.get(href)
    of_decision, of_shown = (caseworker.get(one).response.content for one in links(page, RECEIPT))
    (told,) = (caseworker.get(one).response.content for one in links(page, TEXT))
    (decision,) = standing.decisions(case)
    assert decision.payload is not None
    leaf, _ = verify.verify_receipt(of_decision, [verify.read_key(key_of(standing))])
    assert leaf["seq"] == decision.leaf.seq
    leaf, _ = verify.verify_receipt(of_shown, [verify.read_key(key_of(standing))], told)
    assert leaf["seq"] == decision.payload["explanation_entry"]
    assert alone(tmp_path, key_of(standing), of_decision, None)[0] == 0
    assert alone(tmp_path, key_of(standing), of_shown, told)[0] == 0
    assert alone(tmp_path, key_of(standing), of_decision, told)[0] == 1


def test_downloads_are_files_under_names_of_ours(standing: Office, applicant: Visitor) -> None:
    (href,) = links(applicant.get("/application"), KEEP)
    standing.tools.seals.now()
    case = standing.cases[0]
    for what, ends in (("proof", "tlog-proof"), ("told", "html")):
        answer = applicant.get(f"{href}/{what}")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == "no-store"
        name = f"warum-{href.rpartition('/')[2][:12]}.{ends}"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        for told in (case.id, case.case_ref):
            assert told not in f"{href} {answer.headers}"
    # a receipt holds nothing of anybody: not the number, not what was told
    receipt = applicant.get(f"{href}/proof").response.content
    body = receipt + b"".join(map(verify._unbase64, _extras(receipt)))
    assert case.case_ref.encode() not in body
    assert b"w-told" not in body


def _extras(receipt: bytes) -> list[str]:
    return [one[6:] for one in receipt.decode().split("\n") if one.startswith("extra ")]


def test_asking_for_a_receipt_leaves_no_entry(standing: Office, applicant: Visitor) -> None:
    (href,) = links(applicant.get("/application"), KEEP)
    standing.tools.seals.now()
    before = standing.size(), standing.size(LogName.ACCESS)
    for what in ("", "/proof", "/told"):
        assert applicant.get(href + what).status == 200
    assert (standing.size(), standing.size(LogName.ACCESS)) == before


def test_before_the_head_is_signed_it_is_said_and_nothing_is_handed_out(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = office.decided()
    office.tools.seals.now()
    monkeypatch.setattr(sealing, "LOOK", 3600.0)
    for quiet in ("soon", "later"):
        monkeypatch.setattr(office.tools.seals, quiet, lambda name: None)
    for visitor, path in (
        (office.visitor("applicant", case.id), "/application"),
        (office.visitor("caseworker"), f"/cases/{office.cases[1].id}"),
    ):
        visitor.get(path)
        base = "/application" if path == "/application" else path
        audience = Audience.APPLICANT if path == "/application" else Audience.CASEWORKER
        of = case if path == "/application" else office.cases[1]
        href = f"{base}/receipts/{mark_of(shown(office, of, audience))}"
        page = visitor.get(href)
        assert "Der Beleg ist noch nicht fertig. Er ist spätestens in einer Minute da." in page.text
        assert not links(page, RECEIPT)
        answer = visitor.get(f"{href}/proof")
        assert (answer.status, answer.headers["location"]) == (303, href)
        office.tools.seals.now()
        assert len(links(visitor.get(href), RECEIPT)) == 1
        assert visitor.get(f"{href}/proof").status == 200


# -- whose they are ---------------------------------------------------------------------------


def all_marks(office: Office) -> list[str]:
    return [mark_of(one) for one in office.entries()]


def test_an_applicant_gets_receipts_of_their_own_pages_and_of_nothing_else(
    standing: Office, applicant: Visitor
) -> None:
    own = standing.cases[0]
    standing.decided(1)
    standing.visitor("applicant", standing.cases[1].id).get("/application")
    applicant.get("/application")
    standing.tools.seals.now()
    answers = {}
    for mark in all_marks(standing):
        for what in ("", "/proof", "/told"):
            answers[mark, what] = applicant.get(f"/application/receipts/{mark}{what}")
    with standing.tools.store.reading() as tx:
        theirs = {
            mark_of(one)
            for one in entries_of_case(tx, own.id, EntryKind.SHOWN)
            if one.payload and one.payload["audience"] == "applicant"
        }
    assert theirs
    assert {mark for (mark, _), a in answers.items() if a.status == 200} == theirs
    refused = [a for (mark, _), a in answers.items() if mark not in theirs]
    nowhere = [
        applicant.get(f"/application/receipts/{one}{what}")
        for one in ("0" * 64, "1", "%00", "A" * 64, "x" * 5000)
        for what in ("", "/proof", "/told")
    ]
    assert {a.status for a in refused + nowhere} == {404}
    assert len({a.text for a in refused + nowhere}) == 1


def test_a_caseworker_gets_receipts_of_their_units_cases_only(standing: Office) -> None:
    caseworker, case = standing.visitor("caseworker"), standing.cases[0]
    other = next(one for one in standing.cases if one.unit == "test_office")
    caseworker.get(f"/cases/{case.id}")
    standing.visitor("applicant", case.id).get("/application")
    standing.tools.seals.now()
    (decision,) = standing.decisions(case)
    seen = mark_of(shown(standing, case, Audience.CASEWORKER))
    told = mark_of(shown(standing, case, Audience.APPLICANT))
    assert caseworker.get(f"/cases/{case.id}/receipts/{seen}/told").status == 200
    for path in (
        f"{case.id}/receipts/{told}",  # the applicant's is the applicant's
        f"{case.id}/receipts/{mark_of(decision)}/told",  # nothing was told by a decision
        f"{standing.cases[2].id}/receipts/{seen}",  # of another case of the same unit
        f"{other.id}/receipts/{seen}",
        f"nowhere/receipts/{seen}",
    ):
        assert caseworker.get(f"/cases/{path}").status == 404
        assert caseworker.get(f"/cases/{path}/proof").status == 404


def test_of_another_unit_there_is_no_receipt_though_there_is_an_entry(standing: Office) -> None:
    """Shown while the case was the unit's own, and asked for when it is not any more."""
    caseworker, case = standing.visitor("caseworker"), standing.fresh()
    caseworker.get(f"/cases/{case.id}")
    standing.tools.seals.now()
    mark = mark_of(shown(standing, case, Audience.CASEWORKER))
    path = f"/cases/{case.id}/receipts/{mark}"
    assert {caseworker.get(path + w).status for w in ("", "/proof", "/told")} == {200}
    standing.sql(f"UPDATE case_file SET unit = 'test_office' WHERE id = '{case.id}'")
    assert {caseworker.get(path + w).status for w in ("", "/proof", "/told")} == {404}


def test_after_the_erasure_there_is_no_receipt_and_the_kept_one_still_holds(
    make_office: MakeOffice, make_package: Callable[[], Path], tmp_path: Path
) -> None:
    office = make_office(make_package())
    case = office.decided()
    applicant, caseworker = office.visitor("applicant", case.id), office.visitor("caseworker")
    (mine,) = links(applicant.get("/application"), KEEP)
    (theirs,) = links(caseworker.get(f"/cases/{case.id}"), KEEP)
    office.tools.seals.now()
    for visitor, href in ((applicant, mine), (caseworker, theirs)):
        assert "gibt es hier keinen Beleg mehr" in visitor.get(href).text
    receipt, told = (applicant.get(f"{mine}/{one}").response.content for one in ("proof", "told"))
    asked = ["erase", case.case_ref, "--basis", "Art. 17 DSGVO", "--by", "A", "--by", "B"]
    data = str(office.tools.settings.data)
    assert main(["ledger", *asked, "--data", data]) == 0
    for visitor, href in ((applicant, mine), (caseworker, theirs)):
        assert {visitor.get(href + w).status for w in ("", "/proof", "/told")} == {404}
    assert alone(tmp_path, key_of(office), receipt, told)[0] == 0


# -- what is in one ---------------------------------------------------------------------------


def write(office: Office, count: int) -> None:
    for _ in range(count):
        with office.tools.store.transaction(office.tools.now()) as tx:
            records.record_system(tx, Entry(EntryKind.POLICY, {"rule": "x"}))


def test_every_entry_has_the_proof_the_whole_tree_gives(office: Office) -> None:
    """It is made from the head before the entry and the hashes after it; the whole tree agrees."""
    for count in (1, 2, 4, 7, 11):
        write(office, count)
        office.tools.seals.now()
    write(office, 2)
    sealer = office.tools.seals.sealers[LEDGER]
    with office.tools.store.reading() as tx:
        log = tx.log(LEDGER)
        newest = log.last_checkpoint()
        assert newest is not None
        edge, note = newest
        whole = subtrees(list(log.leaf_hashes(0, edge.size)))
        assert edge.size >= 25
        for seq in range(edge.size):
            leaf = log.read(seq).leaf
            assert receipt_of(tx, seq, sealer.key) == write_receipt(
                leaf, None, note, sealer.key, whole
            )
        for seq in (edge.size, edge.size + 1):
            with pytest.raises(ProofInvalid, match="No signed head covers this entry yet"):
                receipt_of(tx, seq, sealer.key)


def test_a_head_far_off_is_not_asked_for_where_a_nearer_one_covers_the_entry(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "SPAN", 4)
    for _ in range(5):
        write(office, 3)
        office.tools.seals.now()
    write(office, 9)
    office.tools.seals.now()
    key = office.tools.seals.sealers[LEDGER].key
    with office.tools.store.reading() as tx:
        size = tx.log(LEDGER).head().size
        above = {}
        for seq in range(size):
            _, head = verify.verify_receipt(receipt_of(tx, seq, key), [verify.read_key(str(key))])
            above[seq] = head.size - seq
    assert max(value for seq, value in above.items() if seq < size - 9) <= 4
    assert above[size - 9] == 9  # no head lies nearer: it is the newest


def test_a_receipt_carries_what_a_witness_signed_a_moment_later(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness, tools = Witness({}), office.tools
    sealer, folder = tools.seals.sealers[LEDGER], tools.outside.folders[LEDGER]
    witness.keys = {one.key.name: one.key for one in tools.seals.sealers.values()}
    case = office.decided()
    applicant = office.visitor("applicant", case.id)
    (href,) = links(applicant.get("/application"), KEEP)
    tools.seals.now()

    def signatures() -> list[str]:
        receipt = applicant.get(f"{href}/proof").response.content
        _, lines = parse_note(receipt.partition(b"\n\n")[2])
        return [one.name for one in lines]

    assert signatures() == [sealer.key.name]
    asked = Cosigner(lambda path, body, kind, largest: witness.answer(body), KEY)
    tools.outside._asked.extend(
        type(tools.outside)(
            tools.store, tools.outside.keys, tools.outside.folders, [asked], tools.now
        )._asked
    )
    tools.outside.ask_due()
    assert signatures() == [sealer.key.name, KEY.name]
    # newer heads the witness has not seen yet do not take its signature away
    write(office, 5)
    tools.seals.now()
    assert signatures() == [sealer.key.name, KEY.name]
    known = [verify.read_witness(WITNESS)]
    note = applicant.get(f"{href}/proof").response.content.partition(b"\n\n")[2]
    key = verify.read_key(str(sealer.key))
    assert verify.read_note(note, key, outside=False, witnesses=known).outside
    # of two heads the witness signed, not the one that is far off
    tools.outside.ask_due()
    entry = shown(office, case, Audience.APPLICANT)

    def above() -> int:
        proof = applicant.get(f"{href}/proof").response.content
        return verify.verify_receipt(proof, [key])[1].size - entry.leaf.seq

    near = above() - 5
    assert near > 0
    with monkeypatch.context() as patched:
        patched.setattr(receipts, "SPAN", near)
        assert above() == near
        assert signatures() == [sealer.key.name, KEY.name]
    # damaged notes and a share that is out of reach cost the line, not the receipt
    for changed in (lambda note: note.replace(b"\n", b"\n1", 1), lambda note: b"damaged"):
        for path in folder.path.glob("*.note"):
            path.write_bytes(changed(path.read_bytes()))
        assert signatures() == [sealer.key.name]
    shutil.move(folder.path, tmp_path / "away")
    folder.path.write_bytes(b"no folder")
    assert signatures() == [sealer.key.name]


def test_a_caseworkers_decision_by_form_has_its_receipt_at_once_when_sealed(
    standing: Office,
) -> None:
    caseworker, case = standing.visitor("caseworker"), standing.fresh()
    decide_by_form(caseworker, case.id)
    standing.tools.seals.now()
    (decision,) = standing.decisions(case)
    href = f"/cases/{case.id}/receipts/{mark_of(decision)}"
    page = caseworker.get(href)
    assert case.case_ref in page.text
    assert len(links(page, RECEIPT)) == 2  # the decision, and what was seen before it
