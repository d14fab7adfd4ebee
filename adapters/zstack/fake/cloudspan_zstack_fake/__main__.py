"""Run a fake ZStack: `python -m cloudspan_zstack_fake --name zeta --port 7092`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from cloudspan_common.clock import SystemClock
from cloudspan_common.testing import FakeClock
from cloudspan_kit.fakes.serving import until_signalled
from cloudspan_zstack_fake.app import FakeCloud
from cloudspan_zstack_fake.store import Settings, Timing


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    asyncio.run(_serve(_parser().parse_args()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cloudspan_zstack_fake", description=__doc__)
    parser.add_argument("--name", default="zeta", help="name of the cloud (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7092, help="port to listen on (%(default)s)")
    parser.add_argument(
        "--seed",
        nargs=2,
        action="append",
        default=[],
        metavar=("N", "KIND"),
        help="N further servers, volumes, networks, ports or images",
    )
    parser.add_argument("--empty", action="store_true", help="without the demo's servers and volumes")
    parser.add_argument(
        "--token-ttl", type=float, default=7200.0, metavar="S", help="life of a session in seconds (%(default)s)"
    )
    parser.add_argument(
        "--build-time", type=float, default=2.0, metavar="S", help="seconds until a VM is Running (%(default)s)"
    )
    parser.add_argument(
        "--utc-offset", type=float, default=8.0, metavar="H", help="the server's zone, in hours (%(default)s)"
    )
    parser.add_argument("--open-source", action="store_true", help="without the calls of the commercial modules")
    parser.add_argument("--fake-clock", action="store_true", help="time stands still until POST /_control/time")
    return parser


async def _serve(arguments: argparse.Namespace) -> None:
    build = arguments.build_time
    cloud = FakeCloud(
        arguments.name,
        clock=FakeClock() if arguments.fake_clock else SystemClock(),
        host=arguments.host,
        port=arguments.port,
        token_ttl_s=arguments.token_ttl,
        timing=Timing(build, build / 2, build / 4, build / 4, build / 4, build / 4),
        settings=Settings(utc_offset_s=int(arguments.utc_offset * 3600)),
        demo=not arguments.empty,
        commercial=not arguments.open_source,
    )
    for count, kind in arguments.seed:
        cloud.control.seed_kind(kind, int(count))
    async with cloud:
        sys.stdout.write(f"fake ZStack {cloud.name}: {cloud.endpoint} (accounts demo, demo2, admin)\n")
        sys.stdout.flush()
        await until_signalled()


if __name__ == "__main__":
    main()
