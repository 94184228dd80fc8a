"""Signed notes as C2SP writes them, hostile ones, the sealer's rule, and the witness folder."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explainer.errors import LogBehindWitness, LogForked, ProofInvalid
from explainer.ledger import tree, verify
from explainer.ledger.checkpoint import (
    Checkpoint,
    Sealer,
    Signer,
    VerifierKey,
    WitnessDirectory,
    parse_checkpoint,
    parse_note,
)
from explainer.ledger.checkpoint import verify as verify_note

# The worked examples of the specifications (C2SP tlog-checkpoint, signed-note; Go sumdb/note)
SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv"
    "2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
).encode()
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_SIGNATURE = (
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
)

NAME = "warum/jc/ledger"
SIGNER = Signer(NAME, bytes(range(32)))
LEAVES = [tree.leaf_hash(bytes([number])) for number in range(12)]


def head(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(NAME, size, tree.root(leaves[:size]))


def proof(old: int, size: int, leaves: list[bytes] = LEAVES) -> list[bytes]:
    return tree.consistency_proof(old, size, tree.subtrees(leaves)) if old else []


def test_the_published_checkpoint_is_read() -> None:
    text, signatures = parse_note(SOFA)
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == text
    assert [line.name for line in signatures] == ["example.com/behind-the-sofa"]
    assert signatures[0].key_id.hex() == "033de0ae"
    assert len(signatures[0].value) == 64


def test_the_published_verifier_key_is_read_and_written_and_its_signature_holds() -> None:
    key = VerifierKey.parse(EXAMPLE_KEY)
    assert str(key) == EXAMPLE_KEY
    assert key.key_id.hex() == "530d903a"
    blob = base64.b64decode(EXAMPLE_SIGNATURE)
    assert blob[:4] == key.key_id
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = Ed25519PublicKey.from_public_bytes(key.public)
    public.verify(blob[4:], b"This is an example message.\n")


def test_a_note_keeps_empty_lines_in_its_text() -> None:
    blob = base64.b64encode(b"\x00\x00\x00\x01" + bytes(64)).decode()
    text, signatures = parse_note(f"first\n\nlast\n\n— example.org/log {blob}\n".encode())
    assert text == b"first\n\nlast\n"
    assert [line.name for line in signatures] == ["example.org/log"]


def test_signing_is_deterministic_and_both_verifiers_accept_it() -> None:
    note = SIGNER.sign(head(5))
    assert note == SIGNER.sign(head(5))
    assert verify_note(note, SIGNER.key) == head(5)
    theirs = verify.read_note(note, verify.read_key(str(SIGNER.key)), outside=True)
    assert (theirs.origin, theirs.size, theirs.root) == (NAME, 5, head(5).root)


def test_a_value_in_base64_has_one_spelling() -> None:
    """Bits beyond the last byte are not signed, so they have to be zero."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    note = SIGNER.sign(head(5)).decode()
    assert note.endswith("=\n")
    assert not note.endswith("==\n")
    last = alphabet.index(note[-3])
    assert last % 4 == 0
    for unused in (1, 2, 3):
        _refused(f"{note[:-3]}{alphabet[last + unused]}=\n".encode())


def test_lines_of_unknown_keys_are_ignored_up_to_a_hundred() -> None:
    note = SIGNER.sign(head(5))
    text, _, ours = note.decode().rpartition("\n\n")
    other = f"— {NAME} {base64.b64encode(b'xxxx' + bytes(64)).decode()}\n"
    cosigner = f"— witness.example {base64.b64encode(b'yyyy' + bytes(72)).decode()}\n"
    for extra in (1, 16, 49):
        many = f"{text}\n\n{(other + cosigner) * extra}{ours}".encode()
        assert verify_note(many, SIGNER.key) == head(5)
        verify.read_note(many, verify.read_key(str(SIGNER.key)), outside=True)
    too_many = f"{text}\n\n{other * 100}{ours}".encode()
    _refused(too_many)


