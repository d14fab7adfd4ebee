"""Accounts (the projects of a ZStack), their users, who owns what and what is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.store import ADMIN
from cloudspan_zstack_fake.wire import Call, Failure, Handler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.identity.quotas import Quotas
    from cloudspan_zstack_fake.identity.sessions import Sessions
    from cloudspan_zstack_fake.store import Store, Table


class Accounts:
    """The account calls."""

    def __init__(self, store: Store, views: Views, sessions: Sessions, quotas: Quotas) -> None:
        self._store, self._views, self._sessions, self._quotas = store, views, sessions, quotas
        self.handlers: dict[str, Handler] = {
            "CreateAccount": self._create,
            "UpdateAccount": self._update,
            "DeleteAccount": self._delete,
            "CreateUser": self._create_user,
            "DeleteUser": self._delete_user,
            "GetResourceAccount": self._owners,
            "ChangeResourceOwner": self._change_owner,
            "ShareResource": self._share,
            "RevokeResourceSharing": self._revoke,
        }

    def _result(self, row: Json) -> Json:
        return {"inventory": self._views.plain(row)}

    def _create(self, call: Call) -> Json:
        name = call.params["name"]
        if self._store.accounts.where(name=name):
            raise Failure("SYS.1007", f"unable to create an account. An account already called {name}")
        fields: Json = {"type": call.params.get("type", "Normal"), "_password": call.params["password"]}
        account = self._store.create(self._store.accounts, call, **fields)
        account["_account"], account["_public"] = account["uuid"], True  # every account is shown to every other
        self._quotas.grant(account["uuid"])
        return self._result(account)

    def _update(self, call: Call) -> Json:
        account, params = self._store.accounts.present(call.uuid()), call.params
        wanted: Json = {name: params[name] for name in ("name", "description") if name in params}
        if "password" in params:
            wanted["_password"] = params["password"]
            self._sessions.end(account=account["uuid"])
        return self._result(self._store.touch(account, **wanted))

    def _delete(self, call: Call) -> Json:
        uuid = call.uuid()
        if uuid == ADMIN:
            raise Failure("SYS.1007", "the system account can't be deleted")
        self._sessions.end(account=uuid)
        for table in (self._store.quotas, self._store.users):
            for row in [row for row in table if row["_account"] == uuid]:
                table.remove(row["uuid"])
        for _, row in self._owned(uuid):
            row["_account"] = ADMIN
        self._store.drop(self._store.accounts, uuid)
        return {}

    def _create_user(self, call: Call) -> Json:
        owner, name = call.identity.account, call.params["name"]
        if self._store.users.where(accountUuid=owner, name=name):
            raise Failure("SYS.1007", f"unable to create a user. A user called {name} is already under the account")
        fields: Json = {"accountUuid": owner, "_password": call.params["password"]}
        return self._result(self._store.create(self._store.users, call, **fields))

    def _delete_user(self, call: Call) -> Json:
        self._store.drop(self._store.users, call.uuid())
        return {}

    def _owned(self, account: str = "") -> Iterator[tuple[Table, Json]]:
        """Iterate the resources that belong to an account, or to any."""
        store = self._store
        kinds = (
            store.vms, store.volumes, store.snapshots, store.images, store.l3_networks, store.ip_ranges, store.vips,
            store.eips, store.security_groups, store.ssh_keys, store.instance_offerings, store.disk_offerings,
            store.nics,
        )  # fmt: skip
        return ((table, row) for table in kinds for row in table if account in ("", row["_account"]))

    def refs(self) -> Iterator[Json]:
        """Iterate who owns what, as rows of their own."""
        for table, row in self._owned():
            yield {
                "uuid": row["uuid"], "accountUuid": row["_account"], "resourceUuid": row["uuid"],
                "resourceType": table.kind, "concreteResourceType": f"org.zstack.header.{table.kind}",
                "createDate": row["createDate"], "lastOpDate": row["lastOpDate"], "_account": row["_account"],
            }  # fmt: skip

    def _resource(self, uuid: str) -> tuple[Table, Json]:
        table = self._store.owner_table(uuid)
        if table is None:
            raise Failure("SYS.1003", f"resource[uuid:{uuid}] is not found")
        return table, table.present(uuid)

    def _owners(self, call: Call) -> Json:
        found = {}
        for uuid in call.params["resourceUuids"]:
            table = self._store.owner_table(uuid)
            owner = table and self._store.accounts.get(table.present(uuid)["_account"])
            if owner:
                found[uuid] = self._views.plain(owner)
        return {"inventories": found}

    def _change_owner(self, call: Call) -> Json:
        table, row = self._resource(call.params["resourceUuid"])
        self._store.touch(row, _account=call.params["accountUuid"])
        for child in (*self._store.nics.some(row.get("_nics", ())), *self._store.volumes.some(row.get("_volumes", ()))):
            child["_account"] = call.params["accountUuid"]
        ref = {"accountUuid": row["_account"], "resourceUuid": row["uuid"], "resourceType": table.kind}
        return {"inventory": ref}

    def _share(self, call: Call) -> Json:
        for uuid in call.params["resourceUuids"]:
            _, row = self._resource(uuid)
            row["_public"] = row.get("_public", False) or call.params["toPublic"]
            row["_shared"] = {*row.get("_shared", ()), *call.params.get("accountUuids", ())}
        return {}

    def _revoke(self, call: Call) -> Json:
        params = call.params
        for uuid in params["resourceUuids"]:
            _, row = self._resource(uuid)
            row["_public"] = row.get("_public", False) and not (params["toPublic"] or params["all"])
            left = set(row.get("_shared", ())) - set(params.get("accountUuids", ()))
            row["_shared"] = set() if params["all"] else left
        return {}
