"""The guide "Writing an adapter" is walked: each command as it stands, only paths and ports are other ones here."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.flows.conftest import gateway
from tests.flows.demo import ROOT

from cloudspan.v1 import platform_pb2
from cloudspan_common.errors import InvalidRequest, PreconditionFailed
from cloudspan_kit import new_adapter

GUIDE = (ROOT / "docs" / "writing-an-adapter.md").read_text()
BIN = Path(sys.executable).parent
_STOP_S = 15.0


def _commands():
    section = GUIDE.partition("## In five minutes")[2].partition("\n## ")[0]
    return [block.splitlines() for block in re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)]


class Walk:
    """Runs the guide's commands in the repository, with the adapter in a folder of our own."""

    def __init__(self, place: Path, address: str, registry: str) -> None:
        self._exchanged = (
            ("--directory ..", f"--directory {place}"),
            ("../acme", f"{place}/acme"),
            (".venv/bin/", f"{BIN}/"),
            ("static:.state/demo-7070/registry.yaml", registry),
            ("127.0.0.1:7070", address),
        )
        self._environment = {**os.environ, "CLOUDSPAN_GATEWAY": address, "COLUMNS": "200"}

    async def _start(self, line: str) -> asyncio.subprocess.Process:
        for guides, ours in self._exchanged:
            line = line.replace(guides, ours)
        words = shlex.split(line)
        told = dict(word.split("=", 1) for word in words if re.match(r"[A-Z]+=", word))
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *words[len(told) :],
            cwd=ROOT,
            env={**self._environment, **told},
            stdout=pipe,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, line: str) -> str:
        """Run a command to its good end; return what it printed."""
        process = await self._start(line)
        out, _ = await process.communicate()
        assert process.returncode == 0, f"{line}: {out.decode()}"
        return out.decode()

    @asynccontextmanager
    async def running(self, line: str):
        """Run a command that stays, until the block ends."""
        process = await self._start(line)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.communicate(), _STOP_S)


@pytest.mark.faults
@pytest.mark.timeout(150)  # ten processes, one after the other
async def test_the_guide_s_commands_make_an_adapter_that_serves_through_a_gateway(tmp_path, until):
    """Made, tested, started, listed, called, changed."""
    (make, test, start), (platforms, list_servers, create_server) = _commands()
    registry = f"static:{tmp_path / 'registry.yaml'}"
    async with gateway(registry) as cloud:
        walk = Walk(tmp_path, cloud.address, registry)
        assert "is an adapter for the platform acme" in await walk.run(make)
        assert " passed" in await walk.run(test)
        async with walk.running(start):

            async def plugged_in():
                told = await cloud.platforms.ListPlatforms(platform_pb2.ListPlatformsRequest())
                return [one.name for one in told.platforms if one.state == one.STATE_READY]

            assert await until(plugged_in, limit_s=20) == ["platforms/acme"]
            assert "acme" in await walk.run(platforms)
            assert '"displayName": "hello"' in await walk.run(list_servers)
            assert '"done": true' in await walk.run(create_server)
            assert '"displayName": "web"' in await walk.run(list_servers)


def test_a_name_of_several_words_is_written_in_the_form_that_each_place_needs(tmp_path):
    """The tag has hyphens, modules have underscores, classes capitals; nothing of the template's name is left."""
    folder = new_adapter.make("my-cloud", tmp_path)
    assert 'default="my-cloud"' in (folder / "cloudspan_my_cloud" / "config.py").read_text()
    assert "class MyCloudCluster" in (folder / "cloudspan_my_cloud" / "cluster.py").read_text()
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert folder / "tests" / "test_my_cloud_servers.py" in files
    assert [path for path in files if "template" in (path.name + path.read_text()).lower()] == []


def test_an_adapter_outside_the_repository_finds_it_by_path(tmp_path):
    """Its environment takes common and the contract from there, and so does its image."""
    folder = new_adapter.make("acme", tmp_path)
    (there,) = re.findall(r'cloudspan-kit = \{ path = "(.*)/common/kit"', (folder / "pyproject.toml").read_text())
    assert (folder / there).resolve() == ROOT
    dockerfile = (folder / "Dockerfile").read_text()
    assert f"--build-context cloudspan={there}" in dockerfile
    assert "uv sync" not in dockerfile


def test_an_adapter_beside_the_template_is_a_member_of_the_workspace(tmp_path):
    """It stays as the template is."""
    template = tmp_path / "adapters" / "template"
    template.mkdir(parents=True)
    for path in new_adapter.TEMPLATE.glob("*.toml"):
        (template / path.name).write_text(path.read_text())
    folder = new_adapter.make("acme", tmp_path / "adapters", template)
    assert "cloudspan-kit = { workspace = true }" in (folder / "pyproject.toml").read_text()


def test_a_name_that_is_not_a_tag_is_refused(tmp_path):
    """It says what a name looks like."""
    with pytest.raises(InvalidRequest, match="lower-case letters"):
        new_adapter.make("My Cloud", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_overwritten(tmp_path):
    """The folder is left as it is."""
    (tmp_path / "acme").mkdir()
    with pytest.raises(PreconditionFailed, match="exists; choose another name"):
        new_adapter.make("acme", tmp_path)
    assert list((tmp_path / "acme").iterdir()) == []
