"""Where services are that log in by a handshake: found under exactly the name that they are registered by."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from common.base.tests.registry.conftest import ConsulServer, Place, consul_registry
from structlog.testing import capture_logs

from cloudspan_common.errors import InvalidRequest
from cloudspan_common.registry import Instance
from cloudspan_common.registry.adapters_file import parse
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.registry.services import TAG, ServiceAddress
from cloudspan_common.registry.static import StaticRegistry

HOME = ServiceAddress("127.0.0.1:7090", "billing")
FILE = """\
adapters:
  - {platform: memory, address: "127.0.0.1:7080"}
# by hand
services:
  - {name: billing, address: "127.0.0.1:7090"}
  - {name: billing, address: "[::1]:7090", identity: billing.example}
"""


@pytest.fixture
def name() -> str:
    """A service of this test alone: tests share one Consul."""
    return f"billing-{secrets.token_hex(4)}"


def entered(place: Place, name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    registry = place.open()
    if isinstance(registry, MemoryRegistry):
        registry.put_service(name, ServiceAddress(HOME.address, name))
    elif isinstance(registry, StaticRegistry):
        entry = f'{{name: {name}, address: "{HOME.address}"}}'
        (tmp_path / "adapters.yaml").write_text(f"adapters: []\nservices: [{entry}]\n")
    else:
        server: ConsulServer = request.getfixturevalue("shared_consul")
        server.api.agent.service.register(name, address="127.0.0.1", port=7090, tags=[TAG])
        server.api.agent.service.register(f"{name}-other", address="127.0.0.1", port=7090)


async def test_a_service_is_found_by_exactly_its_name(
    place: Place, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Nothing like it is: not in capitals, not a part of it, not a path around it; nor one that never said it would."""
    entered(place, name, request, tmp_path)
    registry = place.open()
    assert list(await registry.service(name)) == [ServiceAddress(HOME.address, name)]
    strangers = (
        name.upper(),
        name[:-1],
        f"{name} ",
        f"{name}/",
        f"./{name}",
        f"{name}?tag=x",
        "",
        "-",
        f"{name}-other",
    )
    for other in strangers:
        assert list(await registry.service(other)) == [], other


async def test_a_service_that_fails_its_check_is_not_called(shared_consul: ConsulServer, name: str) -> None:
    """Consul knows better whether it is there; what it has for it is skipped where it is no address."""
    api = shared_consul.api
    api.agent.service.register(name, address="127.0.0.1", port=7090, tags=[TAG], check={"TTL": "60s"})
    registry = consul_registry(shared_consul, "adapters")
    assert list(await registry.service(name)) == []
    api.agent.check.ttl_pass(f"service:{name}")
    assert list(await registry.service(name)) == [ServiceAddress(HOME.address, name)]
    api.agent.service.register(name, address="not an address", port=7090, tags=[TAG])
    with capture_logs() as logs:
        assert list(await registry.service(name)) == []
    assert [line["event"] for line in logs] == ["entry in Consul is not a service, skipped"]
    await registry.close()


def test_services_stay_when_adapters_come_and_go() -> None:
    """The file is edited by both; nobody's entry is lost, whichever is the last one."""
    content = parse(FILE)
    assert content.services == (
        ("billing", HOME),
        ("billing", ServiceAddress("[::1]:7090", "billing.example")),
    )
    more = parse(content.with_entry(Instance("os-1", "openstack", "127.0.0.1:1")))
    assert (len(more.instances), more.services) == (2, content.services)
    none = parse(content.without(content.instances))
    assert (none.instances, none.services) == ((), content.services)
    again = parse(none.with_entry(Instance("os-1", "openstack", "127.0.0.1:1")))
    assert (len(again.instances), again.services) == (1, content.services)


@pytest.mark.parametrize(
    ("services", "complaint"),
    [
        ("{}", "line 2: holds no list of services"),
        ("[billing]", "line 2: is not a service"),
        ("[{name: billing}]", "line 2: has the keys"),
        ('[{name: billing, address: "a:1", port: 1}]', "line 2: has the keys"),
        ('[{name: Billing, address: "a:1"}]', "line 2: has the name 'Billing'"),
        ('[{name: "../a", address: "a:1"}]', "line 2: has the name '../a'"),
        ("[{name: billing, address: here}]", "line 2: a service's address is 'here'"),
        ('[{name: billing, address: "a:1", identity: ""}]', "line 2: a service's address"),
        ("[]\nservices: []", "2 of services"),
    ],
)
def test_a_malformed_service_names_its_line(services: str, complaint: str) -> None:
    """As a malformed adapter does."""
    with pytest.raises(InvalidRequest, match=complaint.replace("[", r"\[")):
        parse(f"adapters: []\nservices: {services}\n")
