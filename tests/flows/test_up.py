"""`cloudspan up` as its user meets it: a process that starts all, says what to try, leaves nothing behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time

import pytest
from tests.flows.demo import ROOT, Demo, cli, free_base, is_alive

CHILDREN = 7
PLATFORMS = ("memory", "openstack", "zstack")


@pytest.fixture
def demo(tmp_path):
    """A `cloudspan up` of the test's own."""
    made = Demo(tmp_path)
    yield made
    made.end()


@pytest.fixture
def demo_with_auth(tmp_path):
    """One that asks callers who they are."""
    made = Demo(tmp_path, "--auth", "--no-seed")
    made.wait_until_ready()
    yield made
    made.end()


def test_everything_is_up_within_20_s_and_the_printed_calls_work_as_printed(running_demo):
    """Five calls in each form; each buf call exits with 0 and answers what its title promises."""
    assert running_demo.ready_s < 20
    assert len(running_demo.grpcurl_calls) == len(running_demo.buf_calls) == 5
    platforms, servers, created, operations, checked = (_answer(call) for call in running_demo.buf_calls)
    assert [platform["name"] for platform in platforms["platforms"]] == [f"platforms/{tag}" for tag in PLATFORMS]
    assert {status["state"] for status in servers["clusterStatus"]} == {"STATE_OK"}
    owners = {server["name"].split("/servers/")[0] for server in servers["servers"]}
    assert owners == {status["cluster"] for status in servers["clusterStatus"]}
    assert created["done"]
    assert created["response"]["state"] == "STATE_RUNNING"
    assert created["name"] in [operation["name"] for operation in operations["operations"]]
    assert checked["ok"]


