"""docker-compose.yml comes up: its services as processes on this machine, names of hosts exchanged for ports."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from common.base.tests.registry.conftest import ConsulServer, find_consul, free_ports
from common.bus.tests import broker as rabbit
from common.bus.tests.conftest import Caller
from gateway.tests import postgres_server

from cloudspan.client import AsyncClient, CloudspanError
from cloudspan.v1 import platform_pb2, server_pb2, tenant_pb2, user_pb2, volume_pb2
from cloudspan.v1.session_pb2 import CreateSessionRequest

ROOT = Path(__file__).parents[2]
OTHERS = ("consul", "postgres", "rabbitmq")
"""Services of others: real ones of this machine stand for them."""
COMPOSE = Path(sys.executable).with_name("docker-compose")
CLUSTERS = ["memory/clusters/main", "openstack/clusters/alpha", "openstack/clusters/beta", "zstack/clusters/zeta"]


@pytest.fixture(scope="module")
def compose():
    """The file as compose itself reads it."""
    command = [COMPOSE, "--file", str(ROOT / "docker-compose.yml"), "config", "--format", "json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout)


class Here:
    """Where each service of the file is found on this machine."""

    def __init__(self, compose: dict, consul: str, database: str, broker: str, place: Path) -> None:
        self.compose, self.place, self.broker = compose, place, broker
        self.services = [name for name in compose["services"] if name not in OTHERS]
        ports = dict(zip(self.services, free_ports(len(self.services)), strict=True))
        self.gateways = [f"127.0.0.1:{ports[name]}" for name in ports if name.startswith("gateway")]
        self._exchanged = {"consul:8500": consul, "postgresql://cloudspan:cloudspan@postgres:5432/cloudspan": database}
        self._exchanged["rabbit://cloudspan:cloudspan@rabbitmq:5672/"] = broker
        self._exchanged |= {f"{name}:7070": f"127.0.0.1:{port}" for name, port in ports.items()}
        self._exchanged |= {f"{name}:7090": f"127.0.0.1:{port}" for name, port in ports.items()}
        self._ports = ports

    def _text(self, text: str, name: str) -> str:
        for there, here in self._exchanged.items():
            text = text.replace(there, here)
        own = str(self._ports[name])
        listens = {"0.0.0.0": "127.0.0.1", "7070": own, "7080": "0", "7090": own}  # noqa: S104 - is replaced
        for there, here in listens.items():
            text = re.sub(rf"(^|:){re.escape(there)}(?=$|:)", rf"\g<1>{here}", text)
        return text

    def logs(self, name: str) -> str:
        """What the services whose names begin so have written."""
        return "".join(path.read_text() for path in sorted(self.place.glob(f"{name}*.log")))

    def command(self, name: str) -> list[str]:
        """What the container would run, with our interpreter."""
        service = self.compose["services"][name]
        entrypoint = service.get("entrypoint") or json.loads(self._dockerfile(name, r"^ENTRYPOINT (.*)$")[0])
        if entrypoint[0] == "python":
            first = [sys.executable, *entrypoint[1:]]
        else:
            first = [sys.executable, "-m", entrypoint[0].replace("-", "_")]
        words = [self._text(word, name) for word in service.get("command") or ()]
        files = self._files(name)
        return [*first, *(files.get(word, word) for word in words)]

    def _files(self, name: str) -> dict[str, str]:
        """Where the files that a container is given lie here."""
        given = self.compose["services"][name].get("configs", ())
        return {config["target"]: self._file(name, config["source"]) for config in given}

    def _file(self, name: str, source: str) -> str:
        path = self.place / f"{source}.yaml"
        path.write_text(self._text(self.compose["configs"][source]["content"], name))
        return str(path)

    def environment(self, name: str) -> dict[str, str]:
        """The image's and the file's, beside ours."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CLOUDSPAN_")}
        told = dict(re.findall(r"(CLOUDSPAN_\w+)=(\S+)", "\n".join(self._dockerfile(name, r"^ENV (.*)$"))))
        told |= self.compose["services"][name].get("environment") or {}
        files = self._files(name)
        told = {key: files.get(value) or self._text(value, name) for key, value in told.items()}
        if "CLOUDSPAN_METRICS" in told:
            told["CLOUDSPAN_METRICS"] = "127.0.0.1:0"
        return kept | told

    def _dockerfile(self, name: str, pattern: str) -> list[str]:
        text = (ROOT / self.compose["services"][name]["build"]["dockerfile"]).read_text()
        return re.findall(pattern, text, re.MULTILINE)


@asynccontextmanager
async def _running(here: Here, name: str):
    log = (here.place / f"{name}.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *here.command(name), cwd=here.place, env=here.environment(name), stdout=log, stderr=asyncio.subprocess.STDOUT
    )
    log.close()
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 20)


