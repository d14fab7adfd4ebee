"""What a message asks for: the method, its request, and what of its context is passed on."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from cloudspan.client.connection import checked_token, tags
from cloudspan_bus.contract import VERSION, Rpc, rpcs
from cloudspan_bus.delivery import TOKEN
from cloudspan_bus.errors import RemoteError
from cloudspan_bus.oslo import NoSuchMethod, UnsupportedVersion, version_is_compatible
from cloudspan_common.names import is_tag
from cloudspan_common.telemetry import is_request_id, new_request_id, traceparent

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cloudspan.client import Metadata
    from cloudspan_bus.delivery import Delivery

TENANT, POOL, REQUEST_ID, TRACEPARENT = "cloudspan_tenant", "cloudspan_pool", "request_id", "traceparent"
_IDS = uuid.UUID("7d1f6a3c-1d0e-4a52-9a1b-5f0c1f6f2c11")
"""Namespace of the request ids that are made of messages' ids."""
_DEEPEST = 40  # the gateway takes 32 messages within each other


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the gateway, ready to be sent, again and again with one effect if it is a change."""

    rpc: Rpc
    message: Message
    metadata: Metadata
    has_credential: bool
    """Whether the caller proves who it is; else the bus's own identity counts."""

    @property
    def may_be_repeated(self) -> bool:
        """Whether sending it twice has one effect."""
        return self.rpc.is_read or bool(getattr(self.message, "request_id", ""))


def rpc_of(delivery: Delivery) -> Rpc:
    """Return the method that a message names.

    Raises:
        UnsupportedVersion: No such namespace, or none of that version: oslo.messaging's own.
        NoSuchMethod: The namespace has no such method: oslo.messaging's own.
        RemoteError: It can't be called over a bus.
    """
    message = delivery.message
    method, version = message["method"], message.get("version") or "1.0"
    methods = rpcs().get(message.get("namespace") or "")
    if methods is None or not _is_compatible(version):
        raise UnsupportedVersion(version, method=method)
    rpc = methods.get(method)
    if rpc is None:
        raise NoSuchMethod(method)
    if rpc.is_stream:
        text = (
            f"{method} answers with a stream, and a message has one answer: call it over gRPC, or read with Get or List"
        )
        raise refused(text, code="UNIMPLEMENTED", reason="STREAM_REFUSED")
    return rpc


def _is_compatible(version: str) -> bool:
    try:
        return bool(version_is_compatible(VERSION, version))
    except (ValueError, IndexError):
        return False  # "one", "1"


def request_of(delivery: Delivery, bus: str) -> Request:
    """Return the call that a message asks for; `bus` is the name of this process, as the audit is to show it.

    Raises:
        UnsupportedVersion: As `rpc_of`, which also raises NoSuchMethod.
        RemoteError: Its arguments are not those of the method, or its context can't be passed on.
    """
    rpc, context = rpc_of(delivery), delivery.ctxt
    request_id = context.get(REQUEST_ID)
    if not isinstance(request_id, str) or not is_request_id(request_id):
        request_id = new_request_id()
    trace, token = context.get(TRACEPARENT), _token(context)
    metadata = [
        ("x-request-id", request_id),
        ("x-cloudspan-via", f"bus/{bus}"),
        ("traceparent", traceparent(trace if isinstance(trace, str) else None)),
        *_tags(context, has_credential=bool(token)),
    ]
    if token:
        metadata.append(("authorization", f"Bearer {token}"))
    message = _parsed(rpc, delivery)
    return Request(rpc, message, tuple(metadata), bool(token))


def _token(context: dict[str, Any]) -> str:
    token = context.get(TOKEN)
    if token is None:
        return ""
    try:
        return checked_token(token)
    except (TypeError, ValueError):
        # Never in its place the bus's own: who shows a credential wants to be who it says.
        text = f"the context's {TOKEN} is not a token: 1 to 8192 printable characters without blanks"
        raise refused(text, code="UNAUTHENTICATED", reason="MALFORMED_CREDENTIAL") from None


def _tags(context: dict[str, Any], *, has_credential: bool) -> Metadata:
    tenant, pool = context.get(TENANT), context.get(POOL)
    for name, tag in ((TENANT, tenant), (POOL, pool)):
        if tag is not None and not (isinstance(tag, str) and is_tag(tag)):
            raise refused(f"the context's {name} is not a name", reason="MALFORMED_NAME")
    if tenant and not has_credential:
        text = f"the context names a tenant and proves nothing: send {TOKEN} too, or leave {TENANT} out"
        raise refused(text, code="UNAUTHENTICATED", reason="NO_CREDENTIAL")
    return tags(tenant=tenant or "", pool=pool or "")


def _parsed(rpc: Rpc, delivery: Delivery) -> Message:
    message: Any = rpc.request()
    try:
        json_format.ParseDict(delivery.message.get("args", {}), message, max_recursion_depth=_DEEPEST)
    except (json_format.Error, ValueError, TypeError, AttributeError, RecursionError) as error:
        text = f"the arguments of {delivery.message['method']} are not {rpc.request.DESCRIPTOR.full_name}: {error}"
        raise refused(text[:1000], reason="MALFORMED_REQUEST") from None
    if rpc.takes_request_id and not message.request_id and not rpc.is_read:
        if not delivery.identity:
            text = "the message has no id by which it is known when it is delivered again: set request_id or _unique_id"
            raise refused(text, reason="NO_MESSAGE_ID")
        message.request_id = str(uuid.uuid5(_IDS, delivery.identity))
    return message


def refused(text: str, *, code: str = "INVALID_ARGUMENT", reason: str) -> RemoteError:
    """Return the error of a message that the bus itself refuses."""
    return RemoteError(text, code=code, reason=reason, recovery="fix_request")
