"""Pages of the inventory: the rows that a filter matches, in order, once each, and no others of anybody."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from gateway.tests.inventory_lab import ALL, AT, DATABASES, Lab, matching, opened, questions, unique
from gateway.tests.inventory_samples import CLUSTERS, KINDS, STORED, resources
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from cloudspan.v1 import flavor_pb2, server_pb2, volume_pb2
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_gateway.inventory.base import Question
from cloudspan_gateway.inventory.model import Scope
from cloudspan_gateway.inventory.query import query
from cloudspan_gateway.inventory.query.query import to_message, to_stored
from cloudspan_gateway.storage import tables

Server = server_pb2.Server
EAST = CLUSTERS[0]
P1, P2 = f"{EAST}/projects/p1", f"{EAST}/projects/p2"


@pytest.fixture(scope="module", params=DATABASES)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with opened(request.param, tmp_path_factory.mktemp("inventory")) as made:
        yield made


def servers(count: int, **fields: object) -> list[Server]:
    return [Server(name=f"{EAST}/servers/{number:03d}", **fields) for number in range(count)]


def of_servers(text: str) -> dict[str, object]:
    return {"collections": ["servers"], "filter": Filter.parse(text, Server.DESCRIPTOR)}


# ---------------------------------------------------------------------- what is stored is what is live


_SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
_EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=_SLOW)


@pytest.fixture(params=["in one look", "in small looks"])
def _windows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in small looks":
        for name, size in {"WINDOW": 2, "MAX_DECODED": 2, "_FEW": 1, "_MANY": 3}.items():
            monkeypatch.setattr(query, name, size)


def _found(lab: Lab, messages: list, asked: list) -> tuple[list, list]:
    """Return what each question finds of resources in the database, and among the messages: names, and how many."""
    lab.write(*(kept := unique(messages)))
    live = [[message.name for message in matching(kept, one)] for one in asked]
    return [(lab.names(**one), lab.count(**one)) for one in asked], [(names, len(names)) for names in live]


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_windows")
@given(data=st.data())
@_EXAMPLES
def test_a_filter_finds_the_same_stored_as_live(lab, data):
    """Whatever a kind's resources hold, whatever is asked, in whatever order and under whatever scope."""
    kind = data.draw(st.sampled_from(KINDS))
    messages = data.draw(st.lists(resources((kind, kind, kind, "servers")), min_size=3, max_size=12))
    stored, live = _found(lab, messages, data.draw(st.lists(questions(kind), min_size=3, max_size=6)))
    assert stored == live


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_windows")
@given(data=st.data())
@_EXAMPLES
def test_a_filter_over_all_kinds_finds_the_same_as_in_memory(lab, data):
    """By what all kinds have in common."""
    messages = data.draw(st.lists(resources(), min_size=3, max_size=12))
    stored, live = _found(lab, messages, data.draw(st.lists(questions(), min_size=3, max_size=6)))
    assert stored == live


# ---------------------------------------------------------------------- what is seen


def test_a_project_sees_its_own_and_what_is_shared(lab):
    """Not another's, nor one of the same name in another cluster, nor one that another cluster claims to have."""
    flavors = [
        flavor_pb2.Flavor(name=f"{EAST}/flavors/{word.lower()}", visibility=f"VISIBILITY_{word}")
        for word in ("PUBLIC", "PRIVATE")
    ]
    lab.write(
        *servers(1, project=P1),
        Server(name=f"{EAST}/servers/other", project=P2),
        Server(name=f"{EAST}/servers/nobodys"),
        Server(name=f"{CLUSTERS[1]}/servers/claims", project=P1),
        *flavors,
    )
    expected = [f"{EAST}/flavors/public", f"{EAST}/servers/000"]
    assert lab.names(scope=Scope([(EAST, P1)])) == expected
    both = Scope([(EAST, P1), (CLUSTERS[1], f"{CLUSTERS[1]}/projects/p1")])
    assert lab.names(scope=both) == expected
    assert lab.count(scope=both) == 2
    assert lab.names(scope=both, collections=["servers"]) == expected[1:]
    assert lab.names(scope=Scope([])) == []


