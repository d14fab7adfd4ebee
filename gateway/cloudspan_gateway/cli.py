"""`cloudspan`: the command line for people. `up` starts everything here; the rest asks a running gateway."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from cloudspan.v1 import cluster_pb2, platform_pb2
from cloudspan_common.client import DEFAULT_ADDRESS, Client
from cloudspan_common.errors import CloudspanError
from cloudspan_common.grpcs import Tls
from cloudspan_common.names import ClusterRef, is_tag
from cloudspan_common.service import run_service
from cloudspan_gateway import capability_table, newadapter, tables
from cloudspan_gateway.up import plan
from cloudspan_gateway.up.demo import up as run_up

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from rich.table import Table


_TLS = "https://"


@click.group()
def cli() -> None:
    """One gRPC API over many private clouds."""


_gateway = click.option(
    "--gateway",
    default=DEFAULT_ADDRESS,
    envvar="CLOUDSPAN_GATEWAY",
    show_default=True,
    show_envvar=True,
    help="host:port of the gateway to ask; https://host:port with CLOUDSPAN_TLS_AUTHORITY, _CERTIFICATE and _KEY.",
)


@cli.command()
@click.option(
    "--port-base",
    type=click.IntRange(1024, plan.MAX_BASE),
    default=plan.DEFAULT_BASE,
    show_default=True,
    help="The gateway's port; all other ports lie within 22 above it.",
)
@click.option("--no-seed", is_flag=True, help="Start with empty clouds.")
@click.option(
    "--state", type=click.Path(path_type=Path), default=Path(".state"), show_default=True, help="Where files are kept."
)
def up(port_base: int, *, no_seed: bool, state: Path) -> None:
    """Start a gateway, three adapters and three fake clouds here, until Ctrl-C."""
    demo = plan.demo(state, port_base, seed=not no_seed)
    with _errors_for_people():
        run_service(lambda stop: run_up(demo, stop, seed=not no_seed))


@cli.command()
@_gateway
def platforms(gateway: str) -> None:
    """Show which platforms are plugged in, and their instances."""

    async def ask(cloud: Client) -> Table:
        answer = await cloud.platforms.ListPlatforms(platform_pb2.ListPlatformsRequest())
        return tables.platforms(answer.platforms)

    _print(gateway, ask)


@cli.command()
@_gateway
def clusters(gateway: str) -> None:
    """Show the clusters, whether they can be used, and how their tokens stand."""

    async def ask(cloud: Client) -> Table:
        answer = await cloud.clusters.ListClusters(cluster_pb2.ListClustersRequest(parent="platforms/-"))
        return tables.clusters(answer.clusters)

    _print(gateway, ask)


def _cluster_name(_context: click.Context, _param: click.Parameter, text: str) -> str:
    platform, _, cluster = text.partition("/")
    if not (is_tag(platform) and is_tag(cluster)):
        raise click.BadParameter(f"{text!r} is no cluster; expected PLATFORM/CLUSTER such as openstack/alpha")
    return str(ClusterRef(platform, cluster))


@cli.command()
@click.argument("name", metavar="PLATFORM/CLUSTER", callback=_cluster_name)
@_gateway
def check(name: str, gateway: str) -> None:
    """Try the way to a cluster stage by stage. Exit code 1 when a stage fails."""

    async def ask(cloud: Client) -> cluster_pb2.CheckClusterResponse:
        return await cloud.clusters.CheckCluster(cluster_pb2.CheckClusterRequest(name=name))

    answer = _asked(gateway, ask)
    Console().print(tables.stages(answer))
    if not answer.ok:
        raise click.exceptions.Exit(1)


@cli.command()
@_gateway
@click.option(
    "--write",
    "document",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put the table between the markers of this file instead of printing it.",
)
def capabilities(gateway: str, document: Path | None) -> None:
    """Show what each platform can do now, as a Markdown table made from its running clusters."""

    async def ask(cloud: Client) -> str:
        answer = await cloud.clusters.ListClusters(cluster_pb2.ListClustersRequest(parent="platforms/-"))
        return capability_table.markdown(answer.clusters)

    table = _asked(gateway, ask)
    if document is None:
        click.echo(table)
        return
    with _errors_for_people():
        changed = capability_table.write(document, table)
    click.echo(f"{document} {'has changed' if changed else 'was current'}")


@cli.command("new-adapter")
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Where its folder is made; here by default.",
)
def new_adapter(name: str, directory: Path) -> None:
    """Make a new adapter that runs as it stands; see docs/writing-an-adapter.md."""
    with _errors_for_people():
        folder = newadapter.make(name, directory)
    click.echo(f"{folder} is an adapter for the platform {name}; its README.md says what is where")


def _print(gateway: str, ask: Callable[[Client], Coroutine[Any, Any, Table]]) -> None:
    Console().print(_asked(gateway, ask))


def _asked(gateway: str, ask: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    async def asking() -> Any:
        async with _client(gateway) as cloud:
            return await ask(cloud)

    with _errors_for_people():
        return asyncio.run(asking())


def _client(gateway: str) -> Client:
    if not gateway.startswith(_TLS):
        return Client(gateway)
    named = (os.environ.get(f"CLOUDSPAN_TLS_{what}") for what in ("CERTIFICATE", "KEY", "AUTHORITY"))
    return Client(gateway.removeprefix(_TLS), tls=Tls(*(Path(path) if path else None for path in named)))


class _errors_for_people:  # noqa: N801 - reads as a statement where it is used
    """Turn a domain error into one line on stderr and exit code 1."""

    def __enter__(self) -> None:
        """Nothing to set up."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, CloudspanError):
            raise click.ClickException(error.message) from error


def main() -> None:
    """Run the command line."""
    cli(prog_name="cloudspan")


if __name__ == "__main__":
    main()
