"""Which fields an Update changes (AIP-134), checked against what the contract says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.api import field_behavior_pb2

from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from google.protobuf.message import Message

_FIXED = {
    field_behavior_pb2.OUTPUT_ONLY: "is set by the platform",
    field_behavior_pb2.IMMUTABLE: "can't be changed after the create",
}
_ADDRESS = ("name", "etag")  # say which resource is meant, and are not changed


def changed_fields(request: Any, field: str) -> frozenset[str]:
    """Return the fields of `request`'s resource that an Update sets: those of its mask, all that are set without one.

    Raises:
        InvalidRequest: The mask names a field that the resource does not have, or one that can't be changed; without a
            mask only a field that can't be changed but is set counts, unless the platform sets it anyway: a resource
            that was read can be sent back.
    """
    resource: Message = getattr(request, field)
    known = resource.DESCRIPTOR.fields_by_name
    paths = list(request.update_mask.paths)
    if not paths:
        found = [f.name for f, _ in resource.ListFields() if not _fixed(f)]
        return frozenset(found) - frozenset(_ADDRESS)
    if paths == ["*"]:
        return frozenset(name for name, f in known.items() if not _fixed(f)) - frozenset(_ADDRESS)
    wrong = [Violation(f"update_mask: {path}", _why_not(known.get(path), resource)) for path in paths if path != "name"]
    violations = [violation for violation in wrong if violation.description]
    if violations:
        text = "; ".join(f"{violation.field} {violation.description}" for violation in violations)
        raise InvalidRequest(text, reason="BAD_UPDATE_MASK", violations=violations)
    return frozenset(paths) - frozenset(_ADDRESS)


def _why_not(field: Any, resource: Message) -> str:
    if field is None:
        return f"is not a field of {resource.DESCRIPTOR.name}; name whole fields, such as display_name"
    return _fixed(field)


def _fixed(field: Any) -> str:
    behaviours = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return next((why for behaviour, why in _FIXED.items() if behaviour in behaviours), "")
