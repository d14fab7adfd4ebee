"""One login however many callers, renewed ahead of need, never shown: `TokenKeeper` against a fake issuer."""

from __future__ import annotations

import asyncio
import random
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudspan_common.errors import CloudspanError, LoginRefused, OutOfTime, PlatformFault, Unreachable
from cloudspan_common.testing import FakeClock, FakeIssuer
from cloudspan_common.tokens import IssuedToken, Token, TokenKeeper, TokenKey

CANARY = "canary-b7c1"


class Bench:
    """A keeper with its clock, issuer and events."""

    def __init__(self, **issuer: float) -> None:
        self.clock = FakeClock()
        self.issuer = FakeIssuer(self.clock, prefix=CANARY, **issuer)
        self.events: list[tuple[str, dict[str, object]]] = []
        key = TokenKey("platforms/os/clusters/alpha", "r1")
        rng = random.Random(7)  # noqa: S311 - jitter that repeats
        self.keeper = TokenKeeper(self.issuer, key, clock=self.clock, rng=rng, on_event=self.on_event)

    def on_event(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    async def token(self, advance_s: float = 0.2, **kwargs: float) -> Token:
        [token] = await self.tokens(1, advance_s, **kwargs)
        return token

    async def tokens(self, callers: int, advance_s: float = 0.2, *, timeout_s: float | None = 60.0, **kwargs: float):
        calls = [asyncio.ensure_future(self.keeper.token(timeout_s=timeout_s, **kwargs)) for _ in range(callers)]
        await self.clock.advance(advance_s)
        return await asyncio.gather(*calls)


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    closing = asyncio.ensure_future(bench.keeper.close())
    await bench.clock.advance(10.0)
    await closing


async def test_a_thousand_callers_without_a_token_make_one_login(bench):
    """Single flight: everyone waits for the same login and gets the same token."""
    tokens = await bench.tokens(1000)
    assert bench.issuer.logins == 1
    assert {token.serial for token in tokens} == {1}


async def test_a_thousand_callers_at_expiry_make_one_login_and_none_fails(bench):
    """The renewal was held up past the expiry, so all of them find no token."""
    await bench.token()
    bench.clock.step_wall(3600.0)
    tokens = await bench.tokens(1000)
    assert bench.issuer.logins == 2
    assert {token.serial for token in tokens} == {2}


async def test_fifty_callers_meeting_a_revoked_token_make_one_login(bench):
    """Each retires the token it held; all but the first are late and change nothing."""
    token = await bench.token()
    await bench.clock.advance(600.0)
    assert [bench.keeper.retire(token) for _ in range(50)] == [True] * 50
    tokens = await bench.tokens(50)
    assert bench.issuer.logins == 2
    assert {t.serial for t in tokens} == {2}


async def test_a_late_401_of_an_older_token_does_not_retire_the_new_one(bench):
    """Exactly the token that met the 401."""
    old = await bench.token()
    await bench.clock.advance(600.0)
    bench.keeper.retire(old)
    new = await bench.token()
    assert bench.keeper.retire(old)
    assert bench.keeper.current() is new


async def test_a_valid_token_is_handed_out_without_waiting(bench):
    """The coroutine ends at its first step: no task, no turn of the loop."""
    token = await bench.token()
    call = bench.keeper.token(timeout_s=0.0)
    with pytest.raises(StopIteration) as done:
        call.send(None)
    assert done.value.value is token
    assert bench.keeper.current() is token


async def test_it_is_renewed_in_the_background_at_three_quarters_of_its_life(bench):
    """Callers keep the old token while the new one is fetched, then the swap is seen at once."""
    bench.issuer.takes_s = 10.0
    first = await bench.token(advance_s=10.1)
    await bench.clock.advance(0.70 * 3600 - 5)
    assert bench.issuer.logins == 1
    while bench.issuer.logins == 1:
        await bench.clock.advance(5.0)
    assert 0.70 <= (bench.clock.now() - first.issued_at) / 3600 <= 0.81
    assert bench.keeper.current() is first
    await bench.clock.advance(10.0)
    renewed = bench.keeper.current()
    assert renewed is not None
    assert renewed.serial == 2
    assert bench.keeper.state().renewals == 1


async def test_a_day_of_idling_costs_one_login_per_renewal(bench):
    """Nobody asks, and still there is always a valid token."""
    await bench.token()
    for _ in range(24 * 6):
        await bench.clock.advance(600.0)
        assert bench.keeper.current() is not None
    assert 24 / 0.8 <= bench.issuer.logins <= 24 / 0.7 + 1


@settings(deadline=None, max_examples=50)  # a shared machine may stall any single example
@given(life_s=st.floats(5.0, 100_000.0), min_life_s=st.floats(0.0, 1e9), calls=st.integers(1, 40))
def test_a_greedy_caller_never_causes_a_login_for_every_call(life_s, min_life_s, calls):
    """Whatever is asked, half of the life is enough, however short tokens live."""

    async def scenario() -> None:
        bench = Bench(life_s=life_s, takes_s=0.01)
        for _ in range(calls):
            await bench.token(advance_s=0.02, min_life_s=min_life_s)
        assert bench.issuer.logins == 1 + bench.keeper.state().renewals <= 2
        await bench.keeper.close()

    asyncio.run(scenario())


async def test_a_token_that_lives_shorter_than_the_one_before_is_renewed_in_time(bench):
    """The renewal follows the swap, not the plan made for the old token."""
    await bench.token()
    await bench.clock.advance(0.69 * 3600)
    bench.issuer.life_s = 100.0
    await bench.token(min_life_s=1200.0)
    await bench.clock.advance(85.0)
    renewed = bench.keeper.current()
    assert renewed is not None
    assert renewed.serial == 3


async def test_a_caller_with_long_work_gets_a_fresh_token_while_others_keep_theirs(bench):
    """Attach asks for 20 minutes when 17 are left."""
    first = await bench.token()
    await bench.clock.advance(0.69 * 3600)
    long_call = asyncio.ensure_future(bench.keeper.token(min_life_s=1200.0, timeout_s=5.0))
    await bench.clock.settle()
    assert await bench.keeper.token(timeout_s=0.0) is first
    await bench.clock.advance(0.2)
    assert (await long_call).serial == 2


async def test_a_second_401_on_a_young_token_waits_out_the_second_and_logs_in_once_more(bench):
    """Keystone kills what it issued in the second of a revocation; 1.2 s later is fine."""
    bench.keeper.retire(await bench.token())
    rejected_at = bench.clock.monotonic()
    tokens = await bench.tokens(50, advance_s=1.4)
    assert {t.serial for t in tokens} == {2}
    assert bench.issuer.login_times[1] - rejected_at == pytest.approx(1.2)


async def test_a_service_that_always_says_401_causes_no_login_loop(bench):
    """A day of calls every 10 s, each retrying as often as the keeper says; only the verdicts cost logins."""
    for _ in range(360):
        token = await bench.token(advance_s=2.0)
        while bench.keeper.retire(token):
            token = await bench.token(advance_s=2.0)
        await bench.clock.advance(10.0)
    assert bench.issuer.logins < 360 / 2
    assert bench.keeper.current() is not None


async def test_the_token_that_a_sick_service_rejected_stays_for_the_other_services(bench):
    """Two fresh tokens rejected in a row: the service is failing, so retire says that retrying is pointless."""
    assert bench.keeper.retire(await bench.token())
    second = await bench.token(advance_s=1.5)
    assert not bench.keeper.retire(second)
    assert bench.keeper.current() is second
    assert bench.events[-1][0] == "fresh token rejected"


async def test_a_real_revocation_after_a_false_alarm_is_healed_when_the_pause_is_over(bench):
    """The verdict holds for about 10 s, not for ever."""
    bench.keeper.retire(await bench.token())
    second = await bench.token(advance_s=1.5)
    bench.keeper.retire(second)
    await bench.clock.advance(12.0)
    assert bench.keeper.retire(second)
    assert (await bench.token()).serial == 3


async def test_a_wrong_password_is_tried_once_and_then_refused_without_a_login(bench):
    """The account must not lock: one try, then a pause that is said, with the cloud's own reason."""
    refusal = {"reason": "NO_PROJECT_SCOPE", "metadata": {"http_status": "401"}}
    bench.issuer.fault = LoginRefused("alpha refused user demo1; check the password", **refusal)
    call = asyncio.ensure_future(bench.keeper.token(timeout_s=5.0))
    await bench.clock.advance(0.2)
    with pytest.raises(LoginRefused):
        await call
    for _ in range(100):
        with pytest.raises(LoginRefused, match=r"alpha refused user demo1.*no login is tried for \d+ s") as refused:
            await bench.keeper.token(timeout_s=5.0)
    assert 50 < (refused.value.retry_after_s or 0) < 67
    assert (refused.value.reason, refused.value.metadata) == ("NO_PROJECT_SCOPE", {"http_status": "401"})
    assert bench.issuer.logins == 1
    assert bench.keeper.state().breaker.startswith("open for ")


async def test_a_wrong_password_is_probed_ever_more_rarely(bench):
    """1 + 2 + 4 + 8 + 16 minutes, +-10 %."""
    bench.issuer.fault = LoginRefused("no")
    bench.keeper.start()
    await bench.clock.advance(1800.0)
    pauses = [b - a for a, b in zip(bench.issuer.login_times, bench.issuer.login_times[1:], strict=False)]
    assert [round(pause / 60) for pause in pauses] == pytest.approx([1, 2, 4, 8], abs=1)


async def test_it_heals_by_itself_when_the_account_is_unlocked(bench):
    """The background probe after the pause finds the credentials good again."""
    bench.issuer.fault = LoginRefused("locked")
    bench.keeper.start()
    await bench.clock.advance(30.0)
    bench.issuer.fault = None
    await bench.clock.advance(40.0)
    assert bench.keeper.current() is not None
    assert bench.keeper.state().breaker == "closed"
    assert bench.keeper.state().last_error == ""


async def test_a_renewal_without_an_answer_is_retried_while_the_old_token_is_used(bench):
    """Keystone is away for five minutes around the renewal: no caller notices."""
    first = await bench.token()
    bench.issuer.fault = Unreachable("nobody answers at alpha")
    await bench.clock.advance(0.80 * 3600 + 300)
    assert await bench.keeper.token(timeout_s=0.0) is first
    assert 5 < bench.keeper.state().failures < 20
    assert bench.keeper.state().last_error == "UNREACHABLE: nobody answers at alpha"
    bench.issuer.fault = None
    await bench.clock.advance(70.0)
    assert (await bench.keeper.token(timeout_s=0.0)).serial == 2


async def test_without_a_token_a_failed_login_is_everyones_error_and_later_callers_fail_at_once(bench):
    """No login storm against a Keystone that is down: one try, then a pause."""
    bench.issuer.fault = Unreachable("nobody answers at alpha")
    calls = [asyncio.ensure_future(bench.keeper.token(timeout_s=5.0)) for _ in range(100)]
    await bench.clock.advance(0.2)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unreachable}
    with pytest.raises(Unreachable, match="nobody answers") as error:
        await bench.keeper.token(timeout_s=5.0)
    assert 0 < (error.value.retry_after_s or 0) < 0.6
    assert bench.issuer.logins == 1


