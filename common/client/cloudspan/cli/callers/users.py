"""`cloudspan users`: who can log in, their passwords and one-time codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudspan.cli.callers import tables
from cloudspan.cli.connection import asked, gateway_option, show
from cloudspan.cli.names import named, parent, short
from cloudspan.cli.prompts import asking, one_time_code, password_stdin_option
from cloudspan.cli.tables import printable
from cloudspan.v1 import session_pb2, user_pb2

if TYPE_CHECKING:
    from cloudspan.client import Client


def _user_name(_context: click.Context, _param: click.Parameter, text: str) -> str:
    return named("users", text) if text else ""


_user = click.argument("name", metavar="USER", callback=_user_name)


@click.group()
def users() -> None:
    """Manage users, their passwords and one-time codes."""


@users.command("list")
@gateway_option
def list_users(gateway: str) -> None:
    """Show the users of the tenant."""
    show(gateway, lambda client: tables.users(client.each(client.users.ListUsers, user_pb2.ListUsersRequest())))


@users.command()
@_user
@click.option("--display-name", default="", help="A name for people.")
@password_stdin_option
@gateway_option
def create(name: str, display_name: str, *, password_stdin: bool, gateway: str) -> None:
    """Create a user of the tenant, who has no role until `cloudspan policy grant` gives one.

    Asks for the password: 12 to 1024 characters.
    """
    password = asking(password_stdin=password_stdin)("Password of the user", confirm=True)
    user = user_pb2.User(display_name=display_name, tenant=parent())
    request = user_pb2.CreateUserRequest(user_id=short(name), user=user, password=password)
    show(gateway, lambda client: tables.users([client.users.CreateUser(request)]))


@users.command()
@_user
@gateway_option
def disable(name: str, gateway: str) -> None:
    """Keep a user from logging in, and end its sessions."""
    _set_disabled(gateway, name, disabled=True)


@users.command()
@_user
@gateway_option
def enable(name: str, gateway: str) -> None:
    """Let a user log in again."""
    _set_disabled(gateway, name, disabled=False)


def _set_disabled(gateway: str, name: str, *, disabled: bool) -> None:
    request = user_pb2.UpdateUserRequest(user=user_pb2.User(name=name, disabled=disabled))
    request.update_mask.paths.append("disabled")
    show(gateway, lambda client: tables.users([client.users.UpdateUser(request)]))


@users.command()
@_user
@gateway_option
def delete(name: str, gateway: str) -> None:
    """Delete a user with its sessions and roles."""
    asked(gateway, lambda client: client.users.DeleteUser(user_pb2.DeleteUserRequest(name=name)))
    click.echo(f"deleted {name}")


@users.command("set-password")
@click.argument("name", metavar="[USER]", default="", callback=_user_name)
@password_stdin_option
@gateway_option
def set_password(name: str, *, password_stdin: bool, gateway: str) -> None:
    """Set your own password, or that of USER, for administrators: that ends the user's other sessions.

    For your own the present one is asked for first.
    """
    ask = asking(password_stdin=password_stdin)
    present = "" if name else ask("Present password")
    new = ask("New password", confirm=True)

    def change(client: Client) -> str:
        whose = name or _caller(client)
        request = user_pb2.SetPasswordRequest(name=whose, password=present, new_password=new)
        client.users.SetPassword(request)
        return whose

    click.echo(f"{printable(asked(gateway, change))} has the new password")


@users.group("one-time-codes")
def one_time_codes() -> None:
    """Set up, confirm and remove one-time codes (TOTP)."""


@one_time_codes.command("set-up")
@password_stdin_option
@gateway_option
def set_up(*, password_stdin: bool, gateway: str) -> None:
    """Show the secret for your authenticator; nothing changes before `confirm`.

    Asks for your password, and for a current code if you have one-time codes already.
    """
    password = asking(password_stdin=password_stdin)("Password")
    code = "" if password_stdin else one_time_code("Current one-time code")

    def begin(client: Client) -> user_pb2.SetUpOneTimeCodesResponse:
        request = user_pb2.SetUpOneTimeCodesRequest(name=_caller(client), password=password, one_time_code=code)
        return client.users.SetUpOneTimeCodes(request)

    made = asked(gateway, begin)
    click.echo(f"secret  {printable(made.secret)}\nuri     {printable(made.uri)}")
    click.echo("add it to your authenticator, then: cloudspan users one-time-codes confirm", err=True)


@one_time_codes.command()
@click.option("--code", prompt="One-time code of the new secret", help="A current code; asked for if not given.")
@gateway_option
def confirm(code: str, gateway: str) -> None:
    """End the set-up with a code of the new secret, and show recovery codes, once."""

    def end(client: Client) -> user_pb2.ConfirmOneTimeCodesResponse:
        request = user_pb2.ConfirmOneTimeCodesRequest(name=_caller(client), one_time_code=code.strip())
        return client.users.ConfirmOneTimeCodes(request)

    made = asked(gateway, end)
    click.echo("\n".join(map(printable, made.recovery_codes)))
    click.echo("each logs you in once in place of a one-time code; they are not shown again", err=True)


@one_time_codes.command()
@_user
@gateway_option
def remove(name: str, gateway: str) -> None:
    """Remove a user's one-time codes and recovery codes, for administrators: when both are lost."""
    request = user_pb2.RemoveOneTimeCodesRequest(name=name)
    asked(gateway, lambda client: client.users.RemoveOneTimeCodes(request))
    click.echo(f"{name} logs in without one-time codes")


def _caller(client: Client) -> str:
    """Return the name of the user who calls.

    Raises:
        click.ClickException: The caller is a service, a certificate or nobody.
    """
    subject = client.sessions.GetSession(session_pb2.GetSessionRequest()).subject
    if not subject.startswith("users/"):
        raise click.ClickException(printable(f"you are {subject or 'nobody known'}, not a user with a password"))
    return subject
