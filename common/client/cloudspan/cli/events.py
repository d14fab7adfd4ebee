"""`cloudspan events`: what has happened, as it happens, and who reads it as a named consumer."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from google.protobuf.json_format import MessageToDict

from cloudspan.cli import filters
from cloudspan.cli.connection import all_tenants_option, asked, gateway_option, pool_option, show
from cloudspan.cli.tables import new_table, printable, time_of
from cloudspan.v1 import event_pb2, operation_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from cloudspan.client import Client

_MOST = 200


@click.group(invoke_without_command=True)
@click.option("--follow", is_flag=True, help="Show each event as it happens, until Ctrl-C.")
@click.option("--consumer", default="", help="Follow as this consumer: the gateway keeps how far it has come.")
@click.option(
    "--type", "kind", default="", help="Only this type, or those that begin so: operation.failed, resource.servers."
)
@click.option("--subject", default="", help="Only what is about this resource, by its name.")
@filters.since_option
@click.option("--filter", "own", default="", help="AIP-160 filter over Event: 'tenant = acme'.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Show at most this many.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
@all_tenants_option
@gateway_option
@pool_option
@click.pass_context
def events(context: click.Context, /, *, follow: bool, consumer: str, limit: int, gateway: str, **said: Any) -> None:
    """Show the newest events, the oldest of them first; with --follow each one as it happens.

    Ends of operations, changes of resources, states of clusters, and for administrators what was refused.
    """
    if context.invoked_subcommand is not None:
        return
    as_json, wanted = said.pop("as_json"), _wanted(**said)
    if not (follow or consumer):
        found = asked(gateway, lambda client: _newest(client, wanted, limit))
        for event in reversed(found):
            click.echo(_shown(event, as_json=as_json))
        return
    request = event_pb2.WatchEventsRequest(filter=wanted, consumer=consumer)
    with suppress(KeyboardInterrupt):
        asked(gateway, lambda client: _follow(client, request, as_json=as_json))


def _wanted(*, kind: str, subject: str, since: str, own: str) -> str:
    """Return the filter that the options say."""
    of_kind = f'type = {filters.quoted(kind)[:-1]}*"' if kind else ""
    return filters.all_of([of_kind, filters.equals("subject", subject), filters.since("time", since)], own)


def _newest(client: Client, wanted: str, limit: int) -> list[event_pb2.Event]:
    request = event_pb2.ListEventsRequest(filter=wanted, page_size=min(limit, _MOST))
    return list(itertools.islice(client.each(client.events.ListEvents, request), limit))


def _follow(client: Client, request: event_pb2.WatchEventsRequest, *, as_json: bool) -> None:
    for event in client.follow_events(request):
        click.echo(_shown(event, as_json=as_json))


def _shown(event: event_pb2.Event, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(MessageToDict(event), separators=(",", ":"))
    words = (time_of(event, "time"), f"{event.type:<28}", event.subject or event.cluster or "-", _details(event))
    return printable("  ".join(word for word in words if word))


def _details(event: event_pb2.Event) -> str:
    """Return what one wants to know of it, in a few words."""
    kind = event.WhichOneof("data")
    if kind == "operation":
        metadata = operation_pb2.OperationMetadata()
        event.operation.metadata.Unpack(metadata)
        why = (
            f"  {metadata.error_summary.reason}: {event.operation.error.message}" if event.operation.error.code else ""
        )
        return f"{metadata.method.rpartition('/')[2]}  {event.operation.name}{why}"
    if kind == "resource":
        return "  ".join(word for word in (event.resource.display_name, event.resource.state) if word)
    if kind == "cluster_state":
        return event.cluster_state.message
    refused = event.audit_event
    return f"{refused.subject or 'nobody known'}  {refused.method.rpartition('/')[2]}  {refused.reason}"


@events.command()
@gateway_option
def consumers(gateway: str) -> None:
    """Show the consumers of the tenant, and when each acknowledged last."""
    request = event_pb2.ListEventConsumersRequest()
    show(gateway, lambda client: _table(client.each(client.events.ListEventConsumers, request)))


@events.command("forget-consumer")
@click.argument("name")
@gateway_option
def forget_consumer(name: str, gateway: str) -> None:
    """Forget a consumer and how far it has come: tenants/TENANT/eventConsumers/NAME."""
    asked(gateway, lambda client: client.events.DeleteEventConsumer(event_pb2.DeleteEventConsumerRequest(name=name)))
    click.echo(f"forgot {printable(name)}")


def _table(found: Iterable[event_pb2.EventConsumer]) -> Table:
    table = new_table("consumer", "created", "acknowledged")
    for one in found:
        table.add_row(printable(one.name), time_of(one, "create_time"), time_of(one, "acknowledge_time"))
    return table
