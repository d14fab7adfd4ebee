"""Who is there: adapters register, gateways watch. The drivers are memory, static (a file) and consul.

Composition roots call `open_registry`; everything else takes a `Registry`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_common.registry.base import Instance, Registration, Registry, View, view_of

if TYPE_CHECKING:
    from cloudspan_common.clock import Clock

__all__ = ["Instance", "Registration", "Registry", "View", "open_registry", "view_of"]

DEFAULT_SERVICE = "cloudspan-adapter"
_CONSUL_SCHEMES = {"consul": "http", "consul+http": "http", "consul+https": "https"}
_EXPECTED = "memory:, static:PATH or consul://HOST:PORT?service=cloudspan-adapter"


def open_registry(
    url: str, *, clock: Clock | None = None, token: str | None = None, cache_path: Path | None = None
) -> Registry:
    """Return the registry that `url` names; to be called where the event loop runs.

    Args:
        url: `memory:`, `static:PATH`, or `consul://HOST:PORT?service=NAME&probe=grpc|grpcs|none` (`consul+https://`
            for TLS). `memory:` is a new, empty one on each call.
        clock: For tests.
        token: Consul's ACL token; never in the URL, which is logged.
        cache_path: Where a Consul watch keeps its last view, for a start while Consul is down.

    Raises:
        InvalidRequest: Another form of URL.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "memory" and not rest:
        from cloudspan_common.registry.memory import MemoryRegistry  # noqa: PLC0415 - one driver, one import bill

        return MemoryRegistry()
    if scheme == "static" and rest:
        from cloudspan_common.registry.static import StaticRegistry  # noqa: PLC0415 - one driver, one import bill

        return StaticRegistry(Path(unquote(rest.removeprefix("//"))), clock=clock)
    if scheme in _CONSUL_SCHEMES:
        return _open_consul(url, clock, token, cache_path)
    raise _malformed(url, "it names no driver")


def _open_consul(url: str, clock: Clock | None, token: str | None, cache_path: Path | None) -> Registry:
    # requests, below the consul client, costs 100 ms to import
    from cloudspan_common.registry.consul import PROBES, ConsulRegistry  # noqa: PLC0415 - one driver, one import bill
    from cloudspan_common.registry.consul_agent import Agent  # noqa: PLC0415 - same

    parts = urlsplit(url)
    options = {"service": DEFAULT_SERVICE, "probe": "grpc", **dict(parse_qsl(parts.query))}
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _malformed(url, str(error)) from error
    if not host or parts.path.strip("/") or parts.username:
        raise _malformed(url, "a host is needed, and neither a path nor a user belongs there")
    if options.keys() != {"service", "probe"} or options["probe"] not in PROBES:
        raise _malformed(url, f"the options are service=NAME and probe={'|'.join(PROBES)}")
    agent = Agent(host, port or 8500, scheme=_CONSUL_SCHEMES[parts.scheme], token=token)
    return ConsulRegistry(agent, options["service"], probe=options["probe"], clock=clock, cache_path=cache_path)


def _malformed(url: str, why: str) -> InvalidRequest:
    text = f"registry URL is {url!r}: {why}; expected {_EXPECTED}"
    return InvalidRequest(text, reason="MALFORMED_REGISTRY_URL", violations=[Violation("registry", text)])
