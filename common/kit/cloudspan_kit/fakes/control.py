"""The handle on a fake cloud, in Python and at `/_control`: faults, the log of requests, time, seeding.

A fake's `Control` adds quotas and what else its platform has to be told from outside.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import msgspec

from cloudspan_common.testing import FakeClock
from cloudspan_kit.fakes.faults import FaultBox, RuleT
from cloudspan_kit.fakes.journal import SeenT
from cloudspan_kit.fakes.wire import Json, Reply, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudspan_kit.fakes.journal import RequestLog
    from cloudspan_kit.fakes.serving import World
    from cloudspan_kit.fakes.wire import Call

    Command = Callable[..., "Json | None"]
    """Takes the members of the body and of the query by name; None is answered as 204."""

_CREATES = frozenset({"POST faults", "POST seed"})


class CloudControl(Generic[RuleT, SeenT]):
    """What a test or an operator may do to any fake cloud from outside."""

    bulk: ClassVar[Mapping[str, Callable[..., list[str]]]] = {}
    """What can be seeded: of each kind, what adds a number of rows to a project."""

    def __init__(
        self, store: World, journal: RequestLog[SeenT], make_fault: Callable[..., RuleT], tools: Any = None
    ) -> None:
        self.store, self.journal = store, journal
        self.faults: FaultBox[RuleT] = FaultBox()
        self._make_fault, self._tools = make_fault, tools

    def __repr__(self) -> str:
        return f"<Control of {self.store!r}: {self.faults!r}, {self.journal!r}>"

    def commands(self) -> dict[str, Command]:
        """Return what `/_control` serves, by method and path."""
        return {
            "GET ": lambda: {"now": self.store.now(), **self.counts()},
            "GET faults": lambda: {"faults": [rule.document() for rule in self.faults.rules()]},
            "POST faults": lambda **rule: {"fault": self.fault(**rule).document()},
            "DELETE faults": self._remove_faults,
            "GET requests": lambda **wanted: {"requests": [r.document() for r in self.requests(**wanted)]},
            "DELETE requests": self.clear_requests,
            "POST seed": lambda **asked: {"seeded": {kind: len(ids) for kind, ids in self.seed(**asked).items()}},
            "POST timing": self._set_timing,
        }

    def counts(self) -> Json:
        """Return how many rows of each kind there are."""
        return {}

    def fault(self, kind: str, **rule: Any) -> RuleT:
        """Put a fault in force (fields of `Fault`); return the rule, whose `hits` tells how often it met a call."""
        made = self._make_fault(kind, **rule)
        self.faults.add(made)
        return made

    def clear_faults(self) -> None:
        self.faults.clear()

    def requests(self, service: str = "", method: str = "", path: str = "", **more: str) -> list[SeenT]:
        """Return the requests so far: of a service, of a method, with a path that a regular expression matches."""
        return self.journal.requests(service, method, path, **more)

    def count(self, service: str = "", method: str = "", path: str = "", **more: str) -> int:
        return len(self.requests(service, method, path, **more))

    def clear_requests(self) -> None:
        self.journal.clear()

    def seed(self, project: str = "demo", **counts: int) -> dict[str, list[str]]:
        """Add rows of some kinds to a project; return their ids by kind."""
        return {kind: self.seed_kind(kind, count, project) for kind, count in counts.items()}

    def seed_kind(self, kind: str, count: int, project: str = "demo", **options: bool) -> list[str]:
        """Add rows of one kind; return their ids."""
        if kind not in self.bulk:
            raise ValueError(f"cannot seed {kind!r}; {', '.join(self.bulk)} can be")
        return self.bulk[kind](self._tools, count, project, **options)

    async def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            TypeError: The cloud runs on real time.
        """
        clock = self.store.clock
        if not isinstance(clock, FakeClock):
            raise TypeError("the cloud runs on real time; start it with a FakeClock to advance it")
        await clock.advance(seconds)
        self.store.timeline.catch_up()

    def set_timing(self, **seconds: float) -> None:
        """Change how long the cloud's own work takes from now on (fields of `Timing`)."""
        self.store.timing = dataclasses.replace(self.store.timing, **seconds)

    def _set_timing(self, **seconds: float) -> Json:
        self.set_timing(**seconds)
        return dataclasses.asdict(self.store.timing)

    def _remove_faults(self, id: str = "") -> None:  # noqa: A002 - the name of the rule's field
        if not id:
            self.clear_faults()
        elif not self.faults.remove(id):
            raise LookupError(f"no fault {id}")

    async def answer(self, call: Call, path: str) -> Reply:
        """Answer a call below `/_control`; errors are plain JSON."""
        try:
            asked = dict(call.query) | msgspec.json.decode(call.raw or b"{}", type=dict[str, Any])
            if (call.method, path) == ("POST", "time"):
                return await self._pass_time(float(asked["advance"]))
            return self._command(call.method, path, asked)
        except (TypeError, ValueError, KeyError, AttributeError, msgspec.DecodeError) as error:
            # A rule or count that does not fit: the text names the field.
            return reply({"error": f"{type(error).__name__}: {error}"}, 400)
        except LookupError as error:
            return reply({"error": str(error)}, 404)

    async def _pass_time(self, seconds: float) -> Reply:
        if not isinstance(self.store.clock, FakeClock):
            return reply({"error": "the cloud runs on real time"}, 409)
        await self.advance(seconds)
        return reply({"now": self.store.now()})

    def _command(self, method: str, path: str, asked: Json) -> Reply:
        head, _, row_id = path.partition("/")
        if head == "faults" and row_id:
            path, asked["id"] = head, row_id
        command = self.commands().get(name := f"{method} {path}")
        if command is None:
            raise LookupError(f"no such control: {method} /_control/{path}")
        answer = command(**asked)
        return Reply(204) if answer is None else reply(answer, 201 if name in _CREATES else 200)
