"""An event as CloudEvents JSON, in the structured mode: what the message bus publishes and webhooks send.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from google.protobuf import json_format

# Operations carry their metadata as Any, which JSON can show only of types that are known.
from cloudspan.v1 import operation_pb2  # noqa: F401

if TYPE_CHECKING:
    from cloudspan.v1.event_pb2 import Event

CONTENT_TYPE = "application/cloudevents+json"
VERSION = "v1"
"""Of what stands in `data`; another one when a field changes its meaning."""


def cloud_event(event: Event) -> bytes:
    """Return an event as JSON, UTF-8; `data` is the field of its `oneof`, with the names of the .proto."""
    kind = event.WhichOneof("data")
    found = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/{event.cluster}",
        "type": f"dev.cloudspan.{event.type}.{VERSION}",
        "time": event.time.ToJsonString(),
        "datacontenttype": "application/json",
        "data": json_format.MessageToDict(getattr(event, kind), preserving_proto_field_name=True) if kind else {},
    }
    for name in ("subject", "tenant"):
        if value := getattr(event, name):
            found[name] = value
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
