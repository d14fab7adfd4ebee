"""What all drivers share: the form of an instance, and the URL that picks the driver."""

from __future__ import annotations

import pytest

from cloudspan_common.errors import InvalidRequest
from cloudspan_common.registry import Instance, open_registry


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("instance_id", ""),
        ("instance_id", "a/b"),
        ("instance_id", "a b"),
        ("instance_id", "x" * 128),
        ("platform", "Open Stack"),
        ("platform", "-"),
        ("address", "127.0.0.1"),
        ("address", "127.0.0.1:0"),
        ("address", "127.0.0.1:70000"),
        ("address", "::1:7080"),
        ("address", "http://a:1"),
        ("contract", (2, 1)),
        ("contract", (0, 1)),
        ("build", "b" * 129),
    ],
)
def test_a_malformed_instance_is_refused_by_field(field: str, value: object) -> None:
    """The violation names the field, so that an adapter's configuration can be fixed."""
    good = {"instance_id": "os-east", "platform": "openstack", "address": "[::1]:7080"}
    with pytest.raises(InvalidRequest) as caught:
        Instance(**{**good, field: value})
    assert [violation.field for violation in caught.value.violations] == [field]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("memory:", "<MemoryRegistry 0 instances>"),
        ("static:/tmp/a.yaml", "<StaticRegistry /tmp/a.yaml: not watching | 0 own>"),
        ("static:///tmp/a%20b.yaml", "<StaticRegistry /tmp/a b.yaml: not watching | 0 own>"),
        ("static:a.yaml", "<StaticRegistry a.yaml: not watching | 0 own>"),
        ("consul://c1", "<ConsulRegistry cloudspan-adapter at c1:8500: not watching | 0 own>"),
        ("consul://[::1]:9?service=x&probe=grpcs", "<ConsulRegistry x at [::1]:9: not watching | 0 own>"),
        ("consul+https://c1:8501", "<ConsulRegistry cloudspan-adapter at c1:8501: not watching | 0 own>"),
    ],
)
async def test_a_url_names_a_driver_and_its_place(url: str, shown: str) -> None:
    """Nothing is contacted before the first call."""
    registry = open_registry(url)
    assert repr(registry) == shown
    await registry.close()


@pytest.mark.parametrize(
    "url",
    [
        "", "memory:x", "static:", "etcd://a:1", "consul:", "consul://:1", "consul://a:b", "consul://a/b",
        "consul://user:pass@a", "consul://a?serivce=x", "consul://a?probe=http",
    ],
)  # fmt: skip
def test_another_url_is_refused_with_the_forms_that_work(url: str) -> None:
    """A typing error must not start a gateway with an empty table."""
    with pytest.raises(InvalidRequest, match="static:PATH or consul://HOST:PORT"):
        open_registry(url)
