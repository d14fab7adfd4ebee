"""A gateway over a database file, an adapter and its fake cloud, each to be killed and started again under one roof.

    async with CrashHouse(site, directory) as house:
        house.plan("adapter", "native before 2")
        run = await house.run(kind, name, number)

A run is what a patient caller sees: it asks, asks again with the same `request_id` when nobody answers, and waits for
the end. Meanwhile whoever dies is started again, as a supervisor of services does.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tests.e2e.running import free_port
from tests.faults import crash_kinds
from tests.faults.crash_points import SENT_S

from cloudspan.v1 import operation_pb2
from cloudspan_common.client import Client, result_of
from cloudspan_common.errors import CloudspanError, OutOfTime, Unreachable

if TYPE_CHECKING:
    from pathlib import Path

    from google.longrunning import operations_pb2
    from google.protobuf.message import Message
    from tests.faults.crash_kinds import Kind
    from tests.faults.fake_sites import Site
    from tests.faults.nursery import Child, Nursery

WHO = ("gateway", "adapter")
LIMIT_S = 45.0
_AGAIN_S = 0.02
_ROUND_S = 5.0


@dataclass
class Run:
    """What became of one mutation."""

    operation: operations_pb2.Operation
    request: Message
    name: str = ""
    result: Any = None
    error: CloudspanError | None = None
    metadata: operation_pb2.OperationMetadata = field(default_factory=operation_pb2.OperationMetadata)


class CrashHouse:
    """The processes of one test, and the way to crash them."""

    def __init__(self, nursery: Nursery, site: Site, directory: Path, *options: str) -> None:
        self.nursery, self.site, self.directory = nursery, site, directory
        self.address = f"127.0.0.1:{free_port()}"
        self.children: dict[str, Child] = {}
        self.deaths = 0
        self._adapter_address = f"127.0.0.1:{free_port()}"
        self._options = options
        self._keepers: list[asyncio.Future[None]] = []
        self._stack = AsyncExitStack()
        (directory / "registry.yaml").write_text("adapters: []\n")
        for who in WHO:
            (directory / who).mkdir()

    def __repr__(self) -> str:
        return f"<CrashHouse at {self.address}: {', '.join(map(repr, self.children.values()))}>"

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.site.cloud)
        self._stack.push_async_callback(self._end)
        await asyncio.gather(*map(self.start, WHO))
        self._keepers = [asyncio.ensure_future(self._keep_alive(who)) for who in WHO]
        self.client = await self._stack.enter_async_context(Client(self.address, timeout_s=_ROUND_S))
        await self.listed("key pair")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _end(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        ended = await asyncio.gather(*self._keepers, return_exceptions=True)
        for child in self.children.values():
            child.close()
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended

    async def start(self, who: str) -> None:
        """Start one of the two, and wait until it serves."""
        registry = ("--registry", f"static:{self.directory / 'registry.yaml'}")
        prepare = ("tests.faults.crash_points", f"in_{who}", str(self.directory / who))
        if who == "gateway":
            database = f"sqlite:{self.directory / 'operations.db'}"
            options = ("--listen", self.address, "--metrics", "", "--settle", "0", "--drain", "0")
            words = ("cloudspan_gateway", *options, "--database", database, *self._options)
        else:
            options = ("--listen", self._adapter_address, "--instance", "one", "--drain-s", "0")
            words = (self.site.module, *options, *self.site.adapter(self.directory))
        self.children[who] = child = self.nursery.start(self.directory, who, *words, *registry, prepare=prepare)
        await child.event("gateway started" if who == "gateway" else "adapter serves")

    async def listed(self, kind: str) -> list[str]:
        """Return the names of what the gateway lists, as soon as it can."""
        problem: object = "nothing was asked"
        try:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    try:
                        return await crash_kinds.listed(self.client, self.site, kind)
                    except CloudspanError as error:
                        problem = error
                    await asyncio.sleep(_AGAIN_S)
        except TimeoutError as error:
            raise AssertionError(f"{self.site.ref} can't be used: {problem!r}") from error

    # ------------------------------------------------------------------ crashes

    def plan(self, who: str = "", point: str = "") -> None:
        """Say where the next crash is to be: a process, and its point, side and number; nowhere when empty.

        The trails begin anew.
        """
        for one in WHO:
            (self.directory / one / "plan").write_text(f"{point if one == who else 'nowhere'} {uuid.uuid4().hex}")
            (self.directory / one / "trail").write_bytes(b"")

    def trail(self, who: str) -> list[str]:
        """Return the points that were passed since the plan was made."""
        return (self.directory / who / "trail").read_text().splitlines()

    async def _keep_alive(self, who: str) -> None:
        while True:
            await self.children[who].ended()
            self.deaths += 1
            self.plan()  # dead once is enough
            await self.start(who)

    # ------------------------------------------------------------------ what a caller does

    async def run(self, kind: Kind, name: str, number: int, point: tuple[str, str] = ("", "")) -> Run:
        """Ask for a mutation, crash at the point of it, and wait for its end."""
        there = [(await self.ask(make(self.site, f"{name}-{i}", number))).result for i, make in enumerate(kind.before)]
        request = kind.request(self.site, name, number, *(made.name for made in there))
        self.plan(*point)
        deaths = self.deaths
        run = await self.ask(request)
        run.name = name
        if point[0]:  # what was sent last may still be about to kill its sender
            await asyncio.sleep(SENT_S if self.deaths == deaths else 0)
            self.plan()
        return run

    async def ask(self, request: Any) -> Run:
        """Ask until the operation has ended, whatever dies meanwhile."""
        request.request_id = request.request_id or str(uuid.uuid4())
        async with asyncio.timeout(LIMIT_S):
            return _seen(await self._patiently(request), request)

    async def _patiently(self, request: Message) -> operations_pb2.Operation:
        while True:
            try:
                operation = await crash_kinds.call(self.client, request)
                while not operation.done:
                    operation = await self.client._wait(operation.name, _ROUND_S / 2)
                return operation
            except (Unreachable, OutOfTime):
                await asyncio.sleep(_AGAIN_S)


def _seen(operation: operations_pb2.Operation, request: Message) -> Run:
    run = Run(operation, request)
    operation.metadata.Unpack(run.metadata)
    try:
        run.result = result_of(operation)
    except CloudspanError as error:
        run.error = error
    return run
