"""What holds for every list out of the inventory: it is the list of the platform, whatever filter, order and mask."""

from __future__ import annotations

import random

import pytest
import pytest_asyncio
from google.api import resource_pb2
from google.protobuf import field_mask_pb2
from tests.harness.clouds import MAIN, Memory
from tests.harness.in_process import deployment
from tests.harness.mutations import CREATES, call, stub
from tests.laws.test_lists import LISTS, _filters, _is_sorted, _names

from cloudspan.v1 import common_pb2
from cloudspan_common.deadlines import Deadline
from cloudspan_gateway.inventory.query.order import sortable

pytestmark = pytest.mark.asyncio(loop_scope="package")

SEEDED = 6
HOUR = {"seconds": 3600}
INVENTORY = common_pb2.ClusterStatus.SOURCE_INVENTORY
each_list = pytest.mark.parametrize("rpc", LISTS)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def client():
    """Some of everything in memory, once listed for the inventory; what the operations wrote is listed too."""
    site, number = Memory(0.0), 0
    async with site.cloud, deployment(site.cluster(None), no_inventory=False) as running:
        for kind in CREATES.values():
            for index in range(SEEDED):
                number += 1
                below = [
                    await (await call(running.client, make(site, f"below-{number}", number))).result(20)
                    for make in kind.before
                ]
                name = random.Random(number).choice("abAB") + str(index)  # noqa: S311 - a choice of cases
                request = kind.request(site, name, number, *(made.name for made in below))
                await (await call(running.client, request)).result(20)
        inventory = running.gateway.inventory
        await inventory.write_through.settled()
        await inventory.sync.now([MAIN], deadline=Deadline.after(30))
        yield running.client


async def _all(client, rpc, *, size=1000, parent=MAIN, **fields):
    """Return all rows without their times, and the last answer."""
    found, request = [], LISTS[rpc].request(parent=parent, page_size=size, **fields)
    while True:
        answer = await stub(client, rpc)(request)
        found += getattr(answer, LISTS[rpc].items_field)
        request.page_token = answer.next_page_token
        if not answer.next_page_token:
            for row in found:
                row.ClearField("observe_time")
            return found, answer


async def _stored(client, rpc, **fields):
    rows, answer = await _all(client, rpc, max_staleness=HOUR, **fields)
    if fields.get("parent", MAIN) == MAIN and rows:
        assert answer.cluster_status[0].source == INVENTORY
    return rows


def _by_name(rows):
    return sorted(rows, key=lambda row: row.name)


@each_list
async def test_a_stored_list_is_the_list_of_the_platform_in_pages_of_any_size(client, rpc):
    """Each row the same but for when it was read."""
    live, answer = await _all(client, rpc)
    if answer.cluster_status[0].state == common_pb2.ClusterStatus.STATE_UNSUPPORTED:
        pytest.skip("the memory platform has none")
    for size in (1000, 1, 3):
        assert await _stored(client, rpc, size=size) == _by_name(live)
    assert await _stored(client, rpc, size=2, parent="platforms/-/clusters/-") == _by_name(live)


@each_list
async def test_a_filter_finds_the_same_stored_and_live(client, rpc):
    """By some values of each field, their negations, and what nothing has."""
    live, _ = await _all(client, rpc)
    wrong = []
    for text in _filters(live, LISTS[rpc].item.DESCRIPTOR):
        wanted, _ = await _all(client, rpc, filter=text)
        if await _stored(client, rpc, filter=text) != _by_name(wanted):
            wrong.append(text)
    assert wrong == []


@each_list
async def test_an_order_is_kept_over_the_pages_of_a_stored_list(client, rpc):
    """Both ways, complete, and over all clusters too."""
    everything = sorted(_names((await _all(client, rpc))[0]))
    for field in sortable(_plural(rpc)):
        for direction in ("", " desc"):
            for parent in (MAIN, "platforms/-/clusters/-"):
                rows = await _stored(client, rpc, order_by=field + direction, size=2, parent=parent)
                assert sorted(_names(rows)) == everything
                descriptor = LISTS[rpc].item.DESCRIPTOR.fields_by_name[field]
                if descriptor.enum_type is None:
                    assert _is_sorted(descriptor, [getattr(row, field) for row in rows], reverse=bool(direction))


def _plural(rpc):
    return LISTS[rpc].item.DESCRIPTOR.GetOptions().Extensions[resource_pb2.resource].plural


@each_list
async def test_a_read_mask_leaves_the_same_of_a_stored_list(client, rpc):
    """Each field alone, and the name, always."""
    for field in LISTS[rpc].item.DESCRIPTOR.fields:
        mask = field_mask_pb2.FieldMask(paths=[field.name])
        live, _ = await _all(client, rpc, read_mask=mask)
        assert await _stored(client, rpc, read_mask=mask) == _by_name(live)
