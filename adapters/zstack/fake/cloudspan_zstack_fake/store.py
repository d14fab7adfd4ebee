"""Everything the fake cloud holds, in memory, with reproducible uuids.

Resources read and write the tables; `seed` fills them. A row is an inventory's fields by name, times as unix
seconds; names that start with `_` are our own. Two clouds with the same name and history hold the same uuids.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudspan_kit.fakes.timeline import Timeline
from cloudspan_zstack_fake.api import stamps
from cloudspan_zstack_fake.wire import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudspan_common.clock import Clock
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.wire import Call

_SYSTEM_TAGS = frozenset(
    {
        "additionalQmp", "applianceType", "bootMode", "bootOrder", "capability", "ceph", "cleanTraffic",
        "consolePassword", "customMac", "driver", "ephemeral", "hostname", "l3", "localStorage", "nestedVirtualization",
        "primaryStorage", "qemuga", "rootPassword", "soundType", "sshkey", "staticIp", "usbRedirect", "userdata",
        "vRingBufferSize", "vmConsoleMode", "vmPriority", "volumeProvisioningStrategy",
    }
)  # fmt: skip
"""The first words of the system tags that are known here; the server knows more, each of some resource types."""
ADMIN = "36c27e8ff05c4780bf6d2fa65700f22e"
"""Account and user uuid of the built-in administrator, the same on every installation."""


@dataclass(slots=True)
class Timing:
    """How long, in seconds of the injected clock, the fake's own work takes."""

    build_s: float = 0.2
    power_s: float = 0.1
    delete_s: float = 0.1
    volume_s: float = 0.05
    attach_s: float = 0.05
    image_s: float = 0.05
    job_s: float = 0.02
    """A job that has nothing to wait for."""


@dataclass(slots=True)
class Settings:
    """What differs between installations."""

    version: str = "5.2.1"
    locale: str = "en_US"
    """Of the server's words; installations have zh_CN unless they were told otherwise."""
    commercial: bool = True
    """Otherwise the open-source edition: no access keys, no VPC networks."""
    utc_offset_s: int = 8 * 3600
    new_java_dates: bool = False
    management_address: str = "192.0.2.10:8080"
    """What the server takes for its own address and tells in `location`; as a rule clients can't reach it."""
    id_seed: str = ""
    """What uuids are made from; the cloud's name when empty."""


