"""Make a package: a skeleton around an artefact, and the digests of its files."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from explainer.errors import ArtefactRefused, ManifestInvalid, PackageNotFound
from explainer.families.artefacts import read_once
from explainer.families.inspect import InputColumn, inspect
from explainer.packages.manifest import FILE_NAME
from explainer.packages.package import UNLISTED

_FILES = re.compile(r"^\[files\][ \t]*(?:#[^\n]*)?\r?\n.*?(?=^\[|\Z)", re.MULTILINE | re.DOTALL)


def seal(folder: Path) -> int:
    """Write the digest of every file into the manifest; returns how many files there are.

    Only the table [files] is rewritten; everything else a person wrote stays as it is. The
    manifest is replaced in one step, so that an interruption leaves the old one.
    """
    path = folder / "manifest.toml"
    try:
        text = read_once(path).decode()
    except OSError as fault:
        raise PackageNotFound(
            f"There is no readable manifest.toml ({fault.strerror}).",
            str(folder),
            "Name the folder of a package.",
        ) from None
    except UnicodeDecodeError:
        raise ManifestInvalid(
            "The file is not UTF-8 text.", "manifest.toml", "Save it as UTF-8."
        ) from None
    lines = ["[files]"]
    names = sorted(
        found.relative_to(folder).as_posix()
        for found in folder.rglob("*")
        if found.is_file() and not found.is_symlink()
    )
    names = [name for name in names if name not in UNLISTED]
    unfit = [name for name in names if not FILE_NAME.fullmatch(name) or ".." in name]
    if unfit:
        raise ManifestInvalid(
            f"The manifest cannot name {len(unfit)} files: {', '.join(map(ascii, unfit))}.",
            str(folder),
            "Remove them, or use letters, digits and _ . - in their names, with no dot in front.",
        )
    for name in names:
        data = read_once(folder / name)
        digest = hashlib.sha256(data).hexdigest()
        lines.append(f'"{name}" = {{ sha256 = "{digest}", size = {len(data)} }}')
    table = "\n".join(lines) + "\n"
    if _FILES.search(text):
        text = _FILES.sub(lambda _: table, text, count=1)
    else:
        text = text.rstrip("\n") + "\n\n" + table
    replace(path, text.encode())
    return len(names)


def replace(path: Path, data: bytes) -> None:
    """Replace a file as a whole: never half-written, also on a full disk."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def new_package(folder: Path, artefact: Path) -> list[str]:
    """Write a skeleton package around `artefact`; returns the names of the inputs it found.

    Nothing is left behind if it fails. Raises ManifestInvalid if `folder` is not empty, and
    ArtefactRefused for a model that cannot be opened.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ManifestInvalid(
            "The folder is not empty.", str(folder), "Name a folder that does not exist yet."
        )
    identifier = re.sub(r"[^a-z0-9_]+", "_", folder.resolve().name.lower()).strip("_")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", identifier):
        raise ManifestInvalid(
            "The folder's name becomes the id of the package and does not fit.",
            folder.name,
            "Use small letters, digits and _, beginning with a letter.",
        )
    try:
        data = read_once(artefact)
    except OSError as fault:
        raise ArtefactRefused(
            f"The artefact cannot be read ({fault.strerror}).", artefact.name, "Check the path."
        ) from None
    inputs, classes = inspect(data)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-package-") as made:
        draft = Path(made) / "package"
        (draft / "golden").mkdir(parents=True)
        (draft / "model.skops").write_bytes(data)
        (draft / "manifest.toml").write_text(_manifest(identifier, classes), "utf-8")
        (draft / "features.toml").write_text(_features(inputs), "utf-8")
        (draft / "wording.toml").write_text(_wording(), "utf-8")
        (draft / "background.csv").write_text(",".join(i.name for i in inputs) + "\n", "utf-8")
        (draft / "golden" / "cases.jsonl").write_text("", "utf-8")
        (draft / "golden" / "README.md").write_text(_golden(inputs), "utf-8")
        (draft / "CARD.md").write_text(_card(identifier), "utf-8")
        seal(draft)
        if folder.exists():
            folder.rmdir()
        shutil.move(draft, folder)
    return [column.name for column in inputs]


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _manifest(identifier: str, classes: list[str]) -> str:
    versions = {
        name: importlib.metadata.version(name)
        for name in ("scikit-learn", "numpy", "pandas", "skops")
    }
    trained = ", ".join(f"{name} = {_text(version)}" for name, version in versions.items())
    return f"""\
# Fill in what is empty, from top to bottom; `warum package check` names what is left.
protocol = 1
id = "{identifier}"
version = "0.1.0"
owner = ""
created = 2026-01-01
licence = ""
purpose = ""
benefit_type = "{identifier}"
unit = ""
artificial_intelligence = true

[model]
format = "skops"
file = "model.skops"
kind = "binary"
space = "log-odds"
positive_class = {_text(classes[-1])}
classes = {_text(classes)}
# the versions the model was trained with; these are the ones of this environment
trained_with = {{ {trained} }}

