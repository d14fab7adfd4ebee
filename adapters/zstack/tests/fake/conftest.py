"""A fake cloud on a clock that stands still, and the plainest client there is: it knows HTTP, JSON and the header."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from cloudspan_common.testing import FakeClock
from cloudspan_zstack_fake import FakeCloud
from cloudspan_zstack_fake.seed import PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Json = dict[str, Any]


def sha512(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()


class Answer:
    """Status, text and, where there is any, JSON of an answer."""

    def __init__(self, status: int, text: str, document: Any) -> None:
        self.status, self.text, self.document = status, text, document

    @property
    def error(self) -> Json:
        return self.document["error"]

    @property
    def row(self) -> Json:
        return self.document["inventory"]

    @property
    def rows(self) -> list[Json]:
        return self.document["inventories"]

    def codes(self) -> list[str]:
        """Return the error's codes from the outermost to the most specific."""
        codes, error = [], self.error
        while error:
            codes.append(error["code"])
            error = error.get("cause")
        return codes


class Client:
    """Speaks to one fake cloud as one account."""

    def __init__(self, cloud: FakeCloud, http: aiohttp.ClientSession) -> None:
        self.cloud, self.http, self.session = cloud, http, ""

    async def send(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """Send one request and return its answer as it is."""
        headers = {"Authorization": f"OAuth {self.session}"} if self.session else {}
        headers |= more.pop("headers", {})
        async with self.http.request(
            method, f"{self.cloud.endpoint}/v1{path}", json=body, headers=headers, **more
        ) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            answer = Answer(response.status, text, await response.json() if is_json else None)
        if answer.status == 200 and answer.document:
            self._check(answer.document)
        return answer

    def _check(self, document: Json) -> None:
        """An answer must hold nothing that the reference does not name, whatever the test is about."""
        reference = self.cloud._building.gate._reference
        last = self.cloud.control.requests()[-1]
        name = last.call if last.service != "job" else self.cloud.control.jobs.call_of(last.path[-32:])
        api = reference.calls[name]
        assert set(document) <= set(api.response) | {"schema"}, name
        if api.response.get("inventories") == "map":
            return
        row = document.get("inventory")
        for one in document.get("inventories", [row] if isinstance(row, dict) else []):
            assert set(one) <= set(reference.inventories[api.inventory]), name

    async def log_in(self, account: str = "demo", password: str = PASSWORD) -> Answer:
        body = {"logInByAccount": {"accountName": account, "password": sha512(password)}}
        answer = await self.send("PUT", "/accounts/login", body)
        if answer.status == 200:
            self.session = answer.row["uuid"]
        return answer

    async def run(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """Send an asynchronous call, let its time pass, return what its job answers."""
        accepted = await self.send(method, path, body, **more)
        assert accepted.status == 202, accepted.text
        await self.cloud.control.advance(1)
        return await self.poll(accepted)

    async def poll(self, accepted: Answer) -> Answer:
        return await self.send("GET", f"/api-jobs/{accepted.document['location'].rpartition('/')[2]}")

    async def made(self, method: str, path: str, body: Any = None, **more: Any) -> Json:
        """Run an asynchronous call that must succeed; return its inventory."""
        answer = await self.run(method, path, body, **more)
        assert answer.status == 200, answer.text
        return answer.document.get("inventory", {})

    async def rows(self, path: str, *conditions: str, **params: str) -> list[Json]:
        query = [("q", condition) for condition in conditions] + list(params.items())
        answer = await self.send("GET", path, params=query)
        assert answer.status == 200, answer.text
        return answer.rows

    async def named(self, path: str, name: str) -> Json:
        (row,) = await self.rows(path, f"name={name}")
        return row

    async def new_vm(self, **params: Any) -> Json:
        """Create a VM on the private network."""
        tags = params.pop("systemTags", [])
        given: Json = {
            "name": "vm",
            "instanceOfferingUuid": (await self.named("/instance-offerings", "small"))["uuid"],
            "imageUuid": (await self.named("/images", "ubuntu-24.04"))["uuid"],
            "l3NetworkUuids": [(await self.named("/l3-networks", "private"))["uuid"]],
        }
        return await self.made("POST", "/vm-instances", {"params": given | params, "systemTags": tags})


@pytest.fixture
async def cloud() -> AsyncIterator[FakeCloud]:
    async with FakeCloud("zeta", clock=FakeClock(), demo=True) as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def anonymous(cloud: FakeCloud, http: aiohttp.ClientSession) -> Client:
    return Client(cloud, http)


@pytest.fixture
async def demo(cloud: FakeCloud, http: aiohttp.ClientSession) -> Client:
    client = Client(cloud, http)
    await client.log_in()
    return client


@pytest.fixture
async def admin(cloud: FakeCloud, http: aiohttp.ClientSession) -> Client:
    client = Client(cloud, http)
    await client.log_in("admin")
    return client
