"""The figures that bind a comparison group to its model, written into the manifest."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np


def write_group_figures(package: Path, margins: np.ndarray) -> None:
    """Mean and spread of the comparison group's margins, from the bare pipeline, in the manifest.

    They bind the group to the model: whoever opens the package measures the group again.
    """
    manifest = package / "manifest.toml"
    low, high = np.quantile(margins, [0.1, 0.9])
    text = manifest.read_text("utf-8")
    # Six digits are far below the tolerance of the comparison and the same everywhere.
    for key, figure in (("base", margins.mean()), ("margin_scale", high - low)):
        text, times = re.subn(rf"(?m)^{key} = .*$", f"{key} = {figure:.6f}", text)
        if times != 1:
            raise SystemExit(f"manifest.toml: {key} is there {times} times")
    manifest.write_text(text, "utf-8")
