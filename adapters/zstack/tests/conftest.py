"""What all tests of the ZStack adapter share: every request that it makes is held against the API reference."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cloudspan_kit.http.transport import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPEC = importlib.util.spec_from_file_location("native_contract", Path(__file__).with_name("native_contract.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
native_contract = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(native_contract)


@pytest.fixture(autouse=True)
def reference(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Hold each request of a test against the reference; a test that makes a wrong one fails, whatever it asserts.

    All requests of an adapter, logins and polls included, leave by `HttpTransport.exchange`.
    """
    checker = native_contract.Checker()
    exchange = HttpTransport.exchange

    async def watched(
        self: HttpTransport, asked: Any, url: Any, headers: Any, body: bytes | None, *, timeout_s: float
    ) -> Any:
        checker.see(asked.method, url, headers, body)
        return await exchange(self, asked, url, headers, body, timeout_s=timeout_s)

    monkeypatch.setattr(HttpTransport, "exchange", watched)
    yield checker
    assert not checker.violations, "\n".join(checker.violations)
