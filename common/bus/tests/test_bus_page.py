"""The programs of docs/bus.md, run as they stand there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from common.bus.tests.conftest import CLUSTER
from prometheus_client import CollectorRegistry

from cloudspan_bus.metrics import BusMetrics

pytestmark = pytest.mark.timeout(120)

PAGE = (Path(__file__).parents[3] / "docs" / "bus.md").read_text()


def program(function: str) -> dict:
    """The names of the block that defines a function."""
    (block,) = [found for found in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if f"def {function}(" in found]
    names: dict = {}
    exec(compile(block, "docs/bus.md", "exec"), names)  # noqa: S102 - of this repository
    return names


async def test_the_program_with_oslo_messaging_creates_reads_and_deletes_a_server(bus):
    """Twenty lines."""
    found = await asyncio.to_thread(program("create_and_delete")["create_and_delete"], bus.broker.url, bus.topic)
    assert found["display_name"] == "web"


async def test_the_program_with_pika_reads_a_server(bus):
    """And hears what was refused."""
    get_server = program("get_server")["get_server"]
    found = await asyncio.to_thread(get_server, bus.pika, f"{CLUSTER}/servers/seed-000000", bus.topic)
    assert found["name"] == f"{CLUSTER}/servers/seed-000000"
    with pytest.raises(RuntimeError, match="NOT_FOUND"):
        await asyncio.to_thread(get_server, bus.pika, f"{CLUSTER}/servers/none", bus.topic)


def test_every_metric_is_on_the_page():
    """By the name that Prometheus sees."""
    registry = CollectorRegistry()
    BusMetrics(registry)
    names = {f"{m.name}_total" if m.type == "counter" else m.name for m in registry.collect()}
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []
