"""`python tests/nursery.py MODULE ARGUMENT…`: begins a process that runs the module's `main` for each
line on its standard input, and says so when that has ended.

What takes long at a start, importing the app, is done once: the processes are forked.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable

ENDED = "ended"


def begin(main: Callable[..., None], arguments: list[str]) -> None:
    """Run `main` in a process of its own and wait for its end, which is not to come by itself."""
    child = os.fork()
    if child == 0:
        print(os.getpid(), flush=True)  # noqa: T201 - whom the test kills
        try:
            main(*arguments)
        finally:
            traceback.print_exc()  # it was to go on until it is killed
            os._exit(1)
    os.waitpid(child, 0)
    print(ENDED, flush=True)  # noqa: T201


if __name__ == "__main__":
    module = importlib.import_module(sys.argv[1])
    for _ in sys.stdin:
        begin(module.main, sys.argv[2:])
