"""`cloudspan audit`."""

from __future__ import annotations

import pytest
from common.client.tests.callers.chains import chain, line

from cloudspan.v1.audit_pb2 import AuditEvent, ListAuditEventsResponse
from cloudspan_common import errors
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate

SERVER = "platforms/os/clusters/a/servers/x"
DELETE = "cloudspan.v1.ServerService/DeleteServer"
DELETED = {
    "type": AuditEvent.TYPE_MUTATION, "subject": "users/alice", "tenant": "acme", "peer": "10.0.0.7", "method": DELETE,
    "credential": "session/17", "resource": SERVER, "operation": "operations/2", "outcome": "OK", "request_id": "req-9",
}  # fmt: skip
ENDED = {"type": AuditEvent.TYPE_OPERATION_ENDED, "operation": "operations/2", "resource": SERVER, "outcome": "OK"}
EVENTS = chain(
    {"type": AuditEvent.TYPE_LOGIN, "subject": "users/alice", "outcome": "OK"},
    {**DELETED, "type": AuditEvent.TYPE_REFUSAL, "subject": "users/bob", "operation": "", "outcome": "UNAUTHENTICATED"},
    {**DELETED, "operation": "operations/1"},
    {**ENDED, "operation": "operations/1", "outcome": "ABORTED", "reason": "PREEMPTED"},
    DELETED,
    ENDED,
    {**DELETED, "operation": "", "outcome": "NOT_FOUND", "reason": "NOT_FOUND", "message": "no such server [red]"},
)  # fmt: skip


def serving(events):
    """Answer as the gateway does: filtered by its own parser, newest first, two events a page."""

    def answer(request):
        wanted = predicate(Filter.parse(request.filter, AuditEvent.DESCRIPTOR))
        found = [event for event in (events if request.oldest_first else reversed(events)) if wanted(event)]
        at = int(request.page_token or 0)
        size = min(request.page_size, 2)
        more = str(at + size) if len(found) > at + size else ""
        return ListAuditEventsResponse(events=found[at : at + size], next_page_token=more)

    return answer


@pytest.fixture(autouse=True)
def events(gateway):
    gateway.answers["ListAuditEvents"] = serving(EVENTS)


def test_events_are_listed_with_who_whence_and_why(gateway, run):
    """Over several pages, the newest first; what others wrote is no markup."""
    shown = run("audit", "list", "--limit", "5")
    assert [shown.index(f"{sequence}  2026-11-28T") for sequence in (7, 6, 5, 4, 3)] == sorted(
        shown.index(f"{sequence}  2026-11-28T") for sequence in (7, 6, 5, 4, 3)
    )
    assert "2  2026" not in shown
    assert "users/alice of acme  MUTATION  DeleteServer  NOT_FOUND NOT_FOUND" in shown
    assert "from 10.0.0.7, by session/17, as operations/2, request req-9" in shown
    assert "no such server [red]" in shown


@pytest.mark.parametrize(
    ("words", "sequences"),
    [
        (("--subject", "bob"), [2]),
        (("--type", "login"), [1]),
        (("--failed",), [7, 4, 2]),
        (("--operation", "2"), [6, 5]),
        (("--resource", SERVER, "--failed", "--subject", "users/alice"), [7]),
        (("--since", "2026-11-28T20:00:01Z"), []),
        (("--since", "2026-11-28T20:00:00Z", "--filter", 'reason = "PREEMPTED" OR type = LOGIN'), [4, 1]),
        (("--resource", '*" OR type = LOGIN OR resource = "'), []),
    ],
)
def test_options_filter_events(run, words, sequences):
    shown = run("audit", "list", *words)
    assert (shown == "nothing found\n") == (sequences == [])
    assert [int(text.split()[0]) for text in shown.splitlines() if "  2026-11-28T" in text] == sequences


def test_events_of_all_tenants_are_asked_for_as_the_tenant_dash(gateway, run):
    run("audit", "list", "--all-tenants")
    run("audit", "list")
    assert [call.metadata.get("x-tenant") for call in gateway.calls[::4]] == ["-", None]


def test_who_deleted_a_server_is_one_command(run):
    """The Delete that took effect, not one that was given up, refused, or came too late."""
    assert run("audit", "who-deleted", SERVER).splitlines() == [
        f"users/alice of acme deleted {SERVER} at 2026-11-28T20:00:00Z",
        f"  method      {DELETE}",
        "  from        10.0.0.7",
        "  credential  session/17",
        "  request     req-9",
        "  operation   operations/2",
        "  outcome     OK at 2026-11-28T20:00:00Z",
    ]


def test_a_request_that_somebody_sent_again_is_the_first_one_s(gateway, run):
    """The gateway accepts it again, as the same operation."""
    again = {**DELETED, "subject": "users/mallory", "peer": "10.6.6.6", "message": "the same request_id as before"}
    gateway.answers["ListAuditEvents"] = serving(chain(DELETED, again, ENDED))
    shown = run("audit", "who-deleted", SERVER)
    assert "users/alice of acme deleted" in shown
    assert "10.0.0.7" in shown


