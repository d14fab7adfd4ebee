"""A fake ZStack over HTTP, written from the API's reference, with faults on demand.

For the demo (`python -m cloudspan_zstack_fake`), for tests in process (`FakeCloud`), and for compose.
"""

from __future__ import annotations

from cloudspan_kit.fakes.faults import Body
from cloudspan_zstack_fake.app import FakeCloud
from cloudspan_zstack_fake.control import Control, Request
from cloudspan_zstack_fake.faults import Fault, Kind
from cloudspan_zstack_fake.store import Settings, Timing

__all__ = ["Body", "Control", "FakeCloud", "Fault", "Kind", "Request", "Settings", "Timing"]
