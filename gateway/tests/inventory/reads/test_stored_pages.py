"""Pages out of the inventory: below what clients take, and tokens that are good for one query of one tenant."""

from __future__ import annotations

import pytest
from gateway.tests.calls import call

from cloudspan.v1 import server_pb2
from cloudspan_common import contract
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.listing.page_token import MAX_ANSWER_BYTES, authenticated, checksum, encode_token
from cloudspan_gateway.access.access import OpenAccess
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.call import Target
from cloudspan_gateway.inventory.base import StoredPage, StoredRow
from cloudspan_gateway.inventory.model import Scope
from cloudspan_gateway.inventory.reads.stored_pages import Listing, Position, read_page

EAST = "platforms/openstack/clusters/east"
LIST = contract.methods()["cloudspan.v1.ServerService/ListServers"]
CHECK = authenticated(lambda body: bytes(32) + body[:0])


class Rows:
    """An inventory of servers of one size."""

    def __init__(self, count, payload_bytes):
        server = server_pb2.Server(description="x" * payload_bytes)
        self.rows = []
        for number in range(count):
            server.name = f"{EAST}/servers/{number:04}"
            row = StoredRow(number, server.name, "servers", EAST, server.SerializeToString(), 1.5)
            self.rows.append(row)

    async def page(self, question):
        start = int(question.after or 0)
        end = start + question.limit
        return StoredPage(self.rows[start:end], str(end) if end < len(self.rows) else "")


def listing(tenant="", **fields):
    made = call("/a.B/C")
    made.target = Target("a.B/C", message=server_pb2.ListServersRequest(parent=EAST, **fields))
    made.access = OpenAccess(tenant)
    if tenant:
        made.principal = Principal("users/alice")
    return Listing.of(LIST, made)


async def pages(rows, wanted):
    """Return the sizes of all pages in bytes, and how many rows each has."""
    sizes, counts, cursor = [], [], ""
    while True:
        question = wanted.question(Scope(()), cursor)
        response, cursor = await read_page(rows, wanted, question, {EAST: 0.0})
        sizes.append(response.ByteSize())
        counts.append(len(response.servers))
        if not cursor:
            return sizes, counts


async def test_a_page_is_cut_below_what_clients_take_and_the_next_one_goes_on_behind_it():
    """Nothing is lost, and a row that alone is too large comes alone."""
    sizes, counts = await pages(Rows(100, 100_000), listing(page_size=1000))
    assert sum(counts) == 100
    assert max(sizes) <= MAX_ANSWER_BYTES + 64 * 1024
    assert (await pages(Rows(2, MAX_ANSWER_BYTES), listing()))[1] == [1, 1]


async def test_a_mask_makes_room_for_more():
    """What it leaves out takes none."""
    assert (await pages(Rows(100, 100_000), listing(read_mask={"paths": ["name"]})))[1] == [100]


def test_a_token_leads_back_to_its_position_and_to_no_other_query_or_tenant():
    """Filter, order and tenant are part of it; the page size is not."""
    position = Position('["a"]', [EAST], ["platforms/zstack/clusters/a"])
    token = listing(filter="vcpus = 1").token(position, CHECK)
    assert listing(filter="vcpus = 1", page_size=7).position(token, CHECK) == position
    for other in (listing(), listing(tenant="acme", filter="vcpus = 1"), listing(filter="vcpus = 1", order_by="name")):
        with pytest.raises(InvalidRequest, match="another query"):
            other.position(token, CHECK)
    assert listing().token(Position(""), CHECK) == ""


@pytest.mark.parametrize("token", ["x", "AQ", "\u00e4", "a" * 5000])
def test_a_token_that_was_not_made_here_is_left_to_who_made_it(token):
    """An adapter's own, one that was forged without the key, and one of a list that asks platforms."""
    assert listing().position(token, CHECK) is None
    assert listing().position(encode_token(listing().query, "stored:[]", checksum), CHECK) is None
    assert listing().position(encode_token(listing().query, '[["openstack","east"]]', CHECK), CHECK) is None
