"""What `cloudspan up` starts, as data: the processes, their ports, and what there is when all of them run.

Adapters are named by module and never imported: the gateway's distribution does not need them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from cloudspan_common.names import ClusterRef

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULT_BASE = 7070
MAX_BASE = 65_535 - 22
_REGISTRY = "registry.yaml"
_CLOUDS, _ZSTACK_CLOUDS = "clouds.yaml", "zstack.yaml"
_ZETA = "zeta"
_TO_METRICS = 3  # from an adapter's port to that of its metrics: 7080 to 7083
_OPERATIONS, _OPERATIONS_FILES = "operations.db", "operations.*"
_ADMINISTRATOR_FILES = "administrator.*"


@dataclass(frozen=True, slots=True)
class Options:
    """What the user of `cloudspan up` chooses."""

    seed: bool = True
    """Whether there is anything in the clouds at the start."""
    fresh: bool = False
    """Whether the operations of earlier starts are forgotten."""
    auth: bool = False
    """Whether the gateway asks callers who they are."""
    id_seed: str = "demo"
    """Of the ids in the fake clouds; another at each start, as no cloud gives an id twice."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process."""

    name: str
    distribution: str
    """What to install when the module is missing."""
    module: str
    arguments: tuple[str, ...]
    port: int
    """It is ready once this port takes connections."""
    after: tuple[str, ...] = ()
    """Those that must be ready before it starts."""
    metrics: int = 0
    """The port of its metrics; 0 where they are not served, or are the gateway's."""

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that `cloudspan up` starts."""

    state: Path
    gateway: str
    metrics: str
    children: tuple[Child, ...]
    clusters: tuple[ClusterRef, ...]
    """The clusters that answer once all is up."""
    files: Mapping[str, str]
    """What stands in `state` before anything starts: text by name."""
    forgotten: tuple[str, ...] = ()
    """Patterns of what an earlier start left in `state` and this one is not to find."""
    kept: str = ""
    """What of an earlier start this one goes on with, if it is there: a file in `state`."""

    @property
    def ports(self) -> dict[int, str]:
        """Who needs which port."""
        metrics = {child.metrics: f"metrics of {child.name}" for child in self.children if child.metrics}
        ports = {child.port: child.name for child in self.children}
        return {int(self.metrics.rpartition(":")[2]): "metrics", **metrics, **ports}

    def log_of(self, child: Child) -> Path:
        return self.state / "logs" / f"{child.name}.log"


def demo(state: Path, base: int = DEFAULT_BASE, options: Options | None = None) -> Plan:
    """Return the plan of the demo: a gateway, three adapters, four clusters, three of them fake clouds.

    Args:
        state: The demo's own folder.
        base: The gateway's port; the others follow from it.
        options: What its user chose.
    """
    options = options or Options()
    seed, id_seed = options.seed, options.id_seed
    registry = f"static:{state / _REGISTRY}"
    clouds = {tag: base + 20 + index for index, tag in enumerate(("alpha", "beta"))}
    zeta = base + 22
    return Plan(
        state=state,
        gateway=_local(base),
        metrics=_local(base + 1),
        children=(
            *(_fake_cloud("openstack", tag, port, id_seed, seed=seed) for tag, port in clouds.items()),
            _fake_cloud("zstack", _ZETA, zeta, id_seed, seed=seed),
            _memory(base + 10, registry, seed=seed),
            _adapter("openstack", base + 11, registry, state / _CLOUDS, tuple(clouds)),
            _adapter("zstack", base + 12, registry, state / _ZSTACK_CLOUDS, (_ZETA,)),
            _gateway(base, registry, state, auth=options.auth),
        ),
        clusters=(
            ClusterRef("memory", "main"),
            *(ClusterRef("openstack", tag) for tag in clouds),
            ClusterRef("zstack", _ZETA),
        ),
        # Entries of a run that was killed would only be probed in vain.
        files={
            _REGISTRY: "adapters: []\n",
            _CLOUDS: _clouds_yaml(clouds),
            _ZSTACK_CLOUDS: _zstack_yaml(zeta),
        },
        forgotten=(_OPERATIONS_FILES, _ADMINISTRATOR_FILES) if options.fresh else (),
        kept="" if options.fresh else _OPERATIONS,
    )


def _gateway(port: int, registry: str, state: Path, *, auth: bool) -> Child:
    where = ("--listen", _local(port), "--metrics", _local(port + 1), "--registry", registry)
    callers = ("--auth", "sessions") if auth else ()
    arguments = (*where, "--database", f"sqlite:{state / _OPERATIONS}", "--drain", "2", *callers)
    return Child("gateway", "cloudspan-gateway", "cloudspan_gateway", arguments, port)


def _memory(port: int, registry: str, *, seed: bool) -> Child:
    arguments = (*_common(port, registry), "--servers", "3" if seed else "0")
    return Child("memory", "cloudspan-memory", "cloudspan_memory", arguments, port, metrics=port + _TO_METRICS)


def _adapter(platform: str, port: int, registry: str, clouds: Path, tags: tuple[str, ...]) -> Child:
    served = (word for tag in tags for word in ("--cluster", tag))
    arguments = (*_common(port, registry), "--clouds", str(clouds), *served)
    metrics = port + _TO_METRICS
    return Child(platform, f"cloudspan-{platform}", f"cloudspan_{platform}", arguments, port, tags, metrics)


def _common(port: int, registry: str) -> tuple[str, ...]:
    """What every adapter is told."""
    metrics = _local(port + _TO_METRICS)
    return ("--listen", _local(port), "--metrics", metrics, "--registry", registry, "--drain", "2")


def _fake_cloud(platform: str, tag: str, port: int, id_seed: str, *, seed: bool) -> Child:
    named = ("--name", tag, "--listen", _local(port), "--id-seed", f"{tag}/{id_seed}")
    arguments = (*named, *(() if seed else ("--empty",)))
    return Child(tag, f"cloudspan-{platform}", f"cloudspan_{platform}_fake", arguments, port)


def _clouds_yaml(clouds: Mapping[str, int]) -> str:
    """The demo user of each fake cloud, in the form that every OpenStack tool reads."""
    entries = {
        tag: {
            "auth": {
                "auth_url": f"http://{_local(port)}/identity/v3",
                "username": "demo",
                "password": "demo-password",  # of a fake
                "project_name": "demo",
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
            "region_name": "RegionOne",
        }
        for tag, port in clouds.items()
    }
    return yaml.safe_dump({"clouds": entries}, sort_keys=False)


def _zstack_yaml(port: int) -> str:
    """The demo account of the fake ZStack."""
    entry = {"endpoint": f"http://{_local(port)}/zstack", "account": "demo", "password": "password"}  # of a fake
    return yaml.safe_dump({"clouds": {_ZETA: entry}}, sort_keys=False)


def _local(port: int) -> str:
    return f"127.0.0.1:{port}"
