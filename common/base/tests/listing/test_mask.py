"""Read masks: an answer holds what was asked for and its name, and a path that leads nowhere is refused."""

from __future__ import annotations

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from cloudspan.v1 import cluster_pb2, common_pb2, server_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.listing import mask as masks

Server = server_pb2.Server


def a_server() -> Server:
    return Server(
        name="n",
        display_name="web",
        vcpus=4,
        labels={"team": "db", "a.b": "c"},
        fault=common_pb2.Fault(code="500", message="No valid host"),
        security_groups=["default", "web"],
        network_interfaces=[Server.NetworkInterface(port="p1")],
    )


@pytest.mark.parametrize(
    ("paths", "kept"),
    [
        (["display_name"], Server(name="n", display_name="web")),
        (["name"], Server(name="n")),
        (["vcpus", "zone"], Server(name="n", vcpus=4)),
        (["fault.code"], Server(name="n", fault=common_pb2.Fault(code="500"))),
        (["fault.code", "fault"], Server(name="n", fault=common_pb2.Fault(code="500", message="No valid host"))),
        (["fault", "fault.code"], Server(name="n", fault=common_pb2.Fault(code="500", message="No valid host"))),
        (["labels"], Server(name="n", labels={"team": "db", "a.b": "c"})),
        (["labels.team", "labels.absent"], Server(name="n", labels={"team": "db"})),
        (["labels.a.b"], Server(name="n", labels={"a.b": "c"})),
        (["security_groups"], Server(name="n", security_groups=["default", "web"])),
        (["network_interfaces"], Server(name="n", network_interfaces=[Server.NetworkInterface(port="p1")])),
        (["*"], a_server()),
        (["vcpus", "*"], a_server()),
        ([], a_server()),
    ],
)
def test_a_mask_keeps_what_it_names_and_the_name(paths: list[str], kept: Server) -> None:
    """A whole field outweighs a path into it; an absent field stays absent."""
    server = a_server()
    masks.apply(FieldMask(paths=paths), server)
    assert server == kept


@pytest.mark.parametrize("told", [{}, {"config_drive": False}, {"config_drive": True}])
def test_a_field_that_the_platform_does_not_report_stays_unset(told: dict[str, bool]) -> None:
    """Unset is not false: a mask that names the field keeps the difference."""
    server = Server(name="n", display_name="web", **told)
    masks.apply(FieldMask(paths=["config_drive"]), server)
    assert server == Server(name="n", **told)


def test_no_mask_keeps_everything() -> None:
    """A request without the field has none."""
    server = a_server()
    masks.apply(None, server)
    assert server == a_server()


def test_a_compiled_mask_leaves_the_message_alone() -> None:
    """What a driver keeps in a cache is not cut."""
    masked, server = masks.compiled(FieldMask(paths=["vcpus"]), Server.DESCRIPTOR), a_server()
    assert masked is not None
    assert masked(server) == Server(name="n", vcpus=4)
    assert server == a_server()


def test_a_mask_that_keeps_most_fields_drops_the_others() -> None:
    """Whole fields, whichever way they are copied."""
    dropped = ("vcpus", "labels", "network_interfaces")
    paths = [field.name for field in Server.DESCRIPTOR.fields if field.name not in dropped]
    server, expected = a_server(), a_server()
    for name in dropped:
        expected.ClearField(name)
    masked = masks.compiled(FieldMask(paths=paths), Server.DESCRIPTOR)
    assert masked is not None
    assert (masked(server), server) == (expected, a_server())


def test_a_message_without_a_name_is_masked_too() -> None:
    """Only a resource has one to keep."""
    state = cluster_pb2.TokenState(logins=1, failures=2)
    masks.apply(FieldMask(paths=["logins"]), state)
    assert state == cluster_pb2.TokenState(logins=1)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("colour", "'colour'; Server has name, display_name, state"),
        ("fault.kode", "'fault.kode'; Server.fault has code, message, details, create_time"),
        ("vcpus.x", "'vcpus.x'; Server.vcpus has nothing below it"),
        ("network_interfaces.port", "Server.network_interfaces has nothing below it"),
        ("", "''; Server has name"),
        ("fault.", "'fault.'"),
        ("displayName", "'displayName'"),
    ],
)
def test_an_unknown_path_is_refused_with_the_known_ones(path: str, part: str) -> None:
    """Ignored, it would look like an empty field."""
    with pytest.raises(InvalidRequest) as refused:
        masks.compiled(FieldMask(paths=["*", path]), Server.DESCRIPTOR)
    assert refused.value.reason == "UNKNOWN_MASK_PATH"
    assert part in refused.value.message
    assert refused.value.violations[0].field == "read_mask"
