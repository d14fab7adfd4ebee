"""What an operation took, in little space however long it goes on."""

from __future__ import annotations

from cloudspan.v1 import operation_pb2
from cloudspan_gateway.operations.trace import MAX_CALLS, MAX_STAGES, NativeCall, StepCall, Trace

TOOK = StepCall("os-1", 1.0, 2.0)


def told(trace: Trace) -> operation_pb2.OperationExplanation:
    return operation_pb2.OperationExplanation.FromString(trace.whole())


def test_equal_calls_of_a_stage_are_one_row() -> None:
    """With their count, their retries and the time of all."""
    trace = Trace()
    for _ in range(3):
        trace.answered("server", [NativeCall(service="nova", method="GET", template="/servers/{id}", status=200)], TOOK)
    (stage,) = told(trace).stages
    assert (stage.steps, [call.count for call in stage.calls], stage.instance) == (3, [3], "os-1")


def test_a_step_without_an_answer_counts_at_the_stage_where_it_stood() -> None:
    """Its error is kept."""
    trace = Trace()
    trace.answered("server", [], TOOK)
    trace.failed("nobody serves it", StepCall("", 3.0, 3.0))
    (stage,) = told(trace).stages
    assert (stage.failures, stage.error) == (1, "nobody serves it")


def test_a_trace_stays_small_and_keeps_its_first_stages() -> None:
    """Stages in the middle are skipped, calls beyond the limit share the last row."""
    trace = Trace()
    for number in range(MAX_STAGES + 10):
        calls = [NativeCall(method="GET", template=f"/{n}") for n in range(MAX_CALLS + 5)]
        trace.answered(f"stage {number}", calls, TOOK)
    explained = told(trace)
    assert (len(explained.stages), explained.skipped, explained.stages[0].stage) == (MAX_STAGES, 10, "stage 0")
    assert len(explained.stages[0].calls) == MAX_CALLS
    assert explained.stages[0].calls[-1].count == 6


def test_a_trace_is_written_only_for_a_new_stage() -> None:
    """The store is handed the trace once for each."""
    trace = Trace()
    trace.answered("server", [], TOOK)
    assert trace.fresh()
    trace.answered("server", [], TOOK)
    assert not trace.fresh()
    assert repr(Trace(trace.whole())) == "<Trace server>"
