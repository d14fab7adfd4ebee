"""mTLS between gateway and adapters: who shows the right certificate is called, others are shown and get nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import AsyncExitStack, asynccontextmanager

import click
import grpc
import pytest
from google.longrunning import operations_pb2
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cloudspan.adapter.v1 import step_pb2, step_pb2_grpc
from cloudspan.client import AsyncClient, CloudspanError, Forbidden, Unreachable, result_of, waiting
from cloudspan.v1 import platform_pb2, server_pb2, volume_pb2
from cloudspan_common import grpcs
from cloudspan_common.config import config_command
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry import Instance
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.testing import FakeClock
from cloudspan_common.trial_certificates import Authority
from cloudspan_gateway import app
from cloudspan_gateway.config import GatewayConfig
from cloudspan_kit.serve.runner import Adapter, AdapterConfig, serve
from cloudspan_memory.cluster import MemoryCluster

GATEWAY = "gateway.cloudspan"
READY, QUARANTINED = platform_pb2.AdapterInstance.STATE_READY, platform_pb2.AdapterInstance.STATE_QUARANTINED


def _files(folder, identity):
    return {
        "tls_certificate": folder / f"{identity}.pem",
        "tls_key": folder / f"{identity}.key",
        "tls_authority": folder / "authority.pem",
    }


def _tls(folder, identity):
    return grpcs.Tls(*_files(folder, identity).values())


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Folders of PEM files by authority: ours, and a stranger's with the same names in it."""
    folders = {}
    for name in ("ours", "strangers"):
        folders[name] = tmp_path_factory.mktemp(name)
        authority = Authority.new(name)
        authority.write(folders[name])
        for identity in (GATEWAY, "memory", "auditor", "adapter-7"):
            authority.issue(identity, folders[name])
        folders[f"{name}, common names"] = tmp_path_factory.mktemp("common-names")
        authority.write(folders[f"{name}, common names"])
        for identity in (GATEWAY, "memory"):
            authority.issue(identity, folders[f"{name}, common names"], names=False)
    return folders


class Site:
    """A registry with adapters in it, and what a gateway over it says of them."""

    def __init__(self, stack: AsyncExitStack, ours) -> None:
        self.registry = MemoryRegistry()
        self.clock = None
        self._stack, self._ours = stack, ours

    async def adapter(self, platform: str = "memory", **config: object) -> str:
        """Start one; return its address."""
        bound = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        cluster = MemoryCluster(ClusterRef(platform, "main"), delay_s=0.01)
        adapter = Adapter(platform, "Memory", "cloudspan-memory", [cluster])
        settings = AdapterConfig(drain_s=0.0, **config)
        serving = asyncio.create_task(serve(adapter, settings, stop, registry=self.registry, ready=bound.set_result))

        async def end():
            stop.set()
            await serving

        self._stack.push_async_callback(end)
        await asyncio.wait({bound, serving}, return_when=asyncio.FIRST_COMPLETED)
        return bound.result()

    @asynccontextmanager
    async def gateway(self, client_tls=None, **config: object):
        """A gateway with our certificate, and a client of it."""
        base = {
            "listen": "127.0.0.1:0",
            "metrics": "",
            "drain_s": 0.0,
            "wait_for_adapters": 0.0,
            "database": "memory:",
            "no_inventory": True,
        }
        settings = GatewayConfig(**{**base, **_files(self._ours, GATEWAY), **config})
        gateway = app.Gateway(settings, self.registry, self.clock)
        self.table = gateway.table
        async with (
            gateway.running(),
            AsyncClient(f"127.0.0.1:{gateway.server.port}", tls=client_tls, timeout_s=10, retries=False) as cloud,
        ):
            yield cloud


@pytest.fixture
async def site(certificates):
    """A site without adapters."""
    async with AsyncExitStack() as stack:
        yield Site(stack, certificates["ours"])


async def _instance(cloud, state, platform="memory"):
    """The platform's only instance, once it has that state."""
    async with asyncio.timeout(10):
        while True:
            request = platform_pb2.GetPlatformRequest(name=f"platforms/{platform}")
            (seen,) = (await cloud.platforms.GetPlatform(request)).instances
            if seen.state == state:
                return seen
            await asyncio.sleep(0.02)


async def _servers(cloud, platform="memory"):
    request = server_pb2.ListServersRequest(parent=f"platforms/{platform}/clusters/main")
    return [server async for server in cloud.each(cloud.servers.ListServers, request)]


