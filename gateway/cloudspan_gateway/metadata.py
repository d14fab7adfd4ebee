"""What metadata passes the gateway: which of a caller's reaches adapters, and which of an adapter's comes back.

Whatever is sent to an adapter gets its metadata from `outgoing`: forwarded calls, parts of a list, steps, checks.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

Metadata = tuple[tuple[str, str | bytes], ...]

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"
PLATFORM, CLUSTER, POOL = "x-platform", "x-cluster", "x-pool"
TAGS = frozenset({PLATFORM, CLUSTER, POOL})
X_WAIT = "x-wait"
X_STALE_OK = "x-stale-ok"
# Believed as it comes until callers are identified; it decides about fairness and nothing else.
X_TENANT = "x-tenant"

# Callers' credentials. They end at the gateway, as cookies do: what reaches an adapter is named below.
AUTHORIZATION, X_AUTH_SESSION = "authorization", "x-auth-session"

FORWARDED = frozenset({"tracestate"})
FORWARDED_PREFIX = "x-cloudspan-"
# What stands between a caller and the gateway, by its own word: a process of the message bus. The audit shows it.
VIA = "x-cloudspan-via"
# The gateway's own word on who calls, for adapters: a caller's is dropped.
CONTEXT, PROOF = "x-cloudspan-context", "x-cloudspan-context-proof"
OWN = frozenset({CONTEXT, PROOF})
# What a hop says of itself and not of the answer.
_HOP_KEYS = frozenset({"date", "server", "content-type", "user-agent", "te", "via", REQUEST_ID})


def outgoing(request_id: str, traceparent: str, carried: Metadata = (), tags: Metadata = ()) -> Metadata:
    """Return the metadata of a call to an adapter.

    Args:
        request_id: Of the caller's request, also where an operation of it goes on later.
        traceparent: The trace that the call belongs to.
        carried: What else of the caller's metadata goes on.
        tags: Where a service beyond the contract is to be served.
    """
    return ((REQUEST_ID, request_id), (TRACEPARENT, traceparent), *carried, *tags)


@functools.lru_cache(maxsize=1024)
def address_of(peer: str) -> str:
    """Return a caller's address without its port, which changes with each connection: `ipv6:%5B::1%5D:50000`, `::1`."""
    kind, _, rest = peer.partition(":")
    if kind == "ipv4":
        return rest.rpartition(":")[0]
    return unquote(rest.rpartition(":")[0]).strip("[]") if kind == "ipv6" else peer


def passed_back(metadata: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
    """Return what of an adapter's initial metadata or trailers concerns the caller."""
    return tuple((key, value) for key, value in metadata or () if key not in _HOP_KEYS)
