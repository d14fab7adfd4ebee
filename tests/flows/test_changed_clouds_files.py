"""Credentials and clusters change in the clouds file of a running adapter: no call fails."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.harness.clouds import openstack_entry

from cloudspan.client import AsyncClient, NotFound, result_of, waiting
from cloudspan.v1 import cluster_pb2, security_group_pb2, server_pb2
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.telemetry import new_registry
from cloudspan_gateway.app import build
from cloudspan_gateway.config import GatewayConfig
from cloudspan_kit import AdapterConfig, serve_adapter
from cloudspan_openstack import __main__ as openstack
from cloudspan_openstack.config import OpenStackConfig
from cloudspan_openstack_fake import FakeCloud as FakeOpenStack
from cloudspan_zstack import __main__ as zstack
from cloudspan_zstack.config import ZStackConfig
from cloudspan_zstack_fake import FakeCloud as FakeZStack


class TwoUsers:
    """Two users of one OpenStack project; the old one's password is changed, which kills its tokens."""

    platform = "openstack"

    def __init__(self) -> None:
        self.cloud = FakeOpenStack("east", demo=True)
        users = self.cloud.store.users
        old = next(user for user in users.values() if user.name == "demo")
        users["second"] = replace(old, id="second", name="second", password="n3w")

    def entries(self) -> tuple[dict[str, Any], dict[str, Any]]:
        old = openstack_entry(self.cloud)
        return old, {**old, "auth": {**old["auth"], "username": "second", "password": "n3w"}}

    def revoke(self) -> None:
        self.cloud.control.set_password("demo", "revoked")


class TwoApplicationCredentials(TwoUsers):
    """Two application credentials of one user; the old one is deleted."""

    def __init__(self) -> None:
        super().__init__()
        known = self.cloud.store.app_credentials
        self.old = next(iter(known.values()))
        known["second"] = replace(self.old, id="second", name="second", secret="n3w")

    def entries(self) -> tuple[dict[str, Any], dict[str, Any]]:
        old = openstack_entry(self.cloud, "east-app")
        auth = {"application_credential_id": "second", "application_credential_secret": "n3w"}
        return old, {**old, "auth": {**old["auth"], **auth}}

    def revoke(self) -> None:
        del self.cloud.store.app_credentials[self.old.id]


class AccountAndUser:
    """A ZStack account, and a user of it that takes its place; the account's password is changed."""

    platform = "zstack"

    def __init__(self) -> None:
        self.cloud = FakeZStack("east", demo=True)

    def entries(self) -> tuple[dict[str, Any], dict[str, Any]]:
        account, password = self.cloud.credentials("demo")
        old = {"endpoint": self.cloud.endpoint, "account": account, "password": password}
        return old, {**old, "user": "developer"}

    def revoke(self) -> None:
        self.cloud.control.set_password("demo", "revoked")


class TwoAccessKeys(AccountAndUser):
    """Two access keys of a ZStack account; the old one is disabled."""

    def entries(self) -> tuple[dict[str, Any], dict[str, Any]]:
        self.old = self.cloud.control.access_key("demo")
        account = self.cloud.store.access_keys.where(AccessKeyID=self.old[0])[0]["accountUuid"]
        made = self.cloud._building.tools.sessions.new_key(account, account)
        keys = [self.old, (made["AccessKeyID"], made["AccessKeySecret"])]
        told = [
            {"endpoint": self.cloud.endpoint, "access_key_id": key, "access_key_secret": secret} for key, secret in keys
        ]
        return told[0], told[1]

    def revoke(self) -> None:
        [row] = self.cloud.store.access_keys.where(AccessKeyID=self.old[0])
        self.cloud.store.touch(row, state="Disabled")


class Served:
    """An adapter over a clouds file, and who calls it."""

    def __init__(self, platform: str, file: Path) -> None:
        self.parent, self.file = f"platforms/{platform}/clusters/east", file
        self.metrics = new_registry()
        self.client: AsyncClient
        self.calls: Counter[str] = Counter()

    def write(self, clouds: dict[str, Any]) -> None:
        draft = self.file.with_name("draft")
        draft.write_text(yaml.safe_dump({"clouds": clouds}))
        draft.replace(self.file)

    async def changed(self, outcome: str = "changed", tag: str = "east") -> float:
        labels = {"platform": self.parent.split("/")[1], "cluster": tag, "outcome": outcome}
        return self.metrics.get_sample_value("cloudspan_cluster_configurations_total", labels) or 0.0

    async def read(self) -> None:
        """One list, which takes several native calls."""
        listed = await self.client.servers.ListServers(server_pb2.ListServersRequest(parent=self.parent))
        assert listed.servers
        assert listed.cluster_status[0].state == listed.cluster_status[0].STATE_OK
        self.calls["reads"] += 1

    async def change(self) -> None:
        """Create and delete a security group; each is one operation that the adapter takes to its end."""
        group = security_group_pb2.SecurityGroup(display_name=f"g{self.calls['changes']}")
        request = security_group_pb2.CreateSecurityGroupRequest(parent=self.parent, security_group=group)
        made = result_of(await self.client.security_groups.CreateSecurityGroup(request, metadata=waiting(20)))
        deleted = security_group_pb2.DeleteSecurityGroupRequest(name=made.name)
        result_of(await self.client.security_groups.DeleteSecurityGroup(deleted, metadata=waiting(20)))
        self.calls["changes"] += 1

    def said(self, count: int, since: Counter[str]) -> bool:
        """Whether so many more of each kind were answered."""
        return all(self.calls[kind] >= since[kind] + count for kind in ("reads", "changes"))

    async def cluster(self) -> cluster_pb2.Cluster:
        return await self.client.clusters.GetCluster(cluster_pb2.GetClusterRequest(name=self.parent))


