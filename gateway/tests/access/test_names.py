"""Names of tenants, pools, roles and bindings."""

from __future__ import annotations

import pytest

from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway.access import names


@pytest.mark.parametrize(
    ("name", "form", "ids"),
    [
        ("tenants/acme", names.TENANT, ("acme",)),
        ("tenants/-", names.TENANT_OR_EVERY, ("-",)),
        ("tenants/acme/pools/prod-1", names.POOL, ("acme", "prod-1")),
        ("tenants/-/bindings/b1", names.BINDING, ("-", "b1")),
        ("roles/viewer", names.ROLE, ("viewer",)),
    ],
)
def test_a_name_gives_its_ids(name: str, form: str, ids: tuple[str, ...]) -> None:
    """In the order of the form."""
    assert names.ids_of(name, form) == ids


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("tenants/-", names.TENANT),
        ("tenants/Acme", names.TENANT),
        ("tenants/acme/", names.TENANT),
        ("tenants/acme\n", names.TENANT),
        ("tenants//pools/x", names.POOL),
        ("tenants/-/pools/x", names.POOL),
        ("tenants/acme/pools/-", names.POOL),
        ("tenants/acme/bindings/../x", names.BINDING),
        ("roles/-", names.ROLE),
        ("", names.ROLE),
    ],
)
def test_another_form_is_refused_with_the_one_expected(name: str, form: str) -> None:
    """And with the field that has it."""
    with pytest.raises(InvalidRequest) as refused:
        names.ids_of(name, form, "resource")
    assert refused.value.reason == "MALFORMED_NAME"
    assert form in refused.value.message
    assert refused.value.violations[0].field == "resource"