class Table:
    """Rows of one resource type by uuid, oldest first."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._rows: dict[str, Json] = {}

    def __repr__(self) -> str:
        return f"<Table {self.kind}: {len(self._rows)} rows>"

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Json]:
        return iter(self._rows.values())

    def __contains__(self, row_uuid: str) -> bool:
        return row_uuid in self._rows

    def get(self, row_uuid: str | None) -> Json | None:
        return self._rows.get(row_uuid or "")

    def present(self, row_uuid: str) -> Json:
        """Return a row.

        Raises:
            Failure: SYS.1003, there is none.
        """
        row = self._rows.get(row_uuid)
        if row is None:
            raise self.missing("uuid", row_uuid)
        return row

    def missing(self, field: str, row_uuid: str) -> Failure:
        """Return the error for a parameter that names no row."""
        several = field.endswith("Uuids")
        named = f"uuids:[{row_uuid}]" if several else f"uuid:{row_uuid}"
        return Failure("SYS.1003", f"invalid field[{field}], resource[{named}, type:{self.kind}] not found")

    def some(self, uuids: Iterable[str]) -> list[Json]:
        """Return the rows of those uuids that still exist."""
        return [self._rows[row_uuid] for row_uuid in uuids if row_uuid in self._rows]

    def where(self, **fields: Any) -> list[Json]:
        """Return the rows whose fields have these values."""
        wanted = fields.items()
        return [row for row in self._rows.values() if all(row.get(name) == value for name, value in wanted)]

    def add(self, row: Json) -> Json:
        self._rows[row["uuid"]] = row
        return row

    def remove(self, row_uuid: str) -> Json | None:
        return self._rows.pop(row_uuid, None)


def taken_uuid() -> Failure:
    """Return what the server says of a chosen uuid that something has already; the database alone sees it."""
    text = "org.hibernate.exception.ConstraintViolationException: could not execute statement"
    return Failure("SYS.1000", text)


class Store:
    """The tables, the clock and the uuid source of one fake cloud."""

    def __init__(self, name: str, clock: Clock, timing: Timing, settings: Settings) -> None:
        self.name, self.clock, self.timing, self.settings = name, clock, timing, settings
        self.skew_s = 0.0
        self.timeline = Timeline(clock)
        self.random = random.Random(settings.id_seed or name)  # noqa: S311 - uuids must be reproducible, nothing here is secret
        self.tables: dict[str, Table] = {}
        self.zones, self.clusters, self.hosts = self._table("ZoneVO"), self._table("ClusterVO"), self._table("HostVO")
        self.primary_storages = self._table("PrimaryStorageVO")
        self.backup_storages = self._table("BackupStorageVO")
        self.instance_offerings = self._table("InstanceOfferingVO")
        self.disk_offerings = self._table("DiskOfferingVO")
        self.images, self.vms, self.nics = self._table("ImageVO"), self._table("VmInstanceVO"), self._table("VmNicVO")
        self.volumes, self.snapshots = self._table("VolumeVO"), self._table("VolumeSnapshotVO")
        self.l2_networks, self.l3_networks = self._table("L2NetworkVO"), self._table("L3NetworkVO")
        self.ip_ranges, self.used_ips = self._table("IpRangeVO"), self._table("UsedIpVO")
        self.providers = self._table("NetworkServiceProviderVO")
        self.vips, self.eips = self._table("VipVO"), self._table("EipVO")
        self.security_groups = self._table("SecurityGroupVO")
        self.security_group_rules = self._table("SecurityGroupRuleVO")
        self.security_group_refs = self._table("VmNicSecurityGroupRefVO")
        self.ssh_keys = self._table("SshKeyPairVO")
        self.accounts, self.users = self._table("AccountVO"), self._table("UserVO")
        self.quotas, self.access_keys = self._table("QuotaVO"), self._table("AccessKeyVO")
        self.system_tags, self.user_tags = self._table("SystemTagVO"), self._table("UserTagVO")
        self.configs = self._table("GlobalConfigVO")
        self.management_nodes = self._table("ManagementNodeVO")
        self.tags_of: dict[str, set[str]] = {}

    def __repr__(self) -> str:
        counts = f"{len(self.vms)} VMs, {len(self.volumes)} volumes, {len(self.nics)} NICs"
        return f"<Store {self.name}: {counts}>"

    def _table(self, kind: str) -> Table:
        self.tables[kind] = Table(kind)
        return self.tables[kind]

    def new_uuid(self) -> str:
        return uuid.UUID(int=self.random.getrandbits(128), version=4).hex

    def fixed_uuid(self, *words: str) -> str:
        """Return a uuid that depends on the cloud's name and `words` alone."""
        return uuid.uuid5(uuid.NAMESPACE_URL, "/".join((self.name, *words))).hex

    def now(self) -> float:
        """Return unix seconds by the server's own clock."""
        return self.clock.now() + self.skew_s

    def stamp(self, moment: float) -> str:
        """Return a moment as the server writes it."""
        settings = self.settings
        return stamps.written(int(moment), settings.utc_offset_s, new_java=settings.new_java_dates)

    def owner_table(self, row_uuid: str) -> Table | None:
        """Return the table that holds a uuid, whatever its type."""
        return next((table for table in self.tables.values() if row_uuid in table), None)

    def create(self, table: Table, call: Call, *, filed_as: str = "", **fields: Any) -> Json:
        """Add the row that a create call asks for, with its name, description, tags and chosen uuid.

        The tags are those of the table's kind, unless the server files them as another's.

        Raises:
            Failure: SYS.1000, the chosen uuid is taken, if only by a soft-deleted row of another type.
        """
        chosen = call.params.get("resourceUuid") or self.new_uuid()
        if self.owner_table(chosen) is not None:
            raise taken_uuid()
        named = {"name": call.params.get("name"), "description": call.params.get("description")}
        kind = filed_as or table.kind
        self.check_tags(kind, chosen, call.params.get("systemTags") or [], self.system_tags)
        row = self.new_row(table, call.identity.account, **named, **{**fields, "uuid": chosen})
        self.tag(kind, chosen, call.params.get("systemTags") or [], self.system_tags)
        self.tag(kind, chosen, call.params.get("userTags") or [], self.user_tags)
        return row

    def new_row(self, table: Table, account: str, **fields: Any) -> Json:
        """Add a row that belongs to an account."""
        now = self.now()
        row = {"uuid": "", **fields, "createDate": now, "lastOpDate": now, "_account": account}
        row["uuid"] = row["uuid"] or self.new_uuid()
        return table.add(row)

    def touch(self, row: Json, **fields: Any) -> Json:
        """Change a row and its `lastOpDate`."""
        row.update(fields, lastOpDate=self.now())
        return row

    def drop(self, table: Table, row_uuid: str) -> None:
        """Remove a row and its tags."""
        table.remove(row_uuid)
        for tag_uuid in self.tags_of.pop(row_uuid, set()):
            self.system_tags.remove(tag_uuid)
            self.user_tags.remove(tag_uuid)

    def tag(self, kind: str, row_uuid: str, texts: Iterable[str], table: Table) -> list[Json]:
        """Add tags to a resource; return their rows."""
        word = "System" if table is self.system_tags else "User"
        rows = []
        for text in texts:
            fields: Json = {"resourceUuid": row_uuid, "resourceType": kind, "tag": text, "type": word}
            if word == "System":
                fields["inherent"] = False
            rows.append(self.new_row(table, "", **fields))
            self.tags_of.setdefault(row_uuid, set()).add(rows[-1]["uuid"])
        return rows

    def check_tags(self, kind: str, row_uuid: str, texts: list[str], table: Table) -> None:
        """Refuse tags that can't be added to a resource.

        Raises:
            Failure: SYS.1007, no system tag is like it; SYS.1006, the resource has it, or it is given twice.
        """
        word, there = "System" if table is self.system_tags else "User", set(self.tags(row_uuid, table))
        for text in texts:
            if word == "System" and text.partition("::")[0] not in _SYSTEM_TAGS:
                raise Failure("SYS.1007", f"no system tag matches {text}")
            if text in there:
                what = f"tag:{text}, type:{word}, resourceType:{kind}, resourceUuid:{row_uuid}"
                raise Failure("SYS.1006", f"Duplicated Tag[{what}]")
            there.add(text)

    def tags(self, row_uuid: str, table: Table) -> list[str]:
        """Return the texts of a resource's system or user tags."""
        return [row["tag"] for row in table.some(sorted(self.tags_of.get(row_uuid, ())))]

    def config(self, category: str, name: str) -> str:
        """Return the value of a global configuration."""
        return str(self.configs.present(self.fixed_uuid("config", category, name))["value"])

    def new_mac(self) -> str:
        tail = self.random.getrandbits(40)
        return "fa:" + ":".join(f"{tail >> shift & 255:02x}" for shift in (32, 24, 16, 8, 0))
