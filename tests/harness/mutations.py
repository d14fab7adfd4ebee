"""Valid requests of mutations, the same on every platform: what is asked for, what of it is in the cloud afterwards.

`KINDS` are crashed at every point by the fault proofs; the laws ask every create of the contract of `CREATES`.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.harness.create_server import Interface, create_server

from cloudspan.client import CloudspanError
from cloudspan.v1 import (
    common_pb2,
    floating_ip_pb2,
    key_pair_pb2,
    network_pb2,
    security_group_pb2,
    server_pb2,
    subnet_pb2,
    volume_pb2,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from google.protobuf.message import Message
    from tests.harness.clouds import Site

    from cloudspan.client import AsyncClient

GIB = 1024**3


@dataclass(frozen=True)
class Kind:
    """One mutation."""

    name: str
    request: Callable[..., Any]
    """(site, name of the resource, number of the run, names of what is there) -> the request, without request_id."""
    made: str = ""
    """What there is one more of with that name; nothing when it is not a create."""
    before: Sequence[Callable[..., Any]] = ()
    """Creates of what has to be there; they are not crashed."""
    undone: bool = False
    """Whether the cloud refuses the last part of it, so that it ends undone."""


def call(client: AsyncClient, request: Message) -> Awaitable[Any]:
    """Cast a request at the gateway, by the rpc that takes it."""
    return stub(client, request.DESCRIPTOR.name.removesuffix("Request"))(request)


def stub(client: AsyncClient, rpc: str) -> Any:
    """Return the client's method of that name; no two services of the contract have one of the same name."""
    [found] = [getattr(service, rpc) for service in vars(client).values() if hasattr(service, rpc)]
    return found


def server(site: Site, name: str, number: int = 0, *_: str, **fields: Any) -> server_pb2.CreateServerRequest:
    """A server in the private network."""
    parts = {"flavor": site.flavor, "image": site.image, "network_interfaces": [_nic(site)]}
    return create_server(site.ref, **({"display_name": name} | parts | fields))


def _nic(site: Site, **fields: Any) -> Interface:
    return Interface(network=site.network, **fields)


def server_with_all(site: Site, name: str, number: int = 0, *_: str) -> server_pb2.CreateServerRequest:
    """A server with a volume, a floating IP, and where the platform has ports one of its own."""
    nic = _nic(site, floating_network=site.external)
    if site.has_ports:
        nic.new_port.SetInParent()
    request = server(site, name, network_interfaces=[nic])
    request.new_volumes.add(display_name=f"{name}-data", size_bytes=GIB)
    return request


def volume(site: Site, name: str, number: int = 0, *_: str) -> volume_pb2.CreateVolumeRequest:
    """An empty volume."""
    return volume_pb2.CreateVolumeRequest(parent=site.ref, volume=volume_pb2.Volume(display_name=name, size_bytes=GIB))


def network(site: Site, name: str, number: int = 0, *_: str) -> network_pb2.CreateNetworkRequest:
    """A network without subnets."""
    request = network_pb2.CreateNetworkRequest(parent=site.ref, network=network_pb2.Network(display_name=name))
    request.options.update(dict(site.network_options(number)))
    return request


def network_with_all(site: Site, name: str, number: int = 0, *_: str) -> network_pb2.CreateNetworkRequest:
    """A network with a subnet, and where the platform has them a router to the outside."""
    request = network(site, name, number)
    request.subnets.add(display_name=f"{name}-subnet", cidr=_cidr(number))
    if site.has_routers:
        request.router.external_network = site.external
    return request


def subnet(site: Site, name: str, number: int, below: str) -> subnet_pb2.CreateSubnetRequest:
    """A subnet of a network that is there."""
    return subnet_pb2.CreateSubnetRequest(
        parent=site.ref, subnet=subnet_pb2.Subnet(display_name=name, network=below, cidr=_cidr(number))
    )


def _cidr(number: int) -> str:
    return f"10.99.{number % 250}.0/24"


