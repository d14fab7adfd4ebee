"""`cloudspan up`: start the plan, wait until each cluster answers through the gateway, say what to try, and stay."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import click

from cloudspan import client
from cloudspan.v1 import flavor_pb2, image_pb2, network_pb2, volume_pb2
from cloudspan_common.errors import GaveUp, OutOfTime
from cloudspan_gateway.demo import administrator
from cloudspan_gateway.demo.launcher import Launcher
from cloudspan_gateway.demo.sample_calls import Ingredients, as_typed, sample_calls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.demo.plan import Options, Plan

READY_S = 30.0
_POLL_S = 0.05
_GIB = 1024**3


_KEPT = """The operations of earlier starts are kept (--fresh forgets them). The clouds, which are in memory, start
anew: what those operations created is gone, and one that was not finished ends with an error or creates it again."""


async def up(plan: Plan, stop: asyncio.Event, options: Options, inherited: Sequence[int] = ()) -> None:
    """Run the plan until `stop`, then end all of it.

    Args:
        plan: What runs.
        stop: Ends it.
        options: What its user chose.
        inherited: Descriptors that the children keep open: the lock of the demo's folder.

    Raises:
        PreconditionFailed: A child did not start, or ended by itself; everything else was ended.
        OutOfTime: A child, or a cluster behind it, does not answer; everything else was ended.
        GaveUp: A cluster can't be seeded; everything else was ended.
    """
    launcher = Launcher(plan, inherited)
    try:
        await _first_of(launcher.first_death(), _bring_up(launcher, plan, options), stop.wait())
    finally:
        click.echo("stopping ...", err=True)
        await launcher.stop()


async def _bring_up(launcher: Launcher, plan: Plan, options: Options) -> None:
    started = time.monotonic()
    if plan.kept and (plan.state / plan.kept).exists():
        click.echo(_KEPT)
    click.echo(f"starting {', '.join(child.name for child in plan.children)}; logs in {plan.state / 'logs'}")
    await launcher.start()
    token = await administrator.logged_in(plan, _printed_by_gateway(plan)) if options.auth else ""
    async with client.AsyncClient(plan.gateway, token=token) as cloud:
        await asyncio.gather(*(_answering(cloud, cluster) for cluster in plan.clusters))
        if options.seed:
            await asyncio.gather(*(_seed(cloud, cluster) for cluster in plan.clusters))
        parts = await _ingredients(cloud, plan.clusters[1])
    click.echo(_welcome(plan, parts, time.monotonic() - started, token))
    await asyncio.Event().wait()


async def _first_of(*works: Awaitable[object]) -> None:
    """Wait for the first to end and cancel the others; when two end at once, the earlier argument is heard."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answering(cloud: client.AsyncClient, cluster: ClusterRef) -> None:
    """Wait until the cluster itself answers a call through the gateway."""
    give_up = time.monotonic() + READY_S
    while True:
        try:
            await cloud.flavors.ListFlavors(flavor_pb2.ListFlavorsRequest(parent=str(cluster), page_size=1), timeout=5)
        except client.CloudspanError as error:
            if time.monotonic() > give_up:
                text = f"{cluster} does not answer after {READY_S:g} s: {error.message}"
                raise OutOfTime(text, reason="CLUSTER_NOT_READY") from error
        else:
            return
        await asyncio.sleep(_POLL_S)


async def _seed(cloud: client.AsyncClient, cluster: ClusterRef) -> None:
    """Make a volume the way a caller would, so that there is an operation to look at."""
    volume = volume_pb2.Volume(display_name="demo-data", size_bytes=_GIB)
    request = volume_pb2.CreateVolumeRequest(parent=str(cluster), volume=volume)
    try:
        await (await cloud.volumes.CreateVolume(request)).result(READY_S)
    except client.CloudspanError as error:
        text = f"{cluster} can't be seeded: {error.message}; try again with --no-seed"
        raise GaveUp(text, reason="SEEDING_FAILED") from error


async def _ingredients(cloud: client.AsyncClient, cluster: ClusterRef) -> Ingredients:
    parent = str(cluster)
    flavors = await cloud.flavors.ListFlavors(flavor_pb2.ListFlavorsRequest(parent=parent))
    images = await cloud.images.ListImages(image_pb2.ListImagesRequest(parent=parent))
    networks = await cloud.networks.ListNetworks(network_pb2.ListNetworksRequest(parent=parent))
    return Ingredients(
        cluster=parent,
        flavor=min(flavors.flavors, key=lambda flavor: flavor.memory_mib).name,
        image=images.images[0].name,
        network=next(network.name for network in networks.networks if not network.external),
    )


def _printed_by_gateway(plan: Plan) -> str:
    gateway = next(child for child in plan.children if child.name == "gateway")
    return plan.log_of(gateway).read_text(errors="replace")


def _welcome(plan: Plan, parts: Ingredients, took_s: float, token: str) -> str:
    clusters = ", ".join(str(cluster) for cluster in plan.clusters)
    lines = [f"ready after {took_s:.1f} s: gateway {plan.gateway}, metrics http://{plan.metrics}/metrics", clusters]
    if token:
        password = plan.state / administrator.PASSWORD_FILE
        login = f"{as_typed('cloudspan')} login {administrator.USER} --gateway {plan.gateway}"
        lines += ["", f"# Callers are authenticated; the password of {administrator.USER} is in {password}", login]
    for call in sample_calls(parts, token):
        lines += ["", f"# {call.title}", call.grpcurl(plan.gateway), call.buf_curl(plan.gateway)]
    lines += ["", "# The same as tables"]
    for words in ("platforms", "clusters", "operations", "check openstack/alpha"):
        lines.append(f"{as_typed('cloudspan')} {words} --gateway {plan.gateway}")
    return "\n".join([*lines, "", "Ctrl-C ends all of it; the operations are kept for the next start."])
