"""`cloudspan`: the command line for people. `up` starts everything here; the rest asks a running gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudspan.v1 import cluster_pb2, platform_pb2
from cloudspan_common.service import run_service
from cloudspan_gateway import capability_table, cli_operations, newadapter, tables
from cloudspan_gateway.asking import asked, cluster_name, display, errors_for_people, gateway_option, show
from cloudspan_gateway.demo import plan
from cloudspan_gateway.demo.demo import up as run_up

if TYPE_CHECKING:
    from rich.table import Table

    from cloudspan_common.client import Client


@click.group()
def cli() -> None:
    """One gRPC API over many private clouds."""


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
    with errors_for_people():
        run_service(lambda stop: run_up(demo, stop, seed=not no_seed))


@cli.command()
@gateway_option
def platforms(gateway: str) -> None:
    """Show which platforms are plugged in, and their instances."""

    async def ask(cloud: Client) -> Table:
        answer = await cloud.platforms.ListPlatforms(platform_pb2.ListPlatformsRequest())
        return tables.platforms(answer.platforms)

    show(gateway, ask)


@cli.command()
@gateway_option
def clusters(gateway: str) -> None:
    """Show the clusters, whether they can be used, and how their tokens stand."""

    async def ask(cloud: Client) -> Table:
        answer = await cloud.clusters.ListClusters(cluster_pb2.ListClustersRequest(parent="platforms/-"))
        return tables.clusters(answer.clusters)

    show(gateway, ask)


@cli.command()
@click.argument("name", metavar="PLATFORM/CLUSTER", callback=cluster_name)
@gateway_option
def check(name: str, gateway: str) -> None:
    """Try the way to a cluster stage by stage. Exit code 1 when a stage fails."""

    async def ask(cloud: Client) -> cluster_pb2.CheckClusterResponse:
        return await cloud.clusters.CheckCluster(cluster_pb2.CheckClusterRequest(name=name))

    answer = asked(gateway, ask)
    display(tables.stages(answer))
    if not answer.ok:
        raise click.exceptions.Exit(1)


@cli.command()
@gateway_option
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

    table = asked(gateway, ask)
    if document is None:
        click.echo(table)
        return
    with errors_for_people():
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
    with errors_for_people():
        folder = newadapter.make(name, directory)
    click.echo(f"{folder} is an adapter for the platform {name}; its README.md says what is where")


for command in cli_operations.COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    cli(prog_name="cloudspan")


if __name__ == "__main__":
    main()
