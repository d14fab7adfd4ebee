"""What the network changes make and delete, and what both of them share. `network` builds on the changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_zstack.creation import Creation, Kind
from cloudspan_zstack.network_messages import NetworkMessages
from cloudspan_zstack.network_rows import IpRangeRow, L2Row, L3Row

if TYPE_CHECKING:
    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.session import Session

L2 = Kind("/l2-networks", L2Row, "l2Networks")
L3 = Kind("/l3-networks", L3Row, "networks")
IP_RANGE = Kind("/l3-networks/ip-ranges", IpRangeRow, "subnets")


class Changes:
    """The parts that changes of one cluster's networks are made with."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref
        self._messages = NetworkMessages(session, ref)
        self._creation = Creation(session)


def bad(field: str, text: str, reason: str = "") -> InvalidRequest:
    """Return the error for one bad field."""
    return InvalidRequest(text, reason=reason, violations=[Violation(field, text)])
