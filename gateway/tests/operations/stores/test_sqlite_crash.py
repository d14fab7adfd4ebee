"""What a gateway that died had in its hands, its successor on the same SQLite file takes up at once."""

from __future__ import annotations

import shutil

from gateway.tests.operation_store_suite import LEASE_S

from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.model import Intent
from cloudspan_gateway.operations.stores.sql import open_store
from cloudspan_gateway.storage.cipher import Cipher


async def test_what_a_dead_gateway_held_is_claimed_by_the_next_one_without_waiting(tmp_path):
    """The files as they are in the middle of an operation are all that a kill -9 leaves."""
    clock, cipher = FakeClock(), Cipher.new()
    died = await open_store(f"sqlite:{tmp_path}/gateway.db", cipher, clock, LEASE_S)
    intent = Intent("an-operation", "cloudspan.v1.ServerService/CreateServer", b"", ClusterRef("p", "c"), "asked-once")
    await died.accept(intent)
    ((first, _),) = await died.claim(10)
    (tmp_path / "left").mkdir()
    for file in tmp_path.glob("gateway.db*"):
        shutil.copy(file, tmp_path / "left")
    await died.close()

    successor = await open_store(f"sqlite:{tmp_path}/left/gateway.db", cipher, clock, LEASE_S)
    ((second, row),) = await successor.claim(10)
    assert row.intent.id == "an-operation"
    assert second.epoch > first.epoch
    await successor.close()
