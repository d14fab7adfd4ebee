"""Claims in a real Consul: tokens, what operators delete or write by hand, and what its sessions do."""

from __future__ import annotations

import asyncio

import pytest
import requests
from structlog.testing import capture_logs

from cloudspan_common.clock import SystemClock
from cloudspan_common.errors import CloudspanError, Forbidden, PlatformFault
from cloudspan_common.registry.consul_agent import Agent
from cloudspan_common.registry.coordination.claims import LOCK, MEMBER, Key
from cloudspan_common.registry.coordination.consul import PREFIX, ConsulClaims
from cloudspan_common.registry.coordination.leased import LeasedCoordinator

LEASE_S = 10.0
ROOT = "8a2b6d0e-0000-4000-8000-000000000001"
ACL = f'acl {{ enabled = true, default_policy = "deny", tokens {{ master = "{ROOT}" }} }}'
RULES = 'session_prefix "" { policy = "write" } key_prefix "cloudspan/coordination/" { policy = "write" }'


@pytest.fixture
async def claims(own_consul):
    """A store on an agent of the test's own."""
    own_consul.start()
    made = _claims(own_consul)
    yield made
    made._agent.close()


def _claims(server, token=None, lease_s=LEASE_S):
    agent = Agent("127.0.0.1", server.http_port, token=token)
    return ConsulClaims(agent, SystemClock(), lease_s=lease_s, wait_s=10.0)


async def _kv(server):
    _, rows = await asyncio.to_thread(server.api.kv.get, PREFIX, recurse=True)
    return {row["Key"].removeprefix(PREFIX): row for row in rows or ()}


async def test_a_session_ends_by_its_ttl_alone(claims, own_consul) -> None:
    """Consul's own checks of a node could end it while its process counts on it; nothing delays the next holder."""
    await claims.renew(())
    (session,) = (await asyncio.to_thread(own_consul.api.session.list))[1]
    assert (session["TTL"], session["Behavior"], session["LockDelay"]) == ("10000ms", "delete", 0)
    assert not session.get("NodeChecks")
    assert not session.get("ServiceChecks")
    assert not session.get("Checks")


async def test_a_lease_that_consul_refuses_is_said_with_its_words(own_consul) -> None:
    own_consul.start()
    coordinator = LeasedCoordinator(_claims(own_consul, lease_s=2.0), lease_s=2.0)
    with pytest.raises(PlatformFault, match=r"grants no locks: 500 Invalid Session TTL .* must be between"):
        await coordinator.lock("x")
    await coordinator.close()


async def test_a_token_without_the_rights_is_refused_with_those_it_needs(own_consul) -> None:
    """And one with exactly these works; no token shows."""
    own_consul.settings, own_consul.token = (ACL,), ROOT
    own_consul.start()
    await asyncio.to_thread(_acl, own_consul, "policy", {"Name": "gateway", "Rules": RULES})
    secret = (await asyncio.to_thread(_acl, own_consul, "token", {"Policies": [{"Name": "gateway"}]}))["SecretID"]
    allowed, refused = (LeasedCoordinator(_claims(own_consul, token)) for token in (secret, None))
    with pytest.raises(Forbidden, match='give it session_prefix "" and key_prefix "cloudspan/coordination/"'):
        await refused.lock("x")
    async with await allowed.lock("x") as held, await allowed.join("g", "m"):
        assert await anext(allowed.members("g")) == {"m": ""}
        assert secret not in repr(allowed)
        assert not held.lost.is_set()
    await allowed.close()
    await refused.close()


def _acl(server, what, body):
    url = f"http://127.0.0.1:{server.http_port}/v1/acl/{what}"
    answer = requests.put(url, json=body, headers={"X-Consul-Token": ROOT}, timeout=5)
    answer.raise_for_status()
    return answer.json()


