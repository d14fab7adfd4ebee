"""The ends of operations are written into the inventory: results, deletions, and what was named beside them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2

from cloudspan.v1 import server_pb2, volume_pb2
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import Unreachable
from cloudspan_common.names import parse_cluster
from cloudspan_common.redaction import has_secrets
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.inventory.model import CollectionState, Observed, Origin
from cloudspan_gateway.inventory.query.query import Query
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.inventory.write_through import WriteThrough
from cloudspan_gateway.storage.engine import open_database

EAST = "platforms/openstack/clusters/east"
A, DISK = f"{EAST}/servers/a", f"{EAST}/volumes/v"
WEST_A = "platforms/openstack/clusters/west/servers/a"
SERVICE = "cloudspan.v1.ServerService"


@dataclass
class Intent:
    method: str
    cluster: Any = field(default_factory=lambda: parse_cluster(EAST))
    also: tuple[str, ...] = ()


@dataclass
class Ended:
    """An operation that has ended."""

    intent: Intent
    resource: str
    outcome: Any
    end_time: float = 1010.0


@dataclass
class World:
    """An inventory, and the platform as it is now."""

    store: InventoryStore
    query: Query
    through: WriteThrough
    platform: dict[str, Any]
    soon: list[tuple[str, frozenset[str]]]

    async def end(self, operation: Ended, sent_time: float = 1000.0) -> None:
        self.through.operation_ended(operation, sent_time)
        await self.through.settled()

    async def kept(self, kind: Any, name: str) -> Any:
        row = await self.query.get(name)
        return row and kind.FromString(row.payload)

    async def get(self, name: str) -> Observed | None:
        found = self.platform.get(name)
        if isinstance(found, Exception):
            raise found
        return found and Observed.of(found)


@asynccontextmanager
async def world():
    clock = FakeClock(1020.0)
    database = await open_database("memory:", clock)
    soon: list[tuple[str, frozenset[str]]] = []
    made = World(InventoryStore(database, clock), Query(database), None, {}, soon)
    made.through = WriteThrough(made.store, made, clock, lambda *which: soon.append(which))
    work = asyncio.create_task(made.through.run())
    try:
        yield made
    finally:
        work.cancel()
        await asyncio.wait([work])
        await database.close()


def packed(message):
    outcome = any_pb2.Any()
    outcome.Pack(message)
    return outcome


def start(outcome, **fields):
    return Ended(Intent(f"{SERVICE}/StartServer"), A, outcome, **fields)


async def test_the_result_of_an_operation_is_kept_without_its_secrets():
    """What a password's owner got once is nobody else's to read."""
    made = server_pb2.Server(name=A, display_name="a", generated_password="pa55")
    assert has_secrets(made)
    async with world() as here:
        await here.end(Ended(Intent(f"{SERVICE}/CreateServer"), A, packed(made)))
        assert await here.kept(server_pb2.Server, A) == server_pb2.Server(name=A, display_name="a")
        assert here.through.is_current(A, 1010.0)
    ((cluster, collections),) = here.soon
    assert (cluster, {"volumes", "ports"} <= collections) == (EAST, True)


async def test_a_deleted_resource_goes_and_what_was_read_before_does_not_bring_it_back():
    """A listing that read it before its deletion ended comes later."""
    async with world() as here:
        await here.store.apply("servers", [Observed.of(server_pb2.Server(name=A))], 900.0, Origin.SWEEP)
        await here.end(Ended(Intent(f"{SERVICE}/DeleteServer"), A, packed(empty_pb2.Empty())))
        await here.store.apply("servers", [Observed.of(server_pb2.Server(name=A))], 1005.0, Origin.SWEEP)
        assert await here.kept(server_pb2.Server, A) is None


async def test_what_was_named_beside_is_read_again():
    """A volume that was attached, as its platform has it now; one of another cluster is left alone."""
    also = (DISK, "platforms/openstack/clusters/west/volumes/v")
    attach = Ended(Intent(f"{SERVICE}/AttachVolume", also=also), A, packed(server_pb2.Server(name=A)))
    async with world() as here:
        here.platform[DISK] = volume_pb2.Volume(name=DISK, display_name="attached")
        await here.end(attach)
        assert (await here.kept(volume_pb2.Volume, DISK)).display_name == "attached"
        assert here.through.is_current(DISK, 1020.0)
        assert not here.through.is_current(also[1], 0.0)


GARBLED = any_pb2.Any(type_url="type.googleapis.com/cloudspan.v1.Server", value=b"\xff\xff\xff")


@pytest.mark.parametrize(
    "outcome", [status_pb2.Status(code=13), packed(server_pb2.Server(name=f"{EAST}/servers/b")), GARBLED]
)
async def test_a_resource_is_read_again_where_the_outcome_does_not_tell_how_it_is(outcome):
    """After a failure, and where the adapter returned something else, or nothing that can be read."""
    async with world() as here:
        here.platform[A] = server_pb2.Server(name=A, display_name="as it is")
        await here.end(start(outcome))
        assert (await here.kept(server_pb2.Server, A)).display_name == "as it is"
        assert await here.kept(server_pb2.Server, f"{EAST}/servers/b") is None


@pytest.mark.parametrize("name", [WEST_A, EAST, f"{EAST}/servers"])
async def test_what_an_adapter_names_that_is_no_resource_of_its_cluster_is_left_alone(name):
    """Another cluster's row does not go by a Delete here, and a name of something else stops nothing."""
    async with world() as here:
        await here.store.apply("servers", [Observed.of(server_pb2.Server(name=WEST_A))], 900.0, Origin.SWEEP)
        await here.end(Ended(Intent(f"{SERVICE}/DeleteServer"), name, packed(empty_pb2.Empty())))
        await here.end(Ended(Intent(f"{SERVICE}/StartServer"), name, status_pb2.Status(code=13)))
        assert await here.kept(server_pb2.Server, WEST_A) is not None
        await here.end(start(packed(server_pb2.Server(name=A))))
        assert here.through.is_current(A, 1010.0)


