"""Runs a server that ends with the test process, however that ends: python -m tests.harness.tether FOLDER PROGRAM...

The test process holds a pipe to the standard input. Once that closes, all that the program has started is killed, and
its folder removed. Start it in a session of its own: signals to its group reach the program and what that has started.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading

import psutil


def main() -> None:
    """Run the program until it ends, or whoever holds the pipe does."""
    folder, *command = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: None)  # it is the program's, which has a default again
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_the_pipe, args=(folder,), daemon=True).start()
    sys.exit(program.wait())


def _end_with_the_pipe(folder: str) -> None:
    while os.read(0, 1024):
        pass
    for process in psutil.Process().children(recursive=True):
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    main()
