"""Where an error came from is added to it once, and never overwrites what the platform said."""

from __future__ import annotations

import pytest

from cloudspan_common.errors import NotFound, PlatformFault
from cloudspan_common.names import ClusterRef
from cloudspan_kit.error_context import located, reading

EAST = ClusterRef("acme", "east")


def test_an_error_carries_the_tags_of_its_cluster() -> None:
    with pytest.raises(PlatformFault) as raised, located(EAST):
        raise PlatformFault("broken", metadata={"cluster": "its own word", "http_status": "500"})
    assert raised.value.metadata == {"platform": "acme", "cluster": "its own word", "http_status": "500"}


def test_what_was_not_found_is_the_resource_that_was_asked_for() -> None:
    """The platform knows its own ids only; what a driver named stays."""
    with pytest.raises(NotFound) as raised, reading("the/server"):
        raise NotFound("no such id")
    assert raised.value.resource == "the/server"
    with pytest.raises(NotFound) as raised, reading("the/server"):
        raise NotFound("no such image", resource="the/image")
    assert raised.value.resource == "the/image"
