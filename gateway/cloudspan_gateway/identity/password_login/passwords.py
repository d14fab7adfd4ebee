"""Users' passwords: kept as Argon2id hashes, made and compared in a few threads.

A comparison takes 64 MiB and a tenth of a second of a core by design, so few run at once, some wait, and more are
refused. Called by `logins` and by the service that sets passwords.
"""

from __future__ import annotations

import asyncio
import base64
import os
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from cloudspan_common.errors import InvalidRequest, TooManyRequests, Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from argon2 import Parameters

T = TypeVar("T")

MIN_CHARS, MAX_CHARS = 12, 1024
AT_ONCE = 2  # 128 MiB
MOST_WAITING = 32  # the last of them waits for about two seconds
_RETRY_AFTER_S = 2.0


class Passwords:
    """Hashes passwords and compares them."""

    def __init__(self, parameters: Parameters = RFC_9106_LOW_MEMORY) -> None:
        """Take what a hash costs: RFC 9106's second recommended option if not said otherwise."""
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._decoy = _decoy(parameters)
        self._threads = ThreadPoolExecutor(AT_ONCE, "cloudspan-passwords")
        self._running = 0
        self.hashes = 0
        """How many were made or compared."""

    def __repr__(self) -> str:
        return f"<Passwords {self._running} being hashed, {self.hashes} so far>"

    async def hash(self, password: str) -> str:
        """Return what is kept of a password.

        Raises:
            TooManyRequests: Too many wait already.
        """
        return await self._in_thread(lambda: self._hasher.hash(_normal(password)))

    async def matches(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one that `kept` was made of; without `kept` it costs the same and is not.

        Raises:
            TooManyRequests: Too many wait already.
        """
        if kept is None or len(password) > MAX_CHARS:
            kept, password = self._decoy, password[:MAX_CHARS]
        return await self._in_thread(lambda: self._is(kept, _normal(password)))

    def is_outdated(self, kept: str) -> bool:
        """Whether `kept` was made with other parameters than today's, so that the password is to be hashed again."""
        return self._hasher.check_needs_rehash(kept)

    def close(self) -> None:
        """Let go of the threads, once they have ended what they do."""
        self._threads.shutdown(cancel_futures=True)

    def _is(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._running >= AT_ONCE + MOST_WAITING:
            text = f"{self._running} passwords are being checked at once, which is the limit"
            raise TooManyRequests(f"{text}; retry in {_RETRY_AFTER_S:g} s", retry_after_s=_RETRY_AFTER_S)
        self._running += 1
        self.hashes += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._running -= 1


def check_new(password: str, user: str, field: str = "password") -> None:
    """Return if a password may be set for `user`.

    Raises:
        InvalidRequest: WEAK_PASSWORD; never says what the password is.
    """
    length = len(_normal(password))
    if not MIN_CHARS <= length <= MAX_CHARS:
        text = f"{field} has {length} characters; choose one of {MIN_CHARS} to {MAX_CHARS}"
    elif password.lower() == user:
        text = f"{field} is the name of the user; choose another"
    else:
        return
    raise InvalidRequest(text, reason="WEAK_PASSWORD", violations=[Violation(field, text)])


def _normal(password: str) -> str:
    # As RFC 8265 has it (OpaqueString): keyboards send the same letter in two forms.
    return unicodedata.normalize("NFC", password)


def _decoy(parameters: Parameters) -> str:
    """Return a hash that no password has: what unknown users are compared with, at the same cost."""
    random = (os.urandom(parameters.salt_len), os.urandom(parameters.hash_len))
    salt, digest = (base64.b64encode(part).rstrip(b"=").decode() for part in random)
    costs = f"m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
    return f"$argon2id$v={parameters.version}${costs}${salt}${digest}"
