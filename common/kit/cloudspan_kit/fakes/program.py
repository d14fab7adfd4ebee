"""A fake cloud as a program: the options that every fake has, and its life until a signal."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any

from cloudspan_common.clock import SystemClock
from cloudspan_common.config import address
from cloudspan_common.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_kit.fakes.serving import FakeServer


def parser(module: str, text: str | None, *, name: str, port: int, token_ttl_s: float) -> argparse.ArgumentParser:
    """Return the parser of a fake's options, to which it adds its own."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=text)
    made.add_argument("--name", default=name, help="name of the cloud (%(default)s)")
    listen = "HTTP address to listen on; port 0 takes a free one (%(default)s)"
    made.add_argument("--listen", type=_address, default=f"127.0.0.1:{port}", metavar="HOST:PORT", help=listen)
    kinds = "N further servers, volumes, networks, ports or images"
    made.add_argument("--seed", nargs=2, action="append", default=[], metavar=("N", "KIND"), help=kinds)
    made.add_argument("--empty", action="store_true", help="without the demo's servers and volumes")
    life = "life of a login in seconds (%(default)s)"
    made.add_argument("--token-ttl", type=float, default=token_ttl_s, metavar="S", help=life)
    build = "seconds until a server runs (%(default)s)"
    made.add_argument("--build-time", type=float, default=2.0, metavar="S", help=build)
    ids = "what ids are made from; the name when empty, so that they are the same at each start"
    made.add_argument("--id-seed", default="", metavar="TEXT", help=ids)
    made.add_argument("--fake-clock", action="store_true", help="time stands still until POST /_control/time")
    return made


def _address(text: str) -> tuple[str, int]:
    try:
        return address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what every fake cloud is made with."""
    host, port = arguments.listen
    return {
        "name": arguments.name,
        "clock": FakeClock() if arguments.fake_clock else SystemClock(),
        "host": host,
        "port": port,
        "token_ttl_s": arguments.token_ttl,
        "demo": not arguments.empty,
    }


def timing(build_s: float) -> dict[str, float]:
    """Return how long the cloud's work takes, in proportion to the time that a server needs."""
    quarter = build_s / 4
    return {
        "build_s": build_s, "power_s": build_s / 2, "delete_s": quarter, "volume_s": quarter, "attach_s": quarter,
    }  # fmt: skip


async def serve(cloud: FakeServer[Any, Any], seed: list[tuple[str, str]], ready: Callable[[], str]) -> None:
    """Seed and serve until SIGINT or SIGTERM; `ready` returns what is printed once the port is open."""
    for count, kind in seed:
        cloud.control.seed_kind(kind, int(count))
    async with cloud:
        sys.stdout.write(f"{ready()}\n")
        sys.stdout.flush()
        await until_signalled()


async def until_signalled() -> None:
    """Return at SIGINT or SIGTERM."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    await done.wait()
