"""A service's process: one event loop (uvloop), started from its configuration, ended by a signal.

Each service's `__main__` is `def main(): run(Config, serve)`, where `serve(config, stop)` opens what it needs, waits
for `stop`, and drains.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, TypeVar

import click
import uvloop

from cloudspan_common import logs
from cloudspan_common.config import ENV_PREFIX, config_command
from cloudspan_common.errors import CloudspanError
from cloudspan_common.service_config import ServiceConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
log = logs.get_logger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(
    config_type: type[T],
    serve: Callable[[T, asyncio.Event], Coroutine[Any, Any, None]],
    *,
    name: str | None = None,
    env_prefix: str = ENV_PREFIX,
) -> None:
    """Read the configuration, set up the log, serve until a signal, and exit the process.

    A domain error (an address in use, an unreadable file) is one line on stderr and exit code 1, not a traceback.
    """

    def body(config: T) -> None:
        if isinstance(config, ServiceConfig):
            logs.configure(config.log_level, config.output)
        try:
            run_service(lambda stop: serve(config, stop))
        except CloudspanError as error:
            raise click.ClickException(error.message) from error

    config_command(config_type, body, name=name, env_prefix=env_prefix)()


def run_service(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run `main` to its end on the process's only event loop.

    The first SIGTERM or SIGINT sets the event that `main` was given; a second one cancels `main`, for those who
    don't want to wait for the drain.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signalled(main))


async def _until_signalled(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    task = asyncio.ensure_future(main(stop))
    hurried = False

    def on_signal() -> None:
        nonlocal hurried
        if stop.is_set():
            hurried = True
            task.cancel()
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal)
    # Sent to every process alike, it must not end those that have nothing to read; adapters with a file take it over.
    loop.add_signal_handler(signal.SIGHUP, lambda: log.info("SIGHUP: this process has no file to read again"))
    try:
        await task
    except asyncio.CancelledError:
        if not hurried:
            raise
    finally:
        for number in (*_SIGNALS, signal.SIGHUP):
            loop.remove_signal_handler(number)
