"""Kinds: what the kit makes of them, and what it refuses at the start, by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Never

import msgspec
import pytest
from common.kit.tests.acme import PARENT, AcmeCluster, serving

from cloudspan.client import AsyncClient as Client
from cloudspan.v1 import common_pb2, key_pair_pb2, volume_pb2
from cloudspan_common import contract
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import Defect, NotFound, PlatformFault, Unsupported
from cloudspan_common.listing.filter_ast import EVERYTHING
from cloudspan_common.names import ClusterRef
from cloudspan_kit import (
    ABSENT,
    BY_KEY,
    BY_MARKER,
    Call,
    Capability,
    Kind,
    KindDriver,
    Marked,
    MarkedRows,
    Operation,
    Query,
    RowPage,
    Rows,
    Source,
    push,
    read_rows,
)
from cloudspan_kit.drivers import VolumeDriver
from cloudspan_kit.lists.fill import list_page
from cloudspan_kit.serve.capabilities import Abilities

EAST = ClusterRef("acme", "east")
METHODS = contract.methods()
LIST = METHODS["cloudspan.v1.VolumeService/ListVolumes"]
GET = METHODS["cloudspan.v1.VolumeService/GetVolume"]
CREATE = METHODS["cloudspan.v1.VolumeService/CreateVolume"]


class VolumeRow(msgspec.Struct, kw_only=True):
    id: str
    name: str = ""
    status: str = ""
    size: int = 0
    mark: str = ""


class Disks(Source[Never]):
    """A collection in memory, as documents: two on a page, after an id."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[Any]]] = []

    def id_of(self, row: object) -> str:
        return str(getattr(row, "id", ""))

    async def one(self, call: Call, kind: Kind[Any, Any, Never], native_id: str) -> Rows[Any]:
        found = [document for document in documents(call) if document.get("id") == native_id]
        if not found:
            raise NotFound(f"no {native_id}")
        return read_rows(found, kind.row, "id", full=call.full)

    async def page(self, call: Call, kind: Kind[Any, Any, Never], query: Query) -> RowPage[Any]:
        self.asked.append((query.cursor, push.pushed(query, call.cluster, kind.push)))
        start = int(query.cursor or 0)
        found = read_rows(documents(call)[start : start + 2], kind.row, "id", full=call.full)
        kept = found.kept or ()
        end = start + 2
        more = end < len(documents(call))
        return RowPage(found, more, lambda i: str(start + kept[i] + 1), end=str(end) if more else "")

    async def sweep(self, call: Call, kind: Kind[Any, Any, Never]) -> AsyncIterator[Sequence[Any]]:
        yield read_rows(documents(call), kind.row, "id").rows

    async def discard(self, call: Call, kind: Kind[Any, Any, Never], native_id: str) -> None:
        documents(call)[:] = [document for document in documents(call) if document["id"] != native_id]


def documents(call: Call) -> list[dict[str, Any]]:
    assert isinstance(call.cloud, list)
    return call.cloud


VOLUMES = Kind(
    collection="volumes",
    message=volume_pb2.Volume,
    row=VolumeRow,
    source=Disks(),
    sort={"display_name": "name"},
    push={"display_name": push.text("name"), "zone": push.ref("az", "zones")},
    settled=lambda row: row.status != "creating",
    safety=BY_MARKER,
    marker=MarkedRows[VolumeRow](lambda row: [Marked(row.id, row.mark)] if row.mark else []),
)


class Volumes(KindDriver[VolumeRow, volume_pb2.Volume], VolumeDriver):
    kind = VOLUMES
    capabilities: ClassVar[Mapping[str, Capability]] = {"delete_volume": Capability(reason="needs a human")}

    def message(self, row: VolumeRow) -> volume_pb2.Volume:
        if row.name == "unmappable":
            raise ValueError("no such name")
        return volume_pb2.Volume(name=self._ref.resource("volumes", row.id), display_name=row.name, size_bytes=row.size)

    async def create_volume(self, op: Operation, request: volume_pb2.CreateVolumeRequest) -> volume_pb2.Volume:
        raise AssertionError("not called here")


def abilities(*drivers: Any, cloud: object = None) -> Abilities:
    class Cluster:
        ref = EAST

    cluster: Any = Cluster()
    cluster.drivers, cluster.cloud = drivers, cloud
    return Abilities(cluster)


