"""The fake cloud as a running HTTP server: one port, the API under `/zstack`, faults on the way.

    async with FakeCloud("zeta", clock=clock) as cloud:
        ... cloud.endpoint, cloud.credentials("demo"), cloud.control

Tests start it in process, `__main__` as a program.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cloudspan_common.clock import SystemClock
from cloudspan_kit.fakes.serving import FakeServer
from cloudspan_zstack_fake import seed
from cloudspan_zstack_fake.building import Building
from cloudspan_zstack_fake.control import Control
from cloudspan_zstack_fake.faults import Fault
from cloudspan_zstack_fake.store import Settings, Timing
from cloudspan_zstack_fake.wire import Call, text

if TYPE_CHECKING:
    from aiohttp import web

    from cloudspan_common.clock import Clock
    from cloudspan_kit.fakes.wire import Json, Reply

_CONTEXT = "/zstack"


class FakeCloud(FakeServer[Call, Fault]):
    """One ZStack installation, in memory."""

    control: Control

    def __init__(  # noqa: PLR0913 - all optional, named, and told apart by their names
        self,
        name: str = "fake",
        *,
        clock: Clock | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        token_ttl_s: float = 7200.0,
        timing: Timing | None = None,
        settings: Settings | None = None,
        demo: bool = False,
        commercial: bool = True,
    ) -> None:
        self.name = name
        self._building = Building(
            name, clock or SystemClock(), timing or Timing(), replace(settings or Settings(), commercial=commercial)
        )
        self.store, self._gate = self._building.store, self._building.gate
        super().__init__(self.store, host, port)
        if demo:
            seed.demo(self._building.tools)
        self.control = Control(self._building.tools, self._building.jobs)
        self.control.set_token_ttl(token_ttl_s)

    def __repr__(self) -> str:
        return f"<FakeCloud {self.name} at {self.endpoint if self._runner else 'rest'}>"

    @property
    def endpoint(self) -> str:
        """The API's address as an operator configures it, context path and all."""
        return f"{self.base_url}{_CONTEXT}"

    def credentials(self, account: str = "demo") -> tuple[str, str]:
        """Return name and clear password of an account (admin, demo, demo2)."""
        seed.account_uuid(self.store, account)
        return account, seed.PASSWORD

    def served(self) -> list[str]:
        """Return the names of the calls that have handlers."""
        return sorted(self._building.handlers)

    def _read(self, request: web.Request, raw: bytes) -> Call:
        base = f"{request.scheme}://{request.host}"
        query = list(request.rel_url.query.items())
        return Call("", request.method, request.path.removeprefix(_CONTEXT), query, request.headers, raw, base)

    def _turn_away(self, request: web.Request, call: Call) -> Reply | None:
        if not request.path.startswith(f"{_CONTEXT}/v1/"):
            return text(f"no api mapping to {request.method} {request.path}", 404)
        self._gate.identify(call)
        return None

    def _carry_out(self, call: Call) -> Reply:
        return self._gate.carry_out(call)

    async def _commit_fault(self, request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        call.fate = fault
        return await super()._commit_fault(request, call, fault)

    def _native_error(self, call: Call, status: int) -> Reply:
        return text("java.lang.NullPointerException: null", status)

    def _revoke(self, call: Call, *, everyone: bool) -> None:
        session = call.headers.get("Authorization", "").partition(" ")[2]
        self._building.sessions.end("" if everyone else session or "none")

    def _spoil_page(self, kind: str, call: Call, document: Json) -> None:
        rows = document.get("inventories", [])
        document["inventories"] = rows[: len(rows) // 2]
