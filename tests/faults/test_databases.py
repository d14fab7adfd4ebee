"""Operations when gateways share a database, freeze, die and race, and when the database is away or full."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from itertools import cycle

import pytest
from gateway.tests.postgres_server import PostgresServer, needed
from tests.harness.clouds import OpenStack, ZStack
from tests.harness.fleet import Fleet, together, until
from tests.harness.mutations import KINDS, call

from cloudspan.client import QuotaExceeded
from cloudspan.v1 import server_pb2

pytestmark = [pytest.mark.faults, pytest.mark.timeout(150)]

LEASE_S = 4.5
SETTLE_S = 3.0
SITES = {"openstack": OpenStack, "zstack": ZStack}


@pytest.fixture
def database() -> str:
    return needed().new_database()


def _server(site, number):
    return KINDS["server"].request(site, f"one-{number}", number)


def _points(directory, plan="nowhere"):
    place = directory / "points"
    place.mkdir()
    (place / "plan").write_text(plan)
    return place


def _once(site, count):
    """Whether each of the servers is there exactly once."""
    return [site.named("server", f"one-{number}") for number in range(count)] == [1] * count


@pytest.mark.parametrize("tag", SITES)
async def test_what_a_killed_gateway_drove_the_other_one_ends_within_two_leases(nursery, tmp_path, database, tag):
    """Two gateways on PostgreSQL; one is killed while its servers build."""
    site = SITES[tag](settle_s=SETTLE_S, build_s=1.0)
    async with Fleet(nursery, site, tmp_path, "--lease", str(LEASE_S), database=database) as fleet:
        await fleet.gateway("killed")
        await fleet.adapter()
        await fleet.listed("key pair")
        accepted = [await call(fleet.client, _server(site, number)) for number in range(12)]
        await until(lambda: site.named("server", "one-11") == 1)
        other = await fleet.gateway("other")
        fleet.children["killed"].kill()
        began = asyncio.get_running_loop().time()
        await together(*(other.operation(each.name, server_pb2.Server).result(2 * LEASE_S + 10) for each in accepted))
        took_s = asyncio.get_running_loop().time() - began
        assert _once(site, 12)
        assert took_s <= 2 * LEASE_S + 1.0  # a second for what was left of the build


@pytest.mark.parametrize("stop", ["store before 3 stop", "store after 3 stop", "store before 5 stop"])
async def test_a_gateway_frozen_past_its_lease_does_nothing_after_another_took_over(nursery, tmp_path, database, stop):
    """Around the write that says that a step is to be sent; thawed, it finds that the operation is another's."""
    site = OpenStack(settle_s=SETTLE_S, build_s=0.1)
    place = _points(tmp_path)
    async with Fleet(nursery, site, tmp_path, "--lease", str(LEASE_S), database=database) as fleet:
        await fleet.gateway("frozen", prepare=("in_gateway", str(place)))
        await fleet.adapter()
        await fleet.listed("key pair")
        (place / "plan").write_text(stop)
        asked = asyncio.ensure_future(fleet.ask(_server(site, 0)))
        await until(lambda: fleet.children["frozen"].stopped)
        await fleet.gateway("other")
        await until(lambda: site.named("server", "one-0") == 1, 30)
        (place / "plan").write_text("nowhere")
        await asyncio.sleep(1)
        fleet.children["frozen"].signal(signal.SIGCONT)
        run = await asked
        assert run.error is None
        assert (await fleet.listed("server")).count("one-0") == 1
        await asyncio.sleep(1)  # for what it may have been about to do
        assert _once(site, 1)
        assert (await fleet.ask(_server(site, 1))).error is None  # both go on


async def test_gateways_that_race_for_the_same_requests_do_each_once(nursery, tmp_path, database):
    """Forty requests, each asked of both gateways at the same moment: one operation, one server."""
    site = OpenStack(settle_s=SETTLE_S, build_s=0.1)
    async with Fleet(nursery, site, tmp_path, database=database) as fleet:
        one, two = await fleet.gateway("one"), await fleet.gateway("two")
        await fleet.adapter()
        await fleet.listed("key pair", one)
        await fleet.listed("key pair", two)

        async def race(number):
            request = _server(site, number)
            request.request_id = f"00000000-0000-4000-8000-{number:012}"
            first, second = await together(fleet.ask(request, one), fleet.ask(request, two))
            assert first.error is None
            return first.operation.name == second.operation.name

        assert await together(*(race(number) for number in range(40))) == [True] * 40
        assert _once(site, 40)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
async def test_a_postgresql_restarted_in_the_middle_loses_nothing(nursery, tmp_path, how):
    """Two gateways go on by themselves; what was accepted ends, each exactly once."""
    needed()
    server = PostgresServer(_binaries(), fsync=True)
    site = OpenStack(settle_s=SETTLE_S, build_s=0.5)
    try:
        async with Fleet(nursery, site, tmp_path, "--lease", str(LEASE_S), database=server.new_database()) as fleet:
            clients = [await fleet.gateway(name) for name in ("one", "two")]
            await fleet.adapter()
            await fleet.listed("key pair", clients[0])
            await fleet.listed("key pair", clients[1])
            asks = [fleet.ask(_server(site, number), client) for number, client in zip(range(20), cycle(clients))]
            asking = asyncio.ensure_future(together(*asks))
            await until(lambda: site.named("server", "one-3") == 1)
            for _ in range(2):
                await asyncio.to_thread(server.stop, how)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(server.start)
                await asyncio.sleep(1)
            runs = await asking
            assert [run.error for run in runs] == [None] * 20
            assert _once(site, 20)
    finally:
        server.remove()


def _binaries():
    from gateway.tests import postgres_server  # noqa: PLC0415 - its own way to find them

    return postgres_server._binaries()


@contextmanager
def _small_disk(directory):
    """A disk of four megabytes."""
    directory.mkdir()
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)), check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield directory
    finally:
        subprocess.run(("umount", "-l", str(directory)), check=True)


async def test_a_full_disk_refuses_what_is_new_and_loses_nothing_that_was_accepted(nursery, tmp_path):
    """While SQLite's disk is full nothing is accepted; with room again, what was goes on to its end by itself."""
    site = OpenStack(settle_s=SETTLE_S, build_s=1.5)
    with _small_disk(tmp_path / "disk") as disk:
        async with Fleet(nursery, site, tmp_path, database=f"sqlite:{disk / 'operations.db'}") as fleet:
            await fleet.gateway()
            await fleet.adapter()
            await fleet.listed("key pair")
            accepted = [await call(fleet.client, _server(site, number)) for number in range(5)]
            await until(lambda: site.named("server", "one-4") == 1)
            _fill(disk)
            refused = 0
            for number in range(100, 130):
                try:
                    accepted.append(await call(fleet.client, KINDS["volume"].request(site, f"full-{number}", 0)))
                except QuotaExceeded:
                    refused += 1
            assert refused > 0
            await asyncio.sleep(2)  # what was accepted can't be told to have ended
            (disk / "filler").unlink()
            for operation in accepted:
                await operation.result(30)
            assert _once(site, 5)
            assert len(site.cloud.store.volumes) == len(accepted) - 5
            assert (await fleet.ask(KINDS["volume"].request(site, "after", 0))).error is None


def _fill(disk):
    """Leave no room at all."""
    with (disk / "filler").open("wb", buffering=0) as filler:
        for size in (65536, 4096, 512):
            try:
                while True:
                    filler.write(b"x" * min(size, max(shutil.disk_usage(disk).free, 1)))
            except OSError:
                os.sync()
