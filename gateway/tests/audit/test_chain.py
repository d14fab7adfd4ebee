"""The chain of events: whole whoever appends, and broken by whatever is done to it afterwards."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from gateway.tests import postgres_server
from gateway.tests.audit_chains import broken_at, event, rows
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from cloudspan_common.errors import CloudspanError
from cloudspan_gateway.audit.chain import FIRST_PREVIOUS, MAX_CHARS, Chain, hash_of, record_of
from cloudspan_gateway.audit.store import AuditStore
from cloudspan_gateway.storage.engine import Database, open_database

Rows = list[dict[str, Any]]


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path):
    url = f"sqlite:{tmp_path}/gateway.db"
    opened = await open_database(url if request.param == "sqlite" else postgres_server.needed().new_database())
    yield opened
    await opened.close()


def _links(count: int) -> Rows:
    found: Rows = []
    previous = FIRST_PREVIOUS
    for sequence in range(1, count + 1):
        record = record_of(event(f"users/u{sequence}"), sequence)
        found.append(
            {"sequence": sequence, "record": record, "hash": hash_of(previous, record), "previous_hash": previous}
        )
        previous = found[-1]["hash"]
    return found


def _tampered(found: Rows, how: str, at: int, other: int) -> Rows:
    if how == "change":
        record = json.loads(found[at]["record"]) | {"subject": "users/mallory"}
        found[at]["record"] = json.dumps(record, sort_keys=True, separators=(",", ":"))
    elif how == "change and hash again":
        found[at]["record"] = found[at]["record"].replace("users", "friends")
        found[at]["hash"] = hash_of(found[at]["previous_hash"], found[at]["record"])
    elif how == "delete":
        del found[at]
    elif how == "delete and number again":
        del found[at]
        for sequence, row in enumerate(found, 1):
            row["sequence"] = sequence
    elif how == "swap":
        found[at], found[other] = found[other], found[at]
    elif how == "insert":
        found.insert(at, dict(found[other]))
    elif how == "cut the start off":
        del found[: at + 1]
    return found


HOW = (
    "change",
    "change and hash again",
    "delete",
    "delete and number again",
    "swap",
    "insert",
    "cut the start off",
)


@given(st.integers(2, 12), st.sampled_from(HOW), st.randoms(use_true_random=False))
def test_whatever_is_done_to_rows_but_the_newest_is_found(count: int, how: str, chance: random.Random) -> None:
    """The head, kept elsewhere, would show it of the newest as well."""
    found = _links(count)
    assert broken_at(found) is None
    at, other = chance.sample(range(count - 1), 2) if count > 2 else (0, 1)
    assert broken_at(_tampered(found, how, at, other)) is not None


def test_a_record_is_canonical_and_holds_every_field() -> None:
    """Sorted, without spaces, times in microseconds: anybody can make the same text from the same event."""
    record = record_of(event("users/ä", message='said "no"\n', create_time=1_764_362_000.123456), 7)
    fields = json.loads(record)
    assert record == json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert fields["create_time"] == "2025-11-28T20:33:20.123456Z"
    assert (fields["sequence"], fields["type"], fields["subject"]) == (7, "TYPE_MUTATION", "users/ä")
    assert len(fields) == 16


def test_what_callers_wrote_is_cut_cleaned_and_masked() -> None:
    """Neither its length nor NUL nor half a character keeps an event from the database, and no secret reaches it."""
    hostile = event(resource="x" * 5000, method="a\0b\ud800", message="password=hunter2")
    fields = json.loads(record_of(hostile, 1))
    assert len(fields["resource"]) == MAX_CHARS
    assert "\0" not in fields["method"]
    assert "hunter2" not in fields["message"]


async def test_events_are_chained_within_a_transaction_and_told_after_it(database: Database) -> None:
    """Those of a transaction that fails are neither there nor told, and leave no gap."""
    chain, heard = Chain(database), []
    chain.subscribe(lambda links: heard.extend(link.sequence for link in links))
    await database.transact(lambda conn: chain.append(conn, [event(), event("users/bob")]))

    def failing(conn: Connection) -> None:
        chain.append(conn, [event()])
        raise LookupError

    with pytest.raises(LookupError):
        await database.transact(failing)
    await database.transact(lambda conn: chain.append(conn, [event(resource="x" * 9000, method="\0")]))
    found = await rows(database)
    assert [row["sequence"] for row in found] == heard == [1, 2, 3]
    assert broken_at(found) is None
    assert (found[0]["subject"], found[0]["type"], found[0]["create_time"]) == (
        "users/alice", "TYPE_MUTATION", 1_764_362_000.25,
    )  # fmt: skip


@pytest.mark.parametrize("change", ["UPDATE audit_events SET subject = 'x'", "DELETE FROM audit_events"])
async def test_the_database_refuses_to_change_what_is_there(database: Database, change: str) -> None:
    """Whoever connects with the gateway's own rights must drop a trigger first."""
    await database.transact(lambda conn: Chain(database).append(conn, [event()]))
    with pytest.raises((DBAPIError, CloudspanError), match="append-only"):
        await database.transact(lambda conn: conn.execute(text(change)))
    assert len(await rows(database)) == 1


async def test_two_gateways_make_one_chain_without_gaps() -> None:
    """Both append as fast as they can; each hears of its own in order."""
    url = postgres_server.needed().new_database()
    gateways = [await open_database(url) for _ in range(2)]
    stores = [AuditStore(one) for one in gateways]
    heard: list[list[int]] = [[], []]
    for store, told in zip(stores, heard, strict=True):
        store.chain.subscribe(lambda links, told=told: told.extend(link.sequence for link in links))
    await asyncio.gather(*(stores[n % 2].keep([event(f"users/{n}")]) for n in range(300)))
    found = await rows(gateways[0])
    assert len(found) == 300
    assert broken_at(found) is None
    assert sorted(heard[0] + heard[1]) == list(range(1, 301))
    assert all(told == sorted(told) and len(told) == 150 for told in heard)
    for one in gateways:
        await one.close()
