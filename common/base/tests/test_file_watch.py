"""Changes of files are told once, and not before the writer has finished."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudspan_common.file_watch import FileWatch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clouds.yaml"
    path.write_text("clouds: {}\n")
    return path


def replace(file: Path, text: str) -> None:
    draft = file.with_name("draft")
    draft.write_text(text)
    draft.replace(file)


def test_a_replaced_file_is_told_at_once_and_once(file):
    """A rename never shows half a file."""
    watch = FileWatch([file])
    assert not watch.has_changed()
    replace(file, "clouds: {a: 1}\n")
    assert [watch.has_changed() for _ in range(3)] == [True, False, False]


def test_a_file_that_is_written_in_place_is_told_when_it_rests(file):
    """Two looks in a row must find the same."""
    watch = FileWatch([file])
    file.write_text("clouds:\n")
    assert not watch.has_changed()
    file.write_text("clouds:\n  a: {}\n")
    assert [watch.has_changed() for _ in range(3)] == [False, True, False]


def test_a_file_that_is_taken_away_is_told_when_it_stays_away(file):
    """Some editors take the old one away before the new one is there."""
    watch = FileWatch([file])
    file.unlink()
    assert [watch.has_changed() for _ in range(3)] == [False, True, False]
    file.write_text("clouds: {}\n")
    assert watch.has_changed()


def test_the_swap_of_a_link_to_a_folder_is_a_change(tmp_path):
    """Kubernetes mounts a secret as FILE -> ..data/FILE and ..data -> a folder with the time in its name."""
    for folder in ("2026_1", "2026_2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "clouds.yaml").write_text("clouds: {}\n")
        os.utime(tmp_path / folder / "clouds.yaml", (1, 1))
    (tmp_path / "..data").symlink_to("2026_1")
    mounted = tmp_path / "clouds.yaml"
    mounted.symlink_to("..data/clouds.yaml")
    watch = FileWatch([mounted])
    assert not watch.has_changed()
    (tmp_path / "..data_tmp").symlink_to("2026_2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert watch.has_changed()


def test_any_of_several_files_is_a_change_and_a_new_one_begins_as_it_is(file, tmp_path):
    """A certificate that the entries begin to name is no change by itself, its next revision is."""
    authority = tmp_path / "ca.pem"
    authority.write_text("one\n")
    watch = FileWatch([file])
    assert [watch.follow([file, authority]) for _ in range(2)] == [True, False]
    assert not watch.has_changed()
    replace(authority, "other\n")
    assert watch.has_changed()


def test_a_change_between_reading_and_following_is_not_missed(file, tmp_path):
    """What is watched already keeps what was seen of it."""
    watch = FileWatch([file])
    replace(file, "clouds: {a: 1}\n")
    watch.follow([file, tmp_path / "secure.yaml"])
    assert watch.has_changed()
