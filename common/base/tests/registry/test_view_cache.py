"""The last view on disk: read back as saved, and never in the way of a start or of a disk that refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudspan_common.registry import Instance
from cloudspan_common.registry.view_cache import load, save

ONE = Instance(instance_id="os-1", platform="openstack", address="127.0.0.1:7001")


def test_a_saved_view_is_read_back(tmp_path: Path) -> None:
    """And leaves nothing beside it."""
    path = tmp_path / "view.json"
    save(path, (ONE,))
    assert load(path) == (ONE,)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'[{"instance_id": 1}]', b"\xff"])
def test_a_cache_that_can_not_be_read_is_left_aside_and_logged(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "view.json"
    path.write_bytes(content)
    assert load(path) is None
    assert "registry cache is unreadable" in capsys.readouterr().out


def test_without_a_cache_there_is_no_view(tmp_path: Path) -> None:
    assert load(tmp_path / "none.json") is None


def test_a_disk_that_refuses_is_logged_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "missing" / "view.json", (ONE,))
    assert "registry cache was not written" in capsys.readouterr().out
