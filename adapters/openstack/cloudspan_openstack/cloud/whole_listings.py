"""Whole collections of Nova, Cinder and Neutron, a page at a time, with only the fields that are asked for.

`transits` and `marks` read these; what callers list goes through `servers` and `marker_pages`, which can be taken up
again anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from cloudspan_common.errors import NotFound, PlatformFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from cloudspan_kit import Call
    from cloudspan_openstack.cloud.session import Session

_LIMIT = 1000


class Entry(msgspec.Struct):
    """A row of a collection, or a link beside it: an answer holds nothing else."""

    id: str = ""
    rel: str = ""


E = TypeVar("E", bound=Entry)


async def pages(
    session: Session,
    call: Call,
    service: str,
    path: str,
    answer: type[dict[str, list[E]]],
    params: Sequence[tuple[str, str]] = (),
) -> AsyncIterator[Sequence[E]]:
    """Yield the pages of a collection to its end; begins again, and repeats rows, where its place was deleted.

    Raises:
        PlatformFault: It answers the same page again.
    """
    key, marker = path.split("/")[1].replace("-", "_"), ""
    while True:
        asked = [*params, ("limit", str(_LIMIT)), *([("marker", marker)] if marker else [])]
        try:
            told = await session.get(call, service, path, answer, params=asked)
        except NotFound:
            if not marker:
                raise
            marker = ""
            continue
        rows = told.get(key, [])
        yield rows
        has_next = any(link.rel == "next" for link in told.get(f"{key}_links", ()))
        if not rows or not (has_next or len(rows) >= _LIMIT):
            return
        if rows[-1].id == marker:
            raise PlatformFault(f"{service} answers the same page of {path} again", reason="PAGING_LOOP")
        marker = rows[-1].id
