"""A canary in every secret: after failing calls of all kinds it stands in no log, no error and no metric."""

from __future__ import annotations

import asyncio
import base64

import aiohttp
import pytest
import yaml
from google.protobuf import json_format
from tests.harness.clouds import openstack_entry
from tests.harness.create_server import create_server
from tests.harness.openstack import AT_ONCE, ref
from tests.harness.processes import free_port, openstack, world

from cloudspan.client import AsyncClient, CloudspanError, waiting
from cloudspan.v1 import cluster_pb2, server_pb2
from cloudspan_openstack_fake import Body, FakeCloud, Kind

pytestmark = pytest.mark.faults

# Three bytes each, so that base64 keeps its shape wherever it stands in a longer text.
PASSWORD = "canary-pw-5fd1"
USER_DATA = "canary-userdata-77b0c2aa"
ADMIN_PASSWORD = "canary-admin-d9e4"
SPOILT = [
    {"kind": Kind.SERVER_ERROR},
    {"kind": Kind.SERVER_ERROR, "status": 502, "body": Body.HTML},
    {"kind": Kind.SERVER_ERROR, "status": 400},
    {"kind": Kind.SERVER_ERROR, "status": 401},
    {"kind": Kind.SERVER_ERROR, "status": 403},
    {"kind": Kind.SERVER_ERROR, "status": 409},
    {"kind": Kind.RATE_LIMIT, "retry_after": "0"},
    {"kind": Kind.LOST_REPLY},
    {"kind": Kind.CUT_BODY},
    {"kind": Kind.HTML_200},
    {"kind": Kind.TRUNCATED_JSON},
    {"kind": Kind.REVOKED_TOKEN},
]


def _secrets(cloud):
    """Everything that must not show, in the forms in which it travels."""
    tokens = list(cloud.control._mint._tokens)
    assert tokens
    return {PASSWORD, USER_DATA, ADMIN_PASSWORD, base64.b64encode(USER_DATA.encode()).decode(), *tokens}


async def _told(call, told):
    """Keep every word that a failing call tells its caller."""
    try:
        return await call
    except CloudspanError as error:
        told.append(f"{error!r} {error.metadata} {[json_format.MessageToJson(detail) for detail in error.details]}")
        return None


async def _create(client, told, **changes):
    """Create a server with all its secrets, and wait a little for what becomes of it."""
    wanted = {"display_name": "vm", "flavor": f"{ref()}/flavors/1", "image": f"{ref()}/images/{changes.pop('image')}"}
    secrets = {"user_data": USER_DATA.encode(), "admin_password": ADMIN_PASSWORD}
    request = create_server(ref(), **(wanted | secrets | changes))
    operation = await _told(client.servers.CreateServer(request, metadata=waiting(0.5), timeout=10), told)
    if operation is not None:
        told.append(f"{json_format.MessageToJson(operation.metadata)} {operation.proto.error}")


async def _fail_in_every_way(cloud, client, direct, told):
    image = next(row["id"] for row in cloud.store.images)
    for spoilt in SPOILT:
        for method, path in (("POST", r"/servers$"), ("GET", "/servers")):
            cloud.control.fault(service="compute", method=method, path=path, count=1, **spoilt)
            await _create(client, told, image=image)
            cloud.control.clear_faults()
    cloud.control.fault(Kind.SERVER_ERROR, service="compute", method="POST")
    await _create(direct, told, image=image)
    cloud.control.clear_faults()
    for wrong in (
        {"flavor": f"{ref()}/flavors/none"},
        {"flavor": "nonsense"},
        {"user_data": USER_DATA.encode() * 5000},
        {"labels": {"": "x"}},
        {"name": "not/a/name"},
    ):
        await _create(client, told, image=image, **wrong)
    get = server_pb2.GetServerRequest(name=f"{ref()}/servers/none")
    await _told(client.servers.GetServer(get), told)


async def _refuse_the_password(cloud, client, told):
    """The configured password is wrong from now on, and every token dead."""
    cloud.control.set_password("demo", "another-one")
    await asyncio.gather(*(_told(_list(client), told) for _ in range(5)))
    check = await client.clusters.CheckCluster(cluster_pb2.CheckClusterRequest(name=ref()))
    told.append(json_format.MessageToJson(check))
    clusters = await client.clusters.ListClusters(cluster_pb2.ListClustersRequest())
    told.append(json_format.MessageToJson(clusters))


async def _list(client):
    return await client.servers.ListServers(server_pb2.ListServersRequest(parent=ref()), timeout=5)


@pytest.mark.timeout(120)
async def test_no_secret_shows_in_logs_errors_or_metrics_however_calls_fail(tmp_path):
    """Debug logs of both processes, everything callers are told, both metrics pages."""
    told = []
    async with FakeCloud("east", timing=AT_ONCE) as cloud:
        cloud.control.set_password("demo", PASSWORD)
        cloud.control.set_quota("compute", instances=500, cores=500, ram=1 << 24)
        file = tmp_path / "clouds.yaml"
        file.write_text(yaml.safe_dump({"clouds": {"east": openstack_entry(cloud, password=PASSWORD)}}))
        metrics = f"127.0.0.1:{free_port()}"
        options = ("--settle", "0.2", "--log-level", "debug", "--metrics", metrics)
        with world(tmp_path, "--log-level", "debug") as running:
            await asyncio.to_thread(running.adapter, *openstack(file, ["east"], *options))
            async with (
                AsyncClient(running.address, retries=False) as client,
                AsyncClient(running.addresses()[0], retries=False) as direct,
            ):
                await _until_listed(client)
                await _fail_in_every_way(cloud, client, direct, told)
                await _refuse_the_password(cloud, client, told)
            pages = [await _page(running.metrics), await _page(metrics)]
        logs = [program.log.read_text() for program in (running.gateway, running.adapters["adapter"])]
        assert len(told) > 2 * len(SPOILT)
        assert cloud.control.count("compute", "POST", "/servers$") > len(SPOILT), "the secrets did travel"
        assert all("native call" in log or "call ended" in log for log in logs)
        for secret in _secrets(cloud):
            for place, text in {"logs": logs, "errors": told, "metrics": pages}.items():
                shown = [line for part in text for line in part.splitlines() if secret in line]
                assert shown == [], f"a secret stands in the {place}"


async def _until_listed(client):
    async with asyncio.timeout(20):
        while await _told(_list(client), []) is None:  # noqa: ASYNC110 - other processes have no event
            await asyncio.sleep(0.02)


async def _page(address):
    async with aiohttp.ClientSession() as http, http.get(f"http://{address}/metrics") as answer:
        assert answer.status == 200
        return await answer.text()