async def test_a_session_that_an_operator_ends_is_lost_at_once(claims, own_consul) -> None:
    """By the query that waits for changes, long before the next renewal."""
    coordinator = LeasedCoordinator(claims)
    held, member = await coordinator.lock("x"), await coordinator.join("g", "m")
    follower = coordinator.members("g")
    assert await anext(follower) == {"m": ""}
    await asyncio.to_thread(own_consul.api.session.destroy, claims.owner)
    async with asyncio.timeout(LEASE_S / 3 - 0.5):
        await held.lost.wait()
        await member.lost.wait()
        again = await coordinator.lock("x")  # in a new session
    assert again.fence > held.fence
    await coordinator.close()
    assert (await _kv(own_consul)).keys() == {"epoch"}


async def test_what_is_claimed_again_by_its_owner_has_another_version(claims) -> None:
    """Consul keeps the index of a key that is written as it was: a release of before would then hit the new claim."""
    await claims.renew(())
    key = Key(LOCK, "x")
    first, second = await claims.claim(key, ""), await claims.claim(key, "")
    assert second.version > first.version
    assert second.fence > first.fence
    await claims.release(key, first.version)
    assert (await claims.entries(fresh=True))[key].version == second.version
    await claims.release(key, second.version)
    assert await claims.entries(fresh=True) == {}


async def test_what_is_written_by_hand_is_skipped_and_said_once(claims, own_consul) -> None:
    """Whatever has been put beside the claims, and whoever holds it."""
    await claims.renew(())
    junk = {
        "locks/a/b": "{}",
        "members/g": '{"data": ""}',
        "elsewhere/x": '{"data": ""}',
        "members/g/m": "not JSON",
        "members/g/n": "[]",
        "members/g/=FF": '{"data": ""}',
        "locks/": "",
    }
    for path, value in junk.items():
        assert await asyncio.to_thread(own_consul.api.kv.put, PREFIX + path, value, acquire=claims.owner)
    await asyncio.to_thread(own_consul.api.kv.put, f"{PREFIX}locks/nobody", "x")
    await claims.claim(Key(MEMBER, "g", "real"), "data")
    with capture_logs() as logs:
        for _ in range(2):
            assert list(await claims.entries(fresh=True)) == [Key(MEMBER, "g", "real")]
    assert sorted(log["key"].removeprefix(PREFIX) for log in logs) == sorted(junk)


@pytest.mark.parametrize("epoch", ["", "soon", "-1", "0", "9" * 30, "²"])
async def test_an_epoch_that_is_none_grants_nothing_and_says_what_to_delete(claims, own_consul, epoch) -> None:
    """A fence made up instead might be smaller than one before."""
    await asyncio.to_thread(own_consul.api.kv.put, f"{PREFIX}epoch", epoch.encode())
    coordinator = LeasedCoordinator(claims)
    with pytest.raises(PlatformFault, match=r"cloudspan/coordination/epoch holds .* delete it"):
        await coordinator.lock("x")
    await asyncio.to_thread(own_consul.api.kv.delete, f"{PREFIX}epoch")
    # What was taken with the bad epoch is still ours: granted anew, with a fence.
    assert (await coordinator.lock("x")).fence > 10**15
    await coordinator.close()


async def test_fences_grow_though_the_epoch_was_deleted_and_the_clock_set_back(claims, own_consul) -> None:
    """Who has granted before knows how far it was."""
    await claims.renew(())
    before = await claims.claim(Key(LOCK, "x"), "")
    await asyncio.to_thread(own_consul.api.kv.delete, PREFIX, recurse=True)
    claims._clock = _Past()
    assert (await claims.claim(Key(LOCK, "x"), "")).fence > before.fence


class _Past(SystemClock):
    now = staticmethod(lambda: 1000.0)


async def test_an_address_that_is_no_consul_grants_nothing() -> None:
    """Whatever it answers."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    agent = Agent("127.0.0.1", server.sockets[0].getsockname()[1])
    coordinator = LeasedCoordinator(ConsulClaims(agent, SystemClock(), lease_s=LEASE_S, wait_s=10.0))
    with pytest.raises(CloudspanError, match="Consul agent"):
        await coordinator.lock("x")
    await coordinator.close()
    agent.close()
    server.close()
    await server.wait_closed()
