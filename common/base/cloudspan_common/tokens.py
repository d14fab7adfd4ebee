"""Keep one cluster's token alive: one login however many callers, renewed ahead of need, never shown.

An adapter's session asks its `TokenKeeper` for a token before each native call and reports with `retire` a
401. The platform's part is an `Issuer`. When a cluster's credentials change, the keeper of the old ones hands over to
that of the new ones.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import random
from typing import TYPE_CHECKING, Any, TypeVar

from cloudspan_common.breaker import Breaker
from cloudspan_common.clock import ServerClock, finished
from cloudspan_common.errors import (
    CloudspanError,
    Defect,
    Forbidden,
    LoginRefused,
    OutOfTime,
    PlatformFault,
    Unreachable,
)
from cloudspan_common.token_values import EventHook, IssuedToken, Issuer, Token, TokenKey, TokenSettings, TokenState

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from cloudspan_common.clock import Clock

__all__ = [
    "EventHook",
    "IssuedToken",
    "Issuer",
    "Token",
    "TokenKeeper",
    "TokenKey",
    "TokenSettings",
    "TokenState",
]

_T = TypeVar("_T")
_YOUNG_S = 2.0
# Keystone revokes by the second: a token issued in the second of a revocation is dead, 1.2 s later it is fine.
_REVOCATION_S = 1.2
_DAY_S = 86_400.0  # longest single sleep; some loops can't take an infinite one


def _silent(_event: str, /, **_fields: object) -> None:
    """The hook of a keeper that nobody listens to."""


class TokenKeeper:
    """The token of one (cluster, credential revision, scope), for one event loop."""

    def __init__(
        self,
        issuer: Issuer,
        key: TokenKey,
        *,
        clock: Clock,
        rng: random.Random | None = None,
        settings: TokenSettings | None = None,
        on_event: EventHook = _silent,
    ) -> None:
        self.key = key
        self._issuer = issuer
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._settings = settings or TokenSettings()
        self._on_event = on_event
        self._server = ServerClock(clock)
        self._make_breakers()
        self._token: Token | None = None
        self._good_until = 0.0  # by our wall clock, margin and skew taken off: all that the fast path compares
        self._half_life_s = self._obtained = self._renew_at = 0.0  # _obtained is monotonic, _renew_at server time
        self._superseded: list[Token] = []
        self._wait_before_login = self._born_after_wait = False
        self._login: asyncio.Task[Token | CloudspanError] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._closed = False
        self._successor: TokenKeeper | None = None
        self._serials = itertools.count(1)
        self._logins = self._renewals = self._failures = 0
        self._last_error: CloudspanError | None = None

    def _make_breakers(self) -> None:
        settings, clock, rng = self._settings, self._clock, self._rng
        self._refused = Breaker(f"login to {self.key}", clock, settings.refused, rng)
        self._failed = Breaker(f"login to {self.key}", clock, settings.failed, rng)
        self._rejected = Breaker(f"tokens of {self.key}", clock, settings.rejected, rng)

    def __repr__(self) -> str:
        state = self.state()
        held = "no token" if state.age_s is None else f"{state.age_s:.0f} s old, {state.expires_in_s:.0f} s left"
        counts = f"logins {state.logins}, failures {state.failures}"
        held = "closed" if self._closed else f"handed over to {self._successor.key}" if self._successor else held
        return f"<TokenKeeper {self.key}: {held} | {counts} | breaker {state.breaker}>"

    def start(self) -> None:
        """Log in and keep renewing in the background; the first `token` does it too."""
        if self._renewal is None and not self._closed:
            self._renewal = asyncio.create_task(self._keep_fresh(), name=f"renew token of {self.key}")

    def current(self) -> Token | None:
        """Return the token if there is a valid one; never waits, never logs in."""
        if self._clock.now() < self._good_until:
            return self._token
        return self._successor.current() if self._successor else None

    async def token(self, *, min_life_s: float = 0.0, timeout_s: float | None) -> Token:
        """Return a token that lives at least `min_life_s` more; waits only when there is none.

        No more than half of the token's life is ever asked for: more could only be had by a login for every call.

        Raises:
            LoginRefused: The credentials are wrong; while the breaker is open, at once and without a login.
            OutOfTime: `timeout_s` passed first; the login goes on for the others.
            Unreachable: No token and no login, or the keeper was closed; other errors of the login likewise.
        """
        if self._clock.now() + min(min_life_s, self._half_life_s) < self._good_until and self._token is not None:
            return self._token
        return await self._next_token(min_life_s, timeout_s)

    def retire(self, token: Token) -> bool:
        """Tell that `token` met a 401; return whether asking for a token and calling again makes sense.

        Retires exactly that token, so late 401s of an older one change nothing. A 401 on a young token waits out
        the second of the revocation before the next login. If that login's token is rejected too, the service is
        ill and not the token: it stays, and for a while (`TokenSettings.rejected`) 401s retire nothing.
        """
        if self._successor is not None:
            return self._successor.retire(token)
        if self._closed:
            return False
        if token != self._token:
            return True
        if self._rejected.retry_after_s():
            return False
        young = self._clock.monotonic() - self._obtained < _YOUNG_S
        if young and self._born_after_wait:
            self._rejected.failed()
            self._on_event("fresh token rejected", serial=token.serial, pause_s=self._rejected.retry_after_s())
            return False
        self._on_event("token retired", serial=token.serial, young=young)
        self._token, self._good_until = None, 0.0
        self._wait_before_login = young
        self._restart_renewal()
        return True

    def observe_server_date(self, header: str, *, sent_at: float | None = None) -> None:
        """Learn the clock skew from an answer's Date header; `sent_at` (unix) lets a server behind us be seen too."""
        if self._server.observe_date(header, sent_at=sent_at) and self._token is not None:
            self._set_limits(self._token)
            self._restart_renewal()

    def state(self) -> TokenState:
        """Return what may be shown."""
        token, error = self._token, self._last_error
        wait = self._refused.retry_after_s()
        return TokenState(
            age_s=None if token is None else self._clock.monotonic() - self._obtained,
            expires_in_s=None if token is None else token.expires_at - self._server.now(),
            renewals=self._renewals,
            logins=self._logins,
            failures=self._failures,
            last_error="" if error is None else f"{error.reason}: {error.message}",
            breaker=f"open for {wait:.0f} s" if wait else self._refused.state.value,
            skew_s=self._server.skew_s,
            retry_after_s=wait or 0.0,
            is_refused=isinstance(error, LoginRefused | Forbidden),
        )

    def hand_over(self, successor: TokenKeeper) -> None:
        """Give out the successor's tokens from now on: its credentials replace ours, for the same scope.

        So calls under way survive that the old credentials are revoked. Our tokens stay valid until `close`, since
        requests that carry them are still under way; no login is tried with the old credentials any more.
        """
        if self._closed or self._successor is not None:
            return
        self._successor = successor
        if self._renewal is not None:
            self._renewal.cancel()
        if self._token is not None:
            self._superseded.append(self._token)
        self._token, self._good_until = None, 0.0

    async def close(self) -> None:
        """Stop renewing and log out; a logout that fails is an event, not an error."""
        if self._closed:
            return
        self._closed = True
        await _cancelled(self._renewal)
        # A login under way may already have made a session that only we can log out.
        if self._login is not None and not await finished(self._clock, self._login, self._settings.logout_timeout_s):
            await _cancelled(self._login)
        tokens = [*self._superseded, *([self._token] if self._token else [])]
        self._token, self._good_until, self._superseded = None, 0.0, []
        for token in tokens:
            if token.expires_at > self._server.now():
                await self._log_out(token)

    async def _next_token(self, min_life_s: float, timeout_s: float | None) -> Token:
        outcome = None if self._successor else await self._login_ended(timeout_s)
        if self._successor is not None:  # perhaps only since the login began
            return await self._successor.token(min_life_s=min_life_s, timeout_s=timeout_s)
        if outcome is None:
            raise self._closed_error()
        if isinstance(outcome, Token):
            return outcome
        # A copy for each waiter: a raised exception collects the traceback of everyone who raises it.
        raise copy.copy(outcome).with_traceback(None) from outcome

    async def _login_ended(self, timeout_s: float | None) -> Token | CloudspanError | None:
        """Wait for the login that all callers share; None when closing cut it off."""
        login = self._login
        if login is None or login.done():
            self._refuse_if_pausing()
            self.start()
            login = self._shared_login()
        if not await finished(self._clock, login, timeout_s):
            raise OutOfTime(f"No token of {self.key} within {timeout_s or 0.0:.1f} s; the login goes on, retry.")
        return None if login.cancelled() else login.result()

    def _refuse_if_pausing(self) -> None:
        if self._closed:
            raise self._closed_error()
        error = self._last_error
        if error is None:
            return
        if wait := self._refused.retry_after_s():
            text = f"{error.message} (no login is tried for {wait:.0f} s, so that the account is not locked)"
            raise type(error)(text, reason=error.reason, metadata=error.metadata, retry_after_s=wait) from error
        if wait := self._failed.retry_after_s():
            again = copy.copy(error).with_traceback(None)
            again.retry_after_s = wait
            raise again from error

    def _closed_error(self) -> CloudspanError:
        return Unreachable(
            f"{self.key} is no longer used: the cluster's credentials changed or the adapter stops; retry.",
            reason="TOKEN_KEEPER_CLOSED",
            retry_after_s=0.0,
        )

    def _shared_login(self) -> asyncio.Task[Token | CloudspanError]:
        if self._login is None or self._login.done():
            self._login = asyncio.create_task(self._log_in(), name=f"log in to {self.key}")
        return self._login

    async def _log_in(self) -> Token | CloudspanError:
        """One login for all; its failure is a value, since any number of callers, or none, will look at it."""
        waited, self._wait_before_login = self._wait_before_login, False
        if waited:
            await self._clock.sleep(_REVOCATION_S)
        sent_at = self._clock.now()
        try:
            issued = await self._in_time(self._issuer.issue(), self._settings.login_timeout_s, "login")
            token = self._accepted(issued, sent_at)
        except CloudspanError as error:
            return self._note_failure(error)
        except Exception as error:  # noqa: BLE001 - an issuer's bug must reach the waiters, not end the renewal
            defect = Defect(f"{self.key}: the login ended in {type(error).__name__}; report this defect.")
            defect.__cause__ = error
            return self._note_failure(defect)
        self._adopt(token)
        self._born_after_wait = waited
        return token

    async def _in_time(self, call: Coroutine[Any, Any, _T], limit_s: float, what: str) -> _T:
        task = asyncio.ensure_future(call)
        try:
            if await finished(self._clock, task, limit_s):
                return task.result()
            raise Unreachable(f"{self.key}: no answer to the {what} in {limit_s:.0f} s; retry.")
        finally:
            await _cancelled(task)

    def _accepted(self, issued: IssuedToken, sent_at: float) -> Token:
        if issued.issued_at is not None:
            self._server.observe(issued.issued_at, sent_at=sent_at)
        now = self._server.now()
        if issued.expires_at <= now:
            raise PlatformFault(
                f"{self.key}: the login gave a token that expired {now - issued.expires_at:.0f} s ago; "
                "compare the clocks of cloud and adapter.",
                reason="TOKEN_BORN_EXPIRED",
            )
        issued_at = now if issued.issued_at is None else issued.issued_at
        return Token(issued.value, issued_at, issued.expires_at, next(self._serials), issued.payload)

    def _adopt(self, token: Token) -> None:
        if self._successor is not None:
            self._superseded.append(token)  # a login that was under way; what is left to do is to log out
            return
        previous = self._token
        self._logins += 1
        if previous is not None:
            self._renewals += 1
            self._rejected.succeeded()
            now = self._server.now()
            self._superseded = [t for t in [*self._superseded, previous] if t.expires_at > now]
        self._refused.succeeded()
        self._failed.succeeded()
        self._last_error = None
        self._obtained = self._clock.monotonic()
        life = token.expires_at - self._server.now()
        self._half_life_s = life / 2
        spread = self._settings.jitter * (2 * self._rng.random() - 1)
        self._renew_at = self._server.now() + life * (self._settings.renew_at + spread)
        self._set_limits(token)
        self._token = token
        self._restart_renewal()
        self._on_event("token renewed" if previous else "token issued", serial=token.serial, life_s=life)

    def _set_limits(self, token: Token) -> None:
        margin = min(self._settings.margin_s, self._half_life_s / 5)
        self._good_until = token.expires_at - self._server.skew_s - margin

    def _note_failure(self, error: CloudspanError) -> CloudspanError:
        self._failures += 1
        self._last_error = error
        refused = isinstance(error, LoginRefused | Forbidden)
        breaker = self._refused if refused else self._failed
        breaker.failed(at_least_s=error.retry_after_s or 0.0)
        error.retry_after_s = breaker.retry_after_s()
        self._on_event("login refused" if refused else "login failed", reason=error.reason, pause_s=self._pause_s())
        return error

    def _pause_s(self) -> float:
        return max(self._refused.retry_after_s(), self._failed.retry_after_s())

    def _restart_renewal(self) -> None:
        if self._renewal is not None and not self._closed:
            self._renewal.cancel()
            self._renewal = None
            self.start()

    async def _keep_fresh(self) -> None:
        while True:
            due = 0.0 if self._token is None else self._renew_at - self._server.now()
            wait = max(due, self._pause_s())
            if wait > 0:
                await self._clock.sleep(min(wait, _DAY_S))
            else:
                await finished(self._clock, self._shared_login(), None)

    async def _log_out(self, token: Token) -> None:
        try:
            await self._in_time(self._issuer.revoke(token), self._settings.logout_timeout_s, "logout")
            self._on_event("token revoked", serial=token.serial)
        except Exception as error:  # noqa: BLE001 - at shutdown the other tokens still want their logout
            reason = error.reason if isinstance(error, CloudspanError) else type(error).__name__
            self._on_event("logout failed", serial=token.serial, reason=reason)


async def _cancelled(task: asyncio.Future[Any] | None) -> None:
    """Cancel `task` if it still runs and wait until it has ended."""
    if task is None:
        return
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # seen: whoever wanted the outcome has it, and asyncio need not complain
