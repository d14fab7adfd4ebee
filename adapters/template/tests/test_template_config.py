"""Clusters in a file: read at the start, and again when the file has changed."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from cloudspan.client import AsyncClient
from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_kit import serve_adapter
from cloudspan_template.__main__ import adapter_of
from cloudspan_template.config import Entry, TemplateConfig, read_clusters

TEXT = "clusters:\n  east: {endpoint: 'http://east'}\n"


async def test_clusters_follow_the_file(tmp_path):
    """One is added and one is changed while the adapter runs."""
    file = tmp_path / "clusters.yaml"
    file.write_text(TEXT)
    config = TemplateConfig(clusters=file, drain_s=0.0)
    bound, stop = asyncio.get_running_loop().create_future(), asyncio.Event()
    serving = asyncio.create_task(
        serve_adapter(adapter_of(config), config, stop, registry=MemoryRegistry(), ready=bound.set_result)
    )
    async with AsyncClient(await bound, timeout_s=10) as client:

        async def endpoints():
            listed = await client.clusters.ListClusters(cluster_pb2.ListClustersRequest())
            return [cluster.endpoint for cluster in listed.clusters]

        assert await endpoints() == ["http://east"]
        file.write_text("clusters:\n  east: {endpoint: 'http://new'}\n  west: {endpoint: 'http://west'}\n")
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            while await endpoints() != ["http://new", "http://west"]:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.01)
    stop.set()
    await serving


def test_a_bad_entry_is_an_error_of_its_own(tmp_path):
    """The others can be used."""
    file = tmp_path / "clusters.yaml"
    file.write_text(f"{TEXT}  west: {{endpoint: 5}}\n")
    found = read_clusters(file).by_tag
    assert found["east"] == Entry("http://east")
    assert "cluster west" in found["west"].message


@pytest.mark.parametrize("text", ["", "clusters: [a]", "{", "clusters:"])
def test_a_file_without_clusters_is_refused_as_a_whole(tmp_path, text):
    """Whoever writes it may not have finished: what is served goes on."""
    file = tmp_path / "clusters.yaml"
    file.write_text(text)
    with pytest.raises(InvalidRequest) as refused:
        read_clusters(file)
    assert str(file) in refused.value.message
