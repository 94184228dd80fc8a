"""A receipt somebody can keep: one entry, its place in the log, and the signed head above it.

The form is C2SP tlog-proof. The leaf and the salt of what was told travel in `extra`, which that
format does not vouch for: it counts only because it hashes to the leaf that is proven.
"""

from __future__ import annotations

import base64

from explainer.errors import ProofInvalid
from explainer.ledger.checkpoint import VerifierKey, verify
from explainer.ledger.entries import Leaf, canonical
from explainer.ledger.tree import Subtree, inclusion_proof, leaf_hash, verify_inclusion

FORM = "c2sp.org/tlog-proof@v1"


def write_receipt(
    leaf: bytes, told_salt: bytes | None, note: bytes, key: VerifierKey, subtree: Subtree
) -> bytes:
    """The receipt of an entry under a signed head.

    Parameters
    ----------
    leaf : its exact bytes
    told_salt : of the letter or page it vouches for, if it does
    note : a signed checkpoint of a size that covers the entry
    subtree : hashes any subtree of that log (`tree.subtrees`)

    Raises ProofInvalid where the head does not cover the entry.
    """
    head, seq = verify(note, key), Leaf.from_bytes(leaf).seq
    if seq >= head.size:
        raise ProofInvalid(
            what="The newest signed head does not cover this entry yet.",
            where=f"entry {seq}",
            mend="Try again in a minute: heads are signed at least every minute.",
        )
    proof = inclusion_proof(seq, head.size, subtree)
    verify_inclusion(seq, head.size, leaf_hash(leaf), proof, head.root)
    extra = canonical(
        {"leaf": leaf.decode(), "told_salt": None if told_salt is None else told_salt.hex()}
    )
    lines = [FORM, f"extra {_text(extra)}", f"index {seq}", *map(_text, proof), ""]
    return "\n".join(lines).encode() + b"\n" + note


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
