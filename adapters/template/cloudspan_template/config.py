"""The options, and the file of clusters: the kit reads it again whenever it changes."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from cloudspan_common.config import option
from cloudspan_common.errors import CloudspanError, InvalidRequest
from cloudspan_common.redaction import yaml_problem
from cloudspan_kit import AdapterConfig, ClusterConfigs, revision_of


@dataclass(frozen=True)
class TemplateConfig(AdapterConfig):
    """Cloudspan adapter for Template."""

    platform: str = option("Platform tag to serve.", default="template")
    clusters: Path | None = option("YAML file with clusters: `clusters: {TAG: {endpoint: URL}}`.", default=None)
    cluster: tuple[str, ...] = option("A cluster to serve without a file: its tag; repeatable.", default=("main",))
    endpoint: str = option("Where the API of those clusters is.", default="http://127.0.0.1:9000")


class Entry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One cluster of the file. Credentials belong here, and nowhere else."""

    endpoint: str

    @property
    def revision(self) -> str:
        """Another one makes the kit replace the cluster; files that the entry names are given too."""
        return revision_of(self)


def read_clusters(file: Path) -> ClusterConfigs[Entry]:
    """Return the clusters of `file`; a bad entry is an error of its own, a bad file is raised.

    Raises:
        InvalidRequest: The file can't be read, or has no map of clusters.
    """
    try:
        document = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise InvalidRequest(f"{file} can't be read: {error}", reason="NO_CLOUDS_FILE") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        # Without its cause, which quotes what may be secret.
        raise InvalidRequest(f"{file} can't be read: {yaml_problem(error)}", reason="NO_CLOUDS_FILE") from None
    entries = document.get("clusters") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise InvalidRequest(f"{file} has no map of clusters below `clusters`", reason="NO_CLOUDS_FILE")
    return ClusterConfigs({str(tag): _entry(str(tag), told) for tag, told in entries.items()}, [file])


def _entry(tag: str, told: object) -> Entry | CloudspanError:
    try:
        return msgspec.convert(told, Entry)
    except msgspec.ValidationError as error:
        return InvalidRequest(f"the entry of cluster {tag} can't be used: {error}", reason="BAD_CLOUD")
