"""Resource names: `platforms/{platform}/clusters/{cluster}/servers/{id}`.

A name routes by itself. Ids are the platform's own, percent-encoded where they hold `/`, `%`, spaces or controls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from cloudspan_common.errors import InvalidRequest, Violation

WILDCARD = "-"
_TAG = re.compile(r"[a-z][a-z0-9-]{0,38}")
# What AIP-122 allows in a segment plus what platforms really use in ids; the rest is percent-encoded.
_SAFE_IN_ID = "-._~@:+"
_MAX_NAME_CHARS = 512


@dataclass(frozen=True, slots=True)
class ClusterRef:
    """A (platform, cluster) pair; either may be the wildcard `-`."""

    platform: str
    cluster: str

    def __str__(self) -> str:
        return f"platforms/{self.platform}/clusters/{self.cluster}"

    @property
    def is_wildcard(self) -> bool:
        return WILDCARD in (self.platform, self.cluster)

    def resource(self, collection: str, resource_id: str) -> str:
        """Return the name of a resource in this cluster."""
        return f"platforms/{self.platform}/clusters/{self.cluster}/{collection}/{encode_id(resource_id)}"


def encode_id(resource_id: str) -> str:
    """Return the platform's id as one name segment."""
    return quote(resource_id, safe=_SAFE_IN_ID)


def is_tag(text: str) -> bool:
    """Whether `text` can be a platform or cluster tag: lower-case letter first, then letters, digits, hyphens."""
    return _TAG.fullmatch(text) is not None


def parse_cluster(name: str, field: str = "parent") -> ClusterRef:
    """Return the cluster that a parent or a resource name starts with; wildcards allowed.

    Raises:
        InvalidRequest: The name does not start with `platforms/{platform}/clusters/{cluster}`.
    """
    parts = name.split("/", 4)
    if len(parts) < 4 or parts[0] != "platforms" or parts[2] != "clusters" or len(name) > _MAX_NAME_CHARS:
        raise malformed(name, field, "platforms/{platform}/clusters/{cluster}")
    for tag in (parts[1], parts[3]):
        if tag != WILDCARD and not _TAG.fullmatch(tag):
            raise malformed(name, field, "platforms/{platform}/clusters/{cluster}")
    return ClusterRef(parts[1], parts[3])


def parse_resource(name: str, collection: str, field: str = "name") -> tuple[ClusterRef, str]:
    """Return the cluster and the platform's own id of a resource name of `collection`.

    Raises:
        InvalidRequest: Another form, an empty id, or a wildcard.
    """
    expected = f"platforms/{{platform}}/clusters/{{cluster}}/{collection}/{{id}}"
    cluster = parse_cluster(name, field)
    parts = name.split("/")
    if len(parts) != 6 or parts[4] != collection or not parts[5] or cluster.is_wildcard or parts[5] == WILDCARD:
        raise malformed(name, field, expected)
    return cluster, unquote(parts[5])


def malformed(name: str, field: str, expected: str) -> InvalidRequest:
    """Return the error for a name that has not the expected form."""
    shown = name if len(name) <= 120 else name[:117] + "..."
    text = f"{field} is {shown!r}; expected the form {expected}"
    return InvalidRequest(text, reason="MALFORMED_NAME", violations=[Violation(field, text)])
