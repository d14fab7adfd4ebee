"""How the command line asks a gateway: its options, one connection a command, errors as one line for people."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.tree import Tree

from cloudspan_common.client import DEFAULT_ADDRESS, Client
from cloudspan_common.errors import CloudspanError
from cloudspan_common.grpcs import Tls
from cloudspan_common.names import ClusterRef, is_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from rich.table import Table

_TLS = "https://"
_UNBROKEN = 2_000

gateway_option = click.option(
    "--gateway",
    default=DEFAULT_ADDRESS,
    envvar="CLOUDSPAN_GATEWAY",
    show_default=True,
    show_envvar=True,
    help="host:port of the gateway to ask; https://host:port with CLOUDSPAN_TLS_AUTHORITY, _CERTIFICATE and _KEY.",
)


def cluster_name(_context: click.Context, _param: click.Parameter, text: str) -> str:
    """Return the resource name of the cluster that an argument names."""
    platform, _, cluster = text.partition("/")
    if not (is_tag(platform) and is_tag(cluster)):
        raise click.BadParameter(f"{text!r} is no cluster; expected PLATFORM/CLUSTER such as openstack/alpha")
    return str(ClusterRef(platform, cluster))


def show(gateway: str, ask: Callable[[Client], Coroutine[Any, Any, Table | Tree]]) -> None:
    """Print what `ask` makes of the gateway's answers."""
    display(asked(gateway, ask))


def display(shown: Table | Tree) -> None:
    """Print a table as wide as the terminal, a tree as wide as it is: its names are there to be pasted."""
    Console(width=_UNBROKEN if isinstance(shown, Tree) else None).print(shown)


def asked(gateway: str, ask: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    """Return what `ask` returns; an error becomes one line on stderr and exit code 1."""

    async def asking() -> Any:
        async with _client(gateway) as cloud:
            return await ask(cloud)

    with errors_for_people():
        return asyncio.run(asking())


def _client(gateway: str) -> Client:
    if not gateway.startswith(_TLS):
        return Client(gateway)
    named = (os.environ.get(f"CLOUDSPAN_TLS_{what}") for what in ("CERTIFICATE", "KEY", "AUTHORITY"))
    return Client(gateway.removeprefix(_TLS), tls=Tls(*(Path(path) if path else None for path in named)))


class errors_for_people:  # noqa: N801 - reads as a statement where it is used
    """Turn a domain error into one line on stderr and exit code 1."""

    def __enter__(self) -> None:
        """Nothing to set up."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, CloudspanError):
            raise click.ClickException(error.message) from error
