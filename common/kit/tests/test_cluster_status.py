"""How a cluster stands, by its login."""

from __future__ import annotations

import pytest

from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import CloudspanError, Forbidden, LoginRefused, PlatformFault, Unreachable
from cloudspan_common.testing import FakeClock, FakeIssuer
from cloudspan_common.tokens import TokenKeeper, TokenKey
from cloudspan_kit import state_of

State = cluster_pb2.Cluster


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (LoginRefused("no such user"), State.STATE_LOGIN_REFUSED),
        (LoginRefused("several regions", reason="REGION_AMBIGUOUS"), State.STATE_LOGIN_REFUSED),
        (Forbidden("not from here"), State.STATE_LOGIN_REFUSED),
        (Unreachable("nobody listens"), State.STATE_UNREACHABLE),
        (PlatformFault("a page"), State.STATE_UNREACHABLE),
    ],
    ids=lambda value: getattr(value, "reason", ""),
)
async def test_a_login_that_failed_is_shown_with_its_reason(error: CloudspanError, state: int) -> None:
    """Refused whatever the reason is called, where nothing but other credentials or settings help."""
    clock = FakeClock()
    issuer = FakeIssuer(clock, takes_s=0.0)
    issuer.fault = error
    keeper = TokenKeeper(issuer, TokenKey("east", "1"), clock=clock)
    before = state_of(keeper)
    with pytest.raises(type(error)):
        await keeper.token(timeout_s=None)
    assert (before, state_of(keeper)) == ((State.STATE_CONNECTING, ""), (state, f"{error.reason}: {error.message}"))
    await keeper.close()
