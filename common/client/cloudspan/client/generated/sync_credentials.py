# Written by `make proto` from its asyncio twin; do not edit.
"""The token that a client's calls bring: held, renewed where it was refused, and never shown."""

from __future__ import annotations

import time
from threading import Lock
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

from cloudspan.client.connection import CREDENTIALS, checked_token
from cloudspan.client.errors import CloudspanError

if TYPE_CHECKING:
    from cloudspan.client.connection import CallDefaults, Metadata

Token = str | Callable[[], str]

FAILURE_HOLDS_S = 2.0
"""So long a login that failed is not tried again: a thousand calls a second would get its address paused for long."""

_RENEWING: ContextVar[object] = ContextVar("renewing", default=None)
"""Whose token the running code is getting, if it is."""


class CallMetadata:
    """Makes the metadata of calls: the client's tags, and its token where a call brings no credential itself."""

    def __init__(self, defaults: CallDefaults, token: Token) -> None:
        """Take a token, or a function that returns one and is called again when it was refused; empty for none.

        Raises:
            ValueError: The token can't be sent as metadata.
        """
        self._defaults = defaults
        self._source = None if isinstance(token, str) else token
        self._token = checked_token(token) if isinstance(token, str) and token else ""
        self._lock = Lock()
        self._failed: tuple[float, CloudspanError] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'with' if self._token or self._source else 'without'} a token>"

    def of(self, given: Metadata) -> Metadata:
        """Return the metadata of a call that brings `given` itself."""
        metadata = self._defaults.metadata(given)
        if not (self._token or self._source) or any(key in CREDENTIALS for key, _ in given):
            return metadata
        return (*metadata, ("authorization", f"Bearer {self._token or self._renewed('')}"))

    def after_refusal(self, refused: Metadata, given: Metadata) -> Metadata | None:
        """Return the metadata to send a call again with that was UNAUTHENTICATED; None when there is no other token."""
        if self._source is None or any(key in CREDENTIALS for key, _ in given):
            return None
        self._renewed(dict(refused)["authorization"].removeprefix("Bearer "))
        renewed = self.of(given)
        return None if renewed == refused else renewed

    def _renewed(self, refused: str) -> str:
        """Of many calls whose token was refused the first one asks for another; the others take that, or its error."""
        if _RENEWING.get() is self:  # it would wait for itself
            raise RuntimeError("the function that returns a client's token calls through that client; use another one")
        with self._lock:
            if self._source is None or self._token != refused:
                return self._token
            if self._failed and time.monotonic() - self._failed[0] < FAILURE_HOLDS_S:
                raise _again(self._failed[1])
            renewing = _RENEWING.set(self)
            try:
                self._token, self._failed = checked_token(self._source()), None
            except CloudspanError as error:
                self._failed = time.monotonic(), error
                raise
            finally:
                _RENEWING.reset(renewing)
            return self._token


def _again(error: CloudspanError) -> CloudspanError:
    """Return the same error for another call: an exception that several raise grows with each."""
    return type(error)(error.message, code=error.code, reason=error.reason, details=error.details)
