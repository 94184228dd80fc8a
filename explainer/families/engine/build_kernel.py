"""Compile the kernel into the package: when Warum is installed or a wheel is built, never later.

Standard library only: a build runs before anything is installed. The source is ours and lies beside
this file; nothing is fetched. Without a compiler `portable.py` gives the same values, slower.

    python -m explainer.families.engine.build_kernel
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).with_name("kernel.cpp")
COMPILERS = ("c++", "g++", "clang++")
# never -ffast-math: it reorders sums, and flushes denormals for the whole process
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-ffp-contract=off", "-fno-trapping-math")
PATIENCE = 180
"""Seconds after which a compiler is given up."""

ENDING = {"darwin": ".dylib"}.get(sys.platform, ".so")


def built_name() -> str:
    """What the library is called: one from another source or by other flags is never loaded."""
    digest = hashlib.sha256(SOURCE.read_bytes() + " ".join(FLAGS).encode()).hexdigest()[:16]
    return f"kernel-{sys.platform}-{platform.machine()}-{digest}{ENDING}"


def build_into(folder: Path, compilers: Sequence[str] = COMPILERS) -> Path | None:
    """The library in `folder`, compiled unless it is there; None where no compiler makes it."""
    path = folder / built_name()
    if path.is_file():
        return path
    for name in compilers:
        compiler = shutil.which(name)
        if compiler is None:
            continue
        try:
            return _compiled(compiler, path)
        except (OSError, subprocess.SubprocessError):
            continue
    return None


def _compiled(compiler: str, path: Path) -> Path:
    """Under another name first: no process ever loads half a library."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".kernel-", suffix=ENDING)
    os.close(handle)
    made = Path(name)
    try:
        # a compiler found on the search path, on our own source; no shell
        subprocess.run(  # noqa: S603
            [compiler, *FLAGS, str(SOURCE), "-o", name],
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        made.chmod(0o755)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
    return path


def main() -> int:
    built = build_into(SOURCE.parent)
    for other in SOURCE.parent.glob(f"kernel-*{ENDING}"):
        if other != built:
            other.unlink()
    print(built.name if built else "no C++ compiler: explanations are computed by NumPy, slower")
    return 0


if __name__ == "__main__":
    sys.exit(main())
