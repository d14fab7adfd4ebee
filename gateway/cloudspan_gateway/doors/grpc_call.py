"""A `Call` made of one gRPC request: what the doors' services hand to the pipeline."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from cloudspan_common import deadlines
from cloudspan_gateway.call import Call
from cloudspan_gateway.identity.certificates import read_certificate

if TYPE_CHECKING:
    import grpc

    from cloudspan_gateway.call import Certificate, Payload, Writer
    from cloudspan_gateway.metadata import Metadata

    Context = grpc.aio.ServicerContext[Any, Any]

_CERTIFICATE = "x509_pem_cert"


def call_of(path: str, payload: Payload, context: Context, writer: Writer) -> Call:
    """Return the call that a request is."""
    metadata = context.invocation_metadata() or ()
    certificate = partial(certificate_of, context)
    return Call(path, payload, metadata, context.peer, deadlines.of(context), writer, certificate)


def certificate_of(context: Context) -> Certificate | None:
    """Return the certificate that the caller has shown, if its connection has one."""
    shown = context.auth_context().get(_CERTIFICATE)
    return read_certificate(next(iter(shown))) if shown else None


class StreamWriter:
    """Writes to one gRPC call."""

    __slots__ = ("_context", "write")

    def __init__(self, context: Context) -> None:
        self._context = context
        self.write = context.write

    async def begin(self, metadata: Metadata) -> None:
        await self._context.send_initial_metadata(metadata)


class NoWriter:
    """Of methods with one answer, which is returned and never written."""

    async def begin(self, _metadata: Metadata) -> NoReturn:
        raise TypeError("a method with one answer began a stream")

    async def write(self, _message: bytes) -> NoReturn:
        raise TypeError("a method with one answer wrote to a stream")


UNARY = NoWriter()
