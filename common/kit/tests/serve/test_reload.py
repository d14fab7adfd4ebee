"""Clusters and credentials change in the file of a running adapter, over real sockets and on an injected clock."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter

import pytest
from common.kit.tests.following import following

from cloudspan.client import NotFound, PreconditionFailed
from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_kit import revision_of


async def test_new_credentials_are_used_once_they_have_logged_in(tmp_path):
    """The old cluster is closed and logged out, and nobody has logged in more than once."""
    async with following(tmp_path, "east one\n") as running:
        assert await running.password() == "one"
        running.write("east two\n")
        await running.until(lambda: running.count("changed"))
        assert await running.password() == "two"
        await running.until(lambda: running.made[0].closed)
        assert running.acme.logins == {"one": 1, "two": 1}
        assert running.acme.logouts == {"one": 1}
        assert (await running.cluster()).message == ""


async def test_a_call_under_way_ends_on_the_cluster_it_began_on_with_the_new_credentials(tmp_path):
    """Also when the old ones are revoked right after the change."""
    async with following(tmp_path, "east one\n") as running:
        await running.password()
        old = running.made[0]
        old.servers.hold.clear()
        old.servers.called.clear()
        call = asyncio.create_task(running.password())
        await old.servers.called.wait()
        running.write("east two\n")
        await running.until(lambda: running.count("changed"))
        running.acme.accepted.discard("one")
        assert not old.closed
        old.servers.hold.set()
        assert await call == "two"
        await running.until(lambda: old.closed)


async def test_refused_credentials_leave_the_old_ones_in_use_and_are_shown(tmp_path):
    """In the cluster, in its check and in a metric; nobody tries them again before the long pause is over."""
    async with following(tmp_path, "east one\n") as running:
        await running.password()
        running.write("east wrong\n")
        await running.until(lambda: running.count("refused"))
        for _ in range(5):
            assert await running.password() == "one"
            await running.acme.clock.advance(5.0)
        assert running.acme.logins == {"one": 1, "wrong": 1}
        shown = await running.cluster()
        told = "a newer configuration is not used: CLUSTER_LOGIN_REFUSED: login refused for number 1"
        assert (shown.state, shown.message) == (cluster_pb2.Cluster.STATE_READY, told)
        checked = await running.client.clusters.CheckCluster(cluster_pb2.CheckClusterRequest(name=shown.name))
        assert [(s.ok, s.reason, s.message) for s in checked.stages] == [(False, "CLUSTER_LOGIN_REFUSED", told)]
        gauge = ("cloudspan_cluster_configuration_not_used", {"platform": "acme", "cluster": "east"})
        assert running.metrics.get_sample_value(*gauge) == 1
        running.write("east two\n")
        await running.until(lambda: running.count("changed"))
        assert await running.password() == "two"
        assert running.metrics.get_sample_value(*gauge) == 0
        assert running.made[1].closed


async def test_credentials_that_the_cloud_refused_by_mistake_are_used_after_the_long_pause(tmp_path):
    """One login a minute, then every two, four, ... minutes."""
    async with following(tmp_path, "east one\n") as running:
        running.write("east late\n")
        await running.until(lambda: running.count("refused"))
        running.acme.accepted.add("late")
        began = running.acme.clock.monotonic()
        await running.until(lambda: running.count("changed"))
        assert running.acme.clock.monotonic() - began > 30
        assert running.acme.logins["late"] == 2
        assert await running.password() == "late"


async def test_a_reverted_file_ends_the_trial(tmp_path):
    """What is in use is what the file says: nothing is left to show."""
    async with following(tmp_path, "east one\n") as running:
        running.write("east wrong\n")
        await running.until(lambda: running.count("refused"))
        running.write("east one\n")
        await running.until(lambda: running.made[1].closed)
        await running.read_again()
        assert (await running.cluster()).message == ""
        assert running.count("changed") == 0
        await running.acme.clock.advance(600.0)
        assert running.acme.logins == {"one": 1, "wrong": 1}


async def test_a_cloud_that_is_away_keeps_the_old_credentials_and_is_tried_again_soon(tmp_path):
    """Nothing says yet that the new ones are wrong."""
    async with following(tmp_path, "east one\n") as running:
        await running.password()
        running.acme.away = True
        running.write("east two\n")
        await running.until(lambda: running.count("failed"))
        running.acme.away = False
        await running.until(lambda: running.count("changed"))
        assert await running.password() == "two"


async def test_where_the_credentials_in_use_are_refused_too_the_newest_reason_is_shown(tmp_path):
    """There is nothing to protect."""
    async with following(tmp_path, "east wrong\n") as running:
        await running.until(lambda: running.acme.logins["wrong"])
        running.write("east worse\n")
        await running.until(lambda: running.count("changed"))
        assert (await running.cluster()).state == cluster_pb2.Cluster.STATE_LOGIN_REFUSED
        running.write("east one\n")
        await running.until(lambda: running.count("changed") == 2)
        assert await running.password() == "one"


async def test_clusters_are_added_and_removed(tmp_path):
    """A removed one is unknown at once, and its last call ends; it may come back."""
    async with following(tmp_path, "east one\n") as running:
        running.write("east one\nwest two\n")
        await running.until(lambda: running.count("added", "west"))
        assert (await running.tags(), await running.password("west")) == (["east", "west"], "two")
        west = running.made[1]
        west.servers.hold.clear()
        west.servers.called.clear()
        call = asyncio.create_task(running.password("west"))
        await west.servers.called.wait()
        running.write("east one\n")
        await running.until(lambda: running.count("removed", "west"))
        assert await running.tags() == ["east"]
        with pytest.raises(NotFound) as unknown:
            await running.password("west")
        assert unknown.value.reason == "CLUSTER_UNKNOWN"
        west.servers.hold.set()
        assert await call == "two"
        await running.until(lambda: west.closed)
        running.write("east one\nwest one\n")
        await running.until(lambda: running.count("added", "west") == 2)
        assert await running.password("west") == "one"
        assert not running.made[0].closed


async def test_a_cluster_that_is_named_and_missing_is_shown_at_the_start_and_disappears_when_it_is_removed(tmp_path):
    """Who names it has either misspelt it, or taken it out of the file."""
    async with following(tmp_path, "east one\n", "east", "west") as running:
        assert await running.tags() == ["east", "west"]
        assert (await running.cluster("west")).message == "BAD_CLOUD: west is not there"
        running.write("west two\n")
        await running.until(lambda: running.count("added", "west") and running.count("removed"))
        assert await running.tags() == ["west"]


@pytest.mark.parametrize(
    ("entry", "reason", "outcome"),
    [
        ("bad", "BAD_CLOUD", "invalid"),
        ("no-file", "BAD_TLS_FILE", "invalid"),
        ("defect", "INTERNAL", "failed"),
        ("crash", "INTERNAL", "failed"),
    ],
)
async def test_a_bad_entry_costs_its_own_cluster(tmp_path, entry, reason, outcome):
    """One that ran goes on with what it had, one that never ran is listed with the reason."""
    async with following(tmp_path, "east one\nwest two\n") as running:
        await running.password()
        running.write(f"east {entry}\nwest one\nnorth {entry}\n")
        await running.until(lambda: running.count(outcome) and running.count("changed", "west"))
        assert [await running.password(tag) for tag in ("east", "west")] == ["one", "one"]
        assert f"a newer configuration is not used: {reason}" in (await running.cluster()).message
        with pytest.raises(PreconditionFailed) as refused:
            await running.password("north")
        assert refused.value.reason == reason
        running.write("east two\nwest one\nnorth two\n")
        await running.until(lambda: running.count("changed") and running.count("added", "north"))
        assert [await running.password(tag) for tag in ("east", "west", "north")] == ["two", "one", "two"]


async def test_an_entry_whose_name_is_no_tag_is_left_out(tmp_path):
    """It could not be called; the log says how it can be."""
    async with following(tmp_path, "east one\nProd.West two\n") as running:
        assert await running.tags() == ["east"]
        assert await running.password() == "one"


@pytest.mark.parametrize(
    ("text", "reason", "outcome"), [("broken", "NO_CLOUDS_FILE", "invalid"), ("mistake", "INTERNAL", "failed")]
)
async def test_a_file_that_can_not_be_read_changes_nothing(tmp_path, text, reason, outcome):
    """Every cluster says so, and it is counted once."""
    async with following(tmp_path, "east one\n") as running:
        running.write(f"{text}\n")
        await running.until(lambda: running.count(outcome))
        await running.read_again()
        assert await running.password() == "one"
        assert reason in (await running.cluster()).message
        assert running.count(outcome) == 1
        running.write("east one\n")
        await running.read_again()
        assert (await running.cluster()).message == ""
        assert len(running.made) == 1


async def test_a_file_that_can_not_be_read_at_the_start_ends_the_adapter(tmp_path):
    """With the reason, on the line that the operator sees."""
    with pytest.raises(InvalidRequest, match="is broken"):
        async with following(tmp_path, "broken\n"):
            pass


async def test_sighup_reads_again_at_once_and_tries_again_what_was_refused(tmp_path):
    """For an account that was unlocked, and for mounts whose changes can't be seen."""
    async with following(tmp_path, "east one\n") as running:
        await running.password()
        running.write("east late\n")
        await running.until(lambda: running.count("refused"))
        running.acme.accepted.add("late")
        os.kill(os.getpid(), signal.SIGHUP)
        await running.until(lambda: running.count("changed"), step_s=0.001)
        assert await running.password() == "late"


