"""Which fields an Update changes: those of its mask, or those that are set, and never those that can't be changed."""

from __future__ import annotations

import pytest

from cloudspan.v1 import floating_ip_pb2, security_group_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.update_mask import changed_fields

Group = security_group_pb2.SecurityGroup


def update(*paths: str, **fields: object) -> security_group_pb2.UpdateSecurityGroupRequest:
    request = security_group_pb2.UpdateSecurityGroupRequest(security_group=Group(**fields))
    request.update_mask.paths.extend(paths)
    return request


def test_the_masks_fields_are_changed_even_when_they_are_empty() -> None:
    """That is how a description is removed."""
    assert changed_fields(update("description", display_name="g"), "security_group") == {"description"}


def test_without_a_mask_the_fields_that_are_set_are_changed() -> None:
    """A resource that was read can be sent back: what the platform sets, and the etag, are left out."""
    request = update(name="n", etag="e", display_name="g", labels={"a": "b"}, is_default=True)
    assert changed_fields(request, "security_group") == {"display_name", "labels"}


def test_a_star_replaces_everything_that_can_be_changed() -> None:
    assert changed_fields(update("*"), "security_group") >= {"display_name", "description", "labels", "stateful"}
    assert "rules" not in changed_fields(update("*"), "security_group")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("rules", "is set by the platform"),
        ("labels.tier", "is not a field of SecurityGroup"),
        ("nonsense", "is not a field of SecurityGroup"),
    ],
)
def test_a_path_that_can_not_be_changed_is_refused_by_name(path: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{path} {why}") as refused:
        changed_fields(update("display_name", path), "security_group")
    assert (refused.value.reason, len(refused.value.violations)) == ("BAD_UPDATE_MASK", 1)


def test_an_immutable_field_is_refused_in_a_mask() -> None:
    request = floating_ip_pb2.UpdateFloatingIpRequest()
    request.update_mask.paths.append("ip_address")
    with pytest.raises(InvalidRequest, match="can't be changed after the create"):
        changed_fields(request, "floating_ip")
