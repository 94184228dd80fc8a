"""`warum convert`: hand out the one file that goes where a model was trained."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from explainer.cli import DONE, EXIT_CODES


def add_convert(commands: Any) -> None:
    parser = commands.add_parser(
        "convert",
        help="write the file that converts a model where it was trained",
        description="Write one Python file to carry to where a model was trained. Run there, it "
        "writes the\nmodel in a format Warum reads, rows to compare with, recorded cases with the "
        "model's own\nmargins, and what is known of the inputs. Nothing is converted here: pickle "
        "and joblib\nfiles are programs, and Warum never loads one.",
        epilog="then, where the model was trained:\n"
        "  python warum_convert.py model.joblib rows.csv out --positive yes\n"
        "and here:\n"
        "  warum package new models/my_benefit --converted out\n\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--write", metavar="FILE", type=Path, required=True, help="where to; - for standard output"
    )
    parser.set_defaults(action=_convert)


def _convert(options: argparse.Namespace) -> int:
    from explainer.packages.bundled import converter
    from explainer.packages.scaffold import write_new

    source = converter()
    if str(options.write) == "-":
        print(source.read_text("utf-8"), end="")
        return DONE
    write_new(options.write, source.read_bytes())
    print(f"{options.write} is written. Run it where the model was trained:")
    print(f"  python {options.write.name} MODEL ROWS.csv OUT --positive CLASS")
    return DONE