@pytest.fixture
def consul(tmp_path):
    """The address of a real agent of our own."""
    agent = ConsulServer(find_consul(), tmp_path)
    agent.start()
    yield f"127.0.0.1:{agent.http_port}"
    agent.stop()


@pytest.mark.timeout(150)  # eight processes, an agent and a database
@pytest.mark.faults
async def test_everything_in_the_file_comes_up_and_answers_for_four_clusters(compose, consul, tmp_path):
    """In no order at all: the gateways first, the fake clouds last. What one did the other reports, and the bus."""
    here = Here(compose, consul, postgres_server.needed().new_database(), rabbit.needed().new_vhost(), tmp_path)
    async with AsyncExitStack() as stack:
        for name in sorted(here.services, key=lambda name: (not name.startswith("gateway"), name.startswith("fake"))):
            await stack.enter_async_context(_running(here, name))
        token = await _login(here)
        clouds = [
            await stack.enter_async_context(AsyncClient(gateway, token=token, timeout_s=10, retries=False))
            for gateway in here.gateways
        ]
        async with asyncio.timeout(100):
            for cloud in clouds:
                while (found := await _served(cloud)) != CLUSTERS:  # noqa: ASYNC110 - other processes have no event
                    await asyncio.sleep(0.05)
        assert found == CLUSTERS
        wanted = volume_pb2.Volume(display_name="shared", size_bytes=1024**3)
        request = volume_pb2.CreateVolumeRequest(parent="platforms/memory/clusters/main", volume=wanted)
        operation = await clouds[0].volumes.CreateVolume(request)
        assert (await clouds[1].operation(operation.name, volume_pb2.Volume).result(20)).display_name == "shared"
        while "bus takes messages" not in here.logs("bus"):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)
        # Over the bus, as whom the token proves.
        caller = Caller(here.broker, "cloudspan")
        listing = {"parent": "platforms/memory/clusters/main"}
        found = await caller.call("cloudspan.v1.VolumeService", "ListVolumes", {"cloudspan_token": token}, **listing)
        caller.close()
        assert [volume["display_name"] for volume in found["volumes"]] == ["shared"]


async def _login(here) -> str:
    """As the head of the file says: an administrator by the token in a gateway's log, and a pool of all clusters."""
    async with asyncio.timeout(60), AsyncClient(here.gateways[0], timeout_s=10) as nobody:
        while here.logs("gateway").count("gateway started") < len(here.gateways):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)
        (printed,) = re.findall(r"csb_[\w-]+", here.logs("gateway"))
        password = "correct horse battery"
        first = user_pb2.BootstrapAdministratorRequest(token=printed, user_id="alice", password=password)
        await nobody.users.BootstrapAdministrator(first)
        token = (await nobody.sessions.CreateSession(CreateSessionRequest(user="alice", password=password))).token
    async with AsyncClient(here.gateways[1], token=token, timeout_s=10) as alice:
        pool = tenant_pb2.Pool(clusters=[tenant_pb2.PoolCluster(cluster="platforms/-/clusters/-")])
        request = tenant_pb2.CreatePoolRequest(parent="tenants/default", pool_id="all", pool=pool)
        await alice.tenants.CreatePool(request)
    return token


async def _served(cloud):
    """The clusters that have reported their servers."""
    request = server_pb2.ListServersRequest(parent="platforms/-/clusters/-")
    try:
        await cloud.platforms.ListPlatforms(platform_pb2.ListPlatformsRequest(), timeout=2)
        listing = cloud.each(cloud.servers.ListServers, request)
        names = [server.name async for server in listing]
    except CloudspanError:
        return []
    return sorted({name.removeprefix("platforms/").partition("/servers/")[0] for name in names})


def test_only_the_gateways_and_consul_can_be_reached_from_outside(compose):
    """And only from the machine itself."""
    published = {name: service["ports"] for name, service in compose["services"].items() if service.get("ports")}
    assert sorted(published) == ["consul", "gateway", "gateway-2"]
    assert {port["host_ip"] for ports in published.values() for port in ports} == {"127.0.0.1"}


def test_every_service_has_a_health_check_and_no_rights_that_it_does_not_need(compose):
    """The image's check, or one in the file; no capabilities, nothing written outside /tmp."""
    for name, service in compose["services"].items():
        if name in OTHERS:
            assert service["healthcheck"]["test"]
            continue
        dockerfile = (ROOT / service["build"]["dockerfile"]).read_text()
        assert service.get("healthcheck", {}).get("test") or "HEALTHCHECK" in dockerfile
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"]
