"""What the Consul watch makes of rare answers: scripted, since no real agent gives them on call."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from cloudspan_common.errors import Forbidden, PlatformFault
from cloudspan_common.registry import Instance, view_cache
from cloudspan_common.registry.consul import ConsulRegistry, ConsulTimes
from cloudspan_common.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

EAST = Instance("os-east", "openstack", "127.0.0.1:7080")
WEST = Instance("zs-west", "zstack", "[::1]:7081", draining=True)


class ScriptedAgent:
    """Answers queries from a list, notes what was asked, then holds the last query for ever."""

    address = "scripted:8500"

    def __init__(self, *answers: tuple[str, list[dict[str, Any]]] | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[int | None] = []
        self.health = self
        self.clock = FakeClock()

    def service(self, _name: str, *, index: int | None, **_wait: str) -> tuple[str, list[dict[str, Any]]] | None:
        self.asked.append(index)
        answer = self._answers.pop(0) if self._answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def query(self, do: Callable[[Any], Any], _wait_s: float) -> Any:
        answer = do(self)
        await self.clock.sleep(0.001 if answer else 3600)
        return answer

    def close(self) -> None:
        self._answers.clear()


def row(instance: Instance, status: str = "passing") -> dict[str, Any]:
    host, _, port = instance.address.rpartition(":")
    meta = {"platform": instance.platform, "contract_min": "1", "contract_max": "1"}
    meta |= {"draining": "true"} if instance.draining else {}
    service = {"ID": instance.instance_id, "Address": host.strip("[]"), "Port": int(port), "Meta": meta}
    return {"Node": {"Address": "10.0.0.1"}, "Service": service, "Checks": [{"Status": status}]}


async def views_of(agent: ScriptedAgent, for_s: float = 1, **options) -> list[tuple[Instance, ...]]:
    registry = ConsulRegistry(agent, "adapters", clock=agent.clock, **options)
    seen = []

    async def look() -> None:
        async for view in registry.watch():
            seen.append(view)  # noqa: PERF401 - read while it grows

    looking = asyncio.create_task(look())
    await agent.clock.advance(for_s)
    await registry.close()
    await looking
    return seen


async def test_each_query_waits_on_the_index_of_the_last() -> None:
    """That is what makes it blocking; the same answer again is not a change."""
    agent = ScriptedAgent(("7", [row(EAST)]), ("9", [row(EAST)]), ("12", [row(EAST), row(WEST)]))
    assert await views_of(agent) == [(EAST,), (EAST, WEST)]
    assert agent.asked == [None, 7, 9, 12]


async def test_an_index_that_goes_backwards_starts_over() -> None:
    """Waiting on an index of the servers' former life would wait for ever."""
    agent = ScriptedAgent(("90", [row(EAST)]), ("12", [row(EAST)]), ("13", [row(EAST)]))
    assert await views_of(agent) == [(EAST,)]
    assert agent.asked == [None, 90, None, 13]


async def test_a_lost_memory_makes_suspects_for_a_while_then_they_go() -> None:
    """Who does not register again within the hold is really gone."""
    agent = ScriptedAgent(("90", [row(EAST), row(WEST)]), ("12", [row(WEST)]), *[("13", [row(WEST)])] * 100)
    seen = await views_of(agent, 3, times=ConsulTimes(hold_s=1.0))
    assert seen == [(EAST, WEST), (replace(EAST, suspect=True), WEST), (WEST,)]


async def test_who_took_over_a_suspects_address_replaces_it() -> None:
    """A restarted adapter with a new id is not held twice."""
    heir = replace(EAST, instance_id="os-east-2")
    agent = ScriptedAgent(("90", [row(EAST)]), ("12", [row(heir)]))
    assert await views_of(agent) == [(EAST,), (heir,)]


async def test_an_ordinary_leave_is_believed_at_once() -> None:
    """Only an agent that was away is doubted."""
    agent = ScriptedAgent(("90", [row(EAST), row(WEST)]), ("91", [row(WEST)]))
    assert await views_of(agent) == [(EAST, WEST), (WEST,)]


async def test_one_critical_check_makes_a_suspect() -> None:
    """Whichever check it is: heartbeat, probe or the node's own."""
    agent = ScriptedAgent(("7", [row(EAST, "critical"), row(WEST, "warning")]))
    assert await views_of(agent) == [(replace(EAST, suspect=True), WEST)]


async def test_of_two_entries_with_one_id_the_living_one_counts() -> None:
    """After a move to another machine, two agents know the id until one forgets."""
    moved = replace(EAST, address="10.0.0.2:7080")
    for rows in ([row(EAST, "critical"), row(moved)], [row(moved), row(EAST, "critical")]):
        assert await views_of(ScriptedAgent(("7", rows))) == [(moved,)]


