"""How commands get secrets: asked for without showing them, or read from stdin; never from the command line.

Arguments of a command are in the shell's history, and every user of the machine sees them in `ps`.
"""

from __future__ import annotations

import sys
from typing import Protocol

import click


class Ask(Protocol):
    """Returns a secret: `ask("Password")`."""

    def __call__(self, what: str, *, confirm: bool = False) -> str:
        """Return it; `confirm` has it typed twice."""


password_stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read what would be asked for from stdin, a line each, in that order."
)


def asking(*, password_stdin: bool) -> Ask:
    """Return what asks for a secret at the terminal, or takes the next line of stdin."""
    return _next_line if password_stdin else _prompt


def _prompt(what: str, *, confirm: bool = False) -> str:
    return str(click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True))


def _next_line(what: str, *, confirm: bool = False) -> str:  # noqa: ARG001 - nobody mistypes a file
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.UsageError(f"stdin has no line for: {what}")
    return line


def one_time_code(what: str) -> str:
    """Ask for a one-time code; empty for none."""
    return str(
        click.prompt(f"{what} (empty for none)", default="", show_default=False, hide_input=True, err=True)
    ).strip()
