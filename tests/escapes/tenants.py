"""Attempts at what another tenant has: names, lists, tokens, operations, requests, pools, users, roles, the audit.

Mallory, administrator of globex, tries; `root` made both tenants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.longrunning import operations_pb2
from tests.escapes.attempt import FORBIDDEN, HIDDEN, Attempt, Code
from tests.escapes.world import OWN, SECRET, VAULT, request_of

from cloudspan.v1 import server_pb2
from cloudspan_common import contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.escapes.world import Outcome, World

BY = "mallory"
NOTHING = (Code.OK, Code.NOT_FOUND, Code.PERMISSION_DENIED, Code.INVALID_ARGUMENT)
"""However it ends, as long as nothing of acme's is in it."""
_REFUSED = (*HIDDEN, *FORBIDDEN, Code.INVALID_ARGUMENT)


def ask(method: str, *metadata: tuple[str, str], by: str = BY, **fields: Any) -> Callable[[World], Outcome]:
    """Call a method of the contract; fields that are functions get the world."""

    def tries(world: World) -> Outcome:
        request = request_of(
            method, **{key: value(world) if callable(value) else value for key, value in fields.items()}
        )
        return world.call(method, request, by=by, extra=metadata)

    return tries


def has(kind: str, cluster: str = SECRET) -> Callable[[World], str]:
    return lambda world: world.names[f"{cluster} {kind}"]


def _collections() -> list[contract.Method]:
    """A Get of each kind in a cluster."""
    return [m for m in contract.methods().values() if m.name.startswith("Get") and m.collection]


def _lists() -> list[contract.Method]:
    return [m for m in contract.methods().values() if m.kind is contract.Kind.LIST]


GETS = [
    Attempt(
        f"{method.name} in another's cluster",
        ask(method.full_name.removeprefix("cloudspan.v1."), name=f"{SECRET}/{method.collection}/1"),
        HIDDEN,
    )
    for method in _collections()
]
LISTS = [
    Attempt(
        f"{method.name} of another's cluster",
        ask(method.full_name.removeprefix("cloudspan.v1."), parent=SECRET),
        HIDDEN,
    )
    for method in _lists()
]


def _attach(world: World) -> Outcome:
    """Another's volume, at an own server."""
    server, volume = world.names[f"{OWN} server"], world.names[f"{SECRET} volume"]
    request = server_pb2.AttachVolumeRequest(name=server, volume=volume)
    return world.call("ServerService/AttachVolume", request, by=BY)


def _own_volume_at_anothers_server(world: World) -> Outcome:
    server, volume = world.names[f"{SECRET} server"], world.names[f"{OWN} volume"]
    request = server_pb2.AttachVolumeRequest(name=server, volume=volume)
    return world.call("ServerService/AttachVolume", request, by=BY)


def _with_anothers_image(world: World) -> Outcome:
    request = server_pb2.CreateServerRequest(parent=OWN)
    request.server.display_name = "x"
    request.server.image, request.server.flavor = f"{SECRET}/images/1", f"{SECRET}/flavors/1"
    return world.call("ServerService/CreateServer", request, by=BY)


def _page_token(method: str, by: str, **fields: Any) -> Callable[[World], str]:
    def made(world: World) -> str:
        return str(world.do(method, request_of(method, page_size=1, **fields), by=by).next_page_token)

    return made


def _seed(world: World) -> Outcome:
    """A service of the adapter's own, on another's platform."""
    return world.call(
        "cloudspan_memory.seed.v1.SeedService/Seed", b"", by=BY, extra=(("x-platform", "vault"), ("x-cluster", "deep"))
    )


