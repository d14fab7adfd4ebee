"""The probe of containers: 0 for a process that serves, else 1 and why."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from cloudspan_common import grpcs, healthcheck

SERVING, NOT_SERVING = 1, 2


@pytest.fixture
async def health():
    """A server's health servicer, and where it listens."""
    server = grpcs.new_server()
    servicer = grpcs.add_health(server)
    port = grpcs.listen(server, "127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    await server.stop(None)


async def _probe(*words):
    """The probe blocks; the server lives on this loop."""
    return await asyncio.to_thread(healthcheck.main, list(words))


async def test_a_process_that_serves_is_healthy(health):
    """Nothing is printed."""
    _, address = health
    assert await _probe(address) == 0


async def test_a_process_that_drains_is_not(health, capsys):
    """It prints the status that it got."""
    servicer, address = health
    await servicer.set("", NOT_SERVING)
    assert await _probe(address) == 1
    assert capsys.readouterr().err == f"{address} answers NOT_SERVING\n"


async def test_one_name_of_the_health_service_can_be_asked_for(health, capsys):
    """A gateway has one for each platform; an unknown one is not healthy."""
    servicer, address = health
    await servicer.set("platforms/memory", SERVING)
    assert await _probe(address, "--service", "platforms/memory") == 0
    assert await _probe(address, "--service", "platforms/none") == 1
    assert "NOT_FOUND" in capsys.readouterr().err


async def test_an_address_without_a_server_is_not_healthy(health, capsys):
    """It says so in one line."""
    assert await _probe("127.0.0.1:1") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("127.0.0.1:1 does not answer: UNAVAILABLE")


async def test_a_gateways_certificate_for_its_adapters_is_not_used_on_a_plain_listener(health, monkeypatch, tmp_path):
    """The image says `none` unless its operator says otherwise."""
    _, address = health
    monkeypatch.setenv("CLOUDSPAN_TLS_CERTIFICATE", str(tmp_path / "none.pem"))
    assert await _probe(address) == 1
    monkeypatch.setenv("CLOUDSPAN_TLS_LISTEN", "none")
    assert await _probe(address) == 0


def test_files_that_are_missing_are_named(tmp_path, capsys):
    """A certificate that was configured and is not there."""
    assert healthcheck.main(["127.0.0.1:1", "--tls-certificate", str(tmp_path / "none.pem")]) == 1
    assert "none.pem" in capsys.readouterr().err


def test_it_imports_no_other_module_of_cloudspan():
    """It runs every few seconds in each container."""
    code = "import sys, cloudspan_common.healthcheck; print(*(m for m in sys.modules if m.startswith('cloudspan')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(loaded) == ["cloudspan_common", "cloudspan_common.healthcheck"]