def test_one_bad_signature_of_the_known_key_refuses_the_note_though_another_is_good() -> None:
    note = SIGNER.sign(head(5))
    bad = base64.b64encode(SIGNER.key.key_id + bytes(64)).decode()
    _refused(note + f"— {NAME} {bad}\n".encode())


def test_every_flipped_byte_of_a_note_is_refused() -> None:
    note = SIGNER.sign(head(5))
    for at in range(len(note)):
        for mask in (0x01, 0x20, 0x80):
            _refused(note[:at] + bytes([note[at] ^ mask]) + note[at + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{NAME}\n5\n",
        f"{NAME}\n05\nROOT\n",
        f"{NAME}\n+5\nROOT\n",
        f"{NAME}\n-5\nROOT\n",
        f"{NAME}\n5 \nROOT\n",
        f"{NAME}\n٥\nROOT\n",
        f"{NAME}\n99999999999999999999\nROOT\n",
        f"{NAME}\n9223372036854775808\nROOT\n",
        f"{NAME}\n5\nAAAA\n",
        f"{NAME}\n5\n!\n",
        f"{NAME}\n5\nROOT\n\nextension\n",
        "two words\n5\nROOT\n",
        "a+b\n5\nROOT\n",
        "other/ledger\n5\nROOT\n",
        f"{NAME}\n5\nROOT",
    ],
    ids=repr,
)
def test_a_text_that_is_no_checkpoint_is_refused_though_properly_signed(text: str) -> None:
    data = text.replace("ROOT", base64.b64encode(bytes(32)).decode()).encode()
    blob = SIGNER.key.key_id + SIGNER._private.sign(data)
    note = data + f"\n— {NAME} {base64.b64encode(blob).decode()}\n".encode()
    _refused(note)


def test_an_extension_line_is_allowed() -> None:
    data = head(5).text() + b"extension\n"
    blob = SIGNER.key.key_id + SIGNER._private.sign(data)
    note = data + f"\n— {NAME} {base64.b64encode(blob).decode()}\n".encode()
    assert verify_note(note, SIGNER.key) == head(5)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n\n",
        b"\xff\xfe",
        b"a\n\n",
        b"a\n\n\xe2\x80\x94 n AAAAAAAA",
        b"a\n\n-- n AAAAAAAA\n",
        b"a\n\n\xe2\x80\x94 n AAAAAA=\n",
        b"a\n\n\xe2\x80\x94 n AAAA\n",
        b"a\n\n\xe2\x80\x94  AAAAAAAA\n",
        b"a\n\n\xe2\x80\x94 n AAAAAAAA extra\n",
        b"a\r\n\n\xe2\x80\x94 n AAAAAAAA\n",
        b"a" * (2**20 + 1),
    ],
    ids=lambda note: repr(note[:30]),
)
def test_malformed_notes_end_in_our_error(note: bytes) -> None:
    _refused(note)


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_random_notes_end_in_our_error(note: bytes) -> None:
    _refused(note)
    _refused(head(3).text() + b"\n" + note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a+b+c",
        EXAMPLE_KEY.replace("530d903a", "530d903b"),
        EXAMPLE_KEY.replace("530d903a", "530D903A"),
        EXAMPLE_KEY.replace("Aeky", "Beky"),
        EXAMPLE_KEY[:-4],
        f" {EXAMPLE_KEY}",
        EXAMPLE_KEY.replace("example", "exämple"),
        "\ud800+00000000+AAAA",
    ],
    ids=ascii,
)
def test_a_damaged_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(ProofInvalid):
        VerifierKey.parse(text)
    with pytest.raises(verify.Unusable):
        verify.read_key(text)


def test_the_verifier_takes_only_keys_named_for_a_log() -> None:
    with pytest.raises(verify.Unusable, match="/ledger or /access"):
        verify.read_key(EXAMPLE_KEY)


