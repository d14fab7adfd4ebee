"""What holds for a gateway's sweeps of every collection of every platform: they bring what its list does."""

from __future__ import annotations

import hashlib
import time

import pytest
import pytest_asyncio
from google.protobuf import timestamp_pb2
from tests.harness.sweeping import sweepers, swept
from tests.laws.conftest import SITES
from tests.laws.test_lists import LISTS, _all, _collection, each_list

from cloudspan_common.contract import getter
from cloudspan_gateway.inventory.model import Observed

TELLS_MORE = {("openstack", "ListKeyPairs")}  # when it was made
pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def adapters(lab):
    """What sweeps each platform's adapter, which gateways ask straight."""
    async with sweepers(lab.running) as made:
        yield made


async def _pages(adapters, platform, rpc, etags=None, **fields):
    return await swept(adapters[platform], SITES[platform].ref, _collection(rpc), etags, **fields)


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


@each_list
async def test_what_a_get_tells_is_kept_as_a_sweep_brings_it(lab, adapters, platform, rpc):
    """Else what is written after an operation would count as changed at the next sweep."""
    if (platform, rpc) in TELLS_MORE:
        pytest.skip("its Get tells more than its list")
    method = getter(_collection(rpc))
    lab.need(platform, method)
    for row in [row for page in (await _pages(adapters, platform, rpc)).values() for row in page.rows][:5]:
        read = Observed.of(await lab.stub(method.name)(method.request(name=row.name)))
        assert (read.name, read.payload, read.digest) == (row.name, row.resource, row.digest)
