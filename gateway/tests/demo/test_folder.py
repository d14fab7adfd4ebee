"""The folder of a demo: nothing is touched that `cloudspan up` did not make, and nobody shares it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cloudspan_common.errors import PreconditionFailed
from cloudspan_gateway.demo import folder


def test_each_port_base_has_a_folder_of_its_own_in_the_checkout():
    """Two demos side by side don't meet; a gateway's own default files are not the demo's."""
    root = Path(__file__).parents[3]
    assert folder.default_folder(7070) == root / ".state" / "demo-7070"
    assert folder.default_folder(8080) == root / ".state" / "demo-8080"


@pytest.mark.parametrize(
    ("named", "expected"), [("", "home/.local/state"), ("relative", "home/.local/state"), ("{here}/xdg", "xdg")]
)
def test_without_a_checkout_it_is_where_the_user_keeps_state(tmp_path, monkeypatch, named, expected):
    """XDG's specification: a relative path is to be ignored."""
    monkeypatch.setattr(folder, "__file__", str(tmp_path / "site-packages/cloudspan_gateway/demo/folder.py"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", named.format(here=tmp_path))
    assert folder.default_folder(7070) == tmp_path / expected / "cloudspan" / "demo-7070"


def test_a_folder_is_made_marked_and_taken_again(tmp_path):
    """What lies in it stays."""
    made = tmp_path / "new" / "demo"
    with folder.held(made):
        (made / "operations.db").write_text("kept")
    with folder.held(made):
        assert (made / "operations.db").read_text() == "kept"


def test_an_empty_folder_may_be_named(tmp_path):
    """There is nothing in it to lose."""
    with folder.held(tmp_path):
        assert (tmp_path / folder.MARKER).exists()


@pytest.mark.parametrize("left", ["operations.db", "registry.yaml", "notes.txt", ".hidden"])
def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(tmp_path, left):
    """Whatever is in it, a real gateway's files included."""
    (tmp_path / left).write_text("mine")
    with pytest.raises(PreconditionFailed, match=r"was not made by `cloudspan up`.*--state"), folder.held(tmp_path):
        pass
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(left, "mine")]


def test_a_held_folder_is_refused_with_the_process_that_holds_it(tmp_path):
    """And what to do; it is free again afterwards."""
    with folder.held(tmp_path):
        holder = re.escape(f"(process {os.getpid()})")
        with pytest.raises(PreconditionFailed, match=rf"{holder}; stop that one.*--port-base"), folder.held(tmp_path):
            pass
    with folder.held(tmp_path):
        pass


def test_a_folder_is_held_until_the_last_child_that_inherited_the_lock_has_ended(tmp_path):
    """A launcher that was killed leaves children that still drain, and write."""
    with folder.held(tmp_path) as lock:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
    with pytest.raises(PreconditionFailed, match="just stopping"), folder.held(tmp_path):
        pass
    child.communicate(b"\n")
    with folder.held(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path):
    """A file stands in its place."""
    (tmp_path / "file").write_text("mine")
    text = r"can't keep its files in .*file/demo: Not a directory; name another folder with --state"
    with pytest.raises(PreconditionFailed, match=text), folder.held(tmp_path / "file" / "demo"):
        pass
    with pytest.raises(PreconditionFailed, match=r"file: .*; name another folder"), folder.held(tmp_path / "file"):
        pass
