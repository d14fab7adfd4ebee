"""The channels to adapter instances, looked up by endpoint, and how many of our calls are on each.

The table opens a `Link` per instance and closes it when the instance is gone; forwarding and the table's probes
call through it. Messages are bytes in both directions.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from cloudspan.adapter.v1 import adapter_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway.access.behalf import GATEWAY
from cloudspan_gateway.routing.snapshot import Endpoint
from cloudspan_gateway.routing.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

    from cloudspan_common import grpcs
    from cloudspan_common.registry import Instance
    from cloudspan_gateway.access.behalf import Behalf
    from cloudspan_gateway.metadata import Metadata
    from cloudspan_gateway.routing.context import ContextSigner

    Unary = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    Stream = grpc.aio.StreamStreamMultiCallable[bytes, bytes]
    HealthWatch = grpc.aio.UnaryStreamCall[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]

# An instance restarted at the same address must not inherit the back-off of its predecessor's connection.
_OPTIONS: grpcs.Options = (("grpc.use_local_subchannel_pool", 1),)
_MAX_PATHS = 256
_DESCRIBE = "/cloudspan.adapter.v1.AdapterService/Describe"
_WATCH = "/grpc.health.v1.Health/Watch"


class Link:
    """One instance's channel with its call objects, made once per method."""

    def __init__(self, instance: Instance, trust: Trust | None = None, signer: ContextSigner | None = None) -> None:
        self.trust = trust or Trust()
        self.signs = signer is not None
        self.context_key = b""
        """The key in its description."""
        self._signer = signer
        self.endpoint = Endpoint(instance.instance_id, instance.address, self.trust.expected(instance.platform))
        self.in_flight = 0
        self._instance = instance
        self._idle: asyncio.Future[None] | None = None
        self._open()

    def _open(self) -> None:
        self._channel = self.trust.channel(self._instance, _OPTIONS)
        self._unary: dict[str, Unary] = {}
        self._stream: dict[str, Stream] = {}
        self._describe: Unary = self._channel.unary_unary(
            _DESCRIBE,
        )
        self._watch = self._channel.unary_stream(
            _WATCH,
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )

    def __repr__(self) -> str:
        return f"<Link {self.endpoint.instance_id} at {self.endpoint.address}: {self.in_flight} in flight>"

    def signed(self, metadata: Metadata, behalf: Behalf, path: str) -> Metadata:
        """Return the metadata of a call with the context that says on whose behalf it is, where the gateway has one."""
        if self._signer is None:
            return metadata
        return self._signer.signed(metadata, behalf, path, (self._instance.platform, self.context_key))

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
            if len(self._stream) >= _MAX_PATHS:
                self._stream.clear()  # paths are callers' words: invented ones must not stay for ever
            return self._stream.setdefault(path, self._channel.stream_stream(path))

    async def describe(self, timeout_s: float) -> adapter_pb2.DescribeResponse:
        """Ask the instance who it is; gRPC's error says why that failed.

        Raises:
            InvalidRequest: What it answered is not a description.
        """
        # Read here and not by gRPC, which would log junk and hand out None.
        # DescribeRequest has no fields.
        answer = await self._describe(b"", timeout=timeout_s, metadata=self.signed((), GATEWAY, _DESCRIBE))
        try:
            return adapter_pb2.DescribeResponse.FromString(answer)
        except DecodeError as error:
            text = f"its description is not a DescribeResponse: {error}; is it an adapter?"
            raise InvalidRequest(text, reason="MALFORMED_DESCRIPTION") from error

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


class Channels:
    """The links that may be called now, by the endpoints of the snapshot."""

    def __init__(
        self,
        choose: Callable[[Sequence[Endpoint], int], list[Endpoint]] = random.sample,
        signer: ContextSigner | None = None,
    ) -> None:
        self._links: dict[Endpoint, Link] = {}
        self._choose = choose
        self._signer = signer

    def __repr__(self) -> str:
        return f"<Channels {', '.join(map(repr, self._links.values())) or 'none'}>"

    def open(self, instance: Instance, trust: Trust) -> Link:
        """Return a new link to an instance."""
        link = Link(instance, trust, self._signer)
        self._links[link.endpoint] = link
        return link

    def retire(self, link: Link) -> None:
        """Take a link out: it is called no more, and is closed by whoever opened it."""
        del self._links[link.endpoint]

    def in_flight(self, endpoint: Endpoint) -> int:
        """Return how many calls are on the way to an endpoint; 0 once it is retired."""
        link = self._links.get(endpoint)
        return link.in_flight if link else 0

    def pick(self, endpoints: Sequence[Endpoint]) -> Link:
        """Return the less busy of two chosen at random: near to the best choice, without a herd."""
        if len(endpoints) == 1:
            return self._links[endpoints[0]]
        pair = endpoints if len(endpoints) == 2 else self._choose(endpoints, 2)
        one, other = self._links[pair[0]], self._links[pair[1]]
        if one.in_flight == other.in_flight:
            return one if random.random() < 0.5 else other  # noqa: S311 - spreads load, keeps no secret
        return one if one.in_flight < other.in_flight else other
