"""One cluster of an adapter is dead, hangs, refuses the password or shows a bad certificate: the other goes on."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from tests.e2e.conftest import EVERYWHERE, clusters_of, ready
from tests.harness.certificates import self_signed
from tests.harness.relay import Mode, Relay

from cloudspan.client import AsyncClient, CloudspanError, OutOfTime, PreconditionFailed, Unreachable
from cloudspan.v1 import cluster_pb2, common_pb2, server_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

LOGIN = r"/v3/auth/tokens$"
Status = common_pb2.ClusterStatus
State = cluster_pb2.Cluster.State


def _list(cloud, ref, **more):
    return cloud.servers.ListServers(server_pb2.ListServersRequest(parent=ref), **more)


@pytest.fixture
def pair(clusters):
    """A cluster that will fail, and one that will not; the same real one twice if there is only one."""
    return clusters[0], clusters[-1]


@asynccontextmanager
async def _with_relays(apart, ill, well):
    """The ill cluster behind relays before Keystone and Nova, the well one as it is."""
    url = await asyncio.to_thread(ill.endpoint, "compute")
    host, port = await asyncio.to_thread(ill.host, "compute")
    async with Relay(*ill.keystone) as keystone, Relay(host, port) as nova:
        override = url.replace(f":{port}", f":{nova.port}", 1)
        entry = ill.entry(auth_url=f"http://127.0.0.1:{keystone.port}/v3", compute_endpoint_override=override)
        with apart({"ill": entry, "well": well.entry()}) as running:
            async with AsyncClient(running.address, retries=False) as cloud:
                await ready(cloud)
                yield cloud, keystone, nova


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.HANG], ids=["refuses", "hangs"])
async def test_a_dead_cluster_slows_no_call_to_the_other(pair, apart, mode):
    """Calls to the well one go on at their speed; a wildcard list says what is missing; the dead one comes back."""
    async with _with_relays(apart, *pair) as (cloud, keystone, nova):
        ill, well = (f"platforms/openstack/clusters/{tag}" for tag in ("ill", "well"))
        await _list(cloud, ill)
        healthy_s = await _median_s(cloud, well)
        for relay in (keystone, nova):
            relay.turn(mode)
        doomed = [asyncio.create_task(_failed(_list(cloud, ill, timeout=3))) for _ in range(20)]
        beside_s = await _median_s(cloud, well)
        assert {type(error) for error in await asyncio.gather(*doomed)} <= {Unreachable, OutOfTime}
        assert beside_s < 3 * healthy_s + 0.2
        answer = await _list(cloud, EVERYWHERE, timeout=5)
        assert list(answer.unreachable) == [ill]
        assert {s.cluster: s.state for s in answer.cluster_status} == {
            ill: Status.STATE_UNREACHABLE,
            well: Status.STATE_OK,
        }
        for relay in (keystone, nova):
            relay.turn(Mode.PASS)
        await _until_listed(cloud, ill)


async def _failed(call):
    with pytest.raises(CloudspanError) as raised:
        await call
    return raised.value


async def _median_s(cloud, ref, calls=15):
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        await _list(cloud, ref, timeout=10)
        took.append(time.perf_counter() - began)
    return sorted(took)[calls // 2]


async def _until_listed(cloud, ref):
    async with asyncio.timeout(30):
        while True:
            try:
                await _list(cloud, ref, timeout=5)
            except (Unreachable, OutOfTime):
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_wrong_password_is_tried_once_however_many_call(pair, apart):
    """The account is not locked: the breaker opens after one refusal, callers get that error at once."""
    ill, well = pair
    async with Relay(*ill.keystone) as keystone:
        url = f"http://127.0.0.1:{keystone.port}/v3"
        entries = {"ill": ill.entry(auth_url=url, password="no-such-password"), "well": well.entry()}
        with apart(entries) as running:
            async with AsyncClient(running.address, retries=False) as cloud:
                await ready(cloud, "well")
                ref = "platforms/openstack/clusters/ill"
                errors = await asyncio.gather(*(_failed(_list(cloud, ref)) for _ in range(50)))
                assert {(error.code, error.reason) for error in errors} == {
                    (PreconditionFailed.default_code, "CLUSTER_LOGIN_REFUSED")
                }
                assert not any("no-such-password" in error.message for error in errors)
                assert keystone.count("POST", LOGIN) == 1
                told = await _until_refused(cloud)
                assert told.token.failures == 1
                assert told.token.HasField("retry_time")
                check = await cloud.clusters.CheckCluster(cluster_pb2.CheckClusterRequest(name=ref))
                failed = [stage.kind for stage in check.stages if not stage.ok]
                assert failed == [cluster_pb2.CheckClusterResponse.Stage.KIND_LOGIN]
                assert keystone.count("POST", LOGIN) <= 2
                await _list(cloud, "platforms/openstack/clusters/well")


async def _until_refused(cloud):
    """The gateway hears of a cluster's state every few seconds."""
    async with asyncio.timeout(15):
        while True:
            told = (await clusters_of(cloud))["ill"]
            if told.state == State.STATE_LOGIN_REFUSED:
                return told
            await asyncio.sleep(0.05)


async def test_an_untrusted_certificate_is_refused_and_a_trusted_one_accepted(clusters, apart, tmp_path):
    """TLS before a real Keystone: without `cacert` no password is sent, with it all goes well."""
    site = clusters[0]
    authority, context = self_signed(tmp_path)
    async with Relay(*site.keystone, tls=context) as keystone:
        url = f"https://127.0.0.1:{keystone.port}/v3"
        entries = {
            "stranger": site.entry(auth_url=url),
            "friend": site.entry(auth_url=url, cacert=str(authority)),
        }
        with apart(entries) as running:
            async with AsyncClient(running.address, retries=False) as cloud:
                await ready(cloud, "friend")
                error = await _failed(_list(cloud, "platforms/openstack/clusters/stranger"))
                assert isinstance(error, Unreachable)
                assert error.reason == "TLS_CERTIFICATE"
                assert "cacert" in error.message
                await _list(cloud, "platforms/openstack/clusters/friend")
                assert keystone.count("POST", LOGIN) == 1
