"""gRPC server reflection, v1 and v1alpha, over any source of descriptors.

Adapters serve a `PoolSource` of their services; the gateway joins its own with those of what is plugged in. grpcurl
and `buf curl` ask here. The answer to any question holds the whole closure of files, so that one round trip does.

Generated Python code has no comments, and they take more room than the descriptors: `make proto` writes them beside it
as `comments.binpb`. They are read when somebody asks for the first time; a process that nobody asks does without.
"""

from __future__ import annotations

import sys
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Protocol

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from google.protobuf.descriptor import FileDescriptor
    from google.protobuf.descriptor_pool import DescriptorPool

V1 = "grpc.reflection.v1.ServerReflection"
V1ALPHA = "grpc.reflection.v1alpha.ServerReflection"

_COMMENTS = "comments.binpb"
# The contract's file has those of what it imports too: google.api, google.longrunning, google.protobuf, google.rpc.
_CONTRACT = "cloudspan.v1"

Files = tuple[bytes, ...]
"""Serialized FileDescriptorProtos: the file asked for, then all that it imports."""


class DescriptorSource(Protocol):
    """Where descriptors come from. Answers from memory; None means unknown here."""

    def list_services(self) -> Sequence[str]:
        """Return the full names of the services served."""

    def file_by_name(self, name: str) -> Files | None:
        """Return the file of that name with its imports."""

    def file_containing_symbol(self, symbol: str) -> Files | None:
        """Return the file that defines a message, enum, service, method, field or extension."""

    def file_containing_extension(self, type_name: str, number: int) -> Files | None:
        """Return the file that extends the message `type_name` by field `number`."""

    def extension_numbers(self, type_name: str) -> Sequence[int] | None:
        """Return the numbers of all known extensions of a message."""


class PoolSource:
    """The descriptors of a protobuf pool; what is listed is `service_names`, what can be asked is all it holds."""

    def __init__(self, service_names: Iterable[str], pool: DescriptorPool | None = None) -> None:
        self._services = tuple(sorted(service_names))
        self._pool = pool or descriptor_pool.Default()

    def __repr__(self) -> str:
        return f"<PoolSource {len(self._services)} services>"

    def list_services(self) -> Sequence[str]:
        return self._services

    def file_by_name(self, name: str) -> Files | None:
        try:
            return _closure_bytes(self._pool.FindFileByName(name))
        except KeyError:
            return None

    def file_containing_symbol(self, symbol: str) -> Files | None:
        try:
            return _closure_bytes(self._pool.FindFileContainingSymbol(symbol))
        except KeyError:
            return self._file_of_method(symbol)

    def _file_of_method(self, symbol: str) -> Files | None:
        """Python's pool finds fields and enum values by name, but no methods."""
        service_name, _, method = symbol.rpartition(".")
        try:
            service = self._pool.FindServiceByName(service_name)
        except KeyError:
            return None
        return _closure_bytes(service.file) if method in service.methods_by_name else None

    def file_containing_extension(self, type_name: str, number: int) -> Files | None:
        try:
            message = self._pool.FindMessageTypeByName(type_name)
            extension = self._pool.FindExtensionByNumber(message, number)
            return _closure_bytes(self._pool.FindFileContainingSymbol(extension.full_name))
        except KeyError:
            return None

    def extension_numbers(self, type_name: str) -> Sequence[int] | None:
        try:
            message = self._pool.FindMessageTypeByName(type_name)
        except KeyError:
            return None
        return sorted(extension.number for extension in self._pool.FindAllExtensions(message))


def file_descriptor_set(
    service_names: Iterable[str], pool: DescriptorPool | None = None
) -> descriptor_pb2.FileDescriptorSet:
    """Return the files that define the services and all they import, each file after its imports.

    Raises:
        KeyError: The pool does not know one of the services.
    """
    source = pool or descriptor_pool.Default()
    files: dict[str, FileDescriptor] = {}
    for name in service_names:
        _add_closure(source.FindServiceByName(name).file, files)
    return descriptor_pb2.FileDescriptorSet(file=_protos(files))


def _protos(files: Mapping[str, FileDescriptor]) -> list[descriptor_pb2.FileDescriptorProto]:
    return [descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb) for file in files.values()]


