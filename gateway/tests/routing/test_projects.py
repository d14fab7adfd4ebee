"""The gateway's own look at what adapters answer to callers who have one project, where an adapter does not."""

from __future__ import annotations

import base64
from contextlib import nullcontext

import grpc
import pytest
from google.protobuf import field_mask_pb2
from tests.harness.callers import acting_for
from tests.harness.clouds import MAIN, memory_cluster
from tests.harness.in_process import deployment

from cloudspan.client import InvalidRequest, NotFound
from cloudspan.v1 import cluster_pb2, common_pb2, network_pb2, project_pb2, server_pb2
from cloudspan_common import grpcs
from cloudspan_gateway.access.access import OpenAccess

MINE, OTHERS = f"{MAIN}/projects/main", f"{MAIN}/projects/other"
OWN, FOREIGN, LOST = (f"{MAIN}/servers/{i}" for i in ("own", "foreign", "lost"))
Get, List = server_pb2.GetServerRequest, server_pb2.ListServersRequest


@pytest.fixture
async def running(monkeypatch):
    """A gateway whose callers have the project main, over an adapter that does not know of callers."""
    cluster = memory_cluster()
    for native_id, project in (("own", MINE), ("foreign", OTHERS)):
        cluster.store.put("servers", native_id, server_pb2.Server(display_name=native_id, project=project))
    cluster.store.put("servers", "lost", server_pb2.Server(display_name="lost")).ClearField("project")
    cluster.store.put("projects", "other", project_pb2.Project(display_name="other"))
    shared = network_pb2.Network(display_name="shared", project=OTHERS, shared=True)
    shared.native["segment"] = 7
    cluster.store.put("networks", "shared", shared)
    cluster.store.put("networks", "foreign", network_pb2.Network(display_name="foreign", project=OTHERS))
    monkeypatch.setattr(OpenAccess, "project", lambda *_: "main")
    with acting_for(""):
        async with deployment(cluster) as made:
            yield made


@pytest.fixture
def servers(running):
    return running.client.servers


@pytest.mark.parametrize("paths", [(), ("display_name",), ("name", "project"), ("*",)])
@pytest.mark.parametrize("parent", [MAIN, "platforms/-/clusters/-"])
async def test_a_list_loses_what_is_anothers_and_keeps_what_was_asked_for(running, servers, parent, paths):
    """With a mask that leaves the project out too; each is counted as a fault of the adapter."""
    mask = field_mask_pb2.FieldMask(paths=paths)
    listed = await servers.ListServers(List(parent=parent, read_mask=mask))
    [server] = listed.servers
    assert server.name == OWN
    assert bool(server.project) == ("display_name" not in paths)
    assert bool(server.display_name) == ("project" not in paths)
    assert running.gateway.forwarder.projects.dropped == 2


@pytest.mark.parametrize("name", [FOREIGN, LOST])
@pytest.mark.parametrize("paths", [(), ("display_name",)])
async def test_anothers_resource_is_not_found(running, servers, name, paths):
    """In the words that adapters have for it."""
    with pytest.raises(NotFound) as caught:
        await servers.GetServer(Get(name=name, read_mask=field_mask_pb2.FieldMask(paths=paths)))
    assert str(caught.value).startswith(f"{name} does not exist in your pool's project of {MAIN}")
    assert caught.value.resource == name
    assert running.gateway.forwarder.projects.dropped == 1


async def test_ones_own_is_read_as_asked(servers):
    """The project is left out again where a mask leaves it out."""
    server = await servers.GetServer(Get(name=OWN, read_mask=field_mask_pb2.FieldMask(paths=["display_name"])))
    assert server == server_pb2.Server(name=OWN, display_name="own")


async def test_pages_go_on_behind_what_was_dropped(running, servers):
    """Small pages may come empty, and every own server comes once."""
    found, token = [], ""
    while True:
        page = await servers.ListServers(List(parent=MAIN, page_size=1, page_token=token))
        found += [server.name for server in page.servers]
        token = page.next_page_token
        if not token:
            break
    assert found == [OWN]


@pytest.mark.parametrize("parent", [MAIN, "platforms/-/clusters/-"])
async def test_a_page_token_tells_nothing_and_is_of_its_tenant_project_and_list(running, servers, monkeypatch, parent):
    """The cloud's place in it is encrypted; an adapter's own token is not taken."""
    request = List(parent=parent, page_size=1)
    token = (await servers.ListServers(request)).next_page_token
    assert b"foreign" not in base64.b64decode(token + "==", altchars=b"-_")
    request.page_token = token
    await servers.ListServers(request)
    monkeypatch.setattr(OpenAccess, "project", lambda *_: "other")
    with pytest.raises(InvalidRequest, match="invalid page_token") if parent == MAIN else nullcontext():
        assert (await servers.ListServers(request)).servers == []
    monkeypatch.setattr(OpenAccess, "project", lambda *_: "")
    plain = (await servers.ListServers(List(parent=MAIN, page_size=1))).next_page_token
    monkeypatch.setattr(OpenAccess, "project", lambda *_: "main")
    for forged in (plain, token[:-2], token[:10], "%", "", "\u00fc"):
        if forged:
            with pytest.raises(InvalidRequest):
                await servers.ListServers(List(parent=MAIN, page_size=1, page_token=forged))


async def test_what_is_shared_is_shown_without_its_document(running):
    """And what is not is not."""
    request = network_pb2.ListNetworksRequest(parent=MAIN, view=common_pb2.RESOURCE_VIEW_FULL)
    listed = {
        network.display_name: network for network in (await running.client.networks.ListNetworks(request)).networks
    }
    assert listed.keys() == {"private", "public", "shared"}
    assert not listed["shared"].native


async def test_only_the_callers_project_is_listed(running):
    """By its own name."""
    listed = await running.client.projects.ListProjects(project_pb2.ListProjectsRequest(parent=MAIN))
    assert [project.name for project in listed.projects] == [MINE]


async def test_a_cluster_is_shown_with_the_callers_project(running, monkeypatch):
    """And not with the one that its credentials are scoped to."""
    monkeypatch.setattr(OpenAccess, "project", lambda *_: "other")
    cluster = await running.client.clusters.GetCluster(cluster_pb2.GetClusterRequest(name=MAIN))
    assert cluster.project == OTHERS


async def test_callers_with_all_projects_get_everything_unread(running, servers, monkeypatch):
    """The answer passes as it came."""
    monkeypatch.setattr(OpenAccess, "project", lambda *_: "")
    assert len((await servers.ListServers(List(parent=MAIN))).servers) == 3
    assert (await servers.GetServer(Get(name=FOREIGN))).name == FOREIGN
    assert running.gateway.forwarder.projects.dropped == 0


async def test_an_adapters_own_service_is_refused(running):
    """Whose resources it is about can't be told."""
    async with grpcs.new_channel(f"127.0.0.1:{running.gateway.server.port}") as channel:
        ask = channel.unary_unary("/memory.v1.OwnService/Do")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(b"", metadata=(("x-platform", "memory"), ("x-cluster", "main")), timeout=5)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "your pool has one project" in caught.value.details()
