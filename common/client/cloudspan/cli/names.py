"""Names as people type them: `alice` for `users/alice`, `prod` for `tenants/acme/pools/prod`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudspan.cli.connection import EVERY_TENANT, chosen_tenant
from cloudspan.v1 import session_pb2

if TYPE_CHECKING:
    from cloudspan.client import Client


def subject(text: str) -> str:
    """`alice` -> `users/alice`; `services/billing` and nothing stay."""
    return f"users/{text}" if text and "/" not in text else text


def named(collection: str, text: str) -> str:
    """`viewer` -> `roles/viewer`; a whole name stays."""
    return text if text.startswith(f"{collection}/") else f"{collection}/{text}"


def short(name: str) -> str:
    """`roles/viewer` -> `viewer`."""
    return name.rpartition("/")[2]


def parent() -> str:
    """Return the tenant that `--tenant` says as a parent; empty, for the caller's own, without it."""
    return f"tenants/{chosen_tenant()}" if chosen_tenant() else ""


def in_tenant(client: Client, collection: str, text: str) -> str:
    """`prod` -> `tenants/acme/pools/prod`, of the tenant of `--tenant`, else the caller's; a whole name stays."""
    if text.startswith("tenants/"):
        return text
    tenant = parent() or client.sessions.GetSession(session_pb2.GetSessionRequest()).tenant
    if tenant in ("", f"tenants/{EVERY_TENANT}") and not parent():
        raise click.UsageError(f"in which tenant is {text}? Say --tenant, or its whole name")
    return f"{tenant}/{collection}/{text}"
