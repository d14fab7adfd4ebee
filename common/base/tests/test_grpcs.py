"""Servers, channels and reflection on real sockets, asked by grpc.aio and by buf."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.rpc import error_details_pb2, status_pb2
from grpc._cython import cygrpc
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2 as pb

from cloudspan_common import grpcs, reflection
from cloudspan_common.deadlines import of
from cloudspan_common.errors import InvalidRequest, PreconditionFailed

HEALTH = "grpc.health.v1.Health"


async def _first_bytes(request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
    return request[:4]


async def _time_left(_request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    return f"{of(context).remaining():.0f}".encode()


ECHO = grpc.method_handlers_generic_handler(
    "test.Echo",
    {
        "First": grpc.unary_unary_rpc_method_handler(_first_bytes),
        "TimeLeft": grpc.unary_unary_rpc_method_handler(_time_left),
    },
)


@pytest.fixture
async def server():
    """A started server with every side service; `.port` is where."""
    made = grpcs.new_server()
    made.add_generic_rpc_handlers((ECHO,))
    grpcs.add_health(made)
    grpcs.add_channelz(made)
    grpcs.add_reflection(made, reflection.PoolSource([HEALTH]))
    made.port = grpcs.listen(made, "127.0.0.1:0")
    await made.start()
    yield made
    await made.stop(0)


@pytest.fixture
async def channel(server):
    async with grpcs.new_channel(f"127.0.0.1:{server.port}") as made:
        yield made


async def test_a_second_server_on_a_port_fails_to_start_and_says_why(server):
    """Without so_reuseport=0 both would start, and share the calls by chance."""
    with pytest.raises(
        PreconditionFailed, match=rf"can't listen on 127\.0\.0\.1:{server.port}: Address already in use"
    ):
        grpcs.listen(grpcs.new_server(), f"127.0.0.1:{server.port}")


async def test_a_host_with_one_address_in_use_is_refused():
    """Left alone, gRPC would listen on the free ::1 of localhost and say nothing."""
    with socket.socket(socket.AF_INET) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PreconditionFailed, match="Address already in use"):
            grpcs.listen(grpcs.new_server(), f"localhost:{taken.getsockname()[1]}")


async def test_a_port_beyond_the_last_is_refused():
    """Left alone, gRPC would listen on port 99999 - 65536."""
    with pytest.raises(InvalidRequest, match=r"'127\.0\.0\.1:99999' is not an address"):
        grpcs.listen(grpcs.new_server(), "127.0.0.1:99999")


async def test_an_unknown_host_is_a_clear_error():
    """The resolver's own words, beside the address."""
    with pytest.raises(PreconditionFailed, match=r"can't listen on nowhere\.invalid:7070"):
        grpcs.listen(grpcs.new_server(), "nowhere.invalid:7070")


async def test_a_request_of_10_mb_is_refused_with_both_sizes():
    """It is refused below the servicer; the text names size and limit."""
    served = grpcs.new_server()
    served.add_generic_rpc_handlers((ECHO,))
    port = grpcs.listen(served, "127.0.0.1:0")
    await served.start()
    async with grpcs.new_channel(f"127.0.0.1:{port}", options=(("grpc.max_send_message_length", -1),)) as wide:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wide.unary_unary("/test.Echo/First")(b"x" * 10 * 1024 * 1024)
    await served.stop(0)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max (10485760 vs. 4194304)" in caught.value.details()


async def test_a_channel_refuses_what_the_server_would(channel):
    """The bytes of an oversized request are not even sent."""
    with pytest.raises(grpc.aio.AioRpcError, match=r"Sent message larger than max \(10485760 vs. 4194304\)"):
        await channel.unary_unary("/test.Echo/First")(b"x" * 10 * 1024 * 1024)


async def test_metadata_up_to_12_kib_arrives(channel):
    """The default limit of 8 KiB drops such calls at random up to 16."""
    for _ in range(20):
        answer = await channel.unary_unary("/test.Echo/First")(b"hello", metadata=(("x-context", "c" * 12_000),))
        assert answer == b"hell"


async def test_a_caller_without_deadline_has_sixty_seconds(channel):
    """None is what grpc.aio says then."""
    assert await channel.unary_unary("/test.Echo/TimeLeft")(b"") == b"60"


async def test_a_callers_deadline_reaches_the_servicer(channel):
    """As seconds left on arrival."""
    assert await channel.unary_unary("/test.Echo/TimeLeft")(b"", timeout=7.4) == b"7"


async def test_five_thousand_calls_at_once_are_all_answered(channel):
    """Left alone, gRPC's core cancels what waits to be accepted beyond a thousand, at random."""
    call = channel.unary_unary("/test.Echo/First")
    answers = await asyncio.gather(*(call(b"x", timeout=30) for _ in range(5_000)))
    assert set(answers) == {b"x"}


def test_grpc_knows_each_option_by_that_name():
    """An unknown option is ignored without a word."""
    known = Path(cygrpc.__file__).read_bytes()
    unknown = [name for name, _ in (*grpcs.SERVER_OPTIONS, *grpcs.CHANNEL_OPTIONS) if name.encode() not in known]
    assert unknown == []


async def test_health_serves(channel):
    """The whole process is SERVING from the start."""
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_channelz_shows_the_server(channel):
    """At least the server that answers."""
    stub = channelz_pb2_grpc.ChannelzStub(channel)
    answer = await stub.GetServers(channelz_pb2.GetServersRequest())
    assert len(answer.server) >= 1


