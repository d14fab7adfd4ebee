"""The file of clouds: what is wrong with it is named by its place, and no secret in it shows."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
import yaml

from cloudspan_common.errors import InvalidRequest
from cloudspan_zstack.cloud.clouds import read_cloud


@pytest.mark.parametrize(
    "content",
    [b"clouds:\n  one:\n    password: @s3cr3t\n", b"clouds: {one: {password: 's3cr3t}}", b"\xffs3cr3t", b"[" * 3000],
)
def test_a_file_that_can_not_be_read_shows_no_secret(tmp_path: Path, content: bytes) -> None:
    """Neither in the message nor in a traceback: a parser quotes the line that it stumbled over."""
    file = tmp_path / "clouds.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidRequest) as refused:
        read_cloud("one", file)
    assert str(file) in refused.value.message
    assert "s3cr3t" not in "".join(traceback.format_exception(refused.value))


GOOD = {"endpoint": "http://cloud:8080/zstack", "account": "a", "password": "s3cr3t"}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (None, "null"),
        ("here", "str"),
        ({}, "endpoint"),
        ({**GOOD, "endpoint": "http://["}, "URL"),
        ({**GOOD, "password": 53717}, "$.password"),
        ({**GOOD, "acount": "a"}, "acount"),
        ({**GOOD, "settle": -1}, "$.settle"),
        ({**GOOD, "settle": float("inf")}, "$.settle"),
        ({**GOOD, "access_key_id": "k"}, "either account and password"),
    ],
)
def test_an_entry_that_can_not_be_used_says_what_is_wrong_with_it(tmp_path: Path, entry: object, told: str) -> None:
    """With the key and never its value, and the other clouds of the file can be used, whatever their names."""
    file = tmp_path / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": {"odd": entry, "good": GOOD, 7: GOOD}}))
    with pytest.raises(InvalidRequest, match="cloud 'odd'") as refused:
        read_cloud("odd", file)
    assert (refused.value.reason, told in refused.value.message) == ("BAD_CLOUD", True)
    shown = "".join(traceback.format_exception(refused.value))
    assert ["s3cr3t" in shown, "53717" in shown] == [False, False]
    assert read_cloud("good", file).account == "a"
    with pytest.raises(InvalidRequest, match="it has: odd, good, 7"):
        read_cloud("none", file)
