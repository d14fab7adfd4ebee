"""What a known caller may do: refused calls say what is missing, and what is not the caller's does not exist."""

from __future__ import annotations

import grpc
import pytest
from gateway.tests.callers import get_server, refused
from gateway.tests.hand_made_adapter import LIST_SERVERS, TOOLS
from gateway.tests.known_callers import EAST, WEST, Guarded, as_user, binding, pool, role, tenant
from google.api import field_behavior_pb2
from google.longrunning import operations_pb2
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from cloudspan.v1 import cluster_pb2, platform_pb2, server_pb2
from cloudspan_common import contract
from cloudspan_gateway.routing.snapshot import READY

CODE = grpc.StatusCode
HIDDEN = "platforms/openstack/clusters/secret"
NOWHERE = "platforms/openstack/clusters/nowhere"
ROWS = (
    tenant("acme"),
    pool("acme", "dev", WEST),
    pool("acme", "prod", EAST),
    binding("acme", "alice", "viewer"),
    binding("acme", "alice", "member", "dev"),
    binding("acme", "bob", "admin"),
    tenant("beta"),
    pool("beta", "all", HIDDEN, "platforms/zstack/clusters/-"),
    binding("beta", "carol", "admin"),
    binding("-", "root", "admin"),
    role("reboots", "cloudspan.v1.ServerService/RebootServer"),
    binding("acme", "dan", "reboots", "prod"),
)


@pytest.fixture
async def guarded(deployment):
    """Two tenants, each with clusters of its own, on adapters that they share."""
    one = await deployment.plug_in(clusters=("east", "west", "secret"))
    other = await deployment.plug_in(instance_id="z-1", platform="zstack", clusters=("dc1",))
    one.answers[LIST_SERVERS] = other.answers[LIST_SERVERS] = no_servers
    async with deployment.opened(Guarded):
        await deployment.keep(*ROWS)
        yield deployment


async def no_servers(_body, _context):
    return b""


async def answer_to(deployment, path, request, user="alice", *metadata):
    """Return how a call ends: its code, its message and its details, without the id of the request."""
    try:
        return await deployment.channel.unary_unary(path)(
            request.SerializeToString(), metadata=as_user(user, *metadata), timeout=5
        )
    except grpc.aio.AioRpcError as error:
        status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        details = [detail for detail in status.details if not detail.Is(error_details_pb2.RequestInfo.DESCRIPTOR)]
        return error.code(), error.details(), [(detail.type_url, detail.value) for detail in details]


def requests_on(cluster):
    """A request of each method of the contract that names a cluster, with every REQUIRED field set to something."""
    for method in contract.methods().values():
        if not method.routed_field and method.service not in (
            "cloudspan.v1.OrphanService",
            "cloudspan.v1.ClusterService",
        ):
            continue
        request = method.request()
        field = method.routed_field or next((f for f in ("name", "parent") if hasattr(request, f)), "")
        _fill(request, method.routed_field and field.partition(".")[2])
        value = cluster
        if method.collection or method.name == "DeleteOrphan":
            value = f"{cluster}/{method.collection or 'servers'}/1"
        if method.name == "ListClusters":
            continue
        target = request
        *parents, last = field.split(".")
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, last, value)
        for name in method.also:
            setattr(request, name, f"{cluster}/volumes/2")
        yield method, request


def _fill(message, skip=""):
    for field in message.DESCRIPTOR.fields:
        if field_behavior_pb2.REQUIRED not in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]:
            continue
        if field.message_type is not None and field.is_repeated:
            _fill(getattr(message, field.name).add())
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            _fill(getattr(message, field.name))
        elif field.is_repeated:
            getattr(message, field.name).append("operations/0" if field.type == field.TYPE_STRING else 1)
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, "operations/0")
        elif field.type == field.TYPE_BOOL:
            setattr(message, field.name, True)
        else:
            setattr(message, field.name, 1)


def renamed(answer):
    """The answer about the one cluster, as if it had been asked about the other."""
    if isinstance(answer, bytes):
        return answer
    code, text, details = answer
    swapped = []
    for url, value in details:
        detail = any_pb2.Any(type_url=url, value=value)
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.ResourceInfo, error_details_pb2.BadRequest):
            message = kind()
            if detail.Unpack(message):
                swapped.append(str(message).replace("secret", "nowhere"))
                break
        else:
            swapped.append(str(detail))
    return code, text.replace("secret", "nowhere"), swapped


