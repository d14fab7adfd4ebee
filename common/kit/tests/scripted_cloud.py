"""A tiny cloud that loses replies, commits late and dies on cue, and a gateway that stores what it is answered."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import empty_pb2, struct_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import AlreadyExists, CloudspanError, OutcomeUnknown
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_kit import BY_KEY, BY_MARKER, Call, CreateSafety, Made, Watch
from cloudspan_kit.engine.step import take_step

EAST = ClusterRef("acme", "east")
SETTLE_S = 120.0
NEVER = 1e12


class AdapterDied(BaseException):
    """The process that took the step is gone; nobody answers."""


@dataclass
class Row:
    """One resource of the cloud."""

    id: str
    marker: str
    kind: str
    born: float
    plan: int = 0
    gone: bool = False


@dataclass
class Fault:
    """What befalls one native call, the first of its kind: see `ScriptedCloud.write`."""

    dies_before: bool = False
    dies_after: bool = False
    loses_reply: bool = False
    commits_after_s: float = 0.0
    refuses: CloudspanError | None = None


@dataclass
class ScriptedCloud:
    """Resources by kind, each write with its number; `faults` says by number what goes wrong."""

    clock: FakeClock
    by_key: bool = False
    faults: dict[int, Fault] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    reads: int = 0
    looks: int = 0
    find_fault: CloudspanError | None = None

    def visible(self, kind: str = "") -> list[Row]:
        now = self.clock.monotonic()
        there = [row for row in self.rows if not row.gone and row.born <= now and kind in ("", row.kind)]
        return sorted(there, key=lambda row: row.born)

    async def look(self) -> dict[str, int]:
        """Another answer each time: who goes by two of them makes what does not fit together."""
        self.looks += 1
        return {"plan": self.looks}

    async def create(self, kind: str, marker: str, plan: int = 0) -> Made[object]:
        made: list[Row] = []

        def commit(fault: Fault) -> None:
            taken = self.by_key and any(row.marker == marker for row in self.visible(kind))
            if taken and not fault.commits_after_s:
                raise AlreadyExists(f"{kind} {marker} is there")
            born = self.clock.monotonic() + fault.commits_after_s
            row = Row(f"{kind}-{len(self.rows)}", marker, kind, born, plan)
            self.rows.append(row)
            made.append(row)

        await self.write(f"create {kind}", commit)
        return Made(made[0].id, {"kind": kind, "number": 5, "tags": ["a"]})

    async def find(self, kind: str, marker: str) -> list[Made[object]]:
        self.reads += 1
        if self.find_fault is not None:
            raise self.find_fault
        self._drop_late_twins()
        return [
            Made(row.id, {"kind": kind, "number": 5, "tags": ["a"]})
            for row in self.visible(kind)
            if row.marker == marker
        ]

    def _drop_late_twins(self) -> None:
        """With natural keys the platform refuses a first request that comes in behind the second."""
        if self.by_key:
            for row in self.rows:
                twins = [o for o in self.rows if o.marker == row.marker and not o.gone and o.born < row.born]
                row.gone = row.gone or (bool(twins) and row.born <= self.clock.monotonic())

    async def delete(self, native_id: str) -> None:
        def commit(_: Fault) -> None:
            for row in self.rows:
                if row.id == native_id and row.born <= self.clock.monotonic():
                    row.gone = True

        self._drop_late_twins()
        await self.write(f"delete {native_id}", commit)

    async def write(self, what: str, commit: Callable[[Fault], None]) -> None:
        fault = self.faults.get(len(self.writes), Fault())
        self.writes.append(what)
        if fault.dies_before:
            raise AdapterDied
        if fault.refuses is not None:
            raise fault.refuses
        commit(fault)
        if fault.dies_after:
            raise AdapterDied
        if fault.loses_reply or fault.commits_after_s:
            raise OutcomeUnknown(f"{what} got no reply")


@dataclass
class Ended:
    """How an operation ended."""

    answer: step_pb2.StepResponse
    steps: int

    @property
    def ok(self) -> bool:
        return self.answer.HasField("response")

    @property
    def left_overs(self) -> dict[str, bool]:
        return {left.name: left.removed for left in self.answer.left_overs}

    @property
    def left(self) -> list[str]:
        return [left.name.rpartition("/")[2] for left in self.answer.left_overs if not left.removed]


class Gateway:
    """Does what the runner does: counts attempts, stores each cursor, waits as it is told."""

    def __init__(self, cloud: ScriptedCloud, mutation: Any, *, settle_s: float = SETTLE_S) -> None:
        self.cloud, self.mutation, self.settle_s = cloud, mutation, settle_s
        self.step = step_pb2.StepRequest(
            operation_id=str(uuid.UUID(int=7)), method="acme/Make", installation="test", attempt=0
        )
        self.answers: list[step_pb2.StepResponse] = []
        self.failures: list[CloudspanError] = []
        self.lost_answers: set[int] = set()
        self.deadline_s = 30.0
        self.sent = 0

    async def take(self) -> step_pb2.StepResponse | None:
        """Take one step; None when nobody answered."""
        self.step.attempt += 1
        self.sent += 1
        begun = len(self.cloud.writes)
        call = Call(cluster=EAST, deadline=Deadline.after(self.deadline_s))
        try:
            answer = await take_step(
                self.mutation, empty_pb2.Empty(), self.step, call, settle_s=self.settle_s, clock=self.cloud.clock
            )
        except AdapterDied:
            return None
        except CloudspanError as error:
            self.failures.append(error)
            return None
        finally:
            assert len(self.cloud.writes) - begun <= 1, "two writes in one step"
        if self.sent in self.lost_answers:
            return None
        self.step.cursor, self.step.attempt = answer.cursor, 0
        self.answers.append(answer)
        return answer

    async def drive(self, *, cancel_at: int = -1, most: int = 2000) -> Ended:
        """Step to the end; asks for the end before the step of number `cancel_at`."""
        for number in range(most):
            if number == cancel_at:
                self.step.undo = True
            answer = await self.take()
            if answer is not None and answer.done:
                return Ended(answer, number + 1)
            pause = answer.retry_after.ToNanoseconds() / 1e9 if answer is not None else 0.2
            await self.pass_time(pause)
        raise AssertionError(f"not ended after {most} steps: {self.answers[-1:]}, {self.failures[-1:]}")

    async def pass_time(self, seconds: float) -> None:
        """Nobody sleeps on this clock while no step is taken."""
        self.cloud.clock._monotonic += seconds


def saga(
    cloud: ScriptedCloud,
    kinds: tuple[str, ...] = ("port", "volume", "server"),
    *,
    safety: CreateSafety = BY_MARKER,
    polls: int = 1,
    fails: CloudspanError | None = None,
) -> Any:
    """Return a mutation that looks once, makes one of each kind by what it saw, and waits for each."""
    looked: dict[str, int] = defaultdict(int)

    async def mutation(op: Any, _request: Any) -> struct_pb2.Struct:
        result = struct_pb2.Struct()
        seen = await op.read_once("plan", cloud.look)
        for kind in kinds:
            made = await op.create_step(
                kind,
                send=lambda marker, kind=kind: cloud.create(kind, marker, seen["plan"]),
                find=lambda marker, kind=kind: cloud.find(kind, marker),
                undo=cloud.delete,
                safety=safety,
            )
            assert made.data == {"kind": kind, "number": 5, "tags": ["a"]}

            async def ready(kind: str = kind) -> bool | None:
                looked[kind] += 1
                return True if looked[kind] > polls else None

            await op.wait_until(f"{kind} ready", ready, watch=Watch(f"{kind}s", made.id))
            result.update({kind: made.id})
        op.set_resource(EAST.resource("servers", made.id))
        if fails is not None:
            raise fails
        return result

    return mutation


def one_server(cloud: ScriptedCloud, **given: Any) -> Any:
    async def mutation(op: Any, _: Any) -> None:
        made = await op.create_step(
            "server",
            **{
                "send": lambda marker: cloud.create("server", marker),
                "find": lambda marker: cloud.find("server", marker),
                "undo": cloud.delete,
            }
            | given,
        )
        op.set_resource(EAST.resource("servers", made.id))

    return mutation


__all__ = [
    "BY_KEY",
    "BY_MARKER",
    "EAST",
    "SETTLE_S",
    "AdapterDied",
    "Fault",
    "Gateway",
    "Row",
    "ScriptedCloud",
    "one_server",
    "saga",
]
