"""Servers with ports, floating IPs and volumes of their own: all or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from adapters.memory.tests.steps import (
    GIB,
    MAIN,
    Steps,
    a_server,
    check_every_cancel,
    check_every_lost_answer,
    check_refused,
)

from cloudspan.client import AsyncClient, result_of
from cloudspan.client import errors as client_errors
from cloudspan.v1 import server_pb2
from cloudspan_common import errors
from cloudspan_memory.cluster import MemoryCluster

WHOLE = {"servers": 1, "volumes": 2, "ports": 2, "floatingIps": 1}


async def test_a_cancel_before_any_step_leaves_nothing_and_says_what_went() -> None:
    """Each of the steps that a whole run takes."""
    await check_every_cancel(a_server(), WHOLE)


async def test_an_answer_lost_at_any_step_makes_nothing_twice() -> None:
    """The adapter did it and nobody heard."""
    await check_every_lost_answer(a_server(), WHOLE)


async def test_a_server_in_error_is_undone_with_all_its_parts_in_reverse() -> None:
    """What was made last goes first; each is reported."""
    steps = Steps(a_server(), fail=True)
    ended = await steps.drive()
    assert errors.from_status(ended.error).reason == "SERVER_IN_ERROR"
    assert steps.made() == {}
    gone = [left.name.split("/")[4] for left in ended.left_overs]
    assert gone == ["servers", "volumes", "volumes", "ports", "floatingIps", "ports"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (a_server(flavor=f"{MAIN}/flavors/huge"), "flavors/huge"),
        (a_server(new_volumes=[{"size_bytes": 0}]), r"new_volumes\[0\]"),
        (a_server(network_interfaces=[{"network": f"{MAIN}/networks/none"}]), "networks/none"),
        (a_server(network_interfaces=[{}]), "either a network or"),
        (a_server(network_interfaces=[{"port": f"{MAIN}/ports/none"}]), "ports/none"),
        (
            a_server(
                network_interfaces=[
                    {"network": f"{MAIN}/networks/private", "floating_network": f"{MAIN}/networks/private"}
                ]
            ),
            "not an external network",
        ),
        (
            a_server(network_interfaces=[{"network": f"{MAIN}/networks/private", "ip_addresses": ["8.8.8.8"]}]),
            "not an address in a subnet",
        ),
    ],
)
@pytest.mark.parametrize("only_checked", [True, False])
async def test_a_wrong_request_is_refused_before_anything_is_created(
    request_: Any, words: str, only_checked: bool
) -> None:
    """By a check alone as well."""
    await check_refused(request_, words, only_checked=only_checked)


async def test_a_check_makes_nothing(client: AsyncClient, cluster: MemoryCluster) -> None:
    """Of a good request; a start of what is not there is refused."""
    request = a_server()
    request.validate_only = True
    result_of(await client.servers.CreateServer(request))
    assert not cluster.store.all("ports")
    start = server_pb2.StartServerRequest(name=f"{MAIN}/servers/none", validate_only=True)
    with pytest.raises(client_errors.NotFound):
        result_of(await client.servers.StartServer(start))


async def test_what_memory_has_not_is_refused_by_field(client: AsyncClient) -> None:
    """With the reason that the capabilities give."""
    for fields in (
        {"boot_volume": {"size_bytes": GIB}},
        {"network_interfaces": [{"network": "n", "new_port": {"security_groups": ["g"]}}]},
    ):
        with pytest.raises(client_errors.Unsupported, match="does not serve") as caught:
            await client.servers.CreateServer(a_server(**fields))
        assert caught.value.reason == "FIELD_ABSENT"
