"""Hundreds of servers over all clusters: made side by side, listed in small pages across clusters, deleted."""

from __future__ import annotations

import asyncio
import os
import time

import pytest
from tests.e2e.conftest import EVERYWHERE, build, fresh, parts_of, remove

from cloudspan.v1 import server_pb2

pytestmark = pytest.mark.e2e

SERVERS = int(os.environ.get("CLOUDSPAN_E2E_SERVERS", "200"))
AT_ONCE = 4  # creates on one cluster; with more a cloud of one worker a service only gets slower
PAGE = 23


@pytest.mark.timeout(900)
async def test_hundreds_of_servers_are_made_listed_in_small_pages_and_deleted(clusters, cloud, capsys):
    """Each stands once in a traversal of both clusters, complete, while page after page is asked for."""
    stem = fresh("many")
    began = time.monotonic()
    made = await _make(cloud, clusters, stem)
    built_s = time.monotonic() - began
    try:
        began = time.monotonic()
        request = server_pb2.ListServersRequest(parent=EVERYWHERE, page_size=PAGE)
        listing, pages = await _traverse(cloud, request)
        listed_s = time.monotonic() - began
        assert sorted(name for name, title in listing if title.startswith(stem)) == sorted(made)
        assert len({name for name, _ in listing}) == len(listing)
        assert pages >= len(made) // PAGE
    finally:
        began = time.monotonic()
        await _remove_all(cloud, made)
    with capsys.disabled():
        print(
            f"\n{len(made)} servers: made in {built_s:.0f} s, listed in {pages} pages of {PAGE} in {listed_s:.1f} s, "
            f"deleted in {time.monotonic() - began:.0f} s"
        )


async def _make(cloud, clusters, stem):
    """Make the same number on each cluster, all clusters at once; return their names."""
    share = SERVERS // len(clusters)
    filled = await asyncio.gather(*(_fill(cloud, site, stem, share) for site in clusters))
    return [name for names in filled for name in names]


async def _fill(cloud, site, stem, share):
    parts, gate = await parts_of(cloud, site.ref), asyncio.Semaphore(AT_ONCE)

    async def one(number):
        async with gate:
            server = await build(cloud, parts.server(display_name=f"{stem}-{site.name}-{number}"))
            return server.name

    return await asyncio.gather(*(one(number) for number in range(share)))


async def _traverse(cloud, request):
    found, pages = [], 0
    while True:
        answer = await cloud.servers.ListServers(request)
        assert list(answer.unreachable) == []
        assert len(answer.servers) <= request.page_size
        found += [(server.name, server.display_name) for server in answer.servers]
        pages += 1
        if not answer.next_page_token:
            return found, pages
        request.page_token = answer.next_page_token


async def _remove_all(cloud, names):
    gate = asyncio.Semaphore(2 * AT_ONCE)

    async def one(name):
        async with gate:
            await remove(cloud, name)

    await asyncio.gather(*(one(name) for name in names))
