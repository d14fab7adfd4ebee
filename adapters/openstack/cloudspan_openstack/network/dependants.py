"""Which ports stand in the way of a deletion; Neutron names one of them at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.errors import PreconditionFailed
from cloudspan_kit import listed
from cloudspan_openstack.cloud.source import session_of
from cloudspan_openstack.network.network_rows import Ports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cloudspan_common.errors import CloudspanError
    from cloudspan_kit import Call


def name_ports(
    collection: str, field: str, users: str
) -> Callable[[Call, str, PreconditionFailed], Awaitable[CloudspanError | None]]:
    """Return what `op.delete` asks after a refusal: the ports whose `field` is `users`, with the id in `{id}`."""

    async def refused(call: Call, native_id: str, error: PreconditionFailed) -> CloudspanError:
        params = ((field, users.format(id=native_id)),)
        page = await session_of(call).get(call, "network", "/ports", Ports, params=params)
        if not page.rows:
            return error  # others' ports, which these credentials do not see
        name = call.cluster.resource(collection, native_id)
        ports = listed(f"{call.cluster.resource('ports', p.id)} ({p.device_owner or 'unused'})" for p in page.rows)
        text = f"{name} is in use by {len(page.rows)} ports, remove them first: {ports}"
        return PreconditionFailed(text, reason="IN_USE", metadata=error.metadata, resource=name)

    return refused
