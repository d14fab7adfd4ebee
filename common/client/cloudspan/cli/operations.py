"""`cloudspan operations`, `explain`, `cancel`, `abandon`, `orphans`: operations and what they left behind."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import grpc
import yaml
from google.longrunning import operations_pb2

from cloudspan.cli import filters, tables
from cloudspan.cli.connection import (
    all_tenants_option,
    asked,
    cluster_name,
    display,
    gateway_option,
    show,
)
from cloudspan.cli.names import subject
from cloudspan.client import CloudspanError
from cloudspan.v1 import operation_pb2, orphan_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.tree import Tree

    from cloudspan.client import Client

_PREFIX = "operations/"
_CODES = [code.name for code in grpc.StatusCode]
_PLAN_HEAD = """# Orphans of {cluster}: made by operations of this installation, and nobody's.
# Read each entry. Set `delete: true` where nobody needs it, then: cloudspan orphans {tags} --apply FILE
# Before it deletes, it looks again whether the entry still is an orphan.
"""


def _operation_name(_context: click.Context, _param: click.Parameter, text: str) -> str:
    return text if text.startswith(_PREFIX) else _PREFIX + text


_operation = click.argument("name", metavar="OPERATION", callback=_operation_name)

_MOST = 1000  # what one page holds at most


@click.command()
@click.option("--failed", is_flag=True, help="Only those that ended with an error, cancelled ones among them.")
@click.option("--outcome", type=click.Choice(_CODES, case_sensitive=False), help="Only those that ended so.")
@click.option("--caller", default="", help="Only what this caller asked for: alice, services/billing.")
@filters.since_option
@click.option("--filter", "own", default="", help="AIP-160 filter over OperationMetadata: 'phase = RUNNING'.")
@click.option("--count", type=click.IntRange(1, 1000), default=20, show_default=True, help="Show at most this many.")
@all_tenants_option
@gateway_option
def operations(gateway: str, count: int, **wanted: Any) -> None:
    """Show the newest operations: who asked for them, when, and what those that failed ended with.

    `--since` goes by the time of the end with --failed or --outcome, else by that of the request: what failed last
    night is `cloudspan operations --failed --since 12h`.
    """
    request = operations_pb2.ListOperationsRequest(filter=_wanted(**wanted), page_size=count)
    show(gateway, lambda client: tables.operations(_newest(client, request, count)))


def _wanted(*, failed: bool, outcome: str | None, caller: str, since: str, own: str) -> str:
    """Return the filter that the options say."""
    if failed and outcome == "OK":
        raise click.UsageError("--failed and --outcome OK contradict each other; give one")
    error = "phase = DONE AND error_summary:*" if failed else ""
    time = filters.since("end_time" if failed or outcome else "create_time", since)
    code, who = filters.equals("outcome", outcome or ""), filters.equals("caller", subject(caller))
    return filters.all_of([error, code, who, time], own)


def _newest(
    client: Client, request: operations_pb2.ListOperationsRequest, count: int
) -> Iterable[operations_pb2.Operation]:
    # A page may hold fewer than there are: the gateway looks through a bounded number of operations for each.
    return itertools.islice(client.each(client.operations.ListOperations, request), count)


@click.command()
@_operation
@gateway_option
def explain(name: str, gateway: str) -> None:
    """Show what an operation took: its stages, and the platform's calls under each."""

    def ask(client: Client) -> Tree:
        request = operation_pb2.ExplainOperationRequest(name=name)
        return tables.explanation(client.operations.ExplainOperation(request))

    show(gateway, ask)


@click.command()
@_operation
@gateway_option
def cancel(name: str, gateway: str) -> None:
    """Cancel an operation, wait for its end, and show how it ended."""

    def ask(client: Client) -> Tree:
        client.operations.CancelOperation(operations_pb2.CancelOperationRequest(name=name))
        request = operations_pb2.WaitOperationRequest(name=name)
        request.timeout.FromSeconds(30)
        return tables.operations([client.operations.WaitOperation(request)])

    show(gateway, ask)


@click.command()
@_operation
@click.option("--reason", required=True, help="Why, for whoever reads the operation later.")
@gateway_option
def abandon(name: str, reason: str, gateway: str) -> None:
    """End an operation that nobody can go on with, as it is: nothing is undone, and it says what it leaves."""

    def ask(client: Client) -> Tree:
        request = operation_pb2.AbandonOperationRequest(name=name, reason=reason)
        return tables.operations([client.operations.AbandonOperation(request)])

    show(gateway, ask)