def call(cloud: object, native_id: str = "", *, full: bool = False) -> Call:
    return Call(EAST, Deadline.after(10), id=native_id, full=full, cloud=cloud)


async def listed(cloud: list[dict[str, Any]], **request: Any) -> tuple[list[str], list[str]]:
    asked = LIST.request(parent=str(EAST), **request)
    found = await list_page(LIST, asked, call(cloud), abilities(Volumes(EAST)).function(LIST), ("display_name",))
    return [item.name.rpartition("/")[2] for item in found.items], list(found.unread)


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": f"v{n}", "name": f"n{n}", "size": n} for n in range(count)]


async def test_get_and_list_come_from_the_kind() -> None:
    """With filters, pages, and the platform's document under view FULL."""
    cloud = rows(5)
    assert await listed(cloud) == (["v0", "v1", "v2", "v3", "v4"], [])
    assert (await listed(cloud, filter='display_name = "n3"'))[0] == ["v3"]
    get = abilities(Volumes(EAST)).function(GET)
    assert (await get(call(cloud, "v2"), None)).display_name == "n2"
    assert (await get(call(cloud, "v2", full=True), None)).native["size"] == 2
    with pytest.raises(NotFound):
        await get(call(cloud, "v9"), None)


async def test_what_the_platform_filters_by_is_pushed_down() -> None:
    """Resource names as the platform's ids; names of another cluster not at all."""
    source = Disks()
    driver = Volumes(EAST)
    driver.kind = replace(VOLUMES, source=source)
    for text in (f'zone = "{EAST}/zones/a%20b" AND display_name = "n1"', 'zone = "platforms/x/clusters/y/zones/z"'):
        request = LIST.request(parent=str(EAST), filter=text)
        await list_page(LIST, request, call(rows(1)), abilities(driver).function(LIST))
    assert [pushed for _, pushed in source.asked] == [[("name", "n1"), ("az", "a b")], []]


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
async def test_an_odd_row_is_left_out_and_named_wherever_it_is(page_size: int) -> None:
    """At the end of a page, a whole page of them, or one that can be read and not told; nothing comes twice."""
    cloud = rows(9)
    for odd in (1, 4, 5, 8):
        cloud[odd]["size"] = ["odd"]
    cloud[6]["name"] = "unmappable"
    names: list[str] = []
    unread: dict[str, None] = {}
    token = ""
    while True:
        request = LIST.request(parent=str(EAST), page_size=page_size, page_token=token)
        found = await list_page(LIST, request, call(cloud), abilities(Volumes(EAST)).function(LIST))
        names += [item.name.rpartition("/")[2] for item in found.items]
        unread |= dict.fromkeys(found.unread)
        token = found.next_page_token
        if not token:
            break
    assert names == ["v0", "v2", "v3", "v7"]
    assert list(unread) == [
        *(f"v{n} was left out (size: ['odd'] is not a number)" for n in (1, 4, 5)),
        "v6 was left out (no such name)",
        "v8 was left out (size: ['odd'] is not a number)",
    ]


async def test_a_number_that_its_field_can_not_hold_is_left_away_and_the_row_stays() -> None:
    """And is named."""
    cloud = rows(3)
    cloud[1]["size"] = 1 << 64
    assert await listed(cloud) == (["v0", "v1", "v2"], [f"v1 (size: {1 << 64} is too large)"])


async def test_one_resource_that_can_not_be_read_says_why() -> None:
    """A get has nothing else to answer with."""
    get = abilities(Volumes(EAST)).function(GET)
    with pytest.raises(PlatformFault, match=r"volumes/v0 can't be read: v0 was left out \(no such name\)"):
        await get(call([{"id": "v0", "name": "unmappable"}], "v0"), None)


async def test_shared_waits_and_marks_come_from_the_kind() -> None:
    """By one listing where many are waited for."""
    cloud = rows(20)
    for number in (3, 7):
        cloud[number] |= {"status": "creating", "mark": f"cs-test-{number}"}
    found = abilities(Volumes(EAST))
    ids = [row["id"] for row in cloud]
    assert await found.transits["volumes"](call(cloud), ids) == {"v3", "v7"}
    assert await found.transits["volumes"](call(cloud), ["v3", "v4", "gone"]) == {"v3"}
    marked = found.marked["volumes"]
    assert [(row.id, row.marker) for row in await marked.find(call(cloud), "cs-test-7")] == [("v7", "cs-test-7")]
    await marked.remove(call(cloud), "v7")
    assert len(cloud) == 19