async def test_a_login_that_hangs_ends_as_unreachable(bench):
    """The login's own bound, not a caller's."""
    bench.issuer.takes_s = 1e6
    call = asyncio.ensure_future(bench.keeper.token(timeout_s=None))
    await bench.clock.advance(31.0)
    with pytest.raises(Unreachable, match="no answer to the login in 30 s"):
        await call


async def test_a_caller_whose_deadline_ends_does_not_cancel_the_login_of_the_others(bench):
    """Neither does one that is cancelled."""
    bench.issuer.takes_s = 2.0
    hurried = asyncio.ensure_future(bench.keeper.token(timeout_s=0.5))
    cancelled = asyncio.ensure_future(bench.keeper.token(timeout_s=10.0))
    patient = asyncio.ensure_future(bench.keeper.token(timeout_s=10.0))
    await bench.clock.advance(1.0)
    cancelled.cancel()
    with pytest.raises(OutOfTime, match="login goes on"):
        await hurried
    await bench.clock.advance(1.1)
    assert (await patient).serial == 1
    assert cancelled.cancelled()
    assert bench.issuer.logins == 1


async def test_an_issuers_bug_reaches_the_caller_as_a_defect_without_its_text(bench):
    """A foreign exception's text may hold a secret."""
    bench.issuer.fault = KeyError(CANARY)
    call = asyncio.ensure_future(bench.keeper.token(timeout_s=5.0))
    await bench.clock.advance(0.2)
    with pytest.raises(CloudspanError, match="ended in KeyError") as error:
        await call
    assert error.value.reason == "INTERNAL"
    assert CANARY not in bench.keeper.state().last_error


