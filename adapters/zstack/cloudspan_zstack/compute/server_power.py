"""Starting, stopping and rebooting: each asked once, its job followed, and judged by the server where that is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import GaveUp, PreconditionFailed
from cloudspan_zstack.cloud.error_rules import LostJob
from cloudspan_zstack.cloud.jobs import Change, Job
from cloudspan_zstack.cloud.source import session_of
from cloudspan_zstack.compute.server_rows import PASSING, server_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_kit import Call, Operation
    from cloudspan_zstack.compute.server_rows import ServerRow

STOPPED = frozenset({"Stopped", "Created"})
RUNNING = frozenset({"Running"})


def _refuse(row: ServerRow, action: str) -> None:
    if row.state in ("Paused", "Pausing") and action == "startVmInstance":
        text = f"server {row.uuid} is {row.state}, which Start does not end; only a stopped server can be started"
        raise PreconditionFailed(text, reason="WRONG_STATE")


async def check(call: Call, action: str) -> None:
    """Refuse before anything is sent what would be refused then, as for a server that is not there."""
    _refuse(await server_row(call, call.id), action)


async def power(
    op: Operation, action: str, step: str, done: frozenset[str], params: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Ask for an action unless its end is reached or near; return the job to follow, if there is one."""
    row = await server_row(op.call, op.call.id)
    if row.state in done:
        return {}
    _refuse(row, action)
    args = {"uuid": op.call.id}
    change = Change("PUT", "/vm-instances/{uuid}/actions", args, action=action, params=params or {})
    return (await session_of(op.call).send(op.call, change, job=op.marker(step))).kept()


async def settled(call: Call, kept: Mapping[str, Any], wanted: frozenset[str], name: str) -> str | None:
    """Return the wanted state that is reached; a job that is lost or never ends is judged by it."""
    row = await server_row(call, call.id)
    if row.state in wanted:
        return row.state
    if not await ended(call, kept, row, name) or row.state in PASSING:
        return None
    row = await server_row(call, call.id)
    if row.state in wanted:
        return row.state
    if row.state in PASSING:
        return None
    text = f"{name} was to be {' or '.join(sorted(wanted))} and is {row.state}; look at it before asking again"
    raise GaveUp(text, reason="WRONG_END_STATE", resource=name)


async def look(call: Call) -> dict[str, Any]:
    return {"changed": (await server_row(call, call.id)).last_op_date or ""}


async def rebooted(call: Call, kept: Mapping[str, Any], before: Mapping[str, Any], name: str) -> str | None:
    """Only the job tells, since the state is the same before and after; without it the date of the last change."""
    try:
        done = await session_of(call).follow(call, Job.of(kept))
    except LostJob as error:
        row = await server_row(call, call.id)
        if row.state == "Running" and (row.last_op_date or "") != before["changed"]:
            return row.state
        if row.state in PASSING:
            return None
        raise _lost(name, row, error) from error
    return await settled(call, {}, RUNNING, name) if done else None


async def ended(call: Call, kept: Mapping[str, Any], row: ServerRow, name: str) -> bool:
    """Whether a job has ended; one that is lost goes on while its server passes.

    Raises:
        GaveUp: It is lost, and its server stands still.
    """
    try:
        return await session_of(call).follow(call, Job.of(kept))
    except LostJob as error:
        if row.state in PASSING:
            return False
        raise _lost(name, row, error) from error


def _lost(name: str, row: ServerRow, error: LostJob) -> GaveUp:
    text = f"ZStack lost the job on {name}, which is {row.state} now; look whether it was carried out"
    return GaveUp(text, reason=error.reason, metadata=error.metadata, resource=name)
