"""Run a fake ZStack: `python -m cloudspan_zstack_fake --name zeta --listen 127.0.0.1:7092`."""

from __future__ import annotations

import asyncio

from cloudspan_kit.fakes import program
from cloudspan_zstack_fake.app import FakeCloud
from cloudspan_zstack_fake.store import Settings, Timing


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = program.parser("cloudspan_zstack_fake", __doc__, name="zeta", port=7092, token_ttl_s=7200.0)
    zone = "the server's zone, in hours (%(default)s)"
    parser.add_argument("--utc-offset", type=float, default=8.0, metavar="H", help=zone)
    locale = "the language of its words (%(default)s)"
    parser.add_argument("--locale", choices=("en_US", "zh_CN"), default="en_US", help=locale)
    parser.add_argument("--open-source", action="store_true", help="without the calls of the commercial modules")
    arguments = parser.parse_args()
    build_s = arguments.build_time
    cloud = FakeCloud(
        **program.settings(arguments),
        timing=Timing(**program.timing(build_s), image_s=build_s / 4),
        settings=Settings(
            utc_offset_s=int(arguments.utc_offset * 3600), locale=arguments.locale, id_seed=arguments.id_seed
        ),
        commercial=not arguments.open_source,
    )

    def ready() -> str:
        return f"fake ZStack {cloud.name}: {cloud.endpoint} (accounts demo, demo2, admin)"

    asyncio.run(program.serve(cloud, arguments.seed, ready))


if __name__ == "__main__":
    main()
