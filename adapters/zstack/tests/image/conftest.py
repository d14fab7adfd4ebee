"""The fake cloud and its users, as the other areas' tests have them."""

from __future__ import annotations

from adapters.zstack.tests.areas.conftest import admin, clock, cloud, member, user

__all__ = ["admin", "clock", "cloud", "member", "user"]
