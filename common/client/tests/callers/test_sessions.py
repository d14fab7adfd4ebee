"""`cloudspan login`, `logout`, `whoami` and `bootstrap`."""

from __future__ import annotations

import json

import pytest

from cloudspan.cli import session_file
from cloudspan.v1 import session_pb2, user_pb2
from cloudspan_common import errors

TOKEN, PASSWORD = "cs_token-of-the-session", "correct horse battery"
SESSION = session_pb2.Session(
    name="sessions/1",
    subject="users/alice",
    tenant="tenants/acme",
    tenants=["tenants/acme", "tenants/zoo"],
    roles=["roles/member"],
    method=session_pb2.Session.METHOD_PASSWORD,
)
SESSION.expire_time.FromJsonString("2026-12-05T20:00:00Z")
MADE = session_pb2.Session(token=TOKEN)
MADE.MergeFrom(SESSION)


@pytest.fixture
def logged_in(gateway, run):
    gateway.answers |= {"CreateSession": MADE, "GetSession": SESSION}
    run("login", "alice", typed=f"{PASSWORD}\n\n")
    gateway.calls.clear()


def test_a_login_s_session_is_what_later_commands_bring(gateway, run):
    """Password and one-time code are asked for and not shown; the output has no token."""
    gateway.answers |= {"CreateSession": MADE, "GetSession": SESSION}
    shown = run("login", typed=f"alice\n{PASSWORD}\n123456\n")
    request = gateway.asked("CreateSession")
    assert (request.user, request.password, request.one_time_code) == ("alice", PASSWORD, "123456")
    assert "authorization" not in gateway.calls[0].metadata
    shown += run("whoami")
    assert gateway.calls[1].metadata["authorization"] == f"Bearer {TOKEN}"
    assert [word in shown for word in ("users/alice", "acme", "member", "zoo", "2026-12-05T20:00:00Z")] == [True] * 5
    assert [secret for secret in (TOKEN, PASSWORD, "123456") if secret in shown] == []


def test_a_script_logs_in_by_stdin(gateway, run):
    """Nothing is asked for; the code is given where there is one."""
    gateway.answers["CreateSession"] = MADE
    run("login", "alice", "--password-stdin", "--code", "654321", typed=f" {PASSWORD} \r\n")
    assert gateway.asked("CreateSession").password == f" {PASSWORD} "
    assert gateway.asked("CreateSession").one_time_code == "654321"
    assert "stdin has no line for: Password" in run("login", "alice", "--password-stdin", code=2)


def test_a_failed_login_says_no_more_than_the_gateway_and_keeps_nothing(gateway, run):
    gateway.answers["CreateSession"] = errors.Unauthenticated("user, password or code is wrong", reason="LOGIN_FAILED")
    assert "Error: user, password or code is wrong\n" in run("login", "alice", typed=f"{PASSWORD}\n\n", code=1)
    assert not session_file.path().exists()


def test_a_session_that_can_t_be_kept_is_one_line(gateway, run, tmp_path):
    """Where there should be a folder there is a file."""
    (tmp_path / "cloudspan").write_text("")
    gateway.answers["CreateSession"] = MADE
    shown = run("login", "alice", typed=f"{PASSWORD}\n\n", code=1)
    assert "Error: " in shown
    assert TOKEN not in shown


def test_who_is_not_logged_in_is_told_what_to_run(gateway, run):
    """Once, also where the gateway says it itself."""
    for message in ("the session has ended", "no credential. Log in with `cloudspan login`"):
        gateway.answers["GetSession"] = errors.Unauthenticated(message)
        assert run("whoami", code=1).count("`cloudspan login`") == 1


def test_a_logout_ends_the_session_here_and_at_the_gateway(gateway, run, logged_in):
    assert "logged out users/alice, whose session has ended" in run("logout")
    assert gateway.asked("DeleteSession").name == "sessions/1"
    assert gateway.calls[0].metadata["authorization"] == f"Bearer {TOKEN}"
    assert json.loads(session_file.path().read_text()) == {}
    assert "nobody is logged in at" in run("logout", code=1)


def test_a_logout_of_a_session_that_has_ended_forgets_it(gateway, run, logged_in):
    gateway.answers["DeleteSession"] = errors.Unauthenticated("no such session")
    assert "whose session had ended already" in run("logout")
    assert session_file.load(gateway.address) is None


def test_a_logout_that_the_gateway_has_not_heard_of_keeps_the_session(gateway, run, logged_in):
    """So that it can be ended later."""
    gateway.answers["DeleteSession"] = errors.PlatformFault("the database is gone")
    assert "the database is gone" in run("logout", code=1)
    assert session_file.load(gateway.address).token == TOKEN


