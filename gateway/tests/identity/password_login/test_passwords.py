"""Passwords: what is kept of them, what a comparison costs, and how many run at once."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import argon2
import pytest
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY

from cloudspan_common.errors import InvalidRequest, TooManyRequests
from cloudspan_gateway.identity.password_login import passwords
from cloudspan_gateway.identity.password_login.passwords import Passwords, check_new

PASSWORD = "correct horse battery"


@pytest.fixture
def cheap():
    made = Passwords(CHEAPEST)
    yield made
    made.close()


async def test_a_password_is_kept_as_argon2id_with_the_costs_that_rfc_9106_recommends():
    """64 MiB, three passes; the same password has another hash each time."""
    made = Passwords()
    first, second = await made.hash(PASSWORD), await made.hash(PASSWORD)
    assert argon2.extract_parameters(first) == RFC_9106_LOW_MEMORY
    assert first != second
    assert await made.matches(first, PASSWORD)
    assert not await made.matches(first, PASSWORD + " ")
    made.close()


async def test_who_is_not_there_costs_the_same_hash_and_never_matches(cheap):
    """With the parameters of today."""
    assert not await cheap.matches(None, PASSWORD)
    assert argon2.extract_parameters(cheap._decoy) == CHEAPEST
    assert cheap.hashes == 1


async def test_a_password_that_is_too_long_is_not_hashed_whole(cheap):
    """It can't be the right one, and costs what others cost."""
    kept = await cheap.hash("x" * 1024)
    assert await cheap.matches(kept, "x" * 1024)
    assert not await cheap.matches(kept, "x" * 1_000_000)


async def test_a_letter_in_two_unicode_forms_is_the_same_letter(cheap):
    """One keyboard sends é, another e and an accent."""
    kept = await cheap.hash("caf\u00e9 au lait noir")
    assert await cheap.matches(kept, "cafe\u0301 au lait noir")
    assert not await cheap.matches(kept, "cafe au lait noir")


@pytest.mark.parametrize("kept", ["", "plain", "$argon2id$v=19$m=8,t=1,p=1$", "$2b$12$abcdefghijklmnopqrstuv"])
async def test_a_row_that_holds_no_hash_matches_nothing(cheap, kept):
    """Somebody wrote into the database by hand."""
    assert not await cheap.matches(kept, "")
    assert not await cheap.matches(kept, kept)


async def test_a_hash_with_other_costs_is_outdated(cheap):
    """The costs were raised since."""
    assert not cheap.is_outdated(await cheap.hash(PASSWORD))
    assert cheap.is_outdated(
        argon2.PasswordHasher.from_parameters(dataclasses.replace(CHEAPEST, time_cost=2)).hash("x")
    )


async def test_two_are_hashed_at_once_some_wait_and_more_are_refused(cheap, monkeypatch):
    """Each takes 64 MiB: who sends thousands of logins gets an error at once, and the loop goes on."""
    go, running, most = threading.Event(), [], []

    class Slow:
        def verify(self, _kept, password):
            running.append(password)
            most.append(len(running))
            running.remove(password) if go.wait(10) else None
            return True

    monkeypatch.setattr(cheap, "_hasher", Slow())
    waiting = [asyncio.ensure_future(cheap.matches("kept", str(number))) for number in range(40)]
    await asyncio.sleep(0)
    refused = [task for task in waiting if task.done()]
    assert len(refused) == 40 - passwords.AT_ONCE - passwords.MOST_WAITING
    assert all(isinstance(task.exception(), TooManyRequests) and task.exception().retry_after_s for task in refused)
    go.set()
    assert all(await asyncio.gather(*(task for task in waiting if task not in refused)))
    assert max(most) <= passwords.AT_ONCE
    assert repr(cheap) == "<Passwords 0 being hashed, 34 so far>"


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * 1025, "Alice.Example", "\u0301" * 3])
def test_a_weak_password_is_refused_without_being_repeated(password):
    """12 to 1024 characters, and not the user's own name."""
    with pytest.raises(InvalidRequest) as refused:
        check_new(password, "alice.example")
    assert refused.value.reason == "WEAK_PASSWORD"
    assert not password or password not in refused.value.message


def test_any_other_password_is_accepted():
    """Length is what counts, not kinds of characters."""
    for password in ("x" * 12, "пароль из слов", "🐎" * 12, "alice.example and more"):
        check_new(password, "alice.example")
