"""A service's configuration: from dataclass to command line, environment, and a process that ends on a signal."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudspan_common.config import address, config_command, option


@dataclass(frozen=True)
class Config:
    """Serve a test."""

    listen: str = option("gRPC address to listen on.", default="127.0.0.1:7070", check=address)
    workers: int = option("Workers.", default=4, minimum=1)
    poll_s: float = option("Time between polls.", default=0.5, unit="s", minimum=0.01)
    reflect: bool = option("Serve reflection.", default=True)
    state_dir: Path = option("Where state is kept.", default=Path("state"))
    tls_key: Path | None = option("TLS key.", default=None)
    cluster: tuple[str, ...] = option("Cluster to serve; repeatable.", default=())
    token: str = option("Consul token.", default="", secret=True, env="CONSUL_HTTP_TOKEN")

    def __post_init__(self) -> None:
        if self.tls_key and not self.cluster:
            raise ValueError("--tls-key needs at least one --cluster")


@pytest.fixture
def invoke():
    """Run the command; returns click's result and the Config that the body got, if any."""

    def run(*arguments: str, **env: str):
        got: list[Config] = []
        result = CliRunner().invoke(config_command(Config, got.append, name="test"), arguments, env=env)
        return result, (got or [None])[0]

    return run


def test_without_anything_the_defaults_hold(invoke):
    """And equal the dataclass's own."""
    assert invoke()[1] == Config()


def test_each_type_is_read_from_the_command_line(invoke):
    """str, int, float, bool, Path, optional Path and repeatable str."""
    arguments = (
        "--listen 0.0.0.0:80 --workers 9 --poll 2 --no-reflect --state-dir /s --tls-key /k --cluster a --cluster b"
    )
    config = Config("0.0.0.0:80", 9, 2.0, False, Path("/s"), Path("/k"), ("a", "b"), "")
    assert invoke(*arguments.split())[1] == config


def test_the_environment_speaks_where_the_command_line_is_silent(invoke):
    """Lists are separated by commas there."""
    _, config = invoke("--workers", "2", CLOUDSPAN_WORKERS="8", CLOUDSPAN_POLL="3", CLOUDSPAN_CLUSTER="a, b")
    assert (config.workers, config.poll_s, config.cluster) == (2, 3.0, ("a", "b"))


def test_print_config_says_where_each_value_came_from(invoke):
    """The body does not run, secrets are masked, units are shown."""
    result, config = invoke("--workers", "2", "--print-config", CLOUDSPAN_POLL="3", CONSUL_HTTP_TOKEN="canary-1")
    lines = result.output.splitlines()
    assert config is None
    assert result.exit_code == 0
    assert "listen = 127.0.0.1:7070  # default; CLOUDSPAN_LISTEN" in lines
    assert "workers = 2  # command line; CLOUDSPAN_WORKERS" in lines
    assert "poll = 3.0 s  # environment; CLOUDSPAN_POLL" in lines
    assert "token = ***  # environment; CONSUL_HTTP_TOKEN" in lines
    assert "cluster = (none)  # default; CLOUDSPAN_CLUSTER" in lines
    assert "canary-1" not in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--workers", "many"], "'--workers'"),
        (["--workers", "0"], "'--workers'"),
        (["--poll", "nan"], "'--poll'"),
        (["--poll", "inf"], "'--poll'"),
        (["--listen", "127.0.0.1:99999"], "'--listen'"),
        (["--tls-key", "/k"], "--tls-key needs at least one --cluster"),
    ],
)
def test_a_bad_value_is_a_usage_error_that_names_the_option(invoke, arguments, complaint):
    """Exit code 2, and the body does not run."""
    result, config = invoke(*arguments)
    assert result.exit_code == 2
    assert complaint in result.output
    assert config is None


def test_a_bad_value_in_the_environment_is_named_too(invoke):
    """The message names the option and its variable."""
    result, _ = invoke(CLOUDSPAN_WORKERS="many")
    assert result.exit_code == 2
    assert "CLOUDSPAN_WORKERS" in result.output or "'--workers'" in result.output


def test_help_shows_sentence_default_and_variable(invoke):
    """But never the value of a secret."""
    result, _ = invoke("--help", CONSUL_HTTP_TOKEN="canary-2")
    text = " ".join(result.output.split())
    assert "Serve a test." in text
    assert "gRPC address to listen on. [env var: CLOUDSPAN_LISTEN; default: 127.0.0.1:7070]" in text
    assert "Time between polls. [s]" in text
    assert "canary-2" not in text


def test_a_field_without_option_is_refused():
    """Every field needs its sentence."""

    @dataclass(frozen=True)
    class Silent:
        port: int = 1

    with pytest.raises(TypeError, match=r"Silent\.port must be declared with option"):
        config_command(Silent, print)


def test_a_config_that_can_change_is_refused():
    """One frozen object per service."""

    @dataclass
    class Loose:
        port: int = option("Port.", default=1)

    with pytest.raises(TypeError, match="Loose must be a frozen dataclass"):
        config_command(Loose, print)


@pytest.mark.parametrize(("text", "host", "port"), [("127.0.0.1:7070", "127.0.0.1", 7070), ("[::1]:0", "::1", 0)])
def test_an_address_is_host_and_port(text, host, port):
    """IPv6 in brackets."""
    assert address(text) == (host, port)


def test_an_address_without_host_is_every_ipv4_interface():
    """IPv6 may be switched off, as in many containers."""
    assert address(":7070") == ("0.0.0.0", 7070)  # noqa: S104 - never bound


@pytest.mark.parametrize("text", ["7070", "host", "host:", "host:http", "::1:7070", "host:65536", "host:-1"])
def test_a_malformed_address_is_refused(text):
    """For gRPC would take some of these for something else."""
    with pytest.raises(ValueError, match="is not an address"):
        address(text)


SERVICE = """
import asyncio
from dataclasses import dataclass
from cloudspan_common.config import option
from cloudspan_common.errors import PreconditionFailed
from cloudspan_common.service import run

@dataclass(frozen=True)
class Config:
    drain_s: float = option("Time to drain.", default=0.0, unit="s")
    refuse: bool = option("Fail at start.", default=False)

async def serve(config, stop):
    if config.refuse:
        raise PreconditionFailed("can't listen on :1: taken")
    print("up", type(asyncio.get_running_loop()).__module__, flush=True)
    await stop.wait()
    print("draining", flush=True)
    await asyncio.sleep(config.drain_s)
    print("drained", flush=True)

run(Config, serve)
"""


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-c", SERVICE, *arguments, stdout=pipe, stderr=pipe)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_the_service(number):
    """It runs on uvloop, gets a signal, and ends with exit code 0."""
    process = await _start()
    assert await process.stdout.readline() == b"up uvloop\n"
    process.send_signal(number)
    output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (0, b"draining\ndrained\n", b"")


async def test_a_second_signal_does_not_wait_for_the_drain():
    """For an operator who is in a hurry."""
    process = await _start("--drain", "50")
    await process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert await process.stdout.readline() == b"draining\n"
    process.send_signal(signal.SIGTERM)
    output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (0, b"", b"")


async def test_a_domain_error_at_start_is_one_line():
    """Not a traceback."""
    process = await _start("--refuse")
    output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (1, b"", b"Error: can't listen on :1: taken\n")
