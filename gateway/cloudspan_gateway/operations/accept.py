"""Where a mutation comes in: its intent is kept, and answered with its operation.

Dispatch hands every mutation to `Acceptor.mutate`.
"""

from __future__ import annotations

import re
import uuid
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from google.longrunning import operations_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan_common import contract, errors
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError, Code, InvalidRequest, Violation
from cloudspan_common.logs import get_logger
from cloudspan_common.names import parse_resource
from cloudspan_common.option_schema import unknown_options
from cloudspan_gateway.access.limits import operation_limits
from cloudspan_gateway.metadata import X_WAIT
from cloudspan_gateway.operations import audited
from cloudspan_gateway.operations.execution import STEP
from cloudspan_gateway.operations.model import Intent
from cloudspan_gateway.operations.waiting import before_deadline, kept_waiting, shown_to_caller, until_ended
from cloudspan_gateway.routing.forward import Question, read_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from google.protobuf.message import Message
    from google.protobuf.struct_pb2 import Struct

    from cloudspan_common.contract import Method
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.access.limits import OperationLimit
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.operations.model import Row
    from cloudspan_gateway.operations.stores.base import OperationStore
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.router import Router
    from cloudspan_gateway.routing.table import Table

log = get_logger(__name__)

AT_ONCE_S = 1.0
"""How long a cast waits for the cloud to say that its request can never be carried out, in seconds."""
_FOR_GOOD = frozenset({
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.UNIMPLEMENTED,
    Code.PERMISSION_DENIED,
    Code.ABORTED,
})  # fmt: skip
_WAIT = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m)?")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}


