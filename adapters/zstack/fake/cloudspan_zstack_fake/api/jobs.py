"""The jobs of asynchronous calls: opened at the request, carried out on the timeline, polled by uuid.

`gate` opens and runs them. A job's record outlives its end by `EXPIRES_S`, counted from its creation; one that
never ends stays `processing` for ever, as after a restart of the management node.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import Reply, reply
from cloudspan_zstack_fake.api.errors import document
from cloudspan_zstack_fake.faults import Kind
from cloudspan_zstack_fake.wire import BadRequest, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.faults import Fault
    from cloudspan_zstack_fake.store import Store
    from cloudspan_zstack_fake.wire import Work

log = logging.getLogger(__name__)
EXPIRES_S = 10800.0
_UUID_LENGTH = 32


@dataclass(slots=True)
class Job:
    """One job; without an answer it is still processing."""

    uuid: str
    call: str
    created: float
    answer: Reply | None = None
    stuck: bool = False


class JobDesk:
    """The jobs of one cloud."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: dict[str, Job] = {}

    def __repr__(self) -> str:
        running = sum(job.answer is None for job in self._jobs.values())
        return f"<JobDesk: {running} of {len(self._jobs)} processing>"

    def open(self, wanted: str, call: str) -> Job:
        """Return a new job, of the uuid that the client wants.

        Raises:
            BadRequest: The uuid has a wrong length or was used before.
        """
        if wanted and len(wanted) != _UUID_LENGTH:
            raise BadRequest(f"Invalid header X-Job-UUID[{wanted}], it must be a uuid of {_UUID_LENGTH} characters")
        self._forget_old()
        if wanted in self._jobs:
            raise BadRequest(f"Duplicate job uuid[{wanted}]")
        job = Job(wanted or self._store.new_uuid(), call, self._store.clock.monotonic())
        self._jobs[job.uuid] = job
        return job

    def run(self, job: Job, start: Callable[[], Json | Work], fate: Fault | None) -> None:
        """Carry out a job, or what a fault has left of it."""
        if fate is not None and fate.kind is Kind.FAILURE and not fate.carried_out:
            self._close(job, Failure(fate.code, fate.message))
            return
        if fate is not None and fate.kind is Kind.STUCK_JOB:
            job.stuck = True
            if not fate.carried_out and fate.scope != "half":
                return
        self._start(job, start, half=fate is not None and fate.scope == "half")
        if fate is not None and fate.kind is Kind.LOST_JOB:
            del self._jobs[job.uuid]
        if fate is not None and fate.kind is Kind.FAILURE:
            job.answer = self._failed(Failure(fate.code, fate.message))

    def poll(self, uuid: str) -> Reply:
        """Return what polling a job answers.

        Raises:
            BadRequest: 404, it is unknown or expired.
        """
        self._forget_old()
        job = self._jobs.get(uuid)
        if job is None:
            raise BadRequest("the job has been expired", 404)
        return job.answer or reply({}, 202)

    def call_of(self, uuid: str) -> str:
        """Return the name of the call that opened a job; empty for none."""
        job = self._jobs.get(uuid)
        return job.call if job else ""

    def forget(self, uuid: str = "") -> None:
        """Lose the record of a job, or of all, as a purge does."""
        if uuid:
            self._jobs.pop(uuid, None)
        else:
            self._jobs.clear()

    def _start(self, job: Job, start: Callable[[], Json | Work], *, half: bool) -> None:
        try:
            work = start()
        except Failure as failure:
            self._close(job, failure)
            return
        except Exception as error:  # noqa: BLE001 - see _bug
            self._close(job, _bug(job, error))
            return
        if isinstance(work, dict):
            result = work
            self._store.timeline.after(self._store.timing.job_s, lambda: self._close(job, result))
        else:
            self._step(job, work, half=half)

    def _step(self, job: Job, work: Work, *, half: bool = False) -> None:
        try:
            delay_s = next(work)
        except StopIteration as end:
            self._close(job, end.value)
        except Failure as failure:
            self._close(job, failure)
        except Exception as error:  # noqa: BLE001 - see _bug
            self._close(job, _bug(job, error))
        else:
            if not half:
                self._store.timeline.after(delay_s, lambda: self._step(job, work))

    def _close(self, job: Job, result: Json | Failure) -> None:
        if job.stuck or job.answer is not None:
            return
        job.answer = self._failed(result) if isinstance(result, Failure) else reply(result)

    def _failed(self, failure: Failure) -> Reply:
        return reply({"error": document(failure, self._store.settings.locale, of_job=True)}, 503)

    def _forget_old(self) -> None:
        # Oldest first, so the scan ends at the first young one; those still processing are kept.
        oldest = self._store.clock.monotonic() - EXPIRES_S
        expired = []
        for job in self._jobs.values():
            if job.created > oldest:
                break
            if job.answer is not None:
                expired.append(job.uuid)
        for uuid in expired:
            del self._jobs[uuid]


def _bug(job: Job, error: Exception) -> Failure:
    """Word an error of the fake's own as the server does, so that it fails the job and not the next one's request."""
    log.error("job failed by a bug", extra={"job": job.uuid, "call": job.call}, exc_info=error)
    return Failure("SYS.1000", f"{type(error).__name__}: {error}")
