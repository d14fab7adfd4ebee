"""What ZStack keeps beside a row: its owner, its labels, and the rows of other tables that it points to.

An inventory tells neither whose it is nor which tags it has. The areas ask here for a whole page of rows at once, by
uuid, in as few calls as fit into URLs. Labels are user tags, `key::value` as people write them on this platform.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from cloudspan_common.errors import Forbidden, InvalidRequest, PlatformFault, Violation
from cloudspan_zstack.queries import batches, one_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloudspan_common.adapterkit.driver import Call
    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.session import Session

T = TypeVar("T")

OWN_TAGS = "cloudspan::"
"""User tags of ours begin so; they are no labels."""
_ROWS_A_PAGE = 1000
_MAX_TAG_CHARS = 1024


class _Owner(msgspec.Struct, rename="camel"):
    account_uuid: str
    resource_uuid: str


class TagRow(msgspec.Struct, rename="camel"):
    """A user tag."""

    uuid: str
    resource_uuid: str
    tag: str


async def rows_by(session: Session, call: Call, path: str, into: type[T], field: str, uuids: Iterable[str]) -> list[T]:
    """Return all rows of a table whose `field` is one of `uuids`; none where this account may not look.

    Raises:
        PlatformFault: The server counts more rows than it shows.
    """
    wanted = sorted({uuid for uuid in uuids if uuid})
    try:
        found = await asyncio.gather(
            *(_every(session, call, path, into, one_of(field, part)) for part in batches(wanted))
        )
    except Forbidden:
        return []  # what others' infrastructure looks like is not for every account
    return [row for part in found for row in part]


async def _every(session: Session, call: Call, path: str, into: type[T], conditions: Sequence[str]) -> list[T]:
    found: list[T] = []
    while True:
        page = await session.query(
            call, path, into, conditions=conditions, limit=_ROWS_A_PAGE, start=len(found), count=True
        )
        found += page.rows
        if len(found) >= (page.total or 0):
            return found
        if not page.rows:
            text = f"{call.cluster} counts {page.total} rows of {path} and shows {len(found)}"
            raise PlatformFault(text, reason="ROWS_NOT_SHOWN")


class Beside:
    """Owners and labels of one cluster's resources."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session = session
        self._projects = f"{ref}/projects/"

    def __repr__(self) -> str:
        return f"<Beside {self._session!r}>"

    async def of(self, call: Call, uuids: Sequence[str]) -> Marks:
        """Return owners and labels of a page of resources."""
        owners, tags = await asyncio.gather(
            rows_by(self._session, call, "/accounts/resources/refs", _Owner, "resourceUuid", uuids),
            rows_by(self._session, call, "/user-tags", TagRow, "resourceUuid", uuids),
        )
        labels: dict[str, dict[str, str]] = {}
        for row in tags:
            if not row.tag.startswith(OWN_TAGS):
                key, _, value = row.tag.partition("::")
                labels.setdefault(row.resource_uuid, {})[key] = value
        return Marks({row.resource_uuid: self._projects + row.account_uuid for row in owners}, labels)


class Marks:
    """Owners and labels of some resources, by uuid."""

    def __init__(self, projects: Mapping[str, str], labels: Mapping[str, Mapping[str, str]]) -> None:
        self._projects, self._labels = projects, labels

    def __repr__(self) -> str:
        return f"<Marks: {len(self._projects)} owners, labels of {len(self._labels)}>"

    def project(self, uuid: str) -> str | None:
        """Return the name of the project that a resource belongs to, if the account may know it."""
        return self._projects.get(uuid)

    def labels(self, uuid: str) -> Mapping[str, str] | None:
        return self._labels.get(uuid)


def tags_of(labels: Mapping[str, str], field: str) -> list[str]:
    """Return labels as user tags.

    Raises:
        InvalidRequest: A label that could not be read back as it was.
    """
    tags = []
    for key, value in sorted(labels.items()):
        tag = f"{key}::{value}" if value else key
        # "a:" + "::" + "b" would be read back as the label "a" with the value ":b".
        unclear = not key or "::" in key or key.endswith(":")
        if unclear or tag.startswith(OWN_TAGS) or len(tag) > _MAX_TAG_CHARS:
            text = (
                f"the label {key[:60]!r} can't be kept as a user tag: keys hold no '::', don't end in ':' and don't "
                f"begin with {OWN_TAGS!r}, key and value have at most {_MAX_TAG_CHARS - 2} characters together"
            )
            raise InvalidRequest(text, reason="LABEL_NOT_KEPT", violations=[Violation(field, text)])
        tags.append(tag)
    return tags


async def user_tags(session: Session, call: Call, uuid: str) -> list[TagRow]:
    """Return a resource's user tags, ours included."""
    return await rows_by(session, call, "/user-tags", TagRow, "resourceUuid", [uuid])


def by_uuid(rows: Iterable[Any]) -> dict[str, Any]:
    """Return rows by their uuid."""
    return {row.uuid: row for row in rows}
