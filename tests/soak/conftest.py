"""The soak's parameters: `make soak COUNT=24000 SEED=1`."""

from __future__ import annotations

import os

import pytest

COUNT, SEED = 24_000, 1


@pytest.fixture(scope="session")
def count() -> int:
    """How many operations."""
    return int(os.environ.get("CLOUDSPAN_SOAK_COUNT") or COUNT)


@pytest.fixture(scope="session")
def seed() -> int:
    """What the dice of workers and kills begin with."""
    return int(os.environ.get("CLOUDSPAN_SOAK_SEED") or SEED)