def test_a_delete_that_has_not_succeeded_is_said_so(gateway, run):
    gateway.answers["ListAuditEvents"] = serving(EVENTS[:3])
    shown = run("audit", "who-deleted", SERVER)
    assert "users/alice of acme asked to delete" in shown
    assert "outcome     not ended yet" in shown
    gateway.answers["ListAuditEvents"] = serving(EVENTS[:4])
    assert "outcome     ABORTED PREEMPTED:" in run("audit", "who-deleted", SERVER)


def test_a_policy_s_delete_has_no_operation(gateway, run):
    method = "cloudspan.v1.UserService/DeleteUser"
    deleted = {"type": AuditEvent.TYPE_POLICY, "subject": "users/root", "resource": "users/bob", "method": method}
    gateway.answers["ListAuditEvents"] = serving(chain({**deleted, "outcome": "OK"}))
    shown = run("audit", "who-deleted", "users/bob")
    assert "users/root deleted users/bob" in shown
    assert "operation" not in shown


def test_nobody_deleted_it_is_exit_code_1(gateway, run):
    """And says where else to look; a name is no filter."""
    for name in ("platforms/os/clusters/a/servers/other", f"{SERVER[:-1]}*", f'" OR resource = "{SERVER}'):
        shown = run("audit", "who-deleted", name, code=1)
        assert "that was accepted; it may have been deleted in the cloud itself, or by another tenant" in shown
    gateway.answers["ListAuditEvents"] = serving([*EVENTS[:2], EVENTS[6]])
    assert f"attempts failed, see: cloudspan audit list --resource {SERVER}" in run(
        "audit", "who-deleted", SERVER, code=1
    )


def test_a_whole_chain_is_verified_over_all_tenants_and_its_head_printed(gateway, run, monkeypatch):
    """Whatever tenant is chosen; oldest first."""
    monkeypatch.setenv("CLOUDSPAN_TENANT", "acme")
    assert run("audit", "verify").splitlines() == [
        "verified 7 events, the chain is whole",
        f"head: --from 7 --hash {EVENTS[-1].hash}",
    ]
    assert {(call.metadata["x-tenant"], call.request.oldest_first) for call in gateway.calls} == {("-", True)}


def test_a_verification_goes_on_from_a_kept_head(gateway, run):
    words = ("audit", "verify", "--from", "5", "--hash", EVENTS[4].hash.upper())
    assert "verified 3 events" in run(*words)
    gateway.answers["ListAuditEvents"] = serving(EVENTS[:5])
    assert "verified 1 event, the chain is whole" in run(*words)
    gateway.answers["ListAuditEvents"] = serving(EVENTS[:4])
    assert "the chain is broken: event 5 is not there: the newest events are gone" in run(*words, code=1)
    assert "go together" in run("audit", "verify", "--from", "5", code=2)
    assert "go together" in run("audit", "verify", "--hash", EVENTS[4].hash, code=2)


def test_a_broken_chain_is_exit_code_1_and_names_the_first_place(gateway, run):
    broken = [AuditEvent.FromString(found.SerializeToString()) for found in EVENTS]
    broken[3].record = broken[3].record.replace("ABORTED", "OK")
    gateway.answers["ListAuditEvents"] = serving(broken)
    shown = run("audit", "verify", code=1)
    assert "Error: the chain is broken: event 4 has the hash" in shown
    assert "head:" not in shown


def test_files_of_several_gateways_are_verified_as_one_chain(run, gateway, tmp_path):
    """Each has the events that it wrote; from a kept head, older ones are left out."""
    files = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for at, file in enumerate(files):
        file.write_text("".join(line(found) for found in EVENTS[at::2]))
    both = [word for file in files for word in ("--file", str(file))]
    assert "verified 7 events, the chain is whole" in run("audit", "verify", *both)
    assert "verified 2 events" in run("audit", "verify", *both, "--from", "6", "--hash", EVENTS[5].hash)
    assert "event 2 is missing: event 3 comes after event 1" in run("audit", "verify", *both[:2], code=1)
    files[1].write_text(line(EVENTS[1]) + '{"cut')
    assert "two.jsonl, line 2 is no event" in run("audit", "verify", *both, code=1)
    assert gateway.calls == []


def test_an_empty_audit_is_no_error(gateway, run):
    gateway.answers["ListAuditEvents"] = serving([])
    assert run("audit", "verify") == "the audit is empty\n"


def test_who_may_not_look_over_all_tenants_is_told_so(gateway, run):
    """Not that a tenant `-`, which nobody has typed, does not exist."""
    unknown = errors.NotFound("metadata x-tenant says tenant '-', which does not exist", reason="TENANT_UNKNOWN")
    gateway.answers["ListAuditEvents"] = unknown
    for words in (("verify",), ("list", "--all-tenants")):
        assert run("audit", *words, code=1).startswith("Error: you have no role in every tenant (tenants/-)")
    assert "metadata x-tenant" in run("audit", "list", code=1)


def test_who_may_not_read_the_audit_sees_the_gateway_s_refusal(gateway, run):
    gateway.answers["ListAuditEvents"] = errors.NotPermitted("permission `administer` on tenants/- is missing")
    for words in (("list",), ("verify",), ("who-deleted", SERVER)):
        assert "Error: permission `administer` on tenants/- is missing" in run("audit", *words, code=1)
