"""Keeps tenants, pools, roles and bindings in the database; reads them again whenever somebody has changed them.

The composition root has one `PolicyStore` and runs it. Services change policy through `change`; stores that change it
along with rows of their own use `write` within their transaction.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import delete, select, text, update

from cloudspan.v1 import policy_pb2, tenant_pb2
from cloudspan_common.clock import Clock, SystemClock, finished
from cloudspan_common.errors import CloudspanError, PreconditionFailed
from cloudspan_common.logs import get_logger
from cloudspan_gateway.access.policy import Policy, Row
from cloudspan_gateway.storage.tables import bindings, policy_revision, pools, roles, tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection, Table

    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.access.principal import Principal
    from cloudspan_gateway.storage.engine import Database

    KeepEvents = Callable[[Connection, Sequence[Any]], object]
    """Keeps the audit's events, which stand beside this layer, within a transaction."""

T = TypeVar("T")

log = get_logger(__name__)

ANNOUNCEMENT = "policy||"
"""In the form of the operations' store's announcements: gateways of the version before, on the same database, take it
for one of nobody's operations."""
LOOK_AGAIN_S = 0.5
"""How often the revision is compared, should an announcement have been lost."""
# Takes the row's lock on PostgreSQL, so that changes happen one after the other on all gateways.
_NEXT_REVISION = text(
    'INSERT INTO policy_revision ("only", revision) VALUES (1, 1) '
    'ON CONFLICT ("only") DO UPDATE SET revision = policy_revision.revision + 1 RETURNING revision'
)
_REVISION = select(policy_revision.c.revision)
_COLLECTIONS: dict[str, tuple[Table, type[Row], str]] = {
    "tenants": (tenants, tenant_pb2.Tenant, "tenants/{}"),
    "pools": (pools, tenant_pb2.Pool, "tenants/{}/pools/{}"),
    "roles": (roles, policy_pb2.Role, "roles/{}"),
    "bindings": (bindings, policy_pb2.Binding, "tenants/{}/bindings/{}"),
}
"""Where rows are, what they are, and what their keys make their names."""


class Changes(NamedTuple):
    """What a change keeps and deletes, together or not at all."""

    kept: Sequence[Row] = ()
    deleted: Sequence[str] = ()
    """By resource name."""


class PolicyStore:
    """The policy of an installation as this gateway knows it, at most a second old while the database answers."""

    def __init__(self, database: Database, keep: KeepEvents | None = None, clock: Clock | None = None) -> None:
        """Make it; `keep` writes audit events in the transaction of the change that they are of."""
        self.policy = Policy()
        self._database = database
        self._keep = keep
        self._clock = clock or SystemClock()
        self._announced = asyncio.Event()
        self._away = False

    def __repr__(self) -> str:
        return f"<PolicyStore {self.policy!r}{', database away' if self._away else ''}>"

    def access(self, principal: Principal, tenant: str) -> Access:
        """Return what a caller may do now; see `Policy.access`."""
        return self.policy.access(principal, tenant)

    def narrowed(self, access: Access, pool: str) -> Access:
        """Return what a caller may do in one pool; see `Policy.narrowed`."""
        return self.policy.narrowed(access, pool)

    async def load(self) -> None:
        """Read all of it.

        Raises:
            Unreachable: The database does not answer.
        """
        self.policy = await self._database.read(_read, long=True)

    async def run(self) -> None:
        """Follow what this gateway and others change; goes on with what it knows while the database is away."""
        unsubscribe = self._database.subscribe(self._heard)
        try:
            while True:
                await self._refresh()
                announced = asyncio.ensure_future(self._announced.wait())
                try:
                    await finished(self._clock, announced, LOOK_AGAIN_S)
                finally:
                    announced.cancel()
                self._announced.clear()
        finally:
            unsubscribe()

    def _heard(self, message: str | None) -> None:
        if message is None or message.partition("|")[0] == ANNOUNCEMENT.partition("|")[0]:
            self._announced.set()

    async def _refresh(self) -> None:
        try:
            if await self._database.read(_revision) != self.policy.revision:
                await self.load()
                log.debug("policy read", policy=repr(self.policy))
        except CloudspanError as error:
            if not self._away:
                log.warning("policy can't be read; the last one goes on", policy=repr(self.policy), error=error.message)
            self._away = True
            return
        if self._away:
            log.info("policy can be read again", policy=repr(self.policy))
        self._away = False

    async def change(
        self, decide: Callable[[Policy, Connection], tuple[T, Changes]], events: Sequence[Any] = ()
    ) -> tuple[T, bool]:
        """Make a change; return what `decide` answered, and whether the events were kept with it.

        `decide` is handed the policy as it is within the transaction, and may be called more than once. What it raises
        is raised, and nothing is changed.

        Raises:
            PreconditionFailed: LAST_ADMINISTRATOR, nobody would be left who may administer the installation.
            CloudspanError: The database's state; OutcomeUnknown when it was lost during the write.
        """

        def batch(conn: Connection) -> tuple[T, Policy]:
            revision = _next_revision(conn)
            before = self.policy if self.policy.revision == revision - 1 else _rows_as_policy(conn, revision - 1)
            answer, changes = decide(before, conn)
            after = before.changed(revision, *changes)
            check_administered(before, after)
            _write(conn, changes)
            if self._keep is not None and events:
                self._keep(conn, events)
            self._database.announce(conn, ANNOUNCEMENT)
            return answer, after

        answer, after = await self._database.transact(batch)
        if after.revision > self.policy.revision:
            self.policy = after  # whoever changed it meets the change with its next call
        return answer, self._keep is not None


