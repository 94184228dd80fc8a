"""Witnesses outside: asked in the background, again after growing pauses; nobody waits for them."""

from __future__ import annotations

import hashlib
import random
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from offices import Office, demo_settings, open_office

from explainer.errors import LogForked, SettingsInvalid, WitnessFailed
from explainer.ledger import stamp, verify
from explainer.ledger.checkpoint import Checkpoint, WitnessDirectory
from explainer.ledger.checkpoint import verify as verify_note
from explainer.ledger.entries import Entry, EntryKind
from explainer.ledger.log import LogName
from explainer.packages.bundled import bundled_packages
from service.cli import main
from service.doctor import examine
from service.sealing import AT_LATEST, ENTRIES, LOOK, Due
from service.store import records, seals
from service.witness_settings import witnesses_outside
from service.witnesses import (
    FIRST_PAUSE,
    LATE,
    LONGEST_PAUSE,
    Cosigner,
    Pace,
    PinnedLine,
    Stamper,
    Witnesses,
)

sys.path.append(str(Path(__file__).parents[1] / "ledger"))
from authority import Authority
from ledgers import NOON, Installation
from witnesses import KEY, TIME, WITNESS, Witness, serving

LEDGER = LogName.LEDGER
NOW = datetime.fromtimestamp(TIME, UTC)


class Watch:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Place:
    """An installation with a few entries, its witnesses, and a clock to turn."""

    def __init__(self, folder: Path, *outside: object) -> None:
        self.made = Installation(folder)
        self.store = self.made.open()
        self.watch = Watch()
        self.outside = self.again(*outside)

    def again(self, *outside: object) -> Witnesses:
        return Witnesses(
            self.store,
            {name: self.made.sealer(name).key for name in LogName},
            {name: self.made.witness_of(name) for name in LogName},
            outside,  # type: ignore[arg-type]
            lambda: NOW,
            self.watch,
        )

    def write(self, count: int, log: LogName = LEDGER, now: datetime = NOON) -> None:
        for _ in range(count):
            with self.store.transaction(now) as tx:
                if log is LEDGER:
                    records.record_system(tx, Entry(EntryKind.POLICY, {"rule": "x"}))
                else:
                    records.record_access(tx, Entry(EntryKind.ACCESS, {"purpose": "audit"}))

    def seal(self, log: LogName = LEDGER) -> bytes:
        note = seals.seal(self.store, log, self.made.sealer(log), self.made.witness_of(log))
        assert note is not None
        self.outside.sealed(log, note)
        return note


@pytest.fixture
def witness() -> Witness:
    return Witness({})


@pytest.fixture
def place(tmp_path: Path, witness: Witness) -> Iterator[Place]:
    place = Place(tmp_path / "data", Cosigner(direct(witness), KEY))
    witness.keys = {
        place.made.sealer(name).key.name: place.made.sealer(name).key for name in LogName
    }
    yield place
    place.outside.close()
    place.store.close()


def direct(witness: Witness) -> object:
    return lambda path, body, kind, largest: witness.answer(body)


def standing(outside: Witnesses, who: str = "cosigner", log: LogName = LEDGER) -> object:
    return next(one for one in outside.standing() if (one.witness, one.log) == (who, log))


# -- what is handed over --------------------------------------------------------------------------


def test_each_new_head_is_cosigned_and_kept_with_its_checkpoint(
    place: Place, witness: Witness
) -> None:
    for count in (1, 2, 9, 70):
        place.write(count)
        note = place.seal()
        place.outside.ask_due()
        kept = place.made.witness_of(LEDGER).with_cosignatures([note])[0]
        assert kept.startswith(note)
        assert KEY.name.encode() in kept
        assert standing(place.outside).unwitnessed_since is None
    assert witness.heads[place.made.sealer(LEDGER).key.name].size == 82
    assert witness.asked == 4
    # an auditor who knows the witness need not trust what the database says
    key = verify.read_key(str(place.made.sealer(LEDGER).key))
    known = [verify.read_witness(WITNESS)]
    assert verify.read_note(kept, key, outside=False, witnesses=known).outside


