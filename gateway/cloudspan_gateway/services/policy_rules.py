"""What TenantService and PolicyService have in common: who may change what, and which values can be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from cloudspan.v1 import tenant_pb2
from cloudspan_common.contract import Permission
from cloudspan_common.errors import AlreadyExists, InvalidRequest, NotFound, PreconditionFailed, Violation
from cloudspan_common.update_mask import changed_fields
from cloudspan_gateway.access import names
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.access.names import EVERY, TENANT
from cloudspan_gateway.access.tenant_access import missing, not_chosen

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.access.policy import Policy, Row
    from cloudspan_gateway.access.store import Changes, PolicyStore
    from cloudspan_gateway.call import Call

    R = TypeVar("R", bound=Row)

T = TypeVar("T")


def require_installation(call: Call) -> None:
    """Raise NotPermitted unless the caller administers the installation, whichever tenant its call acts in."""
    require_administrator(call, EVERY_TENANT)


def require_administrator(call: Call, tenant: str) -> None:
    """Raise NotPermitted unless the caller administers a tenant; `-` for the installation."""
    if not call.access.permissions(tenant, EVERY).cover(Permission.PERMISSION_ADMINISTER, call.path[1:]):
        raise missing(Permission.PERMISSION_ADMINISTER, call.path[1:], f"tenants/{tenant}")


def sees_tenant(policy: Policy, tenant: str, call: Call) -> bool:
    """Whether the caller has a role in a tenant, or belongs to it."""
    if tenant == call.access.tenant or call.access.permissions(tenant):
        return True
    return tenant in policy.tenants_of(call.principal.members)


def tenant_asked(parent: str, form: str, call: Call) -> str:
    """Return the id of the tenant in a request's parent; that of the call when it is empty.

    Raises:
        InvalidRequest: It is malformed, or empty while the call acts in no single tenant.
    """
    if parent:
        return names.ids_of(parent, form, "parent")[0]
    tenant = call.access.tenant
    if not tenant or (tenant == EVERY_TENANT and form == TENANT):
        raise not_chosen("parent is empty, and the call acts in no single tenant", ["any in parent"])
    return tenant


def no_tenant(name: str) -> NotFound:
    """Return the error for a tenant that does not exist or in which the caller has no role."""
    text = f"there is no {name[:120]} in which the caller has a role; ListTenants lists those there are"
    return NotFound(text, resource=name)


def not_there(name: str) -> NotFound:
    """Return the error for something within a tenant that does not exist, or is not the caller's to see."""
    return NotFound(f"there is no {name[:120]} that the caller can see; a list shows those there are", resource=name)


def exists(name: str) -> AlreadyExists:
    """Return the error for a create of what is there."""
    return AlreadyExists(f"{name} exists; choose another id, or update it", resource=name)


def in_use(name: str, by: str) -> PreconditionFailed:
    """Return the error for the deletion of what something else refers to."""
    text = f"{name} is still in use by {by}; delete or change that first"
    return PreconditionFailed(text, reason="STILL_IN_USE", resource=name)


def bad_field(field: str, why: str) -> InvalidRequest:
    """Return the error for a field's value."""
    return InvalidRequest(f"{field} {why}", violations=[Violation(field, why)])


def kept_row(policy: Policy, name: str, kind: type[R]) -> R:
    """Return a copy of a row, to be changed.

    Raises:
        NotFound: There is none of that name.
    """
    row: Any = policy.rows.get(name)
    if not isinstance(row, kind):
        raise no_tenant(name) if kind is tenant_pb2.Tenant else not_there(name)
    copy: Any = kind()
    copy.CopyFrom(row)
    return copy


def update_fields(request: Any, field: str, allowed: frozenset[str]) -> frozenset[str]:
    """Return which fields an Update sets.

    Raises:
        InvalidRequest: The mask names one that can't be changed.
    """
    fields = changed_fields(request, field)
    if "*" in request.update_mask.paths or not request.update_mask.paths:
        return fields & allowed
    wrong = sorted(fields - allowed)
    if wrong:
        text = f"update_mask names {', '.join(wrong)}; what can be changed is: {', '.join(sorted(allowed))}"
        raise InvalidRequest(text, reason="BAD_UPDATE_MASK", violations=[Violation("update_mask", text)])
    return fields


def set_fields(row: Any, wanted: Any, fields: frozenset[str]) -> None:
    """Set fields of a row to their values in a request; one that is empty there is cleared."""
    for field in fields:
        row.ClearField(field)
    part = type(row)()
    part.CopyFrom(wanted)
    for field in part.DESCRIPTOR.fields:
        if field.name not in fields:
            part.ClearField(field.name)
    row.MergeFrom(part)


def check_text(value: str, field: str, most: int = 256) -> None:
    """Raise InvalidRequest for a text for people, or of another system, that can't be shown on one line."""
    if len(value) > most or not value.isprintable():
        raise bad_field(field, f"is {value[:60]!r}; expected at most {most} printable characters")


def check_limits(limits: tenant_pb2.Limits, field: str) -> None:
    """Raise InvalidRequest for a limit below zero."""
    for descriptor, value in limits.ListFields():
        if value < 0:
            raise bad_field(f"{field}.{descriptor.name}", f"is {value}; expected 0 for no limit, or more")


def stamp(row: Any, clock: Clock) -> None:
    """Set when a row was created."""
    row.create_time.FromNanoseconds(round(clock.now() * 1e9))


async def changed(store: PolicyStore, decide: Callable[[Policy, Connection], tuple[T, Changes]], call: Call) -> T:
    """Make a change, and keep the call's audit event with it.

    Raises:
        CloudspanError: What `decide` raises, LAST_ADMINISTRATOR, or the database's state.
    """
    answer, kept = await store.change(decide, (call.event,) if call.event is not None else ())
    if kept:
        call.event = None
    return answer
