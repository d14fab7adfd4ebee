"""Sweeps that one gateway asks another for, over what they announce to each other on the database.

An announcement can be lost, so it is repeated until the answer comes; the owner of the cluster knows a request again
by its id. Other versions of the gateway take the messages for those of nobody's operations.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_common.clock import finished
from cloudspan_common.errors import CloudspanError
from cloudspan_common.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.storage.engine import Database

log = get_logger(__name__)

_ASKED, _ANSWERED, _SOON = "inventory-sync||", "inventory-synced||", "inventory-soon||"
_REPEAT_S = 3.0
_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """What is to be swept."""

    cluster: str
    collections: tuple[str, ...]
    """All when empty."""
    released: bool = False
    project: str = ""
    """The name of the only project whose listing is wanted; empty for all that are listed of the cluster."""


class SweepRequests:
    """Asks the owners of clusters, and hears what is asked of this gateway."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        serve: Callable[[SweepRequest], Awaitable[None] | None],
        soon: Callable[[str, Sequence[str]], None],
    ) -> None:
        """Make it.

        Args:
            database: What the gateways share.
            clock: For the repetitions.
            serve: Returns what ends when a request is done; None where the cluster is not this gateway's.
            soon: Called where some gateway asks for an early sweep.
        """
        self._database = database
        self._clock = clock
        self._serve = serve
        self._soon = soon
        self._waiting: dict[str, asyncio.Event] = {}
        self._served: OrderedDict[str, asyncio.Task[None] | None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<SweepRequests {len(self._waiting)} waiting>"

    async def run(self) -> None:
        """Hear requests until cancelled."""
        unsubscribe = self._database.subscribe(self._heard)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            unsubscribe()
            for task in [task for task in self._served.values() if task is not None]:
                task.cancel()

    async def ask(self, request: SweepRequest) -> None:
        """Return once the owner of the cluster has swept; for ever, where it has none.

        Raises:
            CloudspanError: The database does not answer.
        """
        request_id = uuid.uuid4().hex
        body = {"id": request_id, "cluster": request.cluster, "collections": request.collections}
        message = _ASKED + json.dumps({**body, "released": request.released, "project": request.project})
        done = self._waiting[request_id] = asyncio.Event()
        waiting = asyncio.ensure_future(done.wait())
        try:
            while not done.is_set():
                await self._announce(message)
                await finished(self._clock, waiting, _REPEAT_S)
        finally:
            waiting.cancel()
            del self._waiting[request_id]

    async def ask_soon(self, cluster: str, collections: Sequence[str]) -> None:
        """Tell the owner of the cluster that something has changed; it may be lost.

        Raises:
            CloudspanError: The database does not answer.
        """
        await self._announce(_SOON + json.dumps({"cluster": cluster, "collections": sorted(collections)}))

    async def _announce(self, message: str) -> None:
        await self._database.transact(lambda conn: self._database.announce(conn, message))

    def _heard(self, message: str | None) -> None:
        if message is None:
            return  # what was missed is asked again
        if message.startswith(_ANSWERED):
            done = self._waiting.get(message.removeprefix(_ANSWERED))
            if done is not None:
                done.set()
        elif message.startswith(_SOON):
            body = json.loads(message.removeprefix(_SOON))
            self._soon(body["cluster"], body["collections"])
        elif message.startswith(_ASKED):
            self._take(json.loads(message.removeprefix(_ASKED)))

    def _take(self, body: dict[str, object]) -> None:
        request_id = str(body["id"])
        known = self._served.get(request_id)
        if known is not None and not known.done():
            return
        request = SweepRequest(
            str(body["cluster"]),
            tuple(str(each) for each in body["collections"]),  # type: ignore[attr-defined] # a list of ours
            released=bool(body["released"]),
            project=str(body.get("project", "")),  # a gateway of the version before says none
        )
        ended = None if request_id in self._served else self._serve(request)
        if ended is None and request_id not in self._served:
            return  # another gateway's
        self._served[request_id] = asyncio.create_task(self._answer(request_id, ended))
        while len(self._served) > _REMEMBERED:
            self._served.popitem(last=False)

    async def _answer(self, request_id: str, ended: Awaitable[None] | None) -> None:
        try:
            if ended is not None:
                await ended
            await self._announce(_ANSWERED + request_id)
        except CloudspanError as error:  # who asked asks again, and perhaps another gateway
            self._served.pop(request_id, None)
            log.debug("sweep for another gateway not done", reason=error.reason, message=error.message)
