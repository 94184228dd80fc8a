"""The sample log of transparency-dev/tessera, made again by us and read by us.

It is published with the key that signs it and the words that are its entries, and a signature of
Ed25519 is the same whoever makes it: so what we write has to be theirs byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from explainer.ledger import tree, verify
from explainer.ledger.checkpoint import Checkpoint, Signer, VerifierKey, WitnessDirectory
from explainer.ledger.checkpoint import verify as verify_note
from explainer.ledger.export import _Tiles

ORIGIN = "example.com/log/testdata"
PUBLIC = f"{ORIGIN}+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
PRIVATE = base64.b64decode("AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg")[1:]
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eit", "nain", "ten"]
WORDS += ["ileven", "twelf", "threeten", "fourten", "fivten"]
LEAVES = [tree.leaf_hash(word.encode()) for word in WORDS]
SIZES = range(16)

# SHA-256 over the published files checkpoint.0 to checkpoint.15, one after the other
NOTES_DIGEST = "c366c82fdd7c77311b8141fbd3769670884dba48445f343867c348455de269fd"


@pytest.fixture(scope="module")
def notes() -> list[bytes]:
    signer = Signer(ORIGIN, PRIVATE)
    return [signer.sign(Checkpoint(ORIGIN, size, tree.root(LEAVES[:size]))) for size in SIZES]


def test_the_sixteen_checkpoints_we_write_are_the_published_bytes(notes: list[bytes]) -> None:
    assert str(Signer(ORIGIN, PRIVATE).key) == PUBLIC
    assert len(notes) == 16
    assert hashlib.sha256(b"".join(notes)).hexdigest() == NOTES_DIGEST


def test_the_sixteen_checkpoints_are_read_by_both_verifiers(notes: list[bytes]) -> None:
    ours = VerifierKey.parse(PUBLIC)
    # a log of ours is named otherwise, which the verifier would say before anything else
    theirs = verify._read_key(PUBLIC, b"\x01", "not an Ed25519 key")
    for size, note in enumerate(notes):
        root = tree.root(LEAVES[:size])
        assert verify_note(note, ours) == Checkpoint(ORIGIN, size, root)
        read = verify.read_note(note, theirs, outside=True)
        assert (read.origin, read.size, read.root) == (ORIGIN, size, root)


def test_every_head_of_the_sample_log_continues_every_older_one(notes: list[bytes]) -> None:
    key, subtree, proven = VerifierKey.parse(PUBLIC), tree.subtrees(LEAVES), 0
    heads = [verify_note(note, key) for note in notes]
    for old in heads[1:]:
        for head in heads[old.size :]:
            proof = tree.consistency_proof(old.size, head.size, subtree)
            tree.verify_consistency(old.size, old.root, head.size, head.root, proof)
            path = tree.inclusion_proof(old.size - 1, head.size, subtree)
            tree.verify_inclusion(old.size - 1, head.size, LEAVES[old.size - 1], path, head.root)
            proven += 1
    assert proven == 120


def test_the_hash_tiles_we_write_lead_to_the_published_roots(
    notes: list[bytes], tmp_path: Path
) -> None:
    """The tile of each size, under the name C2SP tlog-tiles gives it."""
    key = VerifierKey.parse(PUBLIC)
    for size in SIZES[1:]:
        tiles = _Tiles(tmp_path)
        tiles.add(LEAVES[:size])
        tiles.close()
        data = (tmp_path / "0" / "000.p" / str(size)).read_bytes()
        hashes = [data[at : at + 32] for at in range(0, len(data), 32)]
        assert tree.Range().extend(hashes).root() == verify_note(notes[size], key).root


def test_a_witness_folder_keeps_the_sample_log_as_it_grows(
    notes: list[bytes], tmp_path: Path
) -> None:
    key, witness = VerifierKey.parse(PUBLIC), WitnessDirectory(tmp_path)
    for size, note in enumerate(notes):
        assert witness.keep(note, key).read_bytes() == note
        assert witness.newest(key) == verify_note(note, key)
        assert witness.newest_note(key) == note
        assert [kept for kept, _ in witness.newest_first()] == list(range(size, -1, -1))


def test_a_log_of_70_000_has_the_tiles_of_the_published_example(tmp_path: Path) -> None:
    """C2SP tlog-tiles counts them out for this size."""
    tiles = _Tiles(tmp_path)
    tiles.add([LEAVES[0]] * 70_000)
    tiles.close()
    written = {
        path.relative_to(tmp_path).as_posix(): path.stat().st_size // 32
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    published = {f"0/{index:03d}": 256 for index in range(273)}
    published |= {"0/273.p/112": 112, "1/000": 256, "1/001.p/17": 17, "2/000.p/1": 1}
    assert written == published
    assert published == {
        f"{level}/{verify._file_name(index, width)}": width
        for level in range(4)
        for index, width in verify._places(70_000, level)
    }
