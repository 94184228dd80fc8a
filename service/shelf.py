"""Every package that was ever admitted, kept by its digest.

A case that was decided is told with the package it was decided under, words and all, never with
a newer one; and a case whose package is refused today can still be read and decided. Words that
were banned since it was admitted do not keep it back: people were shown them, and what they were
shown has to be found again.

What somebody lays into the folder by hand is not opened, whole as it may be: that a package was
admitted is an entry of the ledger.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Container, Set
from pathlib import Path

from explainer.errors import ExplainerError, ModelFailed, PackageError, StorageFailed
from explainer.ledger.durable import write_new
from explainer.ledger.log import LogName
from explainer.packages.admit import admit
from explainer.packages.package import ModelPackage, read_files
from explainer.text.languages import all_languages
from service.store.database import Store
from service.store.records import admitted_digests

MOST_OPEN = 4
"""Older packages kept open at once; each holds a model in memory."""
LAID_THERE = (
    "The package lies on the shelf, but no entry says that it ever came into force here: somebody "
    "laid it there."
)


class Shelf:
    """A folder of packages by digest, and for each id the digest admitted last."""

    def __init__(self, folder: Path, admitted: Container[str]) -> None:
        """`admitted` holds the digests that ever came into force, as the ledger says."""
        self._folder = folder
        self._recorded = admitted
        self._open: dict[str, ModelPackage] = {}
        self._guard = threading.Lock()  # of `_open` and `_opening`, never held for long
        self._opening: dict[str, threading.Lock] = {}

    def keep(self, package: ModelPackage, source: Path) -> None:
        """Lay a copy aside, whole or not at all. Raises StorageFailed."""
        place = self._folder / package.identity.digest
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            spoken = set(package.wordings)
            if place.is_dir():
                spoken |= self._admitted_in(package.identity.digest)
            # before the package: without it, all languages would count as admitted
            write_new(self._words(package.identity.digest), "\n".join(sorted(spoken)).encode())
            if not place.is_dir():
                self._copy(package, source, place)
            write_new(self._last(package.manifest.id), package.identity.digest.encode("ascii"))
        except OSError as fault:
            raise StorageFailed(
                f"The package could not be laid aside ({fault.strerror}).",
                str(self._folder),
                "Make room there and start again.",
            ) from None

    def _copy(self, package: ModelPackage, source: Path, place: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".draft-") as made:
            draft = Path(made) / "package"
            files = read_files(source)
            if files.manifest.digest != package.identity.digest:
                raise StorageFailed(
                    "The package changed while it was read.", str(source), "Start again."
                )
            for name, data in files.data.items():
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                (draft / name).write_bytes(data)
            shutil.copyfile(source / "manifest.toml", draft / "manifest.toml")
            draft.replace(place)

    def of_digest(self, digest: str) -> ModelPackage:
        """The package of exactly this digest. Raises ModelFailed where it is not to be had.

        Of two who ask at once one opens it, which takes its time and memory, and the other waits.
        """
        with self._guard:
            opening = self._opening.setdefault(digest, threading.Lock())
        with opening:
            with self._guard:
                if digest in self._open:
                    return self._open[digest]
            package = self._admitted(digest)
            with self._guard:
                while len(self._open) >= MOST_OPEN:
                    del self._open[next(iter(self._open))]
                self._open[digest] = package
            return package

    def _admitted(self, digest: str) -> ModelPackage:
        place = self._folder / digest
        if digest not in self._recorded:  # nothing of it is read
            raise _not_admitted() if place.exists() else _missing()
        try:
            package = admit(place, self._admitted_in(digest))
        except (PackageError, OSError):
            raise _missing() from None
        if package.identity.digest != digest:
            raise _missing()
        return package

    def last_of(self, package_id: str) -> ModelPackage:
        """The package of this id that was admitted last. Raises ModelFailed."""
        try:
            digest = self._last(package_id).read_text("ascii")
        except (OSError, UnicodeDecodeError):
            raise _missing() from None
        package = self.of_digest(digest)
        if package.manifest.id != package_id:
            raise _missing()
        return package

    def known(self) -> bool:
        """Whether any package was ever admitted here."""
        return any(self._folder.glob("last-*"))

    def _admitted_in(self, digest: str) -> Set[str]:
        """The languages in which it ever was in force. Versions that did not look for banned words
        noted none, and admitted all that were whole."""
        try:
            return {*self._words(digest).read_text("ascii", "replace").split()}
        except FileNotFoundError:
            return all_languages().keys()

    def _words(self, digest: str) -> Path:
        return self._folder / f"words-{digest}"

    def _last(self, package_id: str) -> Path:
        # an id holds small letters, digits and _ only: the manifest is checked for it
        return self._folder / f"last-{package_id}"


class Admissions:
    """The digests of the packages that ever came into force, read from the ledger at first, after
    `look`, and when asked for one that is not known: another process may have admitted it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looking = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._looked = 0
        self.look()

    def look(self) -> None:
        """Read what was recorded since the last time. Raises StorageFailed."""
        with self._looking:
            self._look()

    def _look(self) -> None:
        with self._store.reading() as tx:
            size = tx.log(LogName.LEDGER).head().size
            self._known |= admitted_digests(tx, self._looked)
        self._looked = size

    def __contains__(self, digest: object) -> bool:
        # who asks has a connection already: if all who have one waited here for a second, there
        # would be none left to wait for
        if digest not in self._known and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        return digest in self._known


def _not_admitted() -> ExplainerError:
    return ModelFailed(
        LAID_THERE,
        "package",
        "Find out who put it into the data folder. One that is to be used goes into the folder of "
        "packages, where it is admitted.",
    )


def _missing() -> ExplainerError:
    return ModelFailed(
        "The package of this case is not to be had.",
        "package",
        "Put it back into the folder of packages; `warum doctor` says why it is refused.",
    )
