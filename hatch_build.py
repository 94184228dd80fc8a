"""Compiles the kernel when Warum is installed or its wheel is built, if a compiler is there."""

from __future__ import annotations

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
ENGINE = ROOT / "explainer" / "families" / "engine"


class KernelHook(BuildHookInterface):  # type: ignore[misc]
    """A wheel with the kernel is for one kind of machine; one without is for all."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        # by its place, not by its name: another `explainer` may be installed here
        built = runpy.run_path(str(ENGINE / "build_kernel.py"))["build_into"](ENGINE)
        if built is None:
            self.app.display_warning("no C++ compiler: the wheel computes by NumPy, slower")
            return
        build_data["artifacts"].append(built.relative_to(ROOT).as_posix())
        build_data["pure_python"] = False
        # any Python 3 of this machine: the library has a plain C interface
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
