"""From starting the service until it says that it is ready: packages admitted, ledger checked."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness import heading, row, service

RUNS = 5


def main() -> None:
    fresh, again = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data"
            with service(data) as (_, seconds):
                fresh.append(seconds)
            with service(data) as (_, seconds):
                again.append(seconds)
    heading("From the start until /readyz answers")
    row("first start: keys, database and first entry are made", fresh)
    row("later start", again)


if __name__ == "__main__":
    main()
