"""How the command line asks a gateway: its options, one connection a command, errors as one line for people."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from cloudspan.cli import session_file
from cloudspan.cli.tables import printable
from cloudspan.client import DEFAULT_ADDRESS, Client, CloudspanError, Tls, Unauthenticated
from cloudspan.client.connection import checked_token, refuse_plain_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AnswerT = TypeVar("AnswerT")
CommandT = TypeVar("CommandT", bound="Callable[..., object] | click.Command")

EVERY_TENANT = "-"
_TLS = "https://"
_TOKEN_VARIABLE = "CLOUDSPAN_TOKEN"  # noqa: S105 - the name of a variable
_UNBROKEN = 2_000
_CLUSTER = re.compile(r"([a-z][a-z0-9-]{0,38})/([a-z][a-z0-9-]{0,38})")
_NAME = re.compile(r"platforms/([a-z][a-z0-9-]{0,38})/clusters/([a-z][a-z0-9-]{0,38})")
_TAG = re.compile(r"[a-z][a-z0-9-]{0,38}|-")
_CLUSTERS = re.compile(rf"(?:platforms/)?({_TAG.pattern})/(?:clusters/)?({_TAG.pattern})")

_GATEWAY_OPTION = click.option(
    "--gateway",
    default=DEFAULT_ADDRESS,
    envvar="CLOUDSPAN_GATEWAY",
    show_default=True,
    show_envvar=True,
    help="host:port of the gateway to ask; https://host:port for TLS.",
)


def _kept_option(name: str, **settings: Any) -> Callable[[CommandT], CommandT]:
    """An option of the connection; `_option` reads it from the context, no command takes it."""
    check = settings.pop("check", None)

    def keep(context: click.Context, _param: click.Parameter, value: Any) -> None:
        context.meta[f"{__name__}.{name}"] = check(value) if check and value else value

    return click.option(f"--{name}", expose_value=False, callback=keep, **settings)


def _variable(name: str) -> dict[str, Any]:
    return {"envvar": f"CLOUDSPAN_{name.upper().replace('-', '_')}", "show_envvar": True}


def _tag_option(name: str, text: str) -> Callable[[CommandT], CommandT]:
    return _kept_option(name, default="", check=_tag(f"{name}s"), help=text, **_variable(name))


def _tag(collection: str) -> Callable[[str], str]:
    """Return what takes `acme` and `tenants/acme` for `acme`."""

    def check(text: str) -> str:
        tag = text.removeprefix(f"{collection}/")
        if not _TAG.fullmatch(tag):
            raise click.BadParameter(f"{text!r} is not a name of {collection}; they have lower-case letters, digits, -")
        return tag

    return check


def _file_option(name: str, text: str) -> Callable[[CommandT], CommandT]:
    return _kept_option(name, type=click.Path(path_type=Path), help=text, **_variable(name))


_OPTIONS = (
    _GATEWAY_OPTION,
    _tag_option("tenant", "The tenant to act in, if you have roles in several."),
    _file_option("token-file", f"File of the token to send; else {_TOKEN_VARIABLE}, else `cloudspan login`'s session."),
    _file_option("tls-authority", "PEM file of the authority that signs the gateway's certificate; else the system's."),
    _file_option("tls-certificate", "PEM file of the certificate that the gateway is shown."),
    _file_option("tls-key", "PEM file of the certificate's key."),
    # Without a variable: CLOUDSPAN_INSECURE opens a gateway to everyone.
    _kept_option("insecure", is_flag=True, help="Send secrets to another machine in plain text."),
)
pool_option = _tag_option("pool", "Only clusters of this pool of the tenant.")


def gateway_option(command: CommandT) -> CommandT:
    """Give a command `--gateway`, the caller's credentials and tenant, and the files for TLS."""
    for add in reversed(_OPTIONS):
        command = add(command)
    return command


def _over_all_tenants(_context: click.Context, _param: click.Parameter, chosen: bool) -> None:
    if chosen:
        act_over_all_tenants()


all_tenants_option = click.option(
    "--all-tenants",
    is_flag=True,
    expose_value=False,
    callback=_over_all_tenants,
    help="Over all tenants, for administrators of the installation; like --tenant -.",
)


def cluster_name(_context: click.Context, _param: click.Parameter, text: str) -> str:
    """Return the resource name of the cluster that an argument names: openstack/alpha, or its resource name."""
    tags = _CLUSTER.fullmatch(text) or _NAME.fullmatch(text)
    if tags is None:
        raise click.BadParameter(f"{text!r} is not a cluster name; expected PLATFORM/CLUSTER such as openstack/alpha")
    return f"platforms/{tags[1]}/clusters/{tags[2]}"


def clusters_name(_context: click.Context, _param: click.Parameter, text: str) -> str:
    """Return the parent that an option or argument names: openstack/alpha, openstack/-; empty, for all, for nothing."""
    tags = _CLUSTERS.fullmatch(text)
    if text and tags is None:
        wanted = "PLATFORM/CLUSTER such as openstack/alpha, or - in place of either for all"
        raise click.BadParameter(f"{text!r} is not a cluster name; expected {wanted}")
    return f"platforms/{tags[1]}/clusters/{tags[2]}" if tags else ""


