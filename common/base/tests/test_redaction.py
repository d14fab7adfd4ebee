"""Which messages hold secrets, and what is left of them without."""

from __future__ import annotations

import pytest
import yaml
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, struct_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import server_pb2
from cloudspan_common.redaction import has_secrets, without_secrets, yaml_problem

CREATE = server_pb2.CreateServerRequest(
    parent="platforms/a/clusters/b",
    server={"display_name": "web", "labels": {"team": "db"}, "generated_password": "correct horse"},
    network_interfaces=[{"network": "n"}],
    user_data=b"#!secret",
    admin_password="hunter2",
)


def test_marked_fields_are_left_out_of_a_copy_at_any_depth() -> None:
    """The rest stays; the message itself is not touched."""
    before = CREATE.SerializeToString()
    bare = without_secrets(CREATE)
    assert has_secrets(CREATE)
    assert not has_secrets(bare)
    assert (bare.user_data, bare.admin_password, bare.server.generated_password) == (b"", "", "")
    assert bare.server.labels["team"] == "db"
    assert bare.network_interfaces[0].network == "n"
    assert CREATE.SerializeToString() == before


def test_what_is_packed_is_looked_into() -> None:
    """An operation's response holds its resource as an Any."""
    operation = operations_pb2.Operation(name="operations/1", done=True)
    operation.response.Pack(CREATE.server)
    assert has_secrets(operation)
    bare = without_secrets(operation)
    server = server_pb2.Server()
    assert bare.response.Unpack(server)
    assert (server.display_name, server.generated_password) == ("web", "")
    assert not has_secrets(bare)


def test_what_holds_none_is_the_same_without() -> None:
    """Structs, unknown Anys, lists and maps are left as they are."""
    options = struct_pb2.Struct()
    options.update({"a": [1, {"b": "c"}]})
    plain = server_pb2.CreateServerRequest(server={"display_name": "web"}, options=options)
    packed = any_pb2.Any(type_url="type.googleapis.com/acme.Unknown", value=b"\x0a\x07hunter2")
    for message in (plain, packed, step_pb2.StepResponse(native_ids={"server": "1"}), server_pb2.Server()):
        assert not has_secrets(message)
        assert without_secrets(message) == message


@pytest.mark.parametrize(
    "text", ["password: @s3cr3t", "password: *s3cr3t", "a: [s3cr3t", "s3cr3t: {", "x: \ts3cr3t: y: z"]
)
def test_a_file_that_is_not_yaml_is_reported_by_its_place_and_never_by_its_text(text: str) -> None:
    with pytest.raises(yaml.YAMLError) as wrong:
        yaml.safe_load(text)
    shown = yaml_problem(wrong.value)
    assert "line 1, column" in shown or "line 2, column" in shown
    assert "s3cr3t" not in shown


def test_a_file_that_is_not_utf8_is_reported_by_the_byte() -> None:
    with pytest.raises(UnicodeDecodeError) as wrong:
        b"abc\xff".decode()
    assert yaml_problem(wrong.value) == "byte 3 is not UTF-8"
