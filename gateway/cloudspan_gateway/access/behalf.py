"""On whose behalf the gateway calls an adapter: what the call's signed context says of it."""

from __future__ import annotations

from typing import NamedTuple


class Behalf(NamedTuple):
    """Hashable: the signer keeps what it signed by it."""

    subject: str = ""
    """`users/alice`; empty where callers are not authenticated."""
    tenant: str = ""
    roles: tuple[str, ...] = ()
    project: str = ""
    """The only project of the cluster that the call may touch; empty for all of them."""


GATEWAY = Behalf("gateway")
"""Of what the gateway asks for itself: descriptions, what several operations wait for together."""
