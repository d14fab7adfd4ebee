"""Any sequence of calls leaves a store as it leaves a plain dict of rows: found by hypothesis, for each kind of store.

The dict applies the changes of `model` and `rivals` one after the other; what is proven is that batches, statements,
indices and restarts of a store come to the same.
"""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from gateway.tests import postgres_server
from gateway.tests.operation_store_suite import CANCELLED, CLUSTER, DONE, LEASE_S, PROGRESS, intent, twin
from google.protobuf import any_pb2
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import Busy, PreconditionFailed
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations import model
from cloudspan_gateway.operations.conflicts import judge, names_of
from cloudspan_gateway.operations.model import Intent, Progress, Row
from cloudspan_gateway.operations.stores.base import Claim, Fenced, OperationStore, Wanted
from cloudspan_gateway.operations.stores.memory import MemoryStore
from cloudspan_gateway.operations.stores.sql import open_store
from cloudspan_gateway.storage.cipher import Cipher

SERVERS = [CLUSTER.resource("servers", str(number)) for number in range(2)]
VOLUME = CLUSTER.resource("volumes", "1")
WORDS = ["CreateServer", "StopServer", "DeleteServer", "AttachVolume"]
CIPHER = Cipher.new()


def _with_secret() -> any_pb2.Any:
    outcome = any_pb2.Any()
    outcome.Pack(server_pb2.Server(name="s", generated_password="hidden"))
    return outcome


PROGRESSES = [Progress(stage="waits"), PROGRESS, dataclasses.replace(PROGRESS, resource=SERVERS[1], cursor=b"")]
OUTCOMES = [DONE, CANCELLED, _with_secret()]
PICK = st.integers(0, 1_000)


