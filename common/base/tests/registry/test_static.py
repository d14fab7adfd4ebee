# ruff: noqa: ASYNC240 - a few bytes in a temporary folder; an asynchronous file would only hide what is tested
"""The adapters file under hands and editors: broken, half-written, commented, locked, moved."""

from __future__ import annotations

import asyncio
import fcntl
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from cloudspan_common.registry import Instance
from cloudspan_common.registry.static import StaticRegistry
from cloudspan_common.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

EAST = Instance("os-east", "openstack", "127.0.0.1:7081", contract=(1, 2), build="1.4")
BY_HAND = """\
# The lab's adapters; ask Ines before you change this.
adapters:
  # the one that needs no cloud
  - {platform: memory, address: 127.0.0.1:7080}

  - platform: zstack   # new
    address: "[::1]:7082"
    id: zs-1
    draining: yes
    # moves in May
    contract: [1, 3]
# the end
"""
MEMORY = Instance("memory@127.0.0.1:7080", "memory", "127.0.0.1:7080")
ZSTACK = Instance("zs-1", "zstack", "[::1]:7082", contract=(1, 3), draining=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "adapters.yaml"


@pytest.fixture
async def watched(file: Path):
    """A registry on the file, whose watch has given its first view."""
    registry = StaticRegistry(file)
    yield registry
    await registry.close()


async def test_a_hand_written_file_is_read(file: Path, watched: StaticRegistry) -> None:
    """Both forms of YAML, with comments and with what may be left out left out."""
    file.write_text(BY_HAND)
    assert await anext(watched.watch()) == (MEMORY, ZSTACK)


async def test_edits_reach_the_watch_whether_in_place_or_by_rename(file: Path, watched: StaticRegistry, until) -> None:
    """Editors do either."""
    file.write_text("adapters: []\n")
    watch = watched.watch()
    assert await anext(watch) == ()
    file.write_text(BY_HAND)
    assert await until(watch, bool) == (MEMORY, ZSTACK)
    draft = file.with_name("draft")
    draft.write_text("adapters: [{platform: memory, address: 127.0.0.1:7080}]")
    draft.rename(file)
    assert await until(watch, bool) == (MEMORY,)
    file.unlink()
    assert await until(watch, lambda view: not view) == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("adapters:\n  - {platform: memory, address: ", "line 2"),
        ("adapters:\n\t- x", "line 2: is not YAML"),
        ("- platform: memory", "line 1: is not a mapping; expected adapters: [{"),
        ("adapters:\n", "line 1: holds no list of adapters"),
        (
            "adapters: []\nclusters: []\n",
            "line 2: has the key 'clusters'; expected nothing but `adapters:` and `services:`",
        ),
        ("adapters:\n- memory\n", "line 2: is not an adapter"),
        ("adapters:\n- {platform: memory}\n", "line 2: lacks ['address']"),
        (
            "adapters:\n- {platform: memory, address: 'a:1', adress: 'a:1'}\n",
            "line 2: has the keys ['adress']; expected only",
        ),
        ("adapters:\n- {platform: memory, address: here}\n", "line 2: address of an adapter instance is 'here'"),
        ("adapters:\n- {platform: [a], address: 'a:1'}\n", "line 2: has a list or mapping as a value"),
        (
            "adapters:\n- {platform: m, address: 'a:1', draining: maybe}\n",
            "line 2: says draining: maybe; expected true",
        ),
        ("adapters:\n- {platform: m, address: 'a:1', contract: 2}\n", "line 2: has a malformed contract"),
        ("adapters:\n- {platform: m, address: 'a:1'}\n\n- {platform: m, address: 'a:1'}\n", "line 4: repeats the id"),
        ("\0", "line 1: is not YAML"),
        ("adapters: []\nadapters: []\n", "has 2 lists of adapters"),
        ("{}", "has 0 lists of adapters"),
        ("adapters: " + "[" * 3000, "line 1: is nested too deeply"),
        ("adapters: " + "{a: " * 3000, "line 1: is nested too deeply"),
        ("# " + "x" * (1 << 20), "expected at most 1048576"),
        ("", "is blank; expected `adapters: []` for none"),
        ("# nothing left\n", "is blank"),
    ],
)
async def test_an_invalid_file_keeps_the_last_valid_view_and_names_the_line(
    file: Path, watched: StaticRegistry, eventually, text: str, complaint: str
) -> None:
    """A typing error takes nobody's cloud away."""
    file.write_text(BY_HAND)
    watch = watched.watch()
    assert await anext(watch) == (MEMORY, ZSTACK)
    with capture_logs() as logs:
        file.write_text(text)
        await eventually(lambda: "file broken" in repr(watched))
        file.write_text(BY_HAND)
        await eventually(lambda: "file broken" not in repr(watched))
    assert [entry["event"] for entry in logs] == [
        "adapters file is invalid, the last valid view stays in use",
        "adapters file is valid again",
    ]
    assert str(file) in logs[0]["problem"]
    assert complaint in logs[0]["problem"]
    assert "2 instances (1 draining)" in repr(watched)


