"""A backend's rpcapi, in the style of nova's, written without knowing gRPC: it creates and deletes a server."""

from __future__ import annotations

import asyncio
import uuid

import oslo_messaging
import pytest
from common.bus.tests.conftest import CLUSTER, SERVERS
from oslo_config import cfg

pytestmark = pytest.mark.timeout(120)


class ComputeAPI:
    """Client side of the servers' rpc API.

    1.0 - Initial version.
    """

    def __init__(self, transport: oslo_messaging.RPCTransport, topic: str) -> None:
        target = oslo_messaging.Target(topic=topic, namespace=SERVERS, version="1.0")
        self.router = oslo_messaging.get_rpc_client(transport, target, version_cap="1.0", timeout=30)

    def create_server(self, ctxt: dict, name: str, flavor: str, host: str | None = None) -> dict:
        cctxt = self.router.prepare(version="1.0", server=host)
        server = {"display_name": name, "flavor": flavor}
        operation = cctxt.call(ctxt, "CreateServer", parent=CLUSTER, server=server, request_id=str(uuid.uuid4()))
        return operation["response"]

    def get_server(self, ctxt: dict, name: str) -> dict:
        return self.router.prepare(version="1.0").call(ctxt, "GetServer", name=name)

    def delete_server(self, ctxt: dict, name: str, host: str | None = None) -> None:
        self.router.prepare(version="1.0", server=host).cast(ctxt, "DeleteServer", name=name)

    def resize_server(self, ctxt: dict, name: str) -> None:
        if not self.router.can_send_version("1.9"):
            raise oslo_messaging.RPCVersionCapError(version="1.9", version_cap=self.router.version_cap)


async def test_an_rpcapi_class_creates_and_deletes_a_server(bus):
    """By call and cast, with prepare, to any process and to one."""
    cfg.CONF([], default_config_files=[], default_config_dirs=[])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, bus.broker.url)
    api, context = ComputeAPI(transport, bus.topic), {"user": "somebody", "project_id": "of-nova", "is_admin": True}
    try:
        made = await asyncio.to_thread(api.create_server, context, "web", f"{CLUSTER}/flavors/small")
        assert made["display_name"] == "web"
        found = await asyncio.to_thread(api.get_server, context, made["name"])
        assert found["state"] == "STATE_RUNNING"
        await asyncio.to_thread(api.delete_server, context, made["name"], "one")
        with pytest.raises(oslo_messaging.RPCVersionCapError):
            api.resize_server(context, made["name"])
        async with asyncio.timeout(10):
            while True:
                try:
                    await asyncio.to_thread(api.get_server, context, made["name"])
                except oslo_messaging.RemoteError as error:
                    assert error.value.startswith("NOT_FOUND")  # noqa: PT017 - the loop ends with it
                    break
                await asyncio.sleep(0.02)
    finally:
        transport.cleanup()
