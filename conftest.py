"""For all tests: what they log is written plainly. Rich tracebacks, structlog's default, took 0.2 s each."""

from __future__ import annotations

import structlog

structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
