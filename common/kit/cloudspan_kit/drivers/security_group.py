"""SecurityGroupService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.security_group_pb2 import (
        AddRulesRequest,
        CreateSecurityGroupRequest,
        DeleteSecurityGroupRequest,
        GetSecurityGroupRequest,
        RemoveRulesRequest,
        ReplaceRulesRequest,
        SecurityGroup,
        UpdateSecurityGroupRequest,
    )
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query
    from cloudspan_kit.operation import Operation


class SecurityGroupDriver(Driver, Protocol):
    """Functions of SecurityGroupService; those that a driver leaves out are not served."""

    async def get_security_group(self, call: Call, request: GetSecurityGroupRequest) -> SecurityGroup:
        raise not_driven("get_security_group")

    async def list_security_groups(self, call: Call, query: Query) -> Page[SecurityGroup]:
        raise not_driven("list_security_groups")

    async def create_security_group(self, op: Operation, request: CreateSecurityGroupRequest) -> SecurityGroup:
        raise not_driven("create_security_group")

    async def update_security_group(self, op: Operation, request: UpdateSecurityGroupRequest) -> SecurityGroup:
        raise not_driven("update_security_group")

    async def delete_security_group(self, op: Operation, request: DeleteSecurityGroupRequest) -> None:
        raise not_driven("delete_security_group")

    async def replace_rules(self, op: Operation, request: ReplaceRulesRequest) -> SecurityGroup:
        raise not_driven("replace_rules")

    async def add_rules(self, op: Operation, request: AddRulesRequest) -> SecurityGroup:
        raise not_driven("add_rules")

    async def remove_rules(self, op: Operation, request: RemoveRulesRequest) -> SecurityGroup:
        raise not_driven("remove_rules")
