"""What `cloudspan up` starts, as data."""

from __future__ import annotations

from cloudspan_gateway.demo import plan


def test_the_demo_needs_each_port_once_and_shifts_them_all(tmp_path):
    """Eleven ports, all of them within 22 above the base."""
    ports = plan.demo(tmp_path, 20_000).ports
    adapters, metrics, clouds = (range(20_000 + first, 20_003 + first) for first in (10, 13, 20))
    assert sorted(ports) == [20_000, 20_001, *adapters, *metrics, *clouds]


def test_the_demos_adapters_serve_their_metrics(tmp_path):
    """Three ports above their own."""
    for child in plan.demo(tmp_path, 20_000).children:
        if child.name in ("memory", "openstack", "zstack"):
            assert child.metrics == child.port + 3
            assert child.arguments[child.arguments.index("--metrics") + 1] == f"127.0.0.1:{child.metrics}"


def test_operations_are_kept_unless_a_fresh_start_is_asked_for(tmp_path):
    """With the key that they are encrypted with; nothing else is ever deleted."""
    assert plan.demo(tmp_path).forgotten == ()
    assert plan.demo(tmp_path).kept == "operations.db"
    assert plan.demo(tmp_path, options=plan.Options(fresh=True)).forgotten == ("operations.*", "administrator.*")


def test_no_two_starts_give_the_same_ids_in_the_fake_clouds(tmp_path):
    """An operation of an earlier start must not find another resource under its id."""
    for child in plan.demo(tmp_path, options=plan.Options(id_seed="second")).children:
        if child.name in ("alpha", "beta", "zeta"):
            assert child.arguments[child.arguments.index("--id-seed") + 1] == f"{child.name}/second"
