"""`cloudspan webhooks`: the URLs that a tenant's events are sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudspan.cli import filters
from cloudspan.cli.connection import asked, gateway_option, show
from cloudspan.cli.names import parent
from cloudspan.cli.tables import new_table, printable, time_of
from cloudspan.v1 import session_pb2, webhook_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from cloudspan.client import Client

State = webhook_pb2.Webhook.State

_name = click.argument("name")


@click.group()
def webhooks() -> None:
    """Manage the URLs that events are sent to.

    NAME is a webhook's resource name, tenants/TENANT/webhooks/ID, as `list` prints it, or its ID in the tenant.
    """


def _full(client: Client, name: str) -> str:
    if "/" in name:
        return name
    # Where nobody is asked who he is, a session has no tenant, and what belongs to nobody is of `default`.
    tenant = parent() or client.sessions.GetSession(session_pb2.GetSessionRequest()).tenant or "tenants/default"
    return f"{tenant}/webhooks/{name}"


@webhooks.command("list")
@gateway_option
def list_webhooks(gateway: str) -> None:
    """Show the webhooks of the tenant, and what became of the last attempt."""
    request = webhook_pb2.ListWebhooksRequest()
    show(gateway, lambda client: _table(client.each(client.webhooks.ListWebhooks, request)))


@webhooks.command()
@click.argument("webhook_id", metavar="ID")
@click.argument("url")
@click.option("--filter", "own", default="", help="Which events: 'type : \"operation.\"'; all without.")
@click.option("--display-name", default="", help="A name for people.")
@gateway_option
def create(webhook_id: str, url: str, *, own: str, display_name: str, gateway: str) -> None:
    """Send events to URL from now on. Prints the secret that signatures are verified with, once."""
    row = webhook_pb2.Webhook(url=url, filter=own, display_name=display_name)
    request = webhook_pb2.CreateWebhookRequest(webhook_id=webhook_id, webhook=row)
    made = asked(gateway, lambda client: client.webhooks.CreateWebhook(request))
    click.echo(f"created {printable(made.name)}\nsecret  {printable(made.secret)}")


@webhooks.command("new-secret")
@_name
@gateway_option
def new_secret(name: str, gateway: str) -> None:
    """Give a webhook another secret and print it, once; for a day both sign."""

    def change(client: Client) -> webhook_pb2.Webhook:
        request = webhook_pb2.UpdateWebhookRequest(webhook=webhook_pb2.Webhook(name=_full(client, name)))
        request.update_mask.paths.append("secret")
        return client.webhooks.UpdateWebhook(request)

    click.echo(f"secret  {printable(asked(gateway, change).secret)}")


@webhooks.command()
@_name
@gateway_option
def test(name: str, gateway: str) -> None:
    """Send one event of the type webhook.test now; exit code 1 when it was not received."""

    def send(client: Client) -> webhook_pb2.Webhook.Attempt:
        return client.webhooks.TestWebhook(webhook_pb2.TestWebhookRequest(name=_full(client, name))).attempt

    attempt = asked(gateway, send)
    if attempt.error:
        raise click.ClickException(printable(f"not received: {attempt.error}"))
    click.echo(f"received, HTTP {attempt.status}")


@webhooks.command()
@_name
@click.option(
    "--since", default="", callback=filters.point_in_time, help="Send again what happened since: 12h, a time."
)
@gateway_option
def replay(name: str, since: str, gateway: str) -> None:
    """Go on with a dead webhook, or send events again."""

    def send_again(client: Client) -> Table:
        request = webhook_pb2.ReplayWebhookRequest(name=_full(client, name))
        if since:
            request.from_time.FromJsonString(since)
        return _table([client.webhooks.ReplayWebhook(request)])

    show(gateway, send_again)


@webhooks.command()
@_name
@gateway_option
def disable(name: str, gateway: str) -> None:
    """Send nothing to a webhook until it is enabled."""
    show(gateway, lambda client: _table([_set_disabled(client, name, disabled=True)]))


@webhooks.command()
@_name
@gateway_option
def enable(name: str, gateway: str) -> None:
    """Send events again, those since it was disabled too."""
    show(gateway, lambda client: _table([_set_disabled(client, name, disabled=False)]))


def _set_disabled(client: Client, name: str, *, disabled: bool) -> webhook_pb2.Webhook:
    row = webhook_pb2.Webhook(name=_full(client, name), disabled=disabled)
    request = webhook_pb2.UpdateWebhookRequest(webhook=row)
    request.update_mask.paths.append("disabled")
    return client.webhooks.UpdateWebhook(request)


@webhooks.command()
@_name
@gateway_option
def delete(name: str, gateway: str) -> None:
    """Delete a webhook: nothing more is sent."""

    def forget(client: Client) -> str:
        request = webhook_pb2.DeleteWebhookRequest(name=_full(client, name))
        client.webhooks.DeleteWebhook(request)
        return request.name

    click.echo(f"deleted {printable(asked(gateway, forget))}")


def _table(found: Iterable[webhook_pb2.Webhook]) -> Table:
    table = new_table("webhook", "state", "url", "last attempt", "")
    for one in found:
        attempt = one.last_attempt
        result = attempt.error or (f"HTTP {attempt.status}" if attempt.status else "-")
        state = State.Name(one.state).removeprefix("STATE_")
        table.add_row(*map(printable, (one.name, state, one.url, time_of(attempt, "time"), result)))
    return table
