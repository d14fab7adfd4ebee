"""Connections reset under 24 parallel creates on a real OpenStack, requests that arrive half a minute late or never.

Relays before Nova, Neutron and Cinder lose what the adapter sends and hears; each thing asked for is there once.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tests.e2e.conftest import fresh, parts_of, ready
from tests.e2e.sites import write_clouds
from tests.faults.doubling import Doubling
from tests.harness.mutations import call, network, volume
from tests.harness.processes import world
from tests.harness.relay import Relay

from cloudspan.client import AsyncClient, CloudspanError
from cloudspan.v1 import network_pb2, server_pb2, volume_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SETTLE_S = 75.0  # what comes 30 s late meets a cloud that is busy with 24 others: 12 s were seen
LIMIT_S = 300.0
OVERRIDES = {"compute": "compute", "network": "network", "volume": "block_storage"}
POSTS = {"compute": "^POST /v2.1/servers ", "network": "^POST /v2.0/networks ", "volume": r"^POST /v3/\w+/volumes "}
# How late the request comes after the reset; None for one that never arrives.
LATE_S = {"compute": [0.0, 0.0, 5.0, 15.0, 30.0, None], "network": [0.0, 10.0, 30.0], "volume": [0.0, 10.0, 30.0]}
ASKED = {"compute": 12, "network": 6, "volume": 6}


@asynccontextmanager
async def _behind(make_relay, site, directory):
    """A client of a gateway whose adapter meets the cloud through relays, and the relays."""
    async with AsyncExitStack() as stack:
        relays, overrides = {}, {}
        for service, key in OVERRIDES.items():
            url, (host, port) = await asyncio.to_thread(lambda s=service: (site.endpoint(s), site.host(s)))
            relays[service] = relay = await stack.enter_async_context(make_relay(host, port))
            overrides[f"{key}_endpoint_override"] = url.replace(f":{port}", f":{relay.port}", 1)
        file = write_clouds(directory / "clouds.yaml", {site.name: site.entry(**overrides)})
        running = stack.enter_context(world(directory))
        options = ("--clouds", str(file), "--cluster", site.name, "--settle", str(SETTLE_S))
        await asyncio.to_thread(running.adapter, "cloudspan_openstack", *options)
        client = await stack.enter_async_context(AsyncClient(running.address, retries=False))
        await ready(client)
        yield client, relays


class _Place:
    """What `mutations` needs to know of a real cluster."""

    def __init__(self, ref):
        self.ref = ref

    def network_options(self, number):
        return {}


async def _asked(client, ref, count):
    """Ask for this many of each service's kind; return (service, name, request) of each."""
    parts = await parts_of(client, ref)
    place, asked = _Place(ref), []
    for service, many in count.items():
        for _ in range(many):
            name = fresh("late")
            if service == "compute":
                request = parts.server(display_name=name)
            else:
                request = {"network": network, "volume": volume}[service](place, name)
            asked.append((service, name, request))
    return asked


async def _made(client, request):
    """Return what was made; what was refused while the adapter's breaker was open is asked anew."""
    while True:
        request.request_id = str(uuid.uuid4())
        try:
            return await (await call(client, request)).result(LIMIT_S)
        except CloudspanError as error:
            if error.reason != "BREAKER_OPEN":
                raise
        await asyncio.sleep(0.05)


def _names(site):
    with site.connect() as sdk:
        return {
            "compute": [row.name for row in sdk.compute.servers()],
            "network": [row.name for row in sdk.network.networks()],
            "volume": [row.name for row in sdk.block_storage.volumes()],
        }


async def _removed(client, name):
    """Delete what was made."""
    kind = name.split("/")[4]
    requests = {
        "servers": server_pb2.DeleteServerRequest,
        "networks": network_pb2.DeleteNetworkRequest,
        "volumes": volume_pb2.DeleteVolumeRequest,
    }
    await (await call(client, requests[kind](name=name))).result(LIMIT_S)


async def _all_made_once(client, site, asked):
    """Ask for it all at once; check that each is there once; delete it."""
    made = await asyncio.gather(*(_made(client, request) for _, _, request in asked), return_exceptions=True)
    try:
        assert [error for error in made if isinstance(error, BaseException)] == []
        names = await asyncio.to_thread(_names, site)
        assert [(service, names[service].count(name)) for service, name, _ in asked] == [(s, 1) for s, _, _ in asked]
        assert [(row.display_name, getattr(row, "description", "")) for row in made] == [(n, "") for _, n, _ in asked]
    finally:
        there = [row.name for row in made if not isinstance(row, BaseException)]
        await asyncio.gather(*(_removed(client, name) for name in there))


async def test_connections_reset_under_24_parallel_creates_leave_one_of_each(clusters, tmp_path):
    """Twelve of the creates lose their reply: carried out at once, 5 to 30 s later, or never arrived."""
    site = clusters[0]
    async with _behind(Relay, site, tmp_path) as (client, relays):
        asked = await _asked(client, site.ref, ASKED)
        for service, delays in LATE_S.items():
            for late_s in delays:
                if late_s is None:
                    relays[service].drop(POSTS[service])
                else:
                    relays[service].lose(POSTS[service], send_after_s=late_s)
        await _all_made_once(client, site, asked)
        assert {service: relay.lost for service, relay in relays.items()} == {s: len(d) for s, d in LATE_S.items()}


async def test_replies_that_come_twice_are_taken_once(clusters, tmp_path):
    """Every answer of the real services is sent twice."""
    site = clusters[0]
    async with _behind(Doubling, site, tmp_path) as (client, relays):
        await _all_made_once(client, site, await _asked(client, site.ref, dict.fromkeys(ASKED, 2)))
        assert min(relay.doubled for relay in relays.values()) > 2
