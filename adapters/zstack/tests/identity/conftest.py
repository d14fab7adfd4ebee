"""The fake cloud and its users, as the other kinds' tests have them."""

from __future__ import annotations

from adapters.zstack.tests.lab import admin, clock, cloud, member, user

__all__ = ["admin", "clock", "cloud", "member", "user"]
