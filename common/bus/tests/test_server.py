"""Messages become calls of the gateway, and their answers replies."""

from __future__ import annotations

import pytest
from common.bus.tests.conftest import CLUSTER, SERVERS

pytestmark = pytest.mark.timeout(120)


async def test_a_call_of_getserver_answers_the_server_as_proto_json(bus):
    """With the names of the .proto, over a real broker."""
    found = await bus.caller().call(SERVERS, "GetServer", name=f"{CLUSTER}/servers/seed-000000")
    assert found["name"] == f"{CLUSTER}/servers/seed-000000"
    assert found["state"] == "STATE_RUNNING"
    assert "display_name" in found
