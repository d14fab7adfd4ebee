"""Volumes: their size."""

from __future__ import annotations

import pytest
from adapters.memory.tests.steps import MAIN, changed

from cloudspan.client import AsyncClient
from cloudspan.client import errors as client_errors
from cloudspan.v1 import volume_pb2


@pytest.mark.parametrize("size", [0, -1])
async def test_a_volume_without_a_size_is_refused(client: AsyncClient, size: int) -> None:
    """With the field named."""
    request = volume_pb2.CreateVolumeRequest(parent=MAIN, volume={"display_name": "x", "size_bytes": size})
    with pytest.raises(client_errors.InvalidRequest) as caught:
        await changed(client.volumes.CreateVolume(request))
    assert "size_bytes" in caught.value.message
