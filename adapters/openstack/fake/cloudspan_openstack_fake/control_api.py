"""`/_control` over HTTP: what `Control` offers to Python, for demos, compose and other processes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan_common.testing import FakeClock
from cloudspan_openstack_fake.wire import Call, Refused, Reply, Routes, empty, reply

if TYPE_CHECKING:
    from cloudspan_openstack_fake.control import Control


class ControlApi:
    """Handlers of `/_control`; everything but the passing of time, which must be awaited."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self.routes = Routes()
        self.routes.add_all(
            {
                "GET /": self._state,
                "GET /faults": self._faults,
                "POST /faults": self._add_fault,
                "DELETE /faults": self._clear_faults,
                "DELETE /faults/{id}": self._remove_fault,
                "GET /requests": self._requests,
                "DELETE /requests": self._clear_requests,
                "POST /seed": self._seed,
                "POST /quota": self._quota,
                "POST /timing": self._timing,
                "POST /tokens/revoke": self._revoke,
                "POST /cell": self._cell,
            }
        )

    async def answer(self, call: Call) -> Reply:
        """Answer one control call; errors are plain JSON."""
        try:
            if (call.method, call.path) == ("POST", "/time"):
                return await self._time(call)
            found = self.routes.find(call.method, call.path)
            if found is None:
                return reply({"error": f"no such control: {call.method} /_control{call.path}"}, 404)
            handler, call.params = found
            return handler(call)
        except Refused as refused:
            return reply({"error": refused.message}, refused.status)
        except (TypeError, ValueError, KeyError) as error:
            # A rule or count that does not fit: the text names the field.
            return reply({"error": f"{type(error).__name__}: {error}"}, 400)

    def _state(self, call: Call) -> Reply:
        store = self._control.store
        tables = (
            "servers",
            "images",
            "networks",
            "subnets",
            "ports",
            "routers",
            "floating_ips",
            "volumes",
            "snapshots",
        )
        return reply({"name": store.name, "now": store.now(), **{name: len(getattr(store, name)) for name in tables}})

    def _faults(self, call: Call) -> Reply:
        return reply({"faults": [rule.document() for rule in self._control.faults.rules()]})

    def _add_fault(self, call: Call) -> Reply:
        return reply({"fault": self._control.fault(**call.document()).document()}, 201)

    def _clear_faults(self, call: Call) -> Reply:
        self._control.clear_faults()
        return empty()

    def _remove_fault(self, call: Call) -> Reply:
        if not self._control.faults.remove(call.params["id"]):
            raise Refused(404, f"no fault {call.params['id']}")
        return empty()

    def _requests(self, call: Call) -> Reply:
        found = self._control.requests(call.one("service"), call.one("method"), call.one("path"))
        return reply({"requests": [request.document() for request in found]})

    def _clear_requests(self, call: Call) -> Reply:
        self._control.clear_requests()
        return empty()

    async def _time(self, call: Call) -> Reply:
        if not isinstance(self._control.store.clock, FakeClock):
            raise Refused(409, "the cloud runs on real time")
        await self._control.advance(float(call.document()["advance"]))
        return reply({"now": self._control.store.now()})

    def _seed(self, call: Call) -> Reply:
        made = self._control.seed(**call.document())
        return reply({"seeded": {kind: len(ids) for kind, ids in made.items()}}, 201)

    def _quota(self, call: Call) -> Reply:
        asked: dict[str, Any] = call.document()
        self._control.set_quota(asked["service"], asked.get("project", "demo"), **asked["limits"])
        return empty()

    def _timing(self, call: Call) -> Reply:
        self._control.set_timing(**call.document())
        return reply(dataclasses.asdict(self._control.store.timing))

    def _revoke(self, call: Call) -> Reply:
        self._control.revoke_tokens(msgspec.json.decode(call.raw or b"{}").get("user", ""))
        return empty()

    def _cell(self, call: Call) -> Reply:
        asked = call.document()
        self._control.set_cell_down(bool(asked["down"]), int(asked.get("every", 1)))
        return empty()
