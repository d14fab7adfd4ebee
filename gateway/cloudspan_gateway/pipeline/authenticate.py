"""Who asks: the credential that a call brings becomes its `principal`, and that becomes what it may do.

Stands between context and route. A gateway without authenticators is open: every caller is anonymous and may do
everything. Where they are, a credential in the metadata decides; without one, the certificate of the connection. A bad
credential is an error, and never makes way for another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_common import contract
from cloudspan_common.errors import InvalidRequest, Unauthenticated
from cloudspan_gateway.access.access import NOTHING, OpenAccess
from cloudspan_gateway.access.principal import ANONYMOUS
from cloudspan_gateway.identity.config import MTLS
from cloudspan_gateway.identity.credentials import credential_of
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
# They show everybody something, and a caller who says who it is what it may see. One of their paths that no side
# service serves comes here as any other, and finds nothing either.
_ANYBODY = ("/grpc.health.v1.Health/", "/grpc.reflection.v1.", "/grpc.reflection.v1alpha.")


# Who has roles in several tenants is told of them by GetSession, and may log out, without choosing one first.
_OF_ONESELF = frozenset(
    method.path
    for method in contract.methods().values()
    if method.permission == contract.Permission.PERMISSION_AUTHENTICATED
    and method.service in ("cloudspan.v1.SessionService", "cloudspan.v1.UserService")
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
        self._by_metadata = tuple(each for each in authenticators if each.name != MTLS)
        self._by_connection = tuple(each for each in authenticators if each.name == MTLS)
        self._access_of = access_of

    def __repr__(self) -> str:
        return f"<Authenticate by {self._kinds}>" if self._access_of else "<Authenticate nobody: open>"

    @property
    def is_open(self) -> bool:
        """Whether everybody may do everything."""
        return self._access_of is None

    @property
    def _kinds(self) -> str:
        return ", ".join(each.name for each in (*self._by_metadata, *self._by_connection))

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        tenant = call.header(X_TENANT)
        if self._access_of is None:
            call.access = OpenAccess(tenant[:MAX_TENANT])
            return await proceed(call)
        if call.path in _PUBLIC:
            call.access = NOTHING
            return await proceed(call)
        found = await self._principal(call)
        if found is None and not call.path.startswith(_ANYBODY):
            raise self._refusal(f"{call.path[1:]} needs a credential and the call has none")
        call.principal = found or ANONYMOUS
        call.access = NOTHING if found is None else _in_tenant(self._access_of, found, tenant, call.path)
        return await proceed(call)

    async def _principal(self, call: Call) -> Principal | None:
        """Who has proven who it is; None for a call that does not try to."""
        credential = credential_of(call)
        for authenticator in self._by_connection if credential is None else self._by_metadata:
            found = await authenticator.authenticate(call)
            if found is not None and found.authenticated:
                return found
        if credential is not None:
            raise self._refusal(f"the token in metadata {credential.key} is of another kind")
        return None

    def _refusal(self, what: str) -> Unauthenticated:
        text = (
            f"{what}; this gateway takes: {self._kinds}. Log in with `cloudspan login`, or send metadata "
            "`authorization: Bearer TOKEN`"
        )
        return Unauthenticated(text, metadata={"accepts": self._kinds})


def _in_tenant(access_of: Callable[[Principal, str], Access], found: Principal, tenant: str, path: str) -> Access:
    try:
        return access_of(found, tenant)
    except InvalidRequest as error:
        if error.reason == "TENANT_NOT_CHOSEN" and (path in _OF_ONESELF or path.startswith(_ANYBODY)):
            return NOTHING
        raise
