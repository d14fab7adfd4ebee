"""What Prometheus sees of operations: how they ended and why, what they waited for and what they took."""

from __future__ import annotations

import asyncio
from typing import Self

import pytest
from gateway.tests.operation_store_suite import intent
from gateway.tests.scripted_adapter import CONFIG, DONE, Adapter, ended, waits
from google.rpc import status_pb2
from prometheus_client import CollectorRegistry

from cloudspan.adapter.v1 import step_pb2
from cloudspan_common import errors
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations import outcomes
from cloudspan_gateway.operations.metrics import OperationMetrics
from cloudspan_gateway.operations.model import Progress
from cloudspan_gateway.operations.runner import Runner
from cloudspan_gateway.operations.stores.base import Claim
from cloudspan_gateway.operations.stores.memory import MemoryStore


class Counted:
    """A runner over a scripted adapter, and its metrics."""

    def __init__(self, *answers: step_pb2.StepResponse | Exception) -> None:
        self.clock, self.registry = FakeClock(), CollectorRegistry()
        self.store, self.adapter = MemoryStore(self.clock), Adapter(*answers)
        metrics = OperationMetrics(self.registry)
        self._runner = Runner(self.store, self.adapter, self.adapter, CONFIG, self.clock, metrics)  # type: ignore[arg-type]

    async def __aenter__(self) -> Self:
        self._run = asyncio.create_task(self._runner.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._run.cancel()
        await asyncio.wait({self._run})

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"cloudspan_gateway_{name}", labels)


INTENT = intent()
METHOD = INTENT.method
WHERE = {"platform": INTENT.cluster.platform, "cluster": INTENT.cluster.cluster}


def failed(error: errors.CloudspanError) -> step_pb2.StepResponse:
    return step_pb2.StepResponse(stage="failed", done=True, error=errors.to_status(error))


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (DONE, "done", ""),
        (failed(errors.QuotaExceeded("no cores")), "failed", "QUOTA_EXCEEDED"),
        (failed(errors.Cancelled("undone")), "cancelled", "CANCELLED"),
        (failed(errors.GaveUp("no", reason="ACME_7")), "failed", "other"),
        (step_pb2.StepResponse(done=True, error=status_pb2.Status(code=2)), "failed", "OUTCOME_UNKNOWN"),
        (errors.InvalidRequest("no such option", reason="UNKNOWN_OPTION"), "failed", "UNKNOWN_OPTION"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_operation_is_counted_by_how_and_why_it_ended(answer, outcome, reason):
    """Reasons that only an adapter knows share a label: else it could make series without end."""
    async with Counted(answer) as counted:
        row = await counted.store.accept(intent())
        await ended(counted.store, counted.clock, row.intent.id)
        labels = {"method": METHOD, **WHERE, "outcome": outcome, "reason": reason}
        assert counted.value("operations_ended_total", **labels) == 1.0
        assert counted.value("operation_seconds_count", method=METHOD) == 1.0


async def test_an_operation_that_is_abandoned_during_a_step_is_counted():
    """The step's answer comes too late to be stored."""
    async with Counted() as counted:
        counted.adapter.hold = asyncio.Event()
        row = await counted.store.accept(intent())
        await counted.clock.advance(1)
        assert counted.adapter.steps
        await counted.store.end(row.intent.id, *outcomes.abandoned(row, "its cluster is gone"))
        counted.adapter.hold.set()
        await counted.clock.advance(1)
        labels = {"method": METHOD, **WHERE, "outcome": "failed", "reason": "OUTCOME_UNKNOWN"}
        assert counted.value("operations_ended_total", **labels) == 1.0


async def test_an_operation_that_another_runner_has_is_counted_there():
    """Its lease had ended, and the other one brought it to its end."""
    async with Counted() as counted:
        counted.adapter.hold = asyncio.Event()
        row = await counted.store.accept(intent())
        await counted.clock.advance(1)
        await counted.store.release([Claim(row.intent.id, 1)])
        (claim, _), *_ = await counted.store.claim(10)
        await counted.store.finish(claim, Progress(stage="done"), DONE.response)
        counted.adapter.hold.set()
        await counted.clock.advance(1)
        labels = {"method": METHOD, **WHERE, "outcome": "done", "reason": ""}
        assert counted.value("operations_ended_total", **labels) is None


async def test_an_operation_that_waits_for_its_adapter_is_queued_and_not_at_work():
    """Its first step is sent after a minute; what the steps take is counted apart."""
    async with Counted(waits(b"1"), DONE) as counted:
        counted.adapter.away = errors.Unreachable("no instance serves it")
        row = await counted.store.accept(intent())
        await counted.clock.advance(60)
        assert counted.value("operation_queue_seconds_count", **WHERE) is None
        counted.adapter.away = None
        await ended(counted.store, counted.clock, row.intent.id)
        assert counted.value("operation_queue_seconds_count", **WHERE) == 1.0
        assert 60.0 <= counted.value("operation_queue_seconds_sum", **WHERE) <= 70.0
        assert counted.value("step_seconds_count", **WHERE) == 2.0
        assert counted.value("step_seconds_sum", **WHERE) == 0.0
        assert counted.value("operation_seconds_sum", method=METHOD) >= 60.0


async def test_a_step_that_waits_for_a_slot_is_counted_by_its_wait():
    """A cluster's slots are full while its adapter takes ten seconds; the steps behind waited as long."""
    async with Counted() as counted:
        counted.adapter.hold = asyncio.Event()
        rows = [await counted.store.accept(intent()) for _ in range(CONFIG.steps_per_cluster + 1)]
        await counted.clock.advance(10)
        counted.adapter.hold.set()
        for row in rows:
            await ended(counted.store, counted.clock, row.intent.id)
        assert counted.value("slot_wait_seconds_count", **WHERE) == len(rows)
        assert counted.value("slot_wait_seconds_sum", **WHERE) == 10.0
        assert counted.value("step_seconds_sum", **WHERE) == 10.0 * CONFIG.steps_per_cluster
