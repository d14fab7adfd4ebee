"""`/_control` over HTTP: what `Control` offers to Python, for demos, compose and other processes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cloudspan_common.testing import FakeClock
from cloudspan_zstack_fake.wire import BadRequest, Call, Reply, reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_zstack_fake.control import Control


class ControlApi:
    """Handlers of `/_control`; everything but the passing of time, which must be awaited."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._routes: dict[tuple[str, str], Callable[[Call], Reply]] = {
            ("GET", ""): self._state,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "requests"): self._requests,
            ("DELETE", "requests"): self._clear_requests,
            ("POST", "seed"): self._seed,
            ("POST", "quota"): self._quota,
            ("POST", "timing"): self._timing,
            ("POST", "installation"): self._installation,
            ("POST", "tokens/revoke"): self._revoke,
            ("POST", "hosts"): self._hosts,
            ("DELETE", "jobs"): self._forget_jobs,
        }

    async def answer(self, call: Call) -> Reply:
        """Answer one control call; errors are plain JSON."""
        tail = call.path.removeprefix("/_control").strip("/")
        try:
            if (call.method, tail) == ("POST", "time"):
                return await self._time(call)
            if call.method == "DELETE" and tail.startswith("faults/"):
                return self._remove_fault(tail.removeprefix("faults/"))
            return self._routes.get((call.method, tail), _unknown)(call)
        except BadRequest as bad:
            return reply({"error": bad.text}, bad.status)
        except (TypeError, ValueError, KeyError) as error:
            # A rule or count that does not fit: the text names the field.
            return reply({"error": f"{type(error).__name__}: {error}"}, 400)

    def _state(self, call: Call) -> Reply:
        store = self._control.store
        counts = {kind: len(table) for kind, table in store.tables.items()}
        return reply({"name": store.name, "now": store.now(), **counts})

    def _faults(self, call: Call) -> Reply:
        return reply({"faults": [rule.document() for rule in self._control.faults.rules()]})

    def _add_fault(self, call: Call) -> Reply:
        return reply({"fault": self._control.fault(**call.document()).document()}, 201)

    def _clear_faults(self, call: Call) -> Reply:
        self._control.clear_faults()
        return Reply(204)

    def _remove_fault(self, fault_id: str) -> Reply:
        if not self._control.faults.remove(fault_id):
            raise BadRequest(f"no fault {fault_id}", 404)
        return Reply(204)

    def _requests(self, call: Call) -> Reply:
        found = self._control.requests(call.one("service"), call.one("method"), call.one("path"), call.one("call"))
        return reply({"requests": [request.document() for request in found]})

    def _clear_requests(self, call: Call) -> Reply:
        self._control.clear_requests()
        return Reply(204)

    async def _time(self, call: Call) -> Reply:
        if not isinstance(self._control.store.clock, FakeClock):
            raise BadRequest("the cloud runs on real time", 409)
        await self._control.advance(float(call.document()["advance"]))
        return reply({"now": self._control.store.now()})

    def _seed(self, call: Call) -> Reply:
        made = self._control.seed(**call.document())
        return reply({"seeded": {kind: len(uuids) for kind, uuids in made.items()}}, 201)

    def _quota(self, call: Call) -> Reply:
        asked = call.document()
        self._control.set_quota(asked.get("project", "demo"), **asked["limits"])
        return Reply(204)

    def _timing(self, call: Call) -> Reply:
        self._control.set_timing(**call.document())
        return reply(dataclasses.asdict(self._control.store.timing))

    def _installation(self, call: Call) -> Reply:
        self._control.set_installation(**call.document())
        return reply(dataclasses.asdict(self._control.store.settings))

    def _revoke(self, call: Call) -> Reply:
        self._control.revoke_tokens(call.document().get("user", ""))
        return Reply(204)

    def _hosts(self, call: Call) -> Reply:
        asked = call.document()
        self._control.set_host_down(bool(asked["down"]), asked.get("name", ""))
        return Reply(204)

    def _forget_jobs(self, call: Call) -> Reply:
        self._control.jobs.forget()
        return Reply(204)


def _unknown(call: Call) -> Reply:
    raise BadRequest(f"no such control: {call.method} {call.path}", 404)
