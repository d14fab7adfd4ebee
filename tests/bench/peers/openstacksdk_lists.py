"""Peer: openstacksdk lists all servers, and gets one many times. Arguments: clouds.yaml, cloud, number of gets."""

from __future__ import annotations

import sys
import warnings

from own_cost import Cost, tell

warnings.simplefilter("ignore")

import openstack  # noqa: E402 - it warns while it is imported
from openstack.config import OpenStackConfig  # noqa: E402


def main() -> None:
    """Get one to warm up, then measured."""
    file, cloud, gets = sys.argv[1], sys.argv[2], int(sys.argv[3])
    region = OpenStackConfig(config_files=[file], load_envvars=False).get_one(cloud=cloud)
    conn = openstack.connection.Connection(config=region)
    warm = next(iter(conn.compute.servers(details=False, paginated=False, limit=1))).id
    cost = Cost()
    servers = list(conn.compute.servers())
    listed_s, rest_mb = cost.cpu_s, cost.rest_mb
    cost = Cost()
    for _ in range(gets):
        conn.compute.get_server(warm)
    tell(servers=len(servers), list_cpu_s=listed_s, rest_mb=rest_mb, get_cpu_s=cost.cpu_s / gets)


if __name__ == "__main__":
    main()
