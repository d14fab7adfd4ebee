"""Tokens of the fake Keystone: issue, validate, revoke.

Revocation works by the second, as Keystone's does: a user's revocation kills every token issued up to and in
that second, one issued right after included. A single revoked token is known by its audit id and spares the others.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudspan_openstack_fake.rows import User
    from cloudspan_openstack_fake.store import Store

# A Fernet token of a project-scoped password login has this many characters.
_TOKEN_CHARS = 183


@dataclass(frozen=True, slots=True)
class Token:
    """An issued token."""

    id: str
    user_id: str
    project_id: str
    methods: tuple[str, ...]
    audit_ids: tuple[str, ...]
    issued_at: int
    expires_at: float
    app_credential_id: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a valid token speaks for; `project_id` is empty when it is unscoped."""

    token: Token
    user: User

    @property
    def project_id(self) -> str:
        return self.token.project_id

    @property
    def is_admin(self) -> bool:
        return self.user.is_admin


class TokenMint:
    """All tokens of one cloud."""

    def __init__(self, store: Store, ttl_s: float) -> None:
        self._store = store
        self.ttl_s = ttl_s
        self._tokens: dict[str, Token] = {}
        self._revoked_audit_ids: set[str] = set()
        self._revoked_through: dict[str, int] = {}
        self._all_revoked_through = -1

    def __repr__(self) -> str:
        return f"<TokenMint: {len(self._tokens)} issued, {len(self._revoked_audit_ids)} revoked singly>"

    def issue(self, user: User, project_id: str, methods: tuple[str, ...], app_credential_id: str = "") -> Token:
        """Return a new token for a login."""
        now = math.floor(self._store.now())
        return self._keep(user.id, project_id, methods, (self._audit_id(),), now + self.ttl_s, app_credential_id)

    def exchange(self, old: Token, project_id: str) -> Token:
        """Return a token made from a token: it ends when the old one does."""
        methods = ("token", *(method for method in old.methods if method != "token"))
        # The chain keeps the first token's audit id, so that revoking the chain is possible.
        audit_ids = (self._audit_id(), old.audit_ids[-1])
        return self._keep(old.user_id, project_id, methods, audit_ids, old.expires_at, "")

    def valid(self, token_id: str) -> Token | None:
        """Return the token if it is known, alive and not revoked."""
        token = self._tokens.get(token_id)
        if token is None or self._store.now() >= token.expires_at:
            return None
        if token.audit_ids[0] in self._revoked_audit_ids or token.user_id not in self._store.users:
            return None
        if token.app_credential_id and token.app_credential_id not in self._store.app_credentials:
            return None
        revoked_through = max(self._all_revoked_through, self._revoked_through.get(token.user_id, -1))
        return None if token.issued_at <= revoked_through else token

    def identity(self, token_id: str) -> Identity | None:
        token = self.valid(token_id)
        return None if token is None else Identity(token, self._store.users[token.user_id])

    def revoke(self, token_id: str) -> bool:
        """Revoke one token; return whether it was valid."""
        token = self.valid(token_id)
        if token is not None:
            self._revoked_audit_ids.add(token.audit_ids[0])
        return token is not None

    def revoke_user(self, user_id: str) -> None:
        """Revoke all of a user's tokens, those of the current second included."""
        self._revoked_through[user_id] = math.floor(self._store.now())

    def revoke_all(self) -> None:
        """Revoke every token, those of the current second included."""
        self._all_revoked_through = math.floor(self._store.now())

    def _keep(
        self, user_id: str, project_id: str, methods: tuple[str, ...], audit_ids: tuple[str, ...], ends: float, app: str
    ) -> Token:
        noise = base64.urlsafe_b64encode(self._store.random.randbytes(_TOKEN_CHARS)).decode()
        now = math.floor(self._store.now())
        token = Token(f"gAAAAA{noise}"[:_TOKEN_CHARS], user_id, project_id, methods, audit_ids, now, ends, app)
        self._tokens[token.id] = token
        return token

    def _audit_id(self) -> str:
        return base64.urlsafe_b64encode(self._store.random.randbytes(16)).decode().rstrip("=")