def test_when_each_witness_was_asked_last_is_known(place: Place, witness: Witness) -> None:
    assert standing(place.outside).asked_at is None
    place.write(1)
    place.seal()
    place.outside.ask_due()
    assert standing(place.outside).asked_at == NOW
    assert standing(place.outside, log=LogName.ACCESS).asked_at is None
    assert standing(place.outside, "directory").asked_at is None
    # whoever does not answer was asked all the same
    again = place.again(*place.outside.outside)
    witness.instead = (503, b"")
    place.write(1)
    again.sealed(LEDGER, place.seal())
    again.ask_due()
    told = standing(again)
    assert (told.asked_at, told.fault is None) == (NOW, False)


def test_a_service_started_again_goes_on_where_it_was(place: Place, witness: Witness) -> None:
    place.write(3)
    place.seal()
    place.outside.ask_due()
    asked = witness.asked
    again = place.again(*place.outside.outside)
    assert standing(again).covered == 3
    again.ask_due()
    assert witness.asked == asked  # nothing new, nobody is asked
    place.write(2)
    again.sealed(LEDGER, place.seal())
    again.ask_due()
    assert (standing(again).covered, witness.asked) == (5, asked + 1)


def test_a_witness_with_another_memory_is_told_from_where_it_stands(
    place: Place, witness: Witness
) -> None:
    place.write(4)
    place.seal()
    place.outside.ask_due()
    place.write(3)
    place.seal()
    place.outside._asked[0].covered = 0  # its answers were lost here
    place.outside.ask_due()
    assert standing(place.outside).covered == 7
    witness.heads.clear()  # and now it lost its own
    place.write(1)
    place.seal()
    place.outside.ask_due()
    assert standing(place.outside).covered == 8


def test_both_logs_are_witnessed_each_for_itself(place: Place) -> None:
    place.write(2)
    place.write(3, LogName.ACCESS)
    for name in LogName:
        place.seal(name)
    place.outside.ask_due()
    assert [standing(place.outside, log=name).covered for name in LogName] == [2, 3]


# -- failures -------------------------------------------------------------------------------------


def test_who_does_not_answer_is_asked_again_after_growing_pauses(
    place: Place, witness: Witness
) -> None:
    witness.instead = (503, b"")
    place.write(1, now=NOON)
    place.seal()
    asked_at: list[float] = []
    for _ in range(4000):
        before = witness.asked
        place.outside.ask_due()
        if witness.asked > before:
            asked_at.append(place.watch.seconds)
        place.watch.seconds += 0.5
    pauses = [b - a for a, b in pairwise(asked_at)]
    assert pauses[:5] == [FIRST_PAUSE, 2, 4, 8, 16]
    assert max(pauses) == LONGEST_PAUSE
    seen = standing(place.outside)
    assert isinstance(seen.fault, WitnessFailed)
    assert seen.unwitnessed_since == NOON.replace(second=0)
    witness.instead = None
    place.watch.seconds += LONGEST_PAUSE
    place.outside.ask_due()
    seen = standing(place.outside)
    assert (seen.fault, seen.unwitnessed_since, seen.covered) == (None, None, 1)


def test_since_when_entries_are_unwitnessed_is_that_of_the_first_one(
    place: Place, witness: Witness
) -> None:
    place.write(2, now=NOON)
    place.seal()
    place.outside.ask_due()
    witness.instead = (503, b"")
    for minute in (3, 5, 9):
        place.write(1, now=NOON + timedelta(minutes=minute))
        place.seal()
        place.watch.seconds += LONGEST_PAUSE
        place.outside.ask_due()
    seen = standing(place.outside)
    assert (seen.covered, seen.unwitnessed_since) == (
        2,
        (NOON + timedelta(minutes=3)).replace(second=0),
    )
    assert not seen.late(seen.unwitnessed_since + LATE)
    assert seen.late(seen.unwitnessed_since + LATE + timedelta(seconds=1))
    # the directory has everything; entries that are not sealed yet are in no witness
    assert standing(place.outside, "directory").unwitnessed_since is None
    place.write(1, now=NOON + timedelta(minutes=20))
    assert standing(place.outside, "directory").unwitnessed_since is not None


