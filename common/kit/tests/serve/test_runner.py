"""What an adapter tells gateways to dial, and its supervisor."""

from __future__ import annotations

import asyncio
import socket
import urllib.error
import urllib.request

import pytest
from common.base.tests.registry.conftest import free_ports
from common.kit.tests.acme import AcmeCluster
from structlog.testing import capture_logs

from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_kit.serve.runner import Adapter, AdapterConfig, serve


async def _told(found=None, **config):
    """The address that an adapter without clusters tells; `found` is a registry, else the options name one."""
    bound = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    settings = AdapterConfig(drain_s=0.0, **config)
    serving = asyncio.create_task(
        serve(Adapter("bare", "Bare", "none", []), settings, stop, registry=found, ready=bound.set_result)
    )
    await asyncio.wait({bound, serving}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await serving
    return bound.result()


@pytest.mark.parametrize(
    ("listen", "host"),
    [("127.0.0.1:0", "127.0.0.1"), ("localhost:0", "localhost"), ("0.0.0.0:0", socket.gethostname())],
)
async def test_the_listen_address_is_told_and_this_hosts_name_for_all_addresses(listen, host):
    """0.0.0.0 can't be dialled; a container's host name can, by other containers."""
    told, _, port = (await _told(MemoryRegistry(), listen=listen)).rpartition(":")
    assert told == host
    assert int(port) > 0


async def test_what_is_configured_is_told_as_it_stands():
    """Behind a port mapping only the operator knows it."""
    assert await _told(MemoryRegistry(), advertise="adapters.example:7080") == "adapters.example:7080"


def _status(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


async def test_an_adapter_is_ready_once_it_is_registered():
    """Before that no gateway could know of it; it lives all the same."""
    (port,) = free_ports(1)
    cluster, opening, go_on = AcmeCluster(None), asyncio.Event(), asyncio.Event()
    bound, stop = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def open_slowly():
        opening.set()
        await go_on.wait()

    cluster.open, cluster.drivers = open_slowly, ()
    settings = AdapterConfig(drain_s=0.0, metrics=f"127.0.0.1:{port}")
    adapter, registry = Adapter("acme", "Acme", "none", [cluster]), MemoryRegistry()
    serving = asyncio.create_task(serve(adapter, settings, stop, registry=registry, ready=bound.set_result))
    await opening.wait()
    before = [await asyncio.to_thread(_status, port, path) for path in ("/readyz", "/healthz", "/metrics", "/")]
    go_on.set()
    await bound
    assert await asyncio.to_thread(_status, port, "/readyz") == 200
    stop.set()
    await serving
    assert before == [503, 200, 200, 404]


async def test_an_adapter_without_a_registry_serves_and_says_which_option_registers_it():
    """Calls straight to it are useful; that no gateway finds it is easily overlooked."""
    with capture_logs() as logged:
        address = await _told()
    [warning] = [line for line in logged if line["log_level"] == "warning"]
    assert "no gateway will find this adapter: give --registry static:FILE" in warning["event"]
    assert warning["address"] == address


async def test_an_adapter_that_registers_gives_no_warning(tmp_path):
    """In a file that gateways watch."""
    with capture_logs() as logged:
        await _told(registry=f"static:{tmp_path / 'registry.yaml'}")
    assert [line for line in logged if line["log_level"] == "warning"] == []
