"""Requests are read within limits: what is beyond is refused by its path, quickly, and what is not passes."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import field_mask_pb2

from cloudspan.v1 import security_group_pb2, server_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.requests import MAX_ENTRIES, MAX_ITEMS, MAX_MASK_PATHS, parsed

List, Create = server_pb2.ListServersRequest, server_pb2.CreateServerRequest
Rules, Rule = security_group_pb2.ReplaceRulesRequest, security_group_pb2.SecurityGroup.Rule
PARENT = "platforms/a/clusters/b"


def options(depth: int) -> Any:
    request = Create(parent=PARENT)
    inner: Any = "x" * 2000
    for _ in range(depth):
        inner = {"a": inner}
    request.options.update({"o": inner})
    return request


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (List(parent=PARENT, page_token="t" * 300_000), "page_token"),
        (List(parent=PARENT, filter="f" * 5000), "filter"),
        (List(parent=PARENT, order_by="name," * 300), "order_by"),
        (List(parent="p" * 3000), "parent"),
        (
            List(read_mask=field_mask_pb2.FieldMask(paths=[f"labels.k{n}" for n in range(MAX_MASK_PATHS + 1)])),
            "read_mask.paths",
        ),
        (Create(server=server_pb2.Server(display_name="n" * 2000)), "server.display_name"),
        (Create(server=server_pb2.Server(description="d" * 70_000)), "server.description"),
        (Create(server=server_pb2.Server(labels={f"k{n}": "v" for n in range(MAX_ENTRIES + 1)})), "server.labels"),
        (Create(server=server_pb2.Server(labels={"k" * 300: "v" * 2000})), "server.labels"),
        (Create(server=server_pb2.Server(labels={"k": "v" * 5000})), "server.labels.k"),
        (Create(user_data=b"u" * 2_000_000), "user_data"),
        (Rules(name="n", rules=[Rule(protocol="tcp")] * (MAX_ITEMS + 1)), "rules"),
        (Rules(name="n", rules=[Rule(protocol="tcp"), Rule(description="d" * 70_000)]), "rules[1].description"),
        (options(20), "options.fields.o"),
    ],
)
def test_what_is_beyond_a_limit_is_refused_by_its_path(request_: Any, field: str) -> None:
    with pytest.raises(InvalidRequest, match=r"docs/limits\.md") as refused:
        parsed(type(request_), "m", request_.SerializeToString())
    assert refused.value.reason == "LIMIT_EXCEEDED"
    assert refused.value.violations[0].field.startswith(field)
    assert len(refused.value.message) < 1000


@pytest.mark.parametrize(
    "request_",
    [
        List(parent=PARENT, page_token="t" * 200_000),
        Create(server=server_pb2.Server(labels={f"k{n}": "v" * 4096 for n in range(MAX_ENTRIES)})),
        Rules(name="n", rules=[Rule(protocol="tcp")] * MAX_ITEMS),
        options(10),
        Create(user_data=b"u" * 1_000_000),
    ],
)
def test_what_is_within_the_limits_passes(request_: Any) -> None:
    assert parsed(type(request_), "m", request_.SerializeToString()) == request_


def test_bytes_that_are_not_a_request_are_refused_by_the_methods_name() -> None:
    with pytest.raises(InvalidRequest, match=r"the request of a.B/List is not a ") as bad:
        parsed(List, "a.B/List", b"\xff\xff")
    assert bad.value.reason == "MALFORMED_MESSAGE"
