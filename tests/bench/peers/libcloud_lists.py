"""Peer: Apache Libcloud lists all servers, and gets one many times. Arguments: auth URL, user, password, project."""

from __future__ import annotations

import sys
import warnings

from own_cost import Cost, tell

warnings.simplefilter("ignore")

from libcloud.compute.drivers.openstack import OpenStackNodeDriver  # noqa: E402 - it warns while it is imported
from libcloud.compute.providers import get_driver  # noqa: E402
from libcloud.compute.types import Provider  # noqa: E402


def _connect() -> OpenStackNodeDriver:
    url, user, password, project = sys.argv[1:5]
    return get_driver(Provider.OPENSTACK)(
        user,
        password,
        api_version="2.2",
        ex_force_auth_url=url.removesuffix("/v3"),
        ex_force_auth_version="3.x_password",
        ex_tenant_name=project,
        ex_domain_name="Default",
        ex_force_service_region="RegionOne",
    )


def main() -> None:
    """List once to warm up, then measured."""
    driver, gets = _connect(), int(sys.argv[5])
    warm = driver.connection.request("/servers?limit=1").object["servers"][0]["id"]
    driver.ex_get_node_details(warm)
    cost = Cost()
    nodes = driver.list_nodes()
    listed_s, rest_mb = cost.cpu_s, cost.rest_mb
    peaked = len(nodes)
    cost = Cost()
    for _ in range(gets):
        driver.ex_get_node_details(warm)
    tell(servers=peaked, list_cpu_s=listed_s, rest_mb=rest_mb, get_cpu_s=cost.cpu_s / gets)


if __name__ == "__main__":
    main()
