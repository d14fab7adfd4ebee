"""The gateway's configuration: every value with its default, unit and sentence. Read by `__main__`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from cloudspan_common.config import address, is_loopback, option
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.grpcs import Tls
from cloudspan_common.names import is_tag
from cloudspan_common.service_config import DRAIN, LISTEN, METRICS, REGISTRY, ServiceConfig, address_or_none, one_of
from cloudspan_gateway.events.webhooks.config import WebhookSettings
from cloudspan_gateway.identity.config import JWT, KINDS, MTLS, OidcConfig, bad_config
from cloudspan_gateway.identity.session_rows import Lifetime
from cloudspan_gateway.inventory.sync.config import SyncSettings
from cloudspan_gateway.operations.config import LEASE_S, MIN_LEASE_S, OperationsConfig
from cloudspan_gateway.operations.slots import PER_CLUSTER
from cloudspan_gateway.storage.cipher import Cipher

_LISTENS = ("none", "server", "mutual")


def _installation(text: str) -> str:
    if not re.fullmatch("[a-z0-9]{1,8}", text):
        raise ValueError(f"{text!r} is not an installation name; expected 1 to 8 lower-case letters and digits")
    return text


def _network(text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network; expected ADDRESS/PREFIX, such as 10.1.0.0/16") from error


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
    tls_listen: str = option(
        "TLS for callers: none, server (callers check this gateway), mutual (they show a certificate too).",
        default="none",
        check=one_of(*_LISTENS),
    )
    auth: tuple[str, ...] = option(
        "How callers prove who they are: sessions, jwt, mtls (their certificate); repeatable. Nobody is asked without.",
        default=(),
        check=one_of(*KINDS),
    )
    insecure: bool = option(
        "Listen on other addresses than loopback without --auth: whoever reaches them may do everything.", default=False
    )
    session_idle: float = option(
        "How long a session lasts without being used.", default=12 * 3600.0, unit="s", minimum=60
    )
    session_lifetime: float = option(
        "How long a session lasts at the most.", default=7 * 86_400.0, unit="s", minimum=60
    )
    oidc_issuer: str = option(
        "Issuer of JWTs, exactly as their claim iss says it: https://HOST/PATH; its keys are found by its discovery.",
        default="",
    )
    oidc_jwks: str = option("URL of the issuer's keys; for issuers without discovery.", default="")
    oidc_audience: str = option("What JWTs must name in aud: the name of this gateway at the issuer.", default="")
    oidc_leeway_s: float = option(
        "By how much the clocks of issuer and gateway may differ.", default=30.0, unit="s", minimum=0
    )
    oidc_subject_claim: str = option("Claim of a JWT that says who its bearer is.", default="sub")
    oidc_groups_claim: str = option("Claim of a JWT that lists the groups of its bearer.", default="groups")
    oidc_authority: Path | None = option(
        "PEM file of the authority that signs the issuer's certificate; the system's authorities without.", default=None
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
        minimum=MIN_LEASE_S,
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
    no_inventory: bool = option(
        "Keep no inventory: nothing is read in the background, and max_staleness is ignored.", default=False
    )
    inventory_fastest: float = option(
        "Shortest pause between two listings of a collection; collections that change much get there.",
        default=15.0,
        unit="s",
        minimum=1,
    )
    inventory_slowest: float = option(
        "Longest pause between two listings of a collection; those that never change get there.",
        default=600.0,
        unit="s",
        minimum=1,
    )
    inventory_brake: float = option(
        "Share of a collection that may vanish at once and be taken for deleted; more waits for SyncNow to release it.",
        default=0.3,
        minimum=0,
    )
    keep_events: float = option(
        "How long events and changes are kept, for streams that come back with a resume_token, named consumers, and "
        "replays of webhooks.",
        default=3 * 86_400.0,
        unit="s",
        minimum=60,
    )
    webhook_allow: tuple[str, ...] = option(
        "Network that webhooks may be sent to although it is not public: 10.1.0.0/16, over http:// too; repeatable.",
        default=(),
        check=_network,
    )
    webhook_authority: Path | None = option(
        "PEM file of the authorities that sign the certificates of webhooks' receivers, instead of the system's.",
        default=None,
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
    def own_tls(self) -> Tls | None:
        """What callers are shown, and asked for if `tls_listen` is mutual."""
        if self.tls_listen == "none":
            return None
        return self.tls if self.tls_listen == "mutual" else Tls(self.tls_certificate, self.tls_key)

    @property
    def sessions(self) -> Lifetime:
        """How long sessions last."""
        return Lifetime(self.session_idle, self.session_lifetime)

    @property
    def oidc(self) -> OidcConfig | None:
        """Whose JWTs are accepted; None without `--auth jwt`."""
        if JWT not in self.auth:
            return None
        return OidcConfig(
            self.oidc_issuer,
            self.oidc_audience,
            self.oidc_jwks,
            self.oidc_leeway_s,
            self.oidc_subject_claim,
            self.oidc_groups_claim,
            self.oidc_authority,
        )

    @property
    def is_reachable(self) -> bool:
        """Whether it listens on more than loopback; an address by name counts as one that others reach."""
        return not is_loopback(address(self.listen)[0])

    def check_callers(self) -> None:
        """Raise InvalidRequest, reason BAD_AUTH_CONFIG, unless it is clear who may call this gateway."""
        if self.auth and self.insecure:
            raise bad_config("--insecure is for gateways that authenticate nobody, and --auth is given; leave one out")
        if self.is_reachable and not self.auth and not self.insecure:
            text = (
                f"--listen {self.listen} can be reached from other machines, and without --auth everybody may do "
                "everything: say how callers prove who they are (--auth sessions, jwt or mtls), listen on 127.0.0.1, "
                "or confirm it with --insecure"
            )
            raise bad_config(text)
        if MTLS in self.auth and self.tls_listen != "mutual":
            raise bad_config("--auth mtls needs --tls-listen mutual: callers are asked for no certificate without it")
        oidc = self.oidc
        if oidc is not None:
            oidc.check()
        elif self.oidc_issuer or self.oidc_jwks or self.oidc_audience or self.oidc_authority:
            raise bad_config("--oidc-issuer, --oidc-jwks, --oidc-audience and --oidc-authority need --auth jwt")

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

    @property
    def inventory(self) -> SyncSettings:
        """How clouds are listed for the inventory."""
        return SyncSettings(
            fastest_s=self.inventory_fastest,
            slowest_s=max(self.inventory_slowest, self.inventory_fastest),
            brake=self.inventory_brake,
            removed_after_s=self.removed_after,
        )

    @property
    def webhooks(self) -> WebhookSettings:
        """Where webhooks may be sent to."""
        return WebhookSettings(self.webhook_allow, self.webhook_authority, self.keep_events)

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
