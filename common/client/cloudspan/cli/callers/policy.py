"""`cloudspan policy`: roles, who has which, and what that allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudspan.cli.callers import tables
from cloudspan.cli.connection import asked, cluster_name, gateway_option, show
from cloudspan.cli.names import in_tenant, named, parent, short, subject
from cloudspan.cli.tables import printable
from cloudspan.v1 import policy_pb2

if TYPE_CHECKING:
    from cloudspan.client import Client


def _role_name(_context: click.Context, _param: click.Parameter, text: str) -> str:
    return named("roles", text)


_role = click.argument("name", metavar="ROLE", callback=_role_name)
_permissions = click.argument("permissions", metavar="PERMISSION...", nargs=-1, required=True)
_display_name = click.option("--display-name", help="A name for people.")


@click.group()
def policy() -> None:
    """Manage who may do what."""


@policy.command()
@gateway_option
def roles(gateway: str) -> None:
    """Show the roles and their permissions."""
    show(gateway, lambda client: tables.roles(client.each(client.policies.ListRoles, policy_pb2.ListRolesRequest())))


@policy.group()
def role() -> None:
    """Create, change and delete roles.

    A permission is a verb (read, operate, create, delete, administer) or a method by its full name, such as
    cloudspan.v1.ServerService/RebootServer.
    """


@role.command("create")
@_role
@_permissions
@_display_name
@gateway_option
def create_role(name: str, permissions: tuple[str, ...], display_name: str | None, gateway: str) -> None:
    """Create a role."""
    made = policy_pb2.Role(display_name=display_name or "", permissions=permissions)
    request = policy_pb2.CreateRoleRequest(role_id=short(name), role=made)
    show(gateway, lambda client: tables.roles([client.policies.CreateRole(request)]))


@role.command("update")
@_role
@click.argument("permissions", metavar="[PERMISSION...]", nargs=-1)
@_display_name
@gateway_option
def update_role(name: str, permissions: tuple[str, ...], display_name: str | None, gateway: str) -> None:
    """Change a role: PERMISSION... take the place of all that it had."""
    request = policy_pb2.UpdateRoleRequest(role=policy_pb2.Role(name=name, permissions=permissions))
    if permissions:
        request.update_mask.paths.append("permissions")
    if display_name is not None:
        request.role.display_name = display_name
        request.update_mask.paths.append("display_name")
    if not request.update_mask.paths:
        raise click.UsageError("nothing to change; name permissions or --display-name")
    show(gateway, lambda client: tables.roles([client.policies.UpdateRole(request)]))


@role.command("delete")
@_role
@gateway_option
def delete_role(name: str, gateway: str) -> None:
    """Delete a role that nobody has."""
    asked(gateway, lambda client: client.policies.DeleteRole(policy_pb2.DeleteRoleRequest(name=name)))
    click.echo(f"deleted {name}")


@policy.command("list")
@gateway_option
def list_bindings(gateway: str) -> None:
    """Show who has which role in the tenant; `--tenant -` for those who have one in every tenant."""
    request = policy_pb2.ListBindingsRequest(parent=parent())
    show(gateway, lambda client: tables.bindings(client.each(client.policies.ListBindings, request)))


@policy.command()
@click.argument("member")
@click.argument("role", callback=_role_name)
@click.option("--pool", default="", help="On this pool of the tenant alone; on all of them if not given.")
@gateway_option
def grant(member: str, role: str, pool: str, gateway: str) -> None:
    """Give MEMBER a role in the tenant; `--tenant -` for every tenant.

    MEMBER is users/alice (or alice), services/billing, certificates/ci.example (a DNS name of a client certificate),
    subjects/SUBJECT or groups/GROUP (of a JWT).
    """
    made = policy_pb2.Binding(member=subject(member), role=role, pool=short(pool))
    request = policy_pb2.CreateBindingRequest(parent=parent(), binding=made)
    show(gateway, lambda client: tables.bindings([client.policies.CreateBinding(request)]))


@policy.command()
@click.argument("binding")
@gateway_option
def revoke(binding: str, gateway: str) -> None:
    """Take a role away: BINDING is the name that `cloudspan policy list` shows."""

    def ask(client: Client) -> str:
        name = in_tenant(client, "bindings", binding)
        client.policies.DeleteBinding(policy_pb2.DeleteBindingRequest(name=name))
        return name

    click.echo(printable(f"deleted {asked(gateway, ask)}"))


@policy.command()
@click.argument("resource")
@_permissions
@gateway_option
def test(resource: str, permissions: tuple[str, ...], gateway: str) -> None:
    """Show which permissions you have on RESOURCE; exit code 1 when one is missing.

    RESOURCE is a tenant, a pool, a cluster (openstack/alpha) or anything in it, by its name; `-` for the tenant that
    you act in.
    """
    request = policy_pb2.TestPermissionsRequest(resource=_resource(resource), permissions=permissions)
    answer = asked(gateway, lambda client: client.policies.TestPermissions(request))
    missing = [permission for permission in permissions if permission not in answer.permissions]
    for permission in permissions:
        click.echo(f"{'missing' if permission in missing else 'granted'}  {permission}")
    if missing:
        raise click.exceptions.Exit(1)


def _resource(text: str) -> str:
    """`-` -> nothing, which is the caller's tenant; `openstack/alpha` -> the cluster's name; others as they are."""
    if text == "-":
        return parent()
    return text if text.startswith(("tenants/", "platforms/")) else _cluster(text)


def _cluster(text: str) -> str:
    context = click.get_current_context()
    return cluster_name(context, context.command.params[0], text)
