"""How callers are authenticated, as the gateway's configuration says it; checked once, before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cloudspan_common.config import is_loopback
from cloudspan_common.errors import InvalidRequest

if TYPE_CHECKING:
    from pathlib import Path

SESSIONS, JWT, MTLS = "sessions", "jwt", "mtls"
KINDS = (SESSIONS, JWT, MTLS)
"""What `--auth` takes."""


def bad_config(text: str) -> InvalidRequest:
    """Return the error of options that don't make sense together."""
    return InvalidRequest(text, reason="BAD_AUTH_CONFIG")


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """The one issuer whose tokens are accepted, and what they must say."""

    issuer: str
    """Exactly what the claim `iss` says."""
    audience: str
    """Exactly what `aud` says, or has among its values."""
    jwks: str = ""
    """Where the issuer's keys are; its discovery document says it when empty."""
    leeway_s: float = 30.0
    """By how much its clock and ours may differ, seconds."""
    subject_claim: str = "sub"
    groups_claim: str = "groups"
    authority: Path | None = None
    """PEM file of the authority that signs the issuer's certificate; the system's authorities without it."""

    def check(self) -> None:
        """Raise InvalidRequest, reason BAD_AUTH_CONFIG, unless tokens can be verified with it."""
        for option, value in (("--oidc-issuer", self.issuer), ("--oidc-audience", self.audience)):
            if not value:
                text = f"--auth jwt needs {option}; tokens of any issuer, or for anybody, would be accepted without it"
                raise bad_config(text)
        for claim in (self.subject_claim, self.groups_claim):
            if not claim:
                raise bad_config("--oidc-subject-claim and --oidc-groups-claim need the name of a claim")
        check_url(self.issuer, "--oidc-issuer")
        if self.jwks:
            check_url(self.jwks, "--oidc-jwks")


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url


def check_url(url: str, what: str) -> None:
    """Raise InvalidRequest unless a URL is https, or http on this machine: whoever can change an answer makes keys."""
    try:
        parts = urlsplit(url)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError:
        raise bad_config(f"{what} is not a URL; expected https://HOST/PATH") from None
    host = parts.hostname or ""
    if not host or not port_is_one or "@" in parts.netloc or parts.fragment or not _is_plain(url):
        raise bad_config(f"{what} is not a URL of an issuer; expected https://HOST/PATH without a user in it")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise bad_config(f"{what} {url} is not https; plain http is accepted on 127.0.0.1, ::1 and localhost only")
