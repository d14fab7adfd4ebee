"""What of networks is made and deleted, as kinds for `creation`, and the error for one bad field of a request."""

from __future__ import annotations

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_zstack.cloud.creation import Kind
from cloudspan_zstack.network.network_rows import L2Row, L3Row

L2 = Kind("/l2-networks", L2Row, "l2Networks")
L3 = Kind("/l3-networks", L3Row, "networks")


def bad(field: str, text: str, reason: str = "") -> InvalidRequest:
    """Return the error for one bad field."""
    return InvalidRequest(text, reason=reason, violations=[Violation(field, text)])
