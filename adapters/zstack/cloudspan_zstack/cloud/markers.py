"""Marks on what our creates make: user tags, so that it can be found by the operation and the installation it is of.

The id of what is made is derived from the marker, which finds it by the whole marker only. So the marker travels as a
tag as well. Where the platform puts the tags of a create is its own affair: those of an IP range go to the network that
the range is of, those of a key pair are filed as a volume's. So a tag only tells the marker; the id is derived anew.

`creation` sends marks with every create; the kinds' markers find by them. What is made to go with a server carries a
second tag, which `server_parts` finds it by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from cloudspan_kit import Marked
from cloudspan_zstack.cloud.beside import owners_of, rows_by
from cloudspan_zstack.cloud.jobs import MARKER_TAG, resource_uuid
from cloudspan_zstack.cloud.labels import OURS, Tag
from cloudspan_zstack.cloud.queries import everything, one_of
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_kit import Call
    from cloudspan_zstack.cloud.creation import Kind
    from cloudspan_zstack.cloud.session import Session

R = TypeVar("R", bound=Row)

_WITH_SERVER = f"{OURS}with-server::"


def with_server(uuid: str) -> str:
    """Return the tag of what goes with a server."""
    return _WITH_SERVER + uuid


async def going_with(session: Session, call: Call, server: str) -> dict[str, set[str]]:
    """Return the uuids of what was made to go with a server, by the platform's type of resource."""
    found: dict[str, set[str]] = {}
    for tag in await everything(session, call, "/user-tags", Tag, [f"tag={with_server(server)}"]):
        if tag.tag == with_server(server):  # the database does not compare case
            found.setdefault(tag.resource_type, set()).add(tag.resource_uuid)
    return found


async def servers_of(session: Session, call: Call, volumes: Sequence[str]) -> dict[str, str]:
    """Return, for each of these volumes that goes with a server, which one that is."""
    found: dict[str, str] = {}
    for tag in await rows_by(session, call, "/user-tags", Tag, "resourceUuid", volumes):
        if tag.tag.startswith(_WITH_SERVER):
            found[tag.resource_uuid] = tag.tag.removeprefix(_WITH_SERVER)
    return found


async def find_marked(session: Session, call: Call, kind: Kind[R], types: Sequence[str], prefix: str) -> list[Marked]:
    """Return everything of one kind whose marker begins with `prefix`, softly deleted ones left out.

    What belongs to another account, as an administrator sees, was not made by this cluster.
    """
    conditions = [*one_of("resourceType", types), f"tag~={MARKER_TAG}{prefix}%"]
    tags = await everything(session, call, "/user-tags", Tag, conditions)
    told = (tag.tag.removeprefix(MARKER_TAG) for tag in tags)
    markers = {resource_uuid(marker): marker for marker in told if marker.startswith(prefix)}
    rows = [row for row in await rows_by(session, call, kind.path, kind.row, "uuid", markers) if not kind.gone(row)]
    me = (await session.login(call)).account_uuid
    owners = await owners_of(session, call, [row.uuid for row in rows])
    return [
        Marked(row.uuid, markers[row.uuid], row.name, session.zone.moment(row.create_date))
        for row in rows
        if owners.get(row.uuid, me) == me
    ]
