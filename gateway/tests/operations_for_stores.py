"""Intents, progress and outcomes that the stores' tests share, and short ways to claim and to end one."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

from google.protobuf import any_pb2
from google.rpc import status_pb2

from cloudspan.v1 import operation_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_gateway.operations.model import Intent, Phase, Progress, Row
from cloudspan_gateway.operations.stores.base import Claim, OperationStore

LEASE_S = 60.0
DONE = any_pb2.Any(type_url="type.googleapis.com/google.protobuf.Empty")
CANCELLED = status_pb2.Status(code=1, message="cancelled")
CLUSTER = ClusterRef("p", "c")
SERVER, VOLUME = CLUSTER.resource("servers", "1"), CLUSTER.resource("volumes", "2")
PROGRESS = Progress(
    cursor=b"\x00cursor",
    phase=Phase.PHASE_RECONCILING,
    stage="server",
    percent=40,
    resource=SERVER,
    native_ids={"server": "1"},
    left_overs=(operation_pb2.LeftOver(name="platforms/p/clusters/c/ports/2", reason="why", removed=True),),
)


def intent(word: str = "CreateServer", **fields: Any) -> Intent:
    """Return a new intent; its method is one of ServerService unless it names another service."""
    made = Intent(
        id=str(uuid.uuid4()),
        method=f"cloudspan.v1.{word}" if "/" in word else f"cloudspan.v1.ServerService/{word}",
        request=b"\x01\xff",
        cluster=CLUSTER,
        request_id=str(uuid.uuid4()),
        digest=b"d\x00",
        traceparent="00-1-2-01",
        tenant="t",
    )
    return dataclasses.replace(made, **fields)


def on_server(word: str, **fields: Any) -> Intent:
    """Return a new intent that changes the one server."""
    return intent(word, target=SERVER, **fields)


def twin(first: Intent, **fields: Any) -> Intent:
    """Return the same request sent once more."""
    return dataclasses.replace(first, id=str(uuid.uuid4()), **fields)


async def claimed(store: OperationStore, operation_id: str = "") -> Claim:
    """Claim whatever is free; return the claim of one operation."""
    claims = [claim for claim, _ in await store.claim(100)]
    (found,) = [claim for claim in claims if claim.id == operation_id] if operation_id else claims
    return found


async def ended(store: OperationStore, outcome: Any = DONE) -> Row:
    """Accept an operation and end it."""
    row = await store.accept(intent())
    return await store.finish(await claimed(store, row.intent.id), PROGRESS, outcome)
