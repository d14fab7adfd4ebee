"""Whatever was raised, the caller gets an ending that says what to do."""

from __future__ import annotations

import base64
from urllib.parse import quote

import grpc
import pytest
from gateway.tests.calls import call
from google.rpc import status_pb2
from grpc.aio import Metadata

from cloudspan_common import errors, trailers
from cloudspan_common.errors import Code, NotFound
from cloudspan_common.names import ClusterRef
from cloudspan_gateway.call import Call, Target
from cloudspan_gateway.pipeline import unknown_metadata
from cloudspan_gateway.pipeline.errors import Errors
from cloudspan_gateway.pipeline.metrics import GatewayMetrics
from cloudspan_gateway.routing.forward import AdapterError


async def ended_with(
    raised: Exception | None, metrics: GatewayMetrics | None = None, warnings: tuple[tuple[str, str], ...] = ()
) -> Call:
    asked = call("/a.B/C")
    asked.warnings = warnings
    asked.request_id, asked.target = "r", Target("a.B/C", ClusterRef("p", "c"))

    async def proceed(_: Call) -> bytes:
        if raised is not None:
            raise raised
        return b"answer"

    answer = await Errors(metrics or GatewayMetrics())(asked, proceed)
    assert answer == (None if raised else b"answer")
    return asked


def status(asked: Call) -> status_pb2.Status:
    return status_pb2.Status.FromString(dict(asked.ending.trailers)[errors.DETAILS_KEY])


async def test_an_error_of_the_tree_keeps_its_reason_and_learns_its_cluster() -> None:
    """Programs read reason and metadata; both stand in the details."""
    asked = await ended_with(NotFound("no such server", reason="SERVER_GONE"))
    told = errors.from_status(status(asked))
    assert (asked.ending.code, asked.reason, told.reason) == (Code.NOT_FOUND, "no such server", "SERVER_GONE")
    assert told.metadata == {"platform": "p", "cluster": "c"}
    assert dict(asked.ending.trailers)["x-request-id"] == "r"


async def test_a_defect_is_counted_and_reports_no_more_than_its_type() -> None:
    """What an exception says is for the log: it may hold anything."""
    metrics = GatewayMetrics()
    asked = await ended_with(KeyError("a password"), metrics)
    assert asked.ending.code is Code.INTERNAL
    assert "KeyError" in asked.ending.message
    assert "password" not in asked.ending.message
    assert metrics.registry.get_sample_value("cloudspan_gateway_defects_total") == 1.0


async def test_a_successful_answer_carries_the_request_id() -> None:
    """Behind it, with what the adapter sent there."""
    asked = await ended_with(None)
    assert asked.ending is None
    assert asked.trailers == (("x-request-id", "r"),)


async def test_an_adapters_error_is_made_small_enough_for_every_client() -> None:
    """Adapters are of many authors: 12 KiB of Chinese, or texts that differ, are readable all the same."""
    whole = "无法连接到物理机。" * 300
    details = status_pb2.Status(code=9, message="别的").SerializeToString()
    trailers = Metadata(("x-served-by", "acme-1"), (errors.DETAILS_KEY, details))
    failed = grpc.aio.AioRpcError(Code.FAILED_PRECONDITION, Metadata(), trailers, details=whole)
    asked = await ended_with(AdapterError(failed))
    assert asked.ending.message == status(asked).message
    assert asked.ending.message.endswith("…")
    assert whole.startswith(asked.ending.message[:-1])
    assert dict(asked.ending.trailers)["x-served-by"] == "acme-1"
    assert asked.reason == whole


@pytest.mark.parametrize("raised", [None, NotFound("no such server"), KeyError("x")])
async def test_warnings_go_behind_an_answer_and_behind_an_error(raised: Exception | None) -> None:
    """A slip in `x-platform` is often why a call fails."""
    asked = await ended_with(raised, warnings=(("x-cloudspan-warning", "careful"),))
    trailers = asked.ending.trailers if asked.ending else asked.trailers
    assert dict(trailers)["x-cloudspan-warning"] == "careful"


@pytest.mark.parametrize("adapters", [False, True])
async def test_the_longest_warnings_hide_no_error(adapters: bool) -> None:
    """A client with default settings sees nothing of trailers beyond 8 KiB: those that don't fit are left out."""
    whole = "无法连接到物理机。" * 1000
    failed = grpc.aio.AioRpcError(Code.NOT_FOUND, Metadata(), Metadata(), whole)
    raised = AdapterError(failed) if adapters else NotFound(whole)
    told = unknown_metadata.warnings([f"x-cloudspam-{letter * 52}" for letter in "abc"])
    asked = await ended_with(raised, warnings=told)
    sent = [(key, value if isinstance(value, str) else base64.b64encode(value)) for key, value in asked.ending.trailers]
    sent.append(("grpc-message", quote(asked.ending.message)))
    assert len(told) == 3
    assert asked.ending.message.endswith("…")
    assert sum(len(key) + len(value) + 32 for key, value in sent) <= trailers.MAX_BYTES - 448  # of gRPC and of proxies
