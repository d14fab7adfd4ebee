"""Serves the contract for an adapter's clusters: what lies between gRPC and a driver's function.

One generic handler for every method of `cloudspan.v1`: tags and REQUIRED, the cluster, its function, page or mask,
errors as statuses, the stamp that tells the cloud's errors from a dead instance's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import grpc
import structlog
from google.protobuf import timestamp_pb2

from cloudspan.v1 import common_pb2
from cloudspan_common import contract, deadlines, errors
from cloudspan_common.errors import CloudspanError, Defect, InvalidRequest, LoginRefused, Unsupported, Violation
from cloudspan_common.etags import fill_etag
from cloudspan_common.listing import mask as masks
from cloudspan_common.logs import log_call
from cloudspan_common.names import ClusterRef, malformed, parse_cluster, parse_resource
from cloudspan_common.redaction import masked_text
from cloudspan_common.requests import parsed
from cloudspan_common.telemetry import new_request_id
from cloudspan_kit.cluster import Call
from cloudspan_kit.engine.step import drive, failed, take_step
from cloudspan_kit.error_context import located, reading
from cloudspan_kit.lists import fill as paging
from cloudspan_kit.serve import preconditions, projects
from cloudspan_kit.serve.context import caller
from cloudspan_kit.serve.error_words import clear_progress, in_project
from cloudspan_kit.serve.options import read_options
from cloudspan_kit.values import listed as named

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from google.protobuf.message import Message

    from cloudspan.adapter.v1 import step_pb2
    from cloudspan_kit.kind import Page, Query
    from cloudspan_kit.serve.capabilities import Abilities
    from cloudspan_kit.serve.clusters import Clusters, Served
    from cloudspan_kit.serve.metrics import CallMetrics

log = structlog.get_logger(__name__)

SERVED_BY = "x-served-by"
"""Trailer on every answer: an UNAVAILABLE with it is the cloud's, one without it the instance's."""

_CLUSTER_SERVICE = "cloudspan.v1.ClusterService"  # answered from Describe's side


Context = grpc.aio.ServicerContext[Any, Any]
R = TypeVar("R")


class ContractServicer:
    """Answers every method of the contract that is routed to a cluster."""

    def __init__(self, clusters: Clusters, instance_id: str, metrics: CallMetrics) -> None:
        self._clusters = clusters
        self._metrics = metrics
        self._stamp = ((SERVED_BY, instance_id),)

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """Return what the server registers: one handler a service."""
        services: dict[str, dict[str, Any]] = {}
        for method in contract.methods().values():
            if method.routed_field and method.service != _CLUSTER_SERVICE:
                services.setdefault(method.service, {})[method.name] = self._handler(method)
        return [grpc.method_handlers_generic_handler(name, handlers) for name, handlers in services.items()]

    def _handler(self, method: contract.Method) -> Any:
        async def serve(body: bytes, context: Context) -> Message | bytes:
            return await self.answered(method.full_name, context, lambda: self._serve(method, body, context))

        # Takes bytes: gRPC's own answer to what can't be parsed would be UNKNOWN, without the stamp.
        return grpc.unary_unary_rpc_method_handler(
            serve, None, lambda answer: answer if isinstance(answer, bytes) else _encoded(answer)
        )

    async def answered(self, method: str, context: Context, answer: Callable[[], Awaitable[R]]) -> R:
        """Return what `answer` returns; end the call with the status of whatever it raises. Counts it either way."""
        began, code = time.perf_counter(), grpc.StatusCode.CANCELLED
        said = {"request_id": masked_text(tags_of(context).get("x-request-id", "")), "tenant": caller().tenant}
        structlog.contextvars.bind_contextvars(**{key: value for key, value in said.items() if value})
        try:
            result = await answer()
            code = grpc.StatusCode.OK
        except CloudspanError as error:
            code = error.code
            await self._abort(context, error)
        except Exception as error:  # the last door: a fault of ours must not look like the cloud's
            log.exception("call failed by a defect of the adapter")
            defect = Defect(f"the adapter failed with {type(error).__name__}; its log has more under this request id")
            code = defect.code
            await self._abort(context, defect)
        finally:
            took_s = time.perf_counter() - began
            self._metrics.ended(method, code, took_s)
            log_call(__name__, "call ended", _fields(method, code, took_s))
        context.set_trailing_metadata(self._stamp)
        return result

    async def _abort(self, context: Context, error: CloudspanError) -> NoReturn:
        tags = tags_of(context)
        message, trailers = errors.ending(error, tags.get("x-request-id", ""))
        await context.abort(error.code, message, (*self._stamp, *trailers))

    async def _serve(self, method: contract.Method, body: bytes, context: Context) -> Message | bytes:
        started = time.perf_counter()
        request = parsed(method.request, method.full_name, body)
        tags = tags_of(context)
        _fill_parent(method, request, tags)
        contract.check_required(request)
        contract.check_routed(method, request)
        call, served = self._call(method, request, context, tags)
        abilities = served.abilities
        with served, located(call.cluster):
            function = abilities.function(method)
            check_served(abilities, method, request)
            async with (
                call.deadline.scope(f"{method.full_name} on {call.cluster}"),
                in_project(call, request, abilities),
            ):
                if method.kind is contract.Kind.LIST:
                    sortable = abilities.capability(method).sortable
                    listed = await paging.list_page(method, request, call, _observing(function), sortable)
                    return _listed(method, listed, call, started)
                if method.kind is contract.Kind.MUTATION:
                    guarded = preconditions.guarded(function, method, abilities, is_first=True, must_exist=True)
                    done = await drive(guarded, request, method.full_name, call, settle_s=served.cluster.settle_s)
                    if request.validate_only and not done.HasField("error"):  # type: ignore[attr-defined]
                        done.response.Pack(await preconditions.preview(call, method, request, abilities))
                    return done
                with reading(contract.routed_value(method, request)):
                    resource = await projects.read(call, method, request, abilities)
            fill_etag(resource)
            _observed(resource)
            masks.apply(getattr(request, "read_mask", None), resource)
        return resource

    def _call(
        self, method: contract.Method, request: Message, context: Context, tags: Mapping[str, str]
    ) -> tuple[Call, Served]:
        value = contract.routed_value(method, request)
        ref, native_id = parse_cluster(value, method.routed_field), ""
        if method.collection:
            ref, native_id = parse_resource(value, method.collection, method.routed_field)
        elif str(ref) != value:
            raise malformed(value, method.routed_field, "platforms/{platform}/clusters/{cluster}")
        _check_tags(ref, tags, method.routed_field)
        structlog.contextvars.bind_contextvars(cluster=ref.cluster)
        served = self._clusters.get_usable(ref, method.routed_field)
        call = Call(
            cluster=ref,
            deadline=deadlines.of(context),
            request_id=tags.get("x-request-id") or new_request_id(),
            id=native_id,
            full=getattr(request, "view", 0) == common_pb2.RESOURCE_VIEW_FULL,
            fields=_wanted(request),
            cloud=served.abilities.cloud,
            caller=caller(),
        )
        return call, served

    async def take_step(self, step: step_pb2.StepRequest, context: Context) -> step_pb2.StepResponse:
        """Take one step of an operation.

        Raises:
            Unsupported: The method is not a mutation of this contract, or its cluster does not have it.
        """
        method = _mutation(step.method)
        request = parsed(method.request, method.full_name, step.request)
        contract.check_required(request)
        contract.check_routed(method, request)
        try:
            call, served = self._call(method, request, context, tags_of(context))
        except LoginRefused as refused:
            if not _is_first(step):
                raise  # what was begun waits for the right settings
            return failed(errors.to_status(refused))
        structlog.contextvars.bind_contextvars(operation=step.operation_id, method=step.method)
        with served:
            answer = await self._step(method, request, step, call, served)
        abilities = served.abilities
        if answer.transit.collection not in abilities.transits:
            answer.ClearField("transit")  # it can't be observed together with others: its operation looks for itself
        return answer

    async def _step(
        self, method: contract.Method, request: Message, step: step_pb2.StepRequest, call: Call, served: Served
    ) -> step_pb2.StepResponse:
        abilities = served.abilities
        with located(call.cluster):
            function = abilities.function(method)
            check_served(abilities, method, request)
        guarded = preconditions.guarded(
            function,
            method,
            abilities,
            is_first=_is_first(step),
            must_exist=step.validate_only,
            is_begun=bool(step.cursor),
        )
        async with call.deadline.scope(f"a step of {step.method} on {call.cluster}"):
            answer = await take_step(guarded, request, step, call, settle_s=served.cluster.settle_s)
            await clear_progress(answer, call, request, abilities)
            if step.validate_only and not answer.HasField("error"):
                answer.response.Pack(await preconditions.preview(call, method, request, abilities))
        return answer


def _fields(method: str, code: grpc.StatusCode, took_s: float) -> dict[str, str | int | float]:
    """Return what is logged of every call: with what was bound meanwhile, such as its operation."""
    known = structlog.contextvars.get_contextvars()
    return {"method": method, **known, "code": code.name, "ms": round(took_s * 1000, 1)}


def _mutation(name: str) -> contract.Method:
    method = contract.methods().get(name)
    if method is None or method.kind is not contract.Kind.MUTATION:
        raise Unsupported(f"{name!r} is not a mutation that this adapter knows; update the adapter")
    return method


def _is_first(step: step_pb2.StepRequest) -> bool:
    return step.validate_only or (step.attempt <= 1 and not step.cursor)


def check_served(abilities: Abilities, method: contract.Method, request: Message) -> None:
    """Raise for an option or a field that the method does not have on this cluster."""
    if method.kind is contract.Kind.MUTATION:  # what is said of a read's fields is said of its answer
        abilities.check_fields(method, request)
    if "options" in request.DESCRIPTOR.fields_by_name:
        read_options(request.options, abilities.capability(method).options)  # type: ignore[attr-defined]


def tags_of(context: Context) -> dict[str, str]:
    """Return the metadata of a call that gateways send."""
    metadata = context.invocation_metadata() or ()
    return {key: value for key, value in metadata if key.startswith("x-") and isinstance(value, str)}


def _fill_parent(method: contract.Method, request: Message, tags: Mapping[str, str]) -> None:
    """An empty `parent` is filled from the tags, before REQUIRED is checked."""
    platform, cluster = tags.get("x-platform"), tags.get("x-cluster")
    if method.routed_field == "parent" and platform and cluster and not contract.routed_value(method, request):
        request.parent = str(ClusterRef(platform, cluster))  # type: ignore[attr-defined] # routed_field says so


def _wanted(request: Any) -> frozenset[str]:
    """The fields of a read mask; all where there is none, or a filter that may look at others."""
    if "read_mask" not in request.DESCRIPTOR.fields_by_name or getattr(request, "filter", None):
        return frozenset()
    paths = request.read_mask.paths
    return frozenset() if "*" in paths else frozenset(path.partition(".")[0] for path in paths)


def _check_tags(ref: ClusterRef, tags: Mapping[str, str], field: str) -> None:
    for tag, key in ((ref.platform, "x-platform"), (ref.cluster, "x-cluster")):
        if key in tags and tags[key] != tag:
            text = f"{field} says {tag!r} and metadata {key} says {tags[key]!r}; leave one out or make them agree"
            raise InvalidRequest(text, reason="TAG_DISAGREES", violations=[Violation(field, text)])


def _observed(*resources: Any) -> None:
    """Every resource of the contract says when it was read; nothing else does."""
    if resources and "observe_time" in resources[0].DESCRIPTOR.fields_by_name:
        seconds, nanos = divmod(time.time_ns(), 10**9)
        now = timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)
        for resource in resources:
            resource.observe_time.CopyFrom(now)


def _observing(function: Callable[[Call, Query], Awaitable[Page[Any]]]) -> Callable[..., Awaitable[Page[Any]]]:
    async def listed(call: Call, query: Query) -> Page[Any]:
        page = await function(call, query)
        if call.wants("observe_time"):
            _observed(*page.items)
        return page

    return listed


def _encoded(message: Message) -> bytes:
    return message.SerializeToString()


def _listed(method: contract.Method, listed: paging.Listed[Any], call: Call, started: float) -> bytes:
    """Return the list's response, encoded, with the part that this cluster took in it."""
    response = method.response(next_page_token=listed.next_page_token)
    status = common_pb2.ClusterStatus(
        cluster=str(call.cluster),
        state=common_pb2.ClusterStatus.STATE_OK,
        source=common_pb2.ClusterStatus.SOURCE_LIVE,
    )
    if listed.partial or listed.unread:
        status.state = common_pb2.ClusterStatus.STATE_PARTIAL
        status.reason = "LISTING_NOT_PROVEN" if listed.partial else "ROWS_UNREADABLE"
        unread = f"the cloud sent what can't be read: {named(listed.unread)}" if listed.unread else ""
        status.message = "; ".join(filter(None, (listed.partial, unread)))
    status.observe_time.GetCurrentTime()
    status.took.FromMicroseconds(round((time.perf_counter() - started) * 1e6))
    response.cluster_status.append(status)  # type: ignore[attr-defined] # what makes it a LIST
    return listed.answer(response)
