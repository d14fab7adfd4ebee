"""The permissions of roles: verbs and single methods, what each method of the API needs, and the built-in roles.

A permission is a verb (`read`) or the full name of a method (`cloudspan.v1.ServerService/RebootServer`).
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from cloudspan.v1 import policy_pb2
from cloudspan_common import contract
from cloudspan_common.contract import Permission

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERBS: Mapping[Permission, str] = MappingProxyType({
    Permission.PERMISSION_READ: "read",
    Permission.PERMISSION_OPERATE: "operate",
    Permission.PERMISSION_CREATE: "create",
    Permission.PERMISSION_DELETE: "delete",
    Permission.PERMISSION_ADMINISTER: "administer",
})  # fmt: skip
ADMINISTER = VERBS[Permission.PERMISSION_ADMINISTER]
_OPERATE = Permission.PERMISSION_OPERATE  # looked up once: the enum does it in Python
_BY_VERB = {verb: permission for permission, verb in VERBS.items()}
_METHOD = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+/[A-Za-z_]\w*", re.ASCII)
_MAX_CHARS = 256
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
    return _PERMISSIONS.get(path, _OPERATE)


def split(word: str) -> tuple[Permission, str]:
    """Return the permission that a verb or a method's full name stands for, and the method; empty for a verb."""
    if word in _BY_VERB:
        return _BY_VERB[word], ""
    return permission_of(f"/{word}"), word


def is_permission(word: str) -> bool:
    """Whether `word` is a verb or the full name of a method, of the contract or of a service that adapters bring."""
    if word in _BY_VERB or f"/{word}" in _PERMISSIONS:
        return True
    ours = word.startswith(("cloudspan.", "google.", "grpc."))
    return not ours and len(word) <= _MAX_CHARS and _METHOD.fullmatch(word) is not None


class Permissions(frozenset[str]):
    """Verbs and methods that a caller has somewhere."""

    __slots__ = ()

    def cover(self, permission: Permission, method: str = "") -> bool:
        """Whether they hold `permission`, or that of the one `method` (full name)."""
        return VERBS.get(permission) in self or (method in self if method else False)

    def cover_word(self, word: str) -> bool:
        """Whether they hold a verb or a method's full name."""
        return self.cover(*split(word))

    def of_pool(self) -> Permissions:
        """Return those that can be had of a single pool: all but the tenant's administration."""
        return Permissions(word for word in self if split(word)[0] != Permission.PERMISSION_ADMINISTER)


class _Everything(Permissions):
    """What every caller has where callers are not authenticated."""

    __slots__ = ()

    def cover(self, permission: Permission, method: str = "") -> bool:
        return True


NOTHING = Permissions()
EVERYTHING = _Everything(VERBS.values())


def _built_in(*roles: tuple[str, str]) -> Iterable[tuple[str, policy_pb2.Role]]:
    """Each role has what the one before has, and more."""
    verbs: list[str] = []
    for role, more in roles:
        verbs += more.split()
        name = f"roles/{role}"
        yield name, policy_pb2.Role(name=name, display_name=role.capitalize(), permissions=verbs, built_in=True)


BUILT_IN: Mapping[str, policy_pb2.Role] = MappingProxyType(
    dict(_built_in(("viewer", "read"), ("operator", "operate"), ("member", "create delete"), ("admin", ADMINISTER)))
)
"""By name: `roles/viewer`."""
