"""A cluster on a fake cloud whose answers can be altered, and clusters of the same cloud with other settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from adapters.openstack.tests.altered_answers import AlteredCloud
from adapters.openstack.tests.compute.conftest import ImpatientClock, bench, clock, clouds_yaml

from cloudspan_openstack.cloud.clouds import read_cloud
from cloudspan_openstack.cluster import OpenStackCluster, Shared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from adapters.openstack.tests.compute.conftest import Bench

    from cloudspan_common.clock import Clock
    from cloudspan_common.testing import FakeClock

__all__ = ["bench", "clock", "clouds_yaml"]


@pytest.fixture
async def cloud(clock: FakeClock) -> AsyncIterator[AlteredCloud]:
    async with AlteredCloud("fake", clock=clock) as running:
        yield running


@pytest.fixture
async def cluster_of(bench: Bench, clouds_yaml: Path) -> AsyncIterator[Callable[..., OpenStackCluster]]:
    """Make a cluster of the fake's clouds.yaml with some of its settings changed."""
    made: list[OpenStackCluster] = []

    def make(
        name: str = "fake", auth: dict[str, Any] | None = None, clock: Clock | None = None, **settings: Any
    ) -> OpenStackCluster:
        document = yaml.safe_load(clouds_yaml.read_text())
        entry = document["clouds"][name]
        entry.update(settings)
        entry["auth"].update(auth or {})
        clouds_yaml.write_text(yaml.safe_dump(document))
        shared = Shared(clock=clock or ImpatientClock())
        made.append(OpenStackCluster(bench.cluster.ref, read_cloud(name, clouds_yaml), shared))
        return made[-1]

    yield make
    for cluster in made:
        await cluster.close()
