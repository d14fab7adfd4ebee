"""What of a call is recorded: changes, refusals, logins, and who asked for them.

Stands between context and authenticate, so that it sees who is refused. A service or a store that keeps what a call did
keeps `call.event` in the same transaction and sets it to None; what is left is written here, before the answer leaves.
Reads are not recorded. Failures can come by the thousand: some of each source are recorded, the rest counted.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from cloudspan_common import contract, errors
from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.contract import Kind
from cloudspan_common.errors import CloudspanError, Code, NotPermitted, Unauthenticated
from cloudspan_common.logs import get_logger
from cloudspan_common.redaction import redacted
from cloudspan_gateway.audit.event import Event, Type
from cloudspan_gateway.audit.flood import Flood
from cloudspan_gateway.metadata import VIA, address_of
from cloudspan_gateway.operations.model import PREFIX
from cloudspan_gateway.routing.forward import AdapterError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from cloudspan_gateway.audit.metrics import AuditMetrics
    from cloudspan_gateway.audit.store import AuditStore
    from cloudspan_gateway.call import Answer, Call, Target
    from cloudspan_gateway.pipeline.stages import Proceed

_FAILURES_WAIT_S = 1.0  # a database that is away must not hold up those who are refused
_GRPC = "/grpc."
_LONGRUNNING = "/google.longrunning.Operations/"
_LOGINS = frozenset({"SetPassword", "SetUpOneTimeCodes", "ConfirmOneTimeCodes", "RemoveOneTimeCodes"})
_POLICY = frozenset({"UserService", "TenantService", "PolicyService"})
# What a request of the gateway's own services calls what it makes, or who logs in.
_NAMED_BY = {
    "user_id": "users", "tenant_id": "tenants", "pool_id": "pools", "role_id": "roles", "binding_id": "bindings",
    "user": "users", "service": "services",
}  # fmt: skip

_WAY = re.compile(r"[a-z]{1,20}/[A-Za-z0-9._-]{1,100}")

log = get_logger(__name__)


class Audit:
    """The stage that records, and the one behind authorize that says what is known by then."""

    def __init__(self, store: AuditStore, metrics: AuditMetrics, clock: Clock | None = None) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock or SystemClock()
        self._types = {
            **{method.path: _type_of(method) for method in contract.methods().values()},
            **{f"{_LONGRUNNING}{read}Operation{s}": None for read, s in (("Get", ""), ("List", "s"), ("Wait", ""))},
        }
        self._flood = Flood()
        self._left_behind: set[asyncio.Task[None]] = set()

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        # What is not in the contract is a service that only some adapter knows: it may change anything. Those of gRPC,
        # which no adapter may bring, change nothing.
        kind = self._types[call.path] if call.path in self._types else _type_beyond(call.path)
        if kind is not None:
            call.event = Event(kind, 0.0, method=call.path[1:])
        try:
            answer = await proceed(call)
        except asyncio.CancelledError:
            self._caller_left(call)
            raise
        except Exception as error:
            await self._failed(call, error)
            raise
        if call.event is not None and not _only_validates(call):
            await self._write(self._described(call, call.event))
            call.event = None
        return answer

    def describe(self, call: Call, proceed: Proceed) -> Awaitable[Answer]:
        """Proceed with an event that says who asks for what: whoever keeps what the call does keeps it as it is."""
        if call.event is not None:
            call.event = self._described(call, call.event)
        return proceed(call)

    def _described(self, call: Call, event: Event) -> Event:
        """Return the event with what is known of its call; what a service has filled in stays."""
        target, name = call.target, _name_of(call.target)
        is_operation = name.startswith(PREFIX)
        return dataclasses.replace(
            event,
            create_time=self._clock.now(),
            subject=call.principal.subject,
            tenant=call.access.tenant,
            peer=address_of(call.peer()),
            credential=call.principal.credential,
            cluster=event.cluster or (str(target.ref) if target.ref and target.ref.cluster else ""),
            resource=event.resource or ("" if is_operation else name),
            operation=event.operation or (name if is_operation else ""),
            message=event.message or (_details(target) if event.type == Type.TYPE_POLICY else ""),
            request_id=call.request_id,
            via=_via(call),
        )

    async def _write(self, event: Event) -> None:
        try:
            await self._store.keep([event])
        except CloudspanError as error:
            self._metrics.failures.labels("database").inc()
            log.warning("audit event can't be written", method=event.method, outcome=event.outcome, reason=error.reason)
            raise

    async def _failed(self, call: Call, error: Exception) -> None:
        event = _of_failure(call, error)
        if event is None:
            return
        call.event = None
        event = self._described(call, event)
        source, now = event.subject or event.peer, self._clock.monotonic()
        left_out = self._flood.admits(event.type, source, now, named=bool(event.subject))
        if left_out is None:
            self._metrics.left_out.inc()
            return
        # In front: what follows the name of a secret in a message is masked to the end of its line.
        more = f"{left_out} failures before it were not recorded; " if left_out else ""
        task = self._write_late(dataclasses.replace(event, message=more + event.message))
        await asyncio.wait({task}, timeout=_FAILURES_WAIT_S)

    def _caller_left(self, call: Call) -> None:
        """Record a change whose caller did not wait for its end; nobody knows whether it was made."""
        if call.event is None or not call.target.method or _only_validates(call):
            return
        event = dataclasses.replace(call.event, outcome=Code.CANCELLED.name, message="the caller left before the end")
        self._write_late(self._described(call, event))

    def _write_late(self, event: Event) -> asyncio.Task[None]:
        """Write an event of what was not done, whether or not somebody waits for it."""

        async def write() -> None:
            with suppress(CloudspanError):  # counted and logged; the caller is to hear why its own call failed
                await self._write(event)

        task = asyncio.create_task(write())
        self._left_behind.add(task)
        task.add_done_callback(self._left_behind.discard)
        return task

    async def close(self) -> None:
        """Write what nobody waits for any more."""
        if self._left_behind:
            await asyncio.wait(self._left_behind)


def _via(call: Call) -> str:
    """Return the way that a call came in, if its caller says one that can be shown."""
    said = next((value for key, value in call.metadata if key == VIA), "")
    return said if isinstance(said, str) and _WAY.fullmatch(said) else ""


def _type_beyond(path: str) -> Type | None:
    return None if path.startswith(_GRPC) else Type.TYPE_MUTATION


def _type_of(method: contract.Method) -> Type | None:
    """Return what a call of a method is recorded as; None for reads."""
    if method.kind is Kind.MUTATION:
        return Type.TYPE_MUTATION
    if method.kind is not Kind.CALL:
        return None
    service = method.service.rpartition(".")[2]
    if service == "SessionService" or method.name in _LOGINS:
        return Type.TYPE_LOGIN
    return Type.TYPE_POLICY if service in _POLICY else Type.TYPE_MUTATION


def _of_failure(call: Call, error: Exception) -> Event | None:
    """Return the event of a call that failed; None where it is not to be recorded."""
    # What a cloud refuses its adapter is Forbidden: these two come from the gateway alone.
    refused, event = isinstance(error, Unauthenticated | NotPermitted), call.event
    if refused and (event is None or event.type != Type.TYPE_LOGIN):
        event = Event(Type.TYPE_REFUSAL, 0.0, method=call.path[1:])
    elif not call.target.method or _only_validates(call):
        return None  # it was about nothing, or would have changed nothing
    if event is None:
        return None
    if isinstance(error, AdapterError):
        error = error.as_domain()
    if isinstance(error, CloudspanError):
        return dataclasses.replace(event, outcome=error.code.name, reason=error.reason, message=error.message)
    return dataclasses.replace(
        event, outcome=Code.INTERNAL.name, reason=errors.Defect.default_reason, message=type(error).__name__
    )


def _only_validates(call: Call) -> bool:
    return bool(getattr(call.target.message, "validate_only", False))


def _name_of(target: Target) -> str:
    """Return the resource or the operation that a request names, or makes under a name of the caller's choice."""
    message = target.message
    for field, value in message.ListFields():
        if field.message_type is not None and not field.is_repeated and isinstance(getattr(value, "name", None), str):
            if value.name:
                return str(value.name)
        elif field.name in _NAMED_BY and isinstance(value, str):
            parent = getattr(message, "parent", "")
            return f"{parent}/{_NAMED_BY[field.name]}/{value}" if parent else f"{_NAMED_BY[field.name]}/{value}"
        elif field.name == "name":
            return str(value)
    return ""


def _details(target: Target) -> str:
    """Return what a request says, without its secrets."""
    return msgspec.json.encode(redacted(target.message), enc_hook=repr).decode()
