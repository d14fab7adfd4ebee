"""What goes in and out of a `TokenKeeper`: keys, tokens, the platform's `Issuer`, settings, shown state.

Import all of it from `tokens`; a file of its own keeps both readable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from cloudspan_common.breaker import BreakerSettings

_AFTER_REFUSAL = BreakerSettings(open_after=1, close_after=1, pause_s=60.0, max_pause_s=3600.0)
_AFTER_FAILURE = BreakerSettings(open_after=1, close_after=1, pause_s=0.5, max_pause_s=60.0)
_AFTER_REJECTION = BreakerSettings(open_after=1, close_after=1, pause_s=10.0, max_pause_s=60.0)


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
        """Log in once, without retries; what is raised is shown to operators, so no message may hold a secret.

        Raises:
            LoginRefused: The platform knows the credentials to be wrong; nothing else may be reported so.
            Unreachable: Nothing answered; also RateLimited and PlatformFault, as any native call.
        """
        ...

    async def revoke(self, token: Token) -> None:
        """Log out; nothing to do on platforms where a token costs nothing."""
        ...


class EventHook(Protocol):
    """Receives events, in the past tense; never gets a token's value. Must not raise."""

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
    refused: BreakerSettings = _AFTER_REFUSAL
    """Pauses after refused credentials: 1, 2, 4, ... 60 minutes; clouds lock accounts after a handful."""
    failed: BreakerSettings = _AFTER_FAILURE
    """Pauses after logins that failed otherwise: 0.5, 1, 2, ... 60 s."""
    rejected: BreakerSettings = _AFTER_REJECTION
    """How long 401s are ignored once a service has rejected a token that was certainly valid."""


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
    retry_after_s: float = 0.0
    """Until a login is tried again after refusals."""
    is_refused: bool = False
    """Whether the last login failed for its credentials, or for what they are for."""
