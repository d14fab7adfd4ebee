"""Each service can be installed alone: what its Dockerfile copies and syncs gives an environment that serves."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from common.bus.tests import broker as rabbit
from tests.harness.clouds import memory_cluster
from tests.harness.in_process import deployment

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")

CLOUDS = """
clouds:
  away:
    auth: {auth_url: "http://127.0.0.1:9/v3", username: u, password: p, project_name: p,
           user_domain_name: Default, project_domain_name: Default}
"""
ZSTACK_CLOUDS = """
clouds:
  away: {endpoint: "http://127.0.0.1:9/zstack", account: demo, password: p}
"""
# What each service needs to be told to start, beside its address: arguments, and files in its working directory.
SERVICES = {
    "common/bus": (("--metrics", ""), {}),
    "gateway": (("--registry", "memory:", "--metrics", "", "--database", "memory:"), {}),
    "adapters/memory": ((), {}),
    "adapters/openstack": (("--clouds", "clouds.yaml", "--cluster", "away"), {"clouds.yaml": CLOUDS}),
    "adapters/zstack": (("--clouds", "clouds.yaml", "--cluster", "away"), {"clouds.yaml": ZSTACK_CLOUDS}),
    "adapters/template": ((), {}),
}

FAKES = ("adapters/openstack/fake", "adapters/zstack/fake")


class Image:
    """What a Dockerfile builds, built here without containers."""

    def __init__(self, folder: str, place: Path) -> None:
        self.text = (ROOT / folder / "Dockerfile").read_text()
        self.source, self.environment = place / "src", place / "env"
        self.command = json.loads(re.search(r"^ENTRYPOINT (.*)$", self.text, re.MULTILINE)[1])[0]

    @property
    def copied(self) -> list[tuple[str, str]]:
        """(source, target) of what is copied from the repository."""
        lines = re.findall(r"^COPY (?!--from)(.+) (\S+)$", self.text, re.MULTILINE)
        return [(source, target) for sources, target in lines for source in sources.split()]

    def build(self) -> None:
        """Copy what the Dockerfile copies, and run its last sync."""
        for source, target in self.copied:
            place = self.source / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place = place / Path(source).name if target.endswith("/") else place
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
        sync = re.findall(r"^RUN uv (sync .*)$", self.text, re.MULTILINE)[-1].split()
        told = {"UV_PROJECT_ENVIRONMENT": str(self.environment), "UV_PYTHON": sys.executable}
        environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"} | told
        done = subprocess.run(
            [UV, *sync], cwd=self.source, env=environment, capture_output=True, text=True, timeout=50, check=False
        )
        assert done.returncode == 0, done.stderr

    def program(self, name: str) -> str:
        return str(self.environment / "bin" / name)

    @property
    def distributions(self) -> set[str]:
        """Names of everything that is installed."""
        found = self.environment.glob("lib/python*/site-packages/*.dist-info")
        return {path.name.partition("-")[0].replace("_", "-") for path in found}

    @property
    def ours(self) -> set[str]:
        return {name for name in self.distributions if name.startswith("cloudspan-")}


@pytest.fixture(params=sorted(SERVICES))
def service(request, tmp_path):
    """A service's folder, and its image, built from the lock alone."""
    image = Image(request.param, tmp_path)
    image.build()
    return request.param, image


