"""`cloudspan list` and `get`."""

from __future__ import annotations

import json
import time

import pytest

from cloudspan.v1 import key_pair_pb2, server_pb2

ALPHA = "platforms/openstack/clusters/alpha"


def server(name: str, age_s: float = 1.0) -> server_pb2.Server:
    found = server_pb2.Server(name=f"{ALPHA}/servers/{name}", display_name=f"{name} [red]", state=3)
    found.observe_time.FromNanoseconds(round((time.time() - age_s) * 1e9))
    return found


def test_a_list_asks_the_clouds_unless_an_age_is_allowed(gateway, run):
    """The options are the request's; the table says how old each row is."""
    gateway.answers["ListServers"] = server_pb2.ListServersResponse(servers=[server("web", 90)])
    shown = run("list", "servers", "--max-age", "5m", "--stale-ok", "--filter", "state = RUNNING", "--order-by", "name")
    asked = gateway.asked("ListServers")
    assert (asked.parent, asked.filter, asked.order_by) == ("platforms/-/clusters/-", "state = RUNNING", "name")
    assert (asked.max_staleness.seconds, asked.stale_ok) == (300, True)
    assert "web [red]" in shown
    assert "1 min" in shown
    run("list", "server", "openstack/alpha")
    assert gateway.calls[-1].request.parent == ALPHA
    assert not gateway.calls[-1].request.HasField("max_staleness")


def test_pages_are_followed_up_to_the_count(gateway, run):
    """And no further; that there are more is said on stderr."""
    pages = {"": ["a", "b"], "1": [], "2": ["c"]}
    tokens = ["1", "2", "3"]

    def page(request):
        servers = [server(name) for name in pages[request.page_token]]
        return server_pb2.ListServersResponse(servers=servers, next_page_token=tokens[len(gateway.calls) - 1])

    gateway.answers["ListServers"] = page
    shown = run("list", "servers", "--count", "3", "--json")
    lines = [line for line in shown.splitlines() if line.startswith("{")]
    assert [json.loads(line)["name"] for line in lines] == [f"{ALPHA}/servers/{one}" for one in "abc"]
    assert "there are more than 3; --count shows more of them" in shown
    assert [call.request.page_size for call in gateway.calls] == [3, 1, 1]


def test_nothing_is_said_of_more_where_there_is_none(gateway, run):
    gateway.answers["ListServers"] = server_pb2.ListServersResponse(servers=[server("a"), server("b")])
    assert "there are more" not in run("list", "servers", "--count", "2")


def test_a_cluster_that_did_not_answer_is_told(gateway, run):
    """Exit code 1; of one whose last known rows are shown it is only said."""
    answer = server_pb2.ListServersResponse(servers=[server("a")])
    answer.cluster_status.add(cluster=ALPHA, state=2, reason="STALE", message="90 s old\x1b")
    gateway.answers["ListServers"] = answer
    assert "openstack/alpha: PARTIAL STALE: 90 s old\\x1b" in run("list", "servers")
    answer.cluster_status[0].state = 3
    assert "openstack/alpha: UNREACHABLE" in run("list", "servers", code=1)


def test_a_resource_of_any_kind_is_shown_by_its_name(gateway, run):
    """Whole, as JSON."""
    gateway.answers["GetKeyPair"] = key_pair_pb2.KeyPair(name=f"{ALPHA}/keyPairs/k", display_name="k")
    assert json.loads(run("get", f"{ALPHA}/keyPairs/k", "--max-age", "30s"))["displayName"] == "k"
    assert gateway.asked("GetKeyPair").max_staleness.seconds == 30


@pytest.mark.parametrize(
    "words",
    [
        ("list", "unicorns"), ("list", "operations"), ("list", "clusters"), ("list", "servers", "--max-age", "soon"),
        ("list", "servers", "alpha"), ("get", "web-1"), ("get", f"{ALPHA}/unicorns/1"), ("get", "operations/1"),
    ],
)  # fmt: skip
def test_what_is_not_a_kind_a_name_or_an_age_is_refused(gateway, run, words):
    """Before anything is asked."""
    run(*words, code=2)
    assert gateway.calls == []