class StoreMachine(RuleBasedStateMachine):
    """The calls, each made to the store and to `rows`; what comes back and what is kept must agree."""

    durable = True

    def opened(self) -> Awaitable[OperationStore]:
        """Open the store, again the same one after a restart."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.place = ""
        self.rows: dict[str, Row] = {}  # in the order of acceptance
        self.held: set[str] = set()
        self.claims: list[Claim] = []  # also those that are lost

    @initialize()
    def opens(self) -> None:
        self.store = self.run(self.opened())

    def run(self, call: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await call

        return self.runner.run(awaited())

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.at_the_end()
        self.runner.close()

    # -------------------------------------------------------------- what the dict does

    def change(self, key: str, to: Callable[[Row], Row]) -> Row:
        before, now = self.rows[key], self.clock.now()
        after = self.rows[key] = to(before)
        if after.done and not before.done:
            self.held.discard(key)
            for behind in [row for row in self.rows.values() if row.waits_for == key]:
                self.rows[behind.intent.id] = model.freed(behind, now)
        return after

    def accepted(self, wanted: Intent) -> Row | type[Exception]:
        names, now = set(names_of(wanted)), self.clock.now()
        others = [row for row in self.rows.values() if not row.done and {row.resource, *row.intent.also} & names]
        try:
            verdict = judge(wanted, others)
        except Busy:
            return Busy
        self.rows[wanted.id] = Row(wanted, now, now, self.next_sequence(), waits_for=verdict.waits_for)
        for other in verdict.preempts:
            self.rows[other] = model.cancelled(self.rows[other], now, preempted_by=wanted.id)
        return self.rows[wanted.id]

    def next_sequence(self) -> int:
        return max((row.sequence for row in self.rows.values()), default=0) + 1

    def pick(self, number: int) -> str:
        return list(self.rows)[number % len(self.rows)]

    def agree(self, call: Awaitable[Row], expected: Row | type[BaseException]) -> None:
        if isinstance(expected, Row):
            assert _plain(self.run(call)) == _plain(expected)
        else:
            with pytest.raises(expected):
                self.run(call)

    # -------------------------------------------------------------- the calls

    @rule(word=st.sampled_from(WORDS), server=st.sampled_from(SERVERS))
    def accept(self, word: str, server: str) -> None:
        target = "" if word == "CreateServer" else server
        wanted = intent(word, target=target, also=(VOLUME,) if word == "AttachVolume" else ())
        self.agree(self.store.accept(wanted), self.accepted(wanted))

    @precondition(lambda self: self.rows)
    @rule(number=PICK)
    def ask_again(self, number: int) -> None:
        row = self.rows[self.pick(number)]
        self.agree(self.store.accept(twin(row.intent)), row)
        self.agree(self.store.known(twin(row.intent)), row)

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        free = [r for k, r in self.rows.items() if not r.done and not r.waits_for and k not in self.held][:limit]
        told = self.run(self.store.claim(limit))
        for row in free:
            key = row.intent.id
            self.rows[key] = dataclasses.replace(row, epoch=row.epoch + 1)
            self.held.add(key)
            self.claims.append(Claim(key, row.epoch + 1))
        assert [claim for claim, _ in told] == [Claim(r.intent.id, r.epoch + 1) for r in free]
        assert [_plain(row) for _, row in told] == [_plain(self.rows[claim.id]) for claim, _ in told]

    @precondition(lambda self: self.claims)
    @rule(
        number=PICK,
        progress=st.sampled_from(PROGRESSES),
        outcome=st.sampled_from(OUTCOMES),
        word=st.sampled_from(["begin_attempt", "advance", "note", "unsent", "finish"]),
    )
    def write(self, number: int, progress: Progress, outcome: Any, word: str) -> None:
        claim, now = self.claims[number % len(self.claims)], self.clock.now()
        call, to = {
            "begin_attempt": (lambda: self.store.begin_attempt(claim), model.attempted),
            "advance": (lambda: self.store.advance(claim, progress), lambda r: model.advanced(r, progress, now)),
            "note": (lambda: self.store.note(claim, progress), lambda r: model.noted(r, progress, now)),
            "unsent": (
                lambda: self.store.note(claim, progress, sent=False),
                lambda r: model.noted(r, progress, now, sent=False),
            ),
            "finish": (
                lambda: self.store.finish(claim, progress, outcome),
                lambda r: model.finished(r, progress, outcome, now),
            ),
        }[word]
        fenced = claim.id not in self.rows or self.rows[claim.id].epoch != claim.epoch
        self.agree(call(), Fenced if fenced else self.change(claim.id, to))

    @precondition(lambda self: len(self.rows) > 1)
    @rule(numbers=st.lists(PICK, min_size=2, max_size=4))
    def several_at_once(self, numbers: list[int]) -> None:
        """They are committed together, in the order in which they came."""
        now, keys = self.clock.now(), [self.pick(number) for number in numbers]
        wanted = intent("StopServer", target=SERVERS[0])

        async def together() -> list[Any]:
            calls = [self.store.request_cancel(key) for key in keys]
            calls += [self.store.end(keys[0], PROGRESS, CANCELLED), self.store.accept(wanted)]
            return await asyncio.gather(*calls, return_exceptions=True)

        *told, ended, accepted = self.run(together())
        for key, row in zip(keys, told, strict=True):
            assert _plain(row) == _plain(self.change(key, lambda r: model.cancelled(r, now)))
        assert _plain(ended) == _plain(self.change(keys[0], _ending(now)))
        expected = self.accepted(wanted)
        assert type(accepted) is expected or _plain(accepted) == _plain(expected)  # type: ignore[arg-type]

    @precondition(lambda self: self.rows)
    @rule(number=PICK)
    def cancel(self, number: int) -> None:
        key, now = self.pick(number), self.clock.now()
        self.agree(self.store.request_cancel(key), self.change(key, lambda row: model.cancelled(row, now)))

    @precondition(lambda self: self.rows)
    @rule(number=PICK)
    def end(self, number: int) -> None:
        key = self.pick(number)
        self.agree(self.store.end(key, PROGRESS, CANCELLED), self.change(key, _ending(self.clock.now())))

    @precondition(lambda self: self.rows)
    @rule(number=PICK)
    def reveal(self, number: int) -> None:
        before = self.rows[key := self.pick(number)]
        self.change(key, model.revealed)
        self.agree(self.store.reveal(key), before)

    @precondition(lambda self: self.rows)
    @rule(number=PICK)
    def delete(self, number: int) -> None:
        key = self.pick(number)
        if self.rows[key].done:
            self.run(self.store.delete(key))
            del self.rows[key]
        else:
            self.agree(self.store.delete(key), PreconditionFailed)

    @rule(seconds=st.sampled_from([0.0, 5.0]), limit=st.integers(1, 3))
    def purge(self, seconds: float, limit: int) -> None:
        before = self.clock.now() - seconds
        old = [key for key, row in self.rows.items() if row.end_time is not None and row.end_time < before]
        assert self.run(self.store.purge(before, limit)) == min(limit, len(old))
        left = {row.intent.id for row in self.run(self.store.find(old))}
        self.rows = {key: row for key, row in self.rows.items() if key not in old or key in left}

    @precondition(lambda self: self.claims)
    @rule(number=PICK)
    def release(self, number: int) -> None:
        claim = self.claims[number % len(self.claims)]
        self.run(self.store.release([claim]))
        if claim.id in self.rows and self.rows[claim.id].epoch == claim.epoch:
            self.held.discard(claim.id)

    @rule(seconds=st.sampled_from([1.0, -3_600.0, 3_600.0]))
    def time_jumps(self, seconds: float) -> None:
        self.clock.step_wall(seconds)
        self.run(self.store.heartbeat())

    @precondition(lambda self: self.durable)
    @rule()
    def restart(self) -> None:
        self.run(self.store.close())
        self.store = self.run(self.opened())
        self.held.clear()

    @rule(wanted=st.sampled_from([Wanted(resource=SERVERS[1]), Wanted(done=False), Wanted(done=True)]))
    def look(self, wanted: Wanted) -> None:
        expected = [_plain(row) for row in reversed(self.rows.values()) if _fits(row, wanted)]
        assert [_plain(row) for row in self.run(self.store.page(1_000, wanted=wanted))] == expected

    @invariant()
    def keeps_the_same_rows(self) -> None:
        if hasattr(self, "store"):
            expected = [_plain(row) for row in self.rows.values()]
            assert [_plain(row) for row in self.run(self.store.find(list(self.rows)))] == expected

    def at_the_end(self) -> None:
        assert [row.intent.id for row in self.run(self.store.page(1_000))] == list(reversed(self.rows))
        self.run(self.store.close())


def _ending(now: float) -> Callable[[Row], Row]:
    return lambda row: row if row.done else model.finished(row, PROGRESS, CANCELLED, now)


def _plain(row: Row) -> Row:
    """A row without what only the store decides: its number."""
    return dataclasses.replace(row, sequence=0)


def _fits(row: Row, wanted: Wanted) -> bool:
    return wanted.resource in ("", row.resource) and wanted.done in (None, row.done)


# ------------------------------------------------------------------ for each kind of store


async def _memory(machine: StoreMachine) -> OperationStore:
    return MemoryStore(machine.clock, LEASE_S)


async def _sqlite(machine: StoreMachine) -> OperationStore:
    machine.place = machine.place or tempfile.mkdtemp(dir=_folder)
    return await open_store(f"sqlite:{machine.place}/gateway.db", CIPHER, machine.clock, LEASE_S)


async def _postgres(machine: StoreMachine) -> OperationStore:
    server = postgres_server.needed()
    if not machine.place:
        _database[:] = _database or [server.new_database()]
        server.empty(_database[0])
        machine.place = _database[0]
    return await open_store(machine.place, CIPHER, machine.clock, LEASE_S)


_database: list[str] = []
_folder = ""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    """Where the files of SQLite are made."""
    global _folder  # noqa: PLW0603 - hypothesis makes the machines, without arguments
    _folder = str(tmp_path)


def _run(opened: Callable[[StoreMachine], Awaitable[OperationStore]], examples: int, *, durable: bool = True) -> None:
    machine = type("Machine", (StoreMachine,), {"opened": opened, "durable": durable})
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    bounds = settings(
        max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=quiet, database=None
    )
    run_state_machine_as_test(machine, settings=bounds)


def test_memory_is_like_a_dict() -> None:
    """Sixty sequences of calls."""
    _run(_memory, 60, durable=False)


def test_sqlite_is_like_a_dict() -> None:
    """A few sequences of calls, restarts among them."""
    _run(_sqlite, 8)


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("opened", [_sqlite, _postgres])
def test_a_database_is_like_a_dict(opened: Callable[[StoreMachine], Awaitable[OperationStore]]) -> None:
    """Many sequences of calls, restarts among them."""
    _run(opened, 150)
