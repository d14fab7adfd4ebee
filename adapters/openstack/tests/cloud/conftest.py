"""The fake cloud, its users and a cluster on it, as the other tests have them."""

from adapters.openstack.tests.areas.conftest import admin, member, user
from adapters.openstack.tests.compute.conftest import bench, clock, cloud, clouds_yaml

__all__ = ["admin", "bench", "clock", "cloud", "clouds_yaml", "member", "user"]
