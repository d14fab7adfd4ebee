"""`cloudspan up` as a command: the command line finds it by its entry point."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cloudspan_common.errors import CloudspanError
from cloudspan_common.service import run_service
from cloudspan_gateway.demo import demo, plan


@click.command()
@click.option(
    "--port-base",
    type=click.IntRange(1024, plan.MAX_BASE),
    default=plan.DEFAULT_BASE,
    show_default=True,
    help="The gateway's port; all other ports lie within 22 above it.",
)
@click.option("--no-seed", is_flag=True, help="Start with empty clouds.")
@click.option(
    "--state", type=click.Path(path_type=Path), default=Path(".state"), show_default=True, help="Where files are kept."
)
def up(port_base: int, *, no_seed: bool, state: Path) -> None:
    """Start a gateway, three adapters and three fake clouds here, until Ctrl-C."""
    os.umask(0o077)  # what it and its children write holds credentials
    planned = plan.demo(state, port_base, seed=not no_seed)
    try:
        run_service(lambda stop: demo.up(planned, stop, seed=not no_seed))
    except CloudspanError as error:
        raise click.ClickException(error.message) from error
