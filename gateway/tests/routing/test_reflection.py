"""Reflection shows what is plugged in, and what two adapters call by one name resolves for both."""

from __future__ import annotations

import grpc
import pytest
from gateway.tests.hand_made_adapter import TOOLS, tool_file
from gateway.tests.known_callers import EAST, Guarded, binding, pool, tenant
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection_pb2

from cloudspan.v1 import server_pb2
from cloudspan_common.reflection import PoolSource
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.routing.describe import Description
from cloudspan_gateway.routing.reflection import PluggedSource
from cloudspan_gateway.routing.snapshot import READY, PlatformRoute, Seen, Snapshot
from cloudspan_memory.seed.v1 import seed_pb2

Ask = reflection_pb2.ServerReflectionRequest


async def reflected(deployment, request, version="v1"):
    call = deployment.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        Ask.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )([request])
    return await call.read()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_an_adapters_own_service_is_listed_and_described(deployment, version):
    """It appears with the adapter, and a message can be built from what reflection returns."""
    async with deployment.opened():
        before = await reflected(deployment, Ask(list_services=""), version)
        await deployment.plug_in()
        await deployment.until(
            lambda: "openstack" in deployment.gateway.table.snapshot.platforms and "READY" in deployment.states()
        )
        after = await reflected(deployment, Ask(list_services=""), version)
        found = await reflected(deployment, Ask(file_containing_symbol=f"{TOOLS}.Echo"), version)
    names = [{service.name for service in each.list_services_response.service} for each in (before, after)]
    assert names[1] - names[0] == {TOOLS}
    assert {"cloudspan.v1.ServerService", "google.longrunning.Operations", "grpc.health.v1.Health"} <= names[0]
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(found.file_descriptor_response.file_descriptor_proto[0])
    assert pool.FindServiceByName(TOOLS).methods_by_name["Chat"].client_streaming


async def test_services_are_served_with_their_comments(deployment):
    """The gateway's, those of what it is made of, and an adapter's own as it sent them."""
    file = tool_file()
    file.source_code_info.location.add(path=[6, 0], leading_comments="Tools of acme.", span=[1, 0, 9])
    await deployment.plug_in(files=(file,))
    said = {}
    async with deployment.opened():
        await deployment.until(lambda: "READY" in deployment.states())
        for service in ("cloudspan.v1.ServerService", "google.longrunning.Operations", TOOLS):
            found = await reflected(deployment, Ask(file_containing_symbol=service))
            data = found.file_descriptor_response.file_descriptor_proto[0]
            locations = descriptor_pb2.FileDescriptorProto.FromString(data).source_code_info.location
            said[service] = {tuple(each.path): each.leading_comments for each in locations}[6, 0]
    assert all(said.values())
    assert said[TOOLS] == "Tools of acme."


async def test_what_the_process_happens_to_have_imported_is_not_shown(deployment):
    """Only the gateway's own services and those of plugged-in adapters are."""
    name = "cloudspan_memory.seed.v1.SeedService"
    assert descriptor_pool.Default().FindServiceByName(seed_pb2.DESCRIPTOR.services_by_name["SeedService"].full_name)
    async with deployment.opened():
        found = await reflected(deployment, Ask(file_containing_symbol=name))
    assert found.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def source(*adapters):
    """A source over adapters, each given as (platform, services, files)."""
    platforms = {}
    for number, (platform, services, files) in enumerate(adapters):
        told = Description(
            platform,
            services=frozenset(services),
            files=tuple(file.SerializeToString(deterministic=True) for file in files),
        )
        seen = Seen(None, None, READY, "", told)
        platforms[f"{number}{platform}"] = PlatformRoute(platform, instances=(seen,))
    snapshot = Snapshot(platforms)
    return PluggedSource(lambda: snapshot, PoolSource(("cloudspan.v1.ServerService",)))


def other_file(name, package, *imports):
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imports)
    message = file.message_type.add(name="Thing")
    if imports:
        message.field.add(name="word", number=1, type="TYPE_MESSAGE", type_name=".acme.v1.Word", label="LABEL_OPTIONAL")
    file.service.add(name="ThingService").method.add(
        name="Get", input_type=f".{package}.Thing", output_type=f".{package}.Thing"
    )
    return file


def built(files):
    """A pool of a closure; raises when something in it does not resolve."""
    waiting = {file.name: file for file in map(descriptor_pb2.FileDescriptorProto.FromString, files)}
    pool = descriptor_pool.DescriptorPool()
    done = set()

    def add(name):
        if name not in done:
            done.add(name)
            for each in waiting[name].dependency:
                add(each)
            pool.Add(waiting[name])

    for name in waiting:
        add(name)
    return pool


def test_files_of_one_name_and_other_content_both_resolve():
    """The later adapter's file is renamed, and what imports it too; each service finds its own version."""
    base = "acme/v1/tool.proto"
    plugged = source(
        ("aaa", ("one.v1.ThingService",), (tool_file(base), other_file("one.proto", "one.v1", base))),
        ("bbb", ("two.v1.ThingService",), (tool_file(base, "colour"), other_file("two.proto", "two.v1", base))),
    )
    one = built(plugged.file_containing_symbol("one.v1.ThingService"))
    two = built(plugged.file_containing_symbol("two.v1.ThingService"))
    assert [f.name for f in one.FindMessageTypeByName("acme.v1.Word").fields] == ["value"]
    assert [f.name for f in two.FindMessageTypeByName("acme.v1.Word").fields] == ["value", "colour"]
    renamed = two.FindMessageTypeByName("acme.v1.Word").file.name
    assert renamed.startswith("bbb-")
    assert renamed.endswith(base)
    assert plugged.file_by_name(renamed) is not None


