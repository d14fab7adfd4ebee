"""Each script under examples/ does what its first line says, as a program against a running demo."""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest
from tests.flows.demo import ROOT

CLUSTERS = ["memory/main", "openstack/alpha"]


def _run(script, *arguments):
    command = [sys.executable, f"examples/{script}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_run_here():
    """A new script needs a test of its own in this file."""
    scripts = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert scripts == {"list_everywhere.py", "create_once.py", "follow_operation.py"}


def test_list_everywhere_names_servers_of_each_cluster(running_demo):
    """Four clusters of three platforms answer, each with servers of its own and its age."""
    printed = _run("list_everywhere.py", running_demo.gateway)
    clusters = ("memory/clusters/main", "openstack/clusters/alpha", "openstack/clusters/beta", "zstack/clusters/zeta")
    for cluster in clusters:
        assert f"platforms/{cluster}/servers/" in printed
        assert f"platforms/{cluster}: STATE_OK" in printed


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_create_once_makes_one_server_however_often_it_is_run(running_demo, cluster):
    """The second run gets the operation and the server of the first."""
    request_id = str(uuid.uuid4())
    first = _run("create_once.py", cluster, request_id, running_demo.gateway)
    assert "STATE_RUNNING" in first
    assert _run("create_once.py", cluster, request_id, running_demo.gateway) == first
    assert _run("create_once.py", cluster, str(uuid.uuid4()), running_demo.gateway) != first


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_follow_operation_prints_its_way_to_the_end(running_demo, cluster):
    """The last line but one is the finished operation, the last one the volume."""
    *_, last, made = _run("follow_operation.py", cluster, running_demo.gateway).splitlines()
    assert "PHASE_DONE 100 %" in last
    platform, tag = cluster.split("/")
    assert made.startswith(f"made platforms/{platform}/clusters/{tag}/volumes/")
