"""What holds for a gateway's sweeps of every collection of every platform: they bring what its list does."""

from __future__ import annotations

import hashlib
import time

import pytest
import pytest_asyncio
from google.protobuf import timestamp_pb2
from tests.laws.conftest import SITES
from tests.laws.test_lists import LISTS, _all, _collection, each_list

from cloudspan.adapter.v1 import sweep_pb2, sweep_pb2_grpc
from cloudspan_common import grpcs

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adapters(lab):
    """What sweeps each platform's adapter, which gateways ask straight."""
    stubs, channels = {}, []
    for platform, seen in lab.running.gateway.table.snapshot.platforms.items():
        channels.append(grpcs.new_channel(seen.serving[0].instance.address))
        stubs[platform] = sweep_pb2_grpc.SweepServiceStub(channels[-1])
    yield stubs
    for channel in channels:
        await channel.close()


async def _pages(adapters, platform, rpc, etags=None, **fields):
    """Sweep a collection whole; `etags` are those of the last sweep, by cursor."""
    pages, cursor = {}, ""
    while not pages or cursor:
        known = (etags or {}).get(cursor, "")
        request = sweep_pb2.SweepPageRequest(
            cluster=SITES[platform].ref, collection=_collection(rpc), cursor=cursor, known_etag=known, **fields
        )
        pages[cursor] = await adapters[platform].SweepPage(request)
        cursor = pages[cursor].next_cursor
    return pages


@each_list
async def test_a_sweep_brings_every_row_of_the_list_as_it_stands_there(lab, adapters, platform, rpc):
    """Each once, complete, without the time when it was read, and with its digest."""
    listed = {row.name: row for row in await _all(lab, platform, rpc)}
    for row in listed.values():
        row.ClearField("observe_time")
    pages = (await _pages(adapters, platform, rpc)).values()
    rows = [row for page in pages for row in page.rows]
    assert len({row.name for row in rows}) == len(rows)
    assert {row.name: LISTS[rpc].item.FromString(row.resource) for row in rows} == listed
    for row in rows:
        assert row.resource == listed[row.name].SerializeToString(deterministic=True)
        assert row.digest == hashlib.blake2b(row.resource, digest_size=16).digest()
    assert [(page.partial, list(page.unread)) for page in pages if page.partial or page.unread] == []


@each_list
async def test_a_second_sweep_of_what_has_not_changed_carries_no_rows(lab, adapters, platform, rpc):
    """What is the same has the same bytes, and the same place."""
    lab.need(platform, LISTS[rpc])
    first = await _pages(adapters, platform, rpc)
    again = await _pages(adapters, platform, rpc, {cursor: page.etag for cursor, page in first.items()})
    assert [(page.unchanged, len(page.rows)) for page in again.values()] == [(True, 0)] * len(first)


@each_list
async def test_a_sweep_of_changes_brings_rows_of_the_list_or_all_of_it(lab, adapters, platform, rpc):
    """It may bring too many, never another row than the list's."""
    listed = {row.name for row in await _all(lab, platform, rpc)}
    since = timestamp_pb2.Timestamp()
    since.FromSeconds(int(time.time()))
    pages = (await _pages(adapters, platform, rpc, since_time=since)).values()
    found = {row.name for page in pages for row in page.rows if not row.gone}
    assert found <= listed
    if any(page.ignored_since for page in pages):
        assert found == listed


@each_list
async def test_a_sweep_of_all_changes_that_there_ever_were_brings_every_row(lab, adapters, platform, rpc):
    """What was made is a change, whether the platform can be asked for changes or not."""
    listed = {row.name for row in await _all(lab, platform, rpc)}
    pages = (await _pages(adapters, platform, rpc, since_time=timestamp_pb2.Timestamp(seconds=1))).values()
    found = {row.name for page in pages for row in page.rows if not row.gone}
    assert found == listed
