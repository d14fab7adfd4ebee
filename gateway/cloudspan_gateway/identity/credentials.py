"""The credential that a call brings in its metadata, before anybody has looked whether it is a good one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudspan_common.errors import Unauthenticated
from cloudspan_gateway.metadata import AUTHORIZATION, X_AUTH_SESSION

if TYPE_CHECKING:
    from cloudspan_gateway.call import Call

_BEARER = "bearer"


@dataclass(frozen=True, slots=True)
class Credential:
    """One token, and by which metadata it came."""

    key: str
    """`authorization` or `x-auth-session`."""
    token: str = field(repr=False)


def credential_of(call: Call) -> Credential | None:
    """Return the call's credential; None when it brings none, and its certificate alone may say who it is.

    Raises:
        Unauthenticated: It brings several, an empty one, or one that is not a bearer token.
    """
    if call.credential is None:
        call.credential = _read(call)
    return call.credential


def _read(call: Call) -> Credential | None:
    found = [(key, value) for key, value in call.metadata if key in (AUTHORIZATION, X_AUTH_SESSION)]
    if not found:
        return None
    if len(found) > 1:
        raise Unauthenticated(f"{AUTHORIZATION} and {X_AUTH_SESSION} come {len(found)} times in the metadata; send one")
    key, value = found[0]
    token = str(value).strip(" ")
    if key == AUTHORIZATION:
        scheme, _, rest = token.partition(" ")
        if scheme.lower() != _BEARER:
            raise Unauthenticated(f"metadata {AUTHORIZATION} is no bearer token; send `{AUTHORIZATION}: Bearer TOKEN`")
        token = rest.strip(" ")
    if not token or not token.isascii() or " " in token:
        raise Unauthenticated(f"metadata {key} is empty or no token; send the token exactly as it was given")
    return Credential(key, token)
