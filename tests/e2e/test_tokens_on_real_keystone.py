"""Tokens of a real Keystone: renewed ahead of need, one login for all callers, also when one is revoked.

A relay before Keystone counts the logins and sees the tokens; the adapter logs in through it.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest
from tests.e2e.conftest import clusters_of, ready
from tests.harness.relay import Relay

from cloudspan.client import AsyncClient, CloudspanError
from cloudspan.v1 import flavor_pb2, network_pb2, server_pb2

pytestmark = pytest.mark.e2e

DURATION_S = float(os.environ.get("CLOUDSPAN_E2E_TOKEN_S", "60"))
LOGIN = r"/v3/auth/tokens$"
RENEWED_AFTER = 0.70  # of a token's life, at the earliest: 0.75 less the jitter of 0.05


@asynccontextmanager
async def _behind_a_relay(apart, site):
    async with Relay(*site.keystone) as keystone:
        url = f"http://127.0.0.1:{keystone.port}/v3"
        with apart({site.name: site.entry(auth_url=url)}) as running:
            async with AsyncClient(running.address, retries=False) as cloud:
                await ready(cloud)
                yield cloud, keystone


class _Callers:
    """Steady callers of everything; keeps what failed and how long each call took."""

    def __init__(self, cloud, ref):
        self.failures, self.took_s = [], []
        self._calls = (
            lambda: cloud.servers.ListServers(server_pb2.ListServersRequest(parent=ref, page_size=5)),
            lambda: cloud.flavors.ListFlavors(flavor_pb2.ListFlavorsRequest(parent=ref)),
            lambda: cloud.networks.ListNetworks(network_pb2.ListNetworksRequest(parent=ref)),
        )

    async def run(self, number, until, pause_s):
        while time.monotonic() < until:
            began = time.perf_counter()
            try:
                await self._calls[number % len(self._calls)]()
            except CloudspanError as error:
                self.failures.append(error)
            self.took_s.append(time.perf_counter() - began)
            await asyncio.sleep(pause_s)

    async def steadily(self, callers, seconds, pause_s):
        until = time.monotonic() + seconds
        await asyncio.gather(*(self.run(number, until, pause_s) for number in range(callers)))


@pytest.mark.timeout(DURATION_S + 60)
async def test_steady_calls_over_many_short_tokens_never_fail(clusters, apart, capsys):
    """No call fails, and there are no more logins than the lives of the tokens demand."""
    site = clusters[0]
    life_s = await asyncio.to_thread(site.token_life_s)
    if life_s > DURATION_S:
        pytest.skip(f"{site.name}'s tokens live {life_s:g} s; start the cluster with --token-ttl 60")
    async with _behind_a_relay(apart, site) as (cloud, keystone):
        callers = _Callers(cloud, site.ref)
        await callers.steadily(6, DURATION_S, 0.5)
        token = (await clusters_of(cloud))[site.name].token
        logins = keystone.count("POST", LOGIN)
    with capsys.disabled():
        print(f"\n{len(callers.took_s)} calls in {DURATION_S:g} s, tokens of {life_s:g} s: {logins} logins")
    assert callers.failures == []
    assert logins <= 1 + DURATION_S / (RENEWED_AFTER * life_s)
    assert logins >= 1 + int(DURATION_S / life_s)
    assert (token.logins, token.failures) == (logins, 0)


@pytest.mark.timeout(120)
async def test_a_token_revoked_under_fifty_callers_costs_one_login_and_no_call(clusters, apart, capsys):
    """The services notice within their own 10 s of caching; nobody else does."""
    site = clusters[0]
    async with _behind_a_relay(apart, site) as (cloud, keystone):
        callers = _Callers(cloud, site.ref)
        work = asyncio.create_task(callers.steadily(50, 16, 0.5))
        await asyncio.sleep(2)
        before = keystone.count("POST", LOGIN)
        await _revoke(site, keystone.tokens[-1])
        await work
        logins = keystone.count("POST", LOGIN) - before
    with capsys.disabled():
        slowest = max(callers.took_s)
        print(f"\n{len(callers.took_s)} calls, {logins} logins after the revocation, the slowest call {slowest:.2f} s")
    assert callers.failures == []
    assert 1 <= logins <= 2, "one for the revocation, perhaps one that was due"


async def _revoke(site, token):
    """Revoke as an administrator."""

    def admin_token():
        with site.connect(f"{site.name}-admin") as sdk:
            return sdk.session.get_token()

    headers = {"X-Auth-Token": await asyncio.to_thread(admin_token), "X-Subject-Token": token}
    host, port = site.keystone
    async with aiohttp.ClientSession() as http:
        async with http.delete(f"http://{host}:{port}/v3/auth/tokens", headers=headers) as answer:
            assert answer.status == 204
        async with http.get(f"http://{host}:{port}/v3/auth/tokens", headers=headers) as answer:
            assert answer.status == 404