def test_the_sealer_signs_each_head_that_continues_the_last(tmp_path: Path) -> None:
    sealer = Sealer(SIGNER, tmp_path / "ledger.note")
    assert sealer.last() is None
    for old, size in ((0, 1), (1, 4), (4, 4), (4, 11)):
        note = sealer.seal(old, proof(old, size), head(size))
        assert verify_note(note, SIGNER.key) == head(size)
        assert Sealer(SIGNER, tmp_path / "ledger.note").last() == head(size)


def test_the_sealer_refuses_every_head_that_does_not_continue_the_last(tmp_path: Path) -> None:
    sealer = Sealer(SIGNER, tmp_path / "ledger.note")
    note = sealer.seal(0, [], head(6))
    forged = [*LEAVES[:2], LEAVES[0], *LEAVES[3:]]
    refused: list[tuple[type[Exception], int, list[bytes], Checkpoint]] = [
        (LogForked, 6, proof(6, 9, forged), head(9, forged)),
        (LogForked, 6, [], head(6, forged)),
        (LogForked, 6, [], head(9)),
        (LogForked, 5, proof(5, 9), head(9)),
        (LogForked, 5, proof(6, 9), head(9)),
        (LogForked, 0, [], head(9)),
        (LogBehindWitness, 6, [], head(5)),
        (LogBehindWitness, 5, [], head(5)),
    ]
    for error, old, steps, new in refused:
        with pytest.raises(error):
            sealer.seal(old, steps, new)
    assert sealer.last_note() == note


def test_a_first_seal_may_not_pretend_to_have_a_past(tmp_path: Path) -> None:
    sealer = Sealer(SIGNER, tmp_path / "ledger.note")
    with pytest.raises(LogForked):
        sealer.seal(3, proof(3, 6), head(6))


def test_a_sealer_that_lost_its_memory_takes_up_a_witnessed_head_only_once(tmp_path: Path) -> None:
    sealer = Sealer(SIGNER, tmp_path / "ledger.note")
    sealer.adopt(SIGNER.sign(head(6)))
    assert sealer.last() == head(6)
    with pytest.raises(LogForked):
        sealer.adopt(SIGNER.sign(head(7)))


def test_a_signer_signs_only_its_own_log() -> None:
    with pytest.raises(ProofInvalid):
        SIGNER.sign(Checkpoint("warum/jc/access", 0, tree.EMPTY_ROOT))


def test_the_witness_keeps_every_checkpoint_as_a_file_and_knows_the_newest(tmp_path: Path) -> None:
    folder = WitnessDirectory(tmp_path / "witness")
    assert folder.newest(SIGNER.key) is None
    for size in (2, 10, 9):
        note = SIGNER.sign(head(size))
        path = folder.keep(note, SIGNER.key)
        assert folder.keep(note, SIGNER.key) == path
        assert path.read_bytes() == note
        assert path.name.endswith(f"-{hashlib.sha256(note).hexdigest()[:16]}.note")
    assert folder.newest(SIGNER.key) == head(10)
    assert len(list((tmp_path / "witness").iterdir())) == 3  # and no drafts are left


def test_the_witness_takes_no_note_that_is_not_signed(tmp_path: Path) -> None:
    folder = WitnessDirectory(tmp_path)
    with pytest.raises(ProofInvalid):
        folder.keep(Signer(NAME, bytes(32)).sign(head(2)), SIGNER.key)
    assert not list(tmp_path.iterdir())


def test_a_kept_checkpoint_that_was_damaged_or_renamed_is_an_error(tmp_path: Path) -> None:
    folder = WitnessDirectory(tmp_path)
    path = folder.keep(SIGNER.sign(head(2)), SIGNER.key)
    renamed = path.rename(tmp_path / path.name.replace("2-", "9-", 1))
    with pytest.raises(ProofInvalid):
        folder.newest(SIGNER.key)
    renamed.write_bytes(b"")
    with pytest.raises(ProofInvalid):
        folder.newest(SIGNER.key)


def _refused(note: bytes) -> None:
    with pytest.raises(ProofInvalid):
        verify_note(note, SIGNER.key)
    with pytest.raises(verify.Wrong):
        verify.read_note(note, verify.read_key(str(SIGNER.key)), outside=True)
