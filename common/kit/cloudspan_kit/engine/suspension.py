"""How a driver's function is left between two steps, and what an error proves about a write.

`run`, `create` and `undo` raise and catch these; `step` turns them into answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import operation_pb2
from cloudspan_common import errors

if TYPE_CHECKING:
    from cloudspan_kit.operation import Watch

Record = step_pb2.Cursor.Step
Phase = operation_pb2.OperationMetadata.Phase

FIRST_LOOK_S = 0.5
RETRY_S = 1.0

# These prove that a write was not carried out.
NOT_CARRIED_OUT = (errors.RateLimited, errors.Unreachable, errors.LoginRefused)
# These prove nothing about a write.
UNKNOWN = (errors.OutcomeUnknown, errors.OutOfTime, errors.PlatformFault)
# These prove nothing about the resource: an operation goes on watching.
TRANSIENT = (*NOT_CARRIED_OUT, *UNKNOWN)


class Suspended(BaseException):  # a driver's `except Exception` must not catch it
    """Leaves the function until the gateway has stored the cursor."""

    def __init__(
        self, stage: str, phase: Phase, retry_after_s: float, percent: int = 0, watch: Watch | None = None
    ) -> None:
        super().__init__(stage)
        self.stage, self.phase, self.retry_after_s, self.percent = stage, phase, retry_after_s, percent
        self.watch = watch


class Unwound(BaseException):
    """Leaves the function while undoing, at the first step behind which nothing was begun or is left to undo."""
