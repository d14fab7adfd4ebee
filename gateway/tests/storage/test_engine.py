"""Opening a database: what is not a URL is refused, and no password shows."""

from __future__ import annotations

import traceback

import pytest

from cloudspan_common.errors import CloudspanError, InvalidRequest
from cloudspan_gateway.storage.engine import open_database

PASSWORDS = ["a/b#c", "a?b", "a@b", "pa:ss", "s3cr3t"]


@pytest.mark.parametrize("password", PASSWORDS)
async def test_no_password_of_a_database_shows_however_it_is_written(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the message nor in a traceback of it: what is special in a URL may cut it anywhere."""
    monkeypatch.setattr("cloudspan_gateway.storage.postgres.PATIENCE_S", 0.05)
    with pytest.raises(CloudspanError) as refused:
        await open_database(f"postgresql://user:{password}@127.0.0.1:1/cloudspan")
    shown = "".join(traceback.format_exception(refused.value, chain=not isinstance(refused.value, InvalidRequest)))
    for text in (refused.value.message, shown.partition("open_database")[0], repr(refused.value)):
        assert password not in text
    assert "user:" not in refused.value.message


async def test_another_database_is_refused_with_what_is_expected() -> None:
    with pytest.raises(InvalidRequest, match="expected sqlite:PATH"):
        await open_database("mysql://user:s3cr3t@host")
