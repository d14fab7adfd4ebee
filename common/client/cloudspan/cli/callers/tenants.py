"""`cloudspan tenants` and `cloudspan pools`: which clusters a tenant's callers reach, and how much of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from cloudspan.cli.callers import tables
from cloudspan.cli.connection import asked, gateway_option, show
from cloudspan.cli.names import in_tenant, named, parent, short
from cloudspan.cli.tables import printable
from cloudspan.v1 import tenant_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.table import Table

    from cloudspan.client import Client

_LIMITS = {
    "calls": "Calls being answered at the same time",
    "streams": "Streams among them",
    "operations": "Operations that have not ended",
    "request_bytes": "Bytes of requests being answered",
    "creates_per_minute": "Creates within a minute",
}
_TAG = "(?:[a-z][a-z0-9-]{0,38}|-)"
_CLUSTER = re.compile(rf"(?:platforms/)?({_TAG})/(?:clusters/)?({_TAG})")


def _limit_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--max-calls` and so on; a command takes those that were given as `max_calls`."""
    for name, text in reversed(_LIMITS.items()):
        flag = f"--max-{name.replace('_', '-')}"
        command = click.option(flag, type=click.IntRange(min=0), help=f"{text}; 0 for no limit.")(command)
    return command


_display_name = click.option("--display-name", help="A name for people.")


def _tenant_name(_context: click.Context, _param: click.Parameter, text: str) -> str:
    return named("tenants", text)


_tenant = click.argument("name", metavar="TENANT", callback=_tenant_name)


@click.group()
def tenants() -> None:
    """Manage tenants and what they may use."""


@tenants.command("list")
@gateway_option
def list_tenants(gateway: str) -> None:
    """Show the tenants in which you have a role."""
    request = tenant_pb2.ListTenantsRequest()
    show(gateway, lambda client: tables.tenants(client.each(client.tenants.ListTenants, request)))


@tenants.command("create")
@_tenant
@_display_name
@_limit_options
@gateway_option
def create_tenant(name: str, gateway: str, display_name: str | None, **limits: int | None) -> None:
    """Create a tenant."""
    tenant = tenant_pb2.Tenant(display_name=display_name or "", limits=_given(limits))
    request = tenant_pb2.CreateTenantRequest(tenant_id=short(name), tenant=tenant)
    show(gateway, lambda client: tables.tenants([client.tenants.CreateTenant(request)]))


@tenants.command("update")
@_tenant
@_display_name
@click.option("--disable/--enable", "disabled", default=None, help="Whether the tenant's callers are refused.")
@_limit_options
@gateway_option
def update_tenant(
    name: str, gateway: str, display_name: str | None, *, disabled: bool | None, **limits: int | None
) -> None:
    """Change a tenant; limits that are not given stay."""
    changes = _changes(display_name=display_name, disabled=disabled, limits=_given(limits))

    def ask(client: Client) -> Table:
        tenant = client.tenants.GetTenant(tenant_pb2.GetTenantRequest(name=name))
        request = tenant_pb2.UpdateTenantRequest(tenant=_changed(tenant, changes))
        request.update_mask.paths.extend(changes)
        return tables.tenants([client.tenants.UpdateTenant(request)])

    show(gateway, ask)


@tenants.command("delete")
@_tenant
@gateway_option
def delete_tenant(name: str, gateway: str) -> None:
    """Delete a tenant with its bindings, once it has no pools, users or running operations."""
    asked(gateway, lambda client: client.tenants.DeleteTenant(tenant_pb2.DeleteTenantRequest(name=name)))
    click.echo(f"deleted {name}")


def _clusters(
    _context: click.Context, _param: click.Parameter, texts: tuple[str, ...]
) -> tuple[tenant_pb2.PoolCluster, ...]:
    return tuple(_pool_cluster(text) for text in texts)


