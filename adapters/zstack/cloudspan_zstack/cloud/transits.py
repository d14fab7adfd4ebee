"""Which resources are on their way from one state to another: what operations wait for, looked at together.

The areas of servers and volumes declare their `transits` with it, and a gateway asks for all that it waits for at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack.cloud.beside import every
from cloudspan_zstack.cloud.queries import one_of
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from cloudspan_kit import Call
    from cloudspan_kit.driver import Transits
    from cloudspan_zstack.cloud.session import Session

_IN_ONE_URL = 100


def transits_of(session: Session, path: str, field: str, passing: Collection[str]) -> Transits:
    """Return what tells which resources of a native collection have a `field` among `passing`.

    The platform picks them: of so many as fit into a URL it is asked by their ids too, and of more than that for all
    that pass. Either is one call, but for more than a page of them.
    """

    async def in_transit(call: Call, ids: Sequence[str]) -> set[str]:
        conditions = one_of(field, sorted(passing))
        if len(ids) <= _IN_ONE_URL:
            conditions += one_of("uuid", ids)
        rows = await every(session, call, path, Row, conditions)
        return {row.uuid for row in rows} & set(ids)

    return in_transit
