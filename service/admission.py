"""Which packages are in force. They are admitted beside the pages, which answer meanwhile.

A package speaks once it is checked, laid aside and entered in the ledger, never before. Until then
nobody can say what it suggests, so a case of it is neither shown nor decided: whoever asks is told
to come back in a moment. A package that takes long holds up its own cases only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from explainer.errors import ExplainerError, PackageError, PackageFaulty, SettingsInvalid
from explainer.families.artefacts import read_once
from explainer.packages.admit import admit
from explainer.packages.manifest import manifest_as_it_is
from explainer.packages.package import ModelPackage
from service.events import log
from service.shelf import Shelf

AT_ONCE = 4
"""Packages that are tried at the same time."""


class Starting(ExplainerError):
    """The package of this case is still being admitted; nothing was shown, nothing stored."""

    code = "service.starting"


@dataclass(frozen=True, slots=True)
class Admitted:
    """What is known of the packages at one moment; the next moment takes its place as a whole.

    Attributes
    ----------
    packages : those in force by id, in the order of their folders
    refused : what is wrong with the others, by the name of the folder
    done : whether all were tried
    """

    packages: Mapping[str, ModelPackage]
    refused: Mapping[str, PackageError]
    done: bool

    def check_tried(self, package_id: str | None = None) -> None:
        """Raise Starting while nobody knows whether this package will be in force; without an id,
        while any is still to be tried."""
        if not self.done and package_id not in self.packages:
            raise Starting(
                "The package is still being admitted.",
                "package",
                "Ask again in a moment; /readyz says when all is ready.",
            )


class Admission:
    """Tries the packages in `folders`. Raises SettingsInvalid where there is none.

    `record` writes the entry of a package that comes into force.
    """

    def __init__(
        self, folders: Sequence[Path], shelf: Shelf, record: Callable[[ModelPackage], None]
    ) -> None:
        if not folders:
            raise SettingsInvalid(
                "There is no package.",
                "WARUM_MODELS",
                "Name folders of packages; `warum package new` makes one.",
            )
        self._folders = tuple(folders)
        self._shelf = shelf
        self._record = record
        self._twins: dict[Path, list[Path]] = {}
        self._tried: dict[Path, ModelPackage | PackageError] = {}
        self._found: dict[Path, ModelPackage | PackageError] = {}
        self._failed: list[Exception] = []
        self._places = threading.Semaphore(AT_ONCE)
        self._one = threading.Lock()
        self._closed = False
        self.state = Admitted({}, {}, done=False)

    def run(self) -> None:
        """Return once all were tried. A package with faults is left out and named.

        Raises PackageFaulty where none is left and none ever was in force here, SettingsInvalid
        where two have the same id, StorageFailed where one cannot be laid aside or recorded.
        """
        ids = {folder: _id_said(folder) for folder in self._folders}
        self._twins = {
            folder: [one for one in ids if one == folder or ids[one] == said != ""]
            for folder, said in ids.items()
        }
        # they may hang with a model: nobody who stops the service waits for that
        tries = [
            threading.Thread(target=self._attempt, args=(folder,), name="admit", daemon=True)
            for folder in self._folders
        ]
        for one in tries:
            one.start()
        for one in tries:
            one.join()
        if self._failed:
            raise self._failed[0]
        refused = self.state.refused
        if refused and not self.state.packages and not self._shelf.known():
            faults = [one for fault in refused.values() for one in _each(fault)]
            raise PackageFaulty(", ".join(sorted(refused)), faults)
        self.state = replace(self.state, done=not self._closed)

    @property
    def trying(self) -> tuple[str, ...]:
        """Names of the folders whose packages nobody knows yet to be in force or refused."""
        found = set(self._found)
        return tuple(folder.name for folder in self._folders if folder not in found)

    def begin(self, ended: Callable[[Exception | None], None]) -> None:
        """`run` beside whatever else goes on; `ended` is told what it raised, None if nothing. It
        is told nothing where this was closed before."""

        def beside() -> None:
            fault = None
            try:
                self.run()
            except Exception as raised:  # for whoever can end the service with it
                fault = raised
            if not self._closed:
                ended(fault)

        threading.Thread(target=beside, name="admission", daemon=True).start()

    def close(self) -> None:
        """Admit none any more. Returns when nothing is being written, and waits for no model."""
        with self._one:
            self._closed = True

    def _attempt(self, folder: Path) -> None:
        try:
            with self._places:
                found = None if self._closed else _try(folder)
            with self._one:
                if found is not None and not self._closed:
                    self._take(folder, found)
        except Exception as fault:  # raised again by `run`, which waits for this
            self._failed.append(fault)

    def _take(self, folder: Path, found: ModelPackage | PackageError) -> None:
        self._tried[folder] = found
        twins = self._twins[folder]
        if not self._tried.keys() >= set(twins):
            return  # which of them is meant nobody knows yet, so none speaks
        known = set(self.state.packages)
        for one in twins:
            tried = self._tried[one]
            if isinstance(tried, PackageError):
                log.error("package refused", package=one.name, count=len(_each(tried)))
            elif tried.manifest.id in known:
                raise SettingsInvalid(
                    "Two packages have the same id.", tried.manifest.id, "Keep one of them."
                )
            else:
                known.add(tried.manifest.id)
        for one in twins:
            self._enter(one, self._tried[one])

    def _enter(self, folder: Path, found: ModelPackage | PackageError) -> None:
        if isinstance(found, ModelPackage):
            self._shelf.keep(found, folder)
            self._record(found)
        self._found[folder] = found
        known = [(one, self._found[one]) for one in self._folders if one in self._found]
        self.state = Admitted(
            {one.manifest.id: one for _, one in known if isinstance(one, ModelPackage)},
            {each.name: one for each, one in known if isinstance(one, PackageError)},
            done=False,
        )


def _id_said(folder: Path) -> str:
    """The id in the manifest, not checked yet; "" where none can be read."""
    try:
        manifest = manifest_as_it_is(read_once(folder / "manifest.toml"), [])
    except (OSError, ExplainerError):
        return ""
    return "" if manifest is None else manifest.id


def _try(folder: Path) -> ModelPackage | PackageError:
    try:
        return admit(folder)
    except PackageError as fault:
        return fault


def _each(fault: PackageError) -> Sequence[PackageError]:
    return fault.faults if isinstance(fault, PackageFaulty) else (fault,)
