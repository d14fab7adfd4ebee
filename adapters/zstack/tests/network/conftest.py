"""The fake cloud and its users, as the other kinds' tests have them, and networks to work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.zstack.tests.lab import admin, clock, cloud, member, user
from google.protobuf.struct_pb2 import Struct

from cloudspan.v1 import network_pb2, subnet_pb2

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab

__all__ = ["admin", "clock", "cloud", "member", "user"]

PARENT = "platforms/zstack/clusters/lab"
N, S = network_pb2.Network, subnet_pb2.Subnet
NEW = {"physical_interface": "eth0", "vlan": 300}


def new_network(options: dict[str, Any] | None = None, **fields: Any) -> network_pb2.CreateNetworkRequest:
    struct = Struct()
    struct.update(NEW if options is None else options)
    return network_pb2.CreateNetworkRequest(
        parent=PARENT, network=N(**({"display_name": "n"} | fields)), options=struct
    )  # fmt: skip


def new_subnet(network: str, cidr: str = "10.7.0.0/24", **fields: Any) -> subnet_pb2.CreateSubnetRequest:
    subnet = S(**({"display_name": "s", "network": network, "cidr": cidr} | fields))
    return subnet_pb2.CreateSubnetRequest(parent=PARENT, subnet=subnet)


async def a_network(lab: Lab, options: dict[str, Any] | None = None, **fields: Any) -> network_pb2.Network:
    made: network_pb2.Network = await lab.made(lab.network.create_network, new_network(options, **fields), N)
    return made


async def a_subnet(lab: Lab, network: str, cidr: str = "10.7.0.0/24", **fields: Any) -> subnet_pb2.Subnet:
    made: subnet_pb2.Subnet = await lab.made(lab.network.create_subnet, new_subnet(network, cidr, **fields), S)
    return made


def writes(lab: Lab) -> list[str]:
    """Return the changes that were asked for, in order."""
    return [
        request.call for request in lab.cloud.control.requests() if request.method in ("POST", "DELETE")
    ]  # fmt: skip


async def the_network(lab: Lab, name: str) -> Any:
    (found,) = await lab.everything(lab.network.list_networks, N, f'display_name = "{name}"')
    return found


async def drop_network(lab: Lab, name: str) -> Any:
    return await lab.operate(lab.network.delete_network, network_pb2.DeleteNetworkRequest(name=name))


async def shared_network(admin: Lab, owner: Lab) -> network_pb2.Network:
    """Make a network of `owner`'s that every account may use."""
    l2 = (await admin.native_one("/l3-networks", "name=private"))["l2NetworkUuid"]
    network = await a_network(owner, {"l2_network": l2}, display_name="shared")
    await admin.act(
        "PUT", "/accounts/resources/actions", "shareResource", resourceUuids=[network.name[-32:]], toPublic=True
    )  # fmt: skip
    return network
