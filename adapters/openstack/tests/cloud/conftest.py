"""A cluster on the fake cloud, as the tests of compute have it."""

from adapters.openstack.tests.compute.conftest import bench, clock, cloud, clouds_yaml

__all__ = ["bench", "clock", "cloud", "clouds_yaml"]
