"""A keeper whose credentials were replaced hands over: calls under way go on with the successor's tokens."""

from __future__ import annotations

import asyncio

import pytest

from cloudspan_common.errors import LoginRefused
from cloudspan_common.testing import FakeClock, FakeIssuer
from cloudspan_common.tokens import TokenKeeper, TokenKey


class Rotation:
    """A keeper of old credentials and one of new ones, both logged in unless told otherwise."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.old_issuer = FakeIssuer(self.clock, takes_s=0.0, prefix="old")
        self.new_issuer = FakeIssuer(self.clock, takes_s=0.0, prefix="new")
        self.old = TokenKeeper(self.old_issuer, TokenKey("alpha", "r1"), clock=self.clock)
        self.new = TokenKeeper(self.new_issuer, TokenKey("alpha", "r2"), clock=self.clock)

    async def logged_in(self) -> Rotation:
        for keeper in (self.old, self.new):
            await keeper.token(timeout_s=None)
        return self

    async def close(self) -> None:
        await self.old.close()
        await self.new.close()


async def test_after_the_handover_the_old_keeper_gives_the_new_credentials_tokens():
    """A call that began before the rotation makes its next request with a token that lives."""
    rotation = await Rotation().logged_in()
    rotation.old.hand_over(rotation.new)
    token = await rotation.old.token(timeout_s=1.0)
    assert token.value == "new-1"
    assert rotation.old.current() == token
    assert "handed over to alpha (credentials r2)" in repr(rotation.old)
    await rotation.close()


async def test_a_request_that_met_the_old_tokens_revocation_is_worth_asking_again():
    """The old token was under way when the cloud killed it; nobody logs in with the old credentials."""
    rotation = await Rotation().logged_in()
    token = await rotation.old.token(timeout_s=1.0)
    rotation.old.hand_over(rotation.new)
    rotation.old_issuer.fault = LoginRefused("wrong password")
    assert rotation.old.retire(token)
    assert (await rotation.old.token(timeout_s=1.0)).value == "new-1"
    await rotation.clock.advance(7200.0)
    assert rotation.old_issuer.logins == 1
    await rotation.close()


async def test_who_waits_for_a_login_with_the_old_credentials_gets_the_new_ones_token():
    """Its refusal is no news to anybody: these credentials are gone."""
    rotation = Rotation()
    rotation.old_issuer.takes_s, rotation.old_issuer.fault = 1.0, LoginRefused("wrong password")
    waiting = asyncio.create_task(rotation.old.token(timeout_s=20.0))
    await rotation.clock.settle()
    rotation.old.hand_over(rotation.new)
    await rotation.clock.advance(1.0)
    assert (await waiting).value == "new-1"
    await rotation.close()


@pytest.mark.parametrize("takes_s", [0.0, 1.0])
async def test_closing_logs_out_what_the_old_credentials_had(takes_s: float):
    """The token in use at the handover, and that of a login which was still under way."""
    rotation = Rotation()
    rotation.old_issuer.takes_s = takes_s
    rotation.old.start()
    await rotation.clock.settle()
    rotation.old.hand_over(rotation.new)
    await rotation.clock.advance(2.0)
    assert rotation.old_issuer.revoked == []
    await rotation.old.close()
    assert rotation.old_issuer.revoked == ["old-1"]
    assert rotation.new_issuer.revoked == []
    await rotation.close()


async def test_a_second_rotation_reaches_those_of_the_first():
    """A long call may see both."""
    rotation = await Rotation().logged_in()
    third = TokenKeeper(
        FakeIssuer(rotation.clock, takes_s=0.0, prefix="third"), TokenKey("alpha", "r3"), clock=rotation.clock
    )
    rotation.old.hand_over(rotation.new)
    rotation.new.hand_over(third)
    assert (await rotation.old.token(timeout_s=1.0)).value == "third-1"
    await third.close()
    await rotation.close()


async def test_a_retired_token_is_replaced_without_a_call():
    """The next caller finds a token instead of waiting for a login."""
    clock = FakeClock()
    keeper = TokenKeeper(FakeIssuer(clock, takes_s=0.0), TokenKey("alpha", "r1"), clock=clock)
    keeper.start()
    await clock.advance(600.0)
    token = keeper.current()
    assert token is not None
    keeper.retire(token)
    await clock.settle()
    replaced = keeper.current()
    assert replaced is not None
    assert replaced.serial == 2
    await keeper.close()


async def reject_until_verdict(clock: FakeClock, keeper: TokenKeeper) -> None:
    """Answer 401 to every token until the keeper says that the service is failing."""
    while (token := keeper.current()) is not None and keeper.retire(token):
        await clock.advance(1.3)


async def test_a_token_that_lived_until_its_renewal_clears_the_suspicion():
    """Verdicts in a row hold 10, 20, ... s; after a calm renewal the next holds 10 s again."""
    clock = FakeClock()
    keeper = TokenKeeper(FakeIssuer(clock, takes_s=0.0), TokenKey("alpha", "r1"), clock=clock)
    keeper.start()
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
    await keeper.close()
