"""What an adapter says of itself, checked and made ready for routing.

The table asks each instance to describe itself and keeps the `Description`; a description that must not be believed
is decided by `unfit`, with a reason for the operator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common import contract, names
from cloudspan_common.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudspan.adapter.v1 import adapter_pb2
    from cloudspan_common.registry import Instance

_ABSENT = cluster_pb2.MethodCapability.LEVEL_ABSENT
_KEY_BYTES = 32
_RESERVED = ("cloudspan.", "google.", "grpc.")
# What every adapter may serve beside the services of the contract.
_SIDE_SERVICES = frozenset({
    "cloudspan.adapter.v1.AdapterService",
    "cloudspan.adapter.v1.StepService",
    "google.longrunning.Operations",
    "grpc.channelz.v1.Channelz",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Description:
    """One instance's word about itself, at one moment."""

    platform: str
    display_name: str = ""
    build: str = ""
    contract: tuple[int, int] = (1, 1)
    clusters: Mapping[str, cluster_pb2.Cluster] = field(default_factory=dict)
    """By cluster tag."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """By cluster tag."""
    absent: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By cluster tag: methods of the contract that it does not serve there, and why."""
    services: frozenset[str] = frozenset()
    files: tuple[bytes, ...] = ()
    """Serialized FileDescriptorProtos of its own services, dependencies first."""
    context_key: bytes = b""
    """For the proofs of calls with a signed context; empty where it has none."""
    at: float = 0.0
    """Unix seconds."""


def is_reserved(service: str) -> bool:
    """Whether only Cloudspan, Google or gRPC itself may define a service of that name."""
    return service.startswith(_RESERVED)


def read(response: adapter_pb2.DescribeResponse, at: float) -> Description:
    """Return what an adapter said.

    Raises:
        InvalidRequest: It names a cluster in a way that nobody could ask for.
    """
    clusters = {}
    for cluster in response.clusters:
        ref = names.parse_cluster(cluster.name, "clusters.name")
        if ref.platform != response.platform or ref.is_wildcard or cluster.name != str(ref):
            text = f"describes the cluster {cluster.name!r}, which is not in platforms/{response.platform}"
            raise InvalidRequest(text, reason="MALFORMED_DESCRIPTION")
        clusters[ref.cluster] = cluster
    return Description(
        platform=response.platform,
        display_name=response.display_name,
        build=response.build,
        contract=(response.contract_min, response.contract_max),
        clusters=MappingProxyType(clusters),
        digests={name.rpartition("/")[2]: digest for name, digest in response.cluster_digests.items()},
        absent={tag: dict(_absent(cluster)) for tag, cluster in clusters.items()},
        services=frozenset(response.services),
        files=tuple(file.SerializeToString(deterministic=True) for file in response.descriptors.file),
        context_key=response.context_key if len(response.context_key) == _KEY_BYTES else b"",
        at=at,
    )


def _absent(cluster: cluster_pb2.Cluster) -> Iterator[tuple[str, str]]:
    """A cluster without capabilities may do anything: its adapter answers for itself."""
    if not cluster.capabilities:
        return
    by_method = {capability.method: capability for capability in cluster.capabilities}
    for method in contract.methods().values():
        if not method.routed_field or method.service == "cloudspan.v1.ClusterService":
            continue
        capability = by_method.get(method.full_name)
        if capability is None:
            yield method.full_name, "its adapter does not list this method among its capabilities"
        elif capability.level == _ABSENT:
            yield method.full_name, capability.reason


def unfit(instance: Instance, description: Description | None) -> str:
    """Return why an instance must not get calls, and what to do; empty when nothing speaks against it."""
    ranges = [instance.contract] if description is None else [instance.contract, description.contract]
    for low, high in ranges:
        if not low <= contract.CONTRACT_VERSION <= high:
            return (
                f"it speaks contract versions {low} to {high}, this gateway {contract.CONTRACT_VERSION}; "
                "upgrade the older of the two"
            )
    if description is None:
        return ""
    if description.platform != instance.platform:
        return (
            f"it registered as platform {instance.platform!r} but describes itself as {description.platform!r}; "
            "make its registration and its configuration agree"
        )
    claimed = sorted(_claimed(description))
    if claimed:
        return f"it claims {', '.join(claimed)}, a name of the contract's owner; rename the adapter's own services"
    return ""


def _claimed(description: Description) -> Iterator[str]:
    """What it defines in its files but does not serve is not a claim: nothing routes there."""
    allowed = _SIDE_SERVICES.union(contract.services())
    newer = description.contract[1] > contract.CONTRACT_VERSION
    for service in description.services:
        # Services of a later contract are not ours to judge; no call of ours reaches them.
        if is_reserved(service) and service not in allowed and not (newer and service.startswith(contract.PACKAGE)):
            yield service