async def test_a_half_written_file_that_is_valid_yaml_is_not_used(file: Path, until) -> None:
    """A writer in place has a moment between its first line and its last."""
    clock = FakeClock()
    registry = StaticRegistry(file, clock=clock)
    file.write_text(BY_HAND)
    watch = registry.watch()
    assert await anext(watch) == (MEMORY, ZSTACK)
    file.write_text(BY_HAND[: BY_HAND.index("  - platform: zstack")])
    await clock.advance(0.04)
    file.write_text(BY_HAND + "# changed\n")
    await clock.advance(0.2)
    assert registry._feed.view == (MEMORY, ZSTACK)
    file.write_text(BY_HAND[: BY_HAND.index("  - platform: zstack")])
    await clock.advance(0.2)
    assert await until(watch, bool) == (MEMORY,)
    await registry.close()


async def test_registering_keeps_every_word_of_the_operator(file: Path, watched: StaticRegistry) -> None:
    """Comments, order and untouched entries stay through register, drain and deregister."""
    file.write_text(BY_HAND)
    registration = await watched.register(EAST)
    added = '  - {platform: "openstack", address: "127.0.0.1:7081", id: "os-east", contract: [1, 2], build: "1.4"}\n'
    assert file.read_text() == BY_HAND.replace("# the end\n", added + "# the end\n")
    await registration.drain()
    drained = added.replace("}\n", ", draining: true}\n")
    assert file.read_text() == BY_HAND.replace("# the end\n", drained + "# the end\n")
    await registration.deregister()
    assert file.read_text() == BY_HAND


async def test_registering_takes_over_the_address_of_the_dead(file: Path, watched: StaticRegistry) -> None:
    """A process killed without a word leaves an entry; its successor on the port has another id."""
    file.write_text(BY_HAND)
    await watched.register(Instance("zs-2", "zstack", "[::1]:7082"))
    assert await anext(watched.watch()) == (MEMORY, Instance("zs-2", "zstack", "[::1]:7082"))
    assert "moves in May" not in file.read_text()
    assert "the one that needs no cloud" in file.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "# head\nadapters: [{platform: memory, address: 127.0.0.1:7080}]\n",
        "# head\nadapters: [\n  {platform: memory, address: 127.0.0.1:7080},\n]\n",
        "# head\nadapters:\n-\n  platform: memory\n  address: 127.0.0.1:7080\n",
        "# head\nadapters: [{platform: memory, address: 127.0.0.1:7080}]",
    ],
)
async def test_any_form_of_yaml_can_be_registered_into(file: Path, watched: StaticRegistry, text: str) -> None:
    """A list on one line is written anew; its heading stays."""
    file.write_text(text)
    async with await watched.register(EAST):
        assert await anext(StaticRegistry(file).watch()) == (MEMORY, EAST)
        assert file.read_text().startswith("# head\n")
    assert await anext(StaticRegistry(file).watch()) == (MEMORY,)


