"""The public keys of gateways in Consul's key-value store, one entry for each gateway.

Under `cloudspan/context-keys/`: adapters need `key_prefix` read on it, gateways write, and nobody else may write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import PlatformFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_common.registry.consul_agent import Agent
    from cloudspan_common.registry.context_keys import Entry

PREFIX = "cloudspan/context-keys/"


class ConsulKeys:
    """Speaks through the local agent, with what py-consul and python-consul2 share."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def put(self, holder: str, entry: bytes) -> None:
        if not await self._agent.call(lambda api: api.kv.put(PREFIX + holder, entry.decode())):
            text = f"Consul agent {self._agent.address} did not keep {PREFIX}{holder}; see its log"
            raise PlatformFault(text, reason="REGISTRY_FAULT")

    async def entries(self) -> Sequence[Entry]:
        _, rows = await self._agent.call(lambda api: api.kv.get(PREFIX, recurse=True))
        return tuple(_entry_of(row) for row in rows or ())

    async def remove(self, holder: str) -> None:
        await self._agent.call(lambda api: api.kv.delete(PREFIX + holder))


def _entry_of(row: dict[str, Any]) -> Entry:
    # An entry without a value is None; somebody's who made a folder by hand.
    return str(row["Key"]).removeprefix(PREFIX), row["Value"] or b""