def test_a_scope_of_thousands_of_clusters_is_one_question(lab):
    """Clusters and projects are parameters as lists."""
    lab.write(*servers(3, project=P1))
    many = [(f"platforms/openstack/clusters/c{number}", "") for number in range(3_000)]
    bound = [(f"platforms/zstack/clusters/c{n}", f"platforms/zstack/clusters/c{n}/projects/p") for n in range(3_000)]
    assert len(lab.names(scope=Scope([*many, *bound, (EAST, P1)]))) == 3
    assert lab.names(scope=Scope([*many, *bound])) == []


def test_what_was_deleted_is_not_there(lab):
    lab.write(*servers(3))
    gone = update(tables.resources).where(tables.resources.c.name == f"{EAST}/servers/001").values(deleted_time=AT)
    lab.run(lab.database.transact(lambda conn: conn.execute(gone)))
    assert lab.names() == [f"{EAST}/servers/000", f"{EAST}/servers/002"]
    assert lab.count() == 2
    assert lab.run(lab.query.get(f"{EAST}/servers/001")) is None
    assert lab.run(lab.query.get(f"{EAST}/servers/002")).name.endswith("002")


def test_a_name_that_nobody_can_have_is_not_there(lab):
    assert lab.run(lab.query.get("a\0b")) is None


# ---------------------------------------------------------------------- how much is looked at


def test_a_page_that_finds_little_ends_and_says_where_to_go_on(lab, monkeypatch):
    """However rare what is asked for is, one page looks at so many rows."""
    monkeypatch.setattr(query, "WINDOW", 5)
    monkeypatch.setattr(query, "MAX_WINDOWS", 2)
    rows = servers(30)
    rows[25].hostname = "wanted"
    lab.write(*rows)
    asked = {"scope": ALL, "limit": 100, **of_servers('hostname = "wanted"')}
    sizes, after = [], ""
    while True:
        page = lab.run(lab.query.page(Question(**asked, after=after)))
        sizes.append(len(page.rows))
        if not (after := page.cursor):
            break
    assert sizes in ([0, 0, 1], [0, 0, 1, 0])


def test_a_page_decodes_so_many_rows_at_most(lab, monkeypatch):
    monkeypatch.setattr(query, "MAX_DECODED", 7)
    lab.write(*servers(30))
    page = lab.run(lab.query.page(Question(scope=ALL, **of_servers('hostname = "wanted"'))))
    assert page.rows == []
    assert page.cursor == f'[0,"{EAST}/servers/006"]'


@pytest.mark.parametrize(
    "text",
    [
        " ".join(["vcpus = 1"] * 400),
        "NOT (" + " OR ".join(["vcpus = 1"] * 300) + ")",
        " AND ".join(f'labels."k{n}" = "v"' for n in range(150)),
        'display_name = "\0"',
        'labels."\0" : "\0"',
        f'display_name : "{"x" * 4000}"',
        "vcpus > 99999999999999999999",
        "memory_mib < -9223372036854775808",
        "create_time > 0001-01-01T00:00:00Z create_time < 9999-12-31T23:59:59.999999999Z",
    ],
)
def test_no_filter_is_too_much_for_the_database(lab, text):
    """As long, as large and as odd as filters may be."""
    asked = {"scope": ALL, "order_by": [], "over_stored": False, **of_servers(text)}
    found = matching(rows := servers(2, vcpus=1, memory_mib=2**62), asked)
    lab.write(*rows)
    assert lab.names(**of_servers(text)) == [message.name for message in found]


