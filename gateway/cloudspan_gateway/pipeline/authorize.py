"""Whether the caller may do what it asks for: by the method's permission, and the cluster that the call is about.

Stands behind route, where a call's target is known, and before dispatch: nothing has been done yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.contract import Permission
from cloudspan_gateway.access.permissions import permission_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.stages import Proceed
    from cloudspan_gateway.routing.router import Router

_OWN_CREDENTIAL = frozenset({Permission.PERMISSION_NONE, Permission.PERMISSION_AUTHENTICATED})


class Authorize:
    """The stage that refuses; services ask about what only they know, such as an operation."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def __call__(self, call: Call, proceed: Proceed) -> Awaitable[Answer]:
        """Return what `proceed` returns; no coroutine of its own, which costs a call some microseconds."""
        permission = permission_of(call.path)
        if permission not in _OWN_CREDENTIAL:
            ref = call.target.ref
            if ref is not None and not call.access.sees(call.access.tenant, ref):
                # A cluster outside of the caller's pools: refused as one that nothing has, before any permission.
                self._router.check_known(ref, call.access)
            call.access.require(permission, call.path[1:], ref)
        return proceed(call)