def _add_closure(file: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    """Imports have no cycles, so after its imports a file can be added at once."""
    if file.name in files:
        return
    for imported in file.dependencies:
        _add_closure(imported, files)
    files[file.name] = file


def _closure_bytes(file: FileDescriptor) -> Files:
    files: dict[str, FileDescriptor] = {}
    _add_closure(file, files)
    # Some clients take the first file for the answer to what they asked.
    return tuple(each.serialized_pb for each in reversed(files.values()))


def with_comments(file: bytes) -> bytes:
    """Return a serialized FileDescriptorProto with its comments, where they are known and it has none."""
    known = descriptor_pb2.FileDescriptorProto.FromString(file)
    if known.HasField("source_code_info"):
        return file
    return file + comments_of(known.name)


def comments_of(name: str) -> bytes:
    """Return what a file's serialized descriptor is to be followed by to have its comments; empty where none are known.

    Serialized messages of one type, one behind the other, are one message with the fields of both.
    """
    return own_comments_of(name) or _comments_in(_CONTRACT).get(name, b"")


def own_comments_of(name: str) -> bytes:
    """Return the same, for a file that is not the contract's: gateways know that one's themselves."""
    folder = name.rpartition("/")[0].replace("/", ".")
    return b"" if folder == _CONTRACT else _comments_in(folder).get(name, b"")


@lru_cache(maxsize=64)
def _comments_in(package: str) -> Mapping[str, bytes]:
    """The comments beside the generated code of a package; one that is not in use here has no descriptors either."""
    module = sys.modules.get(package)
    if module is None or not hasattr(module, "__path__"):
        return {}
    file = resources.files(module) / _COMMENTS
    if not file.is_file():
        return {}
    known = descriptor_pb2.FileDescriptorSet.FromString(file.read_bytes())
    return {each.name: _only_comments(each) for each in known.file}


def _only_comments(file: descriptor_pb2.FileDescriptorProto) -> bytes:
    return descriptor_pb2.FileDescriptorProto(source_code_info=file.source_code_info).SerializeToString()


@cache
def _own_pool() -> DescriptorPool:
    """Reflection's own services, and what an error's details hold, which no service refers to.

    The package ships v1alpha only; v1 is the same file under another package name.
    """
    alpha = descriptor_pb2.FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)
    v1 = descriptor_pb2.FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)
    v1.name, v1.package = "grpc/reflection/v1/reflection.proto", "grpc.reflection.v1"
    for message in v1.message_type:
        for field in message.field:
            # Setting it to "" is not the same as leaving it unset.
            if field.type_name:
                field.type_name = field.type_name.replace(".v1alpha.", ".v1.")
    for method in v1.service[0].method:
        method.input_type = method.input_type.replace(".v1alpha.", ".v1.")
        method.output_type = method.output_type.replace(".v1alpha.", ".v1.")
    pool = descriptor_pool.DescriptorPool()
    errors: dict[str, FileDescriptor] = {}
    for module in (code_pb2, error_details_pb2, status_pb2):
        _add_closure(module.DESCRIPTOR, errors)
    for file in (alpha, v1, *_protos(errors)):
        pool.Add(file)
    return pool


class ReflectionServicer:
    """Answers reflection from a source; its own two services, and all of google.rpc, are always among the answers."""

    def __init__(self, source: DescriptorSource) -> None:
        self._source = source
        self._own = PoolSource((V1, V1ALPHA), _own_pool())

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return the handlers of both versions, for `server.add_generic_rpc_handlers`."""
        method = grpc.stream_stream_rpc_method_handler(
            self.answer_all,
            request_deserializer=pb.ServerReflectionRequest.FromString,
            response_serializer=pb.ServerReflectionResponse.SerializeToString,
        )
        return tuple(
            grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method}) for name in (V1, V1ALPHA)
        )

    async def answer_all(
        self, requests: AsyncIterator[pb.ServerReflectionRequest], _context: object
    ) -> AsyncIterator[pb.ServerReflectionResponse]:
        """Answer each question of the stream in turn."""
        async for request in requests:
            yield self.answer(request)

    def answer(self, request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
        """Return the answer to one question; an unknown name is an error inside the answer, not of the stream."""
        response = pb.ServerReflectionResponse(valid_host=request.host, original_request=request)
        kind = request.WhichOneof("message_request")
        if kind == "list_services":
            names = sorted({*self._source.list_services(), *self._own.list_services()})
            response.list_services_response.service.extend(pb.ServiceResponse(name=name) for name in names)
        elif kind == "all_extension_numbers_of_type":
            self._answer_numbers(request.all_extension_numbers_of_type, response)
        elif kind is None:
            _refuse(response, grpc.StatusCode.INVALID_ARGUMENT, "the request asks nothing")
        else:
            self._answer_files(kind, request, response)
        return response

    def _answer_files(
        self, kind: str, request: pb.ServerReflectionRequest, response: pb.ServerReflectionResponse
    ) -> None:
        files = _find(self._source, kind, request) or _find(self._own, kind, request)
        if files:
            response.file_descriptor_response.file_descriptor_proto.extend(map(with_comments, files))
        else:
            asked = str(getattr(request, kind)).strip().replace("\n", ", ")
            _refuse(
                response, grpc.StatusCode.NOT_FOUND, f"{kind} {asked!r} is not served here; list_services says what is"
            )

    def _answer_numbers(self, type_name: str, response: pb.ServerReflectionResponse) -> None:
        numbers = self._source.extension_numbers(type_name)
        if numbers is None:
            _refuse(response, grpc.StatusCode.NOT_FOUND, f"message {type_name!r} is not served here")
            return
        response.all_extension_numbers_response.base_type_name = type_name
        response.all_extension_numbers_response.extension_number.extend(numbers)


def _find(source: DescriptorSource, kind: str, request: pb.ServerReflectionRequest) -> Files | None:
    if kind == "file_by_filename":
        return source.file_by_name(request.file_by_filename)
    if kind == "file_containing_symbol":
        return source.file_containing_symbol(request.file_containing_symbol)
    extension = request.file_containing_extension
    return source.file_containing_extension(extension.containing_type, extension.extension_number)


def _refuse(response: pb.ServerReflectionResponse, code: grpc.StatusCode, message: str) -> None:
    response.error_response.error_code = code.value[0]
    response.error_response.error_message = message
