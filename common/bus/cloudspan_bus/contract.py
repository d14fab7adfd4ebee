"""The methods that can be called over the bus, by namespace and name, with what each takes and returns."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from google.longrunning import operations_pb2
from google.protobuf import message_factory
from google.rpc import error_details_pb2  # noqa: F401 - the details of errors must be known to be shown as JSON

from cloudspan_common import contract
from cloudspan_common.contract import CONTRACT_VERSION, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

VERSION = f"{CONTRACT_VERSION}.0"
"""What `target.version` is compared with, as oslo.messaging does: the same major, and a minor of at most this one."""


@dataclass(frozen=True, slots=True)
class Rpc:
    """One method of the contract as the bus calls it."""

    path: str
    """`/cloudspan.v1.ServerService/GetServer`."""
    request: type[Message]
    response: type[Message]
    is_mutation: bool
    """Whether its answer is an operation that goes on after it."""
    is_read: bool
    """Whether it can be sent again without an effect."""
    is_stream: bool

    @property
    def takes_request_id(self) -> bool:
        """Whether sending it again with the same `request_id` has one effect."""
        return "request_id" in self.request.DESCRIPTOR.fields_by_name


@functools.cache
def rpcs() -> Mapping[str, Mapping[str, Rpc]]:
    """Every method that callers have, by full name of its service and by name."""
    found: dict[str, dict[str, Rpc]] = {}
    for method in contract.methods().values():
        found.setdefault(method.service, {})[method.name] = Rpc(
            method.path,
            method.request,
            method.response,
            method.kind is Kind.MUTATION,
            method.kind in (Kind.READ, Kind.LIST),
            method.client_streaming or method.server_streaming,
        )
    operations: Any = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    found[operations.full_name] = {each.name: _longrunning(each) for each in operations.methods}
    return MappingProxyType(found)


def _longrunning(method: Any) -> Rpc:
    request, response = (message_factory.GetMessageClass(each) for each in (method.input_type, method.output_type))
    path = f"/{method.containing_service.full_name}/{method.name}"
    return Rpc(path, request, response, False, method.name.startswith(("Get", "List", "Wait")), False)