async def test_a_hidden_cluster_is_answered_as_one_that_does_not_exist(guarded):
    """By every method of the contract that names a cluster: code, message and details but for the name itself."""
    pairs = list(zip(requests_on(HIDDEN), requests_on(NOWHERE), strict=True))
    assert len(pairs) > 60
    for (method, hidden), (_, nowhere) in pairs:
        for user in ("alice", "bob", "dan"):
            one = await answer_to(guarded, method.path, hidden, user)
            other = await answer_to(guarded, method.path, nowhere, user)
            assert renamed(one) == renamed(other), method.full_name
            assert one[0] is CODE.NOT_FOUND, (method.full_name, one)
            assert "secret" not in one[1].replace("'secret'", "")


async def test_a_hidden_platform_is_answered_as_one_that_is_not_plugged_in(guarded):
    """Nor do the lists of what is known name it."""
    path = "/cloudspan.v1.PlatformService/GetPlatform"
    hidden = await answer_to(guarded, path, platform_pb2.GetPlatformRequest(name="platforms/zstack"))
    nowhere = await answer_to(guarded, path, platform_pb2.GetPlatformRequest(name="platforms/vmware"))
    assert hidden[0] is nowhere[0] is CODE.NOT_FOUND
    assert hidden[1].replace("zstack", "vmware") == nowhere[1]
    assert "known now: openstack." in nowhere[1]
    lists = [
        await answer_to(
            guarded, "/cloudspan.v1.ServerService/ListServers", server_pb2.ListServersRequest(parent=parent)
        )
        for parent in ("platforms/zstack/clusters/-", "platforms/vmware/clusters/-")
    ]
    assert lists[0][1].replace("zstack", "vmware") == lists[1][1]
    assert lists[0][0] is CODE.NOT_FOUND


async def test_an_unmatched_cluster_name_lists_the_callers_own(guarded):
    """`platforms/-/clusters/secret` is as unknown as one that nothing has."""
    path = "/cloudspan.v1.ServerService/ListServers"
    for cluster in ("secret", "dc1", "nowhere"):
        request = server_pb2.ListServersRequest(parent=f"platforms/-/clusters/{cluster}")
        code, text, _ = await answer_to(guarded, path, request)
        assert code is CODE.NOT_FOUND
        assert text == f"no platform has a cluster {cluster!r}; the clusters known now are: east, west"


async def test_a_volume_of_a_hidden_cluster_is_unknown_too(guarded):
    """A second resource is looked at as the first one is: what waits for it would show that it exists."""
    path = "/cloudspan.v1.ServerService/AttachVolume"
    found = []
    for cluster in (HIDDEN, NOWHERE):
        request = server_pb2.AttachVolumeRequest(name=f"{WEST}/servers/1", volume=f"{cluster}/volumes/1")
        found.append(renamed(await answer_to(guarded, path, request)))
    assert found[0] == found[1]
    assert found[0][0] is CODE.NOT_FOUND


async def test_a_refusal_says_what_is_missing_where_and_who_could_grant_it(guarded, told):
    """PERMISSION_DENIED names permission, method and pool."""
    request = server_pb2.DeleteServerRequest(name=f"{EAST}/servers/1")
    code, text, _ = await answer_to(guarded, "/cloudspan.v1.ServerService/DeleteServer", request)
    assert (code, text) == (
        CODE.PERMISSION_DENIED,
        (
            "permission `delete` (cloudspan.v1.ServerService/DeleteServer) on tenants/acme/pools/prod is missing; a "
            "caller with `administer` on tenants/acme can grant it"
        ),
    )


async def test_a_role_on_one_pool_is_none_on_another(guarded):
    """Alice is a member of dev and a viewer of prod; Dan may restart what is in prod, and nothing else."""
    restart = "/cloudspan.v1.ServerService/RebootServer"
    codes = {}
    for user in ("alice", "dan"):
        for cluster in (EAST, WEST):
            request = server_pb2.RebootServerRequest(name=f"{cluster}/servers/1")
            answer = await answer_to(guarded, restart, request, user)
            codes[user, cluster] = CODE.OK if isinstance(answer, bytes) else answer[0]
    assert codes["alice", EAST] is CODE.PERMISSION_DENIED
    assert codes["alice", WEST] not in (CODE.PERMISSION_DENIED, CODE.NOT_FOUND)
    assert codes["dan", EAST] not in (CODE.PERMISSION_DENIED, CODE.NOT_FOUND)
    assert codes["dan", WEST] is CODE.NOT_FOUND
    read = await answer_to(guarded, "/cloudspan.v1.ServerService/GetServer",
                           server_pb2.GetServerRequest(name=f"{EAST}/servers/1"), "dan")  # fmt: skip
    assert read[0] is CODE.PERMISSION_DENIED


