"""Search by one text: what is found, what comes first, and that no text does harm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateway.tests.inventory_lab import DATABASES, Lab, opened
from gateway.tests.inventory_samples import CLUSTERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudspan.v1 import floating_ip_pb2, port_pb2, server_pb2

Server = server_pb2.Server
EAST = CLUSTERS[0]


@pytest.fixture(scope="module", params=DATABASES)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with opened(request.param, tmp_path_factory.mktemp("inventory")) as made:
        made.write(*_fleet())
        yield made


def _fleet() -> Iterator[object]:
    def server(server_id: str, display_name: str, address: str = "", **fields: object) -> Server:
        interface = Server.NetworkInterface(mac_address="fa:16:3e:00:00:AB", fixed_ips=[{"ip_address": address}])
        return Server(
            name=f"{EAST}/servers/{server_id}", display_name=display_name, network_interfaces=[interface], **fields
        )

    yield server("1", "db", "10.0.0.5", labels={"team": "web"})
    yield server("2", "web", "10.0.0.50")
    yield server("3", "my web server", hostname="Stra\xdfe", description="Ask \u6d4b\u8bd5  about it")
    yield server("4", "web-1", labels={"Owner": "Ann=B"})
    yield server("5", "a%b_c\\d", labels={"": ""})
    yield port_pb2.Port(name=f"{EAST}/ports/9b1", fixed_ips=[{"ip_address": "10.0.0.5"}])
    yield floating_ip_pb2.FloatingIp(name=f"{EAST}/floatingIps/f", fixed_ip_address="10.0.0.5", ip_address="1.1.1.1")


def found(lab: Lab, text: str, **asked: object) -> list[str]:
    return [name.removeprefix(f"{EAST}/") for name in lab.names(text=text, limit=2, **asked)]


@pytest.mark.parametrize(
    ("text", "first", "others"),
    [
        ("10.0.0.5", ["floatingIps/f", "ports/9b1", "servers/1"], ["servers/2"]),
        ("web", ["servers/2"], ["servers/4", "servers/1", "servers/3"]),
        (" WEB ", ["servers/2"], ["servers/4", "servers/1", "servers/3"]),
        ("eb", [], ["servers/1", "servers/2", "servers/3", "servers/4"]),
        (f"{EAST}/servers/4", ["servers/4"], []),
        ("9B1", ["ports/9b1"], []),
        ("team=web", ["servers/1"], []),
        ("TEAM=WEB", [], ["servers/1"]),
        ("Owner=Ann=B", ["servers/4"], []),
        ("FA:16:3e:00:00:ab", [], ["servers/1", "servers/2", "servers/3", "servers/4", "servers/5"]),
        ("fa:16:3e:00:00:AB", [f"servers/{n}" for n in range(1, 6)], []),
        ("strasse", ["servers/3"], []),
        ("STRA\u1e9eE", ["servers/3"], []),
        ("\u6d4b\u8bd5 about", [], ["servers/3"]),
        ("a%b_c\\d", ["servers/5"], []),
        ("%", [], ["servers/5"]),
        ("_", [], ["servers/5"]),
        ("\\", [], ["servers/5"]),
        ("nobody", [], []),
        ("my web server web", [], []),
        ("x" * 100_000, [], []),
    ],
)
def test_what_has_exactly_the_text_comes_first(lab, text, first, others):
    """Then what begins a word with it, then what has it anywhere; each by name, each once."""
    assert found(lab, text) == [*first, *others]


def test_without_a_text_everything_is_found(lab):
    assert len(found(lab, "")) == len(found(lab, " \n ")) == len(list(_fleet()))


def test_a_text_counts_what_it_finds(lab):
    assert lab.count(text="web") == 4
    assert lab.count(text="web", collections=["ports"]) == 0


def test_an_exact_match_is_answered_without_a_look_at_the_rest(lab):
    """The page ends there; the next one goes on with what is alike."""
    page = lab.page(text="10.0.0.5", limit=100)
    assert len(page.rows) == 3
    assert [row.name for row in lab.page(text="10.0.0.5", limit=100, after=page.cursor).rows] == [f"{EAST}/servers/2"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=6) | st.lists(st.sampled_from("a%_\\\"'*\0=- ;\n"), max_size=6).map("".join))
def test_any_text_finds_those_that_have_it(lab, text):
    """And is nothing but text to the database."""
    names = found(lab, text)
    assert len(set(names)) == len(names)
    assert lab.count(text=text) == len(names)