def _pool_cluster(text: str) -> tenant_pb2.PoolCluster:
    cluster, _, project = text.partition("=")
    tags = _CLUSTER.fullmatch(cluster)
    if tags is None or ("=" in text and not project):
        wanted = "PLATFORM/CLUSTER such as openstack/alpha, openstack/- for all, openstack/alpha=ID for one project"
        raise click.BadParameter(f"{text!r} is not a cluster of a pool; expected {wanted}")
    return tenant_pb2.PoolCluster(cluster=f"platforms/{tags[1]}/clusters/{tags[2]}", project_id=project)


_pool = click.argument("pool", metavar="POOL")
_cluster_help = "PLATFORM/CLUSTER, - for all, =PROJECT_ID for one project of it; may be repeated."


@click.group()
def pools() -> None:
    """Manage the pools of a tenant: clusters under one name."""


@pools.command("list")
@gateway_option
def list_pools(gateway: str) -> None:
    """Show the pools of the tenant in which you have a role."""
    request = tenant_pb2.ListPoolsRequest(parent=parent())
    show(gateway, lambda client: tables.pools(client.each(client.tenants.ListPools, request)))


@pools.command("create")
@_pool
@click.option("--cluster", "clusters", multiple=True, required=True, callback=_clusters, help=_cluster_help)
@_display_name
@_limit_options
@gateway_option
def create_pool(
    pool: str, gateway: str, clusters: tuple[Any, ...], display_name: str | None, **limits: int | None
) -> None:
    """Create a pool of the tenant."""
    made = tenant_pb2.Pool(display_name=display_name or "", clusters=clusters, limits=_given(limits))
    request = tenant_pb2.CreatePoolRequest(parent=parent(), pool_id=pool, pool=made)
    show(gateway, lambda client: tables.pools([client.tenants.CreatePool(request)]))


@pools.command("update")
@_pool
@click.option("--cluster", "clusters", multiple=True, callback=_clusters, help=f"{_cluster_help} In place of all.")
@_display_name
@_limit_options
@gateway_option
def update_pool(
    pool: str, gateway: str, clusters: tuple[Any, ...], display_name: str | None, **limits: int | None
) -> None:
    """Change a pool; limits that are not given stay."""
    changes = _changes(display_name=display_name, clusters=clusters or None, limits=_given(limits))

    def ask(client: Client) -> Table:
        name = in_tenant(client, "pools", pool)
        found = client.tenants.GetPool(tenant_pb2.GetPoolRequest(name=name))
        request = tenant_pb2.UpdatePoolRequest(pool=_changed(found, changes))
        request.update_mask.paths.extend(changes)
        return tables.pools([client.tenants.UpdatePool(request)])

    show(gateway, ask)


@pools.command("delete")
@_pool
@gateway_option
def delete_pool(pool: str, gateway: str) -> None:
    """Delete a pool with its bindings; its operations go on."""

    def ask(client: Client) -> str:
        name = in_tenant(client, "pools", pool)
        client.tenants.DeletePool(tenant_pb2.DeletePoolRequest(name=name))
        return name

    click.echo(printable(f"deleted {asked(gateway, ask)}"))


def _given(limits: Mapping[str, int | None]) -> dict[str, int]:
    """`max_calls` that were given, by the names of the fields of Limits."""
    return {option.removeprefix("max_"): value for option, value in limits.items() if value is not None}


def _changes(**fields: Any) -> dict[str, Any]:
    """Return the fields that an update changes.

    Raises:
        click.UsageError: There is none.
    """
    changes = {name: value for name, value in fields.items() if value is not None and value != {}}
    if not changes:
        raise click.UsageError("nothing to change; name what, see --help")
    return changes


def _changed(message: Any, changes: Mapping[str, Any]) -> Any:
    """Return the message with the changed fields in it; of limits those that were given, the others as they are."""
    for field, value in changes.items():
        if field == "limits":
            for limit, most in value.items():
                setattr(message.limits, limit, most)
        elif field == "clusters":
            del message.clusters[:]
            message.clusters.extend(value)
        else:
            setattr(message, field, value)
    return message
