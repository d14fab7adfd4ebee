"""What changes of one cluster's networks, subnets and floating IPs are made with; their classes build on `Changes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack.cloud.creation import Creation
from cloudspan_zstack.network.network_messages import NetworkMessages

if TYPE_CHECKING:
    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.session import Session


class Changes:
    """The parts that changes of one cluster's networks are made with."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref
        self._messages = NetworkMessages(session, ref)
        self._creation = Creation(session)
