"""A caller with one project of a cluster, over real sockets: what of the others it can read, change, or tell apart."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import grpc
import pytest
from common.kit.tests.acme import EAST, PARENT, AcmeCluster, serving
from common.kit.tests.owned_resources import MINE, OTHERS, Drivers
from google.protobuf import field_mask_pb2
from tests.harness.callers import acting_for

from cloudspan.adapter.v1 import step_pb2, step_pb2_grpc
from cloudspan.client import AsyncClient
from cloudspan.client import errors as client_errors
from cloudspan.v1 import common_pb2, key_pair_pb2, network_pb2, server_pb2, subnet_pb2, zone_pb2
from cloudspan_common import grpcs
from cloudspan_common.errors import Forbidden, PlatformFault
from cloudspan_kit import Call, Marked
from cloudspan_kit.serve import capabilities
from cloudspan_kit.serve.capabilities import MarkedKind

FULL = common_pb2.RESOURCE_VIEW_FULL


@pytest.fixture
def drivers() -> Drivers:
    return Drivers()


@pytest.fixture
async def address(drivers: Drivers) -> AsyncIterator[str]:
    async with serving(AcmeCluster(drivers)) as bound:
        yield bound


@pytest.fixture
async def client(address: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(address, timeout_s=5) as opened:
        yield opened


@pytest.fixture
def project() -> str:
    return "main"


@pytest.fixture(autouse=True)
def _acting(project: str) -> Iterator[None]:
    with acting_for(project):
        yield


def name(collection: str, native_id: str) -> str:
    return EAST.resource(collection, native_id)


async def refused(call: Awaitable[Any]) -> client_errors.CloudspanError:
    with pytest.raises(client_errors.CloudspanError) as caught:
        await call
    return caught.value


def told(error: client_errors.CloudspanError, native_id: str) -> tuple[Any, ...]:
    """Return everything that an error says, without the id that was asked for."""
    metadata = {key: value for key, value in error.metadata.items() if key != "request_id"}
    return type(error), error.reason, re.sub(rf"/{native_id}\b", "/ID", f"{error} {error.resource} {metadata}")


@pytest.mark.parametrize("native_id", ["b", "lost"])
@pytest.mark.parametrize("paths", [(), ("display_name",), ("project", "name")])
async def test_anothers_resource_is_not_found_in_the_words_of_one_that_does_not_exist(client, native_id, paths):
    """Whatever is read of it; one whose project is not known is another's."""
    mask = field_mask_pb2.FieldMask(paths=paths)
    found = await refused(
        client.servers.GetServer(server_pb2.GetServerRequest(name=name("servers", native_id), read_mask=mask))
    )
    absent = await refused(
        client.servers.GetServer(server_pb2.GetServerRequest(name=name("servers", "no"), read_mask=mask))
    )
    assert isinstance(found, client_errors.NotFound)
    assert told(found, native_id) == told(absent, "no")
    assert "native" not in str(found)


async def test_a_cloud_that_refuses_to_show_anothers_resource_does_not_tell_that_it_is_there(client, drivers):
    """Its 403 becomes the same NOT_FOUND."""
    drivers.fault = Forbidden("the server is of project other")
    found = await refused(client.servers.GetServer(server_pb2.GetServerRequest(name=name("servers", "b"))))
    absent = await refused(client.servers.GetServer(server_pb2.GetServerRequest(name=name("servers", "no"))))
    assert told(found, "b") == told(absent, "no")


async def test_a_mask_without_the_project_reads_it_and_leaves_it_out(client, drivers):
    """It is what a resource is judged by."""
    mask = field_mask_pb2.FieldMask(paths=["display_name"])
    read = await client.servers.GetServer(server_pb2.GetServerRequest(name=name("servers", "a"), read_mask=mask))
    assert (read.display_name, read.project) == ("server-a", "")
    assert drivers.wanted == [{"display_name", "name", "project"}]


@pytest.mark.parametrize(
    "text", ["", f'project = "{OTHERS}"', "project:*", f'NOT project = "{MINE}"', 'display_name : "server"']
)
async def test_a_list_holds_the_projects_own_alone_whatever_is_filtered_for(client, text):
    """A filter by another project finds nothing."""
    listed = await client.servers.ListServers(server_pb2.ListServersRequest(parent=PARENT, filter=text))
    assert {row.name for row in listed.servers} <= {name("servers", "a")}
    assert bool(listed.servers) == (text == "" or ":" in text)


async def test_a_row_that_could_not_be_read_is_not_named(client):
    """It may be another's: the list is PARTIAL and says no more."""
    listed = await client.servers.ListServers(server_pb2.ListServersRequest(parent=PARENT))
    [status] = listed.cluster_status
    assert status.state == common_pb2.ClusterStatus.STATE_PARTIAL
    assert "1e400" not in status.message


