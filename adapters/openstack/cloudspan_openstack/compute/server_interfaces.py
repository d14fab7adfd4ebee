"""What a CreateServer request asks of its network interfaces, checked. Used by `server_request`.

An interface is in a network, where Nova makes its port or we make one, or takes a port that is there; a floating IP may
lead to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_kit import native_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan.v1 import server_pb2
    from cloudspan_common.names import ClusterRef


@dataclass(frozen=True, slots=True)
class NewPort:
    """A port to make before the server."""

    name: str
    groups: Sequence[str]
    """Security groups by id; without any the port gets the project's default one."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface: a network, or an existing port."""

    network_id: str = ""
    port_id: str = ""
    addresses: Sequence[str] = ()
    new_port: NewPort | None = None
    floating_network_id: str = ""

    @property
    def made_by_nova(self) -> bool:
        """Whether Nova makes its port."""
        return not self.port_id and self.new_port is None

    def document(self, port_id: str) -> dict[str, str]:
        """Return Nova's words for it; `port_id` is the port that it has by now, if any."""
        if port_id:
            return {"port": port_id}
        return {"uuid": self.network_id} | ({"fixed_ip": self.addresses[0]} if self.addresses else {})

    def port_body(self) -> dict[str, Any]:
        """Return Neutron's words for its new port."""
        name = self.new_port.name if self.new_port else ""
        body: dict[str, Any] = {"network_id": self.network_id, "name": name}
        if self.new_port and self.new_port.groups:
            body["security_groups"] = list(self.new_port.groups)
        return body | ({"fixed_ips": [{"ip_address": one} for one in self.addresses]} if self.addresses else {})


def interfaces_of(request: server_pb2.CreateServerRequest, ref: ClusterRef) -> list[Interface]:
    """Return the interfaces that a request asks for.

    Raises:
        InvalidRequest: One contradicts itself, or it could not be told later which port a floating IP belongs to.
    """
    found = [_interface(request, i, ref) for i in range(len(request.network_interfaces))]
    by_nova = [interface.network_id for interface in found if interface.made_by_nova]
    for i, interface in enumerate(found):
        if interface.floating_network_id and interface.made_by_nova and by_nova.count(interface.network_id) > 1:
            text = "two ports that Nova makes in one network can't be told apart; ask for a new_port in this interface"
            raise _bad(f"{_path(i)}.floating_network", text)
    return found


def _interface(request: server_pb2.CreateServerRequest, index: int, ref: ClusterRef) -> Interface:
    path, asked = _path(index), request.network_interfaces[index]
    network = native_id(ref, "networks", asked.network, f"{path}.network")
    port = native_id(ref, "ports", asked.port, f"{path}.port")
    floating = native_id(ref, "networks", asked.floating_network, f"{path}.floating_network")
    if bool(network) == bool(port):
        raise _bad(path, "give either a network or a port")
    _check_addresses(path, asked.ip_addresses)
    addresses = list(dict.fromkeys(asked.ip_addresses))
    if asked.HasField("new_port"):
        if port:
            raise _bad(f"{path}.new_port", "an existing port is given; leave one of both out")
        return Interface(network, "", addresses, _new_port(request, index, ref), floating)
    if port and addresses:
        raise _bad(f"{path}.ip_addresses", "a port has its addresses; leave them out")
    if len(addresses) > 1:
        raise _bad(f"{path}.ip_addresses", "Nova takes one address an interface; ask for a new_port for more")
    return Interface(network, port, addresses, None, floating)


def _new_port(request: server_pb2.CreateServerRequest, index: int, ref: ClusterRef) -> NewPort:
    asked, server = request.network_interfaces[index].new_port, request.server
    field = f"{_path(index)}.new_port.security_groups" if asked.security_groups else "server.security_groups"
    return NewPort(
        asked.display_name or server.display_name,
        group_ids(ref, asked.security_groups or server.security_groups, field),
    )


def group_ids(ref: ClusterRef, names: Sequence[str], field: str) -> list[str]:
    """Return the ids of security groups.

    Raises:
        InvalidRequest: One is not the resource name of a security group of the cluster.
    """
    return [native_id(ref, "securityGroups", name, f"{field}[{i}]") for i, name in enumerate(names)]


def _check_addresses(path: str, addresses: Sequence[str]) -> None:
    for i, address in enumerate(addresses):
        try:
            ip_address(address)
        except ValueError as error:
            raise _bad(f"{path}.ip_addresses[{i}]", f"{address!r} is not an IP address") from error


def _path(index: int) -> str:
    return f"network_interfaces[{index}]"


def _bad(path: str, text: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: {text}", violations=[Violation(path, text)])
