"""The fake cloud as a running HTTP server: one port, the API under `/zstack`, faults on the way.

    async with FakeCloud("zeta", clock=clock) as cloud:
        ... cloud.endpoint, cloud.credentials("demo"), cloud.control

Tests start it in process, `__main__` as a program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.clock import SystemClock
from cloudspan_kit.fakes.faults import NOT_CARRIED_OUT, REFUSALS, SILENT
from cloudspan_kit.fakes.serving import FakeServer
from cloudspan_zstack_fake import seed, tamper
from cloudspan_zstack_fake.building import Building
from cloudspan_zstack_fake.control import Control
from cloudspan_zstack_fake.control_api import ControlApi
from cloudspan_zstack_fake.faults import Kind
from cloudspan_zstack_fake.store import Settings, Timing
from cloudspan_zstack_fake.wire import Call, Reply, text

if TYPE_CHECKING:
    from aiohttp import web

    from cloudspan_common.clock import Clock
    from cloudspan_zstack_fake.faults import Fault

_CONTEXT = "/zstack"


class FakeCloud(FakeServer):
    """One ZStack installation, in memory."""

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
            name, clock or SystemClock(), timing or Timing(), settings or Settings(), commercial=commercial
        )
        self.store, self._gate = self._building.store, self._building.gate
        super().__init__(self.store, host, port)
        if demo:
            seed.demo(self._building.tools)
        self.control = Control(self._building.tools, self._building.jobs)
        self.control.set_token_ttl(token_ttl_s)
        self._control_api = ControlApi(self.control)

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

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        base = f"{request.scheme}://{request.host}"
        query = list(request.rel_url.query.items())
        path = request.path.removeprefix(_CONTEXT)
        call = Call(request.method, path, query, request.headers, raw, base)
        self.store.timeline.catch_up()
        if request.path.split("/", 2)[1] == "_control":
            return self._response(await self._control_api.answer(call))
        if not request.path.startswith(f"{_CONTEXT}/v1/"):
            return self._response(text(f"no api mapping to {request.method} {request.path}", 404))
        self._gate.identify(call)
        return await self._meet_faults(request, call)

    async def _meet_faults(self, request: web.Request, call: Call) -> web.StreamResponse:
        decisive = await self._sit_out(self.control.faults.match(call))
        if decisive is None:
            answer = self._gate.carry_out(call)
            self.control.journal.note(self.store.now(), call, answer, "")
            return self._response(answer)
        return await self._commit_fault(request, call, decisive)

    async def _commit_fault(self, request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        call.fate = fault
        if fault.kind is Kind.REVOKED_TOKEN:
            session = call.headers.get("Authorization", "").partition(" ")[2]
            self._building.sessions.end("" if fault.scope == "all" else session or "none")
        if fault.kind is Kind.LATE_COMMIT:
            self.store.timeline.after(fault.seconds, lambda: self._commit_late(call))
        answer = Reply(500)
        if fault.kind not in NOT_CARRIED_OUT or fault.carried_out:
            answer = tamper.spoil(fault, self._gate.carry_out(call))
        if fault.kind in REFUSALS:
            answer = tamper.refusal(fault)
        silent = fault.kind in SILENT
        self.control.journal.note(self.store.now(), call, None if silent else answer, fault.kind.value)
        return await self._deliver(request, fault, answer)

    def _commit_late(self, call: Call) -> None:
        """Carry out what was sent before its connection broke; nobody is there to be answered."""
        self._gate.carry_out(call)
