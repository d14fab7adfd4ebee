"""A clouds file with one bad entry, as an operator leaves it: the adapter's other clusters go on."""

from __future__ import annotations

import pytest
import yaml
from tests.flows.conftest import gateway, program
from tests.harness.clouds import openstack_entry

from cloudspan.client import NotFound, PreconditionFailed, Unreachable
from cloudspan.v1 import cluster_pb2, server_pb2
from cloudspan_openstack_fake import FakeCloud as FakeOpenStack
from cloudspan_zstack_fake import FakeCloud as FakeZStack

State = cluster_pb2.Cluster


def openstack_clouds(cloud: FakeOpenStack) -> dict:
    good = openstack_entry(cloud)
    return {"good": good, "bad": {**good, "auth": "secret"}}


def zstack_clouds(cloud: FakeZStack) -> dict:
    good = {"endpoint": cloud.endpoint, "account": "admin", "password": "password"}
    return {"good": good, "bad": {**good, "acount": "admin"}}


@pytest.mark.parametrize(
    ("platform", "fake", "clouds", "told"),
    [
        ("openstack", FakeOpenStack, openstack_clouds, "auth is a text"),
        ("zstack", FakeZStack, zstack_clouds, "acount"),
    ],
)
async def test_a_bad_entry_costs_its_own_cluster(tmp_path, until, platform, fake, clouds, told):
    """It is listed with the reason, and its calls are refused with it, through the gateway as well."""
    file, registry = tmp_path / "clouds.yaml", f"static:{tmp_path / 'adapters.yaml'}"
    clusters = [word for tag in ("good", "bad", "none") for word in ("--cluster", tag)]
    async with fake("flow") as cloud:
        file.write_text(yaml.safe_dump({"clouds": clouds(cloud)}))
        arguments = ("-m", f"cloudspan_{platform}", "--clouds", str(file), *clusters, "--registry", registry)
        async with gateway(registry) as client, program(*arguments, "--drain", "0"):

            async def call(tag):
                parent = f"platforms/{platform}/clusters/{tag}"
                return await client.servers.ListServers(server_pb2.ListServersRequest(parent=parent), timeout=5)

            async def served():
                try:
                    return await call("good")
                except (NotFound, Unreachable):
                    return None

            assert (await until(served)).cluster_status
            for tag, why in (("bad", told), ("none", "none")):
                with pytest.raises(PreconditionFailed, match=why) as refused:
                    await call(tag)
                name = f"platforms/{platform}/clusters/{tag}"
                shown = await client.clusters.GetCluster(cluster_pb2.GetClusterRequest(name=name))
                assert (refused.value.reason, shown.state) == ("BAD_CLOUD", State.STATE_LOGIN_REFUSED)
                assert why in shown.message
