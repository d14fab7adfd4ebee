"""What of an adapter's page is believed, and what proves that a resource is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gateway.tests.listed_cloud import ListedCloud
from gateway.tests.observed_servers import CLUSTER, OTHER, name_of, server
from gateway.tests.swept_adapter import fail, let_sweep

from cloudspan.adapter.v1 import sweep_pb2
from cloudspan.v1 import server_pb2
from cloudspan_common import errors
from cloudspan_gateway.inventory.model import digest_of
from cloudspan_gateway.inventory.sync.source import AdapterSource, PageRequest, page_of

if TYPE_CHECKING:
    from gateway.tests.conftest import Deployment
    from gateway.tests.hand_made_adapter import Context

ASKED = PageRequest(CLUSTER, "servers")
EAST = "platforms/openstack/clusters/east"


def answer(*names: str, **fields: object) -> sweep_pb2.SweepPageResponse:
    answered = sweep_pb2.SweepPageResponse(**fields)
    for name in names:
        payload = server_pb2.Server(name=name).SerializeToString()
        answered.rows.add(name=name, resource=payload, digest=digest_of(payload))
    return answered


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (name_of("b", OTHER), "is not the name of one of"),
        (f"{CLUSTER}/volumes/b", "is not the name of one of"),
        (f"{CLUSTER}/servers/b/more", "is not the name of one of"),
        (f"{CLUSTER}/servers/", "is not the name of one of"),
        (f"{CLUSTER}/servers/-", "is not the name of one of"),
        ("platforms/memory/clusters/-/servers/b", "is not the name of one of"),
        ("", "is not the name of one of"),
        (f"{CLUSTER}/servers/" + "b" * 600, "is not the name of one of"),
        (f"{CLUSTER}/servers/b\0", "is not percent-encoded"),
        (f"{CLUSTER}/servers/b\n", "is not percent-encoded"),
        (f"{CLUSTER}/servers/ß", "is not percent-encoded"),
    ],
)
def test_a_row_of_another_name_is_left_out_and_said(name: str, why: str) -> None:
    """The others are taken; the listing is not whole then."""
    page = page_of(answer(name_of("a"), name), ASKED)
    assert [row.name for row in page.rows] == [name_of("a")]
    assert len(page.unread) == 1
    assert why in page.unread[0]


def test_of_a_name_that_is_listed_twice_with_other_content_the_first_is_taken() -> None:
    """The same twice is nothing to speak of."""
    page = page_of(answer(name_of("a"), name_of("a")), ASKED)
    assert (len(page.rows), page.unread) == (1, ())
    twice = answer(name_of("a"), name_of("a"))
    twice.rows[1].resource = server("a", "other").payload
    page = page_of(twice, ASKED)
    assert page.rows[0].payload == twice.rows[0].resource
    assert "listed twice" in page.unread[0]


def test_a_digest_of_another_length_is_made_anew() -> None:
    """Whatever an adapter sends for one."""
    sent = answer(name_of("a"))
    sent.rows[0].digest = b""
    assert page_of(sent, ASKED).rows[0].digest == digest_of(sent.rows[0].resource)


def test_gone_is_believed_of_a_look_for_changes_alone() -> None:
    """In a listing it is a contradiction."""
    sent = answer(name_of("a"))
    sent.rows[0].gone = True
    assert "called gone" in page_of(sent, ASKED).unread[0]
    assert page_of(sent, PageRequest(CLUSTER, "servers", since=1.0)).gone == (name_of("a"),)


@pytest.mark.parametrize("etag", ["", "e"])
def test_an_unchanged_page_that_nobody_has_is_the_adapters_fault(etag: str) -> None:
    """Nobody asked whether it changed, or it has rows all the same."""
    sent = answer(*([name_of("a")] if etag else []), unchanged=True)
    with pytest.raises(errors.PlatformFault, match="unchanged page"):
        page_of(sent, PageRequest(CLUSTER, "servers", etag=etag))


@pytest.mark.parametrize(("asked", "bound"), [("", "p"), ("p", ""), ("p", "q")])
def test_an_answer_for_another_project_is_the_adapters_fault(asked: str, bound: str) -> None:
    """One that does not know of projects would be believed to have none of theirs."""
    request = PageRequest(CLUSTER, "servers", project=f"{CLUSTER}/projects/{asked}" if asked else "")
    assert page_of(answer(name_of("a"), project_id=asked), request).rows
    with pytest.raises(errors.PlatformFault, match="update it"):
        page_of(answer(name_of("a"), project_id=bound), request)


async def test_only_not_found_of_the_resource_itself_proves_that_it_is_gone(deployment: Deployment) -> None:
    """Not of its cluster, not another's, nor a server of another name."""
    adapter = await deployment.plug_in()
    cloud = ListedCloud({"a": "a"}, cluster=EAST)
    let_sweep(adapter, cloud)
    path = "/cloudspan.v1.ServerService/GetServer"
    async with deployment.opened():
        await deployment.until(lambda: "READY" in deployment.states())
        source = AdapterSource(lambda: deployment.gateway.table.snapshot, deployment.gateway.forwarder)
        found = await source.get(name_of("a", EAST))
        assert found is not None
        assert (found.name, found.digest) == (name_of("a", EAST), cloud.row("a").digest)
        assert await source.get(name_of("b", EAST)) is None

        for resource in ("", EAST, name_of("c", EAST)):

            async def elsewhere(_body: bytes, context: Context, resource: str = resource) -> bytes:
                await fail(context, errors.NotFound("not found", resource=resource))
                raise AssertionError

            adapter.answers[path] = elsewhere
            with pytest.raises(errors.NotFound):
                await source.get(name_of("b", EAST))

        async def another(_body: bytes, _context: Context) -> bytes:
            return server_pb2.Server(name=name_of("c", EAST)).SerializeToString()

        adapter.answers[path] = another
        with pytest.raises(errors.PlatformFault):
            await source.get(name_of("b", EAST))
        with pytest.raises(errors.NotFound, match="has no cluster"):
            await source.get(name_of("b", "platforms/openstack/clusters/west"))
