"""What log and witness say to each other, and time stamps: good answers, wrong and hostile ones."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from authority import Authority
from hypothesis import given
from hypothesis import strategies as st
from witnesses import KEY, TIME, WITNESS, Witness, cosign, line

from explainer.errors import (
    LogBehindWitness,
    LogForked,
    ProofInvalid,
    SettingsInvalid,
    WitnessFailed,
)
from explainer.ledger import stamp, tree, verify
from explainer.ledger.checkpoint import (
    Checkpoint,
    Signer,
    VerifierKey,
    WitnessDirectory,
    from_base64,
    parse_note,
)
from explainer.ledger.checkpoint import verify as verify_note
from explainer.ledger.witness import (
    Elsewhere,
    WitnessKey,
    cosigned_at,
    cosigned_text,
    question,
    understand,
)

NAME = "warum/jc/ledger"
SIGNER = Signer(NAME, bytes(range(32)))
LEAVES = [tree.leaf_hash(bytes([number])) for number in range(12)]
NOW = datetime.fromtimestamp(TIME, UTC)

# C2SP tlog-cosignature prints this checkpoint and cosignature
EXAMPLE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv"
    "2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2"
    "oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()


def note(size: int, leaves: list[bytes] = LEAVES) -> bytes:
    return SIGNER.sign(Checkpoint(NAME, size, tree.root(leaves[:size])))


def proof(old: int, size: int, leaves: list[bytes] = LEAVES) -> list[bytes]:
    return tree.consistency_proof(old, size, tree.subtrees(leaves)) if old else []


def asked(witness: Witness, old: int, size: int, leaves: list[bytes] = LEAVES) -> object:
    body = question(old, proof(old, size, leaves), note(size, leaves))
    return understand(*witness.answer(body), old, note(size, leaves), KEY, NOW)


@pytest.fixture
def witness() -> Witness:
    return Witness({NAME: SIGNER.key})


# -- the protocol -------------------------------------------------------------------------------


def test_the_published_cosignature_has_the_form_we_read_and_write() -> None:
    text, signatures = parse_note(EXAMPLE)
    cosignature = signatures[1]
    assert int.from_bytes(cosignature.value[:8], "big") == 1679315147
    assert len(cosignature.value) == 72
    assert cosigned_text(text, 1679315147).startswith(
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
    )


def test_a_question_is_old_size_proof_empty_line_and_checkpoint() -> None:
    body = question(3, proof(3, 7), note(7)).decode()
    first, *steps = body.split("\n\n")[0].split("\n")
    assert first == "old 3"
    assert [from_base64(step) for step in steps] == proof(3, 7)
    assert body.split("\n\n", 1)[1].encode() == note(7)
    assert question(0, [], note(1)) == b"old 0\n\n" + note(1)


def test_every_head_that_continues_the_last_is_cosigned(witness: Witness) -> None:
    for old, size in ((0, 1), (1, 1), (1, 4), (4, 11), (11, 12)):
        said = asked(witness, old, size)
        assert isinstance(said, bytes)
        assert said.startswith(note(size))
        assert cosigned_at(said, KEY) == [TIME]
        assert verify_note(said, SIGNER.key).size == size
        theirs = verify.read_witness(WITNESS)
        key = verify.read_key(str(SIGNER.key))
        assert verify.read_note(said, key, outside=False, witnesses=[theirs]).outside
        assert not verify.read_note(said, key, outside=False).outside
        assert not verify.read_note(note(size), key, outside=False, witnesses=[theirs]).outside


def test_a_witness_that_knows_another_size_says_which(witness: Witness) -> None:
    asked(witness, 0, 5)
    assert asked(witness, 0, 9) == Elsewhere(5)
    assert asked(witness, 3, 9) == Elsewhere(5)


def test_a_witness_that_knows_another_log_is_an_alarm(witness: Witness) -> None:
    asked(witness, 0, 6)
    forged = [*LEAVES[:2], LEAVES[0], *LEAVES[3:]]
    with pytest.raises(LogForked, match="another head of the same size"):
        asked(witness, 6, 6, forged)
    with pytest.raises(LogForked, match="does not continue"):
        asked(witness, 6, 9, forged)
    with pytest.raises(LogBehindWitness, match="has seen 6"):
        asked(witness, 0, 5)


def test_refusals_say_what_to_mend(witness: Witness) -> None:
    for status, mend in ((400, "tlog-witness"), (403, "verifier.key"), (404, "entered there")):
        with pytest.raises(WitnessFailed) as refused:
            understand(status, b"", 0, note(1), KEY, NOW)
        assert mend in refused.value.mend
    with pytest.raises(WitnessFailed, match="status 503"):
        understand(503, b"", 0, note(1), KEY, NOW)
    stranger = Witness({})
    with pytest.raises(WitnessFailed, match="does not know this log"):
        asked(stranger, 0, 1)
    other = Witness({NAME: VerifierKey(NAME, bytes(32))})
    with pytest.raises(WitnessFailed, match="key of this log"):
        asked(other, 0, 1)


def test_lines_of_cosigners_nobody_knows_are_left_away(witness: Witness) -> None:
    stranger = WitnessKey("elsewhere.example/w", bytes(32))
    witness.extra = line(b"something else", key=stranger)
    said = asked(witness, 0, 3)
    assert isinstance(said, bytes)
    assert b"elsewhere" not in said
    witness.instead = (200, witness.extra)
    with pytest.raises(WitnessFailed, match="no cosignature"):
        asked(witness, 3, 4)


def test_a_cosignature_of_other_bytes_or_of_the_future_is_refused() -> None:
    text = parse_note(note(5))[0]
    latest = TIME + 600
    assert understand(200, line(text, latest), 0, note(5), KEY, NOW)
    wrong = [
        line(text, latest + 1),
        line(parse_note(note(6))[0]),
        line(text)[:-4] + b"AA=\n",
        line(text) + line(parse_note(note(6))[0]),
        line(text).rstrip(b"\n"),
        b"",
        b"\n",
        line(text) * 200,
    ]
    for body in wrong:
        with pytest.raises(WitnessFailed):
            understand(200, body, 0, note(5), KEY, NOW)


def test_every_changed_byte_of_a_cosignature_is_refused_by_both(tmp_path: Path) -> None:
    cosigned, key = cosign(note(5)), verify.read_key(str(SIGNER.key))
    begin = len(note(5)) + len(f"— {KEY.name} ".encode()) + 6  # after name and key id
    tried = 0
    for at in range(begin, len(cosigned) - 1):
        for mask in (0x01, 0x04, 0x20):
            changed = cosigned[:at] + bytes([cosigned[at] ^ mask]) + cosigned[at + 1 :]
            tried += 1
            with pytest.raises(ProofInvalid):
                cosigned_at(changed, KEY)
            with pytest.raises(verify.Wrong):
                verify.read_note(
                    changed, key, outside=False, witnesses=[verify.read_witness(WITNESS)]
                )
    assert tried > 270


@given(st.integers(0, 600), st.binary(max_size=120) | st.text(max_size=60).map(str.encode))
def test_whatever_a_witness_answers_ends_in_our_errors(status: int, body: bytes) -> None:
    for said in (body, b"%d\n" % status, line(parse_note(note(5))[0])[: len(body)] + body):
        try:
            answer = understand(status, said, 3, note(5), KEY, NOW)
        except (WitnessFailed, LogForked, LogBehindWitness):
            continue
        assert isinstance(answer, bytes | Elsewhere)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a+b+c",
        WITNESS.replace("+", "+0", 1),
        WITNESS[:-4],
        str(SIGNER.key),
        str(WitnessKey("two", KEY.public)).replace("two", "too"),
    ],
)
def test_a_damaged_witness_key_is_refused_by_both(text: str) -> None:
    with pytest.raises(ProofInvalid):
        WitnessKey.parse(text)
    with pytest.raises(verify.Unusable):
        verify.read_witness(text)
    assert str(WitnessKey.parse(WITNESS)) == WITNESS


def test_a_directory_gives_notes_back_with_the_cosignatures_it_has(tmp_path: Path) -> None:
    folder = WitnessDirectory(tmp_path)
    plain = [note(2), note(5), note(7)]
    for one in plain:
        folder.keep(one, SIGNER.key)
    folder.keep(cosign(note(5)), SIGNER.key)
    assert folder.with_cosignatures(plain) == [note(2), cosign(note(5)), note(7)]
    assert [size for size, _ in folder.newest_first()] == [7, 5, 5, 2]


# -- time stamps --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def stamped(authority: Authority, change: Callable[[bytes], bytes] = lambda said: said) -> datetime:
    question_ = stamp.request(note(5))
    said = change(authority.answer(question_.as_bytes())[1])
    trusted = stamp.Authority.parse(authority.pem, "WARUM_TSA_ROOT")
    return stamp.check(said, note(5), question_, trusted)


def test_a_stamp_says_when(authority: Authority) -> None:
    assert stamped(authority) == authority.now


def test_a_stamp_of_somebody_else_of_another_note_or_another_question_is_refused(
    authority: Authority,
) -> None:
    question_, other = stamp.request(note(5)), stamp.request(note(6))
    trusted = stamp.Authority.parse(authority.pem, "WARUM_TSA_ROOT")
    good = authority.answer(question_.as_bytes())[1]
    assert stamp.check(good, note(5), question_, trusted) == authority.now
    again = stamp.request(note(5))  # the same note, another number used once
    hostile = [
        (Authority().answer(question_.as_bytes())[1], question_, note(5)),
        (Authority(purpose=False).answer(question_.as_bytes())[1], question_, note(5)),
        (authority.answer(other.as_bytes())[1], question_, note(5)),
        (good, question_, note(6)),
        (good, again, note(5)),
    ]
    for said, asked_, of in hostile:
        with pytest.raises(WitnessFailed):
            stamp.check(said, of, asked_, trusted)


def test_a_stamp_by_a_certificate_for_other_purposes_is_refused() -> None:
    other = Authority(purpose=False)
    with pytest.raises(WitnessFailed):
        stamped(other)


def test_a_stamp_from_after_its_certificate_ended_is_refused(authority: Authority) -> None:
    late = Authority()
    late.now += timedelta(days=20 * 365)
    with pytest.raises(WitnessFailed):
        stamped(late)


def test_damaged_stamps_end_in_our_error(authority: Authority) -> None:
    source = random.Random(3161)

    def damaged(said: bytes) -> bytes:
        data = bytearray(said)
        for _ in range(source.randrange(1, 6)):
            at = source.randrange(len(data))
            data[at : at + source.randrange(4)] = source.randbytes(source.randrange(4))
        return bytes(data)

    refused = 0
    for _ in range(300):
        try:
            assert stamped(authority, damaged) == authority.now  # a byte that counts for nothing
        except WitnessFailed:
            refused += 1
    assert refused > 280
    for said in (b"", b"\x00", b"0\x80" * 50, bytes(2**16)):
        with pytest.raises(WitnessFailed):
            stamped(authority, lambda _good, said=said: said)


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"\xff", b"-----BEGIN CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_no_authority(pem: bytes) -> None:
    with pytest.raises(SettingsInvalid, match="no certificate"):
        stamp.Authority.parse(pem, "WARUM_TSA_ROOT")
