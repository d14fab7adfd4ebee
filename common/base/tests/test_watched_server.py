"""One request whose path is not UTF-8 ends grpc.aio's accepting loop; the port is served again at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from tests.harness import http2

from cloudspan_common import grpcs, watched_server
from cloudspan_common.errors import CloudspanError
from cloudspan_common.watched_server import WatchedServer

# What the library itself says of the loop that ended.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

NOT_UTF8 = http2.request(b"/a\xff/b")


class Echo(grpc.GenericRpcHandler):
    """Answers every method; `/slow` once it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked = asyncio.Event()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        is_slow = handler_call_details.method == "/test/slow"

        async def answer(body: bytes, _context: Any) -> bytes:
            if is_slow:
                self.asked.set()
                await self.may_answer.wait()
            return body

        return grpc.unary_unary_rpc_method_handler(answer)


class Served:
    def __init__(self) -> None:
        self.echo, self.restarts, self._changed = Echo(), 0, asyncio.Event()
        self.server = WatchedServer("127.0.0.1:0", on_restart=self._count)

    def _count(self) -> None:
        self.restarts += 1
        self._changed.set()

    async def restarted(self, times: int) -> None:
        async with asyncio.timeout(5):
            while self.restarts < times:
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    await made.server.start(lambda server: server.add_generic_rpc_handlers((made.echo,)))
    watching = asyncio.create_task(made.server.watch())
    yield made
    made.echo.may_answer.set()
    await made.server.stop(0.0)
    await watching


@asynccontextmanager
async def calling(served: Served) -> AsyncIterator[Any]:
    async with grpcs.new_channel(f"127.0.0.1:{served.server.port}") as channel:
        yield lambda method="fast", **options: channel.unary_unary(f"/test/{method}")(b"x", timeout=5, **options)


async def test_a_path_that_is_not_utf8_costs_other_connections_one_retry_at_most(served: Served) -> None:
    """The same port answers within a second."""
    async with calling(served) as call:
        assert await call() == b"x"
        await http2.send(served.server.port, NOT_UTF8)
        await served.restarted(1)
        assert await call(wait_for_ready=True) == b"x"


async def test_calls_under_way_end_well_at_the_server_whose_loop_has_ended(served: Served) -> None:
    async with calling(served) as call:
        slow = asyncio.ensure_future(call("slow"))
        await served.echo.asked.wait()
        await http2.send(served.server.port, NOT_UTF8)
        await served.restarted(1)
        served.echo.may_answer.set()
        assert await slow == b"x"


async def test_many_such_requests_are_survived_and_each_is_counted(served: Served) -> None:
    async with calling(served) as call:
        for number in range(1, 6):
            await http2.send(served.server.port, NOT_UTF8)
            await served.restarted(number)
            assert await call(wait_for_ready=True) == b"x"
    assert served.restarts == 5


async def test_a_port_that_can_not_be_had_again_ends_the_watch(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that can't serve must exit, so that its supervisor starts another."""
    monkeypatch.setattr(watched_server, "GIVE_UP_S", 0.05)

    def refused(*_: Any) -> int:
        raise CloudspanError("the address is in use")

    made = Served()
    await made.server.start(lambda server: server.add_generic_rpc_handlers((made.echo,)))
    monkeypatch.setattr(grpcs, "listen", refused)
    watching = asyncio.create_task(made.server.watch())
    await http2.send(made.server.port, NOT_UTF8)
    with pytest.raises(CloudspanError, match="can't be started again: the address is in use"):
        async with asyncio.timeout(5):
            await watching
    await made.server.stop(0.0)


async def test_a_stop_is_not_taken_for_an_end(served: Served) -> None:
    made = Served()
    await made.server.start(lambda server: server.add_generic_rpc_handlers((made.echo,)))
    watching = asyncio.create_task(made.server.watch())
    await asyncio.sleep(0.01)
    await made.server.stop(0.0)
    async with asyncio.timeout(5):
        await watching
    assert made.restarts == 0
