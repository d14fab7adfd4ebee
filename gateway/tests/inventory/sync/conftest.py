"""What tests of sweeps share: an installation of gateways, and its database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gateway.tests.observed_servers import opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan_gateway.storage.engine import Database

from gateway.tests.swept_installation import Installation


@pytest.fixture
def installation() -> Installation:
    return Installation()


@pytest.fixture
async def database(installation: Installation) -> AsyncIterator[Database]:
    async with opened("sqlite", installation.clock) as database:
        yield database
