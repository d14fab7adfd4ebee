"""Operations in PostgreSQL: what only a database brings that many gateways share, over a network."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from gateway.tests import postgres_server
from gateway.tests.cutting_proxy import CuttingProxy
from gateway.tests.operation_store_suite import (
    CANCELLED,
    DONE,
    LEASE_S,
    PROGRESS,
    claimed,
    ended,
    intent,
    on_server,
    twin,
)
from gateway.tests.postgres_server import PostgresServer

from cloudspan_common.errors import Busy, OutcomeUnknown, PreconditionFailed, Unreachable
from cloudspan_gateway.access.access import OPEN
from cloudspan_gateway.access.limits import OperationLimit, TenantLimit
from cloudspan_gateway.operations.stores.base import Fenced
from cloudspan_gateway.operations.stores.sql import SqlStore, open_store
from cloudspan_gateway.storage import postgres
from cloudspan_gateway.storage.cipher import Cipher

KEYS = Cipher.new()


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    return postgres_server.needed()


@pytest.fixture(scope="module")
def database(server: PostgresServer) -> str:
    return server.new_database()


@pytest.fixture
def url(server: PostgresServer, database: str) -> str:
    """The URL of a database without rows; the first test makes the tables."""
    server.empty(database)
    return database


Opener = Callable[..., "asyncio.Future[SqlStore]"]


@pytest.fixture
async def gateway(url: str) -> AsyncIterator[Opener]:
    """Open a store as one more gateway does; all are closed at the end."""
    async with AsyncExitStack() as stack:

        async def opened(at: str = url, lease_s: float = LEASE_S) -> SqlStore:
            store = await open_store(at, KEYS, lease_s=lease_s)
            stack.push_async_callback(store.close)
            return store

        yield opened


# ------------------------------------------------------------------ many gateways


async def test_one_request_at_two_gateways_is_one_operation(gateway: Opener) -> None:
    """However close together it comes in."""
    stores = [await gateway() for _ in range(3)]
    for _ in range(20):
        first = intent()
        rows = await asyncio.gather(*(store.accept(twin(first)) for store in stores for _ in range(3)))
        assert len({(row.intent.id, row.sequence) for row in rows}) == 1
    assert len(await stores[0].page(100)) == 20


async def test_gateways_never_accept_conflicting_operations(gateway: Opener) -> None:
    """Of two Stops one is refused; of two Deletes one queues; a volume is attached once at a time."""
    stores = [await gateway() for _ in range(3)]
    for number in range(10):
        server = f"platforms/p/clusters/c/servers/{number}"
        stops = [store.accept(intent("StopServer", target=server)) for store in stores]
        answers = await asyncio.gather(*stops, return_exceptions=True)
        assert sorted(isinstance(answer, Busy) for answer in answers) == [False, True, True]
        deletes = await asyncio.gather(*(store.accept(intent("DeleteServer", target=server)) for store in stores))
        assert [row.waits_for for row in deletes].count("") == 1
        assert len({row.waits_for for row in deletes}) == 3
        attaching = [
            store.accept(intent("AttachVolume", target=f"{server}-{at}", also=(f"v{number}",)))
            for at, store in enumerate(stores)
        ]
        assert len({row.waits_for for row in await asyncio.gather(*attaching)}) == 3


async def test_gateways_that_accept_at_once_exceed_a_limit_by_one_write_each_at_most(gateway: Opener) -> None:
    """And once they see each other's, none accepts any more."""
    stores, limits = [await gateway() for _ in range(3)], [OperationLimit("tenants/t", 4, OPEN)]
    racing = [store.accept(intent(), limits=limits) for _ in range(10) for store in stores]
    answers = await asyncio.gather(*racing, return_exceptions=True)
    accepted = sum(not isinstance(answer, Exception) for answer in answers)
    assert 4 <= accepted <= 3 * 4
    assert sum(isinstance(answer, TenantLimit) for answer in answers) == 30 - accepted
    for store in stores:
        with pytest.raises(TenantLimit, match=f"has {accepted};"):
            await store.accept(intent(), limits=limits)