async def test_tls_files_that_are_missing_are_named(tmp_path):
    """At start, not at the first call."""
    tls = grpcs.Tls(certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    with pytest.raises(PreconditionFailed, match=r"TLS key .*key.pem can't be read: No such file"):
        grpcs.listen(grpcs.new_server(), "127.0.0.1:0", tls)


def _files(answer: pb.ServerReflectionResponse) -> list[descriptor_pb2.FileDescriptorProto]:
    serialized = answer.file_descriptor_response.file_descriptor_proto
    return [descriptor_pb2.FileDescriptorProto.FromString(file) for file in serialized]


async def _ask(channel, version: str, **question) -> pb.ServerReflectionResponse:
    method = channel.stream_stream(
        f"/{version}/ServerReflectionInfo",
        request_serializer=pb.ServerReflectionRequest.SerializeToString,
        response_deserializer=pb.ServerReflectionResponse.FromString,
    )
    call = method(iter([pb.ServerReflectionRequest(**question)]))
    (answer,) = [each async for each in call]
    return answer


@pytest.mark.parametrize("version", [reflection.V1, reflection.V1ALPHA])
async def test_reflection_lists_the_services_and_itself(channel, version):
    """Both versions give the same answers."""
    answer = await _ask(channel, version, list_services="*")
    names = [service.name for service in answer.list_services_response.service]
    assert names == [HEALTH, reflection.V1, reflection.V1ALPHA]


async def test_reflection_answers_a_method_with_its_file(channel):
    """So grpcurl describes methods by their full name."""
    answer = await _ask(channel, reflection.V1, file_containing_symbol=f"{HEALTH}.Check")
    files = _files(answer)
    assert [service.name for service in files[0].service] == ["Health"]


async def test_reflection_knows_what_the_details_of_errors_hold(channel):
    """No service refers to them, and without them grpcurl and buf show details as bytes."""
    for name in (*error_details_pb2.DESCRIPTOR.message_types_by_name, "Status", "Code"):
        files = _files(await _ask(channel, reflection.V1, file_containing_symbol=f"google.rpc.{name}"))
        known = {each.name for file in files for each in (*file.message_type, *file.enum_type)}
        assert name in known
        assert {imported for file in files for imported in file.dependency} <= {file.name for file in files}


async def test_reflection_answers_a_file_first_and_then_all_its_imports(channel):
    """One round trip is enough: the closure is complete."""
    assert status_pb2.DESCRIPTOR.name == "google/rpc/status.proto"
    answer = await _ask(channel, reflection.V1, file_by_filename="google/rpc/status.proto")
    files = _files(answer)
    assert [file.name for file in files] == ["google/rpc/status.proto", "google/protobuf/any.proto"]


async def test_reflection_says_what_is_not_served(channel):
    """Inside the answer, so that the stream goes on."""
    answer = await _ask(channel, reflection.V1, file_containing_symbol="no.Such")
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert "'no.Such' is not served here" in answer.error_response.error_message


async def test_reflection_refuses_a_question_that_asks_nothing(channel):
    """A peer of a later version may ask what we don't know."""
    answer = await _ask(channel, reflection.V1, host="x")
    assert answer.error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def _pool_with_extension() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="ext.proto", package="ext", syntax="proto2")
    file.message_type.add(name="Open").extension_range.add(start=100, end=200)
    for number in (120, 110):
        file.extension.add(name=f"f{number}", number=number, type=5, label=1, extendee=".ext.Open")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def test_a_pool_source_knows_extensions():
    """By number and all of them, in order."""
    source = reflection.PoolSource([], _pool_with_extension())
    assert source.extension_numbers("ext.Open") == [110, 120]
    assert source.file_containing_extension("ext.Open", 110) is not None
    assert source.file_containing_extension("ext.Open", 111) is None
    assert source.extension_numbers("ext.Nothing") is None


def test_a_file_descriptor_set_has_imports_first():
    """So that a reader can add file after file to a pool."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(descriptor_pb2.FileDescriptorProto(name="c.proto", package="c", message_type=[{"name": "M"}]))
    pool.Add(descriptor_pb2.FileDescriptorProto(name="b.proto", package="b", dependency=["c.proto"]))
    service = {"name": "S", "method": [{"name": "Do", "input_type": ".c.M", "output_type": ".c.M"}]}
    top = {"name": "a.proto", "package": "a", "dependency": ["b.proto", "c.proto"], "service": [service]}
    pool.Add(descriptor_pb2.FileDescriptorProto(**top))
    files = reflection.file_descriptor_set(["a.S"], pool).file
    assert [file.name for file in files] == ["c.proto", "b.proto", "a.proto"]


async def _buf(*arguments: str) -> str:
    program = shutil.which("buf", path=str(Path(sys.executable).parent))
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program, "curl", "--protocol", "grpc", "--http2-prior-knowledge", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_buf_curl_lists_services_and_methods(server):
    """A foreign client reads our reflection, v1."""
    address = f"http://127.0.0.1:{server.port}"
    assert HEALTH in (await _buf(address, "--list-services")).split()
    methods = (await _buf(address, "--list-methods")).split()
    assert {f"{HEALTH}/Check", f"{reflection.V1}/ServerReflectionInfo"} <= set(methods)


@pytest.mark.parametrize("version", ["grpc-v1", "grpc-v1alpha"])
async def test_buf_curl_calls_a_method_by_reflected_schema(server, version):
    """It builds the request from our descriptors alone."""
    url = f"http://127.0.0.1:{server.port}/{HEALTH}/Check"
    answer = await _buf("--reflect-protocol", version, "-d", '{"service": ""}', url)
    assert '"SERVING"' in answer
