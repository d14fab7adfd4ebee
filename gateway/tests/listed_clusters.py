"""Clusters in memory that lists over many of them ask, and an inventory that stands in for those that are away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from cloudspan.v1 import cluster_pb2, common_pb2, server_pb2
from cloudspan_common import contract
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError, OutOfTime
from cloudspan_common.listing.page_token import MAX_ANSWER_BYTES
from cloudspan_common.names import parse_cluster
from cloudspan_gateway.call import Call, Target
from cloudspan_gateway.lists.fan_out import FanOut
from cloudspan_gateway.routing.snapshot import ClusterRoute, Endpoint, PlatformRoute, Snapshot

LIST = contract.methods()["cloudspan.v1.ServerService/ListServers"]
Status = common_pb2.ClusterStatus
Request, Response = server_pb2.ListServersRequest, server_pb2.ListServersResponse
ALL = "platforms/-/clusters/-"


@dataclass
class Clouds:
    """Stands for table and forwarder: clusters with so many servers each, and what they do instead of answering."""

    sizes: dict[str, int]
    bytes_each: int = 0
    instead: dict[str, Callable[[Request], Awaitable[Response]]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        platforms: dict[str, dict[str, ClusterRoute]] = {}
        for name in self.sizes:
            ref = parse_cluster(f"platforms/{name.split('/')[0]}/clusters/{name.split('/')[1]}")
            route = ClusterRoute(ref, cluster_pb2.Cluster(name=str(ref)), endpoints=(Endpoint("one", "127.0.0.1:1"),))
            platforms.setdefault(ref.platform, {})[ref.cluster] = route
        self.snapshot = Snapshot(
            MappingProxyType({tag: PlatformRoute(tag, clusters=MappingProxyType(c)) for tag, c in platforms.items()})
        )

    async def ask(self, candidates: Any, asked: Any) -> bytes:
        question = Request.FromString(asked.body)
        ref = parse_cluster(question.parent)
        name = f"{ref.platform}/{ref.cluster}"
        self.asked.append((name, question.page_size))
        candidates()
        try:
            async with asyncio.timeout(asked.deadline.remaining()):
                answer = await self.instead.get(name, self.answer)(question)
        except TimeoutError as error:
            raise OutOfTime(f"{ref} took too long") from error
        return answer.SerializeToString()

    async def answer(self, question: Request) -> Response:
        ref = parse_cluster(question.parent)
        size, start = self.sizes[f"{ref.platform}/{ref.cluster}"], int(question.page_token or 0)
        fits = max(1, MAX_ANSWER_BYTES // (self.bytes_each + 100))  # the kit cuts its answers as well
        end = min(size, start + question.page_size, start + fits)
        answer = Response(next_page_token=str(end) if end < size else "")
        for number in range(start, end):
            answer.servers.add(name=ref.resource("servers", f"{number}"), display_name="x" * self.bytes_each)
        status = answer.cluster_status.add(cluster=str(ref), state=Status.STATE_OK, source=Status.SOURCE_LIVE)
        status.observe_time.GetCurrentTime()
        return answer

    async def page(self, deadline_s: float = 5.0, **request: Any) -> Response:
        call = Call(LIST.path, b"", (), str, Deadline.after(deadline_s), None)
        call.target = Target(LIST.full_name, message=Request(**{"parent": ALL} | request))
        return Response.FromString(await self.fan_out().list_across(LIST, call))

    def fan_out(self) -> FanOut:
        return FanOut(self, self)

    async def traverse(self, **request: Any) -> list[Response]:
        pages = [await self.page(**request)]
        while pages[-1].next_page_token:
            assert len(pages) < 500
            pages.append(await self.page(page_token=pages[-1].next_page_token, **request))
        return pages


class CloudsAndInventory(Clouds):
    """Clusters whose last known servers come from an inventory while they are away."""

    def fan_out(self) -> FanOut:
        return FanOut(self, self, stored=self)

    def concerns(self, method: Any, call: Any) -> bool:
        return True

    async def part(self, method: Any, call: Any, where: Any, away: CloudspanError | None = None) -> Response | None:
        if away is None and where.cursor is None:
            return None
        answer = await self.answer(Request(parent=str(where.ref), page_size=where.size, page_token=where.cursor or ""))
        answer.cluster_status[0].source = Status.SOURCE_INVENTORY
        return answer


def names(pages: list[Response]) -> list[str]:
    return [server.name for page in pages for server in page.servers]


def states(page: Response) -> dict[str, str]:
    return {
        s.cluster.rpartition("/")[2]: Status.State.Name(s.state).removeprefix("STATE_") for s in page.cluster_status
    }


def failing(error: CloudspanError) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        raise error

    return answer
