"""The gateway's configuration: every value with its default, unit and sentence. Read by `__main__`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from cloudspan_common.config import address, option
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.logs import Format
from cloudspan_common.names import ClusterRef, is_tag, parse_cluster

_LEVELS = ("debug", "info", "warning", "error")


def _one_of(*values: str) -> object:
    def check(text: str) -> None:
        if text not in values:
            raise ValueError(f"{text!r} is none of {', '.join(values)}")

    return check


def _installation(text: str) -> str:
    if not re.fullmatch("[a-z0-9]{1,8}", text):
        raise ValueError(f"{text!r} is no installation; expected 1 to 8 lower-case letters and digits")
    return text


def _pool(text: str) -> tuple[str, ClusterRef]:
    name, equals, cluster = text.partition("=")
    try:
        ref = parse_cluster(cluster, "pool")
    except InvalidRequest as error:
        raise ValueError(error.message) from error
    if not equals or not is_tag(name) or ref.is_wildcard or str(ref) != cluster:
        raise ValueError(f"{text!r} is no pool; expected NAME=platforms/PLATFORM/clusters/CLUSTER")
    return name, ref


@dataclass(frozen=True)
class GatewayConfig:
    """Run the Cloudspan gateway: one gRPC address for every cluster."""

    listen: str = option("gRPC address to listen on.", default="127.0.0.1:7070", check=address)
    metrics: str = option("HTTP address of the Prometheus metrics; empty for none.", default="127.0.0.1:7071")
    registry: str = option(
        "Where adapters register: static:FILE, consul://HOST:PORT or memory:.", default="static:.state/registry.yaml"
    )
    registry_token: str = option("Token for Consul, if its ACLs ask for one.", default="", secret=True)
    pool: tuple[str, ...] = option(
        "A name for one cluster, for metadata x-pool: NAME=platforms/P/clusters/C; repeatable.", default=(), check=_pool
    )
    installation: str = option(
        "Name of this installation in markers: lower-case letters and digits, at most 8.",
        default="main",
        check=_installation,
    )
    settle: float = option(
        "How long a start waits for the adapters it finds to describe themselves.", default=2.0, unit="s", minimum=0
    )
    drain: float = option("How long calls under way may go on at a stop.", default=30.0, unit="s", minimum=0)
    log_level: str = option("Lowest level logged.", default="info", check=_one_of(*_LEVELS))
    log_format: str = option(
        "auto (for people on a terminal, else JSON), json or console.", default="auto", check=_one_of(*get_args(Format))
    )

    def __post_init__(self) -> None:
        if self.metrics:
            address(self.metrics)

    @property
    def pools(self) -> dict[str, ClusterRef]:
        """The clusters by pool name."""
        return dict(_pool(text) for text in self.pool)

    @property
    def output(self) -> Literal["auto", "json", "console"]:
        """`log_format`, as logging wants it."""
        return cast("Format", self.log_format)
