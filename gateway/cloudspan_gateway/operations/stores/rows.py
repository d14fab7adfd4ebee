"""Operations as the database holds them: a `Row` to columns and back, its secrets sealed on the way.

Called by `batch`, which writes, and `sql`, which reads.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from cloudspan.v1 import operation_pb2
from cloudspan_common.errors import CloudspanError, Defect, from_status, to_status
from cloudspan_common.names import ClusterRef
from cloudspan_gateway.operations.model import Intent, Progress, Row
from cloudspan_gateway.operations.stores.base import Ended
from cloudspan_gateway.storage.tables import operations

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Row as Record

    from cloudspan_gateway.storage.cipher import Cipher

COLUMNS = tuple(column for column in operations.c if column.name not in ("owner", "code", "reason"))

T = TypeVar("T")

_STATUS, _ANY = b"s", b"a"


def of_intent(row: Row, cipher: Cipher) -> dict[str, Any]:
    """Return the columns of a new row; its sequence is the database's to give."""
    intent = row.intent
    return {
        "id": intent.id,
        "request_id": intent.request_key,
        "method": intent.method,
        "cluster": str(intent.cluster),
        "tenant": intent.tenant,
        "caller": intent.caller,
        "roles": json.dumps(intent.roles) if intent.roles else "",
        "project": intent.project,
        "traceparent": intent.traceparent,
        "digest": intent.digest,
        "target": intent.target,
        "also": json.dumps(intent.also) if intent.also else "",
        "request": cipher.seal(intent.request, intent.id, "request"),
        "create_time": row.create_time,
        **of_progress(row, cipher),
    }


def of_progress(row: Row, cipher: Cipher) -> dict[str, Any]:
    """Return the columns that change while an operation goes on."""
    progress, key = row.progress, row.intent.id
    return {
        "resource": row.resource,
        "progress": _packed(progress),
        "cursor": cipher.seal(progress.cursor, key, "cursor") if progress.cursor else None,
        "attempt": row.attempt,
        "epoch": row.epoch,
        "revision": row.revision,
        "update_time": row.update_time,
        "contact_time": row.contact_time,
        "secret": row.secret,
        "cancel_requested": row.cancel_requested,
        "waits_for": row.waits_for,
        "preempted_by": row.preempted_by,
    }


def of_end(row: Row, cipher: Cipher) -> dict[str, Any]:
    """Return the columns that change with its end; what was asked is forgotten."""
    outcome = row.outcome
    if outcome is None:
        raise TypeError(f"{row.name} has not ended")
    kind = _STATUS if isinstance(outcome, status_pb2.Status) else _ANY
    return {
        **of_progress(row, cipher),
        "request": None,
        "outcome": cipher.seal(kind + outcome.SerializeToString(), row.intent.id, "outcome"),
        "end_time": row.end_time,
        "code": row.code,
        "reason": from_status(outcome).reason if isinstance(outcome, status_pb2.Status) else "",
    }


def _packed(progress: Progress) -> bytes:
    kept = operation_pb2.OperationMetadata(
        phase=progress.phase,
        stage=progress.stage,
        percent=progress.percent,
        resource=progress.resource,
        native_ids=progress.native_ids,
        left_overs=progress.left_overs,
        error_summary=progress.error,
    )
    return kept.SerializeToString()


def to_row(record: Record[Any], cipher: Cipher) -> Row:
    """Return the row that a record of `COLUMNS` holds.

    Raises:
        CloudspanError: A key is missing, or it was altered.
    """
    try:
        return _row(record, lambda sealed, column: cipher.open(sealed, record.id, column) if sealed else b"")
    except (DecodeError, ValueError, TypeError) as error:
        text = (
            f"operations/{record.id} can't be read: it was altered in the database ({error}); restore it from a backup"
        )
        raise Defect(text, reason="STORE_DATA_ALTERED") from error


def to_shown_row(record: Record[Any], cipher: Cipher) -> Row:
    """As `to_row`, but one that can't be read says so in place of its outcome or stage: pages go on behind it."""
    try:
        return to_row(record, cipher)
    except CloudspanError as error:
        return _unreadable(record, error)


def to_ended(record: Any) -> Ended:
    """Return what an operation that has ended has changed; nothing of it is sealed."""
    also = tuple(json.loads(record.also)) if record.also else ()
    return Ended(record.cluster, record.method, record.resource, also, record.end_time, record.code in ("", "OK"))


def _unreadable(record: Record[Any], error: CloudspanError) -> Row:
    """Return what can be read of a row, with the error as its outcome, or as its stage if it has not ended."""
    progress = _readable(lambda: _progress(record.progress, b""), Progress())
    return Row(
        intent=_readable(lambda: _intent(record, b""), Intent(record.id, "", b"", ClusterRef("", ""), "")),
        create_time=record.create_time,
        update_time=record.update_time,
        sequence=record.sequence,
        progress=dataclasses.replace(progress, stage=error.message),
        epoch=record.epoch,
        revision=record.revision,
        end_time=record.end_time,
        outcome=to_status(error) if record.outcome else None,
    )


def _readable(read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except (DecodeError, ValueError, TypeError):
        return otherwise


def _row(record: Record[Any], opened: Callable[[bytes | None, str], bytes]) -> Row:
    return Row(
        intent=_intent(record, opened(record.request, "request")),
        create_time=record.create_time,
        update_time=record.update_time,
        sequence=record.sequence,
        progress=_progress(record.progress, opened(record.cursor, "cursor")),
        attempt=record.attempt,
        epoch=record.epoch,
        revision=record.revision,
        contact_time=record.contact_time,
        end_time=record.end_time,
        outcome=_outcome(opened(record.outcome, "outcome")),
        secret=record.secret,
        cancel_requested=record.cancel_requested,
        waits_for=record.waits_for,
        preempted_by=record.preempted_by,
    )


def _intent(record: Record[Any], request: bytes) -> Intent:
    platform, cluster = record.cluster.split("/")[1::2]
    return Intent(
        id=record.id,
        method=record.method,
        request=request,
        cluster=ClusterRef(platform, cluster),
        request_id=record.request_id.rpartition("/")[2],
        digest=bytes(record.digest),
        traceparent=record.traceparent,
        tenant=record.tenant,
        caller=record.caller,
        roles=tuple(json.loads(record.roles)) if record.roles else (),
        project=record.project,
        target=record.target,
        also=tuple(json.loads(record.also)) if record.also else (),
    )


def _progress(packed: bytes, cursor: bytes) -> Progress:
    kept = operation_pb2.OperationMetadata.FromString(packed)
    return Progress(
        cursor=cursor,
        phase=kept.phase,
        stage=kept.stage,
        percent=kept.percent,
        resource=kept.resource,
        native_ids=dict(kept.native_ids),
        left_overs=tuple(kept.left_overs),
        error=kept.error_summary if kept.HasField("error_summary") else None,
    )


def _outcome(plain: bytes) -> any_pb2.Any | status_pb2.Status | None:
    if not plain:
        return None
    if plain[:1] == _STATUS:
        return status_pb2.Status.FromString(plain[1:])
    return any_pb2.Any.FromString(plain[1:])
