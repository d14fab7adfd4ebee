"""CreateNetwork with subnets and a router, and CreateSubnet; undone in reverse when a part fails.

`Network.create_network` and `create_subnet` call these.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan.v1 import common_pb2, network_pb2, router_pb2, subnet_pb2
from cloudspan_common.errors import AlreadyExists, InvalidRequest, PreconditionFailed, Violation
from cloudspan_common.names import parse_resource
from cloudspan_kit import copy_fields
from cloudspan_memory.addresses import check_external, make_interface
from cloudspan_memory.cloud.store import copied
from cloudspan_memory.making import make

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_kit import Operation
    from cloudspan_memory.cloud.store import Store

_VERSIONS = {4: common_pb2.IP_VERSION_IPV4, 6: common_pb2.IP_VERSION_IPV6}


async def make_network(op: Operation, store: Store, request: network_pb2.CreateNetworkRequest) -> str:
    """Make a network with the subnets and the router that it asks for, and return its id."""

    def build(_: str) -> network_pb2.Network:
        network = copied(request.network)
        network.state, network.kind = network_pb2.Network.STATE_ACTIVE, network_pb2.Network.KIND_ROUTED
        if not network.HasField("admin_up"):
            network.admin_up = True
        return network

    async def check() -> None:
        _check(store, request)

    # Looked at once: a router that is deleted after the last step is not a reason to undo them all.
    await op.read_once("request", check)
    network_id = await make(op, store, "network", "networks", build)
    name = store.name("networks", network_id)
    subnets = [
        await make_subnet(op, store, f"subnet-{number}", copy_fields(subnet, subnet_pb2.Subnet()), name)
        for number, subnet in enumerate(request.subnets)
    ]
    if request.HasField("router"):
        router = await _make_router(op, store, request)
        for number, subnet in enumerate(subnets):
            await make_interface(op, store, f"interface-{number}", router, subnet)
    return network_id


async def make_subnet(op: Operation, store: Store, step: str, wanted: subnet_pb2.Subnet, network: str) -> str:
    """Make a subnet in a network and return its id."""
    cidr = _cidr(wanted.cidr)

    def build(_: str) -> subnet_pb2.Subnet:
        store.get("networks", parse_resource(network, "networks", "subnet.network")[1])
        for other in store.all("subnets"):
            if other.network == network and ipaddress.ip_network(other.cidr).overlaps(cidr):
                text = f"{cidr} overlaps {other.cidr} of {other.name}; choose a free range"
                raise AlreadyExists(text, reason="SUBNET_OVERLAPS", resource=other.name)
        subnet = copied(wanted)
        subnet.network, subnet.ip_version = network, _VERSIONS[cidr.version]
        if not subnet.HasField("gateway_ip"):
            subnet.gateway_ip = str(cidr[1])
        if not subnet.HasField("dhcp_enabled"):
            subnet.dhcp_enabled = True
        return subnet

    return await make(op, store, step, "subnets", build)


def parts_of(store: Store, network_id: str) -> list[tuple[str, str]]:
    """Return what goes with a network: its routers' interfaces, and the router made with it if no other needs it.

    Raises:
        PreconditionFailed: Other ports are in it: then nothing of it may go.
    """
    name = store.name("networks", network_id)
    interfaces = [(port_id, p) for port_id, p in store.items("ports") if p.device_owner == "router"]
    here = [("ports", port_id) for port_id, port in interfaces if port.network == name]
    refuse_used(name, [p.name for p in store.all("ports") if p.network == name and p.device_owner != "router"])
    elsewhere = {port.device_id for _, port in interfaces if port.network != name}
    routers = store.made_with("networks", network_id, ("routers",))
    return here + [(kind, router) for kind, router in routers if store.name(kind, router) not in elsewhere]


def refuse_used(name: str, users: Sequence[str]) -> None:
    """Raise PreconditionFailed that names the users, if there are any."""
    if users:
        raise PreconditionFailed(f"{name} is in use by {', '.join(users)}; delete those first")


def _check(store: Store, request: network_pb2.CreateNetworkRequest) -> None:
    """Raise what is wrong with a request; what its parts would do to each other shows when they are made."""
    for number, subnet in enumerate(request.subnets):
        _cidr(subnet.cidr, f"subnets[{number}].cidr")
    router = request.router
    if router.router and (router.display_name or router.external_network):
        text = "router.router names an existing router; leave out what one that is made would have"
        raise InvalidRequest(text, violations=[Violation("router.router", text)])
    if router.router:
        store.get("routers", parse_resource(router.router, "routers", "router.router")[1])
    if router.external_network:
        check_external(store, router.external_network, "router.external_network")


async def _make_router(op: Operation, store: Store, request: network_pb2.CreateNetworkRequest) -> str:
    """Return the name of the router: the one that is there, or one that is made."""
    wanted = request.router

    def build(_: str) -> router_pb2.Router:
        return router_pb2.Router(
            display_name=wanted.display_name or request.network.display_name,
            state=router_pb2.Router.STATE_ACTIVE,
            external_network=wanted.external_network,
            admin_up=True,
        )

    return wanted.router or store.name("routers", await make(op, store, "router", "routers", build))


def _cidr(text: str, field: str = "subnet.cidr") -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        text = f"{field} is {text!r}: {error}; expected a range such as 10.0.0.0/24"
        raise InvalidRequest(text, violations=[Violation(field, text)]) from error
