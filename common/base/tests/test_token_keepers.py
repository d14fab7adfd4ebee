"""The keepers of a process: new credentials swap the keeper, and no cache serves another owner."""

from __future__ import annotations

from cloudspan_common.testing import FakeClock, FakeIssuer
from cloudspan_common.tokens import TokenKeeper, TokenKeepers, TokenKey


def made() -> tuple[FakeClock, TokenKeepers]:
    clock = FakeClock()
    return clock, TokenKeepers(lambda issuer, key: TokenKeeper(issuer, key, clock=clock), grace_s=60.0)


async def test_new_credentials_swap_the_keeper_and_close_the_old_one_after_its_grace():
    """Calls in flight keep their token for a minute; a new caller never gets it."""
    clock, keepers = made()
    old_issuer, new_issuer = FakeIssuer(clock, takes_s=0.0), FakeIssuer(clock, takes_s=0.0)
    old = keepers.install(TokenKey("alpha", "r1"), old_issuer)
    assert keepers.install(TokenKey("alpha", "r1"), new_issuer) is old
    await clock.advance(10.0)
    new = keepers.install(TokenKey("alpha", "r2"), new_issuer)
    assert keepers.find("alpha") is new
    await clock.advance(59.0)
    assert old_issuer.revoked == []
    await clock.advance(2.0)
    assert old_issuer.revoked == ["token-1"]
    assert new.current() is not None
    await keepers.close()
    assert new_issuer.revoked == ["token-1"]


async def test_closing_all_keepers_cuts_the_grace_short():
    """A shutdown does not wait a minute for a cluster that was removed just before."""
    clock, keepers = made()
    issuer = FakeIssuer(clock, takes_s=0.0)
    keepers.install(TokenKey("alpha", "r1"), issuer)
    await clock.settle()
    keepers.remove("alpha")
    await clock.settle()
    assert keepers.find("alpha") is None
    await keepers.close()
    assert issuer.revoked == ["token-1"]


async def test_scopes_of_a_cluster_have_keepers_of_their_own():
    """A project's token is not another project's."""
    clock, keepers = made()
    issuer = FakeIssuer(clock, takes_s=0.0)
    one = keepers.install(TokenKey("alpha", "r1", "project-1"), issuer)
    two = keepers.install(TokenKey("alpha", "r1", "project-2"), issuer)
    await clock.settle()
    assert one.current() != two.current()
    assert keepers.find("alpha", "project-1") is one
    assert keepers.find("alpha") is None
    await keepers.close()
    assert sorted(issuer.revoked) == ["token-1", "token-2"]


async def test_a_retired_token_is_replaced_without_a_call():
    """The next caller finds a token instead of waiting for a login."""
    clock, keepers = made()
    keeper = keepers.install(TokenKey("alpha", "r1"), FakeIssuer(clock, takes_s=0.0))
    await clock.advance(600.0)
    token = keeper.current()
    assert token is not None
    keeper.retire(token)
    await clock.settle()
    replaced = keeper.current()
    assert replaced is not None
    assert replaced.serial == 2
    await keepers.close()


async def reject_until_verdict(clock: FakeClock, keeper: TokenKeeper) -> None:
    """Answer 401 to every token until the keeper says that the service is failing."""
    while (token := keeper.current()) is not None and keeper.retire(token):
        await clock.advance(1.3)


async def test_a_token_that_lived_until_its_renewal_clears_the_suspicion():
    """Verdicts in a row hold 10, 20, ... s; after a calm renewal the next holds 10 s again."""
    clock, keepers = made()
    keeper = keepers.install(TokenKey("alpha", "r1"), FakeIssuer(clock, takes_s=0.0))
    await clock.advance(600.0)
    for hold_s in (12.0, 23.0):
        await reject_until_verdict(clock, keeper)
        await clock.advance(hold_s)
    await clock.advance(3600.0)
    await reject_until_verdict(clock, keeper)
    await clock.advance(12.0)
    token = keeper.current()
    assert token is not None
    assert keeper.retire(token)
    await keepers.close()
