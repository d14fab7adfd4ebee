"""A service of the gateway's own is a plain object with a function per rpc."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from gateway.tests.calls import call
from google.longrunning import operations_pb2

from cloudspan.v1 import operation_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway.call import Call, Target
from cloudspan_gateway.services.methods import ServiceMethod, service_methods

SERVICE = "cloudspan.v1.OperationService"


class Operations:
    """Two of the service's methods."""

    async def explain_operation(
        self, request: operation_pb2.ExplainOperationRequest, _: Call
    ) -> operation_pb2.OperationExplanation:
        return operation_pb2.OperationExplanation(name=request.name)

    async def watch_operation(
        self, request: operation_pb2.WatchOperationRequest, _: Call
    ) -> AsyncIterator[operations_pb2.Operation]:
        for done in (False, True):
            yield operations_pb2.Operation(name=request.name, done=done)


def methods() -> dict[str, ServiceMethod]:
    return {method.path.rpartition("/")[2]: method for method in service_methods(SERVICE, Operations())}


def asked(method: ServiceMethod, request: bytes) -> Call:
    made = call(method.path, request)
    made.target = Target(method.path[1:], message=method.parse(request))
    return made


def test_only_what_the_object_has_a_function_for_is_served() -> None:
    """The rest is UNIMPLEMENTED, or an adapter's."""
    assert {name: method.streams for name, method in methods().items()} == {
        "ExplainOperation": False,
        "WatchOperation": True,
    }


async def test_one_answer_is_returned() -> None:
    """As bytes, for the door to give back."""
    method = methods()["ExplainOperation"]
    request = operation_pb2.ExplainOperationRequest(name="operations/1").SerializeToString()
    answer = await method.answer(asked(method, request))
    assert operation_pb2.OperationExplanation.FromString(answer).name == "operations/1"


async def test_a_stream_is_written_to_the_call() -> None:
    """Message by message, behind a head with the request id."""
    method = methods()["WatchOperation"]
    watching = asked(method, operation_pb2.WatchOperationRequest(name="operations/1").SerializeToString())
    assert await method.answer(watching) is None
    written = [operations_pb2.Operation.FromString(message).done for message in watching.writer.messages]
    assert written == [False, True]
    assert "x-request-id" in watching.writer.head


@pytest.mark.parametrize(("body", "reason"), [(b"\xff", "MALFORMED_MESSAGE"), (b"", "REQUIRED_FIELD_MISSING")])
def test_another_message_is_refused(body: bytes, reason: str) -> None:
    """Before any function sees it."""
    with pytest.raises(InvalidRequest) as refused:
        methods()["ExplainOperation"].parse(body)
    assert refused.value.reason == reason
