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
from cloudspan.v1.inventory_pb2 import SummarizeResponse
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_gateway.inventory import summary
from cloudspan_gateway.inventory.columns import MAX_INTEGER, columns_of
from cloudspan_gateway.inventory.summary import Group, Sums

Server = server_pb2.Server
EAST, EAST_2 = CLUSTERS[:2]


@pytest.fixture(scope="module", params=DATABASES)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with opened(request.param, tmp_path_factory.mktemp("inventory")) as made:
        yield made


def groups_of(answer: SummarizeResponse) -> list[tuple[tuple[str, ...], Sums]]:
    return [(tuple(one.group), sums_of(one)) for one in answer.summaries]


def sums_of(summary: SummarizeResponse.Summary) -> Sums:
    return Sums(summary.count, summary.vcpus, summary.memory_bytes, summary.disk_bytes)


def test_groups_are_the_largest_first_with_what_they_use(lab):
    """Those of one size by name; over all kinds as well as one."""
    rows = [
        Server(name=f"{EAST}/servers/1", state=Server.STATE_RUNNING, vcpus=2, memory_mib=1, labels={"team": "db"}),
        Server(name=f"{EAST}/servers/2", state=Server.STATE_RUNNING, vcpus=4, memory_mib=1, labels={"team": "web"}),
        Server(name=f"{EAST_2}/servers/3", state=Server.STATE_ERROR),
        volume_pb2.Volume(name=f"{EAST_2}/volumes/1", size_bytes=7, labels={"team": "db", "x": "y"}),
    ]
    lab.write(*rows)
    by_cluster = lab.summarize([Group.GROUP_CLUSTER, Group.GROUP_STATE])
    assert groups_of(by_cluster) == [
        ((EAST, "RUNNING"), Sums(2, 6, 2 * 2**20)),
        ((EAST_2, ""), Sums(1, disk_bytes=7)),
        ((EAST_2, "ERROR"), Sums(1)),
    ]
    assert sums_of(by_cluster.total) == Sums(4, 6, 2 * 2**20, 7)
    assert by_cluster.omitted_groups == 0
    by_label = lab.summarize([Group.GROUP_LABEL], "team")
    assert [(group, sums.count) for group, sums in groups_of(by_label)] == [(("db",), 2), (("",), 1), (("web",), 1)]
    named = Filter.parse('native_state = "" state = RUNNING', Server.DESCRIPTOR)
    assert groups_of(lab.summarize([], collections=["servers"], filter=named)) == [((), Sums(2, 6, 2 * 2**20))]


def test_of_nothing_there_is_no_group(lab):
    lab.write()
    assert lab.summarize([Group.GROUP_CLUSTER]) == SummarizeResponse(total={})
    assert lab.summarize([]) == SummarizeResponse(total={})


def test_a_sum_that_is_too_large_is_the_largest_number(lab):
    """What one cluster makes up breaks nobody's sums."""
    lab.write(*(Server(name=f"{EAST}/servers/{n}", vcpus=2**62, memory_mib=2**62) for n in range(5)))
    assert sums_of(lab.summarize([]).total) == Sums(5, MAX_INTEGER, MAX_INTEGER)
    lab.write(*(Server(name=f"{EAST}/servers/{n}", vcpus=-(2**40) - 3) for n in range(5)))
    assert sums_of(lab.summarize([]).total) == Sums(5, -5 * (2**40 + 3))


def test_groups_beyond_the_largest_are_counted(lab, monkeypatch):
    monkeypatch.setattr(summary, "MAX_SUMMARIES", 3)
    lab.write(*(Server(name=f"{EAST}/servers/{n}", labels={"n": str(n // 2)}) for n in range(9)))
    found = lab.summarize([Group.GROUP_LABEL], "n")
    assert [group for group, _ in groups_of(found)] == [("0",), ("1",), ("2",)]
    assert (found.total.count, found.omitted_groups) == (9, 2)


_LABEL = "team"


@pytest.mark.timeout(300)
@given(data=st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)  # fmt: skip
def test_sums_are_those_of_the_rows_in_memory(lab, data):
    """Of any filter, scope and grouping."""
    kind = data.draw(st.sampled_from(["", *KINDS]))
    messages = unique(data.draw(st.lists(resources((kind,) * 3 + ("servers",) if kind else KINDS), max_size=12)))
    lab.write(*messages)
    for asked in data.draw(st.lists(questions(kind), min_size=1, max_size=4)):
        groups = data.draw(st.lists(st.sampled_from(Group.values()[1:]), max_size=3, unique=True))
        expected = defaultdict(Sums)
        for message in matching(messages, asked):
            expected[tuple(_value(message, group) for group in groups)] += _used(message)
        found = lab.summarize(groups, _LABEL, **asked)
        assert dict(groups_of(found)) == {group: _shown(sums) for group, sums in expected.items()}
        assert found.total.count == sum(sums.count for sums in expected.values())


def _value(message, group):
    columns = columns_of(collection_of(message), message)
    if group == Group.GROUP_LABEL:
        return dict(columns.values).get(f"labels.{_LABEL}", "")
    return columns.fields[Group.Name(group).removeprefix("GROUP_").lower()]


def _shown(sums):
    return sums_of(sums.message())


def _used(message):
    fields = columns_of(collection_of(message), message).fields
    return Sums(1, *(fields[name] or 0 for name in ("vcpus", "memory_bytes", "disk_bytes")))
