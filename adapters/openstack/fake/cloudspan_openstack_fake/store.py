"""Everything the fake cloud holds, in memory, with reproducible ids.

Services read and write the tables; `seed` fills them. Two clouds with the same name and history hold the same ids.
"""

from __future__ import annotations

import bisect
import operator
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cloudspan_kit.fakes.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudspan_common.clock import Clock
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.rows import AppCredential, Flavor, Project, Server, User

Row = TypeVar("Row")

_COMPARED = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le, "eq": operator.eq, "neq": operator.ne,
}  # fmt: skip

NOVA_QUOTA = {
    "instances": 10, "cores": 20, "ram": 51200, "key_pairs": 100, "metadata_items": 128, "server_groups": 10,
    "server_group_members": 10,
}  # fmt: skip
CINDER_QUOTA = {
    "volumes": 10, "per_volume_gigabytes": -1, "snapshots": 10, "gigabytes": 1000, "backups": 10,
    "backup_gigabytes": 1000, "groups": 10,
}  # fmt: skip
NEUTRON_QUOTA = {
    "network": 100, "subnet": 100, "subnetpool": -1, "port": 500, "router": 10, "floatingip": 50, "rbac_policy": 10,
    "security_group": 10, "security_group_rule": 100,
}  # fmt: skip


@dataclass(slots=True)
class Timing:
    """How long, in seconds of the injected clock, the fake's own work takes."""

    build_s: float = 0.2
    power_s: float = 0.1
    delete_s: float = 0.1
    volume_s: float = 0.05
    attach_s: float = 0.05
    image_s: float = 0.05


class Table(Generic[Row]):
    """Rows by id, kept in one order: by id, or the newest first."""

    def __init__(self, key: Callable[[Row], Any]) -> None:
        self._key = key
        self._rows: dict[str, Row] = {}
        self._order: list[tuple[Any, str]] = []

    def __repr__(self) -> str:
        return f"<Table: {len(self._rows)} rows>"

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return (self._rows[row_id] for _, row_id in self._order)

    def __contains__(self, row_id: str) -> bool:
        return row_id in self._rows

    def get(self, row_id: str) -> Row | None:
        return self._rows.get(row_id)

    def add(self, row_id: str, row: Row) -> None:
        self._rows[row_id] = row
        bisect.insort(self._order, (self._key(row), row_id))

    def add_many(self, rows: list[tuple[str, Row]]) -> None:
        """Add at once: one sort instead of an insertion per row."""
        self._rows.update(rows)
        self._order = sorted((self._key(row), row_id) for row_id, row in self._rows.items())

    def remove(self, row_id: str) -> Row | None:
        row = self._rows.pop(row_id, None)
        if row is not None:
            place = bisect.bisect_left(self._order, (self._key(row), row_id))
            del self._order[place]
        return row

    def after(self, row: Row, row_id: str) -> Iterator[Row]:
        """Iterate what follows `row` in the table's order, also when `row` itself is no longer there."""
        place = bisect.bisect_right(self._order, (self._key(row), row_id))
        return (self._rows[other] for _, other in self._order[place:])


def _by_id(row: Json) -> Any:
    return row["id"]


class Store:
    """The tables, the clock and the id source of one fake cloud."""

    def __init__(self, name: str, clock: Clock, timing: Timing, id_seed: str = "") -> None:
        self.name, self.clock, self.timing = name, clock, timing
        self.timeline = Timeline(clock)
        self.random = random.Random(id_seed or name)  # noqa: S311 - ids must be reproducible, nothing here is secret
        self._seq = 0
        self.projects: dict[str, Project] = {}
        self.users: dict[str, User] = {}
        self.app_credentials: dict[str, AppCredential] = {}
        self.flavors: dict[str, Flavor] = {}
        self.key_pairs: dict[tuple[str, str], Json] = {}
        self.servers: Table[Server] = Table(lambda row: -row.seq)
        self.dead_servers: dict[str, Server] = {}
        self.images: Table[Json] = Table(lambda row: -row["_seq"])
        self.spent_image_ids: set[str] = set()
        self.networks: Table[Json] = Table(_by_id)
        self.subnets: Table[Json] = Table(_by_id)
        self.ports: Table[Json] = Table(_by_id)
        self.routers: Table[Json] = Table(_by_id)
        self.floating_ips: Table[Json] = Table(_by_id)
        self.security_groups: Table[Json] = Table(_by_id)
        self.security_group_rules: Table[Json] = Table(_by_id)
        self.volumes: Table[Json] = Table(lambda row: -row["_seq"])
        self.snapshots: Table[Json] = Table(lambda row: -row["_seq"])
        self.volume_types: dict[str, Json] = {}
        self.zones = ["nova"]
        self.quotas: dict[tuple[str, str], dict[str, int]] = {}
        self.max_limit = 1000
        self.validates_filters = True
        """Whether Neutron refuses filters that it does not know, and `changed_since` among them, which it knows."""

    def __repr__(self) -> str:
        counts = f"{len(self.servers)} servers, {len(self.volumes)} volumes, {len(self.ports)} ports"
        return f"<Store {self.name}: {counts}>"

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def fixed_id(self, *words: str) -> str:
        """Return an id that depends on the cloud's name and `words` alone."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join((self.name, *words))))

    def now(self) -> float:
        return self.clock.now()

    def volumes_row(self, volume_id: str) -> Json:
        """Return a volume that is known to exist."""
        return _present(self.volumes, volume_id)

    def networks_row(self, network_id: str) -> Json:
        """Return a network that is known to exist."""
        return _present(self.networks, network_id)

    def stamp(self) -> str:
        """Return now as Neutron and Glance write it."""
        return zulu(self.now())

    def quota(self, service: str, project_id: str) -> dict[str, int]:
        """Return a project's limits in `service` (compute, network or volume); may be changed in place."""
        defaults = {"compute": NOVA_QUOTA, "network": NEUTRON_QUOTA, "volume": CINDER_QUOTA}[service]
        return self.quotas.setdefault((service, project_id), dict(defaults))

    def new_mac(self) -> str:
        tail = self.random.getrandbits(24)
        return f"fa:16:3e:{tail >> 16:02x}:{tail >> 8 & 255:02x}:{tail & 255:02x}"


def _present(table: Table[Json], row_id: str) -> Json:
    row = table.get(row_id)
    if row is None:
        raise KeyError(row_id)
    return row


def zulu(moment: float) -> str:
    """Return `2026-11-22T03:19:50Z`."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micros(moment: float | None) -> str | None:
    """Return `2026-11-22T03:19:52.000000`: Nova's and Cinder's times without a zone, in whole seconds."""
    return None if moment is None else datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%S.000000")


def parse_time(text: str) -> float | None:
    """Return the unix time of an ISO 8601 text, read as UTC where it names no zone; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def in_time(found: str, wanted: str) -> bool:
    """Whether a time meets a filter of Cinder's or Glance's: `gte:2026-11-22T03:19:50Z`.

    Raises:
        ValueError: With the operator, where that or the time is none.
    """
    word, _, text = wanted.partition(":")
    moment, there = parse_time(text), parse_time(found)
    if word not in _COMPARED or moment is None:
        raise ValueError(word)
    return there is not None and bool(_COMPARED[word](there, moment))
