"""A real PostgreSQL for tests: Debian's binaries, run by an unprivileged user in a temporary folder on a free port.

`needed()` gives the one server of the test process, or skips the test and says what is missing; with CI=true it fails.
"""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import pytest

_START_S = 30.0
_TABLES = "operations, operation_names, operation_explanations, gateways, writers"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "32MB",
}


class PostgresServer:
    """One server and its folder."""

    def __init__(self, binaries: Path, *, fsync: bool = False) -> None:
        self._binaries = binaries
        self._user = _unprivileged()
        # Not Popen's `user`: that forks this process, and gRPC's threads do not survive a fork in it.
        drop = ("--reuid", self._user, "--regid", self._user, "--clear-groups") if self._user else ()
        self._as_user = ("setpriv", *drop) if drop else ()
        self.folder = Path(tempfile.mkdtemp(prefix="cloudspan-postgres-"))
        if self._user:
            shutil.chown(self.folder, self._user, self._user)
        self.port = _free_port()
        self._settings = {**_SETTINGS, "fsync": "on" if fsync else "off"}
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", "data", "-U", "cloudspan", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://cloudspan@127.0.0.1:{self.port}/postgres"

    def new_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.query(f"CREATE DATABASE {name}")
        return f"postgresql://cloudspan@127.0.0.1:{self.port}/{name}"

    def empty(self, url: str) -> None:
        """Take every row out of a store's tables, if they are there."""
        if self.query("SELECT to_regclass('operations') IS NOT NULL", url) == "t":
            self.query(f"TRUNCATE {_TABLES} RESTART IDENTITY", url)

    def lapse(self, url: str, seconds: float) -> None:
        """Let time pass for leases, as the server sees it."""
        self.query(f"UPDATE gateways SET lease_until = lease_until - {seconds}", url)  # noqa: S608 - a number

    def query(self, statement: str, url: str = "") -> str:
        """Run a statement; return what psql prints of it."""
        return self._run(
            "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url or self.url, "-c", statement
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user, self._binaries / "postgres", "-D", "data", "-p", str(self.port), *options],
                cwd=self.folder, stdout=log, stderr=log,
            )  # fmt: skip
        give_up = time.monotonic() + _START_S
        while not self._answers():
            assert time.monotonic() < give_up, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it: SIGINT cuts every session, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_START_S)
            self._process = None

    def remove(self) -> None:
        """End it and delete what it kept."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def files(self) -> bytes:
        """Return everything that it wrote to disk so far."""
        self.query("CHECKPOINT")
        data = self.folder / "data"
        folders = (data / "base", data / "pg_wal")
        return b"".join(f.read_bytes() for folder in folders for f in folder.rglob("*") if f.is_file())

    def _answers(self) -> bool:
        command = [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [*self._as_user, self._binaries / program, *arguments], cwd=self.folder,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def needed(*, fsync: bool = False) -> PostgresServer:
    """Return the running server of this test process; with `fsync` one that waits for the disk."""
    binaries = _binaries()
    if binaries is None:
        text = "PostgreSQL's server binaries are missing (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    return _shared(binaries, fsync)


@functools.cache
def _shared(binaries: Path, fsync: bool) -> PostgresServer:
    server = PostgresServer(binaries, fsync=fsync)
    atexit.register(server.remove)
    return server


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda file: int(file.parts[-3]))
    path = found[-1] if found else shutil.which("postgres")
    return Path(path).parent if path else None


def _unprivileged() -> str | None:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
