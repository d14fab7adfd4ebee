"""`cloudspan audit`: who did what, who deleted something, and whether the chain of events is whole."""

from __future__ import annotations

import heapq
import itertools
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloudspan.cli import filters
from cloudspan.cli.callers import audit_chain, tables
from cloudspan.cli.callers.audit_chain import Broken, Head, Verified
from cloudspan.cli.connection import (
    act_over_all_tenants,
    all_tenants_option,
    asked,
    errors_for_people,
    gateway_option,
    show,
)
from cloudspan.cli.names import subject as subject_name
from cloudspan.cli.tables import printable, time_of
from cloudspan.v1 import audit_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudspan.client import Client

# Events of one page: an event of callers' longest texts takes 48 KB, and an answer holds 16 MB.
_MOST = 200
_DELETES = 20  # of one resource that are looked at
_TYPES = [name.removeprefix("TYPE_") for name in audit_pb2.AuditEvent.Type.keys()[1:]]


@click.group()
def audit() -> None:
    """Show who did what, and verify that nobody changed it.

    It is read by administrators of the tenant; those of the installation read that of all tenants.
    """


@audit.command("list")
@click.option("--resource", default="", help="Only what was done to this resource, by its name.")
@click.option("--subject", default="", help="Only what this caller did: alice, services/billing.")
@click.option("--type", "kind", type=click.Choice(_TYPES, case_sensitive=False), help="Only events of this type.")
@click.option("--operation", default="", help="Only the events of this operation.")
@click.option("--failed", is_flag=True, help="Only what did not end with OK.")
@filters.since_option
@click.option("--filter", "own", default="", help="AIP-160 filter over AuditEvent: 'method : \"/Delete\"'.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Show at most this many.")
@all_tenants_option
@gateway_option
def list_events(gateway: str, limit: int, **wanted: Any) -> None:
    """Show events, the newest first."""
    request = audit_pb2.ListAuditEventsRequest(filter=_wanted(**wanted), page_size=min(limit, _MOST))
    show(gateway, lambda client: tables.events(_events(client, request, limit)))


def _wanted(*, failed: bool, since: str, own: str, **fields: str | None) -> str:
    """Return the filter that the options say."""
    kind, operation = fields["kind"], fields["operation"]
    if operation and "/" not in operation:
        operation = f"operations/{operation}"
    conditions = [
        filters.equals("resource", fields["resource"] or ""),
        filters.equals("subject", subject_name(fields["subject"] or "")),
        filters.equals("operation", operation or ""),
        f"type = {kind}" if kind else "",
        f"outcome != {filters.quoted('OK')}" if failed else "",
        filters.since("create_time", since),
    ]
    return filters.all_of(conditions, own)


def _events(
    client: Client, request: audit_pb2.ListAuditEventsRequest, most: int | None = None
) -> Iterable[audit_pb2.AuditEvent]:
    return itertools.islice(client.each(client.audits.ListAuditEvents, request), most)


@audit.command("who-deleted")
@click.argument("name")
@all_tenants_option
@gateway_option
def who_deleted(name: str, gateway: str) -> None:
    """Show who deleted NAME: from where, by what credential, when, and what came of it.

    NAME is a resource's whole name, as lists and errors print it. Exit code 1 when the audit has no Delete of it.
    """
    deletes = filters.all_of(
        [filters.equals("resource", name), "(type = MUTATION OR type = POLICY)", 'method : "/Delete"']
    )

    def ask(client: Client) -> str:
        accepted = _found(client, f'{deletes} AND outcome = "OK"', _DELETES)
        if not accepted:
            return _nobody(name, _found(client, deletes, _DELETES))
        pairs = [(event, _end_of(client, event)) for event in accepted]
        # Of several that were accepted the one that took effect; else the newest.
        event, ended = next((pair for pair in pairs if _succeeded(pair[1])), pairs[0])
        return "\n".join(_deleted(_first_of(client, event), ended))

    click.echo(asked(gateway, ask))


def _found(client: Client, wanted: str, most: int) -> list[audit_pb2.AuditEvent]:
    return list(_events(client, audit_pb2.ListAuditEventsRequest(filter=wanted, page_size=most), most))


def _end_of(client: Client, accepted: audit_pb2.AuditEvent) -> audit_pb2.AuditEvent | None:
    """Return the event that says how a Delete ended, itself if it became no operation; None while that goes on."""
    if not accepted.operation:
        return accepted
    wanted = filters.all_of(["type = OPERATION_ENDED", filters.equals("operation", accepted.operation)])
    return next(iter(_found(client, wanted, 1)), None)


