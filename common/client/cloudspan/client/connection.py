"""How the client connects: certificates, channel options, tags and deadlines; the same for sync and asyncio."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Protocol

import grpc

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_ADDRESS = "127.0.0.1:7070"
DEFAULT_TIMEOUT_S = 60.0
MAX_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.1  # 0.1, 0.2, 0.4 s, as the service config says for reads
_MAX_REQUEST_BYTES = 4 * 1024 * 1024
_MAX_ANSWER_BYTES = 16 * 1024 * 1024
_MAX_METADATA_BYTES = 16 * 1024

CREDENTIALS = frozenset({"authorization", "x-auth-session"})
"""Metadata that says who is calling."""
_TOKEN = re.compile(r"[!-~]{1,8192}")  # what metadata can hold, without blanks
_TARGET = re.compile(r"(?:dns:(?:///)?|ipv[46]:)?(?P<host>.*?)(?::[0-9]+)?")

Metadata = tuple[tuple[str, str], ...]


def waiting(seconds: float) -> Metadata:
    """Return the metadata that asks for a finished operation, if it takes at most `seconds`.

    `operation = client.servers.CreateServer(request, metadata=waiting(30))`
    """
    return (("x-wait", f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"),)


def tags(*, platform: str = "", cluster: str = "", pool: str = "", tenant: str = "") -> Metadata:
    """Return the metadata that says where one call goes, or which tenant it acts in, in place of the client's.

    `client.servers.ListServers(request, metadata=tags(tenant="acme", pool="prod") + waiting(30))`
    """
    named = (("x-platform", platform), ("x-cluster", cluster), ("x-pool", pool), ("x-tenant", tenant))
    return tuple((key, tag) for key, tag in named if tag)


class Credentials(Protocol):
    """What a secure channel is made with."""

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return what is trusted, and shown."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: the authority that must have signed the gateway's certificate, and a certificate of our own (mTLS).

    Without an authority those of the system are trusted.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return what is trusted, and shown if there is a certificate.

        Raises:
            OSError: A file can't be read.
            ValueError: A certificate without its key, or a key without its certificate.
        """
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a certificate and its key go together; one of them is missing")
        authority, certificate, key = (
            path.read_bytes() if path else None for path in (self.authority, self.certificate, self.key)
        )
        return grpc.ssl_channel_credentials(authority, key, certificate)


@dataclass(frozen=True, slots=True)
class CallDefaults:
    """What each call gets that does not bring its own."""

    tags: Metadata
    timeout_s: float
    retries: bool

    def metadata(self, given: Metadata) -> Metadata:
        """Return the call's metadata; a tag that it brings itself wins."""
        if not self.tags:
            return tuple(given)
        keys = {key for key, _ in given}
        return (*given, *(tag for tag in self.tags if tag[0] not in keys))

    def pause_s(self, attempt: int, request: object) -> float | None:
        """Return how long to wait before a change is sent again; None when it must not be.

        Only a request with a `request_id` may be sent twice: it gets the operation of the first.
        """
        if not self.retries or attempt >= MAX_ATTEMPTS or not getattr(request, "request_id", ""):
            return None
        return _FIRST_PAUSE_S * 2.0 ** (attempt - 1)


def checked_token(token: str) -> str:
    """Return a token that metadata can hold.

    Raises:
        ValueError: It can't; gRPC's own error would show it.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("the token is empty, longer than 8192 characters, or has blanks or others that are not ASCII")
    return token


def is_loopback(address: str) -> bool:
    """Whether what is sent to `address` stays on this machine. Names other than `localhost` may lead anywhere."""
    if address.startswith("unix:"):
        return True
    target = _TARGET.fullmatch(address)
    host = target["host"].removeprefix("[").removesuffix("]") if target else ""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_plain_text(address: str, what: str) -> None:
    """Refuse to send a secret to another machine in plain text.

    Raises:
        ValueError: `address` is not of this machine.
    """
    if not is_loopback(address):
        text = f"{what} would be sent to {address} in plain text, for anyone on the way to read; use TLS"
        raise ValueError(text)


def channel_options(*, retries: bool) -> list[tuple[str, int | str]]:
    """Return the options of a channel."""
    options: list[tuple[str, int | str]] = [
        ("grpc.max_send_message_length", _MAX_REQUEST_BYTES),
        ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", 2 * _MAX_METADATA_BYTES),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # A gateway that restarts is met again within 2 s; gRPC's own limit is 2 minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 2_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # Private clouds lie behind no proxy, whatever the environment of the process says.
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", int(retries)),
    ]
    if retries:
        config = resources.files("cloudspan.client.generated").joinpath("service_config.json").read_text("utf-8")
        options.append(("grpc.service_config", config))
    return options
