"""Run a fake OpenStack: `python -m cloudspan_openstack_fake --name alpha --listen 127.0.0.1:7090`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cloudspan_kit.fakes import program
from cloudspan_openstack_fake.app import FakeCloud
from cloudspan_openstack_fake.store import Timing


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = program.parser("cloudspan_openstack_fake", __doc__, name="alpha", port=7090, token_ttl_s=3600.0)
    advertise = "root URL told in catalogue and links; default: as asked"
    parser.add_argument("--advertise", default="", metavar="URL", help=advertise)
    parser.add_argument("--write-clouds", type=Path, metavar="PATH", help="write clouds.yaml there")
    arguments = parser.parse_args()
    timing = Timing(**program.timing(arguments.build_time))
    told = {"advertise": arguments.advertise, "id_seed": arguments.id_seed}
    cloud = FakeCloud(**program.settings(arguments), timing=timing, **told)

    def ready() -> str:
        if arguments.write_clouds:
            cloud.write_clouds(arguments.write_clouds)
        return f"fake OpenStack {cloud.name}: {cloud.auth_url} (users demo, demo2, admin)"

    asyncio.run(program.serve(cloud, arguments.seed, ready))


if __name__ == "__main__":
    main()
