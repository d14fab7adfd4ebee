"""The commands of `cloudspan` by name. A command's module is imported when the command runs: `--help` is at once there.

Other distributions add commands by an entry point of the group `cloudspan.commands`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib import metadata

import click

GROUP = "cloudspan.commands"


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command is, and what the list of commands says of it."""

    help: str
    module: str = ""
    """Empty for a command of another distribution."""
    distribution: str = ""
    """What to install for it."""
    function: str = ""
    """Its function, where that can't have the command's name."""


_CLUSTERS, _OPERATIONS = "cloudspan.cli.clusters", "cloudspan.cli.operations"
_INVENTORY, _FOLLOW = "cloudspan.cli.inventory.search", "cloudspan.cli.inventory.follow"
_RESOURCES = "cloudspan.cli.inventory.resources"
_SESSIONS, _TENANTS = "cloudspan.cli.callers.sessions", "cloudspan.cli.callers.tenants"
COMMANDS = {
    "abandon": Command("End an operation that can't continue.", _OPERATIONS),
    "audit": Command("Show who did what, and verify that nobody changed it.", "cloudspan.cli.callers.audit"),
    "bootstrap": Command("Create the first administrator of an installation.", _SESSIONS),
    "cancel": Command("Cancel an operation and show how it ended.", _OPERATIONS),
    "capabilities": Command("Show what each platform can do, as a Markdown table.", _CLUSTERS),
    "check": Command("Check a cluster's health, stage by stage.", _CLUSTERS),
    "clusters": Command("Show the clusters and their state.", _CLUSTERS),
    "events": Command("Show what has happened, and follow it.", "cloudspan.cli.events"),
    "explain": Command("Show an operation's stages and its calls to the platform.", _OPERATIONS),
    "find": Command("Find resources by name, address, label or id, on all clusters.", _INVENTORY),
    "get": Command("Show a resource.", _RESOURCES),
    "list": Command("List resources of a kind.", _RESOURCES, function="list_resources"),
    "login": Command("Log in, and keep the session for the commands that follow.", _SESSIONS),
    "logout": Command("End the session.", _SESSIONS),
    "new-adapter": Command("Make a new adapter that runs as it stands.", distribution="cloudspan-kit"),
    "operations": Command("Show the newest operations.", _OPERATIONS),
    "orphans": Command("Find resources that operations left behind, and delete them.", _OPERATIONS),
    "platforms": Command("Show the platforms and their adapter instances.", _CLUSTERS),
    "policy": Command("Manage roles and who has them.", "cloudspan.cli.callers.policy"),
    "pools": Command("Manage the pools of a tenant: clusters under one name.", _TENANTS),
    "sessions": Command("Show and end sessions.", _SESSIONS),
    "sync": Command("Read clusters into the inventory now, or show how fresh it is.", _INVENTORY),
    "tenants": Command("Manage tenants and what they may use.", _TENANTS),
    "top": Command("Show what there is and what it uses, live.", _FOLLOW),
    "up": Command("Start a demo here: gateway, adapters, fake clouds.", distribution="cloudspan-gateway[demo]"),
    "users": Command("Manage users, their passwords and one-time codes.", "cloudspan.cli.callers.users"),
    "watch": Command("Show changes of resources as they happen.", _FOLLOW),
    "webhooks": Command("Manage the URLs that events are sent to.", "cloudspan.cli.webhooks"),
    "whoami": Command("Show who the gateway takes you for.", _SESSIONS),
}


class Commands(click.Group):
    """A group that imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, those of other distributions too."""
        return sorted({*COMMANDS, *metadata.entry_points(group=GROUP).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        known = COMMANDS.get(cmd_name)
        if known and known.module:
            command = getattr(importlib.import_module(known.module), known.function or cmd_name)
        else:
            found = metadata.entry_points(group=GROUP, name=cmd_name)
            if not found:
                return _missing(cmd_name, known.distribution) if known else None
            command = next(iter(found)).load()
        assert isinstance(command, click.Command)  # noqa: S101 - what an entry point of this group is
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        rows = [(name, COMMANDS[name].help if name in COMMANDS else "") for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _missing(name: str, distribution: str) -> click.Command:
    """Return a command that says what to install."""

    def refuse() -> None:
        raise click.ClickException(f"`cloudspan {name}` is part of another package; pip install '{distribution}'")

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=refuse, context_settings=settings, help=COMMANDS[name].help)


@click.group(cls=Commands)
def cli() -> None:
    """One gRPC API over many private clouds."""
