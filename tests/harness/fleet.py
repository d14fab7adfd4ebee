"""Gateways and adapters as processes over one fake cloud, started and ended one by one.

    async with Fleet(nursery, site, directory) as fleet:
        await fleet.gateway("a")
        await fleet.adapter("one")

`crashing_fleet` lets them crash and go on; the tests of freezes, take-overs and replacements use a fleet as it is.
"""

from __future__ import annotations

import asyncio
import base64
import os
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from google.longrunning import operations_pb2
from tests.harness import mutations
from tests.harness.processes import free_port

from cloudspan.client import AsyncClient, CloudspanError, OutOfTime, Unreachable, result_of
from cloudspan.v1 import operation_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from google.protobuf.message import Message
    from tests.harness.clouds import Site
    from tests.harness.nursery import Child, Nursery

LIMIT_S = 45.0
AGAIN_S = 0.02
_ROUND_S = 5.0

Prepare = tuple[str, ...]
"""What is called in a process before it becomes a program: a function of `crash_points`, and its arguments."""


@dataclass
class Run:
    """What became of one mutation."""

    operation: operations_pb2.Operation
    request: Message
    name: str = ""
    result: Any = None
    error: CloudspanError | None = None
    metadata: operation_pb2.OperationMetadata = field(default_factory=operation_pb2.OperationMetadata)


class Fleet:
    """The processes of one test."""

    def __init__(
        self, nursery: Nursery, site: Site, directory: Path, *options: str, database: str = "", inventory: bool = False
    ) -> None:
        self.nursery, self.site, self.directory = nursery, site, directory
        self.children: dict[str, Child] = {}
        self.clients: dict[str, AsyncClient] = {}
        self._database = database or f"sqlite:{directory / 'operations.db'}"
        self._options = options if inventory else ("--no-inventory", *options)
        self._addresses: dict[str, str] = {}
        self._stack = AsyncExitStack()
        (directory / "registry.yaml").write_text("adapters: []\n")
        (directory / "operations.key").write_bytes(base64.b64encode(os.urandom(32)) + b"\n")

    def __repr__(self) -> str:
        return f"<Fleet {', '.join(map(repr, self.children.values()))}>"

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.site.cloud)
        self._stack.push_async_callback(self._end)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _end(self) -> None:
        for client in self.clients.values():
            await client.close()
        for child in self.children.values():
            child.kill()

    @property
    def client(self) -> AsyncClient:
        """A client of the first gateway."""
        return next(iter(self.clients.values()))

    # ------------------------------------------------------------------ processes

    async def gateway(self, name: str = "gateway", *, prepare: Prepare = ()) -> AsyncClient:
        """Start a gateway, again where it was if it was there before; return a client of it."""
        options = ("--listen", self.address(name), "--metrics", "", "--wait-for-adapters", "0", "--drain", "0")
        key = ("--operations-key", str(self.directory / "operations.key"))
        words = (*options, "--database", self._database, *key, *self._registry, *self._options)
        self.children[name] = child = self._start(name, "cloudspan_gateway", words, prepare)
        await child.event("gateway started")
        if name not in self.clients:
            self.clients[name] = AsyncClient(self.address(name), timeout_s=_ROUND_S, retries=False)
        return self.clients[name]

    async def adapter(self, name: str = "adapter", *, prepare: Prepare = (), site: Site | None = None) -> Child:
        """Start an adapter, again where it was if it was there before; of another site than the fleet's if given."""
        served = site or self.site
        options = ("--listen", self.address(name), "--instance", name, "--drain", "5")
        words = (*options, *self._registry, *served.adapter(self.directory))
        self.children[name] = child = self._start(name, served.module, words, prepare)
        await child.event("adapter serves")
        return child

    def address(self, name: str) -> str:
        """Return where a process listens: the same each time."""
        return self._addresses.setdefault(name, f"127.0.0.1:{free_port()}")

    @property
    def _registry(self) -> tuple[str, str]:
        return ("--registry", f"static:{self.directory / 'registry.yaml'}")

    def _start(self, name: str, module: str, words: tuple[str, ...], prepare: Prepare) -> Child:
        before = ("tests.faults.crash_points", *prepare) if prepare else ()
        return self.nursery.start(self.directory, name, module, *words, prepare=before)

    # ------------------------------------------------------------------ what a caller does

    async def ask(self, request: Any, client: AsyncClient | None = None, limit_s: float = LIMIT_S) -> Run:
        """Ask until the operation has ended, whatever dies meanwhile."""
        request.request_id = request.request_id or str(uuid.uuid4())
        async with asyncio.timeout(limit_s):
            return _seen(await _patiently(client or self.client, request), request)

    async def listed(self, kind: str, client: AsyncClient | None = None) -> list[str]:
        """Return the names of what the gateway lists, as soon as it can."""
        asked, problem = client or self.client, "nothing was asked"
        try:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    try:
                        return await mutations.listed(asked, self.site, kind)
                    except CloudspanError as error:
                        problem = repr(error)
                    await asyncio.sleep(AGAIN_S)
        except TimeoutError as error:
            raise AssertionError(f"{self.site.ref} can't be used: {problem}") from error


async def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Wait until something is true that nobody tells us of."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - other processes have no event
            await asyncio.sleep(AGAIN_S / 4)


async def together(*works: Coroutine[Any, Any, Any]) -> list[Any]:
    """Return what all of them return."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
    return [task.result() for task in tasks]


async def _patiently(client: AsyncClient, request: Message) -> operations_pb2.Operation:
    while True:
        try:
            operation = (await mutations.call(client, request)).proto
            wait = operations_pb2.WaitOperationRequest(name=operation.name)
            wait.timeout.FromNanoseconds(int(_ROUND_S / 2 * 1e9))
            while not operation.done:
                operation = await client.operations.WaitOperation(wait)
            return operation
        except (Unreachable, OutOfTime):
            await asyncio.sleep(AGAIN_S)


def _seen(operation: operations_pb2.Operation, request: Message) -> Run:
    run = Run(operation, request)
    operation.metadata.Unpack(run.metadata)
    try:
        run.result = result_of(operation)
    except CloudspanError as error:
        run.error = error
    return run
