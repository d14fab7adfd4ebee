"""Tags, which ZStack keeps beside its resources: user tags `key::value` are labels, system tags are its own settings.

Drivers look them up by the page.

Tags that begin with `cloudspan::` are our own (`markers`, `network_changes`): no labels, and no label becomes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_zstack.cloud.queries import batches, everything, one_of
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_kit import Call
    from cloudspan_zstack.cloud.session import Session

OURS = "cloudspan::"
"""What our own tags begin with."""
_BETWEEN = "::"
_MAX_TAG_CHARS = 2048


class Tag(Row):
    """A user tag."""

    resource_uuid: str = ""
    resource_type: str = ""
    tag: str = ""


def tags_of(labels: Mapping[str, str], field: str) -> list[str]:
    """Return labels as user tags.

    Raises:
        InvalidRequest: A label that could not be read back as it was, is too long, or would look like a tag of ours.
    """
    tags = []
    for key, value in sorted(labels.items()):
        tag = f"{key}{_BETWEEN}{value}"
        if not key or _BETWEEN in key or key.endswith(":") or len(tag) > _MAX_TAG_CHARS:
            text = (
                f"the label {key[:60]!r} can't be kept as a tag: keys hold no '::' and don't end with ':', key and "
                f"value have at most {_MAX_TAG_CHARS - len(_BETWEEN)} characters together"
            )
            raise InvalidRequest(text, reason="LABEL_NOT_KEPT", violations=[Violation(field, text)])
        if tag.startswith(OURS):
            text = f"the label {key!r} is kept for tags by which what this adapter made is found; name it otherwise"
            raise InvalidRequest(text, reason="LABEL_RESERVED", violations=[Violation(field, text)])
        tags.append(tag)
    return tags


async def read_labels(session: Session, call: Call, kind: str, uuids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the labels of resources by uuid; `kind` is the platform's resource type, `VmInstanceVO`.

    A tag without `::` is a label with an empty value.
    """
    found: dict[str, dict[str, str]] = {}
    for some in batches(uuids):
        conditions = [f"resourceType={kind}", *one_of("resourceUuid", some)]
        for row in await everything(session, call, "/user-tags", Tag, conditions):
            if row.tag.startswith(OURS):
                continue
            key, _, value = row.tag.partition(_BETWEEN)
            found.setdefault(row.resource_uuid, {})[key] = value
    return found


async def read_system_tags(
    session: Session, call: Call, kind: str, uuids: Sequence[str], like: str = ""
) -> dict[str, list[str]]:
    """Return the system tags of resources by uuid, sorted; only those that are `like` a pattern, `hostname::%`."""
    found: dict[str, list[str]] = {}
    for some in batches(uuids):
        conditions = [f"resourceType={kind}", *one_of("resourceUuid", some), *([f"tag~={like}"] if like else [])]
        for row in await everything(session, call, "/system-tags", Tag, conditions):
            found.setdefault(row.resource_uuid, []).append(row.tag)
    return {uuid: sorted(tags) for uuid, tags in found.items()}
