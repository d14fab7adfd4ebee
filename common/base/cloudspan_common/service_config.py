"""The options that every process of Cloudspan has, gateway and adapters alike, under the same names.

A service's own config inherits `ServiceConfig`, and declares a field again where its default differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - the command line is made from the annotations
from typing import Literal, cast, get_args

from cloudspan_common.config import address, option
from cloudspan_common.grpcs import Tls
from cloudspan_common.logs import Format

_LEVELS = ("debug", "info", "warning", "error")
LISTEN = "gRPC address to listen on; port 0 takes a free one."
REGISTRY = "Where adapters register: static:FILE, consul://HOST:PORT or memory: (this process alone)."
METRICS = "HTTP address of the Prometheus metrics; empty for none."
DRAIN = "How long calls under way may go on at a stop."


def one_of(*values: str) -> object:
    """Return a check that a text is one of `values`."""

    def check(text: str) -> None:
        if text not in values:
            raise ValueError(f"{text!r} is not one of {', '.join(values)}")

    return check


def address_or_none(text: str) -> None:
    """Check an address that may be left empty."""
    if text:
        address(text)


@dataclass(frozen=True)
class ServiceConfig:
    """What every process of Cloudspan is configured with."""

    listen: str = option(LISTEN, default="127.0.0.1:0", check=address)
    metrics: str = option(METRICS, default="", check=address_or_none)
    registry: str = option(REGISTRY, default="memory:")
    registry_token: str = option("Token for Consul, if its ACLs ask for one.", default="", secret=True)
    tls_certificate: Path | None = option("PEM file of this process's certificate; plain text without.", default=None)
    tls_key: Path | None = option("PEM file of the certificate's key.", default=None)
    tls_authority: Path | None = option(
        "PEM file of the authority that signs the certificates of the other side.", default=None
    )
    drain_s: float = option(DRAIN, default=10.0, unit="s", minimum=0)
    log_level: str = option("Lowest level logged: debug, info, warning, error.", default="info", check=one_of(*_LEVELS))
    log_format: str = option(
        "auto (for people on a terminal, else JSON), json or console.", default="auto", check=one_of(*get_args(Format))
    )

    @property
    def tls(self) -> Tls | None:
        """What the other side is shown and asked for; None for plain text.

        Raises:
            InvalidRequest: Only some of the files are named.
        """
        return Tls.mutual(self.tls_certificate, self.tls_key, self.tls_authority)

    @property
    def output(self) -> Literal["auto", "json", "console"]:
        """`log_format`, as logging wants it."""
        return cast("Format", self.log_format)
