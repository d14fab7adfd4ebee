"""What reflection says of services, messages and fields beyond their names."""

from __future__ import annotations

import subprocess
import sys

import pytest
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import error_details_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import server_pb2
from cloudspan_common import contract
from cloudspan_common.reflection import comments_of, file_descriptor_set, own_comments_of, with_comments

# Field numbers of FileDescriptorProto and DescriptorProto, of which the path of a comment is made.
SERVICE, METHOD, MESSAGE, FIELD = 6, 2, 4, 2


def commented(descriptor) -> dict[tuple[int, ...], str]:
    """The leading comments of a file by their path."""
    file = FileDescriptorProto.FromString(with_comments(descriptor.serialized_pb))
    return {tuple(each.path): each.leading_comments.strip() for each in file.source_code_info.location}


def test_services_methods_and_fields_have_their_comments():
    """As they stand in the .proto file, or behind them."""
    said = commented(server_pb2.DESCRIPTOR)
    service = server_pb2.DESCRIPTOR.services_by_name["ServerService"]
    method = [each.name for each in service.methods].index("CreateServer")
    assert said[SERVICE, service.index]
    assert said[SERVICE, service.index, METHOD, method].startswith("Creates a server")
    message = [*server_pb2.DESCRIPTOR.message_types_by_name].index("Server")
    field = [*server_pb2.Server.DESCRIPTOR.fields_by_name].index("display_name")
    assert "name" in said[MESSAGE, message, FIELD, field]


@pytest.mark.parametrize("service", contract.services())
def test_every_service_and_method_of_the_contract_is_described(service):
    """Whatever will be added."""
    file = file_descriptor_set([service]).file[-1]
    said = {tuple(e.path) for e in FileDescriptorProto.FromString(comments_of(file.name)).source_code_info.location}
    (index,) = [n for n, each in enumerate(file.service) if f"{file.package}.{each.name}" == service]
    paths = [(SERVICE, index), *((SERVICE, index, METHOD, n) for n in range(len(file.service[index].method)))]
    assert [path for path in paths if path not in said] == []


@pytest.mark.parametrize(
    ("descriptor", "path", "words"),
    [
        (operations_pb2.DESCRIPTOR, (SERVICE, 0, METHOD, 1), "Gets the latest state of a long-running operation."),
        (error_details_pb2.DESCRIPTOR, (MESSAGE, 0), "Describes the cause of the error with structured details."),
        (step_pb2.DESCRIPTOR, (SERVICE, 0, METHOD, 0), ""),
        (descriptor_pb2.DESCRIPTOR, (MESSAGE, 1), "Describes a complete .proto file."),
    ],
    ids=["longrunning", "rpc", "adapter", "protobuf"],
)
def test_what_the_contract_is_made_of_has_its_comments_too(descriptor, path, words):
    """At the right places: the libraries' descriptors and the files that comments were read from are the same."""
    assert commented(descriptor)[path].startswith(words)


def test_comments_that_a_file_has_stay_its_own():
    """An adapter in another language sends its own."""
    file = FileDescriptorProto(name="cloudspan/v1/server.proto")
    file.source_code_info.location.add(path=[4, 0], leading_comments="ours")
    assert with_comments(file.SerializeToString()) == file.SerializeToString()


@pytest.mark.parametrize("name", ["acme/v1/tool.proto", "x.proto", "", "../x.proto", "sys/x.proto", "os/path/x.proto"])
def test_a_file_that_nobody_here_knows_stays_as_it_is(name):
    """Nothing is imported or read for its name."""
    file = FileDescriptorProto(name=name).SerializeToString()
    assert with_comments(file) == file
    assert own_comments_of(name) == b""


def test_comments_are_not_read_before_somebody_asks():
    """They take more memory than the descriptors."""
    text = (
        "from cloudspan_common import grpcs, reflection\n"
        "from cloudspan.v1 import server_pb2\n"
        "source = reflection.PoolSource(['cloudspan.v1.ServerService'])\n"
        "reflection.ReflectionServicer(source).answer(reflection.pb.ServerReflectionRequest(list_services='*'))\n"
        "print(reflection._comments_in.cache_info().currsize)\n"
        "request = reflection.pb.ServerReflectionRequest(file_containing_symbol='cloudspan.v1.ServerService')\n"
        "reflection.ReflectionServicer(source).answer(request)\n"
        "print(reflection._comments_in.cache_info().currsize > 0)\n"
    )
    told = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert told.stdout == "0\nTrue\n"