def test_a_witness_that_knows_another_log_is_an_alarm_and_stops_nobody(
    place: Place, witness: Witness
) -> None:
    place.write(3)
    place.seal()
    name = place.made.sealer(LEDGER).key.name
    witness.heads[name] = Checkpoint(name, 3, bytes(32))
    place.outside.ask_due()
    seen = standing(place.outside)
    assert isinstance(seen.fault, LogForked)
    assert seen.alarm
    assert seen.late(NOON)
    place.write(1)
    place.seal()  # writing and sealing go on


def test_an_answer_that_cannot_be_kept_does_not_count(place: Place) -> None:
    place.write(1)
    place.seal()

    class Full(WitnessDirectory):
        def keep(self, note: bytes, key: object) -> Path:
            raise OSError(28, "No space left on device")

    place.outside.folders = {**place.outside.folders, LEDGER: Full(place.made.witness / "ledger")}
    place.outside.ask_due()
    seen = standing(place.outside)
    assert seen.covered == 0
    assert "No space left" in str(seen.fault)


# -- time stamps ----------------------------------------------------------------------------------


def test_a_time_stamp_lies_beside_the_very_note_it_is_of(tmp_path: Path) -> None:
    authority = Authority()
    trusted = stamp.Authority.parse(authority.pem, "WARUM_TSA_ROOT")
    asked: list[bytes] = []

    def ask(path: str, body: bytes, kind: str, largest: int) -> tuple[int, bytes]:
        asked.append(body)
        return authority.answer(body)

    place = Place(tmp_path / "data", Stamper(ask, trusted, 60.0))
    try:
        place.write(2)
        note = place.seal()
        place.outside.ask_due()
        (beside,) = (place.made.witness / "ledger").glob("*.tsr")
        assert beside.with_suffix(".note").read_bytes() == note
        place.write(1)
        place.seal()
        place.outside.ask_due()
        assert len(asked) == 1  # not before its pause is over
        place.watch.seconds = 60.0
        place.outside.ask_due()
        assert len(asked) == 2
        assert standing(place.outside, "time stamp").covered == 3
        assert standing(place.again(*place.outside.outside), "time stamp").covered == 3
    finally:
        place.store.close()


# -- over the wire --------------------------------------------------------------------------------


def line(url: str, **more: str) -> PinnedLine:
    given = {"WARUM_WITNESS_URL": url, "WARUM_WITNESS_KEY": WITNESS, **more}
    settings = replace(demo_settings(Path("var")), outside=given)
    (cosigner,) = witnesses_outside(settings)
    assert isinstance(cosigner, Cosigner)
    assert isinstance(cosigner.ask, PinnedLine)
    return cosigner.ask


def test_a_witness_is_asked_over_http(place: Place, witness: Witness) -> None:
    place.write(2)
    with serving(witness.answer) as url:
        place.outside = place.again(Cosigner(line(url), KEY))
        place.seal()
        place.outside.ask_due()
    assert standing(place.outside).covered == 2


@pytest.mark.parametrize(
    ("status", "said", "headers"),
    [
        (200, b"x" * 2**17, {}),
        (302, b"", {"Location": "http://127.0.0.1:1/"}),
        (500, b"", {}),
        (200, b"\xff\x00", {}),
    ],
)
def test_a_server_that_is_no_witness_is_a_fault_and_no_more(
    place: Place, status: int, said: bytes, headers: dict[str, str]
) -> None:
    place.write(1)
    with serving(lambda body: (status, said), **headers) as url:
        place.outside = place.again(Cosigner(line(url), KEY))
        place.seal()
        place.outside.ask_due()
    assert isinstance(standing(place.outside).fault, WitnessFailed)
    with pytest.raises(WitnessFailed, match="cannot be reached"):
        line(url)("/add-checkpoint", b"", "text/plain", 100)


