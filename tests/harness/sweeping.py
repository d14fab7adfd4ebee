"""Sweeps of adapters, as a gateway's inventory makes them: straight at the adapter, page by page."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from cloudspan.adapter.v1 import sweep_pb2, sweep_pb2_grpc
from cloudspan_common import grpcs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.harness.in_process import Deployment

Pages = dict[str, sweep_pb2.SweepPageResponse]
"""The pages of a sweep by the cursor that each was asked for with."""


@asynccontextmanager
async def sweepers(running: Deployment) -> AsyncIterator[dict[str, Any]]:
    """Give what sweeps each platform's adapter, by platform."""
    channels = {
        platform: grpcs.new_channel(seen.serving[0].instance.address)
        for platform, seen in running.gateway.table.snapshot.platforms.items()
    }
    yield {platform: sweep_pb2_grpc.SweepServiceStub(channel) for platform, channel in channels.items()}
    for channel in channels.values():
        await channel.close()


async def swept(
    sweeper: Any, cluster: str, collection: str, etags: Mapping[str, str] | None = None, **more: Any
) -> Pages:
    """Sweep a collection whole; `etags` are those of the last sweep, by cursor."""
    pages: Pages = {}
    cursor = ""
    while not pages or cursor:
        known = (etags or {}).get(cursor, "")
        request = sweep_pb2.SweepPageRequest(
            cluster=cluster, collection=collection, cursor=cursor, known_etag=known, **more
        )
        pages[cursor] = await sweeper.SweepPage(request)
        cursor = pages[cursor].next_cursor
    return pages
