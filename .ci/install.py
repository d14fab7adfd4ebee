"""Makes .venv whole, whatever state it is in; `make` runs it before anything that needs it: install.py UV_VERSION.

`.venv/.ready` tells what a whole environment was made from, and is written last. Without it, or where it no longer fits
(a run was killed, Python was upgraded, the checkout was moved, packages are missing), the environment is made anew:
half an installed package looks like a whole one. Where only the dependencies changed, they are brought up to date.
"""

# ruff: noqa: INP001 - a script that stands alone
from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
READY, PYTHON, UV = VENV / ".ready", VENV / "bin" / "python", VENV / "bin" / "uv"
NEEDED = (3, 11)
SAY_AGAIN_S = 10.0
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def main() -> None:
    """Bring .venv into its whole state, one run at a time."""
    if sys.version_info < NEEDED:
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"Python {found} is too old, 3.11 is needed; name another one: make PYTHON=python3.11 ...")
    uv_version = sys.argv[1]
    made, wanted = made_from(), wanted_from(uv_version)
    if made == wanted:
        return
    with one_at_a_time() as lock:
        made = made_from()
        if made == wanted:
            return
        began = time.monotonic()
        READY.unlink(missing_ok=True)  # first: whatever ends this run, the next one knows that it has not ended well
        if made is None or {**made, "locked": ""} != {**wanted, "locked": ""}:
            make_anew(uv_version, lock)
        options = ("--quiet", "--frozen", "--all-packages", "--python", str(PYTHON))
        run("installing the packages of uv.lock", (str(UV), "sync", *options), lock)
        READY.write_text(json.dumps({**wanted, "packages": installed()}))
        say(f".venv is ready after {time.monotonic() - began:.0f} s")


def wanted_from(uv_version: str) -> dict[str, object]:
    """What a whole environment is made from now; `packages` are checked apart."""
    digest = hashlib.sha256()
    folders = ("", "*/", "*/*/", "adapters/*/fake/")
    for file in (ROOT / "uv.lock", *sorted(found for each in folders for found in ROOT.glob(f"{each}pyproject.toml"))):
        digest.update(file.read_bytes())
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return {"python": python, "place": str(ROOT), "uv": uv_version, "locked": digest.hexdigest()}


def made_from() -> dict[str, object] | None:
    """What the environment was made from; None when it is not whole."""
    try:
        made = json.loads(READY.read_text())
        packages = set(made.pop("packages"))
        command = (PYTHON, "-c", _VERSION)
        ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - of this checkout
    except (OSError, ValueError, AttributeError, KeyError, TypeError, subprocess.CalledProcessError):
        return None
    whole = ran.stdout.strip() == made.get("python") and os.access(UV, os.X_OK) and packages <= set(installed())
    return made if whole else None


def installed() -> list[str]:
    """The packages of the environment, by the folders that pip and uv note them in."""
    return sorted(found.name for found in VENV.glob("lib/python*/site-packages/*.dist-info"))


def make_anew(uv_version: str, lock: int) -> None:
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        say(".venv is not whole, or was made for another Python or place: it is made anew")
        shutil.rmtree(VENV)
    # From within .venv, python3 is the one that was just removed.
    python = getattr(sys, "_base_executable", None) or sys.executable
    run(f"making .venv with Python {sys.version.split()[0]}", (python, "-m", "venv", str(VENV)), lock)
    pip = (str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(f"installing uv {uv_version}", (*pip, f"uv=={uv_version}"), lock)


def run(what: str, command: tuple[str, ...], lock: int) -> None:
    """Run a command, tell what it is for and every ten seconds that it still runs; end with its words if it fails."""
    say(f"{what} ...")
    environment = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONHOME")}
    environment["UV_PROJECT_ENVIRONMENT"] = str(VENV)
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        # It holds the lock as well: killed with this run or not, no other one works beside it.
        process = subprocess.Popen(  # noqa: S603 - a command of this file
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL, pass_fds=(lock,)
        )
        while True:
            try:
                code = process.wait(SAY_AGAIN_S)
                break
            except subprocess.TimeoutExpired:
                say(f"  still {what}, {time.monotonic() - began:.0f} s")
        if code:
            output.seek(0)
            sys.exit(f"{output.read()}\n{what} failed with exit code {code}; run make again once that is put right")


class one_at_a_time:  # noqa: N801 - reads as what it does
    """Hold the lock of this checkout's environment; wait for another run that has it."""

    def __enter__(self) -> int:
        (ROOT / ".state").mkdir(mode=0o700, exist_ok=True)
        self._lock = os.open(ROOT / ".state" / "venv.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another make installs into .venv; waiting for it ...")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self._lock

    def __exit__(self, *_error: object) -> None:
        os.close(self._lock)


def say(text: str) -> None:
    """Tell the user, on stderr: stdout is the target's."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; the next make goes on from here")