async def test_expiry_is_judged_by_the_servers_clock(bench):
    """A cloud two hours behind issues tokens that look expired to us, and they work."""
    bench.issuer.skew_s = -7200.0
    token = await bench.token()
    assert token.expires_at < bench.clock.now()
    assert bench.keeper.current() is token
    state = bench.keeper.state()
    assert state.skew_s == pytest.approx(-7200.0, abs=1.1)
    assert state.expires_in_s == pytest.approx(3600.0, abs=2.0)


async def test_a_date_header_shows_that_the_server_is_ahead(bench):
    """Its token dies earlier by our clock; whole seconds alone are no skew."""
    await bench.token()
    bench.keeper.observe_server_date(formatdate(bench.clock.now() - 0.5, usegmt=True))
    bench.keeper.observe_server_date("not a date")
    assert bench.keeper.state().skew_s == 0.0
    bench.keeper.observe_server_date(formatdate(bench.clock.now() + 3595.0, usegmt=True))
    assert bench.keeper.state().skew_s == pytest.approx(3595.0, abs=1.0)
    assert bench.keeper.current() is None


async def test_a_token_that_is_born_expired_is_a_fault_that_names_the_clocks(bench):
    """Not a loop of logins."""
    bench.issuer.life_s = -5.0
    call = asyncio.ensure_future(bench.keeper.token(timeout_s=5.0))
    await bench.clock.advance(0.2)
    with pytest.raises(PlatformFault, match="compare the clocks"):
        await call


