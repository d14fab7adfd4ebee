"""What the tests of the fake cloud share: a cloud on a clock that stands still, and a client that has logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from cloudspan_common.testing import FakeClock
from cloudspan_openstack_fake import FakeCloud, Timing
from cloudspan_openstack_fake.seed import PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Client:
    """Native calls with a token, answered as (status, document or text, headers)."""

    def __init__(self, cloud: FakeCloud, http: aiohttp.ClientSession) -> None:
        self.cloud, self.http, self.token = cloud, http, ""

    async def login(self, user: str = "demo", password: str = PASSWORD, **scope: Any) -> tuple[int, Any, Any]:
        who = {"name": user, "domain": {"name": "Default"}, "password": password}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
        auth["scope"] = scope or {"project": {"name": user, "domain": {"name": "Default"}}}
        return await self.auth(auth)

    async def auth(self, auth: dict[str, Any]) -> tuple[int, Any, Any]:
        status, document, headers = await self("POST", "/identity/v3/auth/tokens", {"auth": auth})
        self.token = headers.get("X-Subject-Token", self.token)
        return status, document, headers

    async def __call__(
        self, method: str, path: str, body: Any = None, version: str = "", **headers: str
    ) -> tuple[int, Any, Any]:
        sent = {"X-Auth-Token": self.token, **headers}
        if version:
            sent["OpenStack-API-Version"] = version
        url = path if path.startswith("http") else self.cloud.base_url + path
        async with self.http.request(method, url, json=body, headers=sent, allow_redirects=False) as answer:
            is_json = answer.content_type == "application/json"
            text = await answer.text()
            document = await answer.json() if is_json and text else text
            return answer.status, document, answer.headers

    async def nova(self, method: str, path: str, body: Any = None, minor: int = 93) -> tuple[int, Any, Any]:
        return await self(method, f"/compute/v2.1{path}", body, f"compute 2.{minor}")

    async def neutron(self, method: str, path: str, body: Any = None) -> tuple[int, Any, Any]:
        return await self(method, f"/network/v2.0{path}", body)

    async def cinder(self, method: str, path: str, body: Any = None, minor: int = 70) -> tuple[int, Any, Any]:
        return await self(method, f"/volume/v3{path}", body, f"volume 3.{minor}")

    async def glance(self, method: str, path: str, body: Any = None) -> tuple[int, Any, Any]:
        return await self(method, f"/image/v2{path}", body)

    async def boot(self, name: str = "vm", minor: int = 93, **more: Any) -> str:
        """Create a server on the private network; return its id once it is ACTIVE."""
        body = {
            "name": name,
            "flavorRef": "1",
            "imageRef": await self.image(),
            "networks": [{"uuid": await self.private()}],
        }
        status, document, _ = await self.nova("POST", "/servers", {"server": body | more}, minor)
        assert status == 202, document
        await self.cloud.control.advance(1)
        return str(document["server"]["id"])

    async def image(self) -> str:
        return str((await self.glance("GET", "/images?name=cirros"))[1]["images"][0]["id"])

    async def private(self) -> str:
        return str((await self.neutron("GET", "/networks?name=private"))[1]["networks"][0]["id"])


@pytest.fixture
async def cloud() -> AsyncIterator[FakeCloud]:
    async with FakeCloud("test", clock=FakeClock(), timing=Timing()) as running:
        yield running


@pytest.fixture
async def client(cloud: FakeCloud) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        made = Client(cloud, http)
        await made.login()
        yield made
