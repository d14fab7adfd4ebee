"""What only the gateway asks an adapter: to take a step, to observe what operations wait for, to find marks.

The runner serves both; `callers` keeps everybody else out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from cloudspan.adapter.v1 import step_pb2, step_pb2_grpc
from cloudspan_common import contract, deadlines
from cloudspan_common.errors import (
    CloudspanError,
    InvalidRequest,
    NotFound,
    OutOfTime,
    PreconditionFailed,
    Unsupported,
    Violation,
)
from cloudspan_common.names import parse_cluster, parse_resource
from cloudspan_common.telemetry import collecting, counted
from cloudspan_kit.cluster import Call
from cloudspan_kit.engine.markers import installation_prefix
from cloudspan_kit.engine.run import MIN_WRITE_S
from cloudspan_kit.engine.step import time_to_drive
from cloudspan_kit.error_context import located
from cloudspan_kit.serve import projects
from cloudspan_kit.serve.context import caller
from cloudspan_kit.serve.servicer import tags_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.kind import Marked
    from cloudspan_kit.serve.capabilities import Abilities, MarkedKind
    from cloudspan_kit.serve.clusters import Clusters, Served
    from cloudspan_kit.serve.servicer import ContractServicer

    Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger(__name__)

STEPS, MARKS = "cloudspan.adapter.v1.StepService", "cloudspan.adapter.v1.MarkService"
_GONE = ("STATE_DELETING", "STATE_DELETED", "STATE_SOFT_DELETED")


class StepServicer(step_pb2_grpc.StepServiceServicer):
    """Takes one step of an operation, and observes what many wait for."""

    def __init__(self, clusters: Clusters, servicer: ContractServicer) -> None:
        self._clusters, self._servicer = clusters, servicer

    async def Step(  # noqa: N802 - the rpc's name
        self, request: step_pb2.StepRequest, context: Context
    ) -> step_pb2.StepResponse:
        return await self._servicer.answered(
            f"{STEPS}/Step", context, lambda: self._servicer.take_step(request, context)
        )

    async def Observe(  # noqa: N802 - the rpc's name
        self, request: step_pb2.ObserveRequest, context: Context
    ) -> step_pb2.ObserveResponse:
        return await self._servicer.answered(f"{STEPS}/Observe", context, lambda: self._observe(request, context))

    async def _observe(self, request: step_pb2.ObserveRequest, context: Context) -> step_pb2.ObserveResponse:
        call, served = called(self._clusters, parse_cluster(request.cluster, "cluster"), "cluster", context)
        abilities = served.abilities
        transits = abilities.transits.get(request.collection)
        if transits is None:
            known = ", ".join(abilities.transits) or "none"
            text = f"{call.cluster} can't tell {request.collection!r} in transit; it can: {known}. Step each operation"
            raise Unsupported(text, reason="TRANSIT_UNKNOWN")
        with served, located(call.cluster), collecting() as calls:
            async with call.deadline.scope(f"observing {request.collection} of {call.cluster}"):
                found = await transits(call, request.native_ids)
        in_transit = [native_id for native_id in request.native_ids if native_id in found]
        return step_pb2.ObserveResponse(in_transit=in_transit, calls=counted(calls))


class MarkServicer(step_pb2_grpc.MarkServiceServicer):
    """Finds by their marks what operations made, and removes one that carries the right mark."""

    def __init__(self, clusters: Clusters, servicer: ContractServicer) -> None:
        self._clusters, self._servicer = clusters, servicer

    async def ListMarked(  # noqa: N802 - the rpc's name
        self, request: step_pb2.ListMarkedRequest, context: Context
    ) -> step_pb2.ListMarkedResponse:
        return await self._servicer.answered(f"{MARKS}/ListMarked", context, lambda: self._list(request, context))

    async def RemoveMarked(  # noqa: N802 - the rpc's name
        self, request: step_pb2.RemoveMarkedRequest, context: Context
    ) -> step_pb2.RemoveMarkedResponse:
        return await self._servicer.answered(f"{MARKS}/RemoveMarked", context, lambda: self._remove(request, context))

    async def _list(self, request: step_pb2.ListMarkedRequest, context: Context) -> step_pb2.ListMarkedResponse:
        if not request.installation:
            text = "installation is empty; without one every installation's marks would match"
            raise InvalidRequest(text, violations=[Violation("installation", text)])
        call, served = called(self._clusters, parse_cluster(request.cluster, "cluster"), "cluster", context)
        prefix = installation_prefix(request.installation)
        with served:
            async with asyncio.TaskGroup() as group:
                looks = {
                    collection: group.create_task(_found(served.abilities, collection, call, prefix))
                    for collection in served.abilities.marked
                }
        response = step_pb2.ListMarkedResponse()
        for collection, look in looks.items():
            rows, why = look.result()
            response.marked.extend(_told(call.cluster, collection, row) for row in rows)
            if why:
                response.incomplete.append(f"{collection}: {why}")
        return response

    async def _remove(self, request: step_pb2.RemoveMarkedRequest, context: Context) -> step_pb2.RemoveMarkedResponse:
        if not request.marker:
            text = "marker is empty; nothing is removed but by its mark"
            raise InvalidRequest(text, violations=[Violation("marker", text)])
        ref = parse_cluster(request.name, "name")
        collection = (*request.name.split("/"), "", "")[4]
        _, native_id = parse_resource(request.name, collection)
        call, served = called(self._clusters, ref, "name", context, native_id)
        abilities = served.abilities
        kind = abilities.marked.get(collection)
        if kind is None:
            known = ", ".join(abilities.marked) or "none"
            raise Unsupported(f"{ref} finds no {collection!r} by marks; it finds {known}", reason="KIND_UNMARKED")
        with served, located(ref):
            async with call.deadline.scope(f"removing {request.name}"):
                if await projects.may_remove(call, request.name, collection, abilities):
                    await _remove_if_marked(kind, call, request, abilities)
        return step_pb2.RemoveMarkedResponse()


def called(
    clusters: Clusters, ref: ClusterRef, field: str, context: Context, native_id: str = ""
) -> tuple[Call, Served]:
    """Return the call that a gateway makes of its own accord, and the cluster that it goes to."""
    served = clusters.get_usable(ref, field)
    call = Call(
        cluster=ref,
        deadline=deadlines.of(context),
        request_id=tags_of(context).get("x-request-id", ""),
        id=native_id,
        cloud=served.abilities.cloud,
        caller=caller(),
    )
    return call, served


async def _found(abilities: Abilities, collection: str, call: Call, prefix: str) -> tuple[Sequence[Marked], str]:
    """What carries a mark with this prefix, and why that may not be all: one kind must not fail the others."""
    try:
        async with asyncio.timeout(time_to_drive(call)):
            rows = await abilities.marked[collection].find(call, prefix)
            marked = [row for row in rows if row.marker.startswith(prefix)]
            return await projects.marked(call, collection, marked, abilities), ""
    except TimeoutError:
        return [], "no answer in the time there was"
    except CloudspanError as error:
        return [], error.message


def _told(ref: ClusterRef, collection: str, row: Marked) -> step_pb2.Marked:
    told = step_pb2.Marked(name=ref.resource(collection, row.id), display_name=row.display_name, marker=row.marker)
    if row.create_time is not None:
        told.create_time.FromMilliseconds(round(row.create_time * 1000))
    return told


async def _remove_if_marked(
    kind: MarkedKind, call: Call, request: step_pb2.RemoveMarkedRequest, abilities: Abilities
) -> None:
    rows = [row for row in await kind.find(call, request.marker) if row.id == call.id]
    if not rows and await _is_gone(call, request.name, abilities):
        return
    if not any(row.marker == request.marker for row in rows):
        carried = ", ".join(row.marker for row in rows) or "another one or none"
        text = f"{request.name} does not carry the mark {request.marker} but {carried}; it was left alone"
        raise PreconditionFailed(text, reason="OTHER_MARK", resource=request.name)
    if call.deadline.remaining() < MIN_WRITE_S:
        raise OutOfTime(f"too little time was left to remove {request.name}; ask again with a later deadline")
    await kind.remove(call, call.id)
    log.info("marked resource removed", resource=request.name, marker=request.marker)


async def _is_gone(call: Call, name: str, abilities: Abilities) -> bool:
    method = contract.getter(name.split("/")[4])
    try:
        there = await abilities.function(method)(call, method.request(name=name))
    except NotFound:
        return True
    state = there.DESCRIPTOR.fields_by_name.get("state")
    return state is not None and state.enum_type.values_by_number[there.state].name in _GONE
