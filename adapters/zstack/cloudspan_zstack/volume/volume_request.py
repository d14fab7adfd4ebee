"""What a CreateVolume asks for, in ZStack's words. `volumes` creates by it, and servers create theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan_kit import native_id, read_options
from cloudspan_zstack.cloud.errors import bad
from cloudspan_zstack.cloud.jobs import Change
from cloudspan_zstack.cloud.labels import tags_of

if TYPE_CHECKING:
    from cloudspan.v1 import volume_pb2
    from cloudspan_common.names import ClusterRef


class CreateVolumeOptions(msgspec.Struct, forbid_unknown_fields=True):
    """Options of CreateVolume; ids are the platform's own."""

    within_project: ClassVar[frozenset[str]] = frozenset({"shareable"})
    primary_storage: str = ""
    """Where to keep it; the data is made at once then, not at the first attachment."""
    host: str = ""
    """The host whose disks to take, on local storage."""
    shareable: bool = False
    """Whether several servers may attach it at once."""
    ceph_pool: str = ""

    def tags(self) -> list[str]:
        """Return what travels as system tags."""
        values = {"localStorage::hostUuid::": self.host, "ceph::pool::": self.ceph_pool}
        tags = [prefix + value for prefix, value in values.items() if value]
        return [*tags, "ephemeral::shareable"] if self.shareable else tags


class VolumeWish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, in the platform's ids."""

    path: str
    """Where it stands in the request: `volume`."""
    name: str
    description: str = ""
    size: int = 0
    offering: str = ""
    image: str = ""
    snapshot: str = ""
    zone: str = ""
    tags: list[str]
    options: CreateVolumeOptions = msgspec.field(default_factory=CreateVolumeOptions)

    @property
    def needs_a_storage(self) -> bool:
        """Whether a primary storage has to be chosen for it."""
        return bool(self.zone or self.image) and not self.options.primary_storage

    @property
    def names_its_size_twice(self) -> bool:
        """Whether it names a disk offering or a source, which have a size, and a size beside it."""
        return bool((self.offering or self.is_of_a_source) and self.size)

    @property
    def is_of_a_source(self) -> bool:
        """Whether its data comes from elsewhere."""
        return bool(self.image or self.snapshot)


def wish_of(request: volume_pb2.CreateVolumeRequest, ref: ClusterRef) -> VolumeWish:
    """Return what a CreateVolume asks for.

    Raises:
        InvalidRequest: It contradicts itself, lacks something, or names resources of another cluster.
    """
    volume = request.volume
    if volume.image and volume.snapshot:
        raise bad("volume.snapshot", "volume.image and volume.snapshot exclude each other; keep one")
    source = volume.image or volume.snapshot
    if source and volume.volume_type:
        text = f"a volume type is a size here, and a volume made of {source} has that one's; leave volume_type out"
        raise bad("volume.volume_type", text)
    if volume.size_bytes < 0:
        raise bad("volume.size_bytes", f"volume.size_bytes is {volume.size_bytes}; give a size, or 0 for the source's")
    if not source and not volume.volume_type and volume.size_bytes <= 0:
        raise bad("volume.size_bytes", "an empty volume needs volume.size_bytes or a volume.volume_type")
    return VolumeWish(
        path="volume",
        name=volume.display_name or "volume",
        description=volume.description,
        size=volume.size_bytes,
        offering=native_id(ref, "volumeTypes", volume.volume_type, "volume.volume_type"),
        image=native_id(ref, "images", volume.image, "volume.image"),
        snapshot=native_id(ref, "snapshots", volume.snapshot, "volume.snapshot"),
        zone=native_id(ref, "zones", volume.zone, "volume.zone"),
        tags=tags_of(volume.labels, "volume.labels"),
        options=read_options(request.options, CreateVolumeOptions),
    )


def volume_change(wish: VolumeWish, storage: str, uuid: str) -> Change:
    """Return the create call: there are three of them, for what a volume is made of."""
    params: dict[str, Any] = {
        "name": wish.name,
        "description": wish.description or None,
        "primaryStorageUuid": storage or None,
        "resourceUuid": uuid,
    }
    template, args = "/volumes/data", {}
    if wish.snapshot:
        template = "/volumes/data/from/volume-snapshots/{snapshot}"
        args = {"snapshot": wish.snapshot}
    elif wish.image:
        template, args = "/volumes/data/from/data-volume-templates/{image}", {"image": wish.image}
        params["hostUuid"] = wish.options.host or None
    elif wish.offering:
        params["diskOfferingUuid"] = wish.offering
    else:
        params["diskSize"] = wish.size
    return Change("POST", template, args, params=params, system_tags=wish.options.tags(), user_tags=wish.tags)
