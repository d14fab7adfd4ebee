"""Configuration of the ZStack adapter: which clouds of which file it serves under which tags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cloudspan_common.config import option
from cloudspan_kit import AdapterConfig, tagged_cloud

DEFAULT_FILE = Path("/etc/cloudspan/zstack.yaml")


@dataclass(frozen=True)
class ZStackConfig(AdapterConfig):
    """Cloudspan adapter for ZStack: serves clouds of a YAML file as clusters of one platform."""

    clouds: Path = option("YAML file with the clouds, shaped like clouds.yaml.", default=DEFAULT_FILE)
    cluster: tuple[str, ...] = option(
        "A cluster to serve: tag=name-in-the-file or just the name; repeatable; all of the file if not given.",
        default=(),
        check=tagged_cloud,
    )
    platform: str = option("Platform tag to serve.", default="zstack")
