"""Calls on behalf of somebody: what an adapter in the test's process takes its caller for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from cloudspan_kit import Call, Caller
from cloudspan_kit.serve import describe, servicer, steps

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def acting_for(project: str, tenant: str = "acme") -> Iterator[Caller]:
    """Let every call that adapters of this process begin meanwhile be of a caller with that project alone."""
    caller = Caller(tenant=tenant, user="users/alice", roles=("member",), project=project)

    def called(**given: Any) -> Call:
        return Call(**given | {"caller": caller})

    with (
        mock.patch.object(servicer, "Call", called),
        mock.patch.object(steps, "Call", called),
        mock.patch.object(describe, "Call", called),
    ):
        yield caller