def test_capabilities_are_the_kinds_and_what_the_driver_adds() -> None:
    """A function that a driver only inherits from its protocol is not served."""
    found = abilities(Volumes(EAST))
    assert found.capability(LIST).sortable == ("display_name",)
    assert found.capability(CREATE).create_safety == BY_MARKER
    with pytest.raises(Unsupported, match="needs a human"):
        found.function(METHODS["cloudspan.v1.VolumeService/DeleteVolume"])
    assert {m.method.rpartition("/")[2] for m in found.describe()} == {
        "GetVolume", "ListVolumes", "CreateVolume", "DeleteVolume",
    }  # fmt: skip


class Versioned(Volumes):
    """On a cluster that says nothing of zones, as its `cloud` tells."""

    def lacking(self, cloud: object) -> Mapping[str, Mapping[str, str]]:
        return {"get_volume": {"zone": "told from version 2 on"}} if cloud else {}


def test_a_field_that_a_cluster_turned_out_not_to_have_is_described_from_then_on() -> None:
    """Beside what is declared for every cluster; as long as nothing is known, nothing is lacking."""
    known: list[str] = []
    described = abilities(Versioned(EAST), cloud=known)

    def told() -> list[tuple[str, bool, str]]:
        by_method = {capability.method: capability for capability in described.describe()}
        return [(f.path, f.level == ABSENT, f.reason) for f in by_method[GET.full_name].fields]

    before = told()
    known.append("version 1")
    assert (before, told()) == ([], [("zone", True, "told from version 2 on")])


class Misspelt(Volumes):
    async def delete_volumes(self, op: Operation, request: volume_pb2.DeleteVolumeRequest) -> None: ...


class Silent(KindDriver[VolumeRow, volume_pb2.Volume], VolumeDriver):
    kind = VOLUMES


class Kindless(KindDriver[VolumeRow, volume_pb2.Volume], VolumeDriver):
    def message(self, row: VolumeRow) -> volume_pb2.Volume:
        return volume_pb2.Volume()


def of_kind(**changes: Any) -> Volumes:
    driver = Volumes(EAST)
    driver.kind = replace(VOLUMES, **changes)
    return driver


@pytest.mark.parametrize(
    ("driver", "why"),
    [
        (Misspelt(EAST), r"Misspelt\.delete_volumes is not a method of the contract; did you mean delete_volume"),
        (Silent(EAST), "Silent overrides neither `message` nor `messages`"),
        (Kindless(EAST), "Kindless has no `kind`"),
        (of_kind(collection="disks"), "is of 'disks': the contract has no collection"),
        (of_kind(message=key_pair_pb2.KeyPair), "has the message KeyPair; a resource of volumes is a Volume"),
        (of_kind(sort={"sise_bytes": "size"}), "sort of .* names 'sise_bytes', which Volume does not have"),
        (of_kind(push={"colour": push.text("c")}), "push of .* names 'colour', which Volume does not have"),
        (of_kind(safety=0), "has create_volume and its kind no `safety`"),
        (of_kind(marker=None), "is created BY_MARKER and has no `marker`"),
    ],
)
def test_what_does_not_fit_together_is_refused_at_the_start_by_name(driver: Any, why: str) -> None:
    """A misspelt function would else be served by nobody."""
    with pytest.raises(Defect, match=why):
        abilities(driver)


def test_a_function_stands_in_one_driver_only() -> None:
    """Two that have it would hide each other."""
    with pytest.raises(Defect, match=r"two drivers of .* have create_volume"):
        abilities(Volumes(EAST), Volumes(EAST))


def test_a_kind_by_key_needs_no_marker() -> None:
    """The platform itself refuses a second one."""
    assert abilities(of_kind(safety=BY_KEY, marker=None)).capability(CREATE).create_safety == BY_KEY


