"""The gateway's configuration: every value with its default, unit and sentence. Read by `__main__`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cloudspan_common.config import address, option
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.grpcs import Tls
from cloudspan_common.names import ClusterRef, is_tag, parse_cluster
from cloudspan_common.service_config import DRAIN, LISTEN, METRICS, REGISTRY, ServiceConfig, address_or_none, one_of
from cloudspan_gateway.operations.config import LEASE_S, OperationsConfig
from cloudspan_gateway.operations.slots import PER_CLUSTER
from cloudspan_gateway.storage.cipher import Cipher

_LISTENS = ("none", "server", "mutual")


def _installation(text: str) -> str:
    if not re.fullmatch("[a-z0-9]{1,8}", text):
        raise ValueError(f"{text!r} is not an installation name; expected 1 to 8 lower-case letters and digits")
    return text


def _pool(text: str) -> tuple[str, ClusterRef]:
    name, equals, cluster = text.partition("=")
    try:
        ref = parse_cluster(cluster, "pool")
    except InvalidRequest as error:
        raise ValueError(error.message) from error
    if not equals or not is_tag(name) or ref.is_wildcard or str(ref) != cluster:
        raise ValueError(f"{text!r} is not a pool; expected NAME=platforms/PLATFORM/clusters/CLUSTER")
    return name, ref


def _claim(text: str) -> tuple[str, str]:
    platform, equals, identity = text.partition("=")
    if not equals or not is_tag(platform) or not identity:
        raise ValueError(
            f"{text!r} is not a claim; expected PLATFORM=IDENTITY, a DNS name in the adapter's certificate"
        )
    return platform, identity


@dataclass(frozen=True)
class GatewayConfig(ServiceConfig):
    """Run the Cloudspan gateway: one gRPC address for every cluster."""

    listen: str = option(LISTEN, default="127.0.0.1:7070", check=address)
    metrics: str = option(METRICS, default="127.0.0.1:7071", check=address_or_none)
    registry: str = option(REGISTRY, default="static:.state/registry.yaml")
    drain_s: float = option(DRAIN, default=30.0, unit="s", minimum=0)
    pool: tuple[str, ...] = option(
        "A name for one cluster, for metadata x-pool: NAME=platforms/P/clusters/C; repeatable.", default=(), check=_pool
    )
    tls_listen: str = option(
        "TLS for callers: none, server (callers check this gateway), mutual (they show a certificate too).",
        default="none",
        check=one_of(*_LISTENS),
    )
    claim: tuple[str, ...] = option(
        "Identity in a platform's adapter certificates: PLATFORM=IDENTITY; the tag itself if not given; repeatable.",
        default=(),
        check=_claim,
    )
    installation: str = option(
        "Name of this installation in markers: lower-case letters and digits, at most 8.",
        default="main",
        check=_installation,
    )
    database: str = option(
        "Where operations are kept: sqlite:FILE for one gateway, postgresql://USER:PASSWORD@HOST/NAME for several, "
        "memory: until the process ends.",
        default="sqlite:.state/operations.db",
        secret=True,
    )
    operations_key: Path | None = option(
        "File with the keys that requests are encrypted with at rest; beside the SQLite file, and made, if not given.",
        default=None,
    )
    audit_log: Path | None = option(
        "File that audit events are written to as JSON lines too, beside the database; renamed away it is made anew.",
        default=None,
    )
    lease: float = option(
        "How long the operations of a gateway that died stay reserved for it; a step may take two thirds of it.",
        default=LEASE_S,
        unit="s",
        minimum=1,
    )
    keep_operations: float = option(
        "How long an operation can be read after its end.", default=30 * 86_400.0, unit="s", minimum=0
    )
    steps_per_cluster: int = option(
        "How many steps of operations may be under way on one cluster.", default=PER_CLUSTER, minimum=1
    )
    steps_per_tenant: int = option(
        "How many of them for one tenant (metadata x-tenant); as many as for the cluster when 0.", default=0, minimum=0
    )
    removed_after: float = option(
        "How long a cluster must be missing from its adapters to count as removed; its operations end then.",
        default=600.0,
        unit="s",
        minimum=0,
    )
    wait_for_adapters: float = option(
        "How long a start waits for the adapters it finds to describe themselves.", default=2.0, unit="s", minimum=0
    )

    def __post_init__(self) -> None:
        if self.tls_listen != "none" and self.tls_certificate is None:
            raise ValueError(f"--tls-listen {self.tls_listen} needs --tls-certificate, --tls-key and --tls-authority")

    @property
    def pools(self) -> dict[str, ClusterRef]:
        """The clusters by pool name."""
        return dict(_pool(text) for text in self.pool)

    @property
    def own_tls(self) -> Tls | None:
        """What callers are shown, and asked for if `tls_listen` is mutual."""
        if self.tls_listen == "none":
            return None
        return self.tls if self.tls_listen == "mutual" else Tls(self.tls_certificate, self.tls_key)

    @property
    def operations(self) -> OperationsConfig:
        """How operations are run."""
        return OperationsConfig(
            installation=self.installation,
            lease_s=self.lease,
            keep_s=self.keep_operations,
            steps_per_cluster=self.steps_per_cluster,
            steps_per_tenant=self.steps_per_tenant,
            removed_after_s=self.removed_after,
        )

    def cipher(self) -> Cipher:
        """Return what operations are encrypted with at rest.

        Raises:
            InvalidRequest: The database is shared, and no key file is named.
            PreconditionFailed: The file holds something else, or can't be read or made.
        """
        scheme, _, path = self.database.partition(":")
        if scheme == "sqlite":
            return Cipher.load(self.operations_key or Path(path).with_suffix(".key"))
        if self.operations_key is not None:
            return Cipher.load(self.operations_key, create=False)
        if scheme == "memory":
            return Cipher.new()
        text = "several gateways share this database and need one key file: name it with --operations-key"
        raise InvalidRequest(text, reason="NO_OPERATIONS_KEY")

    @property
    def claims(self) -> dict[str, str]:
        """Identity by platform."""
        return dict(_claim(text) for text in self.claim)
