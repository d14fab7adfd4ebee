"""Sums of the inventory: what groups come to, whoever finds the rows, and that no number is too large."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from gateway.tests.inventory_lab import DATABASES, Lab, matching, opened, questions, unique
from gateway.tests.inventory_rows import collection_of
from gateway.tests.inventory_samples import CLUSTERS, KINDS, resources
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudspan.v1 import server_pb2, volume_pb2
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_gateway.inventory.columns import MAX_INTEGER, columns_of
from cloudspan_gateway.inventory.query import summary
from cloudspan_gateway.inventory.query.summary import Group, Sums

Server = server_pb2.Server
EAST, EAST_2 = CLUSTERS[:2]


@pytest.fixture(scope="module", params=DATABASES)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with opened(request.param, tmp_path_factory.mktemp("inventory")) as made:
        yield made


def test_groups_are_the_largest_first_with_what_they_use(lab):
    """Those of one size by name; over all kinds as well as one."""
    rows = [
        Server(name=f"{EAST}/servers/1", state=Server.STATE_RUNNING, vcpus=2, memory_mib=1, labels={"team": "db"}),
        Server(name=f"{EAST}/servers/2", state=Server.STATE_RUNNING, vcpus=4, memory_mib=1, labels={"team": "web"}),
        Server(name=f"{EAST_2}/servers/3", state=Server.STATE_ERROR),
        volume_pb2.Volume(name=f"{EAST_2}/volumes/1", size_bytes=7, labels={"team": "db", "x": "y"}),
    ]
    lab.write(*rows)
    by_cluster = lab.summarize([Group.CLUSTER, Group.STATE])
    assert by_cluster.groups == [
        ((EAST, "RUNNING"), Sums(2, 6, 2 * 2**20)),
        ((EAST_2, ""), Sums(1, disk_bytes=7)),
        ((EAST_2, "ERROR"), Sums(1)),
    ]
    assert by_cluster.total == Sums(4, 6, 2 * 2**20, 7)
    assert by_cluster.omitted == 0
    by_label = lab.summarize([Group.LABEL], "team")
    assert [(group, sums.count) for group, sums in by_label.groups] == [(("db",), 2), (("",), 1), (("web",), 1)]
    named = Filter.parse('native_state = "" state = RUNNING', Server.DESCRIPTOR)
    assert lab.summarize([], collections=["servers"], filter=named).groups == [((), Sums(2, 6, 2 * 2**20))]


def test_of_nothing_there_is_no_group(lab):
    lab.write()
    found = lab.summarize([Group.CLUSTER])
    assert (found.groups, found.total, found.omitted) == ([], Sums(), 0)
    assert lab.summarize([]).groups == []


def test_a_sum_that_is_too_large_is_the_largest_number(lab):
    """What one cluster makes up breaks nobody's sums."""
    lab.write(*(Server(name=f"{EAST}/servers/{n}", vcpus=2**62, memory_mib=2**62) for n in range(5)))
    assert lab.summarize([]).total == Sums(5, MAX_INTEGER, MAX_INTEGER)
    lab.write(*(Server(name=f"{EAST}/servers/{n}", vcpus=-(2**40) - 3) for n in range(5)))
    assert lab.summarize([]).total == Sums(5, -5 * (2**40 + 3))


def test_groups_beyond_the_largest_are_counted(lab, monkeypatch):
    monkeypatch.setattr(summary, "MAX_SUMMARIES", 3)
    lab.write(*(Server(name=f"{EAST}/servers/{n}", labels={"n": str(n // 2)}) for n in range(9)))
    found = lab.summarize([Group.LABEL], "n")
    assert [group for group, _ in found.groups] == [("0",), ("1",), ("2",)]
    assert (found.total.count, found.omitted) == (9, 2)


_LABEL = "team"


@pytest.mark.timeout(300)
@given(data=st.data())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)  # fmt: skip
def test_sums_are_those_of_the_rows_in_memory(lab, data):
    """Of any filter, scope and grouping."""
    kind = data.draw(st.sampled_from(["", *KINDS]))
    messages = unique(data.draw(st.lists(resources((kind,) * 3 + ("servers",) if kind else KINDS), max_size=12)))
    lab.write(*messages)
    for asked in data.draw(st.lists(questions(kind), min_size=1, max_size=4)):
        groups = data.draw(st.lists(st.sampled_from(list(Group)), max_size=3, unique=True))
        expected = defaultdict(Sums)
        for message in matching(messages, asked):
            expected[tuple(_value(message, group) for group in groups)] += _used(message)
        found = lab.summarize(groups, _LABEL, **asked)
        assert dict(found.groups) == expected
        assert found.total.count == sum(sums.count for sums in expected.values())


def _value(message, group):
    columns = columns_of(collection_of(message), message)
    if group is Group.LABEL:
        return dict(columns.values).get(f"labels.{_LABEL}", "")
    return columns.fields[group.value]


def _used(message):
    fields = columns_of(collection_of(message), message).fields
    return Sums(1, *(fields[name] or 0 for name in ("vcpus", "memory_bytes", "disk_bytes")))