async def test_a_result_that_is_older_than_what_is_kept_is_read_again():
    """A listing read it between the last step and its end."""
    async with world() as here:
        await here.store.apply("servers", [Observed.of(server_pb2.Server(name=A, vcpus=1))], 1005.0, Origin.SWEEP)
        await here.store.save_state(CollectionState(EAST, "servers", observe_time=900.0))
        here.platform[A] = server_pb2.Server(name=A, vcpus=3)
        await here.end(start(packed(server_pb2.Server(name=A, vcpus=2))))
        assert (await here.kept(server_pb2.Server, A)).vcpus == 3


async def test_a_platform_that_does_not_answer_leaves_the_resource_in_doubt_and_others_are_written():
    """It counts as changed until somebody has read it."""
    async with world() as here:
        here.platform[A] = Unreachable("down")
        await here.end(start(status_pb2.Status(code=13)))
        assert not here.through.is_current(A, 1010.0)
        await here.end(start(packed(server_pb2.Server(name=A))))
        assert here.through.is_current(A, 1010.0)


async def test_a_resource_that_is_gone_is_removed_when_it_is_read_again():
    """Its platform says so."""
    async with world() as here:
        await here.store.apply("servers", [Observed.of(server_pb2.Server(name=A))], 900.0, Origin.SWEEP)
        await here.through.read_again(A, Deadline.after(5))
        assert await here.kept(server_pb2.Server, A) is None


async def test_ends_that_came_together_are_written_in_their_order():
    """A server that was created and deleted meanwhile is gone, one that was changed twice is as it was left."""
    other = f"{EAST}/servers/other"
    async with world() as here:
        for operation in (
            Ended(Intent(f"{SERVICE}/CreateServer"), A, packed(server_pb2.Server(name=A)), 1001.0),
            Ended(Intent(f"{SERVICE}/StartServer"), other, packed(server_pb2.Server(name=other, vcpus=1)), 1002.0),
            Ended(Intent(f"{SERVICE}/DeleteServer"), A, packed(empty_pb2.Empty()), 1003.0),
            Ended(Intent(f"{SERVICE}/StopServer"), other, packed(server_pb2.Server(name=other, vcpus=2)), 1004.0),
        ):
            here.through.operation_ended(operation, 1000.0)
        await here.through.settled()
        assert await here.kept(server_pb2.Server, A) is None
        assert (await here.kept(server_pb2.Server, other)).vcpus == 2
        assert here.through.is_current(A, 1003.0)


async def test_many_ends_are_a_few_commits():
    """Operations that end meanwhile share the database with them."""
    async with world() as here:
        commits, transact = [], here.store._database.transact

        async def counted(batch):
            commits.append(1)
            return await transact(batch)

        here.store._database.transact = counted
        for number in range(100):
            name = f"{EAST}/servers/{number}"
            here.through.operation_ended(
                Ended(Intent(f"{SERVICE}/CreateServer"), name, packed(server_pb2.Server(name=name))), 1000.0
            )
        await here.through.settled()
        assert len(await here.store.known(EAST, "servers")) == 100
    assert len(commits) <= 2


async def test_one_result_of_many_that_is_older_than_what_is_kept_leaves_the_others():
    """It alone is read again."""
    names = [f"{EAST}/servers/{number}" for number in range(3)]
    async with world() as here:
        await here.store.apply("servers", [Observed.of(server_pb2.Server(name=names[1]))], 1005.0, Origin.SWEEP)
        here.platform[names[1]] = server_pb2.Server(name=names[1], vcpus=9)
        for name in names:
            result = packed(server_pb2.Server(name=name, vcpus=2))
            here.through.operation_ended(Ended(Intent(f"{SERVICE}/StartServer"), name, result), 1000.0)
        await here.through.settled()
        assert [(await here.kept(server_pb2.Server, name)).vcpus for name in names] == [2, 9, 2]