async def test_an_adapter_with_its_platforms_certificate_is_called(site, certificates):
    """Reads are forwarded, a mutation is stepped to its end."""
    await site.adapter(**_files(certificates["ours"], "memory"))
    async with site.gateway() as cloud:
        await _instance(cloud, READY)
        assert await _servers(cloud) == []
        volume = volume_pb2.Volume(display_name="data", size_bytes=1024**3)
        request = volume_pb2.CreateVolumeRequest(parent="platforms/memory/clusters/main", volume=volume)
        made = result_of(await cloud.volumes.CreateVolume(request, metadata=waiting(5)))
        assert made.display_name == "data"


@pytest.mark.parametrize(
    ("authority", "identity", "why"),
    [
        ("ours", "adapter-7", "its certificate is not that of 'memory', who alone may claim platform 'memory'"),
        ("ours", GATEWAY, "its certificate is not that of 'memory'"),
        ("strangers", "memory", "its certificate is not signed by the authority of this gateway"),
        ("ours, common names", "memory", "its certificate is not that of 'memory'"),
    ],
)
async def test_an_impostor_is_shown_and_gets_no_calls(site, certificates, authority, identity, why):
    """A good certificate of someone else, or one of the right name that nobody we know has signed."""
    await site.adapter(**_files(certificates[authority], identity))
    async with site.gateway() as cloud:
        assert why in (await _instance(cloud, QUARANTINED)).reason
        with pytest.raises(Unreachable, match="no instance serves"):
            await _servers(cloud)


async def test_an_adapter_without_tls_is_shown(site):
    """The reason says what to start it with."""
    await site.adapter()
    async with site.gateway() as cloud:
        assert "it speaks no TLS; start it with" in (await _instance(cloud, QUARANTINED)).reason


@pytest.mark.parametrize("missing", ["tls_certificate", "tls_key", "tls_authority"])
async def test_half_of_a_configuration_is_refused(site, certificates, missing):
    """By both sides, before anything listens in plain text."""
    files = {**_files(certificates["ours"], GATEWAY), missing: None}
    with pytest.raises(InvalidRequest, match="go together"):
        app.build(GatewayConfig(database="memory:", **files), site.registry)
    with pytest.raises(InvalidRequest, match="go together"):
        await serve(Adapter("memory", "", "", []), AdapterConfig(**files), asyncio.Event(), registry=site.registry)


@pytest.mark.parametrize("fields", [{"tls_listen": "mutual"}, {"claim": ("memory",)}, {"claim": ("My=x",)}])
def test_a_gateways_options_that_mean_nothing_are_refused(fields):
    """TLS for callers without a certificate; a claim that names no platform or no identity."""
    with pytest.raises((ValueError, click.UsageError)):
        _configured(fields)


def _configured(fields):
    """A configuration as the command line makes it."""
    found = []
    words = [f"--{name.replace('_', '-')}={value}" for name, told in fields.items() for value in _each(told)]
    config_command(GatewayConfig, found.append).main(words, standalone_mode=False)
    return found[0]


def _each(told):
    return told if isinstance(told, tuple) else (told,)


async def test_a_gateway_without_certificates_gets_nothing_from_an_adapter_that_has_some(site, certificates):
    """It hangs up on it; the reason guesses why."""
    await site.adapter(**_files(certificates["ours"], "memory"))
    async with site.gateway(tls_certificate=None, tls_key=None, tls_authority=None) as cloud:
        seen = await _instance(cloud, platform_pb2.AdapterInstance.STATE_EJECTED)
        assert "does it want TLS?" in seen.reason


async def test_an_adapter_that_knows_another_gateway_is_shown(site, certificates):
    """The connection stands, each call is refused."""
    await site.adapter(**_files(certificates["ours"], "memory"), tls_gateway="another.gateway")
    async with site.gateway() as cloud:
        reason = (await _instance(cloud, QUARANTINED)).reason
        assert "PERMISSION_DENIED" in reason
        assert f"is not for {GATEWAY}" in reason


async def test_the_identity_that_may_claim_a_platform_can_be_configured(site, certificates):
    """`--claim memory=adapter-7` lets it in, and nobody else."""
    await site.adapter(**_files(certificates["ours"], "adapter-7"))
    async with site.gateway(claim=("memory=adapter-7",)) as cloud:
        await _instance(cloud, READY)


