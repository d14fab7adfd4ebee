"""How a request proves who sends it: the session's uuid, or a signature with an access key.

`issuer` makes a `Login` of each login; `session` asks `authorization` for the headers of each request.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key, and the zone in which the server wants to be told the time."""

    id: str
    secret: str = field(repr=False)
    zone: tzinfo = UTC

    def headers(self, method: str, path: str, now: float) -> dict[str, str]:
        """Return the headers that sign one request; `path` in clear, without context path and query."""
        date = http_date(now, self.zone)
        text = f"{method}\n{date}\n{path}"
        digest = hmac.new(self.secret.encode(), text.encode(), hashlib.sha1).digest()
        return {"Date": date, "Authorization": f"ZStack {self.id}:{base64.b64encode(digest).decode()}"}


@dataclass(frozen=True, slots=True)
class Login:
    """What a login told: whose it is, and how to sign with it."""

    account_uuid: str
    account_name: str = ""
    user_uuid: str = ""
    is_admin: bool = False
    version: str = ""
    key: AccessKey | None = None

    def authorization(self, token: str, method: str, path: str, now: float) -> dict[str, str]:
        """Return the headers that authorize one request."""
        if self.key is not None:
            return self.key.headers(method, path, now)
        return session_header(token)


def session_header(token: str) -> dict[str, str]:
    return {"Authorization": f"OAuth {token}"}


def password_digest(password: str) -> str:
    """Return a password as the API takes it: never in clear."""
    return hashlib.sha512(password.encode()).hexdigest()


def http_date(now: float, zone: tzinfo) -> str:
    """Return `Mon, 02 Jan 2006 15:04:05 CST`: the wall clock of `zone`, since the server compares no zones by default.

    Java must be able to read the zone's name, which it can't for the numbers that some zones have instead.
    """
    local = datetime.fromtimestamp(now, zone)
    name = local.tzname() or ""
    name = name if name.isalpha() and zone is not UTC else "GMT"
    day, month = _DAYS[local.weekday()], _MONTHS[local.month - 1]
    return f"{day}, {local.day:02d} {month} {local.year} {local:%H:%M:%S} {name}"