@pytest.mark.parametrize("text", [None, "", "# head\n", "adapters: []\n"])
async def test_the_first_entry_makes_the_list(file: Path, watched: StaticRegistry, text: str | None) -> None:
    """Without a file, or with an empty one, the first adapter begins it and the last one leaves it valid."""
    if text is not None:
        file.write_text(text)
    registration = await watched.register(EAST)
    assert await anext(StaticRegistry(file).watch()) == (EAST,)
    await registration.deregister()
    assert file.read_text().endswith("adapters: []\n")


async def test_an_entry_that_vanished_is_written_again(file: Path) -> None:
    """An editor that saves an old copy must not lose a living adapter; what an operator changed in it stays."""
    clock = FakeClock()
    registry = StaticRegistry(file, clock=clock)
    await registry.register(EAST)
    file.write_text(file.read_text().replace("}", ", draining: true}"))
    await clock.advance(1)
    assert "draining: true" in file.read_text()
    file.write_text("adapters: []\n")
    await clock.advance(1)
    assert "os-east" in file.read_text()
    await registry.close()


async def test_a_broken_file_is_never_overwritten(file: Path) -> None:
    """Registering waits until a person has fixed it."""
    clock = FakeClock()
    registry = StaticRegistry(file, clock=clock)
    file.write_text("adapters: [oops\n")
    registration = await registry.register(EAST)
    assert file.read_text() == "adapters: [oops\n"
    assert "not yet registered" in repr(registration)
    file.write_text(BY_HAND)
    await clock.advance(2)
    assert "os-east" in file.read_text()
    await registry.close()


async def test_many_writers_lose_nothing(file: Path) -> None:
    """Registrations from several registries at once all land."""
    registries = [StaticRegistry(file) for _ in range(8)]
    entries = [Instance(f"os-{n}", "openstack", f"127.0.0.1:{7100 + n}") for n in range(8)]
    await asyncio.gather(*(r.register(one) for r, one in zip(registries, entries, strict=True)))
    assert await anext(registries[0].watch()) == tuple(entries)
    await asyncio.gather(*(registry.close() for registry in registries))
    assert file.read_text() == "adapters: []\n"


async def test_a_lock_that_is_held_stops_neither_loop_nor_caller(file: Path) -> None:
    """A writer that was stopped in the middle holds it; registering goes on once it is free."""
    clock = FakeClock()
    registry = StaticRegistry(file, clock=clock)
    with file.with_name("adapters.yaml.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        registering = asyncio.create_task(registry.register(EAST))
        await clock.advance(2.1)
        registration = await registering
        assert "not yet registered" in repr(registration)
    await clock.advance(1)
    assert repr(registration) == "<KeptRegistration os-east at 127.0.0.1:7081: registered>"
    await registry.close()


async def test_a_link_and_the_files_mode_survive_writing(file: Path, tmp_path: Path) -> None:
    """The file may be mounted from elsewhere and readable to few."""
    target = tmp_path / "elsewhere.yaml"
    target.write_text(BY_HAND)
    target.chmod(0o640)
    file.symlink_to(target)
    registry = StaticRegistry(file)
    await registry.register(EAST)
    assert file.is_symlink()
    assert "os-east" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o640
    await registry.close()


async def test_a_folder_that_is_missing_is_made(tmp_path: Path) -> None:
    """On a fresh checkout nothing is there yet."""
    file = tmp_path / "absent" / "adapters.yaml"
    registry = StaticRegistry(file)
    await registry.register(EAST)
    assert "os-east" in file.read_text()
    await registry.close()


async def test_a_folder_that_refuses_writes_is_reported_not_raised(tmp_path: Path) -> None:
    """An adapter serves on; the log says why gateways do not see it."""
    (tmp_path / "file").write_text("in the way")
    registry = StaticRegistry(tmp_path / "file" / "adapters.yaml")
    with capture_logs() as logs:
        registration = await registry.register(EAST)
    assert "not yet registered" in repr(registration)
    assert [entry["event"] for entry in logs] == ["registry lost, will go on trying"]
    assert "can't be written" in logs[0]["error"]
    await registry.close()
