"""What the soak is told: `make soak COUNT=24000 SEED=1`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.harness.nursery import Nursery

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT, SEED = 24_000, 1


@pytest.fixture(scope="session")
def count() -> int:
    """How many operations."""
    return int(os.environ.get("CLOUDSPAN_SOAK_COUNT") or COUNT)


@pytest.fixture(scope="session")
def seed() -> int:
    """What the dice of workers and kills begin with."""
    return int(os.environ.get("CLOUDSPAN_SOAK_SEED") or SEED)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """What the processes are forked from."""
    with Nursery("cloudspan_gateway", "cloudspan_openstack", "cloudspan_zstack", "cloudspan_memory") as started:
        yield started
