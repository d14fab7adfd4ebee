"""What `cloudspan up` starts, as data."""

from __future__ import annotations

from cloudspan_gateway.demo import plan


def test_the_demo_needs_each_port_once_and_shifts_them_all(tmp_path):
    """Eight ports, all of them within 22 above the base."""
    ports = plan.demo(tmp_path, 20_000).ports
    assert sorted(ports) == [20_000, 20_001, 20_010, 20_011, 20_012, 20_020, 20_021, 20_022]
