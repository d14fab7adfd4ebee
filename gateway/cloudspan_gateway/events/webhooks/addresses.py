"""Where webhooks may be sent to: public addresses over https, and the networks that the operator allows.

Asked when a URL is set, as far as it is certain then, and for each connection: it goes to the very addresses that were
looked at, so that a name which changes its address meanwhile reaches nothing else.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yarl import URL

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_CHARS = 2048
# Addresses that stand for others, or that `is_global` of Python 3.11 lets through.
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "fec0::/10")
)  # fmt: skip


class Allowed:
    """What an operator allows beyond public addresses."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Take networks as `10.1.0.0/16`."""
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)

    def __repr__(self) -> str:
        return f"<Allowed {', '.join(map(str, self._networks)) or 'public addresses'}>"

    @property
    def has_networks(self) -> bool:
        """Whether there are any."""
        return bool(self._networks)

    def privately(self, address: Address) -> bool:
        """Whether an address is in one of the networks."""
        return any(address.version == network.version and address in network for network in self._networks)

    def admits(self, address: Address, scheme: str) -> bool:
        """Whether a request by a scheme may go to an address."""
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None:
            address = mapped
        return self.privately(address) or (scheme == "https" and _is_public(address))

    def checked(self, url: str) -> URL:
        """Return a URL that events may be sent to, as far as that is known without looking up its name.

        Raises:
            InvalidRequest: WEBHOOK_URL_REFUSED.
        """
        found = _parsed(url)
        if found.scheme != "https" and not (found.scheme == "http" and self._networks):
            raise refused("must begin with https://")
        address = literal(found.host or "")
        if address is not None and not self.admits(address, found.scheme):
            raise refused(f"leads to {address}, which is not public")
        return found


def literal(host: str) -> Address | None:
    """Return the address that a host is; None for a name.

    Raises:
        InvalidRequest: WEBHOOK_URL_REFUSED: something in between, as 2130706433 or 127.1, which some take for one.
    """
    text = host.partition("%")[0].rstrip(".")
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        last = text.rpartition(".")[2]
        if ":" in text or last.isdigit() or last.startswith("0x"):
            raise refused("names a host that is neither a name nor an address") from None
        return None


def refused(why: str) -> InvalidRequest:
    """Return the error for a URL."""
    text = (
        f"webhook.url {why}; use a public https:// URL without user and fragment, or ask the operator to allow the "
        "network with --webhook-allow"
    )
    return InvalidRequest(text, reason="WEBHOOK_URL_REFUSED", violations=[Violation("webhook.url", text)])


def _parsed(url: str) -> URL:
    # What aiohttp reads it with, so that both see the same host; only gateways with webhooks have it.
    from yarl import URL  # noqa: PLC0415 - see above

    if len(url) > MOST_CHARS or not url.isprintable() or any(character.isspace() for character in url):
        raise refused(f"has more than {MOST_CHARS} characters, or some that no URL has")
    try:
        found = URL(url)
        host, port = found.host, found.port
    except ValueError:
        raise refused("can't be read") from None
    if not host or found.user is not None or found.password is not None or found.fragment or port == 0:
        raise refused("names no host, or a user, a fragment or port 0")
    return found


def _is_public(address: Address) -> bool:
    if any(address.version == network.version and address in network for network in _NEVER):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
