"""What each method of the contract is, read from its descriptor; nothing is derived from a method's name.

The gateway forwards and the kit serves by this table, so that a new rpc in `protos/` needs no code in either.
"""

from __future__ import annotations

import enum
import functools
import importlib
import pkgutil
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from google.api import field_behavior_pb2, resource_pb2, routing_pb2
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pb2, message_factory, symbol_database

import cloudspan.v1
from cloudspan.v1 import annotations_pb2
from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
    from google.protobuf.message import Message

CONTRACT_VERSION = 1
"""What this build speaks; instances state the range they speak when they register."""

PACKAGE = "cloudspan.v1"
DEFAULT_DEADLINE_S = 3600.0
"""Deadline of a mutation that declares none."""

Concurrency = annotations_pb2.Mutation.Concurrency
Permission = annotations_pb2.Permission

_OPERATION = operations_pb2.Operation.DESCRIPTOR.full_name
_NO_SIDE_EFFECTS = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
_RESOURCE_SEGMENTS = 6  # platforms/{}/clusters/{}/servers/{}
_REQUIRED, _IDENTIFIER = field_behavior_pb2.REQUIRED, field_behavior_pb2.IDENTIFIER


class Kind(enum.Enum):
    """What a method does, as far as routing is concerned."""

    READ = "read"
    """No side effects: forwarded as bytes, may be retried on another instance."""
    LIST = "list"
    """A read with pages and `unreachable`: fans out when its parent holds a wildcard."""
    MUTATION = "mutation"
    """Is routed to a cluster and returns google.longrunning.Operation: driven step by step."""
    CALL = "call"
    """Anything else: forwarded as bytes, never retried."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the contract."""

    full_name: str
    """`cloudspan.v1.ServerService/GetServer`."""
    service: str
    name: str
    kind: Kind
    request: type[Message]
    response: type[Message]
    result: type[Message]
    """What a mutation's Operation holds in the end; elsewhere the response."""
    routed_field: str
    """`name`, `parent` or a dotted path; empty when the gateway itself answers."""
    collection: str
    """`servers` where the routed field names a resource; empty where it names a cluster."""
    items_field: str
    """The repeated field of a list's response that holds the resources."""
    client_streaming: bool
    server_streaming: bool
    concurrency: Concurrency = annotations_pb2.Mutation.CONCURRENCY_UNSPECIFIED
    """What else may run on the same resource beside a mutation; unspecified for other methods."""
    deadline_s: float = DEFAULT_DEADLINE_S
    """How long a mutation usually takes at most; past it its operation is STALLED."""
    also: tuple[str, ...] = ()
    """Fields of the request that name a second resource: `volume` of AttachVolume."""
    permission: Permission = annotations_pb2.PERMISSION_UNSPECIFIED
    """What a caller must be allowed to do; never unspecified in `methods`."""

    @property
    def path(self) -> str:
        return f"/{self.full_name}"

    @property
    def python_name(self) -> str:
        """`get_server`: what a driver calls its function for this method."""
        return snake_case(self.name)

    @property
    def item(self) -> type[Message]:
        """The resource that a list lists."""
        field = self.response.DESCRIPTOR.fields_by_name[self.items_field]
        return message_factory.GetMessageClass(cast("Descriptor", field.message_type))


