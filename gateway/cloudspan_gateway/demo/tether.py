"""Run a module as a program that ends when its launcher does, however the launcher ends.

`launcher` starts each child as `python -m cloudspan_gateway.demo.tether MODULE ARGUMENTS...` with a pipe as its
standard input. The pipe closes when the launcher is gone, killed without a word included; unlike Linux's
PR_SET_PDEATHSIG that works on every system and leaves the child time to drain.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

# Longer than any child drains; then it is ended the hard way.
_GRACE_S = 8.0


def main() -> None:
    """Run the module named on the command line, with the rest as its arguments."""
    _module, *_ = sys.argv[1:]
    threading.Thread(target=_end_with_launcher, name="tether", daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_launcher() -> None:
    while os.read(0, 1024):
        pass
    threading.Timer(_GRACE_S, os._exit, (1,)).start()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
