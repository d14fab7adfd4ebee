"""Who callers are and what they may do, said by a test instead of by rows of the database."""

from __future__ import annotations

from dataclasses import dataclass

from cloudspan_common.contract import Permission
from cloudspan_common.errors import NotFound, NotPermitted, Unauthenticated
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.identity.credentials import credential_of


@dataclass(frozen=True)
class Sees:
    """An access to some platforms, with everything but administering."""

    platforms: frozenset[str] = frozenset()
    tenant: str = "acme"
    administers: bool = False
    roles: tuple[str, ...] = ()

    def view(self, snapshot):
        return snapshot.only(lambda tag: tag in self.platforms, lambda ref: ref.platform in self.platforms)

    def narrowed(self, pool):
        raise NotFound(f"no pool {pool!r}", reason="POOL_UNKNOWN")

    def require(self, permission, method, ref=None):
        if permission == Permission.PERMISSION_ADMINISTER and not (self.administers and self.tenant == "-"):
            raise NotPermitted(f"{method} needs to administer {self.tenant}")

    def sees(self, tenant, ref=None):
        return tenant == self.tenant

    def project(self, ref):
        return ""

    def limits(self, ref=None):
        return ()


class Known:
    """Callers by subject: what each may see. Keeps who was asked for."""

    def __init__(self, **platforms: str) -> None:
        self.platforms = {subject: frozenset(seen.split()) for subject, seen in platforms.items()}
        self.administrators: set[str] = set()
        self.asked: list[tuple[Principal, str]] = []

    def __call__(self, principal: Principal, tenant: str) -> Sees:
        self.asked.append((principal, tenant))
        name = principal.subject.rpartition("/")[2]
        if name not in self.platforms:
            raise NotPermitted(f"{principal.subject} has no role")
        return Sees(self.platforms[name], tenant or "acme", name in self.administrators)


class Tokens:
    """An authenticator that knows tokens by their text; one of another form is not of its kind."""

    name = "sessions"

    def __init__(self, **users: str) -> None:
        self.users = users
        self.asked = 0

    async def authenticate(self, call):
        self.asked += 1
        token = credential_of(call).token
        if not token.startswith("s_"):
            return None
        if token not in self.users:
            raise Unauthenticated("the session is unknown or has ended")
        return Principal(f"users/{self.users[token]}")
