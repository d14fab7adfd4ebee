"""The fake cloud and its users, as the tests of compute have them."""

from __future__ import annotations

from adapters.zstack.tests.compute.conftest import (
    REF,
    bench,
    clock,
    cloud,
    make_bench,
    make_server,
    server_request,
)

__all__ = ["REF", "bench", "clock", "cloud", "make_bench", "make_server", "server_request"]