def key_pair(site: Site, name: str, number: int = 0, *_: str) -> key_pair_pb2.CreateKeyPairRequest:
    """The import of a public key, of each name another one: ZStack takes a key once only."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + hashlib.sha256(name.encode()).digest()
    key = f"ssh-ed25519 {base64.b64encode(blob).decode()} test"
    pair = key_pair_pb2.KeyPair(display_name=name, public_key=key)
    return key_pair_pb2.CreateKeyPairRequest(parent=site.ref, key_pair=pair)


def floating_ip(site: Site, name: str, number: int = 0, *_: str) -> floating_ip_pb2.CreateFloatingIpRequest:
    """An address of the external network, associated with nothing."""
    wanted = floating_ip_pb2.FloatingIp(external_network=site.external, description=name)
    return floating_ip_pb2.CreateFloatingIpRequest(parent=site.ref, floating_ip=wanted)


def security_group(site: Site, name: str, number: int = 0, *_: str) -> security_group_pb2.CreateSecurityGroupRequest:
    """A group with one rule."""
    group = security_group_pb2.SecurityGroup(display_name=name)
    request = security_group_pb2.CreateSecurityGroupRequest(parent=site.ref, security_group=group)
    request.rules.add(
        direction=security_group_pb2.SecurityGroup.Rule.DIRECTION_INGRESS,
        ip_version=common_pb2.IP_VERSION_IPV4,
        protocol="tcp",
        port_range_min=22,
        port_range_max=22,
        remote_cidr="10.0.0.0/8",
    )
    return request


def replaced_rules(site: Site, name: str, number: int, there: str) -> security_group_pb2.ReplaceRulesRequest:
    """Two rules in place of the one that the group was made with, and of what the platform gives each."""
    request = security_group_pb2.ReplaceRulesRequest(name=there)
    for port in (80, 443):
        request.rules.add(
            direction=security_group_pb2.SecurityGroup.Rule.DIRECTION_INGRESS,
            protocol="tcp", port_range_min=port, port_range_max=port,
        )  # fmt: skip
    return request


def associated_floating_ip(
    site: Site, name: str, number: int, machine: str, address: str
) -> floating_ip_pb2.AssociateFloatingIpRequest:
    """A floating IP that leads to a server."""
    return floating_ip_pb2.AssociateFloatingIpRequest(name=address, server=machine)


def deleted_server(site: Site, name: str, number: int, there: str) -> server_pb2.DeleteServerRequest:
    """The end of a server."""
    return server_pb2.DeleteServerRequest(name=there)


def attached_volume(site: Site, name: str, number: int, machine: str, disk: str) -> server_pb2.AttachVolumeRequest:
    """A volume attached to a server."""
    return server_pb2.AttachVolumeRequest(name=machine, volume=disk)


def deleted_volume(site: Site, name: str, number: int, there: str) -> volume_pb2.DeleteVolumeRequest:
    """The end of a volume."""
    return volume_pb2.DeleteVolumeRequest(name=there)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("server", server, "server"),
        Kind("server with all", server_with_all, "server"),
        Kind("server refused", server_with_all, "server", undone=True),
        Kind("volume", volume, "volume"),
        Kind("network", network, "network"),
        Kind("network with all", network_with_all, "network"),
        Kind("subnet", subnet, "subnet", before=[network]),
        Kind("key pair", key_pair, "key pair"),
        Kind("security group", security_group, "security group"),
        Kind("replaced rules", replaced_rules, before=[security_group]),
        Kind("floating IP", floating_ip, "floating IP"),
        Kind("associated floating IP", associated_floating_ip, before=[server, floating_ip]),
        Kind("attached volume", attached_volume, before=[server, volume]),
        Kind("deleted server", deleted_server, before=[server_with_all]),
        Kind("deleted volume", deleted_volume, before=[volume]),
    )
}

CREATES = {
    "CreateServer": KINDS["server"],
    "CreateVolume": KINDS["volume"],
    "CreateNetwork": KINDS["network"],
    "CreateSubnet": KINDS["subnet"],
    "CreateKeyPair": KINDS["key pair"],
    "CreateFloatingIp": KINDS["floating IP"],
    "CreateSecurityGroup": KINDS["security group"],
}
"""A request of each create, by its rpc."""


async def listed(client: AsyncClient, site: Site, kind: str) -> list[str]:
    """Return the names that what the gateway lists of a kind was asked for with."""
    stub, method, request = {
        "server": (client.servers, "ListServers", server_pb2.ListServersRequest),
        "volume": (client.volumes, "ListVolumes", volume_pb2.ListVolumesRequest),
        "network": (client.networks, "ListNetworks", network_pb2.ListNetworksRequest),
        "subnet": (client.subnets, "ListSubnets", subnet_pb2.ListSubnetsRequest),
        "key pair": (client.key_pairs, "ListKeyPairs", key_pair_pb2.ListKeyPairsRequest),
        "security group": (
            client.security_groups, "ListSecurityGroups", security_group_pb2.ListSecurityGroupsRequest
        ),
        "floating IP": (client.floating_ips, "ListFloatingIps", floating_ip_pb2.ListFloatingIpsRequest),
    }[kind]  # fmt: skip
    listing = client.each(getattr(stub, method), request(parent=site.ref, page_size=1000))
    # Floating IPs have no name everywhere; they are asked for with it as their description.
    names = [row.description if kind == "floating IP" else row.display_name async for row in listing]
    if listing.unreachable:
        raise CloudspanError(f"{listing.unreachable} did not answer the list")
    return names
