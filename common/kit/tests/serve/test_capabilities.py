"""What a cluster can do is read off its drivers, and what can't be read is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from cloudspan.v1 import cluster_pb2
from cloudspan_common import contract
from cloudspan_common.errors import Defect, Unsupported
from cloudspan_common.names import ClusterRef
from cloudspan_kit import ABSENT, BY_MARKER, EMULATED, NATIVE, Capability
from cloudspan_kit.serve.capabilities import Abilities

METHODS = contract.methods()
CREATE = METHODS["cloudspan.v1.ServerService/CreateServer"]
GET = METHODS["cloudspan.v1.ServerService/GetServer"]
LIST_VOLUMES = METHODS["cloudspan.v1.VolumeService/ListVolumes"]


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """One option."""

    colour: str = "red"


class Careless(msgspec.Struct):
    """Would ignore what it does not know."""

    colour: str = "red"


class Compute:
    """Two functions and three declarations."""

    capabilities: Mapping[str, Capability] = {
        "create_server": Capability(
            level=EMULATED,
            reason="by two calls",
            create_safety=BY_MARKER,
            options=Options,
            sortable=("name",),
            fields={"user_data": (ABSENT, "no metadata service")},
        ),
        "list_volumes": Capability(reason="no block storage here"),
    }

    async def create_server(self, *_: Any) -> None:
        """Never called here."""

    async def get_server(self, *_: Any) -> None:
        """Never called here."""


async def _never_called(*_: Any) -> None:
    """Never called here."""


def a_driver(capabilities: Mapping[str, Capability] | None = None, *functions: str) -> Any:
    """Return a driver of what it is given."""
    return type("Driver", (), {"capabilities": capabilities or {}, **dict.fromkeys(functions, _never_called)})()


def abilities(*drivers: Any) -> Abilities:
    class Cluster:
        ref, cloud = ClusterRef("acme", "east"), None

    cluster: Any = Cluster()
    cluster.drivers = drivers
    return Abilities(cluster)


def test_a_function_of_the_rpcs_name_serves_it() -> None:
    """And nothing else does."""
    driver = Compute()
    found = abilities(driver)
    assert found.function(GET) == driver.get_server
    assert found.capability(GET).level == NATIVE
    assert repr(found) == f"<Abilities platforms/acme/clusters/east: 2 of {len(METHODS)} methods>"


def test_what_is_not_there_is_refused_with_the_declared_reason() -> None:
    """Declared or not, UNIMPLEMENTED says where to look."""
    with pytest.raises(Unsupported, match="no block storage here; GetCluster lists"):
        abilities(Compute()).function(LIST_VOLUMES)
    with pytest.raises(Unsupported, match="ListVolumes; GetCluster lists"):
        abilities(a_driver()).function(LIST_VOLUMES)


def test_a_function_that_is_declared_absent_is_not_served() -> None:
    """One cluster of a platform may lack what its driver has code for."""
    found = abilities(a_driver({"get_server": Capability(level=ABSENT, reason="too old")}, "get_server"))
    with pytest.raises(Unsupported, match="too old"):
        found.function(GET)
    assert [c.level for c in found.describe()] == [ABSENT]


def test_describe_tells_all_that_was_declared() -> None:
    """Level, reason, safety, options' schema, sortable and differing fields; without code it is absent."""
    told = {capability.method: capability for capability in abilities(Compute()).describe()}
    assert set(told) == {CREATE.full_name, GET.full_name, LIST_VOLUMES.full_name}
    create = told[CREATE.full_name]
    assert (create.level, create.reason, create.create_safety) == (EMULATED, "by two calls", BY_MARKER)
    assert list(create.sortable_fields) == ["name"]
    assert "colour" in create.options_schema.fields["properties"].struct_value.fields
    assert list(create.fields) == [
        cluster_pb2.MethodCapability.Field(path="user_data", level=ABSENT, reason="no metadata service")
    ]
    assert told[LIST_VOLUMES.full_name].level == ABSENT
    assert told[GET.full_name].level == NATIVE


def test_a_field_that_is_declared_absent_is_refused_when_it_is_set() -> None:
    """With the reason declared; also inside the parts of a list. What only differs is let through."""
    fields = {
        "user_data": (ABSENT, "no metadata service"),
        "network_interfaces.new_port.security_groups": (ABSENT, "addresses are drawn"),
        "server.zone": (EMULATED, "by a label"),
    }
    found = abilities(a_driver({"create_server": Capability(fields=fields)}, "create_server"))

    def check(**fields: Any) -> None:
        found.check_fields(CREATE, CREATE.request(**fields))

    check(server={"zone": "a"}, network_interfaces=[{"network": "n", "new_port": {"display_name": "p"}}])
    with pytest.raises(Unsupported, match=r"does not serve user_data \(no metadata service\)") as caught:
        check(user_data=b"#!")
    assert [violation.field for violation in caught.value.violations] == ["user_data"]
    with pytest.raises(Unsupported, match="addresses are drawn"):
        check(network_interfaces=[{"network": "n"}, {"new_port": {"security_groups": ["g"]}}])


def test_mistakes_of_an_author_are_found_at_the_start() -> None:
    """A misspelt declaration, a function in two drivers, options that would be ignored."""
    with pytest.raises(Defect, match="creat_server"):
        abilities(a_driver({"creat_server": Capability()}))
    with pytest.raises(Defect, match="two drivers"):
        abilities(a_driver({}, "get_server"), a_driver({}, "get_server"))
    with pytest.raises(Defect, match="forbid_unknown_fields"):
        abilities(a_driver({"get_server": Capability(options=Careless)}, "get_server")).describe()