def test_no_more_is_read_of_an_answer_than_one_can_be_long() -> None:
    with serving(lambda body: (200, b"x" * 100)) as url:
        assert line(url)("/add-checkpoint", b"", "text/plain", 100) == (200, b"x" * 100)
        with pytest.raises(WitnessFailed, match="too much"):
            line(url)("/add-checkpoint", b"", "text/plain", 99)


def certificate(folder: Path) -> tuple[Path, Path]:
    key, cert = folder / "key.pem", folder / "cert.pem"
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(5)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key.write_bytes(private.private_bytes(pem, plain, none))
    cert.write_bytes(made.public_bytes(pem))
    return key, cert


def test_a_witness_must_show_the_certificate_that_is_pinned(
    tmp_path: Path, witness: Witness
) -> None:
    key, cert = certificate(tmp_path)
    der = ssl.PEM_cert_to_DER_cert(cert.read_text())
    pin = f"sha256:{hashlib.sha256(der).hexdigest()}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with serving(witness.answer, tls=context) as url:
        port = url.rsplit(":", 1)[1]
        address = f"https://localhost:{port}"
        body = b"old 0\n\nx\n1\n" + b"A" * 43 + b"=\n\n"
        for good in (pin, str(cert)):
            status, _ = line(address, WARUM_WITNESS_PIN=good)("/nowhere", body, "text/plain", 9)
            assert status == 404
        other = f"sha256:{'0' * 64}"
        with pytest.raises(WitnessFailed, match="certificate that is pinned"):
            line(address, WARUM_WITNESS_PIN=other)("/add-checkpoint", body, "text/plain", 9)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"WARUM_WITNESS_URL": "https://w.example/"}, "WARUM_WITNESS_KEY"),
        ({"WARUM_WITNESS_KEY": WITNESS}, "WARUM_WITNESS_KEY"),
        ({"WARUM_WITNESS_URL": "http://w.example/", "WARUM_WITNESS_KEY": WITNESS}, "_URL"),
        ({"WARUM_WITNESS_URL": "https://w.example/", "WARUM_WITNESS_KEY": WITNESS}, "_PIN"),
        ({"WARUM_WITNESS_URL": "http://127.0.0.1:1", "WARUM_WITNESS_KEY": "x"}, "_KEY"),
        (
            {
                "WARUM_WITNESS_URL": "http://127.0.0.1:1",
                "WARUM_WITNESS_KEY": WITNESS,
                "WARUM_WITNESS_PIN": "sha256:00",
            },
            "_PIN",
        ),
        (
            {
                "WARUM_WITNESS_URL": "https://w.example",
                "WARUM_WITNESS_KEY": WITNESS,
                "WARUM_WITNESS_PIN": "/nowhere",
            },
            "_PIN",
        ),
        ({"WARUM_TSA_URL": "http://127.0.0.1:1"}, "WARUM_TSA_ROOT"),
        ({"WARUM_TSA_URL": "http://127.0.0.1:1", "WARUM_TSA_ROOT": "/nowhere"}, "_ROOT"),
        ({"WARUM_TSA_EVERY": "60"}, "WARUM_TSA_EVERY"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        witnesses_outside(replace(demo_settings(Path("var")), outside=given))
    assert named in str(refused.value)


def test_no_pause_of_a_stamp_but_a_whole_number_of_seconds(tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    root.write_bytes(Authority().pem)
    for every in ("0", "-1", "x", "86401", "1.5"):
        given = {"WARUM_TSA_URL": "http://127.0.0.1:1", "WARUM_TSA_ROOT": str(root)}
        given["WARUM_TSA_EVERY"] = every
        with pytest.raises(SettingsInvalid, match="WARUM_TSA_EVERY"):
            witnesses_outside(replace(demo_settings(Path("var")), outside=given))


@pytest.mark.parametrize("key", [WITNESS, "no key"])
def test_the_doctor_says_which_witnesses_there_are(key: str) -> None:
    environment = {"WARUM_WITNESS_URL": "http://127.0.0.1:1", "WARUM_WITNESS_KEY": key}
    found = {one.about: one for one in examine(environment, bundled_packages())}
    said = found["witnesses outside"]
    assert said.well is (key == WITNESS)
    assert ("cosigner" if said.well else "WARUM_WITNESS_KEY") in said.says


# -- in the service -------------------------------------------------------------------------------


def test_a_slow_witness_holds_up_no_seal_and_no_page(tmp_path: Path) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    def slow(body: bytes) -> tuple[int, bytes]:
        waiting.set()
        go_on.wait(20)
        return 503, b""

    with serving(slow) as url:
        given = {"WARUM_WITNESS_URL": url, "WARUM_WITNESS_KEY": WITNESS}
        settings = replace(demo_settings(tmp_path / "data"), outside=given)
        office = open_office(settings, 2)
        try:
            assert waiting.wait(20)
            supervisor = office.visitor("supervisor")
            assert supervisor.get("/verify").status == 200
            office.tools.seals.now()
            kept = office.tools.outside.standing()[0]
            assert (kept.witness, kept.covered) == ("directory", office.size())
        finally:
            go_on.set()
            office.tools.close()


def test_what_a_witness_signed_goes_into_exports_and_receipts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    witness, authority = Witness({}), Authority()
    (tmp_path / "root.pem").write_bytes(authority.pem)
    data = tmp_path / "data"
    with serving(witness.answer) as url, serving(authority.answer, "/stamp") as tsa:
        given = {"WARUM_WITNESS_URL": url, "WARUM_WITNESS_KEY": WITNESS}
        given |= {"WARUM_TSA_URL": f"{tsa}/stamp", "WARUM_TSA_ROOT": str(tmp_path / "root.pem")}
        office = open_office(replace(demo_settings(data), outside=given), 2)
        try:
            keys = [sealer.key for sealer in office.tools.seals.sealers.values()]
            witness.keys = {key.name: key for key in keys}
            office.tools.seals.now()
            deadline = time.monotonic() + 60
            while not all(one.covered for one in covering_ledger(office)):
                assert time.monotonic() < deadline, office.tools.outside.standing()
                time.sleep(0.05)
        finally:
            office.tools.close()
    out, key = tmp_path / "out", str(keys[0])
    assert main(["ledger", "export", str(out), "--data", str(data)]) == 0
    capsys.readouterr()
    assert main(["ledger", "verify", str(out), f"--key={key}"]) == 0
    assert "no checkpoint from outside" in capsys.readouterr().out
    assert main(["ledger", "verify", str(out), f"--key={key}", f"--witness={WITNESS}"]) == 0
    assert "are under a checkpoint from outside" in capsys.readouterr().out
    (stamp_,) = (out / "stamps" / "ledger").glob("*.tsr")
    assert verify_note(stamp_.with_suffix(".note").read_bytes(), keys[0]).size > 0
    receipt = tmp_path / "mine.tlog-proof"
    assert main(["ledger", "receipt", "0", str(receipt), "--data", str(data)]) == 0
    assert KEY.name.encode() in receipt.read_bytes()
    assert main(["ledger", "verify", str(receipt), f"--key={key}"]) == 0


def covering_ledger(office: Office) -> list[object]:
    return [one for one in office.tools.outside.standing() if one.log is LEDGER]


def test_operators_and_supervision_are_told_since_when_nobody_outside_knows(
    tmp_path: Path,
) -> None:
    with serving(lambda body: (503, b"")) as url:
        given = {"WARUM_WITNESS_URL": url, "WARUM_WITNESS_KEY": WITNESS}
        settings = replace(demo_settings(tmp_path / "data"), outside=given)
        office: Office = open_office(settings, 2)
        try:
            office.tools.seals.now()
            told = office.visitor().get("/readyz").json()["witnesses"]
            cosigner = next(one for one in told if one["witness"] == "cosigner")
            assert cosigner["unwitnessed_since"] == "2026-11-23T12:00Z"
            directory = next(one for one in told if one["witness"] == "directory")
            assert directory["unwitnessed_since"] is None
            page = office.visitor("supervisor").get("/records?lang=de").text
            assert "noch nicht bestätigt" not in page  # not before two minutes are over
            later = office.tools.now() + LATE + timedelta(minutes=1)
            object.__setattr__(office.tools, "now", lambda: later)
            page = office.visitor("supervisor").get("/records?lang=de").text
            assert "Ein Zeuge außerhalb hat neue Aufzeichnungen noch nicht bestätigt." in page
            assert "has not confirmed" in office.visitor("supervisor").get("/verify?lang=en").text
            assert "bestätigt. Offen seit" not in office.visitor("caseworker").get("/cases").text
        finally:
            office.tools.close()


# -- when heads are sealed ------------------------------------------------------------------------


def test_no_entry_stays_unsealed_for_more_than_sixty_seconds_or_a_hundred_entries() -> None:
    """A day of writing by this process and by others, with a clock that is turned by hand."""
    source = random.Random(60)
    now, due = 0.0, Due(0.0)
    told, since = dict.fromkeys(LogName, 0), dict.fromkeys(LogName, None)
    sealed, longest, most = 0, 0.0, 0
    for _ in range(100_000):
        pauses = [0.0] * 200 + [0.001] * 100 + [0.01, 0.3, source.random() * 100]
        then = now + source.choice(pauses)
        while (wait := due.wait(now)) <= then - now:  # the thread wakes when something is due
            now += wait
            for name in due.take(now):
                if (first := since[name]) is not None:
                    longest, most = max(longest, now - first), max(most, told[name])
                    told[name], since[name], sealed = 0, None, sealed + 1
        now = then
        name = source.choice(list(LogName))
        since[name] = now if since[name] is None else since[name]
        if source.random() < 0.9:  # others write past this process, which only looks
            told[name] += 1
            due.note(name, now, urgent=source.random() < 0.001)
    assert sealed > 500
    assert most == ENTRIES
    assert AT_LATEST < longest <= 60


def test_what_is_urgent_is_due_at_once_and_the_rest_a_little_later() -> None:
    due = Due(0.0)
    assert due.wait(1.0) == LOOK - 1.0
    due.note(LEDGER, 1.0, urgent=False)
    due.note(LogName.ACCESS, 2.0, urgent=False)
    assert due.wait(1.5) == AT_LATEST - 0.5
    assert due.take(1.5) == []
    assert sorted(due.take(1.0 + AT_LATEST)) == sorted(LogName)
    due.note(LEDGER, 4.0, urgent=True)
    assert due.wait(4.0) == 0
    assert due.take(4.0) == [LEDGER]
    for _ in range(ENTRIES - 1):
        due.note(LEDGER, 5.0, urgent=False)
    assert due.wait(5.0) == AT_LATEST
    due.note(LEDGER, 5.0, urgent=False)
    assert due.wait(5.0) == 0
    assert due.take(LOOK + 6.0) == list(LogName)
    assert due.take(LOOK + 7.0, closing=True) == []
    due.note(LEDGER, LOOK + 7.0, urgent=False)
    assert due.take(LOOK + 7.0, closing=True) == [LEDGER]


def test_a_pause_grows_until_it_went_well() -> None:
    pace = Pace(0.0)
    for expected in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
        pace.failed(0.0)
        assert pace.next == expected
    pace.went_well(10.0)
    assert pace.next == 10.0
    pace.failed(10.0)
    assert pace.next == 10.0 + FIRST_PAUSE
