"""Points at which a gateway or an adapter kills or stops itself, set up inside its process before it starts.

`nursery` calls `in_gateway` or `in_adapter` in the process that is to die. Each passage of a point is written to a
trail, so that a first run without a crash tells how many there are; a plan in a file beside it says which one kills:

    store before 3      right before the third commit of the store after the plan was written
    native after 1      with the first answer of the cloud just read
    step sent 2         right after the second step was answered
    write before 1 stop the first write to the cloud, before the time left is checked: the process freezes there

Nothing in the product knows of this: what commits, calls and answers is wrapped from outside. So are the clock of
`on_moved_clock` and the cursors of `as_next_version`.
"""

from __future__ import annotations

import contextvars
import functools
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Within it a native call belongs to a step: logins and health checks are nobody's crash points.
_STEPPING: contextvars.ContextVar[bool] = contextvars.ContextVar("stepping", default=False)
_UNDER_WAY_S = 0.05  # a real cloud has the request by then, and takes longer to answer
SENT_S = 0.02  # by then the answer is on its way


class Points:
    """What one process passes, and where it is to die."""

    def __init__(self, directory: str) -> None:
        self._plan = Path(directory) / "plan"
        self._trail = os.open(Path(directory) / "trail", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._seen = ""
        self._passed: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def passed(self, point: str, side: str) -> None:
        """Note the passage of a point; the process ends here if the plan says so."""
        with self._lock:
            plan = self._plan.read_text() if self._plan.exists() else ""
            if plan != self._seen:
                self._seen, self._passed = plan, Counter()
            self._passed[point, side] += 1
            os.write(self._trail, f"{point} {side}\n".encode())
            words = plan.split()
            if words[:3] == [point, side, str(self._passed[point, side])]:
                os.kill(os.getpid(), signal.SIGSTOP if words[3:4] == ["stop"] else signal.SIGKILL)


def in_gateway(directory: str) -> None:
    """Die around a commit of the database."""
    from sqlalchemy.engine.default import DefaultDialect  # noqa: PLC0415 - only in the process that needs it

    points, commit = Points(directory), DefaultDialect.do_commit

    def committed(self: DefaultDialect, connection: Any) -> None:
        points.passed("store", "before")
        commit(self, connection)
        points.passed("store", "after")

    DefaultDialect.do_commit = committed  # type: ignore[method-assign]


def in_adapter(directory: str) -> None:
    """Die around a step, or around a native call of one."""
    from cloudspan_kit.http.caller import NativeCaller  # noqa: PLC0415 - same
    from cloudspan_kit.http.transport import HttpTransport  # noqa: PLC0415 - same
    from cloudspan_kit.serve.steps import StepServicer  # noqa: PLC0415 - same

    points = Points(directory)
    NativeCaller._exchange = _write(points, NativeCaller._exchange)  # type: ignore[method-assign]
    StepServicer.Step = _step(points, StepServicer.Step)  # type: ignore[method-assign]
    HttpTransport.exchange = _exchange(points, HttpTransport.exchange)  # type: ignore[method-assign]


def _step(points: Points, step: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(step)
    async def wrapped(self: Any, request: Any, context: Any) -> Any:
        import asyncio  # noqa: PLC0415 - same

        _STEPPING.set(True)
        points.passed("step", "before")
        answer = await step(self, request, context)
        points.passed("step", "after")
        asyncio.get_running_loop().call_later(SENT_S, points.passed, "step", "sent")
        return answer

    return wrapped


def _exchange(points: Points, exchange: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(exchange)
    async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _STEPPING.get():
            return await exchange(self, *args, **kwargs)
        points.passed("native", "before")
        answer = await exchange(self, *args, **kwargs)
        points.passed("native", "after")
        return answer

    return wrapped


def _write(points: Points, exchange: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(exchange)
    async def wrapped(self: Any, request: Any, *args: Any) -> Any:
        if not request.is_write or not _STEPPING.get():
            return await exchange(self, request, *args)
        import asyncio  # noqa: PLC0415 - same

        points.passed("write", "before")
        under_way = asyncio.get_running_loop().call_later(_UNDER_WAY_S, points.passed, "write", "during")
        answer = await exchange(self, request, *args)
        under_way.cancel()
        points.passed("write", "after")
        return answer

    return wrapped


def on_moved_clock(file: str) -> None:
    """Let the wall clock be off by the seconds that a file says, from one moment to the next."""
    from cloudspan_common.clock import SystemClock  # noqa: PLC0415 - same

    SystemClock.now = staticmethod(lambda: time.time() + float(Path(file).read_text() or 0))


# A field that this version's Cursor does not know: number 1000, four bytes.
_NEW_FIELD = b"\xc2\x3e\x04next"


def as_next_version(directory: str) -> None:
    """Be an adapter of the next version, whose cursors hold one field more; note whether it comes back."""
    from cloudspan_kit.serve.steps import StepServicer  # noqa: PLC0415 - same

    points, step = Points(directory), StepServicer.Step

    async def stepped(self: Any, request: Any, context: Any) -> Any:
        if request.cursor:
            points.passed("field", "kept" if _NEW_FIELD in request.cursor else "missing")
        answer = await step(self, request, context)
        if answer.cursor and _NEW_FIELD not in answer.cursor:
            answer.cursor += _NEW_FIELD
        return answer

    StepServicer.Step = stepped  # type: ignore[method-assign]