def test_equal_files_of_two_adapters_are_reported_once():
    """Replicas, and adapters that share a library, need no second name."""
    plugged = source(
        ("aaa", (TOOLS,), (tool_file(),)),
        ("bbb", ("two.v1.ThingService",), (tool_file(), other_file("two.proto", "two.v1", "acme/v1/tool.proto"))),
    )
    assert repr(plugged) == "<PluggedSource 2 services in 2 files>"


def test_what_adapters_import_of_the_contract_comes_from_the_gateway():
    """A file that imports cloudspan/v1/server.proto resolves with the gateway's copy of it."""
    contract = descriptor_pb2.FileDescriptorProto.FromString(server_pb2.DESCRIPTOR.serialized_pb)
    extra = descriptor_pb2.FileDescriptorProto(name="x.proto", package="x.v1", dependency=["cloudspan/v1/server.proto"])
    extra.message_type.add(name="Rack").field.add(
        name="server", number=1, type="TYPE_MESSAGE", type_name=".cloudspan.v1.Server", label="LABEL_OPTIONAL"
    )
    plugged = source(("aaa", (), (contract, extra)))
    pool = built(plugged.file_containing_symbol("x.v1.Rack.server"))
    assert pool.FindMessageTypeByName("cloudspan.v1.Server").file.name == "cloudspan/v1/server.proto"
    assert repr(plugged) == "<PluggedSource 0 services in 1 files>"


def test_extensions_and_nested_names_are_found():
    """Enums, their values, nested messages and extensions lead to their file; the unknown leads nowhere."""
    file = descriptor_pb2.FileDescriptorProto(
        name="y.proto", package="y.v1", syntax="proto2", dependency=["google/protobuf/descriptor.proto"]
    )
    outer = file.message_type.add(name="Outer")
    outer.nested_type.add(name="Inner")
    outer.enum_type.add(name="Colour").value.add(name="RED", number=0)
    file.extension.add(
        name="shade", number=50001, type="TYPE_STRING", label="LABEL_OPTIONAL", extendee=".google.protobuf.FieldOptions"
    )
    plugged = source(("aaa", (), (file,)))
    for symbol in ("y.v1.Outer.Inner", "y.v1.Outer.Colour", "y.v1.Outer.RED", "y.v1.shade"):
        assert plugged.file_containing_symbol(symbol), symbol
    assert plugged.file_containing_extension("google.protobuf.FieldOptions", 50001)
    assert 50001 in plugged.extension_numbers("google.protobuf.FieldOptions")
    assert plugged.file_containing_symbol("y.v1.Nothing") is None
    assert plugged.extension_numbers("y.v1.Nothing") is None


async def test_a_quarantined_adapter_shows_nothing(deployment):
    """What must not be called is not advertised either."""
    await deployment.plug_in(described_platform="zstack")
    async with deployment.opened():
        answer = await reflected(deployment, Ask(list_services=""))
        missing = await reflected(deployment, Ask(file_containing_symbol=TOOLS))
    assert TOOLS not in {service.name for service in answer.list_services_response.service}
    assert missing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_a_caller_sees_the_services_of_its_own_platforms(deployment):
    """Another platform's service, its messages and its file are as unknown as ones that nobody brings."""
    await deployment.plug_in()
    other = descriptor_pb2.FileDescriptorProto(name="other/v1/other.proto", package="other.v1", syntax="proto3")
    other.message_type.add(name="Note")
    other.service.add(name="OtherService")
    await deployment.plug_in(instance_id="z-1", platform="zstack", files=(other,), services=("other.v1.OtherService",))
    async with deployment.opened(Guarded):
        await deployment.keep(*ROWS)
        source_of = deployment.gateway._descriptors()
        access = {
            user: deployment.gateway.policy.access(Principal(f"users/{user}"), "") for user in ("alice", "bob", "eve")
        }
        seen = {user: source_of(access[user]) for user in access}
        listed = {user: {TOOLS, "other.v1.OtherService"} & set(each.list_services()) for user, each in seen.items()}
        found = {user: [name for name in (f"{TOOLS}.Echo", "other.v1.Note") if each.file_containing_symbol(name)]
                 for user, each in seen.items()}  # fmt: skip
        assert seen["alice"].file_by_name("other/v1/other.proto") is None
        assert seen["bob"].file_by_name("other/v1/other.proto") is not None
        assert source_of(access["alice"])._current() is seen["alice"]._current()
    assert listed == {"alice": {TOOLS}, "bob": {"other.v1.OtherService"}, "eve": set()}
    assert found == {"alice": [f"{TOOLS}.Echo"], "bob": ["other.v1.Note"], "eve": []}


ROWS = (
    tenant("acme"), pool("acme", "prod", EAST), binding("acme", "alice", "viewer"),
    tenant("beta"), pool("beta", "all", "platforms/zstack/clusters/-"), binding("beta", "bob", "viewer"),
)  # fmt: skip
