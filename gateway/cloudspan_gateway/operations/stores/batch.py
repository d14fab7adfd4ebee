"""One transaction's worth of changes to operations: loads what they touch, applies them in order, writes the rows back.

`SqlStore` hands its writer commands; `Batch` runs in the transaction, on whatever thread that has. What a change does
to a row stands in `model`, and who gives way to whom in `conflicts`: pure functions, so a batch may run twice.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import CloudspanError
from cloudspan_gateway.operations import audited, events, model
from cloudspan_gateway.operations.conflicts import judge, names_of
from cloudspan_gateway.operations.model import Row
from cloudspan_gateway.operations.stores import rows
from cloudspan_gateway.operations.stores.base import Fenced, check_same, not_ended
from cloudspan_gateway.operations.stores.claims import Claims
from cloudspan_gateway.operations.stores.commands import Accept, Change, Effects, Forget
from cloudspan_gateway.operations.stores.statements import statements, under_way
from cloudspan_gateway.operations.stores.unit_of_work import UnitOfWork
from cloudspan_gateway.storage.engine import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from cloudspan_gateway.audit.event import Event
    from cloudspan_gateway.operations.stores.commands import Command
    from cloudspan_gateway.storage.cipher import Cipher
    from cloudspan_gateway.storage.engine import Database
    from cloudspan_gateway.storage.leases import Leases

_NEWER_THAN_ALL = 2**62  # the place of what this batch accepts, until the database gives it its own


class Batch:
    """The commands of one transaction."""

    def __init__(self, conn: Connection, database: Database, cipher: Cipher, leases: Leases) -> None:
        self.kept = Effects()
        self._conn = conn
        self._database = database
        self._cipher = cipher
        self._say = statements(database.shared)
        self._unit = UnitOfWork(conn, database, cipher)
        self._claims = Claims(conn, database, cipher, leases, self.kept)
        self._accepted: dict[str, Row] = {}
        self._altered: dict[str, Row] = {}
        self._ended: dict[str, Row] = {}
        self._explained: dict[str, bytes] = {}
        self._under_way: Counter[tuple[str, str]] = Counter()  # by tenant and cluster, of tenants with limits

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """Return each command's answer, or the error that it alone ends with."""
        self._load(commands)
        answers: list[Any] = [self._tried(command) for command in commands]
        self._write_back()
        for place, (command, answer) in enumerate(zip(commands, answers, strict=True)):
            if isinstance(command, Accept) and isinstance(answer, Row):
                answers[place] = self._numbered(answer)
            elif not isinstance(command, Accept | Change) and not isinstance(answer, Exception):
                # What works on many rows at once comes after the changes are in the tables.
                answers[place] = self._claims.run(command)
        return answers

    def _load(self, commands: Sequence[Command]) -> None:
        ids = {command.id for command in commands if isinstance(command, Change | Forget)}
        intents = [command.intent for command in commands if isinstance(command, Accept)]
        if intents:
            names = {name for intent in intents for name in names_of(intent)}
            ids.update(self._unit.find([key for intent in intents for key in intent.request_keys], names))
        if limited := {command.intent.tenant for command in commands if isinstance(command, Accept) and command.limits}:
            self._under_way = under_way(self._conn, limited, shared=self._database.shared)
        self._unit.load(ids)
        self._unit.load_behind([command.id for command in commands if isinstance(command, Change) and command.ends])

    # -------------------------------------------------------------- one after the other

    def _tried(self, command: Command) -> Any:
        try:
            if isinstance(command, Accept):
                return self._accept(command)
            if isinstance(command, Change):
                return self._change(command)
            return self._check_ended(command) if isinstance(command, Forget) else None
        except (CloudspanError, Fenced) as error:
            return error

    def _check_ended(self, command: Forget) -> None:
        row = self._unit.row(command.id)
        if not row.done:
            raise not_ended(row)
        self._record(command.event)

    def _record(self, event: Event | None) -> None:
        if event is not None:
            self.kept.events.append(event)

    def _accept(self, command: Accept) -> Row:
        row = self._accepted_row(command)
        self._record(command.event and audited.accepted(command.event, command.intent, row))
        return row

    def _accepted_row(self, command: Accept) -> Row:
        intent, unit = command.intent, self._unit
        known = unit.of_request(intent)
        if known is not None:
            check_same(known, intent)
            return known
        self._check_limits(command)
        verdict = judge(intent, unit.conflicting(names_of(intent)))
        place = _NEWER_THAN_ALL + len(self._accepted)
        row = Row(intent, create_time=command.now, update_time=command.now, sequence=place, waits_for=verdict.waits_for)
        self._accepted[intent.id] = row
        self._under_way[intent.tenant, str(intent.cluster)] += 1
        unit.put(row)
        self.kept.work |= not row.waits_for
        for other in verdict.preempts:
            self._put(unit.row(other), model.cancelled(unit.row(other), command.now, preempted_by=intent.id))
        return row

    def _check_limits(self, command: Accept) -> None:
        tenant = command.intent.tenant
        mine = {cluster: count for (of, cluster), count in self._under_way.items() if of == tenant}
        for limit in command.limits:
            limit.check(mine)

    def _change(self, command: Change) -> Row:
        if command.epoch is not None and command.id not in self._unit:
            raise Fenced(command.id)
        before = self._unit.row(command.id)
        if command.epoch is not None and before.epoch != command.epoch:
            raise Fenced(command.id)
        after = command.to(before)
        if command.explained:
            self._explained[command.id] = command.explained
        self._put(before, after)
        self._record(command.event)
        if after.done and not before.done:
            self._under_way[after.intent.tenant, str(after.intent.cluster)] -= 1
            self._record(audited.ended(after))
            self.kept.happened.append(events.ended(after))
            for behind in self._unit.behind(command.id):
                self._put(behind, model.freed(behind, after.update_time))
        return before if command.tells_before else after

    def _put(self, before: Row, after: Row) -> None:
        if after is before:
            return
        key = after.intent.id
        self._unit.put(after)
        if key in self._accepted:
            self._accepted[key] = after
        else:
            (self._ended if after.done else self._altered)[key] = after
            if after.revision > before.revision:
                self.kept.changed[key] = after
        self.kept.work |= bool(before.waits_for) and not after.waits_for and not after.done

    # -------------------------------------------------------------- back into the tables

    def _write_back(self) -> None:
        if self._accepted:
            self._insert()
        going_on = [row for key, row in self._altered.items() if key not in self._ended]
        if going_on:
            self._conn.execute(self._say.alter, [self._values(row, rows.of_progress) for row in going_on])
        if self._ended:
            self._conn.execute(self._say.end, [self._values(row, rows.of_end) for row in self._ended.values()])
            self._conn.execute(self._say.unname, self._listed(self._ended))
        if self._explained:
            self._explain()
        memo = self._database.memo
        memo.keep({key: (row, len(row.intent.request)) for key, row in {**self._accepted, **self._altered}.items()})
        memo.forget(self._ended)

    def _values(self, row: Row, columns: Any) -> dict[str, Any]:
        return {"key": row.intent.id, **columns(row, self._cipher)}

    def _listed(self, ids: Collection[str]) -> dict[str, Any]:
        return {"values_": listed(ids, self._database.shared)}

    def _insert(self) -> None:
        fresh = [rows.of_intent(row, self._cipher) for row in self._accepted.values()]
        for key, sequence in self._conn.execute(self._say.insert, fresh):
            self._accepted[key] = dataclasses.replace(self._accepted[key], sequence=sequence)
        named = [
            {"operation_id": key, "name": name}
            for key, row in self._accepted.items()
            for name in dict.fromkeys(row.intent.also)
        ]
        if named:
            self._conn.execute(self._say.name, named)

    def _explain(self) -> None:
        self._conn.execute(self._say.unexplain, self._listed(self._explained))
        sealed = [
            {"operation_id": key, "explained": self._cipher.seal(trace, key, "explained")}
            for key, trace in self._explained.items()
        ]
        self._conn.execute(self._say.explain, sealed)

    def _numbered(self, row: Row) -> Row:
        given = self._accepted.get(row.intent.id)
        return dataclasses.replace(row, sequence=given.sequence) if given else row