def snake_case(name: str) -> str:
    """`ListKeyPairs` -> `list_key_pairs`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@functools.cache
def methods() -> Mapping[str, Method]:
    """Every method of `cloudspan.v1` by full name, in the order of the proto files."""
    for module in pkgutil.iter_modules(cloudspan.v1.__path__):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{PACKAGE}.{module.name}")
    found = {}
    for module in sorted(pkgutil.iter_modules(cloudspan.v1.__path__), key=lambda m: m.name):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"{PACKAGE}.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                if service.GetOptions().Extensions[annotations_pb2.implemented_by_callers]:
                    continue
                for descriptor in service.methods:
                    method = _method(descriptor)
                    found[method.full_name] = method
    return MappingProxyType(found)


@functools.cache
def getter(collection: str) -> Method:
    """The method that returns one resource of a collection.

    Raises:
        InvalidRequest: The contract has no such collection, or none of its resources can be read.
    """
    for method in methods().values():
        resource = method.response.DESCRIPTOR.GetOptions().Extensions[resource_pb2.resource]
        if method.kind is Kind.READ and method.collection == resource.plural == collection:
            return method
    raise InvalidRequest(f"the contract has no collection {collection!r}", reason="UNKNOWN_COLLECTION")


@functools.cache
def lister(collection: str) -> Method:
    """The method that lists a collection; raises as `getter`."""
    item = getter(collection).response
    return next(method for method in methods().values() if method.kind is Kind.LIST and method.item is item)


@functools.cache
def services() -> tuple[str, ...]:
    """Full names of the services of the contract."""
    return tuple(dict.fromkeys(method.service for method in methods().values()))


def _method(descriptor: MethodDescriptor) -> Method:
    routed_field = _routed_field(descriptor)
    response = message_factory.GetMessageClass(descriptor.output_type)
    kind = _kind(descriptor)
    service = descriptor.containing_service.full_name
    mutation = _mutation(descriptor) if kind is Kind.MUTATION else {}
    return Method(
        full_name=f"{service}/{descriptor.name}",
        service=service,
        name=descriptor.name,
        kind=kind,
        request=message_factory.GetMessageClass(descriptor.input_type),
        response=response,
        result=_result(descriptor) if kind is Kind.MUTATION else response,
        routed_field=routed_field,
        collection=collection_of(_field_at(descriptor.input_type, routed_field)) if routed_field else "",
        items_field=next((f.name for f in descriptor.output_type.fields if f.number == 1), "")
        if kind is Kind.LIST
        else "",
        client_streaming=descriptor.client_streaming,
        server_streaming=descriptor.server_streaming,
        permission=_permission(descriptor),
        **mutation,
    )


def _routed_field(descriptor: MethodDescriptor) -> str:
    routing = descriptor.GetOptions().Extensions[routing_pb2.routing].routing_parameters
    return str(routing[0].field) if routing else ""


def _mutation(descriptor: MethodDescriptor) -> dict[str, Any]:
    """What the `mutation` option says."""
    said: annotations_pb2.Mutation = descriptor.GetOptions().Extensions[annotations_pb2.mutation]  # type: ignore[index]
    return {
        "concurrency": said.concurrency or annotations_pb2.Mutation.CONCURRENCY_EXCLUSIVE,
        "deadline_s": said.deadline.ToNanoseconds() / 1e9 or DEFAULT_DEADLINE_S,
        "also": tuple(said.also),
    }


def _permission(descriptor: MethodDescriptor) -> Permission:
    said: Permission = descriptor.GetOptions().Extensions[annotations_pb2.permission]  # type: ignore[index]
    if said != annotations_pb2.PERMISSION_UNSPECIFIED:
        return said
    reads = descriptor.GetOptions().idempotency_level == _NO_SIDE_EFFECTS
    return annotations_pb2.PERMISSION_READ if reads else annotations_pb2.PERMISSION_OPERATE


def _kind(descriptor: MethodDescriptor) -> Kind:
    returns_operation = descriptor.output_type.full_name == _OPERATION and not descriptor.server_streaming
    if returns_operation and _routed_field(descriptor):
        return Kind.MUTATION
    if descriptor.GetOptions().idempotency_level != _NO_SIDE_EFFECTS:
        return Kind.CALL
    pages = "page_token" in descriptor.input_type.fields_by_name
    parts = "unreachable" in descriptor.output_type.fields_by_name
    return Kind.LIST if pages and parts else Kind.READ


def _result(descriptor: MethodDescriptor) -> type[Message]:
    info = descriptor.GetOptions().Extensions[operations_pb2.operation_info]
    name = info.response_type if "." in info.response_type else f"{PACKAGE}.{info.response_type}"
    return symbol_database.Default().GetSymbol(name)


def _field_at(message: Descriptor, path: str) -> FieldDescriptor:
    """Return the field that a dotted path leads to: `server.name` of an Update."""
    *parents, last = path.split(".")
    for parent in parents:
        message = cast("Descriptor", message.fields_by_name[parent].message_type)
    return message.fields_by_name[last]


def collection_of(field: FieldDescriptor) -> str:
    """Return the collection whose resources a field names; empty where it names a cluster.

    A field refers to a resource, or it is the identifier of one (the `name` in the resource of an Update).
    """
    message = _referenced(field)
    if message is None:
        return ""
    segments = message.GetOptions().Extensions[resource_pb2.resource].pattern[0].split("/")
    return str(segments[4]) if len(segments) == _RESOURCE_SEGMENTS else ""


def _referenced(field: FieldDescriptor) -> Descriptor | None:
    """The message of the resource that a field names; None for a cluster's children and for what has no message."""
    if _IDENTIFIER in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]:
        return cast("Descriptor", field.containing_type)
    kind = field.GetOptions().Extensions[resource_pb2.resource_reference].type.rpartition("/")[2]
    try:
        return cast("Descriptor", symbol_database.Default().GetSymbol(f"{PACKAGE}.{kind}").DESCRIPTOR) if kind else None
    except KeyError:
        return None  # any resource ("*"), or one that only clouds have: a host


