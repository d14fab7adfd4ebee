"""`cloudspan platforms`, `clusters`, `check`, `capabilities`: what is plugged in, and whether it can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudspan.cli import capability_table, tables
from cloudspan.cli.connection import asked, cluster_name, display, errors_for_people, gateway_option, pool_option, show
from cloudspan.v1 import cluster_pb2, platform_pb2

if TYPE_CHECKING:
    from rich.table import Table

    from cloudspan.client import Client


@click.command()
@gateway_option
@pool_option
def platforms(gateway: str) -> None:
    """Show which platforms are plugged in, and their instances."""

    def ask(client: Client) -> Table:
        return tables.platforms(client.each(client.platforms.ListPlatforms, platform_pb2.ListPlatformsRequest()))

    show(gateway, ask)


@click.command()
@gateway_option
@pool_option
def clusters(gateway: str) -> None:
    """Show the clusters, whether they can be used, and how their tokens stand."""

    def ask(client: Client) -> Table:
        request = cluster_pb2.ListClustersRequest(parent="platforms/-")
        return tables.clusters(client.each(client.clusters.ListClusters, request))

    show(gateway, ask)


@click.command()
@click.argument("name", metavar="PLATFORM/CLUSTER", callback=cluster_name)
@gateway_option
def check(name: str, gateway: str) -> None:
    """Check a cluster's health, stage by stage. Exit code 1 when a stage fails."""

    def ask(client: Client) -> cluster_pb2.CheckClusterResponse:
        return client.clusters.CheckCluster(cluster_pb2.CheckClusterRequest(name=name))

    answer = asked(gateway, ask)
    display(tables.stages(answer))
    if not answer.ok:
        raise click.exceptions.Exit(1)


@click.command()
@gateway_option
@pool_option
@click.option(
    "--write",
    "document",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put the table between the markers of this file instead of printing it.",
)
def capabilities(gateway: str, document: Path | None) -> None:
    """Show what each platform can do now, as a Markdown table made from its running clusters."""

    def ask(client: Client) -> str:
        request = cluster_pb2.ListClustersRequest(parent="platforms/-", view=cluster_pb2.CLUSTER_VIEW_FULL)
        return capability_table.markdown(list(client.each(client.clusters.ListClusters, request)))

    table = asked(gateway, ask)
    if document is None:
        click.echo(table)
        return
    with errors_for_people():
        changed = capability_table.write(document, table)
    click.echo(f"{document} {'has changed' if changed else 'was current'}")
