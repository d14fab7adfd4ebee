"""The list of commands: at once there, whole, and in the documents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from cloudspan.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[3]
OWN = [name for name, command in COMMANDS.items() if command.module]
PROGRAM = """
import sys
from cloudspan.cli.main import cli
cli(["--help"], standalone_mode=False)
print([name for name in ("grpc", "google.protobuf", "rich", "yaml", "cloudspan.client") if name in sys.modules])
"""


def test_help_imports_no_command():
    """Neither gRPC nor rich: it takes 0.1 s."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert [name for name in OWN if f"  {name} " not in done.stdout] == []


@pytest.mark.parametrize("name", OWN)
def test_each_command_is_there_with_help_and_takes_a_gateway(name):
    """Those of groups too."""
    context = click.Context(cli)
    for command in _commands(cli.get_command(context, name)):
        assert command.help, command.name
        assert {"--gateway", "--tenant", "--token-file"} <= {opt for param in command.params for opt in param.opts}


def _commands(command):
    if not isinstance(command, click.Group):
        return [command]
    return [found for each in command.commands.values() for found in _commands(each)]


def test_each_command_is_in_the_operators_document():
    """In the table of the command line."""
    text = (ROOT / "docs" / "operating.md").read_text()
    table = text.partition("## Command line")[2].partition("## Options")[0]
    assert [name for name in COMMANDS if f"`{name}" not in table and f", `{name}`" not in table] == []