def write(conn: Connection, database: Database, changes: Changes) -> None:
    """Make changes within a transaction of another store's, in effect on every gateway soon after its commit.

    Raises:
        PreconditionFailed: LAST_ADMINISTRATOR.
    """
    revision = _next_revision(conn)
    before = _rows_as_policy(conn, revision - 1)
    check_administered(before, before.changed(revision, *changes))
    _write(conn, changes)
    database.announce(conn, ANNOUNCEMENT)


def bindings_of(conn: Connection, member: str) -> list[str]:
    """Return the names of the bindings of a member: `users/alice`."""
    found = conn.execute(select(bindings.c.tenant, bindings.c.binding).where(bindings.c.member == member))
    return [f"tenants/{tenant}/bindings/{binding}" for tenant, binding in found]


def check_administered(before: Policy, after: Policy) -> None:
    """Raise PreconditionFailed if a change leaves nobody who may administer the installation."""
    if before.has_administrator and not after.has_administrator:
        text_ = (
            "nobody could administer the installation afterwards; give somebody else a role with `administer` on "
            "tenants/- first"
        )
        raise PreconditionFailed(text_, reason="LAST_ADMINISTRATOR")


def _next_revision(conn: Connection) -> int:
    return int(conn.execute(_NEXT_REVISION).scalar_one())


def _revision(conn: Connection) -> int:
    return conn.execute(_REVISION).scalar() or 0


def _read(conn: Connection) -> Policy:
    """Read rows that are of one revision, though each statement sees its own moment."""
    while True:
        revision = _revision(conn)
        found = _rows_as_policy(conn, revision)
        if _revision(conn) == revision:
            return found


def _rows_as_policy(conn: Connection, revision: int) -> Policy:
    return Policy(_rows(conn), revision)


def _rows(conn: Connection) -> Iterator[Row]:
    for table, kind, name in _COLLECTIONS.values():
        for *key, row in conn.execute(select(*table.primary_key.columns, table.c.row)):
            message = kind.FromString(row)
            message.name = name.format(*key)
            yield message


def _write(conn: Connection, changes: Changes) -> None:
    for name in sorted(changes.deleted, key=lambda name: -name.count("/")):  # what is in a tenant before the tenant
        table, key = _place(name)
        conn.execute(delete(table).where(*(table.c[column] == value for column, value in key.items())))
    for row in changes.kept:
        table, key = _place(row.name)
        values: dict[str, object] = {"row": row.SerializeToString()}
        if isinstance(row, policy_pb2.Binding):
            values["member"] = row.member
        known = update(table).where(*(table.c[column] == value for column, value in key.items())).values(values)
        if not conn.execute(known).rowcount:
            conn.execute(table.insert().values({**key, **values}))


def _place(name: str) -> tuple[Table, dict[str, str]]:
    """The table of a resource name, and its key: `tenants/acme/pools/prod` -> `pools`, tenant acme and pool prod."""
    parts = name.split("/")
    ids = {collection.removesuffix("s"): each for collection, each in zip(parts[::2], parts[1::2], strict=True)}
    return _COLLECTIONS[parts[-2]][0], ids