def _first_of(client: Client, accepted: audit_pb2.AuditEvent) -> audit_pb2.AuditEvent:
    """Return the event of who asked first: the same request sent again is accepted again, with the same operation."""
    if not accepted.operation:
        return accepted
    wanted = filters.all_of(["type = MUTATION", filters.equals("operation", accepted.operation), 'outcome = "OK"'])
    request = audit_pb2.ListAuditEventsRequest(filter=wanted, page_size=1, oldest_first=True)
    return next(iter(_events(client, request, 1)), accepted)


def _succeeded(ended: audit_pb2.AuditEvent | None) -> bool:
    return ended is not None and ended.outcome == "OK"


def _nobody(name: str, attempts: list[audit_pb2.AuditEvent]) -> str:
    """Say that nobody deleted it, and whether somebody tried to."""
    tried = f"; attempts failed, see: cloudspan audit list --resource {name}" if attempts else ""
    elsewhere = "it may have been deleted in the cloud itself, or by another tenant (--all-tenants)"
    raise click.ClickException(printable(f"the audit has no Delete of {name} that was accepted{tried}; {elsewhere}"))


def _deleted(accepted: audit_pb2.AuditEvent, ended: audit_pb2.AuditEvent | None) -> Iterator[str]:
    verb = "deleted" if _succeeded(ended) else "asked to delete"
    yield printable(f"{tables.who(accepted)} {verb} {accepted.resource} at {time_of(accepted, 'create_time')}")
    yield printable(f"  method      {accepted.method}")
    yield printable(f"  from        {accepted.peer}")
    yield printable(f"  credential  {accepted.credential or 'none: this gateway authenticates nobody'}")
    yield printable(f"  request     {accepted.request_id}")
    if accepted.operation:
        yield printable(f"  operation   {accepted.operation}")
    yield printable(f"  outcome     {_outcome(ended)}")


def _outcome(ended: audit_pb2.AuditEvent | None) -> str:
    if ended is None:
        return "not ended yet"
    failure = f" {ended.reason}: {ended.message}" if ended.outcome != "OK" else ""
    return f"{ended.outcome}{failure} at {time_of(ended, 'create_time')}"


@audit.command()
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines that gateways wrote (--audit-log), in place of asking one; one of each, where there are several.",
)
@click.option("--from", "sequence", type=click.IntRange(min=1), help="Sequence of an event that was verified before.")
@click.option("--hash", "hash_", default="", help="The hash that it had then.")
@gateway_option
def verify(gateway: str, files: tuple[Path, ...], sequence: int | None, hash_: str) -> None:
    """Recompute the chain of hashes over all events; exit code 1 at the first place where it is broken.

    Prints its head. Keep that where nobody of the gateway can write, and give it as --from and --hash the next time:
    then it also shows when the newest events were taken away. Needs an administrator of the installation, since the
    chain goes over all tenants whatever --tenant says.
    """
    if (sequence is None) == bool(hash_):
        raise click.UsageError("--from and --hash go together, as the verification before printed them")
    start = Head(sequence, hash_.lower()) if sequence else None
    try:
        found = _of_files(files, start) if files else _of_gateway(gateway, start)
    except Broken as error:
        raise click.ClickException(printable(f"the chain is broken: {error}")) from error
    if not found.events:
        click.echo("the audit is empty")
        return
    events = "1 event" if found.events == 1 else f"{found.events} events"
    click.echo(f"verified {events}, the chain is whole")
    click.echo(f"head: --from {found.head.sequence} --hash {found.head.hash}")


def _of_gateway(gateway: str, start: Head | None) -> Verified:
    act_over_all_tenants()
    request = audit_pb2.ListAuditEventsRequest(page_size=_MOST, oldest_first=True)
    if start:
        request.filter = f"sequence >= {start.sequence}"
    return asked(gateway, lambda client: audit_chain.verify(_events(client, request), start))


def _of_files(files: tuple[Path, ...], start: Head | None) -> Verified:
    with errors_for_people(), _opened(files) as sources:
        merged = heapq.merge(*sources, key=lambda event: event.sequence)
        first = start.sequence if start else 0
        return audit_chain.verify((event for event in merged if event.sequence >= first), start)


@contextmanager
def _opened(files: tuple[Path, ...]) -> Iterator[list[Iterator[audit_pb2.AuditEvent]]]:
    with ExitStack() as stack:
        opened = [stack.enter_context(file.open("rb")) for file in files]
        yield [audit_chain.from_lines(lines, str(file)) for lines, file in zip(opened, files, strict=True)]