async def test_what_is_shared_with_all_is_read_without_what_an_administrator_is_told_of_it(client):
    """The document of one's own comes whole."""
    listed = await client.networks.ListNetworks(network_pb2.ListNetworksRequest(parent=PARENT, view=FULL))
    assert {row.name: bool(row.native) for row in listed.networks} == {
        name("networks", "a"): True,
        name("networks", "all"): False,
    }
    read = await client.networks.GetNetwork(network_pb2.GetNetworkRequest(name=name("networks", "all"), view=FULL))
    assert not read.native


async def test_a_kind_without_projects_is_read_by_all(client):
    """Zones, for one."""
    listed = await client.zones.ListZones(zone_pb2.ListZonesRequest(parent=PARENT))
    assert [row.name for row in listed.zones] == [name("zones", "z")]


async def test_a_page_token_is_of_its_tenant_and_project(client, drivers):
    """Another's is one of another query."""
    drivers.servers |= {f"a{n}": server_pb2.Server(project=MINE) for n in range(3)}
    request = server_pb2.ListServersRequest(parent=PARENT, page_size=1)
    request.page_token = (await client.servers.ListServers(request)).next_page_token
    await client.servers.ListServers(request)
    for project, tenant in (("other", "acme"), ("main", "globex"), ("", "acme")):
        with acting_for(project, tenant):
            refusal = await refused(client.servers.ListServers(request))
        assert refusal.reason == "PAGE_TOKEN_OTHER_QUERY"


def _changes(of: str) -> list[tuple[str, str, Any]]:
    server, volume = name("servers", of), name("volumes", of)
    return [
        ("servers", "DeleteServer", server_pb2.DeleteServerRequest(name=server)),
        ("servers", "StopServer", server_pb2.StopServerRequest(name=server)),
        ("servers", "AttachVolume", server_pb2.AttachVolumeRequest(name=name("servers", "a"), volume=volume)),
        ("servers", "AttachVolume", server_pb2.AttachVolumeRequest(name=server, volume=name("volumes", "a"))),
        ("networks", "DeleteNetwork", network_pb2.DeleteNetworkRequest(name=name("networks", of))),
        (
            "subnets",
            "CreateSubnet",
            subnet_pb2.CreateSubnetRequest(
                parent=PARENT, subnet=subnet_pb2.Subnet(network=name("networks", of), cidr="10.0.0.0/24")
            ),
        ),
        ("servers", "CreateServer", _new_server(boot=volume)),
        ("servers", "CreateServer", _new_server(network=name("networks", of))),
        ("servers", "CreateServer", _new_server(group=name("securityGroups", of))),
    ]


def _new_server(boot: str = "", network: str = "", group: str = "") -> server_pb2.CreateServerRequest:
    request = server_pb2.CreateServerRequest(parent=PARENT, server=server_pb2.Server(display_name="new"))
    if boot:
        request.boot_volume.volume = boot
    if network:
        request.network_interfaces.add(network=network)
    if group:
        request.server.security_groups.append(group)
    return request


async def _ended(client: AsyncClient, service: str, rpc: str, request: Any) -> Any:
    return await getattr(getattr(client, service), rpc)(request)


@pytest.mark.parametrize("validate_only", [False, True])
@pytest.mark.parametrize("number", range(9))
async def test_a_change_of_anothers_or_with_anothers_ends_as_one_with_nothing(client, drivers, number, validate_only):
    """By the target or by what the request names beside it; nothing is done."""
    ends = []
    for of in ("b", "no"):
        service, rpc, request = _changes(of)[number]
        request.validate_only = validate_only
        operation = (await _ended(client, service, rpc, request)).proto
        assert operation.error.code == grpc.StatusCode.NOT_FOUND.value[0]
        ends.append(operation.error.message.replace(f"/{of} ", "/ID "))
    assert ends[0] == ends[1]
    assert drivers.done == []


async def test_a_delete_that_may_find_nothing_finds_nothing_of_anothers(client, drivers):
    """It is done, as for an id that nobody has, and the other's is still there."""
    request = server_pb2.DeleteServerRequest(name=name("servers", "b"), allow_missing=True)
    operation = (await client.servers.DeleteServer(request)).proto
    assert operation.HasField("response")
    assert drivers.done == []


@pytest.mark.parametrize("number", range(8))
async def test_a_change_of_ones_own_is_carried_out(client, drivers, number):
    """In the project that the credentials create in."""
    service, rpc, request = _changes("a")[number]
    operation = (await _ended(client, service, rpc, request)).proto
    assert not operation.HasField("error")
    assert len(drivers.done) == 1