async def test_what_ends_while_others_queue_behind_it_frees_them(gateway: Opener) -> None:
    """An operation accepted at one gateway, as the one before it ends at another, is never left behind."""
    one, other = await gateway(), await gateway()
    for _ in range(20):
        first = await one.accept(on_server("DeleteServer"))
        _, second = await asyncio.gather(
            one.end(first.intent.id, PROGRESS, CANCELLED), other.accept(on_server("DeleteServer"))
        )
        assert (await one.get(second.intent.id)).waits_for == ""
        await one.end(second.intent.id, PROGRESS, CANCELLED)


async def test_gateways_claim_different_operations(gateway: Opener) -> None:
    """A hundred, claimed by three in small bites at the same time."""
    stores = [await gateway() for _ in range(3)]
    await asyncio.gather(*(stores[0].accept(intent()) for _ in range(100)))
    rounds = await asyncio.gather(*(store.claim(5) for _ in range(10) for store in stores))
    ids = [claim.id for claims in rounds for claim, _ in claims]
    assert len(ids) == len(set(ids)) == 100


async def test_gateways_wake_each_other(gateway: Opener) -> None:
    """For work, and for a change of what is watched: pushed, not polled."""
    one, other = await gateway(), await gateway()
    await other.claim(1)
    working = asyncio.create_task(other.work())
    await asyncio.sleep(0.02)
    assert not working.done()
    row = await one.accept(intent())
    await asyncio.wait_for(working, 5)
    claim = await claimed(other)
    watching = [asyncio.create_task(one.changed(row.intent.id, row.revision)) for _ in range(1_000)]
    await asyncio.sleep(0.02)
    advanced = await other.advance(claim, PROGRESS)
    assert await asyncio.wait_for(asyncio.gather(*watching), 5) == [advanced] * 1_000


