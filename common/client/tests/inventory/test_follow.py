"""`cloudspan top` and `watch`."""

from __future__ import annotations

import json
import time

import pytest
from rich.console import Console

from cloudspan.cli.inventory import follow
from cloudspan.client import Client
from cloudspan.client.generated import sync_calls
from cloudspan.v1.inventory_pb2 import (
    GetSyncStateResponse,
    SummarizeRequest,
    SummarizeResponse,
    SyncState,
    WatchResponse,
)
from cloudspan_common import errors

ALPHA = "platforms/openstack/clusters/alpha"
Group = SummarizeRequest.Group
SUMS = SummarizeResponse(
    summaries=[
        {"group": [ALPHA, "RUNNING"], "count": 1200, "vcpus": 2400, "memory_bytes": 5 * 2**40, "disk_bytes": 2**30},
        {"group": [ALPHA, ""], "count": 3},
    ],
    total={"count": 1203, "vcpus": 2400},
    omitted_groups=4,
    incomplete=[SyncState(cluster=ALPHA, collection="ports", reason="NEVER_SYNCED")],
)


def changes(*types: int) -> WatchResponse:
    one = {"name": f"{ALPHA}/servers/1", "collection": "servers", "cluster": ALPHA, "display_name": "web\n1"}
    return WatchResponse(changes=[{"type": number, "resource": one} for number in types])


@pytest.fixture
def watched(gateway, monkeypatch):
    """Have a watch answered with messages, and then with an error that ends it."""
    monkeypatch.setattr(sync_calls.time, "sleep", lambda _seconds: None)

    def answer(*messages):
        answers = iter([list(messages), errors.NotFound("the cluster is gone")])
        gateway.answers["Watch"] = lambda _request: next(answers)

    return answer


def test_top_shows_sums_once_where_nobody_looks(gateway, run):
    """Groups by their short names, sizes in GiB, what is left out, what may be missing."""
    gateway.answers["Summarize"] = SUMS
    shown = run("top", "--by", "cluster, label:team")
    asked = gateway.asked("Summarize")
    assert (list(asked.group_by), asked.label) == ([Group.GROUP_CLUSTER, Group.GROUP_LABEL], "team")
    rows = [line.split() for line in shown.splitlines()]
    assert ["openstack/alpha", "RUNNING", "1,200", "2,400", "5,120", "GiB", "1", "GiB"] in rows
    assert ["4", "more"] in rows
    assert ["total", "1,203", "2,400", "0", "GiB", "0", "GiB"] in rows
    assert "may be incomplete: ports of openstack/alpha (NEVER_SYNCED)" in shown


@pytest.mark.parametrize("by", ["colour", "label", "label:", "label:a,label:b"])
def test_other_groups_are_refused(gateway, run, by):
    """With what is wrong, before anything is asked."""
    assert "Invalid value for '--by'" in run("top", "--by", by, code=2)
    assert gateway.calls == []


def test_the_live_view_says_how_old_it_is_and_looks_again(gateway, monkeypatch):
    """Until it is interrupted."""
    state = SyncState(cluster=ALPHA, collection="ports", completeness=1)
    state.observe_time.FromNanoseconds(round((time.time() - 90) * 1e9))
    gateway.answers |= {"Summarize": SUMS, "GetSyncState": GetSyncStateResponse(states=[state])}
    looks = iter([None, None])

    def sleep(_seconds):
        if next(looks, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr(follow.time, "sleep", sleep)
    console = Console(record=True, width=200)
    with Client(gateway.address) as client:
        console.print(follow.screen(client, SummarizeRequest(), ("cluster", "state"), follow.tables.utc_now()))
        with pytest.raises(KeyboardInterrupt):
            follow._live(client, SummarizeRequest(), ("cluster", "state"), 2.0)
    assert "oldest: 1 min, ports of openstack/alpha" in console.export_text()
    assert [call.method for call in gateway.calls].count("Summarize") == 4


def test_watch_prints_a_line_for_each_change(gateway, run, watched):
    """Bookmarks print nothing; names can't break lines; it goes on where it was cut off."""
    watched(changes(1), changes(2, 4), WatchResponse(resume_token="t"))
    shown = run("watch", "servers", "key-pair", "--filter", "state = RUNNING", "--since-now", code=1)
    first, second = [call.request for call in gateway.calls]
    assert (list(first.collections), first.filter) == (["servers", "keyPairs"], "state = RUNNING")
    assert (first.changes_only, first.resume_token, second.resume_token) == (True, "", "t")
    assert [line.split()[1:] for line in shown.splitlines()[:-1]] == [
        [kind, "servers", "openstack/alpha", "-", "web\\n1", "1"] for kind in ("EXISTING", "ADDED", "REMOVED")
    ]
    assert shown.splitlines()[-1] == "Error: the cluster is gone"


def test_watch_prints_json_for_programs(run, watched):
    """One object a line, in the API's words."""
    watched(changes(3))
    said = json.loads(run("watch", "--json", code=1).splitlines()[0])
    assert said["resource"]["displayName"] == "web\n1"
    assert said["time"].endswith("+00:00")


def test_a_watch_that_missed_changes_says_so(gateway, run):
    """It began with the next change, so nothing can be made up for."""
    gateway.answers["Watch"] = errors.Resync("the changes since resume_token are no longer kept")
    assert "no longer kept" in run("watch", "servers", "--since-now", code=1)
