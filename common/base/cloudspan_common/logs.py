"""Log events: one line of JSON (or colours on a terminal) per fact, without secrets.

A service's main calls `configure` once; modules call `get_logger(__name__)`; interceptors enter `bound(...)` so that
each event below them carries request, method, platform and cluster. The standard library's loggers (grpc, aiohttp,
asyncio) go through the same chain.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

_HAS_RICH = "rich" in sys.modules
if not _HAS_RICH:
    # structlog imports rich where that is installed, 9 MB, for tracebacks in colours; services show them plainly.
    sys.modules["rich"] = None  # type: ignore[assignment] # Python's way to say that there is none
try:
    import structlog
    from structlog.contextvars import bound_contextvars
    from structlog.processors import ExceptionRenderer, StackInfoRenderer, TimeStamper
finally:
    if not _HAS_RICH:
        del sys.modules["rich"]

from cloudspan_common.redaction import masked_item, redacted  # noqa: E402 - behind the above

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import TextIO

    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

__all__ = ["bound", "configure", "get_logger", "log_call", "redact", "redacted"]

Format = Literal["auto", "json", "console"]
_SAFE_KEYS = frozenset({"timestamp", "level", "logger"})
_GRPC = "grpc._cython.cygrpc"
_ENCODER = msgspec.json.Encoder(enc_hook=repr)
_INFO = logging.INFO


def get_logger(name: str) -> FilteringBoundLogger:
    """Return the logger of a module; its events carry the module's name as `logger`."""
    return cast("FilteringBoundLogger", structlog.get_logger(name))


def log_call(name: str, event: str, fields: dict[str, str | int | float]) -> None:
    """Log what is logged of every call, at info level, as the logger `name` would: 8 us instead of its chain's 60.

    The chain's redaction is not on the way: whatever a caller chose must come through `redaction.masked_text`. Nothing
    is written before `configure`.
    """
    if _calls is not None:
        _calls(name, event, fields)


_calls: Callable[[str, str, dict[str, str | int | float]], None] | None = None


def _through_chain(name: str, event: str, fields: dict[str, str | int | float]) -> None:
    get_logger(name).info(event, **fields)


def _as_json(stream: TextIO | None) -> Callable[[str, str, dict[str, str | int | float]], None]:
    def write(name: str, event: str, fields: dict[str, str | int | float]) -> None:
        at = datetime.now(UTC).isoformat(timespec="microseconds")[:-6]
        whole = {**fields, "event": event, "logger": name, "level": "info", "timestamp": f"{at}Z"}
        _write(stream, _json_line(None, "", whole))

    return write


def bound(
    *, request_id: str | None = None, method: str | None = None, platform: str | None = None, cluster: str | None = None
) -> AbstractContextManager[None]:
    """Add what is known of the call at hand to each event inside the `with` block, its child tasks included."""
    known = {"request_id": request_id, "method": method, "platform": platform, "cluster": cluster}
    return cast(
        "AbstractContextManager[None]", bound_contextvars(**{key: value for key, value in known.items() if value})
    )


def configure(level: str = "info", output: Format = "auto", stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging for this process.

    Args:
        level: Lowest level written: debug, info, warning, error or critical.
        output: `auto` writes for people on a terminal and JSON elsewhere.
        stream: Where to; stderr by default, so that stdout stays a command's answer.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    tty = (stream or sys.stderr).isatty()
    chain = _chain(console=output == "console" or (output == "auto" and tty), colors=tty)
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *names: _Line(stream, *names),
        # A cached logger costs 1 us instead of 2 when its level is off, but keeps its stream for ever.
        cache_logger_on_first_use=stream is None,
    )
    global _calls  # noqa: PLW0603 - set up once for the process, as structlog is
    is_console = output == "console" or (output == "auto" and tty)
    _calls = None if number > _INFO else _through_chain if is_console else _as_json(stream)
    root = logging.getLogger()
    root.handlers = [_ChainHandler(chain, stream)]
    logging.getLogger(_GRPC).addFilter(_not_by_callers)
    # DEBUG of libraries prints what they send, credentials included.
    root.setLevel(max(number, logging.INFO))


def _not_by_callers(record: logging.LogRecord) -> bool:
    """Drop what any caller could fill the log with: gRPC logs as errors, with tracebacks, faults that are the caller's.

    Metadata that is not UTF-8, and a call whose caller had gone when its error was sent.
    """
    return not str(record.msg).startswith(("Invalid encoding on ", "ExecuteBatchError raised in core "))


def _chain(*, console: bool, colors: bool) -> list[Processor]:
    last: list[Processor] = [structlog.dev.ConsoleRenderer(colors=colors), _as_line] if console else [_json_line]
    return [
        structlog.contextvars.merge_contextvars,
        _add_name,
        structlog.processors.add_log_level,
        TimeStamper(fmt="iso", utc=True),
        StackInfoRenderer(),
        # Rendered before the redaction, so that the text of an exception is searched too.
        ExceptionRenderer(),
        redact,
        *last,
    ]


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace each secret in an event: marked proto fields, keys that name secrets, and texts that look like one."""
    for key, value in event.items():
        if key not in _SAFE_KEYS:
            event[key] = masked_item(key, value)
    return event


def _json_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    try:
        return _ENCODER.encode(event).decode() + "\n"
    except UnicodeEncodeError:
        # File names may hold lone surrogates, which are no UTF-8; the slow encoder escapes them.
        return json.dumps(event, default=repr) + "\n"


def _as_line(_logger: WrappedLogger, _method: str, text: Any) -> str:
    return f"{text}\n"


def _add_name(line: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["logger"] = line.name
    return event


def _write(stream: TextIO | None, line: str) -> None:
    # One write per line keeps lines of several threads whole.
    stream = stream or sys.stderr
    stream.write(line)
    stream.flush()


class _Line:
    """Writes finished lines for the logger of one name."""

    def __init__(self, stream: TextIO | None, name: str = "") -> None:
        self.name = name
        self._stream = stream

    def msg(self, line: str) -> None:
        _write(self._stream, line)

    debug = info = warning = error = critical = msg


class _ChainHandler(logging.Handler):
    """Sends records of the standard library through the chain of our own events."""

    def __init__(self, chain: list[Processor], stream: TextIO | None) -> None:
        super().__init__()
        self._chain = chain
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        line = _Line(self._stream, record.name)
        event: Any = {"event": _message(record), "exc_info": record.exc_info}
        for process in self._chain:
            event = process(line, record.levelname.lower(), event)
        line.msg(event)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # A library's wrong format string must not end the library's call.
        return f"{record.msg!s} {record.args!r}"