async def test_sighup_tries_again_a_login_that_was_refused_from_the_start(tmp_path):
    """Its entry has not changed; the account was unlocked."""
    async with following(tmp_path, "east late\n") as running:
        await running.until(lambda: running.acme.logins["late"])
        running.acme.accepted.add("late")
        os.kill(os.getpid(), signal.SIGHUP)
        await running.until(lambda: running.count("changed"))
        assert await running.password() == "late"


async def test_no_call_fails_while_credentials_are_replaced_again_and_again(tmp_path):
    """Each time the old ones are revoked as soon as the new ones are in use."""
    async with following(tmp_path, "east one\n") as running:
        await running.password()
        seen: Counter[str] = Counter()
        stop = asyncio.Event()

        async def call_on() -> None:
            while not stop.is_set():
                seen[await running.password()] += 1

        callers = [asyncio.create_task(call_on()) for _ in range(4)]
        for number in range(1, 6):
            running.acme.accepted.add(f"p{number}")
            running.write(f"east p{number}\n")
            await running.until(lambda number=number: running.count("changed") == number)
            running.acme.accepted.intersection_update({f"p{number}"})
            before = seen.total()
            await running.until(lambda before=before: seen.total() > before + 8)
        stop.set()
        await asyncio.gather(*callers)
        assert seen["p5"] > 0


def test_a_revision_is_the_same_for_the_same_entry_only_and_shows_nothing(tmp_path):
    """Files that it names are part of it; their absence is told by who uses them."""
    authority = tmp_path / "ca.pem"
    one = revision_of({"password": "secret"}, [authority])
    assert one == revision_of({"password": "secret"}, [authority])
    assert one != revision_of({"password": "other"}, [authority])
    authority.write_text("pem")
    assert one != revision_of({"password": "secret"}, [authority])
    assert "secret" not in one
