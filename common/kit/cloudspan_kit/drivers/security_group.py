"""SecurityGroupService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.security_group_pb2 import GetSecurityGroupRequest, SecurityGroup
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query


class SecurityGroupDriver(Driver, Protocol):
    """Functions of SecurityGroupService; those that a driver leaves out are not served."""

    async def get_security_group(self, call: Call, request: GetSecurityGroupRequest) -> SecurityGroup:
        raise not_driven("get_security_group")

    async def list_security_groups(self, call: Call, query: Query) -> Page[SecurityGroup]:
        raise not_driven("list_security_groups")
