"""The fake cloud and its users, as the other areas' tests have them."""

from adapters.openstack.tests.areas.conftest import admin, clock, cloud, member, user

__all__ = ["admin", "clock", "cloud", "member", "user"]
