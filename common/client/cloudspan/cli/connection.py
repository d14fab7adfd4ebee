"""How the command line asks a gateway: its options, one connection a command, errors as one line for people."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from rich.console import Console
from rich.tree import Tree

from cloudspan.client import DEFAULT_ADDRESS, Client, CloudspanError, Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.table import Table

AnswerT = TypeVar("AnswerT")
CommandT = TypeVar("CommandT", bound="Callable[..., object] | click.Command")

_TLS = "https://"
_UNBROKEN = 2_000
_CLUSTER = re.compile(r"([a-z][a-z0-9-]{0,38})/([a-z][a-z0-9-]{0,38})")
_NAME = re.compile(r"platforms/([a-z][a-z0-9-]{0,38})/clusters/([a-z][a-z0-9-]{0,38})")

_GATEWAY_OPTION = click.option(
    "--gateway",
    default=DEFAULT_ADDRESS,
    envvar="CLOUDSPAN_GATEWAY",
    show_default=True,
    show_envvar=True,
    help="host:port of the gateway to ask; https://host:port for TLS.",
)


def _tls_option(what: str, text: str) -> Callable[[CommandT], CommandT]:
    """An option for one of the files, named as on gateway and adapters; `_client` reads it from the context."""

    def keep(context: click.Context, _param: click.Parameter, path: Path | None) -> None:
        context.meta[f"{__name__}.{what}"] = path

    return click.option(
        f"--tls-{what}",
        type=click.Path(path_type=Path),
        envvar=f"CLOUDSPAN_TLS_{what.upper()}",
        show_envvar=True,
        expose_value=False,
        callback=keep,
        help=text,
    )


_TLS_OPTIONS = (
    _tls_option(
        "authority", "PEM file of the authority that signs the gateway's certificate; the system's if not given."
    ),
    _tls_option("certificate", "PEM file of the certificate that the gateway is shown."),
    _tls_option("key", "PEM file of the certificate's key."),
)


def gateway_option(command: CommandT) -> CommandT:
    """Give a command `--gateway` and the files for TLS."""
    for add in (*reversed(_TLS_OPTIONS), _GATEWAY_OPTION):
        command = add(command)
    return command


def cluster_name(_context: click.Context, _param: click.Parameter, text: str) -> str:
    """Return the resource name of the cluster that an argument names: openstack/alpha, or its resource name."""
    tags = _CLUSTER.fullmatch(text) or _NAME.fullmatch(text)
    if tags is None:
        raise click.BadParameter(f"{text!r} is not a cluster name; expected PLATFORM/CLUSTER such as openstack/alpha")
    return f"platforms/{tags[1]}/clusters/{tags[2]}"


def show(gateway: str, ask: Callable[[Client], Table | Tree]) -> None:
    """Print what `ask` makes of the gateway's answers."""
    display(asked(gateway, ask))


def display(shown: Table | Tree) -> None:
    """Print a table as wide as the terminal, a tree as wide as it is: its names are there to be pasted."""
    Console(width=_UNBROKEN if isinstance(shown, Tree) else None).print(shown)


def asked(gateway: str, ask: Callable[[Client], AnswerT]) -> AnswerT:
    """Return what `ask` returns; an error becomes one line on stderr and exit code 1."""
    with errors_for_people(), _client(gateway) as client:
        return ask(client)


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Turn an error of a call, or of a file that it needs, into one line on stderr and exit code 1."""
    try:
        yield
    except CloudspanError as error:
        raise click.ClickException(error.message) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error


def _client(gateway: str) -> Client:
    if not gateway.startswith(_TLS):
        return Client(gateway)
    meta = click.get_current_context().meta
    tls = Tls(**{what: meta[f"{__name__}.{what}"] for what in ("authority", "certificate", "key")})
    try:
        return Client(gateway.removeprefix(_TLS), tls=tls)
    except ValueError as error:
        raise click.ClickException(f"{error}; name both with --tls-certificate and --tls-key") from error
