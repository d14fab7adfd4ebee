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
    ending = threading.Lock()
    threading.Thread(target=_end_with_the_pipe, args=(folder, ending), daemon=True).start()
    returned = program.wait()
    with ending:  # the program's end must not cut the removal of its folder short
        sys.exit(returned)


def _end_with_the_pipe(folder: str, ending: threading.Lock) -> None:
    while os.read(0, 1024):
        pass
    with ending:
        started = psutil.Process().children(recursive=True)
        for process in started:
            process.kill()
        psutil.wait_procs(started, timeout=10)  # what writes into the folder is gone before the folder
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)


if __name__ == "__main__":
    main()
