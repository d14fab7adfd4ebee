"""Mutations of one resource at the same time: which run, which queue, which are refused, which give way.

A store judges within the write that accepts an intent, so that nothing comes between. What a method means to others is
said in the contract (`cloudspan.v1.mutation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan.v1 import annotations_pb2
from cloudspan_common import contract
from cloudspan_common.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudspan_gateway.operations.model import Intent, Row

Concurrency = annotations_pb2.Mutation.Concurrency


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an intent that is accepted means to those under way."""

    waits_for: str = ""
    """Id of the operation that it queues behind."""
    preempts: tuple[str, ...] = ()
    """Ids of the operations that it ends."""


def names_of(intent: Intent) -> tuple[str, ...]:
    """Return the resources whose other mutations matter to an intent; none for most creates."""
    return (intent.target, *intent.also) if intent.target else intent.also


def judge(intent: Intent, others: Iterable[Row]) -> Verdict:
    """Return how an intent gets on with `others`, operations that have not ended and share a resource with it.

    Raises:
        Busy: It does not; the message names the one that stands in its way.
    """
    # A name in another project is not what this caller means by it: its operation ends without having found anything,
    # and must neither end what others do there nor learn of it.
    met = sorted((row for row in others if row.intent.project == intent.project), key=lambda row: row.sequence)
    if _concurrency(intent.method) == Concurrency.CONCURRENCY_PREEMPTING:
        return _preempting(intent, met)
    waits_for = ""
    for row in met:
        if _clash(intent, row):
            raise _busy(intent, row)
        if set(intent.also) & set(row.intent.also):
            waits_for = row.intent.id
    return Verdict(waits_for)


def _preempting(intent: Intent, met: Sequence[Row]) -> Verdict:
    """A Delete ends what works on its resource, and queues behind another Delete of it.

    What only names the resource, such as the attachment of a volume that is to be deleted, is left alone: the
    platform refuses the Delete as long as the volume is in use, and says so.
    """
    mine = [row for row in met if row.resource == intent.target]
    leaving = [row.intent.id for row in mine if _concurrency(row.intent.method) == Concurrency.CONCURRENCY_PREEMPTING]
    return Verdict(leaving[-1] if leaving else "", tuple(row.intent.id for row in mine if row.intent.id not in leaving))


def _clash(intent: Intent, row: Row) -> bool:
    both = {_concurrency(intent.method), _concurrency(row.intent.method)}
    if Concurrency.CONCURRENCY_PREEMPTING in both:
        return True  # what is named is being deleted
    return intent.target == row.resource and both != {Concurrency.CONCURRENCY_SHARED}


def _concurrency(method: str) -> Concurrency:
    known = contract.methods().get(method)
    return known.concurrency if known else Concurrency.CONCURRENCY_EXCLUSIVE


def _busy(intent: Intent, row: Row) -> Busy:
    if intent.caller and row.intent.tenant != intent.tenant:
        asked = intent.method.rpartition("/")[2]
        text = f"{asked} was not accepted: an operation of another tenant is under way on {row.resource}; retry later"
        return Busy(text, reason="OPERATION_IN_PROGRESS", resource=row.resource)
    word = row.intent.method.rpartition("/")[2]
    text = (
        f"{intent.method.rpartition('/')[2]} was not accepted: {row.name} ({word}) is under way on {row.resource}; "
        "wait for its end (WaitOperation), or cancel it"
    )
    return Busy(text, reason="OPERATION_IN_PROGRESS", metadata={"operation": row.name}, resource=row.resource)
