"""A hand-made adapter whose servers can be swept: SweepPage and GetServer over a `ListedCloud`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from gateway.tests.hand_made_adapter import GET_SERVER, HandMadeAdapter

from cloudspan.adapter.v1 import sweep_pb2
from cloudspan.v1 import server_pb2
from cloudspan_common import errors
from cloudspan_gateway.inventory.sync.source import SWEEP_PAGE, PageRequest

if TYPE_CHECKING:
    from gateway.tests.hand_made_adapter import Context
    from gateway.tests.listed_cloud import ListedCloud

    from cloudspan_gateway.inventory.sync.source import Page


def let_sweep(adapter: HandMadeAdapter, cloud: ListedCloud) -> None:
    """Have an adapter answer for a cloud; errors are the cloud's."""

    async def page(body: bytes, context: Context) -> bytes:
        asked = sweep_pb2.SweepPageRequest.FromString(body)
        if asked.collection != "servers":
            await fail(context, errors.Unsupported("servers alone", reason="METHOD_ABSENT"))
        since = asked.since_time.seconds if asked.HasField("since_time") else None
        request = PageRequest(asked.cluster, asked.collection, asked.cursor, asked.known_etag, since)
        return answer_of(await cloud.page(request)).SerializeToString()

    async def get(body: bytes, context: Context) -> bytes:
        name = server_pb2.GetServerRequest.FromString(body).name
        found = await cloud.get(name)
        if found is None:
            await fail(context, errors.NotFound(f"{name} does not exist", resource=name))
        return found.payload

    adapter.answers[f"/{SWEEP_PAGE}"] = page
    adapter.answers[GET_SERVER] = get


async def fail(context: Context, error: errors.CloudspanError) -> None:
    """End a call with an error, as the kit's adapters do."""
    message, trailers = errors.ending(error, "")
    stamp = context.trailing_metadata() or ()
    await context.abort(grpc.StatusCode(error.code.value), message, (*stamp, *trailers))


def answer_of(page: Page) -> sweep_pb2.SweepPageResponse:
    """Return a page as an adapter answers it."""
    answer = sweep_pb2.SweepPageResponse(
        next_cursor=page.next_cursor,
        etag=page.etag,
        unchanged=page.unchanged,
        partial=page.partial,
        unread=page.unread,
        ignored_since=page.ignored_since,
    )
    for row in page.rows:
        answer.rows.add(name=row.name, resource=row.payload, digest=row.digest)
    for name in page.gone:
        answer.rows.add(name=name, gone=True)
    return answer
