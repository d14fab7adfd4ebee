"""What the command line takes for a cluster."""

from __future__ import annotations

from typing import Any, cast

import click
import pytest

from cloudspan.cli.connection import cluster_name

NOWHERE = cast("Any", None)


@pytest.mark.parametrize("text", ["openstack/alpha", "platforms/openstack/clusters/alpha"])
def test_a_cluster_is_named_by_its_tags_or_by_its_resource_name(text: str) -> None:
    """As lists and errors print it, so that it can be pasted."""
    assert cluster_name(NOWHERE, NOWHERE, text) == "platforms/openstack/clusters/alpha"


@pytest.mark.parametrize("text", ["", "alpha", "openstack/-", "openstack/alpha/servers/1", "OpenStack/alpha"])
def test_another_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="such as openstack/alpha"):
        cluster_name(NOWHERE, NOWHERE, text)


def test_a_pool_travels_with_commands_that_list_clusters(gateway: Any, run: Any) -> None:
    """By its id or its name; a gateway without one gets none."""
    run("clusters", "--pool", "pools/prod", "--tenant", "acme")
    run("platforms")
    assert [call.metadata.get("x-pool") for call in gateway.calls] == ["prod", None]


def test_a_secret_is_taken_from_a_variable_a_file_or_a_prompt_but_from_no_argument(run: Any) -> None:
    """Arguments are in the shell's history and in `ps`; its variable and its file are named."""
    shown = run("whoami", "--help")
    assert "--token-file" in shown
    assert "CLOUDSPAN_TOKEN" in shown
    assert "No such option" in run("whoami", "--token", "cs_x", code=2)
    assert "No such option" in run("login", "alice", "--password", "x", code=2)
