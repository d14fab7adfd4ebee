"""The file of clouds: what is wrong with it is named by its place, and no secret in it shows."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from cloudspan_common.errors import InvalidRequest
from cloudspan_openstack.cloud.clouds import read_cloud


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