def chosen_tenant() -> str:
    """Return the id that `--tenant` says, `-` over all tenants; empty without either."""
    return EVERY_TENANT if _option("all-tenants") else str(_option("tenant") or "")


def act_over_all_tenants() -> None:
    """Make the command's calls over all tenants, whatever `--tenant` says."""
    click.get_current_context().meta[f"{__name__}.all-tenants"] = True


def show(gateway: str, ask: Callable[[Client], Table | Tree]) -> None:
    """Print what `ask` makes of the gateway's answers."""
    display(asked(gateway, ask))


def display(shown: Table | Tree) -> None:
    """Print a table as wide as the terminal, a tree as wide as it is: its names are there to be pasted.

    What goes to a file or another program is never broken.
    """
    if isinstance(shown, Tree) and shown.hide_root and not shown.children:
        click.echo("nothing found", err=True)
        return
    fits = isinstance(shown, Table) and sys.stdout.isatty()
    # Names are shown as they are: without emoji for what stands between colons.
    Console(width=None if fits else _UNBROKEN, emoji=False).print(shown)


def asked(gateway: str, ask: Callable[[Client], AnswerT]) -> AnswerT:
    """Return what `ask` returns; an error becomes one line on stderr and exit code 1."""
    with errors_for_people(), _client(gateway, _token(gateway)) as client:
        return ask(client)


def asked_without_credentials(gateway: str, ask: Callable[[Client], AnswerT]) -> AnswerT:
    """Return what `ask` returns, for calls that hold a secret themselves; it is not sent in plain text elsewhere."""
    _refuse_plain_text(gateway, "what you type")
    with errors_for_people(), _client(gateway, "") as client:
        return ask(client)


def stored_session(gateway: str) -> session_file.StoredSession | None:
    """Return the session of `cloudspan login` if it is what calls bring, and not another token."""
    return None if _option("token-file") or os.environ.get(_TOKEN_VARIABLE) else session_file.load(gateway)


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Turn an error of a call, or of a file that it needs, into one line on stderr and exit code 1."""
    try:
        yield
    except Unauthenticated as error:
        raise click.ClickException(printable(error.message + _how_to_log_in(error))) from error
    except CloudspanError as error:
        raise click.ClickException(_not_over_all_tenants(error) or printable(error.message)) from error
    except BrokenPipeError:
        raise  # as of `| head`: click ends without a word
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error


def _how_to_log_in(error: Unauthenticated) -> str:
    known = error.reason == "LOGIN_FAILED" or "cloudspan login" in error.message
    return "" if known else "; run `cloudspan login`"


def _not_over_all_tenants(error: CloudspanError) -> str:
    """Say in the caller's words that `-` was refused, which it has not typed."""
    refused = error.reason == "TENANT_UNKNOWN" and chosen_tenant() == EVERY_TENANT
    return "you have no role in every tenant (tenants/-), as administrators of the installation do" if refused else ""


def _option(name: str) -> Any:
    return click.get_current_context().meta.get(f"{__name__}.{name}")


def _refuse_plain_text(gateway: str, what: str) -> None:
    if gateway.startswith(_TLS) or _option("insecure"):
        return
    try:
        refuse_plain_text(gateway, what)
    except ValueError as error:
        raise click.ClickException(f"{error}: https://{gateway}, or say --insecure") from error


def _token(gateway: str) -> str | Callable[[], str]:
    if _option("token-file"):
        return _token_of_file  # read again when it was refused: it may have been renewed
    if token := os.environ.get(_TOKEN_VARIABLE, "").strip():
        return _checked(token, _TOKEN_VARIABLE)
    stored = session_file.load(gateway)
    return _checked(stored.token, str(session_file.path())) if stored else ""


def _token_of_file() -> str:
    file: Path = _option("token-file")
    try:
        return _checked(file.read_text(encoding="utf-8").strip(), str(file))
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file} holds no token: it is not UTF-8") from error


def _checked(token: str, source: str) -> str:
    try:
        return checked_token(token)
    except ValueError as error:
        raise click.ClickException(f"{source}: {error}") from error


def _client(gateway: str, token: str | Callable[[], str]) -> Client:
    if token:
        _refuse_plain_text(gateway, "your token")
    tls = None
    if gateway.startswith(_TLS):
        tls = Tls(*(_option(f"tls-{what}") for what in ("authority", "certificate", "key")))
    tenant, pool = chosen_tenant(), str(_option("pool") or "")
    try:
        return Client(gateway.removeprefix(_TLS), token=token, tenant=tenant, pool=pool, tls=tls, insecure=True)
    except ValueError as error:  # of Tls
        raise click.ClickException(f"{error}; name both with --tls-certificate and --tls-key") from error
