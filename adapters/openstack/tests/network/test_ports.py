"""Ports, as Neutron's rows tell them."""

from __future__ import annotations

from cloudspan_common.names import ClusterRef
from cloudspan_kit import converted
from cloudspan_openstack.network.ports import PortRow, Ports


def test_a_row_becomes_a_message_field_by_field() -> None:
    """What has it, by its owner's words; what only administrators are told."""
    ref, base = ClusterRef("openstack", "east"), "platforms/openstack/clusters/east"
    document = {
        "id": "p", "network_id": "n", "device_id": "d", "device_owner": "compute:nova", "dns_name": "web",
        "binding:vnic_type": "direct", "binding:host_id": "node 1",
        "allowed_address_pairs": [{"ip_address": "10.0.0.0/28", "mac_address": "m"}],
    }  # fmt: skip
    port = Ports(ref).message(converted(document, PortRow))
    assert (port.server, port.device) == (f"{base}/servers/d", f"{base}/servers/d")
    assert (port.vnic_type, port.host, port.dns_name) == ("direct", f"{base}/hosts/node%201", "web")
    assert [(pair.ip_address, pair.mac_address) for pair in port.allowed_address_pairs] == [("10.0.0.0/28", "m")]