def check_required(request: Message) -> None:
    """Raise InvalidRequest that names every REQUIRED field left empty, nested and repeated ones included.

    Of the resource in an Update only its name and what `update_mask` names can be missing (AIP-134).
    """
    violations = [Violation(path, "is required and empty") for path in _missing(request)]
    if violations:
        names = ", ".join(v.field for v in violations)
        text = f"{request.DESCRIPTOR.name}: required and empty: {names}"
        raise InvalidRequest(text, reason="REQUIRED_FIELD_MISSING", violations=violations)


def _missing(request: Message) -> Iterator[str]:
    mask = request.DESCRIPTOR.fields_by_name.get("update_mask")
    if mask is None:
        yield from _missing_in(request, "")
        return
    asked = {"name", *getattr(request, mask.name).paths}
    for path in _missing_in(request, ""):
        _, _, inner = path.partition(".")
        if not inner or inner in asked:
            yield path


def _missing_in(message: Message, prefix: str) -> Iterator[str]:
    present = {field.name: value for field, value in message.ListFields()}
    for name in _required_fields(message.DESCRIPTOR):
        if name not in present:
            yield prefix + name
    for field, repeated in _checked_fields(message.DESCRIPTOR):
        if field not in present:
            continue
        if not repeated:
            yield from _missing_in(present[field], f"{prefix}{field}.")
            continue
        for index, item in enumerate(present[field]):
            yield from _missing_in(item, f"{prefix}{field}[{index}].")


@functools.cache
def _required_fields(descriptor: Descriptor) -> tuple[str, ...]:
    behaviour = field_behavior_pb2.field_behavior
    return tuple(f.name for f in descriptor.fields if _REQUIRED in f.GetOptions().Extensions[behaviour])


@functools.cache
def _checked_fields(descriptor: Descriptor) -> tuple[tuple[str, bool], ...]:
    """(name, whether repeated) of the contract's messages inside `descriptor`; maps hold none of them."""
    return tuple(
        (f.name, f.is_repeated)
        for f in descriptor.fields
        if f.message_type is not None
        and f.message_type.full_name.startswith(f"{PACKAGE}.")
        and not f.message_type.GetOptions().map_entry
    )


def routed_value(method: Method, request: Message) -> str:
    """The value of the routed field; empty when it is not set."""
    value: Message | str = request
    for part in method.routed_field.split("."):
        value = getattr(value, part)
    return str(value)


def check_routed(method: Method, request: Message) -> None:
    """Raise InvalidRequest when nothing says which cluster the request is for."""
    field = method.routed_field
    if not routed_value(method, request):
        text = (
            f"{method.name}: {field} is empty, and no metadata names a cluster; set {field}, or send x-pool, or "
            "x-platform and x-cluster"
        )
        raise InvalidRequest(text, reason="REQUIRED_FIELD_MISSING", violations=[Violation(field, text)])