class Acceptor:
    """Accepts mutations into a store."""

    def __init__(
        self,
        store: OperationStore,
        router: Router,
        forwarder: Forwarder,
        table: Table,
        digest: Callable[[bytes], bytes],
    ) -> None:
        self._store = store
        self._router = router
        self._forwarder = forwarder
        self._table = table
        self._digest = digest

    def __repr__(self) -> str:
        return f"<Acceptor into {self._store!r}>"

    async def mutate(self, method: Method, ref: ClusterRef, call: Call) -> bytes:
        """Accept a mutation; return its operation, finished if it ended within `x-wait`.

        Raises:
            CloudspanError: It was not accepted, and nothing happens: no instance alive, an unknown option, a
                `request_id` used for another request, another operation in the way.
        """
        request, budget_s = call.target.message, _wait_budget(call)
        intent = self._intent(method, ref, call)
        if getattr(request, "validate_only", False):
            return await self._validated(method, request, intent, call)
        row = await self._accepted(method, request, intent, call)
        # Its call's x-request-id is bound to the log; from here on everything goes by the operation.
        log.info("operation accepted", operation=row.name, stored_request_id=row.intent.request_id)
        if budget_s:
            with kept_waiting(call):
                row = await until_ended(self._store, row, budget_s)
        return bytes((await shown_to_caller(self._store, row, call)).SerializeToString())

    def _intent(self, method: Method, ref: ClusterRef, call: Call) -> Intent:
        request = call.target.message
        target = contract.routed_value(method, request) if method.collection else ""
        if method.collection:
            parse_resource(target, method.collection, method.routed_field)
        # Some languages write maps in another order each time: a repeated request must still be the same one.
        body = request.SerializeToString(deterministic=True)
        return Intent(
            id=str(uuid.uuid4()),
            method=method.full_name,
            request=body,
            cluster=ref,
            request_id=_request_id(request),
            # Asked again, another cluster of the pool might be chosen: it is the same request all the same.
            digest=self._digest(call.target.asked or body),
            traceparent=call.traceparent,
            tenant=call.access.tenant,
            caller=call.principal.subject,
            roles=call.access.roles,
            project=call.access.project(ref),
            target=target,
            also=tuple(str(name) for field in method.also if (name := getattr(request, field))),
        )

    async def _accepted(self, method: Method, request: Message, intent: Intent, call: Call) -> Row:
        """Keep an intent that nothing speaks against; asked again it is answered from the store, whoever is alive."""
        if getattr(request, "request_id", "") and (known := await self._store.known(intent)) is not None:
            if call.event is not None:
                call.event = audited.accepted(call.event, intent, known)
            return known
        limits = operation_limits(call.access, intent.cluster)
        await self._check_limits(intent, limits)
        with _counted(method, intent.cluster, call):
            self._check(method, request, intent.cluster, call)
            await self._refuse_at_once(intent, call)
            with call.event_handed_over() as event:
                return await self._store.accept(intent, event, limits)

    async def _check_limits(self, intent: Intent, limits: Sequence[OperationLimit]) -> None:
        """Refuse what the store would refuse, before its cluster is asked anything."""
        if limits:
            under_way = await self._store.under_way(intent.tenant)
            for limit in limits:
                limit.check(under_way)

    async def _refuse_at_once(self, intent: Intent, call: Call) -> None:
        """Raise what no later attempt could change: a malformed field, a flavor or a resource that does not exist.

        The cloud is given `AT_ONCE_S` to answer; without one, or when what stands in the way may pass (a volume that
        is still attached, a cloud that is away), the intent is accepted, and its operation finds out.
        """
        within = Deadline.after(min(AT_ONCE_S, call.deadline.remaining()))
        try:
            await self._ask_for_check(intent, call, within)
        except CloudspanError as error:
            if error.code in _FOR_GOOD:
                raise
            log.debug("request not checked before it was accepted", reason=error.reason, error=error.message)

    def _check(self, method: Method, request: Message, ref: ClusterRef, call: Call) -> None:
        self._router.endpoints(ref, method.full_name, call.access)
        self._check_options(method, getattr(request, "options", None), ref)

    async def _validated(self, method: Method, request: Message, intent: Intent, call: Call) -> bytes:
        """Have the adapter check the request; nothing is kept and nothing is done."""
        self._check(method, request, intent.cluster, call)
        answer = await self._ask_for_check(intent, call, call.deadline)
        operation = operations_pb2.Operation(done=True)
        operation.response.CopyFrom(answer.response)
        return bytes(operation.SerializeToString())

    async def _ask_for_check(self, intent: Intent, call: Call, deadline: Deadline) -> step_pb2.StepResponse:
        step = step_pb2.StepRequest(
            operation_id=intent.id, attempt=1, method=intent.method, request=intent.request, validate_only=True
        )
        behalf = call.behalf(intent.cluster)
        question = Question(f"/{STEP}", step.SerializeToString(), deadline, call.outgoing(), behalf)
        endpoints = partial(self._router.endpoints, intent.cluster, intent.method, call.access)
        answered = await self._forwarder.ask(endpoints, question)
        answer = read_answer(step_pb2.StepResponse, answered, f"the adapter of {intent.cluster}")
        if answer.HasField("error"):
            raise errors.from_status(answer.error)
        return answer

    def _check_options(self, method: Method, options: Struct | None, ref: ClusterRef) -> None:
        """Refuse unknown options before anything is accepted; their types are the adapter's to check."""
        if options is None or not options.fields:
            return
        capabilities = self._table.snapshot.cluster(ref).cluster.capabilities
        schemas = [c.options_schema for c in capabilities if c.method == method.full_name and c.options_schema.fields]
        unknown = unknown_options(schemas[0], options) if schemas else sorted(options.fields)
        if unknown:
            known = ", ".join(sorted(_properties(schemas[0]))) if schemas else "none"
            text = f"{ref} has no option {', '.join(unknown)} for {method.full_name}; it has: {known}"
            where = {"platform": ref.platform, "cluster": ref.cluster}
            violations = [Violation(f"options.{name}", "is unknown") for name in unknown]
            raise InvalidRequest(text, reason="UNKNOWN_OPTION", metadata=where, violations=violations)


def _counted(method: Method, ref: ClusterRef, call: Call) -> AbstractContextManager[None]:
    """Return what counts the create that a block accepts, where creates are limited."""
    if call.usage is None or method.permission != contract.Permission.PERMISSION_CREATE:
        return nullcontext()
    return call.usage.counters.create(call.access.limits(ref))


def _wait_budget(call: Call) -> float:
    """Return how long the caller is ready to wait for the result, in seconds; 0 without `x-wait`."""
    text = call.header(X_WAIT)
    if not text:
        return 0.0
    match = _WAIT.fullmatch(text.strip())
    if match is None:
        wrong = f"metadata {X_WAIT} is {text[:40]!r}; expected a time such as 30s or 500ms"
        raise InvalidRequest(wrong, reason="MALFORMED_WAIT", violations=[Violation(X_WAIT, wrong)])
    return min(float(match[1]) * _UNIT_S[match[2]], before_deadline(call))


def _properties(schema: Struct) -> list[str]:
    return list(schema.fields["properties"].struct_value.fields)


def _request_id(request: Message) -> str:
    """Return the caller's `request_id`, else a new one."""
    text = str(getattr(request, "request_id", ""))
    if not text:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        wrong = f"request_id is {text[:60]!r}; expected a UUID such as {uuid.uuid4()}, a new one for each new request"
        raise InvalidRequest(wrong, violations=[Violation("request_id", wrong)]) from error
