"""Verbs and methods: which words are permissions, and what covers what."""

from __future__ import annotations

import pytest

from cloudspan_common import contract
from cloudspan_common.contract import Permission
from cloudspan_gateway.access.permissions import EVERYTHING, NOTHING, Permissions, is_permission, permission_of, split

GET = "cloudspan.v1.ServerService/GetServer"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("read", True),
        (GET, True),
        ("google.longrunning.Operations/CancelOperation", True),
        ("acme.v1.ToolService/Echo", True),
        ("Read", False),
        ("read ", False),
        ("", False),
        ("*", False),
        (f"/{GET}", False),
        (f"{GET}/x", False),
        ("cloudspan.v1.ServerService/Nothing", False),
        ("cloudspan.adapter.v1.StepService/Step", False),
        ("grpc.health.v1.Health/Check", False),
        ("acme.v1.ToolService/*", False),
        ("acme.v1.ToolService", False),
        ("ToolService/Echo", False),
        ("acme.v1.ToolService/Écho", False),
        ("acme.v1.ToolService/Echo\n", False),
        ("a." * 200 + "b/C", False),
    ],
)
def test_a_permission_is_a_verb_or_a_methods_full_name(word: str, expected: bool) -> None:
    """Of the contract, or of a service that an adapter may bring."""
    assert is_permission(word) is expected


def test_a_verb_covers_its_methods_and_a_method_covers_itself() -> None:
    """Never the other way round."""
    reads, gets = Permissions(["read"]), Permissions([GET])
    assert reads.cover_word(GET)
    assert reads.cover(Permission.PERMISSION_READ, GET)
    assert gets.cover_word(GET)
    assert not gets.cover_word("read")
    assert not gets.cover(Permission.PERMISSION_READ, "cloudspan.v1.ServerService/ListServers")
    assert not NOTHING.cover(Permission.PERMISSION_READ)
    assert EVERYTHING.cover(Permission.PERMISSION_ADMINISTER, "any.Service/Method")
    assert not Permissions(["", "read"]).cover(Permission.PERMISSION_DELETE)


def test_every_method_needs_something() -> None:
    """What is beyond the contract needs to operate."""
    assert {permission_of(method.path) for method in contract.methods().values()} <= set(Permission.values()) - {0}
    assert permission_of("/acme.v1.ToolService/Echo") == Permission.PERMISSION_OPERATE
    assert split("google.longrunning.Operations/DeleteOperation")[0] == Permission.PERMISSION_DELETE


def test_what_is_had_of_a_pool_is_not_the_tenants_administration() -> None:
    """Neither by the verb nor by a single method of it."""
    words = Permissions(["read", "administer", "cloudspan.v1.PolicyService/ListBindings"])
    assert words.of_pool() == {"read"}
