"""Small translations that every kind of resource needs: times, tags, names, whole GiB.

The mappings of network, storage, image and identity call these once a field, so they stay flat and cheap.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_kit import GIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


MARKER_PREFIX = "cs-"
WITH_SERVER = "cloudspan:with-server"
"""Tag of what was made with a server and goes with it: its ports and floating IPs."""
_MARKER = re.compile(MARKER_PREFIX + r"[a-z0-9]{1,8}-[0-9a-f]{32}-[a-z0-9-]+")
_MAX_TAG_CHARS = 255
_MAX_TEXT = 255
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE = _EPOCH.replace(tzinfo=None)
_FIRST_YEAR, _LAST_YEAR = 1, 9999


def since_epoch(time: datetime | None) -> timedelta | None:
    """Return how long after 1970 a decoded time is; one without a zone is UTC, whatever zone this process is in.

    None for what can't be told: the first year is how programs write "never", and both ends have no room for zones.
    """
    if time is None or not _FIRST_YEAR < time.year < _LAST_YEAR:
        return None
    return time - (_EPOCH if time.tzinfo else _EPOCH_WITHOUT_ZONE)


def unix_time(time: datetime | None) -> float | None:
    """Return a decoded time in seconds."""
    since = since_epoch(time)
    return None if since is None else since.total_seconds()


def timestamp(time: datetime | None) -> Timestamp | None:
    """Return the message for a decoded time."""
    since = since_epoch(time)
    if since is None:
        return None
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def zulu(moment: float) -> str:
    """Return Unix seconds as OpenStack's services read a time in a query: `2026-11-22T03:19:50Z`."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_mark(tag: str) -> bool:
    """Whether a Neutron tag is a mark of ours rather than somebody's label."""
    return tag == WITH_SERVER or is_marker(tag)


def is_marker(text: str) -> bool:
    """Whether a tag, or a description, is the marker of a create."""
    return text.startswith(MARKER_PREFIX) and "=" not in text


def description_of(text: str | None) -> str | None:
    """Return a Neutron description; none while a create's marker stands in its place."""
    return None if text is not None and _MARKER.fullmatch(text) else text


def labels_of(tags: Sequence[str]) -> dict[str, str] | None:
    """Return Neutron's tags as labels: `k=v` is the label k, a tag without `=` a label with an empty value."""
    if not tags:
        return None
    return {key: value for key, _, value in (tag.partition("=") for tag in tags if not is_mark(tag))}


def tags_of(labels: Mapping[str, str], field: str) -> list[str]:
    """Return labels as Neutron tags.

    Raises:
        InvalidRequest: A label that could not be read back as it was, or is too long for a tag.
    """
    tags = []
    for key, value in sorted(labels.items()):
        tag = f"{key}={value}" if value else key
        if not key or "=" in key or len(tag) > _MAX_TAG_CHARS or is_mark(tag):
            text = (
                f"the label {key[:60]!r} can't be kept as a Neutron tag: keys hold no '=' and don't begin with "
                f"{MARKER_PREFIX!r}, {WITH_SERVER!r} is taken, key and value have at most {_MAX_TAG_CHARS - 1} "
                "characters together"
            )
            raise InvalidRequest(text, reason="LABEL_NOT_KEPT", violations=[Violation(field, text)])
        tags.append(tag)
    return tags


def whole_gib(size_bytes: int, field: str) -> int:
    """Return the GiB that Cinder counts in.

    Raises:
        InvalidRequest: Negative, or not whole.
    """
    if size_bytes < 0 or size_bytes % GIB:
        up = (max(size_bytes, 0) // GIB + 1) * GIB
        text = f"{field} is {size_bytes}; this platform makes volumes of whole GiB, the next larger is {up}"
        raise InvalidRequest(text, reason="SIZE_NOT_WHOLE_GIB", violations=[Violation(field, text)])
    return size_bytes // GIB


def check_text(text: str, field: str) -> None:
    """Refuse a description that Neutron does not keep: failing when it is restored, it would cost the whole create."""
    if len(text) > _MAX_TEXT:
        raise bad(field, f"{field} has {len(text)} characters, Neutron keeps {_MAX_TEXT}")


def bad(field: str, text: str) -> InvalidRequest:
    """Return the refusal of a field."""
    return InvalidRequest(text, violations=[Violation(field, text)])