async def test_somebody_without_a_role_exists_and_sees_nothing(guarded):
    """Every cluster is unknown to it, and what is about none is refused."""
    name = f"{EAST}/servers/1"
    error = await refused(get_server(guarded.channel, name, metadata=as_user("eve")))
    listed = await answer_to(
        guarded, "/cloudspan.v1.ClusterService/ListClusters", cluster_pb2.ListClustersRequest(), "eve"
    )
    assert (error.code(), error.details()) == (
        CODE.NOT_FOUND,
        "platform 'openstack' is not plugged in; known now: none. Start an adapter for it, or correct the tag",
    )
    assert listed[0] is CODE.PERMISSION_DENIED
    assert "on tenants/- is missing" in listed[1]


async def test_a_wildcard_reaches_the_clusters_that_the_caller_may_read(guarded):
    """Dan sees prod, and may not read it; Alice reads both pools and nothing of the other tenant."""
    path = "/cloudspan.v1.ServerService/ListServers"
    request = server_pb2.ListServersRequest(parent="platforms/-/clusters/-")
    alice = server_pb2.ListServersResponse.FromString(await answer_to(guarded, path, request))
    dan = await answer_to(guarded, path, request, "dan")
    assert [status.cluster for status in alice.cluster_status] == [EAST, WEST]
    assert dan[0] is CODE.PERMISSION_DENIED


async def test_a_service_beyond_the_contract_needs_its_cluster(guarded):
    """To operate on the cluster that it is tagged with; without one, all of the platform."""
    codes = []
    for user, *tags in (
        ("alice", ("x-platform", "openstack"), ("x-cluster", "west")),
        ("alice", ("x-platform", "openstack"), ("x-cluster", "east")),
        ("alice", ("x-platform", "openstack")),
        ("alice", ("x-platform", "openstack"), ("x-cluster", "secret")),
        ("alice", ("x-platform", "zstack")),
        ("carol", ("x-platform", "zstack")),
    ):
        answer = await answer_to(guarded, f"/{TOOLS}/Echo", cluster_pb2.GetClusterRequest(), user, *tags)
        codes.append(CODE.OK if isinstance(answer, bytes) else answer[0])
    denied, unknown = CODE.PERMISSION_DENIED, CODE.NOT_FOUND
    assert codes == [CODE.OK, denied, denied, unknown, unknown, CODE.OK]


async def test_an_administrator_of_the_installation_reads_over_all_tenants(guarded):
    """And needs a tenant to change anything in."""
    path = "/cloudspan.v1.ServerService/ListServers"
    request = server_pb2.ListServersRequest(parent="platforms/-/clusters/-")
    every = server_pb2.ListServersResponse.FromString(await answer_to(guarded, path, request, "root"))
    stop = server_pb2.StopServerRequest(name=f"{EAST}/servers/1")
    changes = await answer_to(guarded, "/cloudspan.v1.ServerService/StopServer", stop, "root")
    in_acme = await answer_to(guarded, path, request, "root", ("x-tenant", "acme"))
    assert len(every.cluster_status) == 4
    assert changes[0] is CODE.INVALID_ARGUMENT
    assert "x-tenant: acme, beta" in changes[1]
    assert len(server_pb2.ListServersResponse.FromString(in_acme).cluster_status) == 2


async def test_addresses_of_instances_are_for_administrators_of_the_installation(guarded):
    """An instance serves all tenants: these see its state, and neither where it is nor why it is in that state."""
    request = platform_pb2.GetPlatformRequest(name="platforms/openstack")
    path = "/cloudspan.v1.PlatformService/GetPlatform"
    seen = {
        user: platform_pb2.Platform.FromString(await answer_to(guarded, path, request, user)).instances[0]
        for user in ("alice", "bob", "root")
    }
    assert {user: bool(instance.address) for user, instance in seen.items()} == {
        "alice": False, "bob": False, "root": True,
    }  # fmt: skip
    assert seen["alice"].state == READY


async def test_operations_are_asked_for_like_anything_else(guarded):
    """Who may read somewhere in the tenant may list its operations."""
    path = "/google.longrunning.Operations/ListOperations"
    allowed = await answer_to(guarded, path, operations_pb2.ListOperationsRequest(), "alice")
    denied = await answer_to(guarded, path, operations_pb2.ListOperationsRequest(), "dan")
    assert isinstance(allowed, bytes)
    assert denied[0] is CODE.PERMISSION_DENIED