def test_with_auth_callers_are_asked_and_an_administrator_is_logged_in(demo_with_auth):
    """The printed calls bring its session; without one nothing is answered."""
    names = [platform["name"] for platform in _answer(demo_with_auth.buf_calls[0])["platforms"]]
    assert names == [f"platforms/{tag}" for tag in PLATFORMS]
    anonymous = [word for word in demo_with_auth.buf_calls[0] if "Bearer" not in word]
    anonymous.remove("-H")
    refused = subprocess.run(anonymous, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert "unauthenticated" in refused.stderr


def test_what_it_writes_is_readable_by_its_owner_only(running_demo):
    """Clouds files and signing keys hold credentials, logs and the store what callers sent (issue 9, A.9)."""
    written = {path.name: path.stat().st_mode & 0o777 for path in running_demo.state.rglob("*") if path.is_file()}
    assert {"registry.yaml", "gateway.log"} <= written.keys()
    assert {name: oct(mode) for name, mode in written.items() if mode & 0o077} == {}


def test_grpcurl_and_buf_are_given_the_same_request(running_demo):
    """Grpcurl itself is not needed here: its words must name the same headers, request and method."""
    for grpcurl, buf in zip(running_demo.grpcurl_calls, running_demo.buf_calls, strict=True):
        assert grpcurl[-2:] == buf[-1].removeprefix("http://").split("/", 1)
        assert [word for word in grpcurl if word.startswith("{")] == [word for word in buf if word.startswith("{")]
        assert ("x-wait: 30s" in grpcurl) == ("x-wait: 30s" in buf)


def test_the_command_line_shows_platforms_clusters_and_a_check(running_demo):
    """Each command is one table; a check that succeeds exits with 0."""
    gateway = ("--gateway", running_demo.gateway)
    platforms = cli("platforms", *gateway).stdout
    assert "memory" in platforms
    assert "alpha, beta" in platforms
    assert "openstack/beta" in cli("clusters", *gateway).stdout
    checked = cli("check", "openstack/alpha", *gateway)
    assert checked.returncode == 0, checked.stdout
    assert "login" in checked.stdout


def test_a_check_of_an_unknown_cluster_names_the_known_ones(running_demo):
    """One line on stderr and exit code 1."""
    refused = cli("check", "openstack/gamma", "--gateway", running_demo.gateway)
    assert refused.returncode == 1
    assert "'gamma'" in refused.stderr
    assert "alpha, beta" in refused.stderr


def test_a_check_of_a_malformed_cluster_name_says_what_is_expected():
    """Nobody is asked."""
    refused = cli("check", "openstack")
    assert refused.returncode == 2
    assert "expected PLATFORM/CLUSTER" in refused.stderr


def test_an_unreachable_gateway_is_reported_in_one_line():
    """No traceback; exit code 1."""
    refused = cli("platforms", "--gateway", "127.0.0.1:1")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: ")
    assert "127.0.0.1:1" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_ctrl_c_while_it_starts_leaves_nothing_behind(demo):
    """The first line is printed before anything runs; the signal comes while the children start."""
    assert demo.process.stdout.readline().startswith("starting ")
    while len(demo.children()) < 2:
        time.sleep(0.01)
    children = demo.children()
    assert demo.stop() == 0
    assert not [pid for pid in children if is_alive(pid)]


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_launcher_and_all_children(demo, number):
    """Exit code 0, and none of the five processes is left."""
    demo.wait_until_ready()
    children = demo.children()
    assert len(children) == CHILDREN
    assert demo.stop(number) == 0
    assert not [pid for pid in children if is_alive(pid)]


@pytest.mark.faults
def test_nothing_is_left_when_the_launcher_is_killed(demo):
    """The children notice by themselves, drain and end."""
    demo.wait_until_ready()
    children = demo.children()
    assert len(children) == CHILDREN
    demo.stop(signal.SIGKILL)
    give_up = time.monotonic() + 15
    while any(is_alive(pid) for pid in children) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not [pid for pid in children if is_alive(pid)]


@pytest.mark.faults
@pytest.mark.timeout(180)  # two starts of everything, and a third where no other test has made it
def test_operations_are_kept_between_starts_and_demos_side_by_side_do_not_meet(running_demo, tmp_path):
    """The second start tells what it found; its folder is refused to a third, which leaves it alone."""
    first = Demo(tmp_path)
    first.wait_until_ready()
    [kept, *_] = _operations(first)
    assert first.stop() == 0
    second = Demo(tmp_path)
    try:
        second.wait_until_ready()
        assert second.printed[0].startswith("The operations of earlier starts are kept (--fresh forgets them).")
        assert kept in _operations(second)
        assert kept not in _operations(running_demo)
        for one in (second, running_demo):
            assert cli("platforms", "--gateway", one.gateway).stdout.count("READY") == 2 * len(PLATFORMS)
        refused = cli("up", "--port-base", str(free_base()), "--state", str(tmp_path), "--fresh")
        assert (refused.returncode, f"(process {second.process.pid})" in refused.stderr) == (1, True)
        assert kept in _operations(second)
    finally:
        first.end()
        second.end()


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    """In one line, and nothing in it is touched."""
    (tmp_path / "operations.db").write_text("a real gateway's")
    refused = cli("up", "--port-base", str(free_base()), "--state", str(tmp_path), "--fresh")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"Error: {tmp_path} was not made by `cloudspan up`")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("operations.db", "a real gateway's")]


def test_a_port_in_use_is_one_clear_error(tmp_path):
    """The port and its would-be owner are named, nothing is started, the exit code is 1."""
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        base = owner.getsockname()[1]
        refused = cli("up", "--port-base", str(base), "--state", str(tmp_path))
    assert refused.returncode == 1
    assert f"{base} (gateway)" in refused.stderr
    assert "--port-base" in refused.stderr


def _operations(demo):
    shown = cli("operations", "--gateway", demo.gateway)
    assert shown.returncode == 0, shown.stderr
    return [line.split()[0] for line in shown.stdout.splitlines() if line.startswith("operations/")]


def _answer(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
