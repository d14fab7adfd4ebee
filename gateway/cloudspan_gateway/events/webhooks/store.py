"""The webhooks of a database: what callers set of them, and how far each has come.

Callers' changes count up `revision`; what the gateway that sends keeps is of one revision, and is not written over a
newer one. Secrets are sealed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, select, update

from cloudspan.v1 import webhook_pb2
from cloudspan_common.errors import AlreadyExists, NotFound, PreconditionFailed
from cloudspan_gateway.events.place import Place
from cloudspan_gateway.storage.tables import webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.engine import Row

    from cloudspan_gateway.audit.event import Event
    from cloudspan_gateway.storage.cipher import Cipher
    from cloudspan_gateway.storage.engine import Database

    KeepEvents = Callable[[Connection, Sequence[Event]], object]

ANNOUNCEMENT = "webhooks||"
"""In the form of the operations' store's announcements."""
MOST_OF_A_TENANT = 20
PREVIOUS_SECRET_S = 86_400.0
"""How long a secret that was replaced goes on signing."""

c = webhooks.c


@dataclass(frozen=True, slots=True, repr=False)
class Hook:
    """One webhook; times are Unix seconds."""

    tenant: str
    webhook: str
    row: webhook_pb2.Webhook
    """What callers set, with name, subject and create_time."""
    secret: bytes
    place: Place
    previous_secret: bytes | None = None
    previous_until: float | None = None
    revision: int = 1
    attempt: webhook_pb2.Webhook.Attempt | None = None
    attempts: int = 0
    """Of the event behind the place, as far as they failed."""
    received_time: float | None = None
    failing_since: float | None = None
    next_attempt_time: float | None = None
    dead: bool = False

    def __repr__(self) -> str:
        return f"<Hook {self.name} revision {self.revision}>"

    @property
    def name(self) -> str:
        """Its resource name."""
        return name_of(self.tenant, self.webhook)

    @property
    def is_sending(self) -> bool:
        """Whether events are sent to it."""
        return not self.dead and not self.row.disabled

    def secrets(self, now: float) -> tuple[bytes, ...]:
        """Return what signs at a time, Unix seconds."""
        if self.previous_secret is None or (self.previous_until or 0.0) <= now:
            return (self.secret,)
        return (self.secret, self.previous_secret)


def name_of(tenant: str, webhook: str) -> str:
    """Return the resource name of a webhook."""
    return f"tenants/{tenant}/webhooks/{webhook}"


class WebhookStore:
    """The table of webhooks."""

    def __init__(self, database: Database, cipher: Cipher, keep: KeepEvents) -> None:
        """Take what keeps events of the audit within a transaction (`Chain.append`)."""
        self._database = database
        self._cipher = cipher
        self._keep = keep

    def __repr__(self) -> str:
        return f"<WebhookStore in {self._database!r}>"

    # -------------------------------------------------------------- by callers

    async def create(self, hook: Hook, event: Event | None) -> None:
        """Keep a new one.

        Raises:
            AlreadyExists: There is one of that name.
            PreconditionFailed: TOO_MANY_FOLLOWERS.
        """

        def create(conn: Connection) -> None:
            if conn.execute(select(c.revision).where(_is(hook.tenant, hook.webhook))).first() is not None:
                raise AlreadyExists(f"{hook.name} exists; choose another id, or update it", resource=hook.name)
            # Locked, so that another gateway creates one before this is counted, or behind it.
            conn.execute(select(c.webhook).where(c.tenant == hook.tenant).with_for_update()).all()
            count = conn.execute(select(func.count()).select_from(webhooks).where(c.tenant == hook.tenant)).scalar()
            if (count or 0) >= MOST_OF_A_TENANT:
                raise _too_many(hook.tenant)
            conn.execute(insert(webhooks).values(self._values(hook)))
            self._noted(conn, event)

        await self._database.transact(create)

    async def change(self, tenant: str, webhook: str, to: Callable[[Hook], Hook], event: Event | None) -> Hook:
        """Replace one by what `to` makes of it, which may be called twice.

        Raises:
            NotFound: There is none.
        """

        def change(conn: Connection) -> Hook:
            found = conn.execute(select(webhooks).where(_is(tenant, webhook)).with_for_update()).first()
            if found is None:
                raise not_there(name_of(tenant, webhook))
            before = self._hook(found)
            after = replace(to(before), revision=before.revision + 1)
            conn.execute(update(webhooks).where(_is(tenant, webhook)).values(self._values(after)))
            self._noted(conn, event)
            return after

        return await self._database.transact(change)

    async def delete(self, tenant: str, webhook: str, event: Event | None) -> None:
        """Delete one. Raises NotFound where there is none."""

        def forget(conn: Connection) -> None:
            if not conn.execute(delete(webhooks).where(_is(tenant, webhook))).rowcount:
                raise not_there(name_of(tenant, webhook))
            self._noted(conn, event)

        await self._database.transact(forget)

    def _noted(self, conn: Connection, event: Event | None) -> None:
        self._database.announce(conn, ANNOUNCEMENT)
        if event is not None:
            self._keep(conn, [event])

    # -------------------------------------------------------------- by the gateway that sends

    async def keep(self, hook: Hook) -> bool:
        """Keep how far one has come; False if it was changed or deleted since, and nothing was kept."""
        values = self._progress(hook)
        here = (_is(hook.tenant, hook.webhook), c.revision == hook.revision)
        return bool(
            await self._database.transact(
                lambda conn: conn.execute(update(webhooks).where(*here).values(values)).rowcount
            )
        )

    # -------------------------------------------------------------- reads

    async def get(self, tenant: str, webhook: str) -> Hook:
        """Return one. Raises NotFound where there is none."""
        asked = select(webhooks).where(_is(tenant, webhook))
        found = await self._database.read(lambda conn: conn.execute(asked).first())
        if found is None:
            raise not_there(name_of(tenant, webhook))
        return self._hook(found)

    async def of(self, tenant: str | None = None) -> Sequence[Hook]:
        """Return those of a tenant, or all, by name."""
        asked = select(webhooks).order_by(c.tenant, c.webhook)
        if tenant is not None:
            asked = asked.where(c.tenant == tenant)
        rows = await self._database.read(lambda conn: conn.execute(asked).all())
        return [self._hook(row) for row in rows]

    # -------------------------------------------------------------- rows

    def _values(self, hook: Hook) -> dict[str, Any]:
        sealed = self._cipher.seal(hook.secret, hook.name, "secret")
        previous = hook.previous_secret and self._cipher.seal(hook.previous_secret, hook.name, "previous_secret")
        set_by_callers = {
            "tenant": hook.tenant,
            "webhook": hook.webhook,
            "row": hook.row.SerializeToString(),
            "secret": sealed,
            "previous_secret": previous,
            "previous_until": hook.previous_until,
            "revision": hook.revision,
        }
        return {**set_by_callers, **self._progress(hook)}

    def _progress(self, hook: Hook) -> dict[str, Any]:
        return {
            **hook.place._asdict(),
            "attempt": hook.attempt.SerializeToString() if hook.attempt is not None else None,
            "attempts": hook.attempts,
            "received_time": hook.received_time,
            "failing_since": hook.failing_since,
            "next_attempt_time": hook.next_attempt_time,
            "dead": hook.dead,
        }

    def _hook(self, row: Row[Any]) -> Hook:
        name = name_of(row.tenant, row.webhook)
        previous = row.previous_secret and self._cipher.open(row.previous_secret, name, "previous_secret")
        return Hook(
            row.tenant,
            row.webhook,
            webhook_pb2.Webhook.FromString(row.row),
            self._cipher.open(row.secret, name, "secret"),
            Place(row.sequence, row.epoch),
            previous,
            row.previous_until,
            row.revision,
            webhook_pb2.Webhook.Attempt.FromString(row.attempt) if row.attempt is not None else None,
            row.attempts,
            row.received_time,
            row.failing_since,
            row.next_attempt_time,
            row.dead,
        )


def not_there(name: str) -> NotFound:
    """Return the error for a webhook that does not exist, or is not the caller's to see."""
    return NotFound(f"there is no {name[:120]} that the caller can see; a list shows those there are", resource=name)


def _is(tenant: str, webhook: str) -> Any:
    return and_(c.tenant == tenant, c.webhook == webhook)


def _too_many(tenant: str) -> PreconditionFailed:
    text = f"tenants/{tenant} has {MOST_OF_A_TENANT} webhooks, as many as it may have; delete those that nobody uses"
    return PreconditionFailed(text, reason="TOO_MANY_FOLLOWERS", resource=f"tenants/{tenant}")
