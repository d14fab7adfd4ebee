"""Every native call of one cluster: queries, changes, and the jobs that changes become.

The area files call `query`, `get_one` and `read` to look, `act` to change, and `send` with `follow` for changes that
take longer than one call; nothing else talks to the cloud. `cluster` makes one session per cluster.

A change carries a job uuid made of its key: asked again with the same key it is the same job, which the server refuses
as a duplicate and which then is only waited for. So a lost reply never makes a second change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from cloudspan_common.errors import (
    CloudspanError,
    GaveUp,
    LoginRefused,
    NotFound,
    OutcomeUnknown,
    OutOfTime,
    PlatformFault,
    RateLimited,
)
from cloudspan_common.logs import get_logger
from cloudspan_kit import (
    NOT_CARRIED_OUT,
    TRANSIENT,
    NativeCaller,
    NativeRequest,
    RequestInfo,
    path_of,
    read_rows,
    unreadable,
)
from cloudspan_zstack.cloud.dialect import JOB_HEADER, JOB_PATH, Dialect, login_of, service_of
from cloudspan_zstack.cloud.error_rules import DuplicateJob, JobNotBegun, LostJob, SessionEnded
from cloudspan_zstack.cloud.jobs import Change, Job, job_uuid
from cloudspan_zstack.cloud.rows import Inventories, Inventory, Row, Rows
from cloudspan_zstack.cloud.texts import check_change, check_conditions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Answer, Call, NativeParts
    from cloudspan_zstack.cloud.dates import ServerZone
    from cloudspan_zstack.cloud.errors import Catalogue
    from cloudspan_zstack.cloud.rows import Date
    from cloudspan_zstack.cloud.signing import Login

T = TypeVar("T")

log = get_logger(__name__)

PAGE = 200
"""Rows a page; without a limit the server gives 1 000 and says nothing about the rest."""
POLLS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between looks at a job; the last one repeats."""
# What is refused is refused within seconds: validation, permission and session are looked at first.
PATIENCE_S = 1.5
_MARGIN_S = 0.25  # what a call keeps of its time to tell how far it came
_MAX_SESSIONS = 10
"""Jobs of one change: each session that ends before its job begins uses one up."""
_SESSION_PAUSE_S = 1.0


