"""The Cloudspan client for Python.

    from cloudspan.client import Client
    from cloudspan.v1.server_pb2 import ListServersRequest

    with Client("127.0.0.1:7070") as client:
        for server in client.each(client.servers.ListServers, ListServersRequest(parent="platforms/-/clusters/-")):
            print(server.name)

`AsyncClient` is the same for asyncio. Methods and messages have the names of the contract.
"""

from cloudspan.client.aio_calls import AsyncEvents, AsyncListing, AsyncOperation, AsyncWatch
from cloudspan.client.aio_client import AsyncClient
from cloudspan.client.answers import result_of
from cloudspan.client.connection import DEFAULT_ADDRESS, DEFAULT_TIMEOUT_S, Metadata, Tls, tags, waiting
from cloudspan.client.errors import (
    AlreadyExists,
    Busy,
    Cancelled,
    CloudspanError,
    Forbidden,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    OutOfTime,
    PlatformFault,
    PreconditionFailed,
    QuotaExceeded,
    Recovery,
    Resync,
    Unauthenticated,
    Unreachable,
    Unsupported,
    Violation,
)
from cloudspan.client.generated.sync_calls import Events, Listing, Operation, Watch
from cloudspan.client.generated.sync_client import Client

__all__ = [
    "DEFAULT_ADDRESS",
    "DEFAULT_TIMEOUT_S",
    "AlreadyExists",
    "AsyncClient",
    "AsyncEvents",
    "AsyncListing",
    "AsyncOperation",
    "AsyncWatch",
    "Busy",
    "Cancelled",
    "Client",
    "CloudspanError",
    "Events",
    "Forbidden",
    "InvalidRequest",
    "Listing",
    "Metadata",
    "NotFound",
    "Operation",
    "OutOfTime",
    "OutcomeUnknown",
    "PlatformFault",
    "PreconditionFailed",
    "QuotaExceeded",
    "Recovery",
    "Resync",
    "Tls",
    "Unauthenticated",
    "Unreachable",
    "Unsupported",
    "Violation",
    "Watch",
    "result_of",
    "tags",
    "waiting",
]
