"""Calls of the gateway: sent again while it makes sense, as whom the message proves; its errors as one exception."""

from __future__ import annotations

import threading
import time
from concurrent import futures
from dataclasses import replace

import grpc
import pytest
from common.client.tests.conftest import Gateway as Answering
from google.longrunning import operations_pb2
from prometheus_client import CollectorRegistry

from cloudspan.client.generated import sync_credentials
from cloudspan.v1 import server_pb2, volume_pb2
from cloudspan_bus.config import BusConfig
from cloudspan_bus.contract import rpcs
from cloudspan_bus.delivery import Stopping
from cloudspan_bus.errors import RemoteError
from cloudspan_bus.gateway import Gateway, Patience
from cloudspan_bus.metrics import BusMetrics
from cloudspan_bus.request import Request
from cloudspan_common import errors

SERVERS, VOLUMES = "cloudspan.v1.ServerService", "cloudspan.v1.VolumeService"
CREATE = Request(
    rpcs()[VOLUMES]["CreateVolume"],
    volume_pb2.CreateVolumeRequest(request_id="0e0c0f6e-6f0b-4b0a-9d0e-2f6f8c7d1a11"),
    (("x-cloudspan-via", "bus/one"),),
    has_credential=False,
)
GET = replace(CREATE, rpc=rpcs()[SERVERS]["GetServer"], message=server_pb2.GetServerRequest(name="x"))


@pytest.fixture
def answering():
    """A gateway that answers what a test says."""
    found = Answering()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((found,))
    found.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield found
    server.stop(None).wait()


@pytest.fixture
def asking(answering):
    """Make a gateway's client with options; close it at the end."""
    made = []

    def make(stop: threading.Event | None = None, **options: object) -> Gateway:
        config = BusConfig(gateway=answering.address, **options)
        made.append(Gateway(config, stop or threading.Event(), BusMetrics(CollectorRegistry())))
        return made[-1]

    yield make
    for each in made:
        each.close()


def patience(seconds: float = 10.0, *, waits: bool) -> Patience:
    return Patience(time.monotonic() + seconds, waits)


def failing(times: int, error: errors.CloudspanError, then: object):
    """Return what fails so often, and then answers."""
    left = [error] * times

    def answer(_request: object) -> object:
        return left.pop() if left else then

    return answer


def test_a_cast_that_is_refused_for_the_moment_is_sent_again(answering, asking):
    """Another change of the same resource is under way: it will not always be."""
    operation = operations_pb2.Operation(name="operations/1")
    answering.answers["CreateVolume"] = failing(2, errors.Busy("in the way"), operation)
    assert asking().answer(CREATE, patience(waits=False)) == {"name": "operations/1", "done": False}
    assert [call.method for call in answering.calls] == ["CreateVolume"] * 3


def test_a_caller_that_waits_hears_at_once_what_is_refused_for_the_moment(answering, asking):
    """With its recovery, code, reason and details."""
    answering.answers["CreateVolume"] = errors.Busy("in the way", metadata={"cluster": "c"}, retry_after_s=2.0)
    with pytest.raises(RemoteError) as caught:
        asking().answer(CREATE, patience(waits=True))
    error = caught.value
    assert (error.code, error.reason, error.recovery, error.retry_after) == ("ABORTED", "BUSY", "retry", 2.0)
    assert error.details[0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert len(answering.calls) == 1


def test_what_has_no_request_id_is_never_sent_twice(answering, asking):
    """It might have an effect each time."""
    answering.answers["CreateVolume"] = errors.Unreachable("no instance")
    once = replace(CREATE, message=volume_pb2.CreateVolumeRequest())
    with pytest.raises(RemoteError):
        asking().answer(once, patience(waits=False))
    assert len(answering.calls) == 1


def test_the_buss_own_token_and_tenant_are_for_messages_without_a_credential_alone(answering, asking, tmp_path):
    """Neither is added to what a caller says."""
    (tmp_path / "token").write_text("own-token\n")
    gateway = asking(token_file=tmp_path / "token", tenant="acme")
    gateway.answer(GET, patience(waits=True))
    theirs = replace(GET, metadata=(("authorization", "Bearer theirs"),), has_credential=True)
    gateway.answer(theirs, patience(waits=True))
    own, other = (call.metadata for call in answering.calls)
    assert (own["authorization"], own["x-tenant"]) == ("Bearer own-token", "acme")
    assert (other["authorization"], other.get("x-tenant")) == ("Bearer theirs", None)


def test_a_token_file_that_is_away_is_waited_for(answering, asking, tmp_path, monkeypatch):
    """Whoever renews it may take it away for a moment."""
    monkeypatch.setattr(sync_credentials, "FAILURE_HOLDS_S", 0.05)
    file = tmp_path / "token"
    gateway = asking(token_file=file)
    threading.Timer(0.05, file.write_text, ("own-token",)).start()
    gateway.answer(GET, patience(waits=True))
    assert answering.calls[0].metadata["authorization"] == "Bearer own-token"


def test_a_stop_hands_a_cast_back(answering, asking):
    """In the pause before it is sent again."""
    stop = threading.Event()
    stop.set()
    answering.answers["CreateVolume"] = errors.Unreachable("no instance")
    with pytest.raises(Stopping):
        asking(stop).answer(CREATE, patience(waits=False))


def test_waits_are_renewed_until_the_end(answering, asking):
    """The finished operation, with its result."""
    volume = volume_pb2.Volume(name="v")
    ended = operations_pb2.Operation(name="operations/1", done=True)
    ended.response.Pack(volume)
    answering.answers["CreateVolume"] = ended
    found = asking().answer(CREATE, patience(waits=True))
    assert found["done"] is True
    assert found["response"] == {"@type": "type.googleapis.com/cloudspan.v1.Volume", "name": "v"}
    assert answering.calls[0].metadata["x-wait"] == "5s"