@click.command()
@click.argument("cluster", metavar="PLATFORM/CLUSTER", callback=cluster_name)
@click.option(
    "--plan", type=click.Path(dir_okay=False, path_type=Path), help="Write the orphans to this file, for review."
)
@click.option(
    "--apply",
    "reviewed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Delete what the reviewed file marks with `delete: true`.",
)
@click.option("--even-unknown", is_flag=True, help="Delete also those whose operation is not known any more.")
@gateway_option
def orphans(cluster: str, plan: Path | None, reviewed: Path | None, *, even_unknown: bool, gateway: str) -> None:
    """Find what operations of this installation made on a cluster and nobody has; clean up after a review.

    Exit code 1 when something could not be looked through or deleted.
    """
    if plan and reviewed:
        raise click.UsageError("--plan writes a file for review, --apply deletes what a reviewed one says; give one")
    if reviewed:
        _apply(gateway, _marked(reviewed, cluster), even_unknown=even_unknown)
        return

    def ask(client: Client) -> orphan_pb2.ListOrphansResponse:
        request = orphan_pb2.ListOrphansRequest(parent=cluster, page_size=_MOST)
        found = client.orphans.ListOrphans(request)
        while found.next_page_token:
            request.page_token = found.next_page_token
            page = client.orphans.ListOrphans(request)
            found.orphans.extend(page.orphans)
            found.next_page_token = page.next_page_token
        return found

    found = asked(gateway, ask)
    display(tables.orphans(found))
    if plan:
        head = _PLAN_HEAD.format(cluster=cluster, tags=tables.cluster_tags(cluster))
        plan.write_text(head + yaml.safe_dump([_entry(orphan) for orphan in found.orphans], sort_keys=False))
        click.echo(f"{plan} lists {len(found.orphans)}; set `delete: true` where nobody needs it")
    if found.incomplete:
        raise click.ClickException(f"not everything could be searched: {'; '.join(found.incomplete)}")


def _entry(orphan: orphan_pb2.Orphan) -> dict[str, Any]:
    return {
        "name": orphan.name,
        "display_name": orphan.display_name,
        "created": orphan.create_time.ToJsonString() if orphan.HasField("create_time") else "",
        "kind": tables.kind_of(orphan),
        "operation": orphan.operation,
        "reason": orphan.reason,
        "delete": False,
    }


def _marked(reviewed: Path, cluster: str) -> list[dict[str, Any]]:
    """Return the entries of a reviewed file that are to be deleted."""
    try:
        entries = yaml.safe_load(reviewed.read_text()) or []
        wanted = [entry for entry in entries if entry["delete"] is True]
        foreign = [entry["name"] for entry in wanted if not entry["name"].startswith(f"{cluster}/")]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise click.ClickException(f"{reviewed} is not as --plan writes it: {error!r}; write it anew") from error
    if foreign:
        raise click.ClickException(f"{reviewed} names {foreign[0]}, which is not on {cluster}; nothing was deleted")
    return wanted


def _apply(gateway: str, entries: Sequence[dict[str, Any]], *, even_unknown: bool) -> None:
    kept = asked(gateway, lambda client: _delete(client, entries, even_unknown=even_unknown))
    for name, why in kept.items():
        click.echo(f"kept     {name}: {why}")
    if kept:
        raise click.ClickException(f"{len(kept)} of {len(entries)} were kept")


def _delete(client: Client, entries: Sequence[dict[str, Any]], *, even_unknown: bool) -> dict[str, str]:
    """Delete orphans; return why those were kept that could not be.

    One that others use, as servers use a network, is refused until these are gone: so whatever was refused is tried
    again as long as others go.
    """
    left, kept = list(entries), dict[str, str]()
    while left:
        kept = {}
        for entry in left:
            request = orphan_pb2.DeleteOrphanRequest(
                name=entry["name"], operation=entry["operation"], even_unknown=even_unknown
            )
            try:
                client.orphans.DeleteOrphan(request)
            except CloudspanError as error:
                kept[entry["name"]] = error.message
            else:
                click.echo(f"deleted  {entry['name']}")
        if len(kept) == len(left):
            break
        left = [entry for entry in left if entry["name"] in kept]
    return kept
