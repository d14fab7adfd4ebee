"""The way to one adapter instance: its channel, and how many of our calls are on it.

The table makes a `Link` per instance and closes it when the instance is gone; forwarding and the table's probes
call through it. Messages are bytes in both directions.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2

from cloudspan.adapter.v1 import adapter_pb2
from cloudspan_gateway.routing.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

    from cloudspan_common import grpcs
    from cloudspan_common.registry import Instance

    Unary = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    Stream = grpc.aio.StreamStreamMultiCallable[bytes, bytes]
    HealthWatch = grpc.aio.UnaryStreamCall[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]

# An instance restarted at the same address must not inherit the back-off of its predecessor's connection.
_OPTIONS: grpcs.Options = (("grpc.use_local_subchannel_pool", 1),)
_DESCRIBE = "/cloudspan.adapter.v1.AdapterService/Describe"
_WATCH = "/grpc.health.v1.Health/Watch"


class Link:
    """One instance's channel with its call objects, made once per method."""

    def __init__(self, instance: Instance, trust: Trust | None = None) -> None:
        self.instance_id = instance.instance_id
        self.address = instance.address
        self.trust = trust or Trust()
        self.in_flight = 0
        self._instance = instance
        self._idle: asyncio.Future[None] | None = None
        self._open()

    def _open(self) -> None:
        self._channel = self.trust.channel(self._instance, _OPTIONS)
        self._unary: dict[str, Unary] = {}
        self._stream: dict[str, Stream] = {}
        self._describe = self._channel.unary_unary(
            _DESCRIBE,
            request_serializer=adapter_pb2.DescribeRequest.SerializeToString,
            response_deserializer=adapter_pb2.DescribeResponse.FromString,
        )
        self._watch = self._channel.unary_stream(
            _WATCH,
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )

    def __repr__(self) -> str:
        return f"<Link {self.instance_id} at {self.address}: {self.in_flight} in flight>"

    def unary(self, path: str) -> Unary:
        """Return what calls a method with one request and one answer."""
        try:
            return self._unary[path]
        except KeyError:
            return self._unary.setdefault(path, self._channel.unary_unary(path))

    def stream(self, path: str) -> Stream:
        """Return what calls a method of any shape as two streams."""
        try:
            return self._stream[path]
        except KeyError:
            return self._stream.setdefault(path, self._channel.stream_stream(path))

    async def describe(self, timeout_s: float) -> adapter_pb2.DescribeResponse:
        """Ask the instance who it is; gRPC's error says why that failed."""
        return await self._describe(adapter_pb2.DescribeRequest(), timeout=timeout_s)

    def watch_health(self) -> HealthWatch:
        """Follow the instance's own health; the stream's end says that the connection is lost."""
        return self._watch(health_pb2.HealthCheckRequest())

    def began(self) -> None:
        """Count a call that goes out."""
        self.in_flight += 1

    def ended(self) -> None:
        """Count a call that has ended."""
        self.in_flight -= 1
        if self._idle is not None and not self.in_flight and not self._idle.done():
            self._idle.set_result(None)

    def idle(self) -> asyncio.Future[None]:
        """Return what is done once no call is on the way any more."""
        self._idle = asyncio.get_running_loop().create_future()
        if not self.in_flight:
            self._idle.set_result(None)
        return self._idle

    async def renew(self, drain_s: float) -> None:
        """Call through a new channel, made with the certificates as they are now; calls on the old one may end."""
        old = self._channel
        self._open()
        await old.close(drain_s)

    async def close(self) -> None:
        """Close the channel; calls still on the way are cancelled."""
        await self._channel.close()


def pick(links: Sequence[Link], choose: Callable[[Sequence[Link], int], list[Link]] = random.sample) -> Link:
    """Return the less busy of two links chosen at random: near to the best choice, without a herd."""
    if len(links) == 1:
        return links[0]
    one, other = links if len(links) == 2 else choose(links, 2)
    if one.in_flight == other.in_flight:
        return one if random.random() < 0.5 else other  # noqa: S311 - spreads load, keeps no secret
    return one if one.in_flight < other.in_flight else other
