"""Networks, created with subnets and a router: all of it or nothing, undone in reverse when a part fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import network_pb2, subnet_pb2
from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_common.names import parse_resource
from cloudspan_kit import BY_KEY, Kind, copy_fields
from cloudspan_kit.drivers import NetworkDriver
from cloudspan_memory.cloud.parts import delete_parts, look_at_parts
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource, New, StoredMarkers
from cloudspan_memory.cloud.store import Store, copied
from cloudspan_memory.network.ports import PORTS, ROUTER, new_interface
from cloudspan_memory.network.routers import ROUTERS, new_router
from cloudspan_memory.network.subnets import SUBNETS, new_subnet, refuse_used, subnet_range, subnets_of

if TYPE_CHECKING:
    from cloudspan_kit import Made, Operation

Network = network_pb2.Network

NETWORKS = Kind(
    collection="networks",
    message=Network,
    row=Network,
    source=MemorySource(),
    changes_since="update_time",
    safety=BY_KEY,
    marker=StoredMarkers(),
)


class Networks(MemoryDriver[Network], NetworkDriver):
    """NetworkService."""

    kind = NETWORKS

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        store.before_delete("networks", self._let_go)

    def message(self, row: Network) -> Network:
        """Return it with its subnets."""
        shown = copied(row)
        shown.subnets[:] = [subnet.name for subnet in subnets_of(self._store, row.name)]
        return shown

    async def create_network(self, op: Operation, request: network_pb2.CreateNetworkRequest) -> Network:
        async def check() -> None:
            _check(self._store, request)

        # Looked at once: a router that is deleted after the last step is not a reason to undo them all.
        await op.read_once("request", check)
        made = await op.create(NETWORKS, _new_network(request.network))
        await self._create_parts(op, request, made)
        return self.message(self._store.get("networks", made.id))

    async def delete_network(self, op: Operation, request: network_pb2.DeleteNetworkRequest) -> None:
        op.set_resource(request.name)
        # Its routers' interfaces would stand in the way, and a router that was made for it is nobody else's.
        parts = await look_at_parts(op, lambda: _parts_of(self._store, op.call.id))
        await delete_parts(op, self._store, parts)
        await op.delete(NETWORKS, op.call.id)

    async def _create_parts(
        self, op: Operation, request: network_pb2.CreateNetworkRequest, made: Made[Network]
    ) -> None:
        store, name, subnets = self._store, self._store.name("networks", made.id), []
        for number, wanted in enumerate(request.subnets):
            body = new_subnet(store, copy_fields(wanted, subnet_pb2.Subnet()), name)
            subnets.append(await op.create(SUBNETS, body, step=f"subnet-{number}", part=True))
        if request.HasField("router"):
            router = request.router.router or await self._create_router(op, request)
            for number, subnet in enumerate(subnets):
                await op.create(PORTS, new_interface(store, router, subnet.id), step=f"interface-{number}", part=True)

    async def _create_router(self, op: Operation, request: network_pb2.CreateNetworkRequest) -> str:
        made = await op.create(ROUTERS, new_router(request), part=True)
        return self._store.name("routers", made.id)

    def _let_go(self, network: Network) -> None:
        """Its subnets go with it; ports don't."""
        refuse_used(network.name, [port.name for port in self._store.all("ports") if port.network == network.name])
        for subnet in subnets_of(self._store, network.name):
            self._store.delete("subnets", SUBNETS.source.id_of(subnet))


def check_external(store: Store, name: str, field: str) -> Network:
    """Return the external network of that name.

    Raises:
        NotFound: There is none of that name.
        InvalidRequest: It is not an external one.
    """
    network: Network = store.get("networks", parse_resource(name, "networks", field)[1])
    if not network.external:
        text = f"{field} is {name}, which is not an external network; list those with the filter `external = true`"
        raise InvalidRequest(text, violations=[Violation(field, text)])
    return network


def _new_network(wanted: Network) -> New[Network]:
    def build(_: str) -> Network:
        network = copied(wanted)
        network.state, network.kind = Network.STATE_ACTIVE, Network.KIND_ROUTED
        if not network.HasField("admin_up"):
            network.admin_up = True
        return network

    return New(build)


def _check(store: Store, request: network_pb2.CreateNetworkRequest) -> None:
    """Raise what is wrong with a request; what its parts would do to each other shows when they are made."""
    for number, subnet in enumerate(request.subnets):
        subnet_range(subnet.cidr, f"subnets[{number}].cidr")
    router = request.router
    if router.router and (router.display_name or router.external_network):
        text = "router.router names an existing router; leave out what one that is made would have"
        raise InvalidRequest(text, violations=[Violation("router.router", text)])
    if router.router:
        store.get("routers", parse_resource(router.router, "routers", "router.router")[1])
    if router.external_network:
        check_external(store, router.external_network, "router.external_network")


def _parts_of(store: Store, network_id: str) -> list[tuple[str, str]]:
    """Return what goes with a network: its routers' interfaces, and the router made with it if no other needs it.

    Raises:
        PreconditionFailed: Other ports are in it: then nothing of it may go.
    """
    name = store.name("networks", network_id)
    interfaces = [(port_id, p) for port_id, p in store.items("ports") if p.device_owner == ROUTER]
    here = [("ports", port_id) for port_id, port in interfaces if port.network == name]
    refuse_used(name, [p.name for p in store.all("ports") if p.network == name and p.device_owner != ROUTER])
    elsewhere = {port.device_id for _, port in interfaces if port.network != name}
    routers = store.made_with("networks", network_id, ("routers",))
    return here + [(kind, router) for kind, router in routers if store.name(kind, router) not in elsewhere]
