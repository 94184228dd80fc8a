"""A restore while the disk fails (`faults.py`): nothing was done, or everything, and it goes on."""

from __future__ import annotations

import atexit
import io
import os
import shutil
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

from faulted import Command, Operation, Said, Say, acknowledged
from servers import OWNER, Server, as_role, emptied

from explainer.errors import StorageFailed
from explainer.ledger import verify
from explainer.packages.bundled import bundled_packages
from service import cli
from service.settings import Settings, read_settings
from service.store.stored import verify_store
from service.wiring import open_ledger

BOTH = ("--by", "Anna Berg", "--by", "Jan Ott")
ALREADY = ("database already", "records in the database already")


class Restore(Command):
    """Database and key store are lost, and come back from their copies."""

    def __init__(self, *, on_server: bool) -> None:
        super().__init__("restore")
        self.on_server = on_server
        self.address = ""

    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        kept = folder / "kept"
        kept.mkdir()
        copies = [str(kept / "backup"), "--keys", str(kept / "keys"), "--data", str(folder)]
        with redirect_stdout(io.StringIO()):
            assert cli.main(["ledger", "backup", *copies]) == 0
        for name in ("warum.sqlite", "keys.sqlite"):
            (folder / name).unlink()
        shutil.rmtree(folder / "packages")
        if self.on_server:
            server = Server()
            atexit.register(server.close)
            self.address = server.address(server.make())
            os.environ["WARUM_DATABASE"] = self.address
            os.environ["WARUM_DATABASE_OWNER"] = as_role(self.address, OWNER)

    def begin(self, folder: Path) -> None:
        super().begin(folder)
        if self.address:
            emptied(self.address)

    def settings(self, folder: Path) -> Settings:
        told = {"WARUM_DATA": str(folder), "WARUM_DATABASE": self.address}
        return read_settings(told, bundled_packages())

    def act(self, folder: Path, store: object, say: Say) -> None:
        kept = folder / "kept"
        again = [str(kept / "backup"), *BOTH, "--data", str(folder)]
        code, told = command(*again, "--keys", str(kept / "keys"))
        if code and "key store already" in told:
            code, told = command(*again)
        if code and not any(said in told for said in ALREADY):
            raise StorageFailed(told, "the command", "as it says")
        say("acknowledged", "restored")

    def judge(self, folder: Path, said: Said) -> None:
        if acknowledged(said):
            self.there(folder)
        self.act(folder, None, lambda *words: None)
        self.there(folder)
        assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]

    def there(self, folder: Path) -> None:
        """The service starts, and finds the records and the entry that they were put back."""
        keys = [
            verify.read_key(path.read_text().strip())
            for path in folder.glob("seals/*/verifier.key")
        ]
        ledger = open_ledger(self.settings(folder))
        with closing(ledger.store):
            results = verify_store(ledger.store, keys, (), ledger.store.keys.all())
        assert all(result.clean for result in results)
        assert next(result.size for result in results if result.log == "ledger") == 4


def command(*arguments: str) -> tuple[int, str]:
    told = io.StringIO()
    with redirect_stdout(told), redirect_stderr(told):
        code = cli.main(["ledger", "restore", *arguments])
    assert "error [internal]" not in told.getvalue(), told.getvalue()
    return code, told.getvalue()


RESTORES: dict[str, Operation] = {
    "restore": Restore(on_server=False),
    "restore-postgresql": Restore(on_server=True),
}