async def test_a_known_instance_that_changes_its_claim_is_asked_for_the_other_certificate(site, certificates):
    """The channel that was made for one platform is not used for another."""
    address = await site.adapter(**_files(certificates["ours"], "memory"))
    async with site.gateway() as cloud:
        seen = await _instance(cloud, READY)
        site.registry.put(Instance(seen.id, "auditor", address))
        assert "its certificate is not that of 'auditor'" in (await _instance(cloud, QUARANTINED, "auditor")).reason


@asynccontextmanager
async def _straight(address, tls):
    async with AsyncClient(address, platform="memory", cluster="main", tls=tls, timeout_s=10, retries=False) as cloud:
        yield cloud


async def _health(address, tls):
    """Exit code of the health probe, with these certificates."""
    words = ("-m", "cloudspan_common.healthcheck", address)
    files = zip(("certificate", "key", "authority"), (tls.certificate, tls.key, tls.authority), strict=True)
    options = [word for name, path in files for word in (f"--tls-{name}", str(path))]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, *options)
    return await process.wait()


async def test_only_the_gateways_identity_may_step(site, certificates):
    """A caller on the list may read and change straight, but not take a step; the gateway's certificate may."""
    ours = certificates["ours"]
    address = await site.adapter(**_files(ours, "memory"), tls_caller=("auditor",))
    step = step_pb2.StepRequest(method="cloudspan.v1.NoService.No")
    async with _straight(address, _tls(ours, "auditor")) as cloud:
        assert await _servers(cloud) == []
        with pytest.raises(
            Forbidden, match=r"StepService/Step is not for auditor, localhost; allowed: gateway.cloudspan"
        ):
            await step_pb2_grpc.StepServiceStub(cloud.channel).Step(step)
    async with _straight(address, _tls(ours, GATEWAY)) as cloud:
        with pytest.raises(CloudspanError, match="is not a mutation that this adapter knows"):
            await step_pb2_grpc.StepServiceStub(cloud.channel).Step(step)


async def test_a_common_name_alone_is_no_identity_to_an_adapter(site, certificates):
    """Only a subject alternative name counts: RFC 9525."""
    address = await site.adapter(**_files(certificates["ours"], "memory"), tls_caller=(GATEWAY,))
    async with _straight(address, _tls(certificates["ours, common names"], GATEWAY)) as cloud:
        with pytest.raises(Forbidden, match="ListServers is not for nobody"):
            await _servers(cloud)


async def test_services_of_every_shape_answer_behind_the_check(site, certificates):
    """Reflection is a stream in both directions, channelz blocks: both answer who may call, and refuse others."""
    ours = certificates["ours"]
    address = await site.adapter(**_files(ours, "memory"), tls_caller=("auditor",))
    async with _straight(address, _tls(ours, "auditor")) as cloud:
        assert "cloudspan.v1.ServerService" in await _reflected(cloud)
        answer = await channelz_pb2_grpc.ChannelzStub(cloud.channel).GetServers(channelz_pb2.GetServersRequest())
        assert answer.server
    async with _straight(address, _tls(ours, "adapter-7")) as cloud:
        with pytest.raises(grpc.aio.AioRpcError, match="ServerReflectionInfo is not for adapter-7"):
            await _reflected(cloud)
        with pytest.raises(Forbidden, match="GetServers is not for adapter-7"):
            await channelz_pb2_grpc.ChannelzStub(cloud.channel).GetServers(channelz_pb2.GetServersRequest())


async def _reflected(cloud):
    # Given whole, not written: a refusal may come before the write, which then fails with INTERNAL instead.
    requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    stream = reflection_pb2_grpc.ServerReflectionStub(cloud.channel).ServerReflectionInfo(requests)
    answer = await stream.read()
    return [service.name for service in answer.list_services_response.service]


async def test_an_unknown_identity_may_call_health_only(site, certificates):
    """A certificate of our authority is not enough for a read."""
    ours = certificates["ours"]
    address = await site.adapter(**_files(ours, "memory"))
    async with _straight(address, _tls(ours, "adapter-7")) as cloud:
        with pytest.raises(Forbidden, match="ListServers is not for adapter-7") as refused:
            await _servers(cloud)
        assert refused.value.reason == "CALLER_NOT_ALLOWED"
    assert await _health(address, _tls(ours, "memory")) == 0


