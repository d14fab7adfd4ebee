"""An event as CloudEvents JSON, in the structured mode: what the message bus publishes and webhooks send.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pool, json_format

# The types of what stands in Any must be known: errors' details here, resources and metadata by the contract.
from google.rpc import error_details_pb2  # noqa: F401 - see above

from cloudspan.v1 import event_pb2
from cloudspan_common import contract

if TYPE_CHECKING:
    from google.protobuf.message import Message

CONTENT_TYPE = "application/cloudevents+json"
VERSION = "v1"
"""Of what stands in `data`; another one when a field changes its meaning."""


def cloud_event(event: event_pb2.Event) -> bytes:
    """Return an event as JSON, UTF-8; `data` is the field of its `oneof`, with the names of the .proto."""
    found = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/{event.cluster}",
        "type": f"dev.cloudspan.{event.type}.{VERSION}",
        "time": event.time.ToJsonString(),
        "datacontenttype": "application/json",
        "data": _data(event),
    }
    for name in ("subject", "tenant"):
        if value := getattr(event, name):
            found[name] = value
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def _data(event: event_pb2.Event) -> dict[str, Any]:
    kind = event.WhichOneof("data")
    if kind is None:
        return {}
    contract.services()  # loads it
    data: Message = getattr(event, kind)
    if kind == "operation" and not all(_is_known(detail.type_url) for detail in event.operation.error.details):
        # Details that only some adapter knows can't be shown as JSON; what the error says stands in its message.
        shown = event_pb2.Event()
        shown.operation.CopyFrom(event.operation)
        del shown.operation.error.details[:]
        shown.operation.error.details.extend(
            detail for detail in event.operation.error.details if _is_known(detail.type_url)
        )
        data = shown.operation
    return json_format.MessageToDict(data, preserving_proto_field_name=True)


def _is_known(type_url: str) -> bool:
    try:
        descriptor_pool.Default().FindMessageTypeByName(type_url.rpartition("/")[2])
    except KeyError:
        return False
    return True
