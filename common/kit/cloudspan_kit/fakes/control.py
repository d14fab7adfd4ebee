"""The handle on a fake cloud, as far as it is the same for every platform: faults, the log of requests, time.

A fake's `Control` adds seeding, quotas and what else its platform has to be told from outside.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic

from cloudspan_common.testing import FakeClock
from cloudspan_kit.fakes.faults import FaultBox, RuleT
from cloudspan_kit.fakes.journal import SeenT

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_kit.fakes.journal import RequestLog
    from cloudspan_kit.fakes.serving import World


class CloudControl(Generic[RuleT, SeenT]):
    """What a test or an operator may do to any fake cloud from outside."""

    def __init__(self, store: World, journal: RequestLog[SeenT], make_fault: Callable[..., RuleT]) -> None:
        self.store, self.journal = store, journal
        self.faults: FaultBox[RuleT] = FaultBox()
        self._make_fault = make_fault

    def __repr__(self) -> str:
        return f"<Control of {self.store!r}: {self.faults!r}, {self.journal!r}>"

    def fault(self, kind: str, **rule: Any) -> RuleT:
        """Put a fault in force (fields of `Fault`); return the rule, whose `hits` tells how often it met a call."""
        made = self._make_fault(kind, **rule)
        self.faults.add(made)
        return made

    def clear_faults(self) -> None:
        self.faults.clear()

    def requests(self, service: str = "", method: str = "", path: str = "") -> list[SeenT]:
        """Return the requests so far: of a service, of a method, with a path that a regular expression matches."""
        return self.journal.requests(service, method, path)

    def count(self, service: str = "", method: str = "", path: str = "") -> int:
        return len(self.requests(service, method, path))

    def clear_requests(self) -> None:
        self.journal.clear()

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
        self.store.timing = replace(self.store.timing, **seconds)
