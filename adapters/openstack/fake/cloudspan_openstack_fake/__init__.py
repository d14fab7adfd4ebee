"""A fake OpenStack over HTTP, faithful to a real Zed in what clients depend on, with faults on demand.

For the demo (`python -m cloudspan_openstack_fake`), for tests in process (`FakeCloud`), and for compose.
"""

from __future__ import annotations

from cloudspan_kit.fakes.faults import Body
from cloudspan_openstack_fake.app import FakeCloud
from cloudspan_openstack_fake.control import Control, Request
from cloudspan_openstack_fake.faults import Fault, Kind
from cloudspan_openstack_fake.store import Timing

__all__ = ["Body", "Control", "FakeCloud", "Fault", "Kind", "Request", "Timing"]
