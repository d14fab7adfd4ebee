"""`cloudspan login`, `logout`, `whoami`, `sessions`, `bootstrap`: who is calling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudspan.cli import session_file
from cloudspan.cli.callers import tables
from cloudspan.cli.connection import (
    asked,
    asked_without_credentials,
    display,
    errors_for_people,
    gateway_option,
    show,
    stored_session,
)
from cloudspan.cli.names import named, short, subject
from cloudspan.cli.prompts import asking, one_time_code, password_stdin_option
from cloudspan.cli.tables import printable
from cloudspan.client import Unauthenticated
from cloudspan.v1 import session_pb2, user_pb2

if TYPE_CHECKING:
    from cloudspan.client import Client


@click.command()
@click.argument("user", default="")
@click.option("--code", default=None, help="A one-time code, or a recovery code; asked for if not given.")
@password_stdin_option
@gateway_option
def login(user: str, code: str | None, *, password_stdin: bool, gateway: str) -> None:
    """Log in, and keep the session for the commands that follow, until it ends or `cloudspan logout`.

    USER is asked for if not given. The session is kept for this gateway in ~/.config/cloudspan/sessions.json, which
    only you can read.
    """
    user = user or click.prompt("User", err=True)
    password = asking(password_stdin=password_stdin)("Password")
    if code is None:
        code = "" if password_stdin else one_time_code("One-time code")
    request = session_pb2.CreateSessionRequest(user=user, password=password, one_time_code=code)
    made = asked_without_credentials(gateway, lambda client: client.sessions.CreateSession(request))
    with errors_for_people():
        session_file.save(gateway, session_file.StoredSession(made.name, made.subject, made.token))
    display(tables.session(made))


@click.command()
@gateway_option
def logout(gateway: str) -> None:
    """End the session, at the gateway and here."""
    stored = stored_session(gateway)
    if stored is None:
        raise click.ClickException(f"nobody is logged in at {gateway} from here")

    def end_it(client: Client) -> str:
        try:
            client.sessions.DeleteSession(session_pb2.DeleteSessionRequest(name=stored.name))
        except Unauthenticated:
            return "whose session had ended already"
        return "whose session has ended"

    ended = asked(gateway, end_it)
    with errors_for_people():
        session_file.remove(gateway)
    click.echo(printable(f"logged out {stored.subject}, {ended}"))


@click.command()
@gateway_option
def whoami(gateway: str) -> None:
    """Show who the gateway takes you for: caller, tenant, roles, and when the session ends."""
    show(gateway, lambda client: tables.session(client.sessions.GetSession(session_pb2.GetSessionRequest())))


@click.group()
def sessions() -> None:
    """Show and end the sessions of the tenant's users and services."""


@sessions.command("list")
@click.option("--subject", "whose", default="", help="Only those of this caller: alice, services/billing.")
@gateway_option
def list_sessions(whose: str, gateway: str) -> None:
    """Show sessions, the newest first."""
    request = session_pb2.ListSessionsRequest(subject=subject(whose))
    show(gateway, lambda client: tables.sessions(client.each(client.sessions.ListSessions, request)))


@sessions.command()
@click.argument("name", metavar="SESSION")
@gateway_option
def end(name: str, gateway: str) -> None:
    """End a session, yours or another's: whoever has it must log in again."""
    name = named("sessions", name)
    asked(gateway, lambda client: client.sessions.DeleteSession(session_pb2.DeleteSessionRequest(name=name)))
    click.echo(f"ended {name}")


@click.command()
@click.argument("user")
@password_stdin_option
@gateway_option
def bootstrap(user: str, *, password_stdin: bool, gateway: str) -> None:
    """Create the first administrator of an installation.

    Asks for the token that the gateway printed at its first start, and for a password: 12 to 1024 characters.
    """
    ask = asking(password_stdin=password_stdin)
    token, password = ask("Token that the gateway printed").strip(), ask("Password", confirm=True)
    request = user_pb2.BootstrapAdministratorRequest(token=token, user_id=short(user), password=password)
    made = asked_without_credentials(gateway, lambda client: client.users.BootstrapAdministrator(request))
    click.echo(printable(f"{made.name} may administer this installation; next: cloudspan login {short(made.name)}"))