def test_sessions_are_listed_without_tokens_and_ended(gateway, run):
    """For administrators; by the id that the list shows."""
    gateway.answers["ListSessions"] = session_pb2.ListSessionsResponse(sessions=[MADE])
    shown = run("sessions", "list", "--subject", "alice")
    assert gateway.asked("ListSessions").subject == "users/alice"
    assert shown.split()[-5:-1] == ["1", "users/alice", "acme", "password"]
    assert TOKEN not in shown
    assert run("sessions", "end", "1") == "ended sessions/1\n"
    assert gateway.asked("DeleteSession").name == "sessions/1"


def test_a_token_of_the_environment_or_of_a_file_wins_over_the_session(gateway, run, logged_in, tmp_path, monkeypatch):
    """The file over the environment; a file is read again when its token is refused."""
    monkeypatch.setenv("CLOUDSPAN_TOKEN", "cs_from-environment")
    run("whoami")
    file = tmp_path / "token"
    file.write_text("cs_from-file\n")
    run("whoami", "--token-file", str(file))
    assert [call.metadata["authorization"] for call in gateway.calls] == [
        "Bearer cs_from-environment",
        "Bearer cs_from-file",
    ]
    assert "nobody is logged in" in run("logout", code=1)

    def refuse_once(_request):
        if len(gateway.calls) == 3:
            file.write_text("cs_renewed\n")
            return errors.Unauthenticated("expired")
        return SESSION

    gateway.answers["GetSession"] = refuse_once
    run("whoami", "--token-file", str(file))
    assert gateway.calls[-1].metadata["authorization"] == "Bearer cs_renewed"


@pytest.mark.parametrize("bad", ["two words", "ünï", "a\nb"])
def test_a_token_that_can_t_be_sent_is_refused_without_being_shown(gateway, run, tmp_path, monkeypatch, bad):
    file = tmp_path / "token"
    file.write_text(bad)
    shown = run("whoami", "--token-file", str(file), code=1)
    monkeypatch.setenv("CLOUDSPAN_TOKEN", bad)
    shown += run("whoami", code=1)
    assert shown.count("the token is empty, longer than") == 2
    assert bad not in shown
    assert not gateway.calls


@pytest.mark.parametrize("words", [("login", "alice"), ("bootstrap", "alice"), ("whoami",)])
def test_no_secret_is_sent_to_another_machine_in_plain_text(run, monkeypatch, words):
    """It says how to send it, and nobody was connected to."""
    monkeypatch.setenv("CLOUDSPAN_TOKEN", TOKEN)
    shown = run(*words, typed=f"{PASSWORD}\n{PASSWORD}\n{PASSWORD}\n", address="gateway.invalid:7070", code=1)
    assert "in plain text, for anyone on the way to read; use TLS: https://gateway.invalid:7070" in shown
    assert TOKEN not in shown


def test_the_first_administrator_is_made_with_the_printed_token(gateway, run):
    """The password is typed twice; by stdin a line each is enough."""
    gateway.answers["BootstrapAdministrator"] = user_pb2.User(name="users/alice")
    shown = run("bootstrap", "alice", typed=f"cs_boot\n{PASSWORD}\n{PASSWORD}\n")
    assert "next: cloudspan login alice" in shown
    request = gateway.asked("BootstrapAdministrator")
    assert (request.token, request.user_id, request.password) == ("cs_boot", "alice", PASSWORD)
    assert [secret for secret in ("cs_boot", PASSWORD) if secret in shown] == []
    gateway.calls.clear()
    run("bootstrap", "alice", "--password-stdin", typed=f"cs_boot\n{PASSWORD}\n")
    assert gateway.asked("BootstrapAdministrator").password == PASSWORD


def test_what_a_gateway_says_can_t_steer_the_terminal(gateway, run):
    """Control characters and markup of messages and names are shown as text."""
    gateway.answers["GetSession"] = session_pb2.Session(subject="users/\x1b[31m[bold]a[/bold]\u202e")
    shown = run("whoami")
    assert "\x1b" not in shown
    assert "users/\\x1b[31m[bold]a[/bold]\\u202e" in shown
    gateway.answers["GetSession"] = session_pb2.Session(subject="subjects/a:key:b")
    assert "subjects/a:key:b" in run("whoami")
    gateway.answers["GetSession"] = errors.NotFound("\x1b]0;title\x07")
    assert "\\x1b]0;title\\x07" in run("whoami", code=1)


def test_who_has_a_role_in_every_tenant_sees_it_in_words(gateway, run):
    gateway.answers["GetSession"] = session_pb2.Session(subject="users/root", tenants=["tenants/-", "tenants/acme"])
    assert "- (every tenant), acme" in run("whoami")


def test_a_tenant_travels_with_every_command(gateway, run, monkeypatch):
    """As x-tenant; by its id or its name, or from the environment; another text is refused before it is sent."""
    run("whoami", "--tenant", "tenants/acme")
    monkeypatch.setenv("CLOUDSPAN_TENANT", "zoo")
    run("whoami")
    assert [call.metadata["x-tenant"] for call in gateway.calls] == ["acme", "zoo"]
    assert "is not a name of tenants" in run("whoami", "--tenant", "Ac me", code=2)
