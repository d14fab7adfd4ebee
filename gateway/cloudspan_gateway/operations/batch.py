"""One transaction's worth of changes to operations: loads what they touch, applies them in order, writes the rows back.

`SqlStore` hands its writer the jobs below; `Batch` runs in the transaction, on whatever thread that has. What a change
does to a row stands in `model`, and who gives way to whom in `rivals`: pure functions, so a batch may run twice.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, text, union, update

from cloudspan_common.errors import CloudspanError
from cloudspan_gateway.operations import model, rows
from cloudspan_gateway.operations.claims import Claims
from cloudspan_gateway.operations.jobs import Accept, Change, Forget, Kept
from cloudspan_gateway.operations.model import Row
from cloudspan_gateway.operations.rivals import judge, names_of
from cloudspan_gateway.operations.store import Fenced, check_same, not_ended, not_there
from cloudspan_gateway.storage.engine import among, listed
from cloudspan_gateway.storage.tables import explanations, operation_names, operations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import Connection, TextClause

    from cloudspan_gateway.operations.jobs import Job
    from cloudspan_gateway.storage.cipher import Cipher
    from cloudspan_gateway.storage.engine import Database
    from cloudspan_gateway.storage.leases import Leases

_NEWER_THAN_ALL = 2**62  # the place of what this batch accepts, until the database gives it its own


class Batch:
    """The jobs of one transaction."""

    def __init__(self, conn: Connection, database: Database, cipher: Cipher, leases: Leases) -> None:
        self.kept = Kept()
        self._conn = conn
        self._database = database
        self._cipher = cipher
        self._claims = Claims(conn, database, cipher, leases, self.kept)
        self._view: dict[str, Row | CloudspanError] = {}  # what is touched, as the jobs so far left it
        self._by_request: dict[str, str] = {}
        self._accepted: dict[str, Row] = {}
        self._altered: dict[str, Row] = {}
        self._ended: dict[str, Row] = {}
        self._explained: dict[str, bytes] = {}

    def run(self, jobs: Sequence[Job]) -> list[Any]:
        """Return each job's answer, or the error that it alone ends with."""
        self._load(jobs)
        answers: list[Any] = [self._tried(job) for job in jobs]
        self._write_back()
        for place, (job, answer) in enumerate(zip(jobs, answers, strict=True)):
            if isinstance(job, Accept) and isinstance(answer, Row):
                answers[place] = self._numbered(answer)
            elif not isinstance(job, Accept | Change) and not isinstance(answer, Exception):
                # What works on many rows at once comes after the changes are in the tables.
                answers[place] = self._claims.run(job)
        return answers

    def _tried(self, job: Job) -> Any:
        try:
            if isinstance(job, Accept):
                return self._accept(job)
            if isinstance(job, Change):
                return self._change(job)
            return self._check_ended(self._row(job.id)) if isinstance(job, Forget) else None
        except (CloudspanError, Fenced) as error:
            return error

    def _check_ended(self, row: Row) -> None:
        if not row.done:
            raise not_ended(row)

    # -------------------------------------------------------------- what they touch

    def _load(self, jobs: Sequence[Job]) -> None:
        ids = {job.id for job in jobs if isinstance(job, Change | Forget)}
        intents = [job.intent for job in jobs if isinstance(job, Accept)]
        names = sorted({name for intent in intents for name in names_of(intent)})
        if self._database.shared and names:
            self._lock(names)
        if intents:
            ids.update(self._touched([intent.request_id for intent in intents], names))
        self._view_of(operations.c.id, ids)
        ending = [job.id for job in jobs if isinstance(job, Change) and job.ends]
        self._view_of(operations.c.waits_for, ending, text("waits_for <> ''"))

    def _lock(self, names: Sequence[str]) -> None:
        """Let one gateway at a time judge about a resource: two could each accept what the other's forbids."""
        keys = sorted({int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True) for name in names})
        self._conn.execute(
            text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) k"), {"keys": keys}
        )

    def _touched(self, request_ids: Sequence[str], names: Sequence[str]) -> Iterable[str]:
        c = operations.c
        asked = [select(c.id).where(among(c.request_id, "requests", self._conn))]
        if names:
            asked += [
                select(c.id).where(
                    c.end_time.is_(None), text("resource <> ''"), among(c.resource, "names", self._conn)
                ),
                select(operation_names.c.operation_id).where(among(operation_names.c.name, "names", self._conn)),
            ]
        values = {
            "requests": listed(self._conn, request_ids),
            **({"names": listed(self._conn, names)} if names else {}),
        }
        return self._conn.execute(union(*asked) if names else asked[0], values).scalars()

    def _view_of(self, column: Any, values: Collection[str], *which: TextClause) -> None:
        if not values:
            return
        found = select(*rows.COLUMNS).where(among(column, "values", self._conn), *which).order_by(operations.c.id)
        if self._database.shared:
            found = found.with_for_update()
        for record in self._conn.execute(found, {"values": listed(self._conn, values)}):
            try:
                self._view[record.id] = rows.to_row(record, self._cipher)
            except CloudspanError as error:
                self._view[record.id] = error
            self._by_request[record.request_id] = record.id

    # -------------------------------------------------------------- one after the other

    def _row(self, operation_id: str) -> Row:
        found = self._view.get(operation_id)
        if found is None:
            raise not_there(operation_id)
        if isinstance(found, CloudspanError):
            raise found
        return found

    def _accept(self, job: Accept) -> Row:
        intent = job.intent
        known = self._by_request.get(intent.request_id)
        if known is not None:
            check_same(row := self._row(known), intent)
            return row
        verdict = judge(intent, self._rivals(names_of(intent)))
        place = _NEWER_THAN_ALL + len(self._accepted)
        row = Row(intent, create_time=job.now, update_time=job.now, sequence=place, waits_for=verdict.waits_for)
        self._view[intent.id] = self._accepted[intent.id] = row
        self._by_request[intent.request_id] = intent.id
        self.kept.work |= not row.waits_for
        for other in verdict.preempts:
            self._put(self._row(other), model.cancelled(self._row(other), job.now, preempted_by=intent.id))
        return row

    def _rivals(self, names: Collection[str]) -> list[Row]:
        wanted = set(names)
        open_rows = [row for row in self._view.values() if isinstance(row, Row) and not row.done] if wanted else []
        return [row for row in open_rows if row.resource in wanted or wanted & set(row.intent.also)]

    def _change(self, job: Change) -> Row:
        if job.epoch is not None and job.id not in self._view:
            raise Fenced(job.id)
        before = self._row(job.id)
        if job.epoch is not None and before.epoch != job.epoch:
            raise Fenced(job.id)
        after = job.to(before)
        if job.explained:
            self._explained[job.id] = job.explained
        self._put(before, after)
        if after.done and not before.done:
            self._free(job.id, after.update_time)
        return before if job.tells_before else after

    def _put(self, before: Row, after: Row) -> None:
        if after is before:
            return
        key = after.intent.id
        self._view[key] = after
        if key in self._accepted:
            self._accepted[key] = after
        elif after.done:
            self._ended[key] = after
            self._altered.pop(key, None)
        else:
            self._altered[key] = after
        if after.revision > before.revision:
            self.kept.changed[key] = after
        self.kept.work |= bool(before.waits_for) and not after.waits_for and not after.done

    def _free(self, ended: str, now: float) -> None:
        for row in [row for row in self._view.values() if isinstance(row, Row) and row.waits_for == ended]:
            self._put(row, model.freed(row, now))

    # -------------------------------------------------------------- back into the tables

    def _write_back(self) -> None:
        if self._accepted:
            self._insert()
        for group, columns in ((self._altered, rows.of_progress), (self._ended, rows.of_end)):
            if group:
                values = [{"key": key, **columns(row, self._cipher)} for key, row in group.items()]
                changed = update(operations).where(operations.c.id == bindparam("key"))
                self._conn.execute(changed, values)
        if self._ended:
            gone = operation_names.delete().where(among(operation_names.c.operation_id, "ended", self._conn))
            self._conn.execute(gone, {"ended": listed(self._conn, self._ended)})
        if self._explained:
            self._explain()

    def _insert(self) -> None:
        fresh = [rows.of_intent(row, self._cipher) for row in self._accepted.values()]
        given = operations.insert().returning(operations.c.id, operations.c.sequence)
        for key, sequence in self._conn.execute(given, fresh):
            self._accepted[key] = dataclasses.replace(self._accepted[key], sequence=sequence)
        named = [
            {"operation_id": key, "name": name}
            for key, row in self._accepted.items()
            for name in dict.fromkeys(row.intent.also)
        ]
        if named:
            self._conn.execute(operation_names.insert(), named)

    def _explain(self) -> None:
        old = explanations.delete().where(among(explanations.c.operation_id, "told", self._conn))
        self._conn.execute(old, {"told": listed(self._conn, self._explained)})
        sealed = [
            {"operation_id": key, "explained": self._cipher.seal(told, key, "explained")}
            for key, told in self._explained.items()
        ]
        self._conn.execute(explanations.insert(), sealed)

    def _numbered(self, row: Row) -> Row:
        given = self._accepted.get(row.intent.id)
        return dataclasses.replace(row, sequence=given.sequence) if given else row
