"""Every published probe of a proof (transparency-dev/merkle) ends as its publishers say."""

from __future__ import annotations

import probes

from explainer.errors import ProofInvalid
from explainer.ledger import tree, verify

INCLUSION = list(probes.inclusion())
CONSISTENCY = list(probes.consistency())


def test_the_probes_are_the_published_ones() -> None:
    assert (len(INCLUSION), probes.digest(INCLUSION)) == (98, probes.INCLUSION_DIGEST)
    assert (len(CONSISTENCY), probes.digest(CONSISTENCY)) == (98, probes.CONSISTENCY_DIGEST)


def test_every_published_inclusion_probe_ends_as_published() -> None:
    wrong, held = [], 0
    for probe in INCLUSION:
        try:
            tree.verify_inclusion(probe.index, probe.size, probe.leaf, probe.proof, probe.root)
            holds = True
        except ProofInvalid:
            holds = False
        held += holds
        if holds != probe.holds:
            wrong.append(probe)
    assert wrong == []
    assert held == 6


def test_the_verifier_that_is_handed_out_says_the_same() -> None:
    """It hashes the leaf itself, so 19 probes that hand it another hash cannot be put to it."""
    wrong, asked = [], 0
    for probe in INCLUSION:
        if probe.data is None:
            continue
        asked += 1
        try:
            above = verify._root_above(probe.index, probe.size, probe.data, probe.proof)
            holds = above == probe.root
        except verify.Wrong:
            holds = False
        if holds != probe.holds:
            wrong.append(probe)
    assert wrong == []
    assert asked == 79


def test_every_published_consistency_probe_ends_as_published() -> None:
    wrong, held = [], 0
    for probe in CONSISTENCY:
        try:
            tree.verify_consistency(probe.old, probe.old_root, probe.size, probe.root, probe.proof)
            holds = True
        except ProofInvalid:
            holds = False
        held += holds
        if holds != probe.holds:
            wrong.append(probe)
    assert wrong == []
    assert held == 6
