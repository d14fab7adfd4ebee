"""`cloudspan find` and `sync`: what the gateway's inventory holds, and how fresh it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from cloudspan.cli.connection import asked, clusters_name, display, gateway_option, pool_option
from cloudspan.cli.inventory import tables
from cloudspan.cli.tables import printable
from cloudspan.v1 import inventory_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudspan.client import Client

_MOST_A_PAGE = 1000
_SYNC_S = 600.0
_WORD = re.compile(r"[-_ ]+([a-zA-Z])")
_WELL = ("COMPLETE", "UNSUPPORTED")


def collection(text: str) -> str:
    """`key-pairs`, `key_pair` and `keyPairs` -> `keyPairs`."""
    name = _WORD.sub(lambda match: match[1].upper(), text.strip())
    return name if name.endswith("s") else f"{name}s"


def _collections(_context: click.Context, _param: click.Parameter, said: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(collection(kind) for text in said for kind in text.split(",") if kind.strip())


kind_option = click.option(
    "--kind", "kinds", multiple=True, callback=_collections, help="Only this kind: servers, key-pairs; may be repeated."
)
filter_option = click.option(
    "--filter",
    "own",
    default="",
    help="AIP-160 filter over what all kinds have, or, with one --kind, over its fields: 'state = RUNNING'.",
)
cluster_option = click.option(
    "--cluster", "parent", default="", callback=clusters_name, help="Only this cluster: openstack/alpha, openstack/-."
)


def kinds_argument(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command kinds as arguments."""
    return click.argument("kinds", metavar="[KIND]...", nargs=-1, callback=_collections)(command)


@click.command()
@click.argument("text")
@kind_option
@cluster_option
@filter_option
@click.option(
    "--count", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Show at most this many."
)
@gateway_option
@pool_option
def find(text: str, *, kinds: Sequence[str], parent: str, own: str, count: int, gateway: str) -> None:
    """Find resources by TEXT: a name or a part of one, an id, an address, or KEY=VALUE of a label.

    Asks the gateway's inventory, not the clouds: `age` says how old that is. What may be missing is told on stderr.
    Exit code 1 when nothing is found.
    """
    request = inventory_pb2.SearchRequest(parent=parent, text=text, collections=kinds, filter=own)
    request.page_size = min(count, _MOST_A_PAGE)
    found = asked(gateway, lambda client: _search(client, request, count))
    hint(found.incomplete)
    if not found.resources:
        status = inventory_pb2.GetSyncStateRequest(parent=parent, collections=kinds, filter=own)
        explanation = asked(gateway, lambda client: client.inventory.GetSyncState(status).explanation)
        raise click.ClickException(printable(f"nothing has {text!r}. {explanation}"))
    display(tables.resources(found.resources, tables.utc_now()))
    if found.next_page_token:
        click.echo(f"there are more than {count}; --count shows more of them", err=True)


def _search(client: Client, request: inventory_pb2.SearchRequest, count: int) -> inventory_pb2.SearchResponse:
    """Return so many of what is found; a page may hold few and still have a next one."""
    found = client.inventory.Search(request)
    while found.next_page_token and len(found.resources) < count:
        request.page_token = found.next_page_token
        request.page_size = min(count - len(found.resources), _MOST_A_PAGE)
        page = client.inventory.Search(request)
        found.resources.extend(page.resources)
        found.next_page_token = page.next_page_token
    return found


def hint(incomplete: Sequence[inventory_pb2.SyncState]) -> None:
    """Say on stderr where something may be missing."""
    if text := tables.incomplete(incomplete):
        click.echo(printable(text), err=True)


@click.command()
@click.argument("parent", metavar="[PLATFORM/CLUSTER]", default="", callback=clusters_name)
@kind_option
@click.option("--status", "only_status", is_flag=True, help="Only show how fresh it is; nothing is read.")
@click.option(
    "--release-brake",
    is_flag=True,
    help="Take resources for deleted that the platform lists no more, though they are many.",
)
@gateway_option
@pool_option
def sync(parent: str, *, kinds: Sequence[str], only_status: bool, release_brake: bool, gateway: str) -> None:
    """Read clusters into the gateway's inventory now, all you may operate on without one, and show what came of it.

    Exit code 1 when something could not be read whole.
    """
    if only_status and release_brake:
        raise click.UsageError("--release-brake reads and deletes, --status only shows; give one")
    if only_status:
        question = inventory_pb2.GetSyncStateRequest(parent=parent, collections=kinds)
        answer = asked(gateway, lambda client: client.inventory.GetSyncState(question))
        display(tables.states(answer.states, tables.utc_now()))
        click.echo(printable(answer.explanation), err=True)
        return
    request = inventory_pb2.SyncNowRequest(parent=parent, collections=kinds, release_brake=release_brake)
    states = asked(gateway, lambda client: client.inventory.SyncNow(request, timeout=_SYNC_S)).states
    display(tables.states(states, tables.utc_now()))
    if any(tables.completeness(state) not in _WELL for state in states):
        raise click.exceptions.Exit(1)