async def test_a_list_with_rows_left_out_is_partial_and_names_them() -> None:
    """Callers see it in the state of the cluster, and every row that could be read."""
    cloud = rows(3)
    cloud[1]["size"] = {}
    cluster: Any = AcmeCluster(None)
    cluster.drivers, cluster.cloud = (Volumes(EAST),), cloud
    async with serving(cluster) as address, Client(address) as client:
        answer = await client.volumes.ListVolumes(volume_pb2.ListVolumesRequest(parent=PARENT))
        got = await client.volumes.GetVolume(volume_pb2.GetVolumeRequest(name=f"{PARENT}/volumes/v2"))
    assert [volume.display_name for volume in answer.volumes] == ["n0", "n2"]
    (status,) = answer.cluster_status
    assert (status.state, status.reason) == (common_pb2.ClusterStatus.STATE_PARTIAL, "ROWS_UNREADABLE")
    assert status.message == "the cloud sent what can't be read: v1 was left out (size: {} is not a number)"
    assert got.display_name == "n2"


async def test_a_list_says_what_its_messages_lack_and_a_get_does_not() -> None:
    """What is read beside a page may be missing: the rows are there, and the list is PARTIAL."""

    class WithoutOwners(Volumes):
        async def listed(
            self, call: Call, query: Query, rows: Sequence[VolumeRow]
        ) -> tuple[Sequence[volume_pb2.Volume], str]:
            return await self.messages(call, rows), f"volumes lack their owners; {query.limit} were asked for"

    served = abilities(WithoutOwners(EAST))
    found = await list_page(LIST, LIST.request(parent=str(EAST), page_size=2), call(rows(3)), served.function(LIST))
    assert (len(found.items), found.partial) == (2, "volumes lack their owners; 2 were asked for")
    assert (await served.function(GET)(call(rows(3), "v2"), None)).display_name == "n2"


async def test_a_mutation_whose_result_has_a_number_that_no_field_holds_ends_well() -> None:
    """It is done, and its result lacks that value alone; what can't be mapped for another reason is an error."""
    call, row = Call(EAST, Deadline.after(5)), VolumeRow(id="a", size=1 << 70, name="a")
    made = await Volumes(EAST).to_message(call, row)
    assert (made.display_name, made.size_bytes) == ("a", 0)
    with pytest.raises(ValueError, match="no such name"):
        await Volumes(EAST).to_message(call, VolumeRow(id="a", name="unmappable"))


def test_rows_of_what_is_gone_are_split_off_a_page() -> None:
    """It goes on where it did with them, though its last row is one of them; positions are those of the rows left."""
    rows = [VolumeRow(id=i) for i in "abcd"]
    page = RowPage(Rows(rows, [{"id": i} for i in "abcd"], ["e"]), True, lambda index: f"behind {index}")
    kept = page.split(lambda row: row.id in "ad", lambda row: row.id)
    assert [row.id for row in kept.rows.rows] == [document["id"] for document in kept.rows.documents] == ["b", "c"]
    assert (kept.gone, kept.end, kept.position(1), kept.more) == (["a", "d"], "behind 3", "behind 2", True)
    assert kept.rows.unread == ["e"]
    assert page.split(lambda row: row.id == "x", lambda row: row.id) is page
    last = RowPage(Rows(rows), False, lambda index: f"behind {index}").split(lambda _: True, lambda row: row.id)
    assert (list(last.rows.rows), last.end, last.gone) == ([], "", list("abcd"))


async def test_a_page_of_changes_says_so_when_its_rows_are_messages() -> None:
    """And what is gone of it, also where a row can't be read."""

    class Changed(Disks):
        async def page(self, call: Call, kind: Kind[Any, Any, Never], query: Query) -> RowPage[Any]:
            return replace(await super().page(call, kind, query), changes_only=query.since is not None, gone=["z"])

    class Driver(Volumes):
        kind = replace(VOLUMES, source=Changed())

    cloud = [{"id": "a"}, {"id": "b", "name": "unmappable"}, {"id": "c"}]
    served = abilities(Driver(EAST), cloud=cloud)
    call = Call(EAST, Deadline.after(5), cloud=cloud)
    page = await served.function(LIST)(call, Query(EVERYTHING, 100, since=1.0))
    assert [item.name.rpartition("/")[2] for item in page.items] == ["a"]
    assert (page.changes_only, page.gone, page.end) == (True, ["z"], "2")
