"""InventoryService.Watch: the stream of what the clouds hold and of what changes there.

The other functions of InventoryService are answered beside it; `service_methods` takes each servicer for what it has.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from cloudspan_gateway.inventory.watch.selection import Sight, Wanted
from cloudspan_gateway.inventory.watch.watch import Watch
from cloudspan_gateway.operations.waiting import kept_waiting
from cloudspan_gateway.services.inventory.states import checked_collections
from cloudspan_gateway.storage.sealed_token import DIGEST_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan.v1.inventory_pb2 import WatchRequest
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.inventory.watch.feed import Feed, Message
    from cloudspan_gateway.inventory.watch.resume_token import ResumeTokens
    from cloudspan_gateway.services.inventory.scopes import Scopes


class Watches:
    """Answers Watch."""

    def __init__(self, feed: Feed, tokens: ResumeTokens, scopes: Scopes) -> None:
        self._feed = feed
        self._tokens = tokens
        self._scopes = scopes

    def __repr__(self) -> str:
        return f"<Watches over {self._feed!r}>"

    async def watch(self, request: WatchRequest, call: Call) -> AsyncIterator[Message]:
        """Yield the resources as they are, then their changes, until the caller leaves or may no longer see them."""
        access_of = partial(self._access_of, call)
        wanted = self._wanted(request, call)
        watch = Watch(self._feed, wanted, Sight(wanted.clusters, call.path[1:], access_of))
        if request.resume_token:
            messages = watch.resumed(*self._tokens.read(request.resume_token, wanted.query))
        else:
            messages = watch.begun(with_existing=not request.changes_only)
        with kept_waiting(call):
            async with self._feed.joined():
                async for message in messages:
                    yield message

    def _access_of(self, call: Call) -> Access:
        # Asked again all the time: each second the recheck stage may give the call another access.
        return self._scopes.access(call)

    def _wanted(self, request: WatchRequest, call: Call) -> Wanted:
        seen, named = self._scopes.of(call, request.parent), frozenset(checked_collections(request.collections))
        said = msgspec.msgpack.encode((sorted(named), request.filter, seen.asked))
        query = hashlib.blake2b(said, digest_size=DIGEST_BYTES).digest()
        wanted = Wanted(seen.wanted, named, request.filter, query)
        _ = wanted.test  # refuses a malformed filter before anything is sent
        return wanted