async def test_what_all_share_is_not_changed(client, drivers):
    """It can be read, so that the refusal says so; nor does it get a subnet."""
    shared = name("networks", "all")
    subnet = subnet_pb2.Subnet(network=shared, cidr="10.0.0.0/24")
    for service, rpc, request in (
        ("networks", "DeleteNetwork", network_pb2.DeleteNetworkRequest(name=shared, allow_missing=True)),
        ("subnets", "CreateSubnet", subnet_pb2.CreateSubnetRequest(parent=PARENT, subnet=subnet)),
    ):
        operation = (await _ended(client, service, rpc, request)).proto
        assert operation.error.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
        assert shared in operation.error.message
    await _ended(client, "servers", "CreateServer", _new_server(network=shared))
    assert drivers.done == ["create server"]


@pytest.mark.parametrize("project", ["other"])
async def test_nothing_is_created_in_a_project_that_is_not_the_credentials_own(client, drivers):
    """The refusal names both."""
    operation = (await client.servers.CreateServer(_new_server())).proto
    assert operation.error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert MINE in operation.error.message
    assert OTHERS in operation.error.message
    assert drivers.done == []


@pytest.mark.parametrize("project", ["main", "other"])
async def test_what_belongs_to_the_credentials_is_read_by_all_and_changed_for_their_own_project(
    client, drivers, project
):
    """As key pairs of a user; those of a project are that project's."""
    listed = await client.key_pairs.ListKeyPairs(key_pair_pb2.ListKeyPairsRequest(parent=PARENT))
    found = [row.name.rpartition("/")[2] for row in listed.key_pairs]
    assert found == (["user"] if project == "main" else ["b", "user"])
    request = key_pair_pb2.DeleteKeyPairRequest(name=EAST.resource("keyPairs", "user"))
    operation = (await client.key_pairs.DeleteKeyPair(request)).proto
    assert operation.HasField("error") == (project == "other")
    assert len(drivers.done) == (project == "main")


@pytest.mark.parametrize(("option", "allowed"), [("stopped", True), ("same_host", False)])
async def test_an_option_that_could_reach_beyond_the_project_is_refused(client, drivers, option, allowed):
    """Each Struct says which of them can't; the administrator's credentials would refuse none."""
    request = _new_server()
    request.options.update({option: True if allowed else "b"})
    operation = (await client.servers.CreateServer(request)).proto
    assert operation.HasField("error") != allowed
    assert bool(drivers.done) == allowed
    if not allowed:
        assert "options.same_host" in operation.error.message


async def test_a_first_step_that_may_be_a_second_one_is_checked_too(address, drivers):
    """The first one's answer was lost, or it never came."""
    request = server_pb2.StopServerRequest(name=name("servers", "b"))
    step = step_pb2.StepRequest(
        operation_id="1",
        attempt=2,
        method="cloudspan.v1.ServerService/StopServer",
        request=request.SerializeToString(),
        installation="i",
    )
    async with grpcs.new_channel(address) as channel:
        answer = await step_pb2_grpc.StepServiceStub(channel).Step(step, timeout=5)
    assert "does not exist" in answer.error.message
    assert drivers.done == []


@pytest.fixture
def removed(drivers: Drivers, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give every server a mark; returns what is removed by it."""
    gone: list[str] = []

    async def find(_: Call, prefix: str) -> list[Marked]:
        return [Marked(i, f"cs-i-op-{i}", f"server-{i}") for i in drivers.servers if f"cs-i-op-{i}".startswith(prefix)]

    async def remove(_: Call, native_id: str) -> None:
        gone.append(native_id)

    made = capabilities.Abilities.__init__

    def init(self: Any, cluster: Any) -> None:
        made(self, cluster)
        self.marked["servers"] = MarkedKind(find, remove)

    monkeypatch.setattr(capabilities.Abilities, "__init__", init)
    return gone


async def test_marks_of_anothers_are_not_listed_and_not_removed(removed, address):
    """Nor is there a difference to what is gone."""
    async with grpcs.new_channel(address) as channel:
        stub = step_pb2_grpc.MarkServiceStub(channel)
        listed = await stub.ListMarked(step_pb2.ListMarkedRequest(cluster=PARENT, installation="i"), timeout=5)
        assert [row.name for row in listed.marked] == [name("servers", "a")]
        for native_id in ("b", "no", "a"):
            ask = step_pb2.RemoveMarkedRequest(name=name("servers", native_id), marker=f"cs-i-op-{native_id}")
            await stub.RemoveMarked(ask, timeout=5)
    assert removed == ["a"]


@pytest.mark.parametrize("project", [""])
async def test_a_caller_without_a_project_reads_all_that_the_credentials_reach(client, drivers):
    """And nothing more is read for it."""
    listed = await client.servers.ListServers(server_pb2.ListServersRequest(parent=PARENT))
    assert len(listed.servers) == 3
    assert "1e400" in listed.cluster_status[0].message
    drivers.fault = PlatformFault("b can't be read")
    assert "b can't be read" in str(
        await refused(client.servers.GetServer(server_pb2.GetServerRequest(name=name("servers", "b"))))
    )
