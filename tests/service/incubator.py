"""Run by tests as a program: starts the service over and over, without importing it anew.

Imports everything once, then forks for each line it reads. The child is the whole service, started
as `warum serve` is, on the settings in the environment; its process number goes to standard
output, and how it ended after it did.
"""

from __future__ import annotations

import os
import sys

from explainer.packages.admit import admit
from service import app, start, wiring
from service.settings import read_settings


def main() -> None:
    assert app
    assert wiring
    for folder in read_settings(os.environ, wiring.Path()).models:
        admit(folder)  # for what it imports
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            sys.argv = ["warum", "serve"]
            os._exit(start.main())
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
