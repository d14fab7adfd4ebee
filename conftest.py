"""For all tests: plain logs, and an order in which few servers are started."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    import pytest

# Servers that take seconds to start and are shared: by those who use a fixture, or by all tests of a folder.
_SERVERS = ("running_demo", "broker", "escapes")

# Rich tracebacks, structlog's default, took 0.2 s each; a service logs from info on, and so do its tests.
structlog.configure(
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ],
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker have all tests of such a server: each begins with a run of tests, and others take from its end."""

    def place(item: pytest.Item) -> int:
        uses = (*getattr(item, "fixturenames", ()), item.path.parent.name)
        return next((at for at, server in enumerate(_SERVERS) if server in uses), len(_SERVERS))

    items.sort(key=place)
