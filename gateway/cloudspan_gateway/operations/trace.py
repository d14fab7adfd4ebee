"""What an operation took: its stages, and under each the calls to the platform.

An execution keeps a `Trace` beside its operation and hands it to the store with each new stage; ExplainOperation
returns it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan.v1 import operation_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

Explanation = operation_pb2.OperationExplanation
NativeCall = operation_pb2.NativeCall

# A trace stays small whatever an operation goes through: at most 40 x 20 calls, some 100 bytes each.
MAX_STAGES, MAX_CALLS = 40, 20
_FIRST_KEPT = 20  # how it began is never forgotten


@dataclass(frozen=True, slots=True)
class StepCall:
    """Who was asked for a step, and when: Unix times in seconds."""

    instance: str
    """Empty where nobody could be."""
    began: float
    ended: float


class Trace:
    """The explanation of one operation, as it grows."""

    def __init__(self, kept: bytes = b"") -> None:
        self._explanation = Explanation.FromString(kept)
        self._is_new = False

    def __repr__(self) -> str:
        return f"<Trace {', '.join(stage.stage for stage in self._explanation.stages) or 'nothing yet'}>"

    def answered(self, stage: str, calls: Iterable[NativeCall], asked: StepCall) -> None:
        """Add a step that was answered."""
        row = self._stage(stage, asked)
        row.steps += 1
        for call in calls:
            _count(row, call)

    def failed(self, error: str, asked: StepCall) -> None:
        """Add a step that got no answer, to the stage that it stood at."""
        row = self._stage(self._explanation.stages[-1].stage if self._explanation.stages else "queued", asked)
        row.failures += 1
        row.error = error

    def fresh(self) -> bytes:
        """Return what is to be kept if a stage was added since the last time, else nothing."""
        is_new, self._is_new = self._is_new, False
        return self._explanation.SerializeToString() if is_new else b""

    def whole(self) -> bytes:
        """Return what is to be kept at the end."""
        return self._explanation.SerializeToString()

    def _stage(self, stage: str, asked: StepCall) -> Explanation.Stage:
        if not self._explanation.stages or self._explanation.stages[-1].stage != stage:
            self._is_new = True
            if len(self._explanation.stages) >= MAX_STAGES:
                del self._explanation.stages[_FIRST_KEPT]
                self._explanation.skipped += 1
            self._explanation.stages.add(stage=stage).first_time.FromMilliseconds(round(asked.began * 1000))
        row = self._explanation.stages[-1]
        row.instance = asked.instance
        row.last_time.FromMilliseconds(round(asked.ended * 1000))
        return row


def _count(stage: Explanation.Stage, call: NativeCall) -> None:
    """Add a call to its equals, or as a new row while there is room; the last row takes what has none."""
    same = next((known for known in stage.calls if _kind(known) == _kind(call)), None)
    if same is None and len(stage.calls) < MAX_CALLS:
        stage.calls.add().CopyFrom(call)
        stage.calls[-1].count = max(call.count, 1)
        return
    row = same or stage.calls[-1]
    row.count += max(call.count, 1)
    row.retries += call.retries
    row.took.FromNanoseconds(row.took.ToNanoseconds() + call.took.ToNanoseconds())
    row.waited.FromNanoseconds(row.waited.ToNanoseconds() + call.waited.ToNanoseconds())
    row.native_request_id = call.native_request_id or row.native_request_id


def _kind(call: NativeCall) -> tuple[str, str, str, int, str]:
    return call.service, call.method, call.template, call.status, call.error
