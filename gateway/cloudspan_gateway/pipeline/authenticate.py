"""Who asks: the credential that a call brings becomes its `principal`, and that becomes what it may do.

Stands between context and route. A gateway without authenticators is open: every caller is anonymous and may do
everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_common import contract
from cloudspan_common.errors import Unauthenticated
from cloudspan_gateway.access.access import OpenAccess
from cloudspan_gateway.access.principal import ANONYMOUS
from cloudspan_gateway.metadata import X_TENANT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.access.principal import Principal
    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.stages import Proceed

MAX_TENANT = 64
_PUBLIC = frozenset(
    method.path for method in contract.methods().values() if method.permission == contract.Permission.PERMISSION_NONE
)


class Authenticator(Protocol):
    """Knows one kind of credential."""

    name: str
    """As in `--auth`: sessions, jwt, mtls."""

    async def authenticate(self, call: Call) -> Principal | None:
        """Return whose credential the call brings; None when it brings none of this kind.

        Raises:
            Unauthenticated: It brings one, which is not valid (any more).
        """
        ...


class Authenticate:
    """The stage that sets `principal` and `access`."""

    def __init__(
        self, authenticators: Sequence[Authenticator] = (), access_of: Callable[[Principal, str], Access] | None = None
    ) -> None:
        """Take them in the order in which they are asked, and what returns a principal's access in a tenant."""
        self._authenticators = tuple(authenticators)
        self._access_of = access_of

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        tenant = call.header(X_TENANT)[:MAX_TENANT]
        if self._access_of is None:
            call.access = OpenAccess(tenant)
            return await proceed(call)
        if call.path not in _PUBLIC:
            call.principal = await self._principal(call)
            call.access = self._access_of(call.principal, tenant)
        return await proceed(call)

    async def _principal(self, call: Call) -> Principal:
        for authenticator in self._authenticators:
            found = await authenticator.authenticate(call)
            if found is not None and found is not ANONYMOUS:
                return found
        kinds = ", ".join(authenticator.name for authenticator in self._authenticators)
        text = (
            f"{call.path[1:]} needs a credential and the call has none; this gateway takes: {kinds}. Log in with "
            "`cloudspan login`, or send metadata `authorization: Bearer TOKEN`"
        )
        raise Unauthenticated(text)
