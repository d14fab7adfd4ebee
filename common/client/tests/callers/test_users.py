"""`cloudspan users`."""

from __future__ import annotations

import pytest

from cloudspan.v1 import session_pb2, user_pb2
from cloudspan_common import errors

PASSWORD, NEW = "correct horse battery", "staple of another kind"
ALICE = user_pb2.User(name="users/alice", tenant="tenants/acme", display_name="Alice [A.]", one_time_codes=True)


@pytest.fixture(autouse=True)
def caller(gateway):
    gateway.answers["GetSession"] = session_pb2.Session(subject="users/alice", tenant="tenants/acme")


def test_users_are_listed_with_their_state(gateway, run):
    def pages(request):
        if request.page_token:
            return user_pb2.ListUsersResponse(users=[user_pb2.User(name="users/bob", disabled=True)])
        return user_pb2.ListUsersResponse(users=[ALICE], next_page_token="2")

    gateway.answers["ListUsers"] = pages
    shown = run("users", "list", "--tenant", "acme")
    assert [call.metadata["x-tenant"] for call in gateway.calls] == ["acme", "acme"]
    assert "Alice [A.]" in shown
    assert "yes, 0 recovery codes left" in shown
    assert "disabled" in shown


def test_a_user_is_created_in_the_tenant_that_is_said(gateway, run):
    """Its password is typed twice and not shown."""
    gateway.answers["CreateUser"] = ALICE
    words = ("users", "create", "alice", "--display-name", "Alice", "--tenant", "acme")
    shown = run(*words, typed=f"{PASSWORD}\n{PASSWORD}\n")
    request = gateway.asked("CreateUser")
    assert (request.user_id, request.password, request.user.display_name) == ("alice", PASSWORD, "Alice")
    assert request.user.tenant == "tenants/acme"
    assert PASSWORD not in shown


@pytest.mark.parametrize(("command", "disabled"), [("disable", True), ("enable", False)])
def test_a_user_is_disabled_and_enabled(gateway, run, command, disabled):
    gateway.answers["UpdateUser"] = ALICE
    run("users", command, "users/alice")
    request = gateway.asked("UpdateUser")
    assert (request.user.name, request.user.disabled, list(request.update_mask.paths)) == (
        "users/alice",
        disabled,
        ["disabled"],
    )


def test_a_user_is_deleted(gateway, run):
    assert run("users", "delete", "alice") == "deleted users/alice\n"
    assert gateway.asked("DeleteUser").name == "users/alice"


def test_users_change_their_own_password_with_the_present_one(gateway, run):
    shown = run("users", "set-password", typed=f"{PASSWORD}\n{NEW}\n{NEW}\n")
    request = gateway.asked("SetPassword")
    assert (request.name, request.password, request.new_password) == ("users/alice", PASSWORD, NEW)
    assert [secret for secret in (PASSWORD, NEW) if secret in shown] == []


def test_administrators_set_another_s_password_without_the_present_one(gateway, run):
    run("users", "set-password", "bob", "--password-stdin", typed=f"{NEW}\n")
    request = gateway.asked("SetPassword")
    assert (request.name, request.password, request.new_password) == ("users/bob", "", NEW)


def test_one_time_codes_are_set_up_confirmed_and_removed(gateway, run):
    """Secret and recovery codes are shown: the API returns them once, for that."""
    gateway.answers["SetUpOneTimeCodes"] = user_pb2.SetUpOneTimeCodesResponse(secret="JBSWY3DP", uri="otpauth://totp/x")
    shown = run("users", "one-time-codes", "set-up", typed=f"{PASSWORD}\n\n")
    assert "JBSWY3DP" in shown
    assert "otpauth://totp/x" in shown
    request = gateway.asked("SetUpOneTimeCodes")
    assert (request.name, request.password, request.one_time_code) == ("users/alice", PASSWORD, "")
    gateway.answers["ConfirmOneTimeCodes"] = user_pb2.ConfirmOneTimeCodesResponse(recovery_codes=["aaa-1", "bbb-2"])
    assert "aaa-1\nbbb-2\n" in run("users", "one-time-codes", "confirm", typed="123456\n")
    assert gateway.asked("ConfirmOneTimeCodes").one_time_code == "123456"
    run("users", "one-time-codes", "remove", "bob")
    assert gateway.asked("RemoveOneTimeCodes").name == "users/bob"


def test_who_is_no_user_has_no_password_to_change(gateway, run):
    gateway.answers["GetSession"] = session_pb2.Session(subject="certificates/ci.example")
    shown = run("users", "set-password", typed=f"{PASSWORD}\n{NEW}\n{NEW}\n", code=1)
    assert "you are certificates/ci.example, not a user with a password" in shown
    assert [call.method for call in gateway.calls] == ["GetSession"]


def test_a_refusal_is_one_line_and_exit_code_1(gateway, run):
    gateway.answers["DeleteUser"] = errors.NotPermitted("permission `administer` on tenants/acme is missing")
    assert run("users", "delete", "bob", code=1) == "Error: permission `administer` on tenants/acme is missing\n"
