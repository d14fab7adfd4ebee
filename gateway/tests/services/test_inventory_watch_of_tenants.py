"""Watch where callers are known: each hears of its own clusters and projects alone, also when that changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import grpc
import pytest
from gateway.tests.conftest import Deployment
from gateway.tests.known_callers import EAST, WEST, ByName, as_user, binding, pool, role, tenant
from gateway.tests.watching import Follower, Watching

from cloudspan.v1 import network_pb2, server_pb2
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.access.store import Changes
from cloudspan_gateway.pipeline.recheck import EACH_S

CODE = grpc.StatusCode


class Known(Watching):
    """A gateway that asks who watches, and by a clock of the test's who still may."""

    clock: FakeClock

    def __init__(self, config, registry, clock=None):
        super().__init__(replace(config, auth=("sessions",)), registry, clock)

    def _authenticators(self):
        return (ByName(),)

    def _callers(self):
        self.clock = FakeClock()
        return replace(super()._callers(), clock=self.clock)


@pytest.fixture
async def watched(deployment: Deployment):
    await deployment.plug_in(clusters=("east", "west"))
    async with deployment.opened(Known):
        await deployment.keep(
            tenant("acme"), pool("acme", "prod", EAST), pool("acme", "web", WEST, project="p1"),
            tenant("other"), pool("other", "all", "platforms/openstack/clusters/-"),
            binding("acme", "alice", "viewer", "prod"), binding("acme", "alice", "viewer", "web"),
            binding("acme", "carol", "viewer", "prod"), binding("other", "bob", "viewer"),
        )  # fmt: skip
        yield deployment


@pytest.fixture
def writer(watched: Deployment):
    return watched.gateway.writer


def server(key: object, display_name: str, cluster: str = EAST, project: str = "p0") -> server_pb2.Server:
    name, of = f"{cluster}/servers/{key}", f"{cluster}/projects/{project}"
    return server_pb2.Server(name=name, display_name=display_name, project=of)


def follower(watched: Deployment, user: str, *metadata: tuple[str, str], **request) -> Follower:
    return Follower(watched.channel, as_user(user, *metadata), **request)


async def refused(watch: Follower) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watch.until(10_000)
    return caught.value


async def rechecked(watched: Deployment) -> None:
    async with asyncio.timeout(5):
        while not watched.gateway.clock.sleepers:  # noqa: ASYNC110 - a clock tells who sleeps, and no change of it
            await asyncio.sleep(0.001)
    await watched.gateway.clock.advance(EACH_S)


async def take(watched: Deployment, *bindings: str) -> None:
    changes = Changes(deleted=[f"tenants/acme/bindings/{name}" for name in bindings])
    await watched.gateway.policy.change(lambda _policy, _conn: (None, changes))


async def test_a_caller_hears_of_its_clusters_and_projects_alone(watched, writer):
    """In the snapshot and of changes; what is shared with all projects is seen by all."""
    mine, others = server(1, "mine", WEST, "p1"), server(2, "another's", WEST, "p2")
    shared = network_pb2.Network(name=f"{WEST}/networks/1", display_name="shared", project=f"{WEST}/projects/p2")
    shared.shared = True
    await writer.put("servers", mine, others)
    await writer.put("networks", shared)
    alice, carol = follower(watched, "alice"), follower(watched, "carol")
    await alice.until_complete()
    await carol.until_complete()
    assert (sorted(alice.held.values()), carol.held) == (["mine", "shared"], {})
    await writer.put("servers", server(2, "hidden", WEST, "p2"), server(3, "new", WEST, "p1"), server(4, "east"))
    assert (await alice.until(4))[2:] == [("ADDED", "new"), ("ADDED", "east")]
    assert await carol.until(1) == [("ADDED", "east")]


async def test_what_moves_to_another_project_is_removed_and_back_is_added(watched, writer):
    """As it was last, so that nothing of what the other project did with it shows."""
    await writer.put("servers", server(1, "mine", WEST, "p1"))
    alice = follower(watched, "alice")
    await alice.until_complete()
    await writer.put("servers", server(1, "theirs", WEST, "p2"))
    await writer.put("servers", server(1, "secret", WEST, "p2"))
    await writer.put("servers", server(1, "back", WEST, "p1"))
    assert await alice.until(3) == [("EXISTING", "mine"), ("REMOVED", "mine"), ("ADDED", "back")]


async def test_a_pool_narrows_a_watch(watched, writer):
    """And its token is not good without it."""
    await writer.put("servers", server(1, "east"), server(1, "west", WEST, "p1"))
    alice = follower(watched, "alice", ("x-pool", "web"))
    await alice.until_complete()
    assert list(alice.held.values()) == ["west"]
    error = await refused(follower(watched, "alice", resume_token=alice.request.resume_token))
    assert "made for another request" in error.details()
    assert (await refused(follower(watched, "alice", ("x-pool", "none")))).code() is CODE.NOT_FOUND


