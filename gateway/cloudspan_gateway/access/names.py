"""Names of tenants, pools, roles and bindings: `tenants/acme/pools/prod`."""

from __future__ import annotations

import re

from cloudspan_common import names
from cloudspan_common.errors import InvalidRequest, Violation

EVERY = "-"
"""In place of a tenant: of the bindings that hold in all of them. In place of a pool: all of a tenant's."""
_TAG = "([a-z][a-z0-9-]{0,38})"
_OR_EVERY = "([a-z][a-z0-9-]{0,38}|-)"
_FORMS = {
    "tenants/{tenant}": re.compile(f"tenants/{_TAG}"),
    "tenants/{tenant}, or tenants/- for all of them": re.compile(f"tenants/{_OR_EVERY}"),
    "tenants/{tenant}/pools/{pool}": re.compile(f"tenants/{_TAG}/pools/{_TAG}"),
    "tenants/{tenant}/bindings/{binding}": re.compile(f"tenants/{_OR_EVERY}/bindings/{_TAG}"),
    "roles/{role}": re.compile(f"roles/{_TAG}"),
    "tenants/{tenant}/eventConsumers/{event_consumer}": re.compile(f"tenants/{_TAG}/eventConsumers/{_TAG}"),
    "tenants/{tenant}/webhooks/{webhook}": re.compile(f"tenants/{_TAG}/webhooks/{_TAG}"),
}
TENANT, TENANT_OR_EVERY, POOL, BINDING, ROLE, EVENT_CONSUMER, WEBHOOK = _FORMS


def ids_of(name: str, form: str, field: str = "name") -> tuple[str, ...]:
    """Return the ids in a name: `("acme", "prod")`.

    Raises:
        InvalidRequest: It has not that form.
    """
    match = _FORMS[form].fullmatch(name)
    if match is None:
        raise names.malformed(name, field, form)
    return match.groups()


def check_id(value: str, field: str) -> str:
    """Return the last part of a new name.

    Raises:
        InvalidRequest: It can't be one.
    """
    if not names.is_tag(value):
        text = (
            f"{field} is {value[:60]!r}; expected a lower-case letter, then lower-case letters, digits and `-`, at "
            "most 39 characters"
        )
        raise InvalidRequest(text, reason="MALFORMED_NAME", violations=[Violation(field, text)])
    return value


def last(name: str) -> str:
    """`tenants/acme/pools/prod` -> `prod`."""
    return name.rpartition("/")[2]


def parent(name: str) -> str:
    """Return the tenant's id of a pool or a binding: `tenants/acme/pools/prod` -> `acme`."""
    return name.split("/", 2)[1]
