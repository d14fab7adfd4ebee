"""A fake cloud whose answers are altered on their way out, as proxies, odd releases and odd configurations alter them.

`AlteredCloud.alter(path=..., status=404, body=...)` adds a rule; faults of connections are the fake's own business
(`control.fault`). The form of a rule is data, so that an answer seen at a real cloud can be pasted into a test.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from cloudspan_kit.testing.pointers import places, put
from cloudspan_openstack_fake import FakeCloud

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OWN_URL = "@ME@"
# Of an answer's headers, those that its new body makes untrue.
_OF_THE_BODY = ("Content-Length", "Content-Type")


@dataclass(slots=True)
class Alteration:
    """Which answers are altered, and how; `@ME@` in a value stands for the cloud's own URL."""

    path: str
    """A pattern for the whole path behind host and port: `/compute/v2.1/servers/[^/]+`."""
    method: str = ""
    times: int | None = None
    status: int = 0
    """Answered instead of asking the cloud, with `headers` and `body`; 0: the cloud is asked."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = ""
    set: Mapping[str, Any] = field(default_factory=dict)
    """JSON pointer -> value put into the cloud's answer; `*` is every item of a list."""
    delete: Sequence[str] = ()
    """JSON pointers of what is taken out of the answer."""
    raw_sub: Sequence[tuple[str, str]] = ()
    """Texts of the answer -> what stands in their place."""
    to_path: str = ""
    drop_params: Sequence[str] = ()
    add_params: Sequence[tuple[str, str]] = ()
    sleep: float = 0.0
    """Seconds before the answer."""
    hits: int = 0

    def meets(self, request: web.Request) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        return self.method in ("", request.method) and re.fullmatch(self.path, request.path) is not None

    def asked(self, request: web.Request) -> web.Request:
        """Return the request that reaches the cloud."""
        query = [(name, value) for name, value in request.query.items() if name not in self.drop_params]
        url = request.rel_url.with_path(self.to_path or request.path).with_query([*query, *self.add_params])
        return request.clone(rel_url=url)

    def reply(self, own_url: str) -> web.Response:
        """Return what is answered instead of the cloud."""
        is_text = isinstance(self.body, str)
        text = self.body if is_text else json.dumps(self.body)
        told = {"Content-Type": "text/html" if is_text else "application/json", **self.headers}
        headers = {name: value.replace(_OWN_URL, own_url) for name, value in told.items()}
        return web.Response(status=self.status, text=text.replace(_OWN_URL, own_url), headers=headers)

    def altered(self, body: bytes, own_url: str) -> bytes:
        """Return the cloud's body as it leaves."""
        if self.set or self.delete:
            document = json.loads(body)
            for pointer, value in self.set.items():
                put(document, pointer, json.loads(json.dumps(value).replace(_OWN_URL, own_url)))
            for holder, key in (place for pointer in self.delete for place in places(document, pointer)):
                del holder[key]
            body = json.dumps(document).encode()
        for old, new in self.raw_sub:
            body = body.replace(old.encode(), new.replace(_OWN_URL, own_url).encode())
        return body


class AlteredCloud(FakeCloud):
    """A `FakeCloud` with alterations; the first that answers by itself decides, all others add up."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._alterations: list[Alteration] = []
        self.seen: list[tuple[str, str, Mapping[str, str]]] = []
        """(method, path, headers) of each request, those answered by alterations included."""

    def alter(self, path: str, **how: Any) -> Alteration:
        """Put an alteration in force (fields of `Alteration`)."""
        made = Alteration(path, **how)
        self._alterations.append(made)
        return made

    def count(self, method: str, path: str) -> int:
        """Return how many requests came whose whole path matches."""
        return sum(m == method and re.fullmatch(path, p) is not None for m, p, _ in self.seen)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path, request.headers))
        met = [rule for rule in self._alterations if rule.meets(request)]
        for rule in met:
            rule.hits += 1
            await asyncio.sleep(rule.sleep)
            if rule.status:
                return rule.reply(self.base_url)
            request = rule.asked(request)
        response = await super()._handle(request)
        if not met or not isinstance(response, web.Response) or not isinstance(response.body, bytes):
            return response
        body = response.body
        for rule in met:
            body = rule.altered(body, self.base_url)
        kept = {name: value for name, value in response.headers.items() if name not in _OF_THE_BODY}
        return web.Response(status=response.status, body=body, content_type=response.content_type, headers=kept)
