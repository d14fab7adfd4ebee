"""What all Neutron resources share: the five calls, bulk creation, ownership, quota, revision and time stamps."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_openstack_fake.network.lists import CHANGED_SINCE, changed, listing, public
from cloudspan_openstack_fake.wire import Call, Refused, empty

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_openstack_fake.store import Store, Table
    from cloudspan_openstack_fake.wire import Handler

COMMON = frozenset(
    {"id", "name", "tenant_id", "project_id", "description", "tags", "created_at", "updated_at", "revision_number"}
)


def bad_request(message: str) -> Refused:
    return Refused(400, message, "HTTPBadRequest")


def invalid_input(message: str) -> Refused:
    return Refused(400, f"Invalid input for operation: {message}", "InvalidInput")


class Resource:
    """One collection; the subclasses say what is particular about it."""

    one: ClassVar[str]
    many: ClassVar[str]
    attributes: ClassVar[frozenset[str]]
    hidden_filters: ClassVar[frozenset[str]] = frozenset()
    required: ClassVar[tuple[str, ...]] = ()
    missing_kind: ClassVar[str]
    missing_text: ClassVar[str]
    admin_only: ClassVar[frozenset[str]] = frozenset()
    fresh: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """What a new row shows beside the attributes that all have."""
    settable: ClassVar[frozenset[str]] = frozenset()
    """Which of `fresh` a create may set."""
    ignores_tags: ClassVar[bool] = False
    """Whether tags in a create are dropped without a word instead of refused."""

    def __init__(self, store: Store, rows: Table[Json]) -> None:
        self._store, self.rows = store, rows

    def table(self) -> dict[str, Handler]:
        path = f"/v2.0/{self.many.replace('_', '-')}"
        return {
            f"GET {path}": self._list,
            f"POST {path}": self._create,
            f"GET {path}/{{id}}": self._get,
            f"PUT {path}/{{id}}": self._update,
            f"DELETE {path}/{{id}}": self._delete,
            f"GET {path}/{{id}}/tags": self._tags,
            f"PUT {path}/{{id}}/tags": self._replace_tags,
            f"PUT {path}/{{id}}/tags/{{tag}}": self._add_tag,
            f"DELETE {path}/{{id}}/tags/{{tag}}": self._drop_tag,
        }

    def make(self, call: Call, asked: Json) -> Json:
        """Return a new row, not yet kept."""
        return self.common(call, asked) | self.blank(asked)

    @classmethod
    def blank(cls, asked: Json) -> Json:
        """Return the attributes of `fresh`, as asked where they are settable; null asks for the default."""
        row = {name: list(value) if isinstance(value, list) else value for name, value in cls.fresh.items()}
        return row | {name: asked[name] for name in cls.settable & asked.keys() if asked[name] is not None}

    def change(self, call: Call, row: Json, asked: Json) -> None:
        """Apply an update; the base has taken care of unknown attributes."""
        row.update(asked)

    def check_deletable(self, row: Json) -> None:
        """Refuse to delete what is in use."""

    def removed(self, row: Json) -> None:
        """Clean up behind a deleted row."""

    def visible(self, call: Call, row: Json) -> bool:
        # Router gateways belong to no project, and an unscoped token has none: they must not meet.
        return call.identity.is_admin or (row["project_id"] == call.project_id != "")

    def missing(self, row_id: str) -> Refused:
        return Refused(404, self.missing_text.format(row_id), self.missing_kind)

    def find(self, call: Call, row_id: str) -> Json:
        """Return a row that the caller may see."""
        row = self.rows.get(row_id)
        if row is None or not self.visible(call, row):
            raise self.missing(row_id)
        return row

    def common(self, call: Call, asked: Json) -> Json:
        """Return the attributes that all new rows have."""
        now = self._store.stamp()
        return {
            "id": self._store.new_id(),
            "name": asked.get("name", ""),
            "tenant_id": call.project_id,
            "project_id": call.project_id,
            "description": asked.get("description", ""),
            "tags": [],
            "created_at": now,
            "updated_at": now,
            "revision_number": 1,
        }

    def keep(self, row: Json) -> Json:
        self.rows.add(row["id"], row)
        return row

    def touched(self, row: Json) -> None:
        row["updated_at"] = self._store.stamp()
        row["revision_number"] += 1

    def _list(self, call: Call) -> Reply:
        rows = [row | self.hidden(row) for row in self.rows if self.visible(call, row)]
        attributes = self.attributes | self.hidden_filters
        if not self._store.validates_filters:
            rows, attributes = changed(call, rows), attributes | {CHANGED_SINCE}
        return listing(call, self.many, rows, attributes, self.missing)

    def hidden(self, row: Json) -> Json:
        """Return what lists can be filtered by and don't show: the values of `hidden_filters`, each behind a `_`."""
        return {}

    def _get(self, call: Call) -> Reply:
        row = public(self.find(call, call.params["id"]))
        fields = call.many("fields")
        return reply({self.one: {key: row[key] for key in row if not fields or key in fields}})

    def _create(self, call: Call) -> Reply:
        document = call.document()
        if self.many in document:
            return reply({self.many: [public(self._make_one(call, asked)) for asked in document[self.many]]}, 201)
        if not isinstance(document.get(self.one), dict):
            raise bad_request(f"Unable to find '{self.one}' in request body")
        return reply({self.one: public(self._make_one(call, document[self.one]))}, 201)

    def _make_one(self, call: Call, asked: Json) -> Json:
        for name in self.required:
            if name not in asked:
                raise bad_request(f"Failed to parse request. Required attribute '{name}' not specified")
        self._check(call, asked)
        limit = self._store.quota("network", call.project_id)[self.one]
        if 0 <= limit <= sum(row["project_id"] == call.project_id for row in self.rows):
            raise Refused(409, f"Quota exceeded for resources: ['{self.one}'].", "OverQuota")
        return self.keep(self.make(call, asked))

    def _check(self, call: Call, asked: Json) -> None:
        if "tags" in asked and not self.ignores_tags:
            raise bad_request(f"Attribute 'tags' not allowed in {call.method}")
        if unknown := [name for name in asked if name not in self.attributes]:
            names = ", ".join(f"'{name}'" for name in unknown)
            raise bad_request(f"Unrecognized attribute(s) {names}")
        for name in ("name", "description"):
            if len(text := str(asked.get(name) or "")) > 255:
                raise bad_request(f"Invalid input for {name}. Reason: '{text}' exceeds maximum length of 255.")
        if call.identity.is_admin:
            return
        if {asked.get("tenant_id"), asked.get("project_id")} - {None, call.project_id}:
            raise bad_request(
                "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires "
                "admin or advsvc privileges"
            )
        for name in self.admin_only & asked.keys():
            if asked[name]:
                rule = f"(rule:create_{self.one} and rule:create_{self.one}:{name})"
                raise Refused(403, f"{rule} is disallowed by policy", "PolicyNotAuthorized")

    def _update(self, call: Call) -> Reply:
        row = self.find(call, call.params["id"])
        asked = call.document().get(self.one)
        if not isinstance(asked, dict):
            raise bad_request(f"Unable to find '{self.one}' in request body")
        self._check(call, asked)
        self.change(call, row, asked)
        self.touched(row)
        return reply({self.one: public(row)})

    def _delete(self, call: Call) -> Reply:
        row = self.find(call, call.params["id"])
        self.check_deletable(row)
        self.rows.remove(row["id"])
        self.removed(row)
        return empty()

    def _tags(self, call: Call) -> Reply:
        return reply({"tags": self.find(call, call.params["id"])["tags"]})

    def _replace_tags(self, call: Call) -> Reply:
        row = self.find(call, call.params["id"])
        row["tags"] = sorted(set(call.document().get("tags") or []))
        self.touched(row)
        return reply({"tags": row["tags"]})

    def _add_tag(self, call: Call) -> Reply:
        row = self.find(call, call.params["id"])
        row["tags"] = sorted({*row["tags"], call.params["tag"]})
        self.touched(row)
        return reply(None, 201)

    def _drop_tag(self, call: Call) -> Reply:
        row = self.find(call, call.params["id"])
        if call.params["tag"] not in row["tags"]:
            raise Refused(404, f"Tag {call.params['tag']} could not be found.", "TagNotFound")
        row["tags"].remove(call.params["tag"])
        return empty()
