"""Calls of the gateway by the blocking client: sent again while nothing answers, waited for while there is time."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from google.longrunning import operations_pb2
from google.protobuf import json_format

from cloudspan.client import Cancelled, Client, CloudspanError, Recovery, Unreachable, waiting
from cloudspan.client.answers import WAIT_MARGIN_S, wait_request
from cloudspan.client.connection import checked_token
from cloudspan_bus.contract import rpcs
from cloudspan_bus.delivery import Stopping
from cloudspan_bus.errors import RemoteError
from cloudspan_common.logs import get_logger

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from google.protobuf.message import Message

    from cloudspan_bus.config import BusConfig
    from cloudspan_bus.metrics import BusMetrics
    from cloudspan_bus.request import Request

log = get_logger(__name__)

_ROUND_S = 5.0
"""How long one wait at the gateway lasts: a process that is to stop does not wait for longer."""
_TRY_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0  # 0.1, 0.2, ... 5 s
_LONGRUNNING = "google.longrunning.Operations"
_NO_TOKEN = "NO_OWN_TOKEN"  # noqa: S105 - a reason


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a message's answer may take, in seconds of the monotonic clock."""

    answer_by: float
    """When the caller must have its answer; for a cast when it is given up."""
    waits: bool
    """Whether the end of an operation is waited for."""

    @property
    def left_s(self) -> float:
        return max(self.answer_by - time.monotonic(), 0.0)


def own_client(config: BusConfig) -> Client:
    """Return a client that calls as the bus itself.

    Raises:
        ValueError: The token of `--token-file` can't be sent, or only in plain text to another machine.
        OSError: A file can't be read.
    """
    token = functools.partial(_token_of, config.token_file) if config.token_file else ""
    return Client(
        config.gateway,
        token=token,
        tenant=config.tenant,
        tls=config.client_tls,
        insecure=config.gateway_insecure,
        retries=False,
    )


class Gateway:
    """The gateway, called as whoever a message proves to come from."""

    def __init__(self, config: BusConfig, stop: threading.Event, metrics: BusMetrics) -> None:
        """Connect lazily; `stop` ends waits and pauses.

        Raises:
            ValueError: The token of `--token-file` can't be sent, or only in plain text to another machine.
            OSError: A file can't be read.
        """
        self._stop, self._metrics = stop, metrics
        # What the bus itself may do must not be added to what a caller says: so two clients.
        self._own = own_client(config)
        self._callers = Client(config.gateway, tls=config.client_tls, retries=False)

    def __repr__(self) -> str:
        return f"<Gateway at {self._own.address}>"

    def close(self) -> None:
        """Close the connections."""
        self._own.close()
        self._callers.close()

    def answer(self, request: Request, patience: Patience) -> dict[str, Any]:
        """Return the answer as proto JSON; of a change its operation, ended or as it was when the time was over.

        Raises:
            RemoteError: The gateway refused it, or did not answer in time.
            Stopping: This process ends.
        """
        rpc = request.rpc
        if rpc.is_mutation and patience.waits:
            waits = waiting(min(patience.left_s, _ROUND_S))
            answer = self._sent(replace(request, metadata=request.metadata + waits), patience)
            answer = self._ended(answer, request, patience)
        else:
            answer = self._sent(request, patience)
        return as_json(answer)

    def _ended(self, operation: Any, request: Request, patience: Patience) -> Any:
        rpc = rpcs()[_LONGRUNNING]["WaitOperation"]
        while not operation.done and patience.left_s > 0 and not self._stop.is_set():
            seconds = min(patience.left_s, _ROUND_S)
            try:
                ask = replace(request, rpc=rpc, message=wait_request(operation.name, seconds))
                operation = self._sent(ask, patience)
            except RemoteError as error:
                # It was accepted: what the caller can go on with is its name, not that it can't be asked about.
                log.warning("an operation can't be waited for", operation=operation.name, reason=error.reason)
                return operation
        return operation

    def _sent(self, request: Request, patience: Patience) -> Message:
        """Send it, again and again while nobody answers, or the gateway says to come again, and there is time."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return self._once(request, patience)
            except CloudspanError as error:
                wait_s = min(max(pause_s, error.retry_after_s or 0.0), _LONGEST_PAUSE_S)
                if not _may_come_again(error, request, waits=patience.waits) or patience.left_s < wait_s:
                    raise remote(error) from None
            if self._stop.wait(wait_s):
                raise Stopping
            self._metrics.gateway_retries.inc()
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _once(self, request: Request, patience: Patience) -> Message:
        rpc = request.rpc
        client = self._callers if request.has_credential else self._own
        call = client.channel.unary_unary(rpc.path, _serialized, rpc.response.FromString)
        timeout_s = min(patience.left_s, _TRY_S) + WAIT_MARGIN_S * (rpc.is_mutation or not patience.waits)
        return call(request.message, metadata=request.metadata, timeout=timeout_s)


def _may_come_again(error: CloudspanError, request: Request, *, waits: bool) -> bool:
    """Whether to send it again: a caller that waits hears what the gateway itself says, and decides."""
    if not request.may_be_repeated:
        return False
    if waits:
        return isinstance(error, Unreachable | Cancelled) and error.reason in ("", _NO_TOKEN)
    return isinstance(error, Unreachable | Cancelled) or error.recovery in (Recovery.RETRY, Recovery.RETRY_AFTER)


def _token_of(file: Path) -> str:
    try:
        return checked_token(file.read_text("utf-8").strip())
    except (OSError, ValueError) as error:
        # It is being renewed, or an operator must see to it: until then nothing is given up.
        log.warning("the token can't be read", file=str(file), reason=type(error).__name__)
        raise Unreachable(f"the bus can't read its own token: {type(error).__name__}", reason=_NO_TOKEN) from None


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def as_json(message: Message) -> dict[str, Any]:
    """Return a message as proto JSON with the names of the .proto; of an operation `done` is always there."""
    found: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    if isinstance(message, operations_pb2.Operation):
        found.setdefault("done", False)
    return found


def remote(error: CloudspanError) -> RemoteError:
    """Return what a caller on the bus gets for an error of the gateway."""
    details = [{"@type": f"type.googleapis.com/{d.DESCRIPTOR.full_name}", **as_json(d)} for d in error.details]
    return RemoteError(
        error.message,
        code=error.code.name,
        reason=error.reason,
        recovery=error.recovery.value,
        retry_after=error.retry_after_s,
        details=details,
        request_id=error.request_id,
    )
