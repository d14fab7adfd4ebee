"""`cloudspan top` and `watch`: what there is, and what changes, as it happens."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from google.protobuf.json_format import MessageToDict
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from cloudspan.cli.connection import asked, display, gateway_option, pool_option
from cloudspan.cli.inventory import tables
from cloudspan.cli.inventory.search import cluster_option, filter_option, hint, kind_option, kinds_argument
from cloudspan.cli.tables import cluster_tags, printable
from cloudspan.v1 import inventory_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cloudspan.client import Client

Change = inventory_pb2.WatchResponse.Change
_GROUP = inventory_pb2.SummarizeRequest.Group
_GROUPS = {name.removeprefix("GROUP_").lower(): number for name, number in _GROUP.items() if number}
_LABEL = "label:"


def _groups(_context: click.Context, _param: click.Parameter, text: str) -> tuple[str, ...]:
    """Return `cluster`, `state`, `label:team` of a list with commas."""
    words = tuple(word for part in text.split(",") if (word := part.strip()))
    known = [name for name in _GROUPS if name != "label"]
    for word in words:
        if word not in known and not (word.startswith(_LABEL) and word != _LABEL):
            raise click.BadParameter(f"{word!r} is not a group; those are: {', '.join(known)}, {_LABEL}KEY")
    if sum(word.startswith(_LABEL) for word in words) > 1:
        raise click.BadParameter("one label at a time")
    return words


@click.command()
@click.option("--by", "groups", default="cluster,state", show_default=True, callback=_groups, help="What to group by.")
@kind_option
@cluster_option
@filter_option
@click.option(
    "--interval", type=click.FloatRange(0.5), default=2.0, show_default=True, help="Seconds between two looks."
)
@click.option("--once", is_flag=True, help="Show it once and end.")
@gateway_option
@pool_option
def top(  # noqa: PLR0913 - an argument for each option
    groups: Sequence[str], *, kinds: Sequence[str], parent: str, own: str, interval: float, once: bool, gateway: str
) -> None:
    """Show how many resources there are and what they use, with how old that is, until Ctrl-C.

    Groups are cluster, collection, state, project, flavor, zone and label:KEY; at most three.
    """
    by: Any = [_GROUP.GROUP_LABEL if word.startswith(_LABEL) else _GROUPS[word] for word in groups]
    label = next((word.removeprefix(_LABEL) for word in groups if word.startswith(_LABEL)), "")
    summed = inventory_pb2.SummarizeRequest(parent=parent, collections=kinds, filter=own, group_by=by, label=label)
    if once or not sys.stdout.isatty():
        answer = asked(gateway, lambda client: client.inventory.Summarize(summed))
        display(tables.sums(answer, groups))
        hint(answer.incomplete)
        return
    with suppress(KeyboardInterrupt):
        asked(gateway, lambda client: _live(client, summed, groups, interval))


def _live(client: Client, summed: inventory_pb2.SummarizeRequest, groups: Sequence[str], interval: float) -> None:
    """Look again and again, until it is interrupted."""
    with Live(console=Console(emoji=False), auto_refresh=False, screen=True) as live:
        while True:
            live.update(screen(client, summed, groups, tables.utc_now()), refresh=True)
            time.sleep(interval)


def screen(client: Client, summed: inventory_pb2.SummarizeRequest, groups: Sequence[str], now: datetime) -> Group:
    """Return what one look shows: how old it is, the sums, what may be missing."""
    state = inventory_pb2.GetSyncStateRequest(parent=summed.parent, collections=summed.collections)
    lag = tables.lag(client.inventory.GetSyncState(state).states, now)
    answer = client.inventory.Summarize(summed)
    below = tables.incomplete(answer.incomplete)
    head = Text(f"{now:%H:%M:%S} UTC   {lag}", style="bold")
    return Group(head, tables.sums(answer, groups), Text(printable(below), style="yellow"))


@click.command()
@kinds_argument
@cluster_option
@filter_option
@click.option("--since-now", is_flag=True, help="Leave out what is there already; begin with the next change.")
@click.option("--json", "as_json", is_flag=True, help="Print each change as a line of JSON.")
@gateway_option
@pool_option
def watch(kinds: Sequence[str], *, parent: str, own: str, since_now: bool, as_json: bool, gateway: str) -> None:
    """Show resources as they are, then each change as it is found, until Ctrl-C: `cloudspan watch servers`.

    All kinds without a KIND. It goes on by itself when its gateway is restarted.
    """
    request = inventory_pb2.WatchRequest(parent=parent, collections=kinds, filter=own, changes_only=since_now)

    def follow(client: Client) -> None:
        for change in client.watch(request):
            now = tables.utc_now()
            click.echo(_as_json(change, now) if as_json else _line(change, now))

    with suppress(KeyboardInterrupt):
        asked(gateway, follow)


def _line(change: Change, now: datetime) -> str:
    resource = change.resource
    words = (
        f"{now:%H:%M:%S}",
        f"{_type(change):<8}",
        f"{resource.collection:<14}",
        f"{cluster_tags(resource.cluster):<20}",
        f"{resource.state or '-':<10}",
        resource.display_name or "-",
        resource.name.rpartition("/")[2],
    )
    return printable("  ".join(words))


def _as_json(change: Change, now: datetime) -> str:
    """One line, in the words of the API, with the time at which it arrived here."""
    resource = MessageToDict(change.resource)
    said = {"time": now.isoformat(timespec="milliseconds"), "type": _type(change), "resource": resource}
    return json.dumps(said, separators=(",", ":"))


def _type(change: Change) -> str:
    return Change.Type.Name(change.type).removeprefix("TYPE_")
