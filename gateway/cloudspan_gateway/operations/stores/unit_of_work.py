"""The operations that one transaction touches, as its changes so far left them.

Filled and changed by `batch`. Where this process alone writes to the database, rows that it wrote itself are not read
again (`Database.memo`).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import CloudspanError
from cloudspan_gateway.operations.stores import rows
from cloudspan_gateway.operations.stores.base import not_there
from cloudspan_gateway.operations.stores.statements import statements
from cloudspan_gateway.storage.engine import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import Connection, Select

    from cloudspan_gateway.operations.model import Intent, Row
    from cloudspan_gateway.storage.cipher import Cipher
    from cloudspan_gateway.storage.engine import Database


class UnitOfWork:
    """Rows by id, and by what else they are looked for."""

    def __init__(self, conn: Connection, database: Database, cipher: Cipher) -> None:
        self._conn = conn
        self._shared = database.shared
        self._memo = database.memo
        self._say = statements(database.shared)
        self._cipher = cipher
        self._rows: dict[str, Row | CloudspanError] = {}
        self._by_request: dict[str, str] = {}
        self._by_name: defaultdict[str, set[str]] = defaultdict(set)
        self._behind: defaultdict[str, set[str]] = defaultdict(set)

    # -------------------------------------------------------------- filling it

    def find(self, request_keys: Collection[str], names: Collection[str]) -> Iterable[str]:
        """Return the ids of operations with these request keys, and of those under way on these resources."""
        if not names:
            return self._conn.execute(self._say.ids_of_requests, self._values(request_keys)).scalars()
        if self._shared:
            self._lock(names)
        values = {**self._values(request_keys), "names": listed(names, self._shared)}
        return self._conn.execute(self._say.ids_of_conflicts, values).scalars()

    def load(self, ids: Collection[str]) -> None:
        """Take the operations of these ids in."""
        missing = []
        for operation_id in ids:
            if (row := self._memo.get(operation_id)) is not None:
                self.put(row)
            else:
                missing.append(operation_id)
        self._take(self._say.by_ids, missing)

    def load_behind(self, ids: Collection[str]) -> None:
        """Take in the operations that queue behind these, other than those that are in already."""
        self._take(self._say.behind, ids)

    def _take(self, asked: Select[Any], values: Collection[str]) -> None:
        if not values:
            return
        for record in self._conn.execute(asked, self._values(values)):
            if record.id in self._rows:
                continue
            try:
                self.put(self._memo.get(record.id) or rows.to_row(record, self._cipher))
            except CloudspanError as error:
                self._rows[record.id] = error
                self._by_request[record.request_id] = record.id

    def _values(self, values: Collection[str]) -> dict[str, Any]:
        return {"values_": listed(values, self._shared)}

    def _lock(self, names: Collection[str]) -> None:
        """Let one gateway at a time judge about a resource: two could each accept what the other's forbids."""
        keys = sorted({int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True) for name in names})
        self._conn.execute(self._say.lock, {"keys": keys})

    # -------------------------------------------------------------- what is in it

    def __contains__(self, operation_id: str) -> bool:
        return operation_id in self._rows

    def row(self, operation_id: str) -> Row:
        """Return an operation; NotFound if there is none, or what is wrong with it."""
        found = self._rows.get(operation_id)
        if found is None:
            raise not_there(operation_id)
        if isinstance(found, CloudspanError):
            raise found
        return found

    def of_request(self, intent: Intent) -> Row | None:
        """Return the operation that a request became; under the bare `request_id` only one of its own tenant."""
        for key in intent.request_keys:
            known = self._by_request.get(key)
            row = self.row(known) if known is not None else None
            if row is not None and (key == intent.request_key or row.intent.tenant == intent.tenant):
                return row
        return None

    def conflicting(self, names: Iterable[str]) -> list[Row]:
        """Return the operations under way that work on or name one of these resources."""
        ids = {found for name in names for found in self._by_name.get(name, ())}
        met = [self.row(operation_id) for operation_id in ids]
        return [row for row in met if not row.done and {row.resource, *row.intent.also}.intersection(names)]

    def behind(self, operation_id: str) -> list[Row]:
        """Return the operations that queue behind one."""
        queued = [self.row(found) for found in self._behind.get(operation_id, ())]
        return [row for row in queued if row.waits_for == operation_id]

    def put(self, row: Row) -> None:
        """Take a row in, in place of what was known of its operation."""
        key = row.intent.id
        self._rows[key] = row
        self._by_request[row.intent.request_key] = key
        if row.resource:
            self._by_name[row.resource].add(key)
        for name in row.intent.also:
            self._by_name[name].add(key)
        if row.waits_for:
            self._behind[row.waits_for].add(key)
