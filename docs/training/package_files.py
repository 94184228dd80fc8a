"""What every recipe writes in the same way: the figures in the card, the list of files."""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path

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


def write_card(path: Path, recipe: str, figures: str) -> None:
    """Put `figures` between the two markers, so that the card cannot drift from the model."""
    begin = FIGURES_BEGIN.format(recipe=recipe)
    text = path.read_text("utf-8")
    before, rest = text.split(begin)
    _, after = rest.split(FIGURES_END)
    path.write_text(f"{before}{begin}\n\n{figures}\n{FIGURES_END}{after}", "utf-8")


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