# The one place where the decision line is declared, in raw margin.
[suggestion]
threshold = 0.0
above = "can_be_granted"
below = "check_more_closely"
favours_applicant = "above"
decision_type = "bound"
# outcomes after which the application is still open
interim = ["check_more_closely"]

# The comparison group: at least 30 rows, in the columns of features.toml. base is the mean of the
# margins the bare pipeline gives them where it was trained, margin_scale their 90th minus their
# 10th percentile: so a group that does not belong to the model is noticed. See golden/README.md.
[background]
file = "background.csv"
rows = 0
note = ""
base = ""
margin_scale = ""

[reasons]
cap_applicant = 4
cap_towards = 3
floor = "0.05"
coverage = "0.80"
opposing_floor = "0.10"

[limits]
outside_values = 3
stand_in_share = "0.30"
# as_of = 2026
# stale_after = 2028-12-31

[languages]
source = "de"
offered = ["de"]
default = "de"

[review]
status = "not_approved"
note = "Noch niemand hat dieses Paket freigegeben."

[retention]
class = "case_file"
"""


def _features(inputs: list[InputColumn]) -> str:
    parts = [
        "# One table per input of the model. Replace labels and sentences; add ranges; give every\n"
        "# feature its class: legally_required, neutral, proxy_suspect, protected_not_allowed.\n"
    ]
    for column in inputs:
        lines = ["[[feature]]", f"name = {_text(column.name)}"]
        if column.choices:
            lines += ['kind = "choice"', f"choices = {_text(list(column.choices))}"]
        else:
            lines += ['kind = "number"', "range = []", "trained = []"]
        lines.append(f"optional = {str(column.stand_in is not None).lower()}")
        if column.stand_in is not None:
            lines.append(f"stand_in = {_text(column.stand_in)}")
        lines += [
            'class = ""',
            'sensitivity = "normal"',
            'concerns = "applicant"',
            'mend = "none"',
            'label = ""',
        ]
        if column.choices:
            lines.append("[feature.choice_labels]")
            lines += [f'{_text(choice)} = ""' for choice in column.choices]
        tables = ["reason", "reason_missing"] if column.stand_in is not None else ["reason"]
        for table in tables:
            lines += [
                f"[feature.{table}]",
                'can_be_granted = ""',
                'check_more_closely = ""',
            ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _wording() -> str:
    outcomes = "\n".join(
        f"[outcome.{outcome}]\n"
        + "\n".join(
            f'{form} = ""'
            for form in ("label", "suggested", "suggested_staff", "decided", "decide")
        )
        + "\n"
        for outcome in ("can_be_granted", "check_more_closely")
    )
    contact = "\n".join(
        f'{line} = ""' for line in ("office", "function", "phone", "hours", "address")
    )
    return (
        "# German, which is the authoritative text. Translations: locales/<folder>/wording.po.\n"
        '[package]\ntitle = ""\nbenefit = ""\n\n'
        '[comparison]\napplicant = ""\nstaff = ""\n\n'
        f"{outcomes}\n[contact]\n{contact}\n"
    )


def _golden(inputs: list[InputColumn]) -> str:
    values = ", ".join(f'"{column.name}": …' for column in inputs)
    return f"""\
# Recorded cases

At least 50 lines in `cases.jsonl`, one case a line, with the numbers the bare pipeline gives in the
environment where it was trained:

    {{"case": {{"ref": "A-1", "values": {{{values}}}}}, "margin": 0.25, "probability": 0.56}}

In the training environment, with `frame` a DataFrame of cases that were not trained on:

    import json
    margins = pipeline.decision_function(frame)
    probabilities = pipeline.predict_proba(frame)[:, 1]
    with open("cases.jsonl", "w") as file:
        for number, (row, m, p) in enumerate(zip(frame.to_dict("records"), margins, probabilities)):
            line = {{"case": {{"ref": f"A-{{number}}", "values": row}}}}
            line |= {{"margin": float(m), "probability": float(p)}}
            print(json.dumps(line), file=file)

A missing value is `{{"missing": "not_given"}}`, never NaN.

There too, with `group` a DataFrame of the rows of `background.csv`, for the manifest:

    import numpy
    margins = pipeline.decision_function(group)
    low, high = numpy.quantile(margins, [0.1, 0.9])
    print("base =", float(margins.mean()))
    print("margin_scale =", float(high - low))

## Recorded texts

`warum package golden` writes what the first ten cases are told, in every language, beside this
file. Say here who read which of them line by line, in which languages, when, and who approved them.
"""


def _card(identifier: str) -> str:
    return f"""\
# {identifier}

What the model is for, and what it must not be used for:

Data it was trained on (source, years, what was left out and why):

How good it is on data it has not seen (discrimination, calibration, by group):

How the comparison group and the decision line were chosen:

Who approved it, when, and when to stop using it:
"""
