"""Who a caller is, as its credential proves it.

The authenticate stage sets one on each call; policy, audit and the signed context for adapters read it.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudspan.v1 import session_pb2

Method = session_pb2.Session.Method


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller that was authenticated, or `ANONYMOUS` where callers are not."""

    subject: str = ""
    """`users/alice`, `services/billing`, `certificates/ci.example`, `subjects/SUBJECT`."""
    method: Method = Method.METHOD_UNSPECIFIED
    """How it proved who it is."""
    credential: str = ""
    """For the audit: `session/ID`, `certificate/FINGERPRINT`, `jwt/ID`. Never the credential itself."""
    tenant: str = ""
    """The id of the tenant that it belongs to; empty where its bindings alone say it."""
    aliases: tuple[str, ...] = ()
    """What else bindings may name it by: `groups/ops` of a JWT, a certificate's other DNS names."""
    session: str = ""
    """The id of its session, if it has one."""
    expire_time: float | None = None
    """When its credential ends, Unix seconds."""

    @property
    def members(self) -> tuple[str, ...]:
        """Every name that a binding may give it a role by."""
        return (self.subject, *self.aliases) if self.subject else ()

    @property
    def authenticated(self) -> bool:
        return bool(self.subject)


ANONYMOUS = Principal()
