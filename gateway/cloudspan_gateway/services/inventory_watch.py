"""InventoryService.Watch: the stream of what the clouds hold and of what changes there.

The other functions of InventoryService are answered beside it; `service_methods` takes each servicer for what it has.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_common.names import WILDCARD, ClusterRef, malformed, parse_cluster
from cloudspan_gateway.inventory.columns import collections
from cloudspan_gateway.inventory.selection import Sight, Wanted
from cloudspan_gateway.inventory.watch import Watch
from cloudspan_gateway.metadata import POOL
from cloudspan_gateway.operations.waiting import kept_waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from cloudspan.v1.inventory_pb2 import WatchRequest
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.inventory.feed import Feed, Message
    from cloudspan_gateway.inventory.resume_token import ResumeTokens
    from cloudspan_gateway.routing.router import Router

_DIGEST_BYTES = 16


class Watches:
    """Answers Watch."""

    def __init__(self, feed: Feed, tokens: ResumeTokens, router: Router) -> None:
        self._feed = feed
        self._tokens = tokens
        self._router = router

    def __repr__(self) -> str:
        return f"<Watches over {self._feed!r}>"

    async def watch(self, request: WatchRequest, call: Call) -> AsyncIterator[Message]:
        """Yield the resources as they are, then their changes, until the caller leaves or may no longer see them."""
        access_of = partial(self._access_of, call)
        wanted = self._wanted(request, call, access_of())
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
        return self._router.tags.narrowed(call.tags, call.access)

    def _wanted(self, request: WatchRequest, call: Call, access: Access) -> Wanted:
        clusters = self._clusters(request.parent, call, access)
        named = _checked(request.collections)
        whose = (access.tenant, call.tags.get(POOL, ""))
        said = msgspec.msgpack.encode((str(clusters), sorted(named), request.filter, whose))
        query = hashlib.blake2b(said, digest_size=_DIGEST_BYTES).digest()
        wanted = Wanted(clusters, named, request.filter, query)
        _ = wanted.test  # refuses a malformed filter before anything is sent
        return wanted

    def _clusters(self, parent: str, call: Call, access: Access) -> ClusterRef:
        if not parent:
            return ClusterRef(WILDCARD, WILDCARD)
        ref = parse_cluster(parent)
        if str(ref) != parent:
            raise malformed(parent, "parent", "platforms/{platform}/clusters/{cluster}")
        self._router.tags.check(ref, "parent", call.tags, call.access)
        self._router.check_known(ref, access)
        return ref


def _checked(named: Iterable[str]) -> frozenset[str]:
    known = collections()
    found = frozenset(named)
    for name in sorted(found - frozenset(known)):
        text = f"collections has {name[:60]!r}; expected some of: {', '.join(known)}"
        raise InvalidRequest(text, reason="UNKNOWN_COLLECTION", violations=[Violation("collections", text)])
    return found
