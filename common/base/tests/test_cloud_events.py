"""Events as CloudEvents JSON, whatever stands in them, in a process that has imported nothing else."""

from __future__ import annotations

import json
import subprocess
import sys

from cloudspan.v1 import event_pb2, server_pb2
from cloudspan_common.cloud_events import cloud_event


def test_an_event_has_the_attributes_of_the_specification() -> None:
    """Those that are empty are left out; other letters than ASCII stand as they are."""
    event = event_pb2.Event(id="1", type="resource.servers.added", subject="s", cluster="platforms/a/clusters/b")
    event.time.FromJsonString("2026-11-28T20:00:00.125Z")
    event.resource.display_name = "bücher"
    event.resource.resource.Pack(server_pb2.Server(display_name="bücher"))
    found = json.loads(cloud_event(event))
    assert found.pop("data")["resource"] == {
        "@type": "type.googleapis.com/cloudspan.v1.Server", "display_name": "bücher",
    }  # fmt: skip
    assert found == {
        "specversion": "1.0",
        "id": "1",
        "source": "/platforms/a/clusters/b",
        "type": "dev.cloudspan.resource.servers.added.v1",
        "subject": "s",
        "time": "2026-11-28T20:00:00.125Z",
        "datacontenttype": "application/json",
    }
    assert "bücher".encode() in cloud_event(event)


def test_an_event_without_data_is_one() -> None:
    assert json.loads(cloud_event(event_pb2.Event(id="1", type="webhook.test")))["data"] == {}


def test_an_error_s_details_that_nobody_knows_hold_nothing_up() -> None:
    """An adapter may answer with types of its own; the others stay."""
    event = event_pb2.Event(id="1", type="operation.failed")
    event.operation.error.message = "no"
    event.operation.error.details.add(type_url="type.googleapis.com/acme.Own", value=b"x")
    event.operation.error.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo")
    assert json.loads(cloud_event(event))["data"]["error"] == {
        "message": "no", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo"}],
    }  # fmt: skip


def test_every_type_of_the_contract_is_known_to_who_imports_this_alone() -> None:
    """A process that had not imported a kind would stop at its first event."""
    program = (
        "from cloudspan_common.cloud_events import cloud_event\n"
        "from cloudspan.v1 import event_pb2\n"
        "for name in ('Volume', 'FloatingIp', 'Server'):\n"
        "    event = event_pb2.Event(id='1', type='resource.x.added')\n"
        "    event.resource.resource.type_url = f'type.googleapis.com/cloudspan.v1.{name}'\n"
        "    cloud_event(event)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
