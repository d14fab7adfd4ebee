"""What goes in and out of a `TokenKeeper`: keys, tokens, the platform's `Issuer`, settings, shown state.

Import all of it from `tokens`; a file of its own keeps both readable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from cloudspan_common.breaker import BreakerSettings


@dataclass(frozen=True, slots=True)
class TokenKey:
    """Whose token it is. `revision` changes with endpoint or credentials, so no cache serves another owner."""

    cluster: str
    revision: str
    scope: str = ""

    def __str__(self) -> str:
        scope = f" scope {self.scope}" if self.scope else ""
        return f"{self.cluster}{scope} (credentials {self.revision})"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """What a login gave. `issued_at` (unix, by the server's clock) also measures clock skew; None if unsaid."""

    value: str = field(repr=False)
    expires_at: float
    issued_at: float | None = None
    payload: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A token in use; times are unix seconds by the server's clock. `payload` is e.g. the service catalogue."""

    value: str = field(repr=False)
    issued_at: float
    expires_at: float
    serial: int
    payload: object = field(default=None, repr=False, compare=False)


class Issuer(Protocol):
    """The platform's login and logout."""

    async def issue(self) -> IssuedToken:
        """Log in once, without retries.

        Raises:
            LoginRefused: The platform knows the credentials to be wrong; nothing else may be reported so.
            Unreachable: Nothing answered; also RateLimited and PlatformFault, as any native call.
        """
        ...

    async def revoke(self, token: Token) -> None:
        """Log out; nothing to do on platforms where a token costs nothing."""
        ...


class EventHook(Protocol):
    """Is told what happened, in the past tense; never gets a token's value. Must not raise."""

    def __call__(self, event: str, /, **fields: object) -> None: ...


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """When to renew and how to pace logins."""

    renew_at: float = 0.75
    """Part of a token's life after which it is renewed."""
    jitter: float = 0.05
    """Plus or minus this part of its life, so that replicas do not log in in step."""
    margin_s: float = 5.0
    """A token with less life left is not handed out; at most a tenth of its life, or short ones were never used."""
    login_timeout_s: float = 30.0
    """Longest login; it belongs to all callers, so no caller's deadline bounds it."""
    logout_timeout_s: float = 5.0
    """Longest wait for a login under way and for the logout at close."""
    refused: BreakerSettings = BreakerSettings(open_after=1, close_after=1, pause_s=60.0, max_pause_s=3600.0)
    """Pauses after refused credentials: 1, 2, 4 ... 60 minutes; accounts lock after about five tries."""
    failed: BreakerSettings = BreakerSettings(open_after=1, close_after=1, pause_s=0.5, max_pause_s=60.0)
    """Pauses after logins that failed otherwise."""
    rejected: BreakerSettings = BreakerSettings(open_after=1, close_after=1, pause_s=10.0, max_pause_s=60.0)
    """How long 401s are ignored once a service has rejected a token that was surely good."""


@dataclass(frozen=True, slots=True)
class TokenState:
    """What may be shown of a keeper: to operators, in metrics. Holds no secret."""

    age_s: float | None
    expires_in_s: float | None
    renewals: int
    logins: int
    failures: int
    last_error: str
    breaker: str
    skew_s: float
