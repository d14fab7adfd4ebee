"""Run a fake OpenStack: `python -m cloudspan_openstack_fake --name alpha --port 7090`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from cloudspan_common.clock import SystemClock
from cloudspan_common.testing import FakeClock
from cloudspan_kit.fakes.serving import until_signalled
from cloudspan_openstack_fake.app import FakeCloud
from cloudspan_openstack_fake.store import Timing


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    asyncio.run(_serve(_parser().parse_args()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cloudspan_openstack_fake", description=__doc__)
    parser.add_argument("--name", default="alpha", help="name of the cloud; also of its entries in clouds.yaml")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7090, help="port to listen on (%(default)s)")
    parser.add_argument(
        "--advertise", default="", metavar="URL", help="root URL told in catalogue and links; default: as asked"
    )
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
        "--token-ttl", type=float, default=3600.0, metavar="S", help="life of a token in seconds (%(default)s)"
    )
    parser.add_argument(
        "--build-time", type=float, default=2.0, metavar="S", help="seconds until a server is ACTIVE (%(default)s)"
    )
    parser.add_argument("--fake-clock", action="store_true", help="time stands still until POST /_control/time")
    parser.add_argument("--write-clouds", type=Path, metavar="PATH", help="write clouds.yaml there")
    return parser


async def _serve(arguments: argparse.Namespace) -> None:
    build = arguments.build_time
    cloud = FakeCloud(
        arguments.name,
        clock=FakeClock() if arguments.fake_clock else SystemClock(),
        host=arguments.host,
        port=arguments.port,
        token_ttl_s=arguments.token_ttl,
        timing=Timing(build_s=build, power_s=build / 2, delete_s=build / 4, volume_s=build / 4, attach_s=build / 4),
        demo=not arguments.empty,
        advertise=arguments.advertise,
    )
    for count, kind in arguments.seed:
        cloud.control.seed_kind(kind, int(count))
    async with cloud:
        if arguments.write_clouds:
            cloud.write_clouds(arguments.write_clouds)
        sys.stdout.write(f"fake OpenStack {cloud.name}: {cloud.auth_url} (users demo, demo2, admin)\n")
        sys.stdout.flush()
        await until_signalled()


if __name__ == "__main__":
    main()
