"""Configuration of the OpenStack adapter: which clouds of which clouds.yaml it serves under which tags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - the command line is made from the annotations

from cloudspan_common.config import option
from cloudspan_kit import AdapterConfig, tagged_cloud


@dataclass(frozen=True)
class OpenStackConfig(AdapterConfig):
    """Cloudspan adapter for OpenStack: serves clouds of a clouds.yaml as clusters of one platform."""

    clouds: Path | None = option("YAML file with the clouds; openstacksdk's search path when not given.", default=None)
    cluster: tuple[str, ...] = option(
        "A cluster to serve: tag=name-in-clouds.yaml or just the name; repeatable; all of --clouds if not given.",
        default=(),
        check=tagged_cloud,
    )
    platform: str = option("Platform tag to serve.", default="openstack")
    settle_s: float = option(
        "How long a create that got no reply may still appear, before it is sent again.",
        default=120.0,
        unit="s",
        minimum=0.0,
    )

    def __post_init__(self) -> None:
        if not self.cluster and self.clouds is None:
            raise ValueError("no cluster is configured; give --clouds for all of a clouds.yaml, or --cluster tag=name")
