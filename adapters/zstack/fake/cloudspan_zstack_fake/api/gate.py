"""From a request to its answer: which call it is, who asks, whether it fits the reference, sync or as a job.

`app` hands over every request under the API's path; faults of the network are met before, in `app`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_zstack_fake.api.errors import document
from cloudspan_zstack_fake.api.reference import bind, check, well_formed
from cloudspan_zstack_fake.api.relations import by_parameter, main_table
from cloudspan_zstack_fake.faults import JOB_KINDS, Kind
from cloudspan_zstack_fake.wire import BadRequest, Call, Failure, Work, text

if TYPE_CHECKING:
    from cloudspan_zstack_fake.api.jobs import JobDesk
    from cloudspan_zstack_fake.api.reference import Api, Reference
    from cloudspan_zstack_fake.identity.sessions import Sessions
    from cloudspan_zstack_fake.store import Store, Table
    from cloudspan_zstack_fake.wire import Handler

_JOBS = "/v1/api-jobs/"
_ADMIN_CATEGORIES = frozenset({"zone", "cluster", "host", "l2", "offering", "primarystorage", "backupstorage"})
_ADMIN_CALLS = frozenset(
    {
        "CreateAccount", "DeleteAccount", "UpdateQuota", "UpdateGlobalConfig", "ShareResource",
        "RevokeResourceSharing", "ChangeResourceOwner",
    }
)  # fmt: skip


class Gate:
    """Carries out requests."""

    def __init__(
        self, store: Store, reference: Reference, sessions: Sessions, jobs: JobDesk, handlers: dict[str, Handler]
    ) -> None:
        self._store, self._reference, self._sessions, self._jobs = store, reference, sessions, jobs
        self._handlers = handlers
        self._tables = by_parameter(store)

    def identify(self, call: Call) -> None:
        """Say which call a request is, so that faults can be aimed at it; one that is none stays without a name."""
        if call.path.startswith(_JOBS):
            call.service, call.name = "job", "GetJob"
            return
        try:
            call.api, call.path_params = self._reference.find(call.method, call.path, _keys(call))
        except BadRequest:
            return
        call.service, call.name = call.api.category, call.api.name

    def carry_out(self, call: Call) -> Reply:
        """Return the answer, errors worded as the server does."""
        try:
            return self._answer(call)
        except BadRequest as bad:
            return text(bad.text, bad.status)
        except Failure as failure:
            return reply({"error": document(failure, self._store.settings.locale)}, 503)

    def _answer(self, call: Call) -> Reply:
        if call.path.startswith(_JOBS):
            return self._poll(call)
        api = call.api
        if api is None:
            api, call.path_params = self._reference.find(call.method, call.path, call.document())
        if api.auth:
            call.who = self._sessions.identify(call)
        call.params = bind(api, call.path_params, call.query, call.document() if call.raw else {})
        if api.is_async:
            return self._accept(call, api)
        if call.fate is not None and call.fate.kind is Kind.FAILURE and not call.fate.carried_out:
            raise Failure(call.fate.code, call.fate.message)
        return reply(self._work(call, api))

    def _poll(self, call: Call) -> Reply:
        if call.method != "GET":
            raise BadRequest("the job URL takes the method GET only", 405)
        return self._jobs.poll(call.path.removeprefix(_JOBS))

    def _accept(self, call: Call, api: Api) -> Reply:
        job = self._jobs.open(call.headers.get("X-Job-UUID", ""), api.name)
        call.job_uuid = job.uuid
        fate = call.fate if call.fate is not None and call.fate.kind in JOB_KINDS else None
        if _is_wide(call):
            self._jobs.forget(job.uuid)  # the tables can't hold the job's row: it is lost at once, and nothing is done
        else:
            self._jobs.run(job, lambda: self._work(call, api), fate)
        if call.fate is not None and call.fate.kind is Kind.DUPLICATE_JOB:
            raise BadRequest(f"Duplicate job uuid[{job.uuid}]")
        timeout = call.headers.get("X-API-Timeout", "")
        timeout_ms = int(timeout or api.default_timeout_seconds) * 1000 if timeout.isdigit() or not timeout else 0
        return reply({"location": self._location(call), "apiTimeout": timeout_ms}, 202)

    def _location(self, call: Call) -> str:
        own = self._store.settings.management_address
        host = f"http://{own}" if own else call.base
        if call.fate is not None and call.fate.kind is Kind.WRONG_LOCATION:
            host = f"http://{call.fate.scope}"
        return f"{host}/zstack{_JOBS}{call.job_uuid}"

    def _work(self, call: Call, api: Api) -> Json | Work:
        """Check what the server checks behind its door and hand over to the resource's own code."""
        if api.auth:
            self._permit(call, api)
        check(api, call.params)
        if self._is_gone(call, api):
            return {}
        self._check_references(call)
        return self._handlers[api.name](call)

    def _permit(self, call: Call, api: Api) -> None:
        who = call.identity
        changes = api.method != "GET" and api.category in _ADMIN_CATEGORIES
        if not who.admin and (changes or api.name in _ADMIN_CALLS):
            text = f"request api[name: API{api.name}Msg] is admin only, can not be executed by current user"
            raise Failure("ID.1002", text)

    def _is_gone(self, call: Call, api: Api) -> bool:
        """Whether a delete finds its resource gone, which is fine; refuse other calls on what is not there."""
        table = main_table(api, self._store)
        if table is None or not call.path_params or api.name.startswith("Query"):
            return False
        field, uuid = next(iter(call.path_params.items()))
        if table.get(uuid) is None and api.success_if_gone:
            if not well_formed(uuid):
                raise Failure("SYS.1003", f"invalid value[{uuid}] of field [uuid]")
            return True
        self._check_access(call, table, field, uuid, own=api.method != "GET")
        return False

    def _check_references(self, call: Call) -> None:
        for name, value in call.params.items():
            table = self._tables.get(name)
            if table is not None:
                for uuid in value if isinstance(value, list) else [value]:
                    self._check_access(call, table, name, uuid, own=False)

    def _check_access(self, call: Call, table: Table, field: str, uuid: str, *, own: bool) -> None:
        row = table.get(uuid)
        if row is None:
            raise table.missing(field, uuid)
        if call.who is not None and not may_see(row, call.who.account, admin=call.who.admin, own=own):
            who, what = f"account[uuid:{call.who.account}]", f"resource[uuid:{uuid}, type:{table.kind}]"
            raise Failure("SYS.1006", f"permission denied, the {who} is not the owner of the {what}")


def may_see(row: Json, account: str, *, admin: bool, own: bool = False) -> bool:
    """Whether an account may use a row: its own, one shared with it or (unless `own`) with all; rows of no one too."""
    owner = row["_account"]
    if admin or owner in ("", account):
        return True
    return not own and (row.get("_public", False) or account in row.get("_shared", ()))


def _is_wide(call: Call) -> bool:
    """Whether a request holds characters of four bytes, which MySQL's utf8mb3 has no room for."""
    return bool(call.raw) and max(msgspec.json.encode(call.document()).decode()) > "\uffff"


def _keys(call: Call) -> Json:
    return call.document() if call.method in ("PUT", "POST") and call.raw else {}