@pytest.mark.faults
async def test_a_service_installed_alone_holds_nothing_of_the_others_and_serves(service, tmp_path):
    """Its environment has itself, common and the contract; it starts there, and its own health probe says so."""
    folder, image = service
    kit = {"cloudspan-kit"} if folder.startswith("adapters/") else set()
    assert image.ours == {image.command, "cloudspan-common", "cloudspan-protos"} | kit
    assert "pytest" not in image.distributions
    arguments, files = SERVICES[folder]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    if folder == "common/bus":
        arguments = (*arguments, "--broker", rabbit.needed().url, "--topic", "packages")
    process = await asyncio.create_subprocess_exec(
        image.program(image.command),
        *("--listen", "127.0.0.1:0", *arguments),
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if not key.startswith("CLOUDSPAN_")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        port = await _port(process.stdout)
        probe = (image.program("python"), "-m", "cloudspan_common.healthcheck", f"127.0.0.1:{port}")
        health = await asyncio.create_subprocess_exec(*probe)
        assert await health.wait() == 0
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
    assert process.returncode == 0


async def _port(output: asyncio.StreamReader) -> int:
    """The port that the service says it serves on, in its log."""
    seen = []
    async for line in output:
        seen.append(line.decode())
        if b"adapter serves" in line:
            return int(json.loads(line)["address"].rpartition(":")[2])
        if b"gateway started" in line or b"bus takes messages" in line:
            return int(json.loads(line)["port"])
    raise AssertionError("it ended:\n" + "".join(seen))


@pytest.mark.parametrize("folder", FAKES)
@pytest.mark.faults
def test_a_fake_cloud_is_installed_without_the_adapter_that_it_is_for(folder, tmp_path):
    """Its image holds the kit's engine and itself, and its program starts."""
    image = Image(folder, tmp_path)
    image.build()
    assert image.ours == {image.command, "cloudspan-common", "cloudspan-kit", "cloudspan-protos"}
    shown = subprocess.run(
        [image.program(image.command), "--help"], capture_output=True, text=True, timeout=30, check=True
    )
    assert "--listen" in shown.stdout


def test_every_dockerfile_is_built_here():
    """A new one needs an entry in SERVICES."""
    folders = {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("*/Dockerfile")}
    folders |= {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("*/*/Dockerfile")}
    assert folders == set(SERVICES)
    assert {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("adapters/*/*/Dockerfile")} == set(FAKES)


@pytest.mark.parametrize("folder", [*sorted(SERVICES), *FAKES])
def test_what_a_dockerfile_copies_reaches_the_build(folder, tmp_path):
    """It is there, and .dockerignore lets it through; the image runs as nobody's root and probes itself."""
    image = Image(folder, tmp_path)
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for source, _ in image.copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in allowed), source
    assert re.search(r"^USER 10001", image.text, re.MULTILINE)
    # Fakes speak no gRPC: the compose file probes their port.
    assert ("cloudspan_common.healthcheck" in image.text) == (folder in SERVICES)


# What the client may bring along, beside what is ours.
OF_OTHERS = {"googleapis-common-protos", "grpcio", "protobuf", "typing-extensions"}
LISTING = """
import sys
from cloudspan.client import Client
from cloudspan.v1.server_pb2 import ListServersRequest
with Client(sys.argv[1]) as client:
    for server in client.each(client.servers.ListServers, ListServersRequest(parent="platforms/-/clusters/-")):
        print(server.display_name)
"""


async def _run(*words, fails=False, **told):
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"} | told
    pipe, same = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(
        *map(str, words), cwd=ROOT, env=environment, stdout=pipe, stderr=same
    )
    out, _ = await process.communicate()
    assert bool(process.returncode) == fails, out.decode()
    return out.decode()


@pytest.mark.faults
async def test_the_client_installed_alone_from_its_wheel_lists_servers(tmp_path):
    """The environment holds gRPC, the contract and the client; the command line says that it is an extra."""
    for folder in ("protos", "common/client"):
        await _run(UV, "build", "--wheel", "--offline", "--out-dir", tmp_path / "wheels", ROOT / folder)
    environment = Image("gateway", tmp_path)
    python = environment.program("python")
    # What others make comes as the lock names it, ours from the wheels.
    sync = ("sync", "--frozen", "--no-dev", "--no-install-workspace", "--package", "cloudspan")
    await _run(UV, *sync, UV_PROJECT_ENVIRONMENT=str(environment.environment), UV_PYTHON=sys.executable)
    wheels = (tmp_path / "wheels").glob("*.whl")
    await _run(UV, "pip", "install", "--offline", "--no-deps", "--python", python, *wheels)
    await _run(UV, "pip", "check", "--python", python)
    assert environment.distributions - {"cloudspan", "cloudspan-protos"} <= OF_OTHERS
    assert {"cloudspan", "cloudspan-protos", "grpcio"} <= environment.distributions
    cluster = memory_cluster()
    cluster.seed_servers(3)
    async with deployment(cluster) as running:
        listed = await _run(python, "-c", LISTING, running.client.address)
    assert listed.split() == ["server-00000", "server-00001", "server-00002"]
    assert "pip install 'cloudspan[cli]'" in await _run(environment.program("cloudspan"), fails=True)
