"""`cloudspan up` as a command: the command line finds it by its entry point."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from cloudspan_common.errors import CloudspanError
from cloudspan_common.service import run_service
from cloudspan_gateway.demo import demo, folder, plan


@click.command()
@click.option(
    "--port-base",
    type=click.IntRange(1024, plan.MAX_BASE),
    default=plan.DEFAULT_BASE,
    show_default=True,
    help="The gateway's port; all other ports lie within 22 above it.",
)
@click.option("--no-seed", is_flag=True, help="Start with empty clouds.")
@click.option("--fresh", is_flag=True, help="Forget the operations of earlier starts; they are kept otherwise.")
@click.option("--auth", is_flag=True, help="Have the gateway ask callers who they are, and log an administrator in.")
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="Folder of this demo's files; .state/demo-PORT_BASE of the checkout if not given, "
    "~/.local/state/cloudspan/demo-PORT_BASE without one.",
)
def up(port_base: int, *, no_seed: bool, fresh: bool, auth: bool, state: Path | None) -> None:
    """Start a gateway, three adapters and three fake clouds here, until Ctrl-C."""
    os.umask(0o077)  # what it and its children write holds credentials
    try:
        state = state or folder.default_folder(port_base)
        with folder.held(state) as lock:
            options = plan.Options(seed=not no_seed, fresh=fresh, auth=auth, id_seed=secrets.token_hex(8))
            planned = plan.demo(state, port_base, options)
            run_service(lambda stop: demo.up(planned, stop, options, inherited=(lock,)))
    except CloudspanError as error:
        raise click.ClickException(error.message) from error