RESOURCES = [
    Attempt("a server of another's cluster", ask("ServerService/GetServer", name=has("server")), HIDDEN),
    Attempt("a server on another's platform", ask("ServerService/GetServer", name=has("server", VAULT)), HIDDEN),
    Attempt("deleting it", ask("ServerService/DeleteServer", name=has("server")), HIDDEN),
    Attempt(
        "deleting it if it is there", ask("ServerService/DeleteServer", name=has("server"), allow_missing=True), HIDDEN
    ),
    Attempt("checking its deletion", ask("ServerService/DeleteServer", name=has("server"), validate_only=True), HIDDEN),
    Attempt("stopping it", ask("ServerService/StopServer", name=has("server")), HIDDEN),
    Attempt(
        "creating one beside it",
        ask("ServerService/CreateServer", parent=SECRET, server=server_pb2.Server(display_name="x")),
        HIDDEN,
    ),
    Attempt(
        "checking whether one could be created",
        ask(
            "ServerService/CreateServer", parent=SECRET, validate_only=True, server=server_pb2.Server(display_name="x")
        ),
        HIDDEN,
    ),
    Attempt("deleting its volume", ask("VolumeService/DeleteVolume", name=has("volume")), HIDDEN),
    Attempt("attaching another's volume to an own server", _attach, (*_REFUSED, Code.FAILED_PRECONDITION)),
    Attempt("attaching an own volume to another's server", _own_volume_at_anothers_server, HIDDEN),
    Attempt("creating an own server from another's image", _with_anothers_image, (*_REFUSED, Code.FAILED_PRECONDITION)),
    Attempt(
        "a wildcard list of all servers", ask("ServerService/ListServers", parent="platforms/-/clusters/-"), (Code.OK,)
    ),
    Attempt(
        "a wildcard list of another's platform",
        ask("ServerService/ListServers", parent="platforms/vault/clusters/-"),
        HIDDEN,
    ),
    Attempt(
        "a wildcard list of another's cluster by its tag",
        ask("ServerService/ListServers", parent="platforms/-/clusters/deep"),
        HIDDEN,
    ),
    Attempt(
        "another's cluster by tags",
        ask("ServerService/ListServers", ("x-platform", "memory"), ("x-cluster", "acme-main")),
        HIDDEN,
    ),
    Attempt("another's pool", ask("ServerService/ListServers", ("x-pool", "acme-prod")), HIDDEN),
    Attempt(
        "another's tenant",
        ask("ServerService/ListServers", ("x-tenant", "acme"), parent="platforms/-/clusters/-"),
        HIDDEN,
    ),
    Attempt(
        "another's tenant in a binary header beside",
        ask("ServerService/ListServers", ("x-tenant", "tenants/acme"), parent="platforms/-/clusters/-"),
        HIDDEN,
    ),
    Attempt(
        "every tenant",
        ask("ServerService/ListServers", ("x-tenant", "-"), parent="platforms/-/clusters/-"),
        (*HIDDEN, *FORBIDDEN),
    ),
    Attempt(
        "the own tenant and another one",
        ask("ServerService/ListServers", ("x-tenant", "globex"), ("x-tenant", "acme"), parent="platforms/-/clusters/-"),
        NOTHING,
    ),
    Attempt(
        "a name with a wildcard", ask("ServerService/GetServer", name="platforms/-/clusters/-/servers/1"), _REFUSED
    ),
    Attempt("a name that climbs", ask("ServerService/GetServer", name=f"{OWN}/../acme-main/servers/1"), _REFUSED),
    Attempt(
        "a name with an encoded slash",
        ask("ServerService/GetServer", name="platforms/memory/clusters/globex-main%2F..%2Facme-main/servers/1"),
        _REFUSED,
    ),
    Attempt(
        "a page of another's wildcard list",
        ask(
            "ServerService/ListServers",
            parent="platforms/-/clusters/-",
            page_size=1,
            page_token=_page_token("ServerService/ListServers", "alice", parent="platforms/-/clusters/-"),
        ),
        (Code.INVALID_ARGUMENT,),
    ),
    Attempt(
        "a page of another's list in an own cluster",
        ask(
            "FlavorService/ListFlavors",
            parent=OWN,
            page_size=1,
            page_token=_page_token("FlavorService/ListFlavors", "alice", parent=SECRET),
        ),
        (Code.INVALID_ARGUMENT, Code.OK),
    ),
    Attempt("another's cluster itself", ask("ClusterService/GetCluster", name=SECRET), HIDDEN),
    Attempt("whether another's cluster works", ask("ClusterService/CheckCluster", name=SECRET), HIDDEN),
    Attempt("what another's cluster can do", ask("ClusterService/GetCapabilities", name=VAULT), HIDDEN),
    Attempt("all clusters", ask("ClusterService/ListClusters"), (Code.OK,)),
    Attempt("the clusters of another's platform", ask("ClusterService/ListClusters", parent="platforms/vault"), HIDDEN),
    Attempt("all platforms", ask("PlatformService/ListPlatforms"), (Code.OK,)),
    Attempt("another's platform", ask("PlatformService/GetPlatform", name="platforms/vault"), HIDDEN),
    Attempt("a shared platform", ask("PlatformService/GetPlatform", name="platforms/memory"), (Code.OK,)),
    Attempt("orphans of another's cluster", ask("OrphanService/ListOrphans", parent=SECRET), HIDDEN),
    Attempt(
        "deleting an orphan there",
        ask("OrphanService/DeleteOrphan", name=has("server"), operation=has("operation"), even_unknown=True),
        HIDDEN,
    ),
    Attempt("a service of the adapter's own on another's platform", _seed, (*HIDDEN, Code.UNIMPLEMENTED)),
]


