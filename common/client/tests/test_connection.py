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