async def test_close_logs_out_and_wakes_whoever_waits(bench):
    """The tokens that a renewal replaced are sessions too."""
    await bench.token()
    await bench.clock.advance(0.82 * 3600)
    await bench.keeper.close()
    assert bench.issuer.revoked == [f"{CANARY}-1", f"{CANARY}-2"]
    assert not bench.keeper.retire(Token("any", 0.0, 0.0, 2))
    with pytest.raises(Unreachable, match="no longer used"):
        await bench.keeper.token(timeout_s=1.0)
    assert bench.clock.sleepers == 0


async def test_close_logs_out_the_login_that_was_under_way(bench):
    """Else each shutdown at the wrong moment leaves a session until the user's cap is full."""
    bench.keeper.start()
    await bench.clock.settle()
    closing = asyncio.ensure_future(bench.keeper.close())
    await bench.clock.advance(0.2)
    await closing
    assert bench.issuer.revoked == [f"{CANARY}-1"]


async def test_close_gives_up_on_a_login_that_hangs(bench):
    """A waiter gets an error, the process can end."""
    bench.issuer.takes_s = 1e6
    call = asyncio.ensure_future(bench.keeper.token(timeout_s=None))
    await bench.clock.settle()
    closing = asyncio.ensure_future(bench.keeper.close())
    await bench.clock.advance(5.1)
    await closing
    with pytest.raises(Unreachable, match="no longer used"):
        await call


async def test_a_logout_that_fails_is_an_event_and_not_an_error(bench):
    """Shutting down must not fail for it."""
    await bench.token()
    bench.issuer.fault = Unreachable("gone")
    await bench.keeper.close()
    assert bench.events[-1] == ("logout failed", {"serial": 1, "reason": "UNREACHABLE"})


async def test_no_token_value_shows_anywhere(bench):
    """Neither in reprs, nor in state, nor in events."""
    token = await bench.token()
    await bench.clock.advance(3000.0)
    bench.keeper.retire(token)
    shown = repr([token, IssuedToken(CANARY, 1.0), bench.keeper, bench.keeper.state(), bench.events])
    assert CANARY not in shown
    assert str(token).startswith("Token(issued_at=")


async def test_repr_says_age_life_and_counts(bench):
    """What an operator wants of it, in one line."""
    assert repr(bench.keeper) == (
        "<TokenKeeper platforms/os/clusters/alpha (credentials r1): no token | logins 0, failures 0 | breaker closed>"
    )
    await bench.token(advance_s=0.1)
    await bench.clock.advance(900.0)
    assert ": 900 s old, 2700 s left | logins 1, failures 0 | breaker closed>" in repr(bench.keeper)
