"""What an adapter tells gateways to dial."""

from __future__ import annotations

import asyncio
import socket

import pytest

from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_kit.serve.runner import Adapter, AdapterConfig, serve


async def _told(**config):
    """The address that an adapter without clusters registers."""
    bound = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    settings = AdapterConfig(drain_s=0.0, **config)
    serving = asyncio.create_task(
        serve(Adapter("bare", "Bare", "none", []), settings, stop, registry=MemoryRegistry(), ready=bound.set_result)
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
    told, _, port = (await _told(listen=listen)).rpartition(":")
    assert told == host
    assert int(port) > 0


async def test_what_is_configured_is_told_as_it_stands():
    """Behind a port mapping only the operator knows it."""
    assert await _told(advertise="adapters.example:7080") == "adapters.example:7080"
