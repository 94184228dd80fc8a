"""What `warum` runs first. Shipped under the distinctive name `warum_start`.

`explainer` and `service` are generic names: a foreign distribution that brings a top-level
package of the same name would overwrite our files without a word, a guard among them included.
So the guard lives under a name nobody else uses, and refuses to go on beside another owner.
"""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

OURS = ("explainer", "service")


def foreign_owners() -> list[str]:
    """Other distributions that own one of our import names; empty when all is well."""
    owners = importlib.metadata.packages_distributions()
    return sorted(
        {
            f"{distribution} ({name})"
            for name in OURS
            for distribution in owners.get(name, [])
            if distribution.lower() != "warum"
        }
    )


def homes() -> set[Path]:
    """The folders our two packages are imported from; one when all is well."""
    found = set()
    for name in OURS:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            found.add(Path(spec.origin).resolve().parent.parent)
    return found


def prepare_models(arguments: Sequence[str]) -> None:
    """Begin to load the libraries of the models a command will need, in their own processes.

    They take seconds, and nothing here has to wait for them yet. What is read here is a guess:
    the manifests are read and checked in earnest later, and a wrong guess costs nothing.
    """
    if arguments[:1] not in (["serve"], ["demo"], ["explain"]) or "--help" in arguments:
        return
    from explainer.families.nursery import SLOW, prepare
    from explainer.packages.bundled import declared_formats, named_places

    formats = declared_formats(named_places(arguments, os.environ))
    # the slow ones first, and alone: the others would only take the processor from them
    for declared in formats & SLOW or formats:
        prepare(declared)


def main() -> int:
    """Check that the names are ours, then run the command line."""
    others = foreign_owners()
    if others or len(homes()) != 1:
        print(
            "error [installation.broken] Another distribution owns import names of Warum: "
            f"{', '.join(others) or 'explainer and service lie in different places'}. "
            "Install Warum into an environment of its own.",
            file=sys.stderr,
        )
        return 1
    # loading libraries makes very many objects that stay: looking for garbage among them costs a
    # sixth of the start; commands switch it on again once everything is loaded
    gc.disable()
    prepare_models(sys.argv[1:])
    from service.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