@asynccontextmanager
async def served(
    platform: str, file: Path, clouds: dict[str, Any], registry: MemoryRegistry | None = None
) -> AsyncIterator[Served]:
    made = Served(platform, file)
    made.write(clouds)
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    if platform == "openstack":
        adapter = openstack.adapter_of(OpenStackConfig(clouds=file), made.metrics)
    else:
        adapter = zstack.adapter_of(ZStackConfig(clouds=file), made.metrics)
    config = AdapterConfig(instance="adapter-1", drain_s=0.0)
    work = asyncio.create_task(
        serve_adapter(
            adapter, config, stop, registry=registry or MemoryRegistry(), metrics=made.metrics, ready=bound.set_result
        )
    )  # fmt: skip
    async with AsyncClient(await bound, timeout_s=20, retries=False) as made.client:
        yield made
    stop.set()
    await work


@pytest.mark.parametrize("rotation", [TwoUsers, TwoApplicationCredentials, AccountAndUser, TwoAccessKeys])
async def test_no_call_fails_while_credentials_are_replaced_and_the_old_ones_revoked(tmp_path, until, rotation):
    """Reads and changes run all the time, some of them across the change."""
    site = rotation()
    async with site.cloud:
        old, new = site.entries()
        async with served(site.platform, tmp_path / "clouds.yaml", {"east": old}) as made:
            stop = asyncio.Event()

            async def call_on(call: Any) -> None:
                while not stop.is_set():
                    await call()

            callers = [asyncio.create_task(call_on(call)) for call in (made.read, made.read, made.change)]

            async def answered(count: int) -> None:
                since = made.calls.copy()

                async def enough() -> bool:
                    return made.said(count, since) or any(caller.done() for caller in callers)

                await until(enough)

            await answered(2)
            made.write({"east": new})
            os.kill(os.getpid(), signal.SIGHUP)
            await until(made.changed)
            site.revoke()
            await answered(3)
            stop.set()
            await asyncio.gather(*callers)
            shown = await made.cluster()
            assert (shown.state, shown.message) == (cluster_pb2.Cluster.STATE_READY, "")


@pytest.mark.parametrize("rotation", [TwoUsers, TwoAccessKeys])
async def test_refused_credentials_cost_no_call(tmp_path, until, rotation):
    """The cluster says why they are not used, until the file is put right."""
    site = rotation()
    async with site.cloud:
        old, new = site.entries()
        wrong = {key: "x" if key == "access_key_secret" else value for key, value in new.items()}
        if "auth" in new:
            wrong["auth"] = {**new["auth"], "password": "wr0ng"}
        async with served(site.platform, tmp_path / "clouds.yaml", {"east": old}) as made:
            await made.read()
            made.write({"east": wrong})
            os.kill(os.getpid(), signal.SIGHUP)

            async def reason() -> str:
                return (await made.cluster()).message

            told = await until(reason)
            assert told.startswith("a newer configuration is not used: CLUSTER_LOGIN_REFUSED")
            assert "wr0ng" not in told
            await made.read()
            made.write({"east": new})
            os.kill(os.getpid(), signal.SIGHUP)
            await until(made.changed)
            site.revoke()
            await made.read()


async def test_a_gateway_learns_of_clusters_that_are_added_and_removed(tmp_path, until):
    """Without a restart of either; it asks every few seconds, and whenever the registry's entry changes."""
    registry, site = MemoryRegistry(), TwoUsers()
    config = GatewayConfig(
        listen="127.0.0.1:0", metrics="", drain_s=0.0, wait_for_adapters=0.2, database="memory:", no_inventory=True
    )
    gateway = build(config, registry)
    async with site.cloud, gateway.running():
        east, west = site.entries()
        async with (
            served("openstack", tmp_path / "clouds.yaml", {"east": east}, registry) as made,
            AsyncClient(f"127.0.0.1:{gateway.server.port}", timeout_s=10) as client,
        ):

            async def rewritten(clouds: dict[str, Any], tag: str, outcome: str) -> None:
                made.write(clouds)
                os.kill(os.getpid(), signal.SIGHUP)
                await until(lambda: made.changed(outcome, tag))
                [instance] = await anext(registry.watch())
                registry.put(replace(instance, suspect=not instance.suspect))

            async def tags() -> list[str]:
                listed = await client.clusters.ListClusters(cluster_pb2.ListClustersRequest())
                return [cluster.name.rpartition("/")[2] for cluster in listed.clusters]

            async def servers(tag: str) -> Any:
                parent = f"platforms/openstack/clusters/{tag}"
                return await client.servers.ListServers(server_pb2.ListServersRequest(parent=parent))

            async def shows(*wanted: str) -> bool:
                return await tags() == list(wanted)

            await until(lambda: shows("east"))
            await rewritten({"east": east, "west": west}, "west", "added")
            await until(lambda: shows("east", "west"))
            assert (await servers("west")).servers
            await rewritten({"west": west}, "east", "removed")
            await until(lambda: shows("west"))
            with pytest.raises(NotFound) as unknown:
                await servers("east")
            assert unknown.value.reason == "CLUSTER_UNKNOWN"
