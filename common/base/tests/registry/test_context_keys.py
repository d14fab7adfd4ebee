"""The public keys of gateways: every driver keeps them, and nothing that stands there can break a reader."""

from __future__ import annotations

import secrets
import time

import msgspec
import pytest

from cloudspan_common.errors import Defect, Unreachable
from cloudspan_common.registry.context_keys import (
    MAX_BYTES,
    MAX_HOLDERS,
    MAX_KEYS,
    ContextKey,
    ContextKeys,
    MemoryKeys,
)
from cloudspan_common.registry.static import StaticRegistry
from cloudspan_common.testing import FakeClock


def a_key(not_after: float) -> ContextKey:
    return ContextKey(secrets.token_bytes(32), secrets.token_bytes(32), not_after)


@pytest.fixture
def holder() -> str:
    """A gateway of this test alone: tests share one Consul."""
    return f"gateway-{secrets.token_hex(4)}"


async def test_what_one_process_publishes_another_reads(place, holder: str) -> None:
    """An adapter finds the gateway's keys under their kid; a new publication takes the place of the one before."""
    old, new = a_key(time.time() + 60), a_key(time.time() + 60)
    gateway, adapter = place.open().context_keys, place.open().context_keys
    await gateway.publish(holder, [old])
    assert (await adapter.read())[old.kid] == old
    await gateway.publish(holder, [old, new])
    assert {old.kid, new.kid} <= (await adapter.read()).keys()
    await gateway.publish(holder, [new])
    assert old.kid not in await adapter.read()


async def test_gateways_publish_beside_each_other(place, holder: str) -> None:
    """Neither takes the other's keys away."""
    one, two = a_key(time.time() + 60), a_key(time.time() + 60)
    await place.open().context_keys.publish(holder, [one])
    await place.open().context_keys.publish(f"{holder}-2", [two])
    assert {one.kid, two.kid} <= (await place.open().context_keys.read()).keys()


async def test_a_key_whose_time_is_over_does_not_count_and_is_taken_out_later(place, holder: str) -> None:
    """A gateway that died leaves nothing behind for ever: the next one that publishes sweeps it away."""
    keys = place.open().context_keys
    dead = a_key(time.time() - 7200)
    await keys.publish(f"{holder}-dead", [dead])
    assert dead.kid not in await keys.read()
    await keys.publish(holder, [a_key(time.time() + 60)])
    assert f"{holder}-dead" not in dict(await keys._store.entries())


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"null",
        b"\xff\xfe",
        b"[{}]",
        b'[{"signing":"AAAA","agreement":"AAAA","not_after":9e9}]',
        b'{"signing":1}',
        b"[" * 2000,
        b" " * (MAX_BYTES + 1),
    ],
    ids=["empty", "null", "no text", "no fields", "short keys", "no list", "nested", "too long"],
)
async def test_an_entry_that_is_broken_is_skipped(broken: bytes) -> None:
    """Whatever stands in the registry, the other gateways' keys are read, and what can't be read is left alone."""
    store, clock = MemoryKeys(), FakeClock()
    keys, good = ContextKeys(store, clock), a_key(clock.now() + 60)
    await store.put("broken", broken)
    await keys.publish("gateway-1", [good])
    assert await keys.read() == {good.kid: good}
    assert "broken" in dict(await store.entries())


async def test_a_reader_takes_no_more_than_so_many(caplog: pytest.LogCaptureFixture) -> None:
    """However much is written there, it costs an adapter a bounded time."""
    store, clock = MemoryKeys(), FakeClock()
    for number in range(MAX_HOLDERS + 10):
        await store.put(f"gateway-{number}", msgspec.json.encode([a_key(clock.now() + 60) for _ in range(MAX_KEYS)]))
    assert len(await ContextKeys(store, clock).read()) == MAX_HOLDERS * MAX_KEYS


@pytest.mark.parametrize("name", ["", "../other", "a/b", "a" * 65, "gäteway"])
async def test_a_holder_can_t_write_beside_its_place(name: str) -> None:
    """Its name is part of a path."""
    with pytest.raises(Defect):
        await ContextKeys(MemoryKeys(), FakeClock()).publish(name, [])


def test_a_kid_is_a_digest_of_its_key() -> None:
    """Nobody can publish another key under the name of one that is there."""
    assert len({a_key(0.0).kid for _ in range(100)}) == 100
    key = a_key(0.0)
    assert msgspec.structs.replace(key, not_after=5.0).kid == key.kid
    assert msgspec.structs.replace(key, agreement=bytes(32)).kid != key.kid


async def test_a_key_file_that_is_broken_says_so(tmp_path) -> None:
    """Readers keep what they had; the message says how to get out of it."""
    registry = StaticRegistry(tmp_path / "registry.yaml")
    (tmp_path / "registry.yaml.keys").write_bytes(b"{")
    with pytest.raises(Unreachable, match="delete it"):
        await registry.context_keys.read()
