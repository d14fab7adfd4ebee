"""A real RabbitMQ for tests: Debian's, without root, in a temporary folder on free ports of loopback.

`needed()` gives the one broker of the test process, or skips the test and says what is missing; with CI=true it fails.
It ends with the test process, killed or not, and its folder goes with it.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_CONTROL = _PROGRAM.with_name("rabbitmqctl")
_PORT_MAPPER = Path(__file__).with_name("port_mapper.py")
_START_S = 60.0
_STOP_S = 20.0
# What the node is started with; rabbitmqctl needs the name and the mapper's port too.
_ERLANG = "-noinput -start_epmd false +S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"
USER, PASSWORD = "tester", "t0p-secret-of-the-broker"


class Broker:
    """One node and its folder; what is durable in it outlives `kill` and `start`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cloudspan-rabbit-"))
        self.port, self._distribution, self._mapper_port = _free_ports(3)
        self._name = f"test{self.port}@localhost"
        self._process: subprocess.Popen[bytes] | None = None
        self._write_settings()
        mapper = (sys.executable, "-s", str(_PORT_MAPPER), str(self._mapper_port))
        self._mapper = subprocess.Popen(mapper, stdin=subprocess.PIPE)
        self.start()

    def __repr__(self) -> str:
        return f"<Broker 127.0.0.1:{self.port}>"

    @property
    def url(self) -> str:
        """The transport URL of the default virtual host."""
        return self.url_of("tests")

    def url_of(self, vhost: str) -> str:
        return f"rabbit://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{vhost}"

    def new_vhost(self) -> str:
        """Return the transport URL of a virtual host of its own."""
        vhost = f"t{uuid.uuid4().hex[:8]}"
        self.control("add_vhost", vhost)
        self.control("set_permissions", "-p", vhost, USER, ".*", ".*", ".*")
        return self.url_of(vhost)

    def control(self, *words: str) -> str:
        """Run rabbitmqctl."""
        command = (str(_CONTROL), "--quiet", *words)
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def start(self) -> None:
        """Start the node, again on the same ports, and wait until it accepts connections."""
        command = (sys.executable, "-m", "tests.harness.tether", str(self.folder), str(_PROGRAM))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        give_up = time.monotonic() + _START_S
        while not self._answers():
            assert self._process.poll() is None, self._log()
            assert time.monotonic() < give_up, self._log()
            time.sleep(0.05)

    def _log(self) -> str:
        return (self.folder / "log").read_text()[-3000:]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(probe.recv(1))
        except OSError:
            return False

    def kill(self) -> None:
        """End it as a crash does, with all processes that it has started."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end."""
        self._end(signal.SIGTERM)

    def _end(self, how: int) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        os.killpg(process.pid, how)  # the tether's own group: the node and its helpers, nothing else
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(_STOP_S)
        _let_go(process)
        while self._answers():  # a node that was killed beside its tether, for some milliseconds
            time.sleep(0.005)

    def remove(self) -> None:
        """End it for good."""
        self.kill()
        self._mapper.kill()
        self._mapper.wait()
        _let_go(self._mapper)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_settings(self) -> None:
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{self.port}",
            "default_vhost": "tests", "default_user": USER, "default_pass": PASSWORD,
            "default_permissions.configure": ".*", "default_permissions.read": ".*", "default_permissions.write": ".*",
            "disk_free_limit.absolute": "50MB",
            "log.console": "true", "log.console.level": "warning", "log.file": "false",
        }  # fmt: skip
        (self.folder / "rabbitmq.conf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        (self.folder / "enabled_plugins").write_text("[].\n")

    @property
    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_"))}
        return kept | {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._mapper_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._name, "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"), "RABBITMQ_LOG_BASE": str(self.folder / "log-base"),
            "RABBITMQ_LOGS": "-", "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_ALLOW_INPUT": "1", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        }  # fmt: skip


def _let_go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _missing(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def needed() -> Broker:
    """Return the broker of this test process."""
    if not _PROGRAM.exists():
        _missing(f"{_PROGRAM} is missing; apt-get install rabbitmq-server, without starting its service")
    return _started()


@functools.cache
def _started() -> Broker:
    broker = Broker()
    atexit.register(broker.remove)
    return broker
