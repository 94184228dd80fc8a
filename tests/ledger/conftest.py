"""One real installation, written once; tests that attack it get a copy."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgers import Installation, build


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Three cases, each shown and decided, the first erased: seven ledger entries."""
    return build(tmp_path_factory.mktemp("pristine") / "data")


@pytest.fixture
def installation(pristine: Installation, tmp_path: Path) -> Installation:
    """A copy to do anything with."""
    return pristine.copy(tmp_path / "data")
