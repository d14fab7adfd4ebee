"""`order_by` of lists (AIP-132), checked against what a cluster can sort by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from collections.abc import Sequence


def parse_order(text: str, sortable: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    """Return `order_by` (AIP-132: `create_time desc, name`) as (field, descending).

    Raises:
        InvalidRequest: MALFORMED_ORDER, or UNSORTABLE_FIELD with those that can be sorted by.
    """
    order = []
    for part in text.split(",") if text.strip() else ():
        words = part.split()
        if not words or len(words) > 2 or words[1:] not in ([], ["asc"], ["desc"]):
            wrong = f"order_by holds {part.strip()!r}; write fields, each with desc or nothing, with commas between"
            raise _bad_field("order_by", wrong, "MALFORMED_ORDER")
        if words[0] not in sortable:
            wrong = f"order_by names {words[0]!r}; this cluster can sort by: {', '.join(sortable) or 'nothing'}"
            raise _bad_field("order_by", wrong, "UNSORTABLE_FIELD")
        order.append((words[0], words[1:] == ["desc"]))
    return tuple(order)


def _bad_field(path: str, text: str, reason: str) -> InvalidRequest:
    return InvalidRequest(text, reason=reason, violations=[Violation(path, text)])
