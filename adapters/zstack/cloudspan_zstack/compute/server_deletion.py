"""How a server goes: destroyed first, which keeps it recoverable for days, and expunged where nothing shall be left.

`server_changes` deletes with it; `server_create` undoes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.errors import RateLimited
from cloudspan_zstack.cloud.creation import Kind
from cloudspan_zstack.cloud.session import Change
from cloudspan_zstack.compute.server_rows import ServerRow

if TYPE_CHECKING:
    from cloudspan_kit import Call, Operation
    from cloudspan_zstack.compute.servers import ServerReader

LEAVING = frozenset({"Destroying", "Destroyed", "Expunging"})


def destroying(uuid: str) -> Change:
    return Change("DELETE", "/vm-instances/{uuid}", {"uuid": uuid})


def expunging(uuid: str) -> Change:
    return Change("PUT", "/vm-instances/{uuid}/actions", {"uuid": uuid}, action="expungeVmInstance")


SERVER = Kind("/vm-instances", ServerRow, "servers", gone=lambda row: row.state == "Destroyed")


async def undo_server(reader: ServerReader, op: Operation, uuid: str, step: str) -> None:
    """Undo the create of `step`: nothing is left, not even what could be recovered.

    A delete that overtook the create's job would find nothing, and leave what the job makes after it.
    """
    row = await reader.row_or_none(op.call, uuid)
    if row is None and not await reader.session.is_over(op.call, op.marker(step)):
        raise RateLimited(f"server {uuid} is still being made", reason="STILL_BUSY", retry_after_s=1.0)
    await erase_server(reader, op.call, uuid, (op.marker("undo-server"), op.marker("undo-expunge")))


async def erase_server(reader: ServerReader, call: Call, uuid: str, jobs: tuple[str, str]) -> None:
    """Destroy and expunge a server within the call; `jobs` are the keys of the two changes.

    Raises:
        RateLimited: It is on its way; ask again.
    """
    row = await reader.row_or_none(call, uuid)
    if row is not None and row.state not in LEAVING:
        await reader.session.act(call, destroying(uuid), job=jobs[0])
        row = await reader.row_or_none(call, uuid)
    if row is not None and row.state == "Destroyed":
        await reader.session.act(call, expunging(uuid), job=jobs[1])
        row = await reader.row_or_none(call, uuid)
    if row is not None:
        # As after any "slow down", an undo is asked again.
        raise RateLimited(f"server {uuid} is being deleted", reason="STILL_BUSY", retry_after_s=1.0)
