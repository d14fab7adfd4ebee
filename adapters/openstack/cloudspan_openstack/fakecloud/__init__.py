"""A fake OpenStack over HTTP, faithful to a real Zed in what clients depend on, with faults on demand.

For the demo (`python -m cloudspan_openstack.fakecloud`), for tests in process (`FakeCloud`), and for compose.
"""

from __future__ import annotations

from cloudspan_common.fakes.faults import Body
from cloudspan_openstack.fakecloud.app import FakeCloud
from cloudspan_openstack.fakecloud.control import Control
from cloudspan_openstack.fakecloud.faults import Fault, Kind
from cloudspan_openstack.fakecloud.journal import Request
from cloudspan_openstack.fakecloud.store import Timing

__all__ = ["Body", "Control", "FakeCloud", "Fault", "Kind", "Request", "Timing"]