class Session:
    """The native calls of one cluster."""

    def __init__(
        self, ref: ClusterRef, endpoint: str, parts: NativeParts, catalogue: Catalogue, zone: ServerZone
    ) -> None:
        self._ref = ref
        self._parts = parts
        self._caller = NativeCaller(ref, parts, Dialect(endpoint, catalogue, parts.clock))
        self._login: Login | None = None
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
        self.zone = zone
        """Reads the server's dates."""

    def __repr__(self) -> str:
        who = f"account {self._login.account_name or self._login.account_uuid}" if self._login else "no login yet"
        return f"<Session {self._ref}: {who} | {self._parts.keeper!r}>"

    @property
    def known_login(self) -> Login | None:
        """Who the last login was; None before the first one."""
        token = self._parts.keeper.current()
        return self._login if token is None else login_of(token)

    def age_of(self, date: Date) -> float:
        """Return how long ago a date of the server's was, in seconds; 0 for none."""
        moment = self.zone.moment(date)
        return 0.0 if moment is None else self._parts.clock.now() - moment

    async def login(self, call: Call) -> Login:
        """Return who we are, after a login if need be."""
        token = await self._parts.keeper.token(timeout_s=call.deadline.remaining())
        self._login = login_of(token)
        return self._login

    # ------------------------------------------------------------------ looking

    async def query(  # noqa: PLR0913 - the parts of a query, all but the first three by name
        self,
        call: Call,
        template: str,
        into: type[T],
        *,
        conditions: Sequence[str] = (),
        limit: int = PAGE,
        start: int = 0,
        sort: str = "",
        count: bool = False,
    ) -> Rows[T]:
        """Return the rows that all `conditions` hold for, at most `limit` from `start` on.

        Args:
            call: The call that this is part of; its deadline bounds all, its view says whether to keep documents.
            template: The resource's path, `/vm-instances`.
            into: What a row is: a `Row`.
            conditions: `state=Running`; see `queries.condition` for values that can't be asked for.
            limit: Always sent: the server's own limit is silent.
            start: How many rows to skip.
            sort: `+field` or `-field`.
            count: Whether to tell the number of all rows.

        Raises:
            CloudspanError: The native error by the catalogue; PlatformFault for an answer that can't be decoded.
        """
        check_conditions(conditions)
        params = [("q", condition) for condition in conditions]
        params += [("limit", str(limit)), ("start", str(start))]
        if sort:
            params.append(("sort", sort))
        if count:
            params.append(("replyWithCount", "true"))
        return await self._rows(call, template, into, {}, params)

    async def count(self, call: Call, template: str, conditions: Sequence[str] = ()) -> int:
        """Return how many rows all `conditions` hold for."""
        check_conditions(conditions)
        params = [*(("q", condition) for condition in conditions), ("count", "true")]
        found = await self._rows(call, template, dict[str, Any], {}, params)
        return found.total or 0

    async def get_one(self, call: Call, template: str, into: type[T], *, args: Mapping[str, str]) -> T:
        """Return the one row at `template`, `/vm-instances/{uuid}`.

        Raises:
            NotFound: The server's list is empty: that is how it says so.
        """
        return (await self.get_with_document(call, template, into, args=args))[0]

    async def get_rows(self, call: Call, template: str, into: type[T], *, args: Mapping[str, str]) -> Rows[T]:
        """Return as `get_one`, with what could not be read of it."""
        return await self._one(call, template, into, args)

    async def get_with_document(
        self, call: Call, template: str, into: type[T], *, args: Mapping[str, str]
    ) -> tuple[T, dict[str, Any]]:
        """Return as `get_one`, and the row as the platform tells it: under view FULL, else an empty dict."""
        found = await self._one(call, template, into, args)
        return found.rows[0], found.documents[0] if found.documents else {}

    async def _one(self, call: Call, template: str, into: type[T], args: Mapping[str, str]) -> Rows[T]:
        check_conditions(list(args.values()))
        found = await self._rows(call, template, into, args, ())
        if found.unread and not found.rows:
            text = f"{template.format(**args)} of {self._ref} can't be read: {'; '.join(found.unread)}"
            raise PlatformFault(text, reason="UNEXPECTED_SHAPE")
        if not found.rows:
            raise nothing_at(call, template.format(**args))
        return found

    async def read(
        self, call: Call, template: str, into: type[T], *, args: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] = (),
    ) -> T:  # fmt: skip
        """Return what a plain read (`Get...`) answers."""
        request = NativeRequest(call, "GET", service_of(template), template, path_of(template, args, params))
        return await self._run(request, lambda answer: self._decoded(request, answer, into))

    # ------------------------------------------------------------------ changing

    async def act(self, call: Call, change: Change, *, job: str, into: type[T] | None = None) -> T | None:
        """Carry out a change to its end, within the caller's deadline; return its inventory as `into`, if it has one.

        Args:
            call: The call that this is part of.
            change: What to do.
            job: Key of the change, as `op.marker(step)`: the same key is the same change, however often it is asked.
            into: What its inventory is; None drops it.

        Raises:
            OutcomeUnknown: No reply, or the deadline ended first: look, or ask again with the same key. LostJob is one
                of these: the platform does not know the job (any more), so the resource has to tell.
            CloudspanError: The native error by the catalogue: it was not carried out.
        """
        sent, answer = await self._submitted(call, change, job, patience_s=None)
        if answer is None or into is None:
            return None
        request = NativeRequest(call, change.method, service_of(change.template), change.template, sent.path)
        return self._decoded(request, answer, cast("type[Inventory[T]]", Inventory[into])).inventory  # type: ignore[valid-type]

    async def send(self, call: Call, change: Change, *, job: str) -> Job:
        """Have the platform take a change, and wait only as long as a refusal would take; `follow` it then.

        Raises: As `act`, but for the deadline.
        """
        sent, answer = await self._submitted(call, change, job, patience_s=PATIENCE_S)
        return Job(sent.uuid, sent.method, sent.path, done=answer is not None)

    async def follow(self, call: Call, job: Job | None) -> bool:
        """Return whether a change has ended well; False while it goes on.

        Raises:
            LostJob: The platform does not know it any more: look at the resource.
            JobNotBegun: Its session ended before it began.
            CloudspanError: It has failed.
        """
        if job is None or job.done:
            return True
        try:
            return await self._watched(call, job, patience_s=0.0) is not None
        except SessionEnded as error:
            text = f"{error.message}; it was not begun, ask again"
            raise JobNotBegun(text, metadata=error.metadata) from error

    async def is_over(self, call: Call, key: str) -> bool:
        """Whether nothing of the change of that key is under way any more, whatever came of it.

        Raises:
            Unreachable, PlatformFault and the like: It can't be told now.
        """
        for attempt in range(_MAX_SESSIONS):
            try:
                return await self.follow(call, Job(job_uuid(key, attempt), "POST", "/jobs"))
            except (LostJob, JobNotBegun):
                continue  # of the attempts behind it this one's end says nothing
            except GaveUp:
                return True
            except TRANSIENT:
                raise
            except CloudspanError:
                return True  # it failed: then nothing comes any more
        return True

    async def _submitted(
        self, call: Call, change: Change, key: str, *, patience_s: float | None
    ) -> tuple[Job, Answer | None]:
        """Send, and watch the job for `patience_s`.

        Raises:
            RateLimited: Somebody goes on ending our sessions: nothing was done, and it is to be asked again.
        """
        try:
            return await self._sent(call, change, key, patience_s=patience_s)
        except SessionEnded as error:
            text = f"{error.message}; nothing was done, it is asked again"
            raise RateLimited(
                text, reason=error.reason, metadata=error.metadata, retry_after_s=_SESSION_PAUSE_S
            ) from error

    async def _sent(
        self, call: Call, change: Change, key: str, *, patience_s: float | None
    ) -> tuple[Job, Answer | None]:
        """Send under one session after the other; one that ended inside the job has used that up for nothing."""
        checked = False
        for attempt in range(_MAX_SESSIONS):
            request = self._request(call, change, job_uuid(key, attempt))
            job = Job(job_uuid(key, attempt), change.method, request.path)
            try:
                answer = await self._run(request, _untouched)
                sent_now = True
            except DuplicateJob:
                answer, sent_now = None, False
            if answer is not None and answer.status != 202:
                return job, answer
            try:
                return job, await self._watched(call, job, patience_s=patience_s)
            except SessionEnded:
                if sent_now and (request.token is None or not self._parts.keeper.retire(request.token)):
                    raise
                if sent_now or not checked:  # a read uses up no job; it raises while each session is refused
                    await self.query(call, "/zones", Row, limit=1)
                    checked = True
            except NOT_CARRIED_OUT as error:  # the poll was not: of the change it says nothing
                text = f"{error.message}; the change was taken as job {job.uuid}, look before asking again"
                raise OutcomeUnknown(text, metadata=error.metadata) from error
        text = (
            f"{change.method} {change.template} of {self._ref.cluster}: {_MAX_SESSIONS} sessions ended before it "
            "began, so something else ends them: use an access key"
        )
        raise LoginRefused(text, reason="SESSION_ENDED")

    async def _watched(self, call: Call, job: Job, *, patience_s: float | None) -> Answer | None:
        """Poll a job until it ends; None when `patience_s` is over first."""
        request = self._poll(call, job, patience_s)
        try:
            answer = await self._run(request, _untouched)
        except OutOfTime as error:
            text = f"{error.message}; job {job.uuid} goes on, look before asking again"
            raise OutcomeUnknown(text, reason="STILL_RUNNING", metadata=error.metadata) from error
        return None if answer.status == 202 else answer

    def _poll(self, call: Call, job: Job, patience_s: float | None) -> NativeRequest:
        waited = 0.0

        def again(answer: Answer, polls: int) -> float | None:
            nonlocal waited
            if answer.status != 202:
                return None
            pause = POLLS_S[min(polls, len(POLLS_S) - 1)]
            left = call.deadline.remaining() - _MARGIN_S
            if patience_s is not None and (waited + pause > patience_s or pause > left):
                return None
            waited += pause
            return pause if pause < left else call.deadline.remaining()  # too long: the caller is told so

        service = job.path.split("/", 2)[1]
        about = RequestInfo(self._ref.platform, self._ref.cluster, service, job.method, job.path.partition("?")[0])
        path = path_of(JOB_PATH, {"uuid": job.uuid}, ())
        return NativeRequest(call, "GET", service_of(JOB_PATH), JOB_PATH, path, about=about, again=again)

    def _request(self, call: Call, change: Change, job: str) -> NativeRequest:
        check_change(change)
        is_delete = change.method == "DELETE"
        return NativeRequest(
            call,
            change.method,
            service_of(change.template),
            change.template,
            path_of(change.template, change.args, change.query() if is_delete else ()),
            {JOB_HEADER: job},
            None if is_delete else change.body(),
        )

    # ------------------------------------------------------------------ both

    async def _run(self, request: NativeRequest, read: Callable[[Answer], T]) -> T:
        result = await self._caller.run(request, read)
        if request.token is not None:
            self._login = login_of(request.token)
        return result

    async def _rows(
        self, call: Call, template: str, into: type[T], args: Mapping[str, str], params: Sequence[tuple[str, str]]
    ) -> Rows[T]:
        request = NativeRequest(call, "GET", service_of(template), template, path_of(template, args, params))

        def read(answer: Answer) -> Rows[T]:
            try:
                if not call.full:
                    page = self._decoder(cast("type[Inventories[T]]", Inventories[into])).decode(answer.body)  # type: ignore[valid-type]
                    if not issubclass(into, Row) or all(getattr(row, "uuid", "") for row in page.inventories):
                        return Rows(page.inventories, page.total, [])
            except msgspec.ValidationError:
                pass  # it is JSON, and of another shape: row by row then
            except msgspec.DecodeError as error:
                raise unreadable(self._caller.asked(request), answer, request.native_request_id, error) from error
            whole = self._decoded(request, answer, Inventories[Any])
            found = read_rows(whole.inventories, into, "uuid", full=call.full)
            if len(found.rows) == len(whole.inventories) and not found.unread:
                return Rows(list(found.rows), whole.total, [dict(document) for document in found.documents])
            if found.unread:
                log.warning("rows read in part", path=template, unread=found.unread)
            sent = [str(row.get("uuid") or "") if isinstance(row, dict) else "" for row in whole.inventories]
            documents = [dict(document) for document in found.documents]
            return Rows(list(found.rows), whole.total, documents, found.unread, found.kept or (), sent)

        return await self._run(request, read)

    def _decoder(self, into: type[T]) -> msgspec.json.Decoder[T]:
        decoder = self._decoders.get(into)
        if decoder is None:
            decoder = self._decoders[into] = msgspec.json.Decoder(into)
        return decoder

    def _decoded(self, request: NativeRequest, answer: Answer, into: type[T]) -> T:
        try:
            return self._decoder(into).decode(answer.body)
        except msgspec.DecodeError as error:
            raise unreadable(self._caller.asked(request), answer, request.native_request_id, error) from error


def nothing_at(call: Call, path: str) -> NotFound:
    """Return the error for a path where there is nothing that the cluster's account sees."""
    ref = call.cluster
    text = f"{ref.cluster} has nothing at {path}, or this account does not see it"
    return NotFound(text, metadata={"platform": ref.platform, "cluster": ref.cluster})


def _untouched(answer: Answer) -> Answer:
    return answer