def test_no_resource_is_too_odd_to_be_found(lab):
    """Nothing in it is too long for an index of the database, though it can't be compressed."""
    chance = random.Random(3)  # noqa: S311 - no secret
    texts = ["".join(chr(chance.randrange(0x10000, 0x10FFFF)) for _ in range(600)) for _ in range(6)]
    odd = Server(name=f"{EAST}/servers/{'x' * 460}", display_name=texts[0], project=texts[1], zone=texts[2])
    odd.labels[texts[3]] = texts[4]
    odd.security_groups.append(texts[5])
    odd.memory_mib = 2**63 - 1
    lab.write(odd, *servers(2))
    for text in (
        f'display_name = "{texts[0]}"',
        f'labels."{texts[3]}" = "{texts[4]}"',
        f'security_groups:"{texts[5]}"',
        f'zone = "{texts[2]}"',
        "memory_mib > 9223372036854775806",
    ):
        assert lab.names(**of_servers(text)) == [odd.name]
    assert lab.names(scope=Scope([(EAST, texts[1])])) == []


# ---------------------------------------------------------------------- what a row says


def test_a_row_comes_as_of_when_it_was_last_known(lab):
    """As of the last whole sweep that left it as it was, if that is later than when it was read."""
    lab.write(*servers(1))
    later = AT + 100
    state = dict.fromkeys((c.name for c in tables.sync_state.columns if str(c.type) == "VARCHAR"), "")
    state |= {"cluster": EAST, "collection": "servers", "row_count": 1, "took_s": 1.0, "interval_s": 1.0}
    kept = insert(tables.sync_state).values(**state, observe_time=later)
    lab.run(lab.database.transact(lambda conn: conn.execute(kept)))
    assert lab.count(**of_servers("observe_time > 2026-09-21T14:14:30Z")) == 1
    assert lab.count(**of_servers("observe_time > 2026-09-21T14:15:30Z")) == 0
    over_all = Filter.parse("observe_time > 2026-09-21T14:14:30Z", STORED)
    assert lab.count(filter=over_all, over_stored=True) == 1


def test_a_stored_resource_says_what_its_own_message_says(lab):
    server = Server(
        name=f"{EAST}/servers/1",
        display_name="w" * 600,
        state=Server.STATE_RUNNING,
        project=P1,
        zone=f"{EAST}/zones/a",
        flavor=f"{EAST}/flavors/m",
        vcpus=2,
        memory_mib=4,
        labels={"team": "db"},
        network_interfaces=[Server.NetworkInterface(mac_address="fa:16", fixed_ips=[{"ip_address": "10.0.0.5"}])],
    )
    server.create_time.FromJsonString("2026-01-31T08:00:00.123456789Z")
    volume = volume_pb2.Volume(name=f"{EAST}/volumes/1", size_bytes=7, state=volume_pb2.Volume.STATE_IN_USE)
    lab.write(server, volume)
    first, second = (to_stored(row, AT) for row in lab.pages(limit=5))
    assert (first.collection, first.cluster, first.state, first.project) == ("servers", EAST, "RUNNING", P1)
    assert (first.vcpus, first.memory_bytes, first.disk_bytes) == (2, 4 * 2**20, 0)
    assert (first.display_name, first.labels, list(first.addresses)) == (
        "w" * 600,
        {"team": "db"},
        ["10.0.0.5", "fa:16"],
    )
    assert first.create_time == server.create_time
    assert first.observe_time.ToNanoseconds() == round(AT * 1e9)
    assert first.zone == server.zone
    assert first.flavor == server.flavor
    unpacked = Server()
    assert first.resource.Unpack(unpacked)
    unpacked.ClearField("observe_time")
    assert unpacked == server
    assert (second.state, second.disk_bytes, second.HasField("create_time")) == ("IN_USE", 7, False)
    row = lab.run(lab.query.get(server.name))
    assert to_message(row, "servers", AT).observe_time == first.observe_time


def test_a_filter_of_one_kind_can_t_be_asked_of_two(lab):
    """Whoever asks so has a defect."""
    asked = {**of_servers("vcpus = 1"), "collections": ["servers", "volumes"]}
    with pytest.raises(ValueError, match="exactly one collection"):
        lab.names(**asked)
