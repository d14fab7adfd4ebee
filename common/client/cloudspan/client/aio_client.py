"""`AsyncClient`, from which `make proto` writes `Client`: one channel, and an attribute for each service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

import grpc
from google.longrunning import operations_pb2

from cloudspan.client import aio_calls
from cloudspan.client.aio_credentials import CallMetadata, Token
from cloudspan.client.connection import (
    DEFAULT_ADDRESS,
    DEFAULT_TIMEOUT_S,
    CallDefaults,
    Credentials,
    channel_options,
    refuse_plain_text,
    tags,
)
from cloudspan.client.generated import aio_services

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cloudspan.client.answers import ItemT, ResultT
    from cloudspan.v1 import event_pb2, inventory_pb2


class AsyncClient(aio_services.Services):
    """Calls a gateway, or one adapter: `await client.servers.GetServer(request)`.

    Args:
        address: host:port of a gateway, or of one adapter.
        platform: Tag sent with each call, for requests that leave their parent empty.
        cluster: Tag of a cluster, the same way.
        pool: One of the tenant's pools, in place of platform and cluster.
        tenant: The tenant that calls act in, for callers who have roles in several.
        token: Of a session or a JWT, sent as `authorization: Bearer`. A function is called for one at the first
            call, and once more when a call is UNAUTHENTICATED, which is then sent again.
        tls: Certificates; none for plain text.
        insecure: Send the token in plain text to another machine, too.
        timeout_s: Deadline of each call that brings none. Streams have none.
        retries: Whether reads, and changes with a `request_id`, are sent again when nobody answered.

    Raises:
        ValueError: A token that can't be sent, or only in plain text to another machine.
        OSError: A file of `tls` can't be read.
    """

    def __init__(  # noqa: PLR0913 - each has a default and a name
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        platform: str = "",
        cluster: str = "",
        pool: str = "",
        tenant: str = "",
        token: Token = "",
        tls: Credentials | None = None,
        insecure: bool = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: bool = True,
    ) -> None:
        self.address = address
        if token and tls is None and not insecure:
            refuse_plain_text(address, "the token")
        options = channel_options(retries=retries)
        self._channel: grpc.aio.Channel = (
            grpc.aio.secure_channel(address, tls.channel_credentials(), options)
            if tls
            else grpc.aio.insecure_channel(address, options)
        )
        own = tags(platform=platform, cluster=cluster, pool=pool, tenant=tenant)
        defaults = CallDefaults(own, timeout_s, retries)
        metadata = CallMetadata(defaults, token)
        self.channel = cast("grpc.aio.Channel", aio_calls.Channel(self._channel, defaults, metadata))
        """For stubs of services beyond the contract: `SeedServiceStub(client.channel)`."""
        self._calls = aio_calls.Calls(self._channel, defaults, metadata)
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

    def watch(self, request: inventory_pb2.WatchRequest) -> aio_calls.AsyncWatch:
        """Return the resources that a request asks for, then their changes, until the loop over it is left.

        It goes on by itself where it was cut off: `resources` is what there is. When changes since then are no longer
        kept it reads all anew, and yields what that makes a difference to.

        Raises:
            Resync: When looped over: changes were missed, and the watch began with `changes_only` or `resume_token`.
            CloudspanError: When looped over: it is refused.
        """
        return aio_calls.AsyncWatch(self._calls, request)

    def follow_events(self, request: event_pb2.WatchEventsRequest) -> aio_calls.AsyncEvents:
        """Return events as they happen, until the loop over them is left; it goes on by itself where it was cut off.

        With a `consumer` in the request, events are acknowledged once the next one is asked for behind all of those
        that came together: what is under way when the program ends comes again.

        Raises:
            Resync: When looped over: EVENTS_LOST.
            CloudspanError: When looped over: it is refused.
        """
        return aio_calls.AsyncEvents(self._calls, request)

    def operation(self, name: str, _result: type[ResultT]) -> aio_calls.AsyncOperation[ResultT]:
        """Return the operation of that name, whose result is known to the caller; nothing is asked yet."""
        return aio_calls.AsyncOperation(self._calls, operations_pb2.Operation(name=name))
