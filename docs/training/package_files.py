"""What every recipe does with the files of a package: compare, write, seal."""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import sys
import tomllib
from pathlib import Path

import numpy as np

from golden import Golden, background_csv
from training import BACKGROUND_ROWS, Inputs, Trained

FIGURES_BEGIN = "<!-- figures: written by docs/training/{recipe} -->"
FIGURES_END = "<!-- end of figures -->"


def read_options(
    arguments: list[str] | None, said: str | None, package: Path, audit: Path
) -> tuple[Path, Path]:
    """The folder of the package and the file of the audit."""
    parser = argparse.ArgumentParser(description=(said or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=package, help="write a whole copy here")
    parser.add_argument("--audit", type=Path, help="write the file for the fairness audit here")
    options = parser.parse_args(arguments)
    out: Path = options.out
    if out.resolve() == package:
        return package, options.audit or audit
    shutil.copytree(package, out, dirs_exist_ok=True)
    return out, options.audit or out.with_name(audit.name)


def read_folder(arguments: list[str] | None, said: str | None, kept: Path) -> tuple[Path, bool]:
    """The new folder of a package that is not kept whole, and whether its card is written too."""
    parser = argparse.ArgumentParser(description=(said or "").splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "build" / kept.name
    parser.add_argument("--out", type=Path, default=default, help="write the package here")
    parser.add_argument("--card", action="store_true", help="write the figures into the card")
    options = parser.parse_args(arguments)
    return options.out, options.card


class Agreement:
    """What people declared in a package beside what came out; `faults` names every difference."""

    def __init__(self, package: Path) -> None:
        self.manifest = tomllib.loads((package / "manifest.toml").read_text("utf-8"))
        features = tomllib.loads((package / "features.toml").read_text("utf-8"))["feature"]
        self.features = {feature["name"]: feature for feature in features}
        self.faults: list[str] = []

    def compare(self, what: str, declared: object, found: object) -> None:
        if declared != found:
            self.faults.append(f"{what}: declared {declared!r}, found {found!r}")

    def compare_trained(self, result: Trained, inputs: Inputs) -> None:
        """What must agree in every package: line, comparison group, and of each input its kind."""
        if result.probabilities is not None:  # an amount has no line
            threshold = self.manifest["suggestion"]["threshold"]
            self.compare("manifest threshold", threshold, result.line)
        self.compare(
            "manifest background rows", self.manifest["background"]["rows"], BACKGROUND_ROWS
        )
        self.compare("names and order of features", list(self.features), list(inputs.names))
        for name, feature in self.features.items():
            self.compare(f"{name} optional", feature["optional"], name in inputs.optional)
            missing = bool(result.train[name].isna().any())
            self.compare(f"{name} missing in training", missing, name in inputs.optional)
            if name in inputs.choices:
                self.compare(f"{name} choices", feature["choices"], list(inputs.choices[name]))
            else:
                span = [int(result.train[name].min()), int(result.train[name].max())]
                self.compare(f"{name} trained", feature["trained"], span)

    def compare_read_back(self, name: str, margins: np.ndarray, result: Trained) -> None:
        """The model's file must give back what the model itself gave."""
        same = np.array_equal(margins, result.margins)
        self.compare(f"the margins of {name}, read back", same, True)

    def refused(self) -> bool:
        """Whether there are differences; they are printed, and then nothing may be written."""
        if self.faults:
            print("Nothing was written:", *self.faults, sep="\n  ", file=sys.stderr)
        return bool(self.faults)


def write_numbers(out: Path, model: tuple[str, bytes], result: Trained, golden: Golden) -> None:
    """Write every file that is a number, then the digests of all files."""
    name, blob = model
    (out / "golden").mkdir(exist_ok=True)
    (out / name).write_bytes(blob)
    group = background_csv(result.background, golden.inputs.numbers)
    (out / "background.csv").write_text(group, "utf-8")
    (out / "golden" / "cases.jsonl").write_text(golden.lines(result), "utf-8")
    write_group_figures(out, result.margins_of(result.background))
    seal_manifest(out)
    print(f"SHA-256 of {name}:", hashlib.sha256(blob).hexdigest())


def make_package(
    kept: Path,
    out: Path,
    model: tuple[str, bytes],
    result: Trained,
    golden: Golden,
    read_back: np.ndarray,
) -> None:
    """Write a package into `out` around what people keep of it, the card as it is there.

    `read_back` are the held-out margins of the model as its file gives it back.
    """
    agreement = Agreement(kept)
    agreement.compare_trained(result, golden.inputs)
    agreement.compare_read_back(model[0], read_back, result)
    if agreement.refused():
        raise SystemExit(1)
    shutil.copytree(kept, out, dirs_exist_ok=True)
    write_numbers(out, model, result, golden)


def tell_figures(kept: Path, recipe: str, figures: str, card: bool) -> None:
    """Print the figures, and write them into the card where that was asked for."""
    print(figures)
    if card:
        write_card(kept / "CARD.md", recipe, figures)


def write_card(path: Path, recipe: str, figures: str) -> None:
    """Put `figures` between the two markers, so that the card cannot drift from the model."""
    begin = FIGURES_BEGIN.format(recipe=recipe)
    text = path.read_text("utf-8")
    before, rest = text.split(begin)
    _, after = rest.split(FIGURES_END)
    path.write_text(f"{before}{begin}\n\n{figures}\n{FIGURES_END}{after}", "utf-8")


def write_group_figures(package: Path, margins: np.ndarray) -> None:
    """Mean and spread of the comparison group's margins, from the bare model, in the manifest.

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


def seal_manifest(package: Path) -> None:
    """Rewrite the last table of the manifest: digest and size of every other file."""
    manifest = package / "manifest.toml"
    head = manifest.read_text("utf-8").partition("[files]\n")[0]
    lines = []
    for path in sorted(package.rglob("*")):
        name = path.relative_to(package).as_posix()
        if path.is_file() and name not in ("manifest.toml", "manifest.sig"):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            lines.append(f'"{name}" = {{ sha256 = "{digest}", size = {len(content)} }}\n')
    manifest.write_text(f"{head}[files]\n{''.join(lines)}", "utf-8")
