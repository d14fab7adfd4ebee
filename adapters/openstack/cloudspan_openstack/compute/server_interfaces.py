"""What a CreateServer request asks of its network interfaces, checked. Used by `server_request`.

An interface is in a network, where Nova makes its port or we make one, or takes a port that is there; a floating IP may
lead to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_kit.values import native_id

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
    named_groups: Sequence[str]
    """Security groups by name."""


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
        """Return Neutron's words for its new port, security groups left out."""
        name = self.new_port.name if self.new_port else ""
        body: dict[str, Any] = {"network_id": self.network_id, "name": name}
        return body | ({"fixed_ips": [{"ip_address": one} for one in self.addresses]} if self.addresses else {})


def interfaces_of(wanted: server_pb2.Server, ref: ClusterRef) -> list[Interface]:
    """Return the interfaces that a request asks for.

    Raises:
        InvalidRequest: One contradicts itself, or it could not be told later which port a floating IP belongs to.
    """
    found = [_interface(wanted, i, ref) for i in range(len(wanted.network_interfaces))]
    by_nova = [interface.network_id for interface in found if interface.made_by_nova]
    for i, interface in enumerate(found):
        if interface.floating_network_id and interface.made_by_nova and by_nova.count(interface.network_id) > 1:
            text = "two ports that Nova makes in one network can't be told apart; ask for a new_port in this interface"
            raise _bad(f"{_path(i)}.floating_network", text)
    return found


def group_of(ref: ClusterRef, group: str, field: str) -> str:
    """Return a security group's id, or its name where that was given: Nova takes both."""
    return native_id(ref, "securityGroups", group, field) if _is_resource(group) else group


def _interface(server: server_pb2.Server, index: int, ref: ClusterRef) -> Interface:
    path, asked = _path(index), server.network_interfaces[index]
    network = native_id(ref, "networks", asked.network, f"{path}.network")
    port = native_id(ref, "ports", asked.port, f"{path}.port")
    floating = native_id(ref, "networks", asked.floating_network, f"{path}.floating_network")
    if bool(network) == bool(port):
        raise _bad(path, "give either a network or a port")
    if asked.HasField("new_port"):
        if port:
            raise _bad(f"{path}.new_port", "an existing port is given; leave one of both out")
        addresses = list(dict.fromkeys([*asked.ip_addresses, *asked.new_port.ip_addresses]))
        _check_addresses(path, addresses)
        return Interface(network, "", addresses, _new_port(server, index, ref), floating)
    if port and asked.ip_addresses:
        raise _bad(f"{path}.ip_addresses", "a port has its addresses; leave them out")
    if len(asked.ip_addresses) > 1:
        raise _bad(f"{path}.ip_addresses", "Nova takes one address an interface; ask for a new_port for more")
    _check_addresses(path, asked.ip_addresses)
    return Interface(network, port, tuple(asked.ip_addresses), None, floating)


def _new_port(server: server_pb2.Server, index: int, ref: ClusterRef) -> NewPort:
    asked = server.network_interfaces[index].new_port
    field = f"{_path(index)}.new_port.security_groups" if asked.security_groups else "server.security_groups"
    groups = asked.security_groups or server.security_groups
    known = [group_of(ref, group, field) for group in groups if _is_resource(group)]
    named = [group for group in groups if not _is_resource(group)]
    return NewPort(asked.display_name or server.display_name, known, named)


def _is_resource(group: str) -> bool:
    return group.startswith("platforms/")


def _check_addresses(path: str, addresses: Sequence[str]) -> None:
    for address in addresses:
        try:
            ip_address(address)
        except ValueError as error:
            raise _bad(f"{path}.ip_addresses", f"{address!r} is no IP address") from error


def _path(index: int) -> str:
    return f"server.network_interfaces[{index}]"


def _bad(path: str, text: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: {text}", violations=[Violation(path, text)])
