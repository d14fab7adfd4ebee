"""A fake ZStack over HTTP, written from the API's reference, with faults on demand.

For the demo (`python -m cloudspan_zstack.fakecloud`), for tests in process (`FakeCloud`), and for compose.
"""

from __future__ import annotations

from cloudspan_common.fakes.faults import Body
from cloudspan_zstack.fakecloud.app import FakeCloud
from cloudspan_zstack.fakecloud.control import Control
from cloudspan_zstack.fakecloud.faults import Fault, Kind
from cloudspan_zstack.fakecloud.journal import Request
from cloudspan_zstack.fakecloud.store import Settings, Timing

__all__ = ["Body", "Control", "FakeCloud", "Fault", "Kind", "Request", "Settings", "Timing"]
