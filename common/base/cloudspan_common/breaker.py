"""A circuit breaker: stop asking a far side that is ill, probe it with growing pauses, trust it again slowly.

Adapters' sessions guard native calls with `Breaker.call`, one breaker per endpoint; `tokens` paces logins with
the bare `failed` / `succeeded` / `retry_after_s`.
"""

from __future__ import annotations

import contextlib
import enum
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_common.errors import Cancelled, CloudspanError, OutOfTime, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudspan_common.clock import Clock

_JITTER = 0.1  # pauses vary by +-10 %, so that many processes do not probe in step


class BreakerState(enum.StrEnum):
    """What a breaker does with the next call."""

    CLOSED = "closed"
    """Lets it pass."""
    OPEN = "open"
    """Refuses it until the pause is over."""
    HALF_OPEN = "half-open"
    """Lets one probe pass at a time."""


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When to open, how long to pause, when to trust again."""

    open_after: int = 5
    """Failures in a row that open it."""
    close_after: int = 2
    """Successful probes in a row that close it; more than one, since a failing server still answers now and then."""
    pause_s: float = 1.0
    """First pause; doubles at each failed probe: 1, 2, 4, ... s."""
    max_pause_s: float = 60.0
    """Longest pause."""
    silence_s: float = 5.0
    """A call that ran out of time counts as a failure only if the far side was silent this long."""


class Breaker:
    """Closed, open or half-open, by what the far side's answers say about its health.

    The doubled pause is forgotten only after the breaker stayed closed for as long as that pause: a far side
    that flaps is probed ever more rarely.
    """

    def __init__(
        self, name: str, clock: Clock, settings: BreakerSettings | None = None, rng: random.Random | None = None
    ) -> None:
        self._name = name
        self._clock = clock
        self._settings = settings or BreakerSettings()
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._failures = 0
        self._probes_passed = 0
        self._probing = False
        self._opens_again_at: float | None = None  # None while closed
        self._closed_at = clock.monotonic()
        self._pause_s = 0.0

    def __repr__(self) -> str:
        detail = {
            BreakerState.CLOSED: f"{self._failures} of {self._settings.open_after} failures",
            BreakerState.OPEN: f"{self.retry_after_s():.0f} s left",
            BreakerState.HALF_OPEN: f"{self._probes_passed} of {self._settings.close_after} probes passed",
        }
        return f"<Breaker {self._name}: {self.state} | {detail[self.state]}>"

    @property
    def state(self) -> BreakerState:
        if self._opens_again_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.retry_after_s() > 0 else BreakerState.HALF_OPEN

    def retry_after_s(self) -> float:
        """Return how long no call will pass; 0 if one may pass now, as a probe at least."""
        if self._opens_again_at is None:
            return 0.0
        return max(0.0, self._opens_again_at - self._clock.monotonic())

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Guard one native call, awaits included; wait for tokens and slots outside of it.

        Only errors that say the far side is ill count: `Unreachable`, and `OutOfTime` after `silence_s`. Any other
        CloudspanError is an answer, hence a sign of health; foreign errors and cancellation say nothing.

        Raises:
            Unreachable: The breaker is open, or half-open with a probe under way; `retry_after_s` says until when.
        """
        probe = self._admit()
        started = self._clock.monotonic()
        try:
            yield
        except CloudspanError as error:
            self._learn(error, self._clock.monotonic() - started, probe=probe)
            raise
        else:
            self._learn(None, 0.0, probe=probe)
        finally:
            if probe:
                self._probing = False

    def failed(self, *, at_least_s: float = 0.0) -> None:
        """Count a failure; opens, or opens again for twice as long. The far side may ask for `at_least_s`."""
        self._failures += 1
        self._probes_passed = 0
        if self.state is BreakerState.OPEN:
            self._opens_again_at = max(self._opens_again_at or 0.0, self._clock.monotonic() + at_least_s)
        elif self.state is BreakerState.HALF_OPEN or self._failures >= self._settings.open_after:
            self._open(at_least_s)

    def succeeded(self) -> None:
        """Count a success; closes after enough of them in half-open."""
        self._failures = 0
        if self.state is BreakerState.HALF_OPEN:
            self._probes_passed += 1
            if self._probes_passed >= self._settings.close_after:
                self._opens_again_at = None
                self._closed_at = self._clock.monotonic()

    def _open(self, at_least_s: float) -> None:
        settings, now = self._settings, self._clock.monotonic()
        if self._opens_again_at is None and now - self._closed_at >= self._pause_s:
            self._pause_s = 0.0
        self._pause_s = min(max(settings.pause_s, self._pause_s * 2), settings.max_pause_s)
        jitter = 1 + _JITTER * (2 * self._rng.random() - 1)
        self._opens_again_at = now + max(self._pause_s * jitter, at_least_s)

    def _admit(self) -> bool:
        """Return whether the call is a probe; raise if it may not pass."""
        state = self.state
        if state is BreakerState.CLOSED:
            return False
        if state is BreakerState.OPEN or self._probing:
            wait = self.retry_after_s() or self._settings.pause_s
            raise Unreachable(
                f"{self._name} failed repeatedly and is not asked for {wait:.1f} s more; retry then.",
                reason="BREAKER_OPEN",
                retry_after_s=wait,
            )
        self._probing = True
        return True

    def _learn(self, error: CloudspanError | None, took_s: float, *, probe: bool) -> None:
        if not probe and self.state is not BreakerState.CLOSED:
            return  # began before the breaker opened: old news
        if isinstance(error, Unreachable):
            self.failed(at_least_s=error.retry_after_s or 0.0)
        elif isinstance(error, OutOfTime):
            # A caller in a hurry must not cut everyone else off.
            if took_s >= self._settings.silence_s:
                self.failed()
        elif not isinstance(error, Cancelled):
            self.succeeded()