async def test_a_thousand_waiters_cost_one_read(gateway: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """At their beginning, and at each change that another gateway makes."""
    one, other = await gateway(), await gateway()
    row = await one.accept(intent())
    reads = []
    read = one._database.read

    async def counted(*args: object, **options: object) -> object:
        reads.append(1)
        return await read(*args, **options)

    monkeypatch.setattr(one._database, "read", counted)
    watching = [asyncio.create_task(one.changed(row.intent.id, row.revision)) for _ in range(1_000)]
    await asyncio.sleep(0.05)
    await other.request_cancel(row.intent.id)
    await asyncio.wait_for(asyncio.gather(*watching), 5)
    assert len(reads) == 2


async def test_a_gateway_that_stops_renewing_loses_its_claims(
    gateway: Opener, server: PostgresServer, url: str
) -> None:
    """Another takes them when the lease has ended; the silent one writes nothing any more and gets nothing back."""
    silent, other = await gateway(), await gateway()
    for _ in range(3):
        await silent.accept(intent())
    lost = [claim for claim, _ in await silent.claim(10)]
    assert not await other.claim(10)
    await silent.heartbeat()
    server.lapse(url, LEASE_S - 5)
    assert not await other.claim(10)
    server.lapse(url, 10)
    taken = [claim for claim, _ in await other.claim(10)]
    assert {(claim.id, claim.epoch) for claim in taken} == {(claim.id, 2) for claim in lost}
    await silent.heartbeat()
    for claim in lost:
        with pytest.raises(Fenced):
            await silent.advance(claim, PROGRESS)
    await silent.release(lost)
    assert not await silent.claim(10)
    await other.release(taken[:1])
    assert [claim.id for claim, _ in await silent.claim(10)] == [taken[0].id]


async def test_the_end_of_another_gateways_lease_wakes(gateway: Opener) -> None:
    """One that was killed says nothing: its lease ends, and whoever waits for work claims what it had."""
    killed, other = await gateway(lease_s=0.5), await gateway()
    row = await killed.accept(intent())
    await killed.claim(1)
    async with asyncio.timeout(10):
        while not (claims := await other.claim(1)):
            await other.work()
    assert [(claim.id, claim.epoch) for claim, _ in claims] == [(row.intent.id, 2)]


async def test_a_gateway_that_closes_leaves_its_work_to_the_others_at_once(gateway: Opener) -> None:
    """They are woken."""
    leaving, other = await gateway(), await gateway()
    row = await leaving.accept(intent())
    await leaving.claim(1)
    await other.claim(1)
    working = asyncio.create_task(other.work())
    await leaving.close()
    await asyncio.wait_for(working, 5)
    assert (await claimed(other)).id == row.intent.id


async def test_pages_miss_nothing_that_was_accepted_before_they_began(gateway: Opener) -> None:
    """While others accept, in whatever order their numbers become visible."""
    one, other = await gateway(), await gateway()
    known = [(await one.accept(intent())).intent.id for _ in range(20)]

    async def accepting(store: SqlStore) -> None:
        for _ in range(20):
            await store.accept(intent())

    async def traversed() -> list[str]:
        ids, before = [], None
        while page := await one.page(7, before):
            ids += [row.intent.id for row in page]
            before = page[-1].sequence
        return ids

    _, _, *seen = await asyncio.gather(accepting(one), accepting(other), *(traversed() for _ in range(5)))
    for ids in seen:
        assert len(ids) == len(set(ids))
        assert set(known) <= set(ids)


# ------------------------------------------------------------------ connections that are lost


@pytest.fixture
async def proxy(server: PostgresServer) -> AsyncIterator[CuttingProxy]:
    async with CuttingProxy(server.port) as made:
        yield made


@pytest.mark.parametrize("how", ["reply", "request", "late"])
async def test_a_commit_without_an_answer_takes_effect_once(
    proxy: CuttingProxy, gateway: Opener, url: str, how: str
) -> None:
    """Its reply was lost, or it never arrived, or it arrives while the gateway already asks: callers don't notice."""
    store = await gateway(proxy.through(url))
    row = await store.accept(intent())
    claim = await claimed(store)
    for attempt in (1, 2, 3):
        proxy.cut(how)
        assert (await store.begin_attempt(claim)).attempt == attempt
        assert proxy.cuts == attempt
    assert (await store.get(row.intent.id)).attempt == 3
    proxy.cut(how)
    accepted = await store.accept(intent())
    proxy.cut(how)
    ((taken, taken_row),) = await store.claim(10)
    assert (taken.id, taken.epoch, taken_row.sequence) == (accepted.intent.id, 1, accepted.sequence)
    proxy.cut(how)
    assert (await store.finish(taken, PROGRESS, DONE)).done


async def test_a_database_that_stays_away_fails_the_write(
    proxy: CuttingProxy, gateway: Opener, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was stored, or that is unknown: two different errors. Back again, the store goes on by itself."""
    monkeypatch.setattr(postgres, "PATIENCE_S", 0.3)
    store = await gateway(proxy.through(url))
    row = await store.accept(intent())
    await store.claim(1)
    watching = asyncio.create_task(store.changed(row.intent.id, row.revision))
    proxy.refuse()
    for asking in (store.accept(intent()), store.get(row.intent.id), store.page(1), store.heartbeat()):
        with pytest.raises(Unreachable, match="nothing was stored") as caught:
            await asking
        assert (caught.value.reason, caught.value.retry_after_s) == ("STORE_UNAVAILABLE", 1.0)
    proxy.admit()
    lost = intent()
    proxy.cut("reply", then_refuse=True)
    with pytest.raises(OutcomeUnknown, match="same request_id"):
        await store.accept(lost)
    proxy.admit()
    assert (await store.accept(twin(lost))).intent.id == lost.id
    await store.request_cancel(row.intent.id)
    assert (await asyncio.wait_for(watching, 5)).cancel_requested


async def test_what_was_announced_while_nobody_listened_is_read_again(
    proxy: CuttingProxy, gateway: Opener, url: str
) -> None:
    """A lost listener is replaced, and everything watched is looked at."""
    deaf, other = await gateway(proxy.through(url)), await gateway()
    row = await other.accept(intent())
    claim = await claimed(other)
    await deaf.claim(1)
    watching = asyncio.create_task(deaf.changed(row.intent.id, row.revision))
    working = asyncio.create_task(deaf.work())
    await asyncio.sleep(0.03)
    proxy.refuse()
    await other.advance(claim, PROGRESS)
    await other.accept(intent())
    proxy.admit()
    assert (await asyncio.wait_for(watching, 10)).progress == PROGRESS
    await asyncio.wait_for(working, 10)


async def test_nothing_is_lost_or_done_twice_while_the_server_restarts(gateway: Opener, server: PostgresServer) -> None:
    """Shut down and crashed under load: each write took effect exactly once, or its caller got an error."""
    stores = [await gateway() for _ in range(2)]
    over = asyncio.Event()
    working = [asyncio.create_task(_work_on(store, over)) for store in stores for _ in range(5)]
    for how in (signal.SIGINT, signal.SIGQUIT):
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.stop, how)
        await asyncio.to_thread(server.start)
    await asyncio.sleep(0.05)
    over.set()
    done = [one for acknowledged in await asyncio.gather(*working) for one in acknowledged]
    assert done
    rows = {row.intent.id: row for row in await stores[0].find([one for one, _ in done])}
    for operation_id, request_id in done:
        assert rows[operation_id].done
        assert rows[operation_id].intent.request_id == request_id
    everything = await stores[0].page(10_000)
    assert len({row.intent.request_id for row in everything}) == len(everything)


async def _work_on(store: SqlStore, over: asyncio.Event) -> list[tuple[str, str]]:
    """Accept, note and end operations one after the other, insisting; return those whose end was acknowledged."""
    acknowledged = []
    while not over.is_set():
        wanted = intent()
        row = await _insisting(lambda wanted=wanted: store.accept(twin(wanted)))
        key = row.intent.id
        await _insisting(lambda key=key: store.request_cancel(key))
        ended_row = await _insisting(lambda key=key: store.end(key, PROGRESS, CANCELLED))
        assert ended_row.revision == 2  # the cancel and the end, each once
        acknowledged.append((key, wanted.request_id))
    return acknowledged


async def _insisting(act):
    while True:
        try:
            return await act()
        except (Unreachable, OutcomeUnknown):
            await asyncio.sleep(0.02)


async def test_a_deadlock_between_gateways_is_resolved_unnoticed(gateway: Opener) -> None:
    """Two gateways that free what the other changes wait for each other: one tries again, no caller notices."""
    one, other = await gateway(), await gateway()

    async def churn(store: SqlStore, word: str) -> None:
        for _ in range(10):
            rows = [await store.accept(on_server("DeleteServer")) for _ in range(3)]
            answers = await asyncio.gather(
                *(store.request_cancel(row.intent.id) for row in reversed(rows)),
                *(store.end(row.intent.id, PROGRESS, CANCELLED) for row in rows),
            )
            assert all(answers), word

    await asyncio.gather(churn(one, "one"), churn(other, "other"))


# ------------------------------------------------------------------ on disk


async def test_no_secret_is_in_the_servers_files(gateway: Opener, server: PostgresServer) -> None:
    """Neither in its tables nor in its log of changes."""
    store = await gateway()
    secrets = [f"s3cr3t-{part}-".encode() * 3 for part in ("request", "cursor", "explained")]
    row = await store.accept(intent(request=secrets[0]))
    claim = await claimed(store)
    await store.advance(claim, dataclasses.replace(PROGRESS, cursor=secrets[1]), secrets[2])
    written = await asyncio.to_thread(server.files)
    assert row.intent.id.encode() in written
    assert b"s3cr3t" not in written
    assert base64.b64encode(secrets[0])[:12] not in written


async def test_everything_is_there_for_another_gateway(gateway: Opener) -> None:
    """Rows, what they took, and the fetched secrets gone."""
    one = await gateway()
    rows = [await ended(one), await one.accept(intent(also=("x", "y"), request=os.urandom(100_000)))]
    claim = await claimed(one)
    rows[1] = await one.advance(claim, PROGRESS, b"told")
    await one.close()
    other = await gateway()
    assert list(reversed(await other.page(10))) == rows
    assert await other.explained(claim.id) == b"told"


async def test_an_unreachable_server_fails_the_start(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the opening, with where it was looked for and without the password."""
    monkeypatch.setattr(postgres, "PATIENCE_S", 0.1)
    with pytest.raises(Unreachable) as caught:
        await open_store("postgresql://me:hidden@127.0.0.1:1/none", KEYS)
    assert "127.0.0.1:1/none" in caught.value.message
    assert "hidden" not in caught.value.message
    with pytest.raises(PreconditionFailed, match="does not exist"):
        await open_store(server.url.replace("/postgres", "/missing"), KEYS)
