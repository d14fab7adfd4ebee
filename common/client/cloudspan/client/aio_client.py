"""`AsyncClient`, from which `make proto` writes `Client`: one channel, and an attribute for each service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

import grpc
from google.longrunning import operations_pb2

from cloudspan.client import aio_calls
from cloudspan.client.connection import (
    DEFAULT_ADDRESS,
    DEFAULT_TIMEOUT_S,
    Credentials,
    call_defaults,
    channel_options,
)
from cloudspan.client.generated import aio_services

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cloudspan.client.answers import ItemT, ResultT


class AsyncClient(aio_services.Services):
    """Calls a gateway, or one adapter: `await client.servers.GetServer(request)`.

    Args:
        address: host:port of a gateway, or of one adapter.
        platform: Tag sent with each call, for requests that leave their parent empty.
        cluster: Tag of a cluster, the same way.
        pool: Name that the gateway's configuration gives to a cluster, in place of platform and cluster.
        tls: Certificates; none for plain text.
        timeout_s: Deadline of each call that brings none. Streams have none.
        retries: Whether reads, and changes with a `request_id`, are sent again when nobody answered.
    """

    def __init__(  # noqa: PLR0913 - each has a default and a name
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        platform: str = "",
        cluster: str = "",
        pool: str = "",
        tls: Credentials | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: bool = True,
    ) -> None:
        self.address = address
        options = channel_options(retries=retries)
        self._channel: grpc.aio.Channel = (
            grpc.aio.secure_channel(address, tls.channel_credentials(), options)
            if tls
            else grpc.aio.insecure_channel(address, options)
        )
        defaults = call_defaults(platform, cluster, pool, timeout_s, retries=retries)
        self.channel = cast("grpc.aio.Channel", aio_calls.Channel(self._channel, defaults))
        """For stubs of services beyond the contract: `SeedServiceStub(client.channel)`."""
        self._calls = aio_calls.Calls(self._channel, defaults)
        super().__init__(self._calls)

    def __repr__(self) -> str:
        return f"<AsyncClient of {self.address}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        await self._channel.close()

    def each(self, method: aio_calls.Paged[Any, Any, ItemT], request: Message) -> aio_calls.AsyncListing[ItemT]:
        """Return the resources of all pages of a list, from the page that `request` asks for.

        Afterwards the listing says what is missing: `unreachable`, `cluster_status`.
        """
        return aio_calls.AsyncListing(method, request)

    def operation(self, name: str, _result: type[ResultT]) -> aio_calls.AsyncOperation[ResultT]:
        """Return the operation of that name, whose result is known to the caller; nothing is asked yet."""
        return aio_calls.AsyncOperation(self._calls, operations_pb2.Operation(name=name))