async def test_what_is_not_consul_is_reported_and_asked_again() -> None:
    """A web server that answers 404 to everything is not an empty registry."""
    agent = ScriptedAgent(("7", [row(EAST)]), ("7", None), ("8", [row(EAST)]))
    with capture_logs() as logs:
        assert await views_of(agent) == [(EAST,)]
    assert "is it the address of Consul?" in logs[0]["error"]
    assert [entry["event"] for entry in logs] == ["registry lost, will go on trying", "registry found again"]


async def test_a_change_of_reason_is_said_again() -> None:
    """Down, then up without the right token: two different things to fix."""
    errors = [PlatformFault("no leader"), PlatformFault("no leader"), Forbidden("token"), Forbidden("token")]
    agent = ScriptedAgent(*errors, ("7", []))
    with capture_logs() as logs:
        await views_of(agent, 5)
    assert [entry.get("error", entry["event"]) for entry in logs] == ["no leader", "token", "registry found again"]


async def test_the_cache_stands_until_consul_answers_and_is_then_doubted(tmp_path) -> None:
    """What the cache knew and Consul does not becomes suspect, not absent."""
    cache = tmp_path / "registry.json"
    view_cache.save(cache, (EAST, WEST))
    agent = ScriptedAgent(PlatformFault("no leader"), ("7", [row(WEST)]))
    seen = await views_of(agent, cache_path=cache)
    assert seen == [(EAST, WEST), (replace(EAST, suspect=True), WEST)]
    assert view_cache.load(cache) == seen[-1]


@pytest.mark.parametrize(
    "content", [b"", b"{", b'[{"instance_id": 7}]', b'[{"instance_id":"a","platform":"A B","address":"x"}]']
)
async def test_a_damaged_cache_is_reported_and_ignored(tmp_path, content: bytes) -> None:
    """A gateway starts without it, as on its first day."""
    cache = tmp_path / "registry.json"
    cache.write_bytes(content)
    with capture_logs() as logs:
        assert await views_of(ScriptedAgent(("7", [row(EAST)])), cache_path=cache) == [(EAST,)]
    assert [entry["event"] for entry in logs] == ["registry cache is unreadable, starting without it"]


async def test_a_disk_that_refuses_the_cache_is_reported(tmp_path) -> None:
    """The table in memory serves on."""
    with capture_logs() as logs:
        seen = await views_of(ScriptedAgent(("7", [row(EAST)])), cache_path=tmp_path / "absent" / "registry.json")
    assert seen == [(EAST,)]
    assert [entry["event"] for entry in logs] == ["registry cache was not written"]


def _odd(**changes: Any) -> dict[str, Any]:
    return row(WEST) | changes


ODD_ROWS: list[Any] = [
    None,
    7,
    "row",
    [],
    {},
    _odd(Service=None),
    _odd(Checks=None),
    _odd(Checks=[None]),
    _odd(Service={**row(WEST)["Service"], "Meta": None}),
    _odd(Service={**row(WEST)["Service"], "Meta": "text"}),
    _odd(Service={**row(WEST)["Service"], "Port": "none"}),
    _odd(Service={**row(WEST)["Service"], "Meta": {"platform": "zstack", "contract_min": None, "contract_max": "1"}}),
]


@pytest.mark.parametrize("odd", ODD_ROWS, ids=str)
async def test_an_odd_row_is_skipped_and_hides_no_other(odd: Any) -> None:
    """Before the others or after them; the watch goes on with the next change."""
    agent = ScriptedAgent(("7", [odd, row(EAST)]), ("8", [row(EAST), odd]), ("9", [row(EAST), row(WEST)]))
    with capture_logs() as logs:
        assert await views_of(agent) == [(EAST,), (EAST, WEST)]
    assert "entry in Consul is not an adapter, skipped" in [entry["event"] for entry in logs]


@pytest.mark.parametrize("index", ["0", "-5", "x", "", None, "9" * 5000])
async def test_an_odd_index_neither_ends_the_watch_nor_makes_it_poll_without_pause(index: Any) -> None:
    """The view stands meanwhile; an index below 1 would not block."""
    agent = ScriptedAgent(("7", [row(EAST)]), *[(index, [row(EAST)])] * 3, ("9", [row(EAST), row(WEST)]))
    with capture_logs():
        seen = await views_of(agent, 10)
    assert seen == [(EAST,), (EAST, WEST)]
    assert 0 not in agent.asked


async def test_what_a_client_library_did_not_expect_is_reported_and_asked_again() -> None:
    agent = ScriptedAgent(
        ("7", [row(EAST)]), TypeError("NoneType"), AttributeError("get"), ("8", [row(EAST), row(WEST)])
    )
    with capture_logs() as logs:
        assert await views_of(agent, 5) == [(EAST,), (EAST, WEST)]
    assert "answered something unexpected" in logs[0]["error"]
