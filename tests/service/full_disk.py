"""Run by tests as a program, with mounts of its own: an office on a disk that becomes full.

    python full_disk.py sqlite|postgresql FOLDER

On SQLite the small disk holds the data folder, on PostgreSQL the tables of the server. Every
promise is asserted here; the exit code says whether all hold.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

from offices import Office, decide_by_form, demo_settings, open_office
from servers import NOBODY, SQLITE, Server, reached_into

from service.verification import verify_files


def small_disk(folder: Path, megabytes: int) -> Path:
    folder.mkdir()
    options = f"size={megabytes}m,mode=0700,uid={NOBODY if os.geteuid() == 0 else os.geteuid()}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    return folder


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 512, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return filler


def watch(office: Office, disk: Path) -> None:
    """Decide until there is no room; then make room and go on."""
    decided = [office.decided(0)]
    office.tools.seals.now()
    filler = fill(disk)
    waiting = list(office.cases[1:])
    while True:
        case, size = waiting.pop(0), office.size()
        visitor = office.visitor("caseworker")
        answer = visitor.get(f"/cases/{case.id}")
        if answer.status == 200:
            action = f"/cases/{case.id}/decision"
            form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
            answer = visitor.post(action, {**answer.hidden(action), **form})
            if answer.status == 303:
                decided.append(case)
                continue
        assert answer.status == 503, answer.status
        assert "Traceback" not in str(answer.body)
        assert office.size() - size in (0, 1)  # the page was shown, or not even that
        break
    assert all(len(office.decisions(one)) == 1 for one in decided)
    assert not office.decisions(case)
    filler.unlink()
    decide_by_form(office.visitor("caseworker"), case.id)
    assert all(result.clean for result in verify_files(office.tools))
    assert len(office.decisions(case)) == 1


def main(where: str, folder: Path) -> None:
    with ExitStack() as stack:
        if where == SQLITE:
            disk = small_disk(folder / "data", megabytes=4)
            settings = demo_settings(disk)
        else:
            server = stack.enter_context(closing(Server()))
            disk = small_disk(server.folder / "tables", megabytes=4)
            stack.callback(subprocess.run, ["umount", "--lazy", disk], check=True)
            address = server.address(server.make())
            server.sql(f"CREATE TABLESPACE small LOCATION '{disk}'")
            reached_into(address, *(f"ALTER TABLE {one} SET TABLESPACE small" for one in GROWING))
            settings = demo_settings(folder / "data", database=address)
        office = open_office(settings, 30)
        stack.callback(office.tools.close)
        watch(office, disk)


GROWING = ("entry", "payload", "case_entry", "decision_record", "idempotency")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
