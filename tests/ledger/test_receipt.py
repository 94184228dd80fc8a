"""A receipt: what it proves to somebody who keeps it, and that no change of it goes unnoticed."""

from __future__ import annotations

import base64
import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledgers import NOON, MemoryKeys, MemoryLog

from explainer.errors import ProofInvalid
from explainer.ledger import verify
from explainer.ledger.checkpoint import Checkpoint, Signer
from explainer.ledger.entries import Entry, EntryKind, Receipt
from explainer.ledger.log import append
from explainer.ledger.receipt import write_receipt
from explainer.ledger.tree import Range, root, subtrees

SIGNER = Signer("warum/jc-musterstadt/ledger", b"\x07" * 32)
KEYS = [verify.read_key(str(SIGNER.key))]
LETTER = "Guten Tag, Frau Yılmaz …".encode()


def written(size: int) -> tuple[MemoryLog, list[Receipt]]:
    log, keys = MemoryLog(), MemoryKeys()
    told = hashlib.sha256(LETTER).digest()
    receipts = [
        append(
            log,
            Entry(EntryKind.SHOWN, {"number": at}, case_ref="BG-1", told=told),
            keys=keys,
            now=NOON,
            tenant="jc-musterstadt",
        )
        for at in range(size)
    ]
    return log, receipts


def head_of(log: MemoryLog, size: int) -> bytes:
    hashes = [record.leaf_hash for record in log.records[:size]]
    return SIGNER.sign(Checkpoint(SIGNER.key.name, size, root(hashes)))


def receipt(log: MemoryLog, one: Receipt, size: int) -> bytes:
    hashes = [record.leaf_hash for record in log.records[:size]]
    return write_receipt(one.leaf, one.told_salt, head_of(log, size), SIGNER.key, subtrees(hashes))


def test_every_entry_of_every_small_log_has_a_receipt_that_holds() -> None:
    log, receipts = written(33)
    pairs = [(at, size) for size in range(1, 34) for at in range(size)]
    for at, size in pairs:
        leaf, head = verify.verify_receipt(receipt(log, receipts[at], size), KEYS, LETTER)
        assert (leaf["seq"], head.size) == (at, size)
    assert len(pairs) == 561


def test_an_entry_after_the_newest_head_gets_none_yet() -> None:
    log, receipts = written(5)
    hashes = [record.leaf_hash for record in log.records]
    with pytest.raises(ProofInvalid, match="does not cover"):
        write_receipt(receipts[4].leaf, None, head_of(log, 4), SIGNER.key, subtrees(hashes))


def test_it_vouches_for_the_very_bytes_that_were_told_and_no_others() -> None:
    log, receipts = written(7)
    kept = receipt(log, receipts[3], 7)
    said, holds = verify.receipt_in_words(kept, KEYS, LETTER)
    assert holds
    assert "exactly the file" in said
    for other in (LETTER + b" ", b"", LETTER[:-1]):
        said, holds = verify.receipt_in_words(kept, KEYS, other)
        assert not holds
        assert "not what this entry vouches for" in said


def test_every_byte_of_a_receipt_counts() -> None:
    log, receipts = written(11)
    kept = receipt(log, receipts[6], 11)
    for at in range(len(kept)):
        for mask in (0x01, 0x20, 0x80):
            changed = kept[:at] + bytes([kept[at] ^ mask]) + kept[at + 1 :]
            with pytest.raises(verify.Wrong):
                verify.verify_receipt(changed, KEYS, LETTER)


def test_proof_index_and_head_of_other_entries_do_not_pass() -> None:
    log, receipts = written(11)
    kept = receipt(log, receipts[6], 11).decode()
    other = receipt(log, receipts[5], 11).decode()
    lines, others = kept.split("\n"), other.split("\n")
    end = lines.index("")
    hostile = [
        "\n".join([*lines[:1], others[1], *lines[2:]]),  # another leaf
        "\n".join([*lines[:2], "index 5", *lines[3:]]),
        "\n".join([*lines[:3], *others[3:end], *lines[end:]]),
        "\n".join([*lines[:3], *lines[end:]]),  # no proof
        "\n".join([*lines[:end], lines[3], *lines[end:]]),  # too long
        "\n".join([*lines[: end - 1], *lines[end:]]),  # too short
        kept.split("\n\n")[0] + "\n\n" + head_of(log, 10).decode(),
        kept.split("\n\n")[0] + "\n\n" + head_of(log, 3).decode(),
    ]
    for changed in hostile:
        with pytest.raises(verify.Wrong):
            verify.verify_receipt(changed.encode(), KEYS)


def test_another_logs_key_does_not_help() -> None:
    log, receipts = written(2)
    stranger = Signer("warum/elsewhere/ledger", b"\x08" * 32)
    with pytest.raises(verify.Wrong, match="key was not given"):
        verify.verify_receipt(receipt(log, receipts[0], 2), [verify.read_key(str(stranger.key))])


@given(seed=st.integers(0, 2**32))
def test_whatever_is_handed_in_is_answered_in_words(seed: int) -> None:
    source = random.Random(seed)
    log, receipts = written(3)
    hostile = bytearray(receipt(log, receipts[1], 3))
    for _ in range(source.randrange(1, 12)):
        at = source.randrange(len(hostile) + 1)
        hostile[at : at + source.randrange(9)] = source.randbytes(source.randrange(9))
    said, _ = verify.receipt_in_words(bytes(hostile), KEYS, LETTER)
    assert said.endswith(("clean", "NOT CLEAN"))


def test_the_form_is_the_published_one() -> None:
    log, receipts = written(4)
    kept = receipt(log, receipts[1], 4).decode()
    body, note = kept.split("\n\n", 1)
    form, extra, index, *proof = body.split("\n")
    assert (form, index) == ("c2sp.org/tlog-proof@v1", "index 1")
    assert extra.startswith("extra ")
    hashes = [record.leaf_hash for record in log.records]
    # the sibling of the leaf comes first
    assert base64.b64decode(proof[0]) == hashes[0]
    assert base64.b64decode(proof[1]) == Range().extend(hashes[2:]).root()
    assert note == head_of(log, 4).decode()


def test_the_one_file_checks_a_receipt_and_its_letter_alone(tmp_path: Path) -> None:
    log, receipts = written(6)
    (tmp_path / "mine.tlog-proof").write_bytes(receipt(log, receipts[2], 6))
    (tmp_path / "letter.html").write_bytes(LETTER)
    asked = [sys.executable, "-I", str(verify.__file__), str(tmp_path / "mine.tlog-proof")]
    asked += ["--key", str(SIGNER.key), "--told", str(tmp_path / "letter.html")]
    done = subprocess.run(asked, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "clean"), done.stderr
    (tmp_path / "letter.html").write_bytes(LETTER + b"\n")
    done = subprocess.run(asked, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "NOT CLEAN")
