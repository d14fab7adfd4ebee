"""Tables of sessions, users, tenants, pools, roles and bindings, and the tree of audit events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.tree import Tree

from cloudspan.cli.connection import EVERY_TENANT
from cloudspan.cli.names import short
from cloudspan.cli.tables import new_table, shown, time_of
from cloudspan.v1 import audit_pb2, session_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudspan.v1 import policy_pb2, tenant_pb2, user_pb2

_NONE = "-"


def session(found: session_pb2.Session) -> Table:
    """Return what a session says of its caller; never its token."""
    rows = {
        "caller": found.subject,
        "tenant": short(found.tenant),
        "roles in it": _listed(short(role) for role in found.roles),
        "tenants": _listed(_tenant(short(tenant)) for tenant in found.tenants),
        "proven by": _method(found) if found.method else "nothing: this gateway authenticates nobody",
        "session": short(found.name),
        "from": found.peer,
        "since": time_of(found, "create_time"),
        "ends if unused": time_of(found, "idle_expire_time"),
        "ends": time_of(found, "expire_time"),
    }
    table = Table.grid(padding=(0, 2))
    for what, value in rows.items():
        if value:
            table.add_row(what, shown(value))
    return table


def sessions(found: Iterable[session_pb2.Session]) -> Table:
    """Return a row for each session."""
    table = new_table("session", "caller", "tenant", "proven by", "from", "since", "ends if unused", "ends")
    for each in found:
        words = (short(each.name), each.subject, short(each.tenant), _method(each), each.peer)
        times = [time_of(each, field) for field in ("create_time", "idle_expire_time", "expire_time")]
        table.add_row(*map(shown, words), *times)
    return table


def users(found: Iterable[user_pb2.User]) -> Table:
    """Return a row for each user."""
    table = new_table("user", "display name", "tenant", "state", "one-time codes", "last login", "created")
    for user in found:
        codes = f"yes, {user.recovery_codes_left} recovery codes left" if user.one_time_codes else "no"
        state = "[red]disabled[/]" if user.disabled else "[green]enabled[/]"
        times = [time_of(user, field) or _NONE for field in ("login_time", "create_time")]
        words = (short(user.name), user.display_name, short(user.tenant))
        table.add_row(*map(shown, words), state, codes, *times)
    return table


def tenants(found: Iterable[tenant_pb2.Tenant]) -> Table:
    """Return a row for each tenant."""
    table = new_table("tenant", "display name", "state", "limits", "created")
    for tenant in found:
        state = "[red]disabled[/]" if tenant.disabled else "[green]enabled[/]"
        name, title = shown(short(tenant.name)), shown(tenant.display_name)
        table.add_row(name, title, state, _limits(tenant.limits), time_of(tenant, "create_time"))
    return table


def pools(found: Iterable[tenant_pb2.Pool]) -> Table:
    """Return a row for each pool; its clusters as `--cluster` takes them."""
    table = new_table("pool", "display name", "clusters", "limits", "created")
    for pool in found:
        clusters = "\n".join(shown(_cluster(cluster)) for cluster in pool.clusters)
        name, title = shown(pool.name), shown(pool.display_name)
        table.add_row(name, title, clusters, _limits(pool.limits), time_of(pool, "create_time"))
    return table


def roles(found: Iterable[policy_pb2.Role]) -> Table:
    """Return a row for each role."""
    table = new_table("role", "display name", "permissions", "built in")
    for role in found:
        permissions = "\n".join(shown(permission) for permission in role.permissions)
        table.add_row(shown(short(role.name)), shown(role.display_name), permissions, "yes" if role.built_in else "no")
    return table


def bindings(found: Iterable[policy_pb2.Binding]) -> Table:
    """Return a row for each binding."""
    table = new_table("binding", "member", "role", "pool", "created", "by")
    for binding in found:
        pool = binding.pool if binding.pool not in ("", "-") else "all"
        words = (binding.name, binding.member, short(binding.role), pool)
        table.add_row(*map(shown, words), time_of(binding, "create_time"), shown(binding.creator))
    return table


def events(found: Iterable[audit_pb2.AuditEvent]) -> Tree:
    """Return an entry for each event of the audit."""
    tree = Tree("", hide_root=True)
    for event in found:
        kind = audit_pb2.AuditEvent.Type.Name(event.type).removeprefix("TYPE_")
        colour = "green" if event.outcome == "OK" else "red"
        outcome = " ".join(word for word in (event.outcome, event.reason) if word)
        what = shown(f"{event.sequence}  {time_of(event, 'create_time')}  {who(event)}  {kind}  {short(event.method)}")
        entry = tree.add(f"{what}  [{colour}]{shown(outcome)}[/]")
        for line in (event.resource or event.cluster, whence(event), event.message):
            if line:
                entry.add(shown(line))
    return tree


def who(event: audit_pb2.AuditEvent) -> str:
    """`users/alice of acme`."""
    tenant = f" of {event.tenant}" if event.tenant else ""
    return f"{event.subject or 'somebody unknown'}{tenant}"


def whence(event: audit_pb2.AuditEvent) -> str:
    """From where, by what, under which ids."""
    named = {"from": event.peer, "by": event.credential, "as": event.operation, "request": event.request_id}
    return ", ".join(f"{word} {value}" for word, value in named.items() if value)


def _method(session: session_pb2.Session) -> str:
    """`METHOD_PASSWORD` -> `password`."""
    return session_pb2.Session.Method.Name(session.method).removeprefix("METHOD_").lower()


def _tenant(tenant: str) -> str:
    return "- (every tenant)" if tenant == EVERY_TENANT else tenant


def _cluster(cluster: tenant_pb2.PoolCluster) -> str:
    return f"{cluster.cluster}={cluster.project_id}" if cluster.project_id else cluster.cluster


def _limits(limits: Any) -> str:
    """`calls 100, operations 20`."""
    return _listed(f"{field.name.replace('_', ' ')} {value}" for field, value in limits.ListFields())


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or _NONE
