"""Whether the caller may do what it asks for: by the method's permission, and the cluster that the call is about.

Stands behind route, where a call's target is known, and before dispatch: nothing has been done yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common import contract
from cloudspan_common.contract import Permission

if TYPE_CHECKING:
    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.stages import Proceed

_OWN_CREDENTIAL = frozenset({Permission.PERMISSION_NONE, Permission.PERMISSION_AUTHENTICATED})
_LONGRUNNING = "/google.longrunning.Operations/"
# What google.longrunning does not say of itself.
_PERMISSIONS = {
    **{method.path: method.permission for method in contract.methods().values()},
    f"{_LONGRUNNING}GetOperation": Permission.PERMISSION_READ,
    f"{_LONGRUNNING}ListOperations": Permission.PERMISSION_READ,
    f"{_LONGRUNNING}WaitOperation": Permission.PERMISSION_READ,
    f"{_LONGRUNNING}CancelOperation": Permission.PERMISSION_OPERATE,
    f"{_LONGRUNNING}DeleteOperation": Permission.PERMISSION_DELETE,
}


def permission_of(path: str) -> Permission:
    """Return what a method needs: `/cloudspan.v1.ServerService/GetServer`; of one beyond the contract, to operate."""
    return _PERMISSIONS.get(path, Permission.PERMISSION_OPERATE)


async def authorize(call: Call, proceed: Proceed) -> Answer:
    """Proceed with a call that its caller may make; services ask about what only they know, such as an operation."""
    permission = permission_of(call.path)
    if permission not in _OWN_CREDENTIAL:
        call.access.require(permission, call.path[1:], call.target.ref)
    return await proceed(call)
