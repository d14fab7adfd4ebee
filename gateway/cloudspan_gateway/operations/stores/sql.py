"""Keeps operations in a database: SQLite for one gateway, PostgreSQL for many.

Opened by the composition root with `open_store`. Writes queue at a `Writer`, which commits what came together in one
transaction (`batch`); reads go beside them. Whoever waits is woken by the writes themselves (`notifier`), those of
other gateways included. Decisions: ADR 7.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from sqlalchemy import select, text, true

from cloudspan_common.clock import Clock, SystemClock, finished
from cloudspan_common.errors import CloudspanError
from cloudspan_gateway.audit.chain import Chain
from cloudspan_gateway.operations import model
from cloudspan_gateway.operations.stores import rows
from cloudspan_gateway.operations.stores.base import Claim, Ended, Wanted, check_same, not_there
from cloudspan_gateway.operations.stores.batch import Batch
from cloudspan_gateway.operations.stores.commands import (
    Accept,
    Change,
    Command,
    Effects,
    Forget,
    Leave,
    Purge,
    Release,
    Renew,
    Take,
)
from cloudspan_gateway.operations.stores.memory import LEASE_S, MemoryStore
from cloudspan_gateway.operations.stores.notifier import Notifier
from cloudspan_gateway.operations.stores.statements import under_way
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.storage.engine import among, listed, open_database
from cloudspan_gateway.storage.leases import Leases
from cloudspan_gateway.storage.tables import explanations, operations
from cloudspan_gateway.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from google.protobuf import any_pb2
    from google.rpc import status_pb2
    from sqlalchemy import Connection, Select

    from cloudspan_gateway.access.limits import OperationLimit
    from cloudspan_gateway.audit.event import Event
    from cloudspan_gateway.audit.store import AuditStore
    from cloudspan_gateway.operations.model import Intent, Progress, Row
    from cloudspan_gateway.operations.stores.base import OperationStore
    from cloudspan_gateway.outbox.event import OutboxEvent
    from cloudspan_gateway.storage.cipher import Cipher

log = structlog.get_logger(__name__)

T = TypeVar("T")
_SOON_S = 0.01
# What was just accepted is answered before it is claimed: on one loop the claim would hold the answer up.
_ANSWERS_FIRST_S = 0.002
_ROUNDED_S = 0.001  # callers see times in milliseconds
_IDS_A_MESSAGE = 150  # PostgreSQL carries less than 8 000 bytes


async def open_store(
    url: str, cipher: Cipher, clock: Clock | None = None, lease_s: float = LEASE_S, audit: AuditStore | None = None
) -> OperationStore:
    """Open the store at `memory:`, `sqlite:PATH` or `postgresql://...`.

    It works on the database of `audit`, which somebody else closes, or opens one of its own. Operations of `memory:`
    are lost with the process, so they pass no database.

    Raises:
        InvalidRequest: Another form.
        PreconditionFailed: Another gateway has the SQLite file.
        Unreachable: The database does not answer.
    """
    if url == "memory:":
        return MemoryStore(clock, lease_s, audit.keep if audit else None, _teller(audit) if audit else None)
    if audit is not None:
        return SqlStore(audit.chain, cipher, clock, lease_s)
    return SqlStore(Chain(await open_database(url, clock)), cipher, clock, lease_s, owns_database=True)


def _teller(audit: AuditStore) -> Callable[[Sequence[OutboxEvent]], Awaitable[None]]:
    database = audit.chain.database

    async def tell(happened: Sequence[OutboxEvent]) -> None:
        await database.transact(lambda conn: outbox.append(conn, database, happened))

    return tell


class SqlStore:
    """Keeps operations in a database; its claims are its own, also beside others on the same database."""

    def __init__(
        self,
        chain: Chain,
        cipher: Cipher,
        clock: Clock | None = None,
        lease_s: float = LEASE_S,
        *,
        owns_database: bool = False,
    ) -> None:
        """Keep operations in the database of a chain, and their events in the chain."""
        self._chain = chain
        self._database = database = chain.database
        self._cipher = cipher
        self._clock = clock or SystemClock()
        self._owns_database = owns_database
        self._leases = Leases(database, self._clock, lease_s)
        self._notifier = Notifier(self._read_shown, self._clock)
        self._writer: Writer[Command, Any] = Writer(database, self._apply, self._tell)
        self._kept = Effects()
        self._unreadable: set[str] = set()
        self._work = asyncio.Event()
        self._work.set()  # what earlier processes left
        self._unsubscribe = database.subscribe(self._heard)

    def __repr__(self) -> str:
        return f"<SqlStore {self._leases.owner} on {self._database!r}: {self._writer!r}, {self._notifier!r}>"

    # -------------------------------------------------------------- writes

    async def accept(self, intent: Intent, event: Event | None = None, limits: Sequence[OperationLimit] = ()) -> Row:
        return await self._write(Accept(intent, self._clock.now(), event, limits))

    async def claim(self, limit: int) -> Sequence[tuple[Claim, Row]]:
        await asyncio.sleep(_ANSWERS_FIRST_S)
        self._work.clear()
        taking = asyncio.ensure_future(self._write(Take(limit, self._unreadable)))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            # Nobody would drive what was claimed for this caller, and the lease is renewed for all alike.
            await self._write(Release(tuple(claim for claim, _ in await taking)))
            raise

    async def heartbeat(self) -> None:
        await self._write(Renew())

    async def release(self, claims: Sequence[Claim]) -> None:
        await self._write(Release(tuple(claims)))

    async def begin_attempt(self, claim: Claim) -> Row:
        return await self._write(Change(claim.id, model.attempted, claim.epoch))

    async def advance(self, claim: Claim, progress: Progress, explained: bytes = b"") -> Row:
        now = self._clock.now()
        return await self._write(
            Change(claim.id, lambda row: model.advanced(row, progress, now), claim.epoch, explained)
        )

    async def note(self, claim: Claim, progress: Progress, explained: bytes = b"", *, sent: bool = True) -> Row:
        now = self._clock.now()
        return await self._write(
            Change(claim.id, lambda row: model.noted(row, progress, now, sent=sent), claim.epoch, explained)
        )

    async def finish(
        self, claim: Claim, progress: Progress, outcome: any_pb2.Any | status_pb2.Status, explained: bytes = b""
    ) -> Row:
        now = self._clock.now()
        return await self._write(
            Change(claim.id, lambda row: model.finished(row, progress, outcome, now), claim.epoch, explained, ends=True)
        )

    async def end(
        self, operation_id: str, progress: Progress, outcome: status_pb2.Status, event: Event | None = None
    ) -> Row:
        now = self._clock.now()
        return await self._write(
            Change(
                operation_id,
                lambda row: row if row.done else model.finished(row, progress, outcome, now),
                ends=True,
                event=event,
            )
        )

    async def request_cancel(self, operation_id: str, event: Event | None = None) -> Row:
        now = self._clock.now()
        return await self._write(Change(operation_id, lambda row: model.cancelled(row, now), event=event))

    async def reveal(self, operation_id: str) -> Row:
        return await self._write(Change(operation_id, model.revealed, tells_before=True))

    async def delete(self, operation_id: str, event: Event | None = None) -> None:
        await self._write(Forget(operation_id, event))

    async def purge(self, ended_before: float, limit: int) -> int:
        return await self._write(Purge(ended_before, limit))

    async def _write(self, command: Command) -> Any:
        return await self._writer.write(command)

    # -------------------------------------------------------------- within and after a transaction

    def _apply(self, conn: Connection, commands: Sequence[Command]) -> list[Any]:
        batch = Batch(conn, self._database, self._cipher, self._leases)
        answers = batch.run(commands)
        self._kept = kept = batch.kept
        for message in _messages(self._leases.owner, kept):
            self._database.announce(conn, message)
        self._chain.append(conn, kept.events)
        outbox.append(conn, self._database, kept.happened)
        return answers

    def _tell(self, commands: Sequence[Command], answers: Sequence[Any]) -> None:
        self._notifier.tell(self._kept.changed.values(), self._kept.gone)
        if self._kept.work:
            self._work.set()

    def _heard(self, message: str | None) -> None:
        """Another store on this database wrote, or some that it wrote may have been missed."""
        if message is None:
            self._notifier.reread()
            self._work.set()
            return
        owner, work, ids = message.split("|")
        if owner == self._leases.owner:
            return
        self._notifier.reread(ids.split(","))
        if work:
            self._work.set()

    # -------------------------------------------------------------- reads

    async def known(self, intent: Intent) -> Row | None:
        c = operations.c
        mine = (c.tenant == intent.tenant) if intent.caller else true()
        found = await self._read(_ALL.where(c.request_id.in_(intent.request_keys), mine))
        if not found:
            return None
        check_same(found[0], intent)
        return found[0]

    async def under_way(self, tenant: str) -> Mapping[str, int]:
        counted = await self._database.read(lambda conn: under_way(conn, [tenant], shared=self._database.shared))
        return {cluster: count for (_, cluster), count in counted.items()}

    async def get(self, operation_id: str) -> Row:
        found = await self._read(_ALL.where(operations.c.id == operation_id))
        if not found:
            raise not_there(operation_id)
        return found[0]

    async def find(self, operation_ids: Sequence[str]) -> Sequence[Row]:
        found = {row.intent.id: row for row in await self._read_shown(operation_ids)}
        return [found[one] for one in operation_ids if one in found]

    async def ended(self, tenant: str | None, since: float, limit: int) -> Sequence[Ended]:
        c = operations.c
        asked = select(c.cluster, c.method, c.resource, c.also, c.end_time, c.code)
        asked = asked.where(text("end_time IS NOT NULL"), c.end_time >= since)  # the index has no others
        if tenant is not None:
            asked = asked.where(c.tenant == tenant)
        asked = asked.order_by(c.end_time.desc()).limit(limit)
        return await self._database.read(lambda conn: [rows.to_ended(one) for one in conn.execute(asked)])

    async def preempted_by(self, operation_id: str) -> Sequence[Row]:
        given_way = text("end_time IS NULL AND preempted_by <> ''")
        return await self._read(_ALL.where(given_way, operations.c.preempted_by == operation_id))

    async def explained(self, operation_id: str) -> bytes:
        c = operations.c
        joined = operations.outerjoin(explanations, explanations.c.operation_id == c.id)
        asked = select(c.id, explanations.c.explained).select_from(joined).where(c.id == operation_id)
        found = await self._database.read(lambda conn: conn.execute(asked).first())
        if found is None:
            raise not_there(operation_id)
        return self._cipher.open(found.explained, operation_id, "explained") if found.explained else b""

    async def page(self, limit: int, before: int | None = None, wanted: Wanted | None = None) -> Sequence[Row]:
        asked = _fitting(_ALL, wanted or Wanted())
        if before is not None:
            asked = asked.where(operations.c.sequence < before)
        asked = asked.order_by(operations.c.sequence.desc()).limit(limit)
        return await self._database.read(lambda conn: [self._shown(one) for one in conn.execute(asked)], long=True)

    async def _read_shown(self, operation_ids: Sequence[str]) -> Sequence[Row]:
        shared = self._database.shared
        asked, values = _ALL.where(among(operations.c.id, "ids", shared)), {"ids": listed(operation_ids, shared)}
        return await self._database.read(lambda conn: [self._shown(one) for one in conn.execute(asked, values)])

    def _shown(self, record: Any) -> Row:
        return rows.to_shown_row(record, self._cipher)

    async def _read(self, asked: Select[Any]) -> Sequence[Row]:
        return await self._database.read(lambda conn: [rows.to_row(one, self._cipher) for one in conn.execute(asked)])

    # -------------------------------------------------------------- waiting

    async def changed(self, operation_id: str, revision: int) -> Row:
        return await self._notifier.changed(operation_id, revision)

    async def work(self) -> None:
        wanted = asyncio.ensure_future(self._work.wait())
        try:
            while (first := self._leases.first_end) is None or first > self._clock.monotonic():
                pause = None if first is None else max(_SOON_S, first - self._clock.monotonic())
                if await finished(self._clock, wanted, pause):
                    return
        finally:
            wanted.cancel()

    async def close(self) -> None:
        if self._writer.closed:
            return
        self._unsubscribe()
        await self._notifier.close()
        try:
            await self._write(Leave())
        except CloudspanError as error:
            log.warning("claims not released: others wait for the end of their lease", reason=error.reason)
        finally:
            await self._writer.close()
            if self._owns_database:
                await self._database.close()


_ALL = select(*rows.COLUMNS)


def _fitting(asked: Select[Any], wanted: Wanted) -> Select[Any]:
    """Narrow a select to what is wanted."""
    c = operations.c
    for column in ("cluster", "method", "resource", "tenant", "caller"):
        if value := getattr(wanted, column):
            asked = asked.where(c[column] == value)
    for column in ("code", "reason"):
        if value := getattr(wanted, column):
            asked = asked.where((c[column] == value) | (c.code == ""))
    for column, since in (("create_time", wanted.created_since), ("end_time", wanted.ended_since)):
        if since is not None:
            asked = asked.where(c[column] >= since - _ROUNDED_S)
    if wanted.resource:
        asked = asked.where(text("resource <> ''"))
    if wanted.done is not None:
        asked = asked.where(text(f"end_time IS {'NOT ' if wanted.done else ''}NULL"))
    return asked


def _messages(owner: str, kept: Effects) -> list[str]:
    """Return what other stores are to hear of a batch: which operations changed, and whether there is work."""
    ids = [*kept.changed, *kept.gone]
    parts = [ids[at : at + _IDS_A_MESSAGE] for at in range(0, len(ids), _IDS_A_MESSAGE)]
    if kept.work and not parts:
        parts = [[]]
    return [f"{owner}|{'work' if kept.work and not at else ''}|{','.join(part)}" for at, part in enumerate(parts)]
