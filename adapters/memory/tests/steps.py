"""What tests of several kinds share: requests, and mutations taken step by step as the gateway takes them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from cloudspan.adapter.v1 import step_pb2
from cloudspan.client import result_of
from cloudspan.v1 import server_pb2
from cloudspan_common import contract, errors
from cloudspan_common.deadlines import Deadline
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_kit import Call
from cloudspan_kit.engine.step import take_step
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_memory.cluster import MemoryCluster

MAIN = "platforms/memory/clusters/main"
GIB = 2**30
COLLECTIONS = ("servers", "volumes", "ports", "floatingIps", "networks", "subnets", "routers")


async def changed(operation: Any) -> Any:
    """Return what a mutation made, once it has ended."""
    return result_of(await operation)


def a_server(**fields: Any) -> server_pb2.CreateServerRequest:
    """Two interfaces, one with a floating IP, and two volumes, one of which stays."""
    server = {"display_name": "web", "flavor": f"{MAIN}/flavors/small"}
    request = {
        "parent": MAIN,
        "server": server | {key: fields.pop(key) for key in ("flavor",) if key in fields},
        "network_interfaces": [
            {"network": f"{MAIN}/networks/private", "new_port": {}, "floating_network": f"{MAIN}/networks/public"},
            {"network": f"{MAIN}/networks/private", "ip_addresses": ["10.0.0.77"], "new_port": {"display_name": "p"}},
        ],
        "new_volumes": [{"size_bytes": GIB, "delete_with_server": True}, {"size_bytes": 2 * GIB}],
    }
    return server_pb2.CreateServerRequest(**request | fields)


class Steps:
    """Does what the gateway's runner does with one mutation of a cluster."""

    def __init__(self, request: Any, *, fail: bool = False) -> None:
        self.clock = FakeClock()
        self.cluster = MemoryCluster(ClusterRef("memory", "main"), delay_s=1.0, clock=self.clock)
        self.before = self.there()
        name = request.DESCRIPTOR.name.removesuffix("Request")
        self.method = contract.methods()[f"cloudspan.v1.{name.removeprefix('Create')}Service/{name}"]
        if fail:
            request.options.update({"fail": True})
        self.request = request
        self.step = step_pb2.StepRequest(operation_id=str(uuid.UUID(int=7)), installation="test", attempt=0)
        self.answers: list[step_pb2.StepResponse] = []

    def there(self) -> dict[str, int]:
        return {collection: len(self.cluster.store.all(collection)) for collection in COLLECTIONS}

    def made(self) -> dict[str, int]:
        return {name: count - self.before[name] for name, count in self.there().items() if count != self.before[name]}

    async def drive(self, *, cancel_at: int = -1, lost: int = -1) -> step_pb2.StepResponse:
        function = Abilities(self.cluster).function(self.method)
        for number in range(200):
            self.step.attempt += 1
            self.step.undo = self.step.undo or number == cancel_at
            call = Call(cluster=self.cluster.ref, deadline=Deadline.after(30), cloud=self.cluster.cloud)
            answer = await take_step(function, self.request, self.step, call, settle_s=0.0, clock=self.clock)
            await self.clock.advance(max(answer.retry_after.ToNanoseconds() / 1e9, 0.1))
            if number != lost:
                self.answers.append(answer)
                self.step.cursor, self.step.attempt = answer.cursor, 0
                if answer.done:
                    return answer
        raise AssertionError(f"not ended: {self.answers[-1]}")


async def check_every_cancel(request: Any, whole: dict[str, int]) -> None:
    """Cancel before each of the steps that a whole run takes: nothing is left, and what was undone is said."""
    full = Steps(request)
    assert (await full.drive()).HasField("response")
    assert full.made() == whole
    for cancel_at in range(len(full.answers)):
        steps = Steps(request)
        ended = await steps.drive(cancel_at=cancel_at)
        assert errors.from_status(ended.error).reason == "CANCELLED"
        assert steps.made() == {}, cancel_at
        assert all(left.removed for left in ended.left_overs)


async def check_every_lost_answer(request: Any, whole: dict[str, int]) -> None:
    """Lose the answer of each step, which the adapter did and nobody heard of: nothing is made twice."""
    full = Steps(request)
    await full.drive()
    for lost in range(len(full.answers)):
        steps = Steps(request)
        assert (await steps.drive(lost=lost)).HasField("response")
        assert steps.made() == whole, lost


async def check_refused(request: Any, words: str, *, only_checked: bool) -> None:
    """A wrong request is refused before anything is created, by a check alone as well."""
    asked = type(request)()
    asked.CopyFrom(request)
    asked.validate_only = only_checked
    steps = Steps(asked)
    with pytest.raises(errors.CloudspanError, match=words):
        raise errors.from_status((await steps.drive()).error)
    assert steps.made() == {}
