"""The file in which `cloudspan login` keeps sessions."""

from __future__ import annotations

import stat
import threading

import click
import pytest

from cloudspan.cli import session_file
from cloudspan.cli.session_file import StoredSession

ALICE = StoredSession("sessions/1", "users/alice", "cs_secret")
BOB = StoredSession("sessions/2", "users/bob", "cs_other")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_a_session_is_kept_by_the_address_of_its_gateway():
    """With its https: a token that was handed out over TLS is not found for the same host without it."""
    session_file.save("https://gw.example:7070", ALICE)
    session_file.save("127.0.0.1:7070", BOB)
    assert session_file.load("https://GW.example:7070") == ALICE
    assert session_file.load("gw.example:7070") is None
    session_file.remove("https://gw.example:7070")
    assert (session_file.load("https://gw.example:7070"), session_file.load("127.0.0.1:7070")) == (None, BOB)


def test_nobody_else_can_read_it():
    """The folder is made for its owner alone, or made so; the file is never there with wider permissions."""
    folder = session_file.path().parent
    folder.mkdir(mode=0o755, parents=True)
    session_file.save("gw:1", ALICE)
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(session_file.path().stat().st_mode)) == (0o700, 0o600)
    assert [file.name for file in folder.iterdir()] == ["sessions.json"]


def test_a_file_that_others_can_read_is_not_used():
    """Neither read nor added to."""
    session_file.save("gw:1", ALICE)
    session_file.path().chmod(0o640)
    for use in (lambda: session_file.load("gw:1"), lambda: session_file.save("gw:2", BOB)):
        with pytest.raises(click.ClickException, match="can be read by others; chmod 600 it"):
            use()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"gw:1": {"token": "x"}}', '{"gw:1": [1]}', '{"gw:1": 3}', '{"gw:1": ""}', "\x00",
     '{"gw:1": {"name": "a", "subject": "b", "token": 3}}'],
)  # fmt: skip
def test_a_malformed_file_says_what_to_do_and_shows_nothing_of_it(text):
    session_file.save("gw:1", ALICE)
    session_file.path().write_text(text)
    with pytest.raises(click.ClickException, match="is not as `cloudspan login` writes it; delete it") as raised:
        session_file.load("gw:1")
    assert "cs_" not in str(raised.value)


def test_logins_at_the_same_time_lose_nothing():
    """Each adds its own to what the others wrote."""
    threads = [threading.Thread(target=session_file.save, args=(f"gw:{port}", ALICE)) for port in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [session_file.load(f"gw:{port}") for port in range(20)] == [ALICE] * 20


def test_a_session_s_repr_has_no_token():
    assert repr(ALICE) == "StoredSession(name='sessions/1', subject='users/alice')"
