"""What drivers implement, a protocol for each service of the contract.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from cloudspan_kit.drivers.flavor import FlavorDriver
from cloudspan_kit.drivers.floating_ip import FloatingIpDriver
from cloudspan_kit.drivers.image import ImageDriver
from cloudspan_kit.drivers.key_pair import KeyPairDriver
from cloudspan_kit.drivers.network import NetworkDriver
from cloudspan_kit.drivers.port import PortDriver
from cloudspan_kit.drivers.project import ProjectDriver
from cloudspan_kit.drivers.quota import QuotaDriver
from cloudspan_kit.drivers.router import RouterDriver
from cloudspan_kit.drivers.security_group import SecurityGroupDriver
from cloudspan_kit.drivers.server import ServerDriver
from cloudspan_kit.drivers.snapshot import SnapshotDriver
from cloudspan_kit.drivers.subnet import SubnetDriver
from cloudspan_kit.drivers.volume import VolumeDriver
from cloudspan_kit.drivers.volume_type import VolumeTypeDriver
from cloudspan_kit.drivers.zone import ZoneDriver

__all__ = [
    "FlavorDriver",
    "FloatingIpDriver",
    "ImageDriver",
    "KeyPairDriver",
    "NetworkDriver",
    "PortDriver",
    "ProjectDriver",
    "QuotaDriver",
    "RouterDriver",
    "SecurityGroupDriver",
    "ServerDriver",
    "SnapshotDriver",
    "SubnetDriver",
    "VolumeDriver",
    "VolumeTypeDriver",
    "ZoneDriver",
]