def longrunning(method: str, request: Callable[[World], Any], *metadata: tuple[str, str]) -> Callable[[World], Outcome]:
    return lambda world: world.call(f"google.longrunning.Operations/{method}", request(world), by=BY, extra=metadata)


def _listed(**fields: Any) -> Callable[[World], Outcome]:
    return longrunning("ListOperations", lambda _: operations_pb2.ListOperationsRequest(name="operations", **fields))


def _anothers_page_of_operations(world: World) -> operations_pb2.ListOperationsRequest:
    first = operations_pb2.ListOperationsRequest(name="operations", page_size=1)
    token = world.do("google.longrunning.Operations/ListOperations", first, by="alice").next_page_token
    return operations_pb2.ListOperationsRequest(name="operations", page_size=1, page_token=token)


def _same_request_id(world: World) -> Outcome:
    """Under acme's request_id: it must become an operation of our own, or be refused for another reason."""
    request = server_pb2.CreateServerRequest(parent=OWN, request_id=world.names[f"{SECRET} request_id"])
    request.server.display_name, request.server.flavor = "own-under-the-same-id", f"{OWN}/flavors/none"
    return world.call("ServerService/CreateServer", request, by=BY)


_NAME = has("operation")
OPERATIONS = [
    Attempt(
        "another's operation",
        longrunning("GetOperation", lambda w: operations_pb2.GetOperationRequest(name=_NAME(w))),
        HIDDEN,
    ),
    Attempt(
        "waiting for it",
        longrunning("WaitOperation", lambda w: operations_pb2.WaitOperationRequest(name=_NAME(w))),
        HIDDEN,
    ),
    Attempt(
        "cancelling it",
        longrunning("CancelOperation", lambda w: operations_pb2.CancelOperationRequest(name=_NAME(w))),
        HIDDEN,
    ),
    Attempt(
        "forgetting it",
        longrunning("DeleteOperation", lambda w: operations_pb2.DeleteOperationRequest(name=_NAME(w))),
        HIDDEN,
    ),
    Attempt(
        "it as its tenant",
        longrunning("GetOperation", lambda w: operations_pb2.GetOperationRequest(name=_NAME(w)), ("x-tenant", "acme")),
        HIDDEN,
    ),
    Attempt("watching it", ask("OperationService/WatchOperation", name=_NAME), HIDDEN),
    Attempt("explaining it", ask("OperationService/ExplainOperation", name=_NAME), HIDDEN),
    Attempt("abandoning it", ask("OperationService/AbandonOperation", name=_NAME, reason="x"), HIDDEN),
    Attempt("all operations", _listed(), (Code.OK,)),
    Attempt("operations of another tenant", _listed(filter='tenant = "acme"'), (Code.OK,)),
    Attempt("operations of another tenant or ours", _listed(filter='tenant = "acme" OR tenant = "globex"'), (Code.OK,)),
    Attempt("operations that are not ours", _listed(filter='NOT tenant = "globex"'), (Code.OK,)),
    Attempt("operations of another's cluster", _listed(filter=f'cluster = "{SECRET}"'), (Code.OK,)),
    Attempt("operations by another caller", _listed(filter='caller = "users/alice"'), (Code.OK,)),
    Attempt(
        "another's page of operations",
        longrunning("ListOperations", _anothers_page_of_operations),
        (Code.INVALID_ARGUMENT,),
    ),
    Attempt("another's request_id", _same_request_id, (Code.OK, Code.INVALID_ARGUMENT, Code.NOT_FOUND)),
]