async def test_a_token_of_another_tenant_is_refused(watched, writer):
    """In the words for any other watch's."""
    await writer.put("servers", server(1, "east"))
    bob = follower(watched, "bob")
    await bob.until_complete()
    error = await refused(follower(watched, "alice", resume_token=bob.request.resume_token))
    assert (error.code(), "made for another request" in error.details()) == (CODE.INVALID_ARGUMENT, True)


async def test_a_cluster_of_others_does_not_exist(watched, writer):
    """Watched by name it is refused as one that nothing has."""
    hidden = await refused(follower(watched, "carol", parent=WEST))
    missing = await refused(follower(watched, "carol", parent="platforms/openstack/clusters/none"))
    assert hidden.code() is missing.code() is CODE.NOT_FOUND
    assert hidden.details().replace("west", "none") == missing.details()


async def test_a_watch_ends_when_its_caller_sees_less(watched, writer):
    """Before a further row of what is lost is sent; the rest comes with a new watch."""
    await writer.put("servers", server(1, "east"), server(1, "west", WEST, "p1"))
    alice = follower(watched, "alice")
    await alice.until_complete()
    await take(watched, "alice-viewer-web")
    await rechecked(watched)
    await writer.put("servers", server(2, "unseen", WEST, "p1"))
    error = await refused(alice)
    assert (error.code(), "has changed" in error.details()) == (CODE.OUT_OF_RANGE, True)
    assert "unseen" not in alice.held.values()
    anew = follower(watched, "alice")
    await anew.until_complete()
    assert list(anew.held.values()) == ["east"]


async def test_a_watch_ends_when_its_caller_sees_more(watched, writer):
    """What was there before would never come else."""
    await writer.put("servers", server(1, "west", WEST, "p1"), server(1, "east"))
    carol = follower(watched, "carol")
    await carol.until_complete()
    await watched.keep(binding("acme", "carol", "viewer", "web"))
    await rechecked(watched)
    await writer.put("servers", server(2, "news"))
    assert (await refused(carol)).code() is CODE.OUT_OF_RANGE


async def test_a_change_of_policy_that_changes_nothing_seen_ends_no_watch(watched, writer):
    """A role more on the same pool, or another tenant's pool."""
    await writer.put("servers", server(1, "east"))
    carol = follower(watched, "carol")
    await carol.until_complete()
    await watched.keep(binding("acme", "carol", "operator", "prod"), pool("other", "more", EAST))
    await rechecked(watched)
    await writer.put("servers", server(2, "news"))
    assert (await carol.until(2))[1:] == [("ADDED", "news")]


async def test_a_token_is_not_good_for_another_view(watched, writer):
    """Of a caller who saw less, or more, when it was given: RESYNC."""
    await writer.put("servers", server(1, "east"), server(1, "west", WEST, "p1"))
    alice = follower(watched, "alice")
    await alice.until_complete()
    alice.leave()
    await take(watched, "alice-viewer-web")
    error = await refused(follower(watched, "alice", resume_token=alice.request.resume_token))
    assert (error.code(), "has changed" in error.details()) == (CODE.OUT_OF_RANGE, True)


async def test_a_cluster_that_comes_later_is_seen_by_who_has_it(watched, writer):
    """Watches alike until then may differ about it."""
    await writer.put("servers", server(1, "east"))
    bob, carol = follower(watched, "bob"), follower(watched, "carol")
    await bob.until_complete()
    await carol.until_complete()
    await writer.put("servers", server(1, "new", "platforms/openstack/clusters/third"), server(2, "last"))
    assert (await bob.until(3))[1:] == [("ADDED", "new"), ("ADDED", "last")]
    assert (await carol.until(2))[1:] == [("ADDED", "last")]


async def test_a_role_without_read_watches_nothing_there(watched, writer):
    """Though its caller may read another pool's clusters."""
    await watched.keep(role("starter", "operate"), binding("acme", "dave", "starter", "prod"),
                       binding("acme", "dave", "viewer", "web"))  # fmt: skip
    await writer.put("servers", server(1, "east"), server(1, "west", WEST, "p1"))
    dave = follower(watched, "dave")
    await dave.until_complete()
    assert list(dave.held.values()) == ["west"]


async def test_without_a_credential_nothing_is_watched(watched):
    """Nor without a role."""
    assert (await refused(Follower(watched.channel))).code() is CODE.UNAUTHENTICATED
    assert (await refused(follower(watched, "eve"))).code() is CODE.PERMISSION_DENIED
