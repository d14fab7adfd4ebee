"""The registry in a real Consul agent, while both are well."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace

import consul
from structlog.testing import capture_logs

from cloudspan_common.registry import open_registry
from cloudspan_common.testing import FakeClock


def test_the_client_library_is_the_one_meant() -> None:
    """The suite runs with either library; it must not prove one and claim the other."""
    assert consul.__version__ == os.environ.get("CLOUDSPAN_EXPECT_CONSUL_LIBRARY", consul.__version__)
    assert consul.__file__.startswith(os.environ.get("CLOUDSPAN_EXPECT_CONSUL_FOLDER", ""))


async def test_both_checks_become_passing(shared_consul, open_consul, service, east, eventually) -> None:
    """The heartbeat comes from the process, the gRPC probe from the agent."""
    await open_consul(shared_consul).register(east)
    assert shared_consul.checks_of(service) == {"heartbeat": "passing", "gRPC health": "passing"}

    def probed() -> bool:
        # The agent's own list: a changed output alone travels to the catalogue minutes later.
        return "success" in shared_consul.api.agent.checks()[f"{east.instance_id}:grpc"]["Output"]

    await eventually(probed, within_s=3)
    assert shared_consul.checks_of(service) == {"heartbeat": "passing", "gRPC health": "passing"}


async def test_the_entry_carries_what_gateways_need(shared_consul, open_consul, service, east) -> None:
    """Meta is the wire form that adapters in other languages write as well."""
    await open_consul(shared_consul).register(east)
    _, rows = shared_consul.api.health.service(service)
    entry = rows[0]["Service"]
    assert f"{entry['Address']}:{entry['Port']}" == east.address
    assert entry["Meta"] == {
        "platform": "openstack", "contract_min": "1", "contract_max": "3", "build": east.build, "draining": "false",
    }  # fmt: skip


async def test_a_dead_port_makes_an_instance_suspect_not_absent(
    shared_consul, open_consul, east, unused_address, until
) -> None:
    """Consul's critical is a hint; the gateway's own probe decides."""
    watch = open_consul(shared_consul).watch()
    dead = replace(east, address=unused_address)
    await open_consul(shared_consul).register(dead)
    assert await until(watch, lambda view: view and view[0].suspect) == (replace(dead, suspect=True),)


async def test_a_silent_process_is_suspect_until_it_renews(shared_consul, open_consul, east, until) -> None:
    """The TTL is what shows a process that hangs with its port open."""
    clock = FakeClock()
    watch = open_consul(shared_consul).watch()
    await open_consul(shared_consul, clock=clock).register(east)
    assert await until(watch, bool) == (east,)
    assert await until(watch, bool) == (replace(east, suspect=True),)
    await clock.advance(0.4)
    assert await until(watch, bool) == (east,)


async def test_an_entry_that_someone_else_removed_is_registered_again(shared_consul, open_consul, east, until) -> None:
    """A heartbeat answered `unknown check` registers anew, both checks with it."""
    watch = open_consul(shared_consul).watch()
    with capture_logs() as logs:
        await open_consul(shared_consul).register(east)
        await until(watch, lambda view: view == (east,))
        shared_consul.api.agent.service.deregister(east.instance_id)
        assert await until(watch, lambda view: not view) == ()
        assert await until(watch, bool) == (east,)
    assert [entry["event"] for entry in logs] == ["registry had forgotten an instance, registering it again"]


async def test_draining_leaves_the_checks_alone(
    shared_consul, open_consul, service, east, unused_address, until
) -> None:
    """A change of Meta must not turn a failing probe into a passing one."""
    watch = open_consul(shared_consul).watch()
    dead = replace(east, address=unused_address)
    registration = await open_consul(shared_consul).register(dead)
    await until(watch, lambda view: view and view[0].suspect)
    await registration.drain()
    assert await until(watch, bool) == (replace(dead, suspect=True, draining=True),)
    assert shared_consul.checks_of(service)["gRPC health"] == "critical"


async def test_other_services_changes_yield_nothing(shared_consul, open_consul, service) -> None:
    """A watch on a service without instances wakes on every change in the catalogue."""
    watch = open_consul(shared_consul).watch()
    assert await anext(watch) == ()
    following = asyncio.ensure_future(anext(watch))
    for n in range(5):
        shared_consul.api.agent.service.register(f"{service}-other", service_id=f"{service}-{n}")
        await asyncio.sleep(0.02)
    done, _ = await asyncio.wait({following}, timeout=0.3)
    assert not done
    following.cancel()
    for n in range(5):
        shared_consul.api.agent.service.deregister(f"{service}-{n}")


async def test_a_foreign_entry_is_skipped_and_logged_once(shared_consul, open_consul, service, east, until) -> None:
    """One foreign entry under our name must not take the table away."""
    shared_consul.api.agent.service.register(service, service_id=f"{service}-odd", address="127.0.0.1", port=1)
    registry = open_consul(shared_consul)
    with capture_logs() as logs:
        watch = registry.watch()
        registration = await open_consul(shared_consul).register(east)
        assert await until(watch, bool) == (east,)
        await registration.drain()
        await until(watch, lambda view: view[0].draining)
    shared_consul.api.agent.service.deregister(f"{service}-odd")
    assert [(entry["event"], entry["id"]) for entry in logs] == [
        ("entry in Consul is not an adapter, skipped", f"{service}-odd")
    ]


async def test_the_url_opens_the_same_place(shared_consul, open_consul, service, east, until) -> None:
    """Gateways and adapters are given nothing but a URL."""
    registry = open_registry(f"consul://127.0.0.1:{shared_consul.http_port}?service={service}&probe=none")
    watch = open_consul(shared_consul).watch()
    await registry.register(east)
    assert await until(watch, bool) == (east,)
    assert shared_consul.checks_of(service) == {"heartbeat": "passing"}
    assert repr(registry) == f"<ConsulRegistry {service} at 127.0.0.1:{shared_consul.http_port}: not watching | 1 own>"
    await registry.close()


async def test_the_last_view_is_kept_on_disk(shared_consul, open_consul, east, tmp_path, until) -> None:
    """What a gateway needs when it starts while Consul is down is there, and whole."""
    cache = tmp_path / "registry.json"
    watch = open_consul(shared_consul, cache_path=cache).watch()
    await open_consul(shared_consul).register(east)
    await until(watch, lambda view: view == (east,))
    assert [entry["instance_id"] for entry in json.loads(cache.read_bytes())] == ["os-east"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("registry.json")] == ["registry.json"]
