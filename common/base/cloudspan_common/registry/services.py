"""Where services are that log in at the gateway by a handshake, as the registry has it.

In Consul a service has the tag `cloudspan-handshake`; in the adapters file it stands under `services:`. Whoever can
register a name can log in as that service.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloudspan_common.errors import InvalidRequest
from cloudspan_common.registry.base import is_address

TAG = "cloudspan-handshake"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


def is_service_name(name: str) -> bool:
    """Whether a service may have this name: a lower-case letter, then letters, digits and hyphens, at most 63."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where one instance of a service is called.

    Raises:
        InvalidRequest: What can't be an address.
    """

    address: str
    """`host:port`; an IPv6 host in brackets."""
    identity: str
    """Whom its certificate must name, where the gateway has certificates."""

    def __post_init__(self) -> None:
        if not is_address(self.address) or not self.identity:
            text = f"a service's address is {self.address!r} and its identity {self.identity!r}; expected host:port"
            raise InvalidRequest(text, reason="MALFORMED_INSTANCE")