async def test_a_caller_without_a_certificate_of_the_authority_is_refused(site, certificates):
    """Neither in plain text, nor without a certificate, nor with a stranger's."""
    address = await site.adapter(**_files(certificates["ours"], "memory"))
    authority = certificates["ours"] / "authority.pem"
    strange = certificates["strangers"]
    stranger = grpcs.Tls(strange / f"{GATEWAY}.pem", strange / f"{GATEWAY}.key", authority)
    for tls in (None, grpcs.Tls(authority=authority), stranger):
        async with _straight(address, tls) as cloud:
            with pytest.raises(Unreachable):
                await _servers(cloud)


async def test_the_command_line_shows_its_certificate_to_a_gateway(site, certificates):
    """`--gateway https://...`, with the files that the environment names."""
    files = {f"CLOUDSPAN_{name.upper()}": str(path) for name, path in _files(certificates["ours"], "auditor").items()}
    await site.adapter(**_files(certificates["ours"], "adapter-7"))
    async with site.gateway(tls_listen="mutual", client_tls=_tls(certificates["ours"], "auditor")) as cloud:
        await _instance(cloud, QUARANTINED)
        words = ("-m", "cloudspan.cli", "platforms", "--gateway", f"https://{cloud.address}")
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, env={**os.environ, **files, "COLUMNS": "300"}, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert "its certificate is not that of 'memory'" in out.decode()


async def test_callers_of_the_gateway_can_be_asked_for_a_certificate(site, certificates):
    """`--tls-listen mutual`: with one of our authority yes, without no; `server` asks for none."""
    ours = certificates["ours"]
    anonymous = grpcs.Tls(authority=ours / "authority.pem")
    request = operations_pb2.ListOperationsRequest(name="operations")
    async with site.gateway(tls_listen="mutual", client_tls=anonymous) as cloud:
        with pytest.raises(Unreachable):
            await cloud.operations.ListOperations(request)
    async with site.gateway(tls_listen="mutual", client_tls=_tls(ours, "auditor")) as cloud:
        assert (await cloud.operations.ListOperations(request)).next_page_token == ""
    async with site.gateway(tls_listen="server", client_tls=anonymous) as cloud:
        assert (await cloud.operations.ListOperations(request)).next_page_token == ""


@pytest.fixture
def replaceable(certificates, tmp_path):
    """A folder of our files that may be overwritten, and what overwrites them all with another authority's."""
    folder = tmp_path / "certs"
    shutil.copytree(certificates["ours"], folder)
    return folder, lambda: shutil.copytree(certificates["strangers"], folder, dirs_exist_ok=True)


async def test_replaced_certificates_count_for_an_adapters_new_connections(site, certificates, replaceable):
    """Without a restart; a connection that stands goes on."""
    folder, replace = replaceable
    address = await site.adapter(**_files(folder, "memory"))
    async with _straight(address, _tls(certificates["ours"], GATEWAY)) as old:
        assert await _servers(old) == []
        replace()
        async with _straight(address, _tls(certificates["strangers"], GATEWAY)) as new:
            assert await _servers(new) == []
        assert await _servers(old) == []
        async with _straight(address, _tls(certificates["ours"], GATEWAY)) as late:
            with pytest.raises(Unreachable):
                await _servers(late)


async def test_certificates_that_vanish_leave_the_last_ones_in_force(site, certificates, replaceable):
    """Whoever replaces them may need more than a moment."""
    folder, _ = replaceable
    address = await site.adapter(**_files(folder, "memory"))
    shutil.rmtree(folder)
    async with _straight(address, _tls(certificates["ours"], GATEWAY)) as cloud:
        assert await _servers(cloud) == []


async def test_a_gateway_shows_replaced_certificates_within_half_a_minute(site, replaceable, until):
    """It makes new channels; the platform is served all the while."""
    folder, replace = replaceable
    site.clock = FakeClock()
    await site.adapter(**_files(folder, "memory"))
    async with site.gateway(**_files(folder, GATEWAY)) as cloud:
        await _instance(cloud, READY)
        endpoints = [seen.endpoint for seen in site.table.snapshot.platforms["memory"].instances]
        link = site.table.channels.pick(endpoints)
        before = link._channel
        replace()
        await site.clock.advance(30.0)

        async def renewed():
            return link._channel is not before

        assert await until(renewed)
        assert await _servers(cloud) == []
        await _instance(cloud, READY)
