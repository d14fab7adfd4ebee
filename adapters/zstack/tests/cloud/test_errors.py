"""What native errors mean, without a cloud."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from cloudspan_common import errors as e
from cloudspan_kit.http.transport import Answer, RequestInfo
from cloudspan_zstack.cloud.error_rules import DuplicateJob, LostJob, SessionEnded
from cloudspan_zstack.cloud.errors import Catalogue, refuses_session

# Errors that a management node answered, some with its default texts, which are Chinese, some configured for English.
_RECORDED = json.loads((Path(__file__).parents[1] / "data" / "errors.json").read_text("utf-8"))
_UUID = "7f729d55857054b2a374bfb681271535"
_OTHER = "b7cead14ef6c56ac907e6a7dd5ae4abd"
_ASKED = RequestInfo("zstack", "lab", "vm-instances", "PUT", f"/vm-instances/{_UUID}/actions")


def _chain(*codes: tuple[str, str], several: bool = False) -> Answer:
    """A business error whose last code is the most specific."""
    document: dict[str, object] = {}
    for code, details in reversed(codes):
        below = {"causes": [document]} if several and document else {"cause": document} if document else {}
        document = {"code": code, "description": "an error", "details": details} | below
    return Answer(503, {"Content-Type": "application/json"}, json.dumps({"error": document}).encode())


def _text(status: int, text: str) -> Answer:
    return Answer(status, {"Content-Type": "text/plain"}, text.encode())


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (_chain(("SYS.1006", "refused"), ("VM.1010", "is Stopped")), e.PreconditionFailed, "WRONG_STATE"),
        (_chain(("VM.1000", ""), ("HOST_ALLOCATION.1000", "no host")), e.QuotaExceeded, "NO_VALID_HOST"),
        (_chain(("VM.1001", ""), ("SYS.1006", "x"), several=True), e.PreconditionFailed, "OPERATION_REFUSED"),
        (_chain(("VM.1001", ""), ("STRANGE.1", "what")), e.GaveUp, "SERVER_OPERATION_FAILED"),
        (_chain(("ID.1000", "wrong")), e.LoginRefused, "CLUSTER_LOGIN_REFUSED"),
        (_chain(("ID.1001", "expired")), SessionEnded, "SESSION_ENDED"),
        (_chain(("ID.1002", "no")), e.Forbidden, "FORBIDDEN"),
        (_chain(("ID.1003", "quota")), e.QuotaExceeded, "QUOTA_EXCEEDED"),
        (_chain(("ID.1005", "change it")), e.LoginRefused, "PASSWORD_CHANGE_NEEDED"),
        (_chain(("SYS.1000", "Duplicate entry for key PRIMARY")), e.AlreadyExists, "ALREADY_EXISTS"),
        (_chain(("SYS.1000", "null pointer")), e.PlatformFault, "NATIVE_FAULT"),
        (_chain(("SYS.1001", "timed out")), e.OutcomeUnknown, "NATIVE_TIMEOUT"),
        (_chain(("SYS.1003", f"[uuid:{_UUID}]")), e.NotFound, "NOT_FOUND"),
        (_chain(("SYS.1003", f"[uuid:{_OTHER}]")), e.InvalidRequest, "REFERENCE_NOT_FOUND"),
        (_chain(("SYS.1006", "volume already attached")), e.PreconditionFailed, "IN_USE"),
        (_chain(("SYS.1007", "cpuNum is -1")), e.InvalidRequest, "NATIVE_BAD_REQUEST"),
        (_chain(("SYS.1012", "down")), e.Unreachable, "NODE_UNREACHABLE"),
        (_chain(("SYS.1014", "no")), e.Unsupported, "NOT_IMPLEMENTED"),
        (_chain(("SYS.1000", "wrong accessKey signature")), e.LoginRefused, "CLUSTER_LOGIN_REFUSED"),
        (
            _text(500, "RestAuthenticationType type: ZStack was not registered by any RestAuthenticationBackend"),
            e.Unsupported,
            "NOT_ON_THIS_EDITION",
        ),
        (_text(400, "Duplicate job uuid[x]"), DuplicateJob, "DUPLICATE_JOB"),
        (_text(400, "field cpuNum is no number"), e.InvalidRequest, "NATIVE_BAD_REQUEST"),
        (_text(403, "requestTimeTooSkewed"), e.LoginRefused, "REQUEST_TIME_SKEWED"),
        (_text(404, "unable to find the job, the job has been expired"), LostJob, "JOB_LOST"),
        (_text(404, "no api mapping to /v1/x"), e.Unsupported, "NOT_ON_THIS_EDITION"),
        (_text(500, "boom"), e.PlatformFault, "NATIVE_FAULT"),
        (_text(413, "<h1>Request Entity Too Large</h1>"), e.InvalidRequest, "REQUEST_TOO_LARGE"),
        (_text(301, "<h1>Moved</h1>"), e.PlatformFault, "REDIRECTED"),
        (_text(503, "<html><body>Service Unavailable</body></html>"), e.Unreachable, "SERVICE_UNAVAILABLE"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_native_error_means(answer, kind, reason):
    """The deepest code of the chain that says something decides."""
    error = Catalogue().error(_ASKED, answer)
    assert (type(error), error.reason) == (kind, reason)


@pytest.mark.parametrize("code", ["SYS.1000", "SYS.1001", "SYS.1012", "SYS.1016"])
def test_the_end_of_a_job_is_never_something_to_wait_for(code):
    """What says "later" of a request says "it has failed" of a job."""
    assert isinstance(Catalogue().error(_ASKED, _chain((code, "x")), final=True), e.GaveUp)


def test_a_new_name_of_the_ended_session_is_known():
    """Newer releases say it beside an old code."""
    document = {"error": {"code": "SYS.1000", "globalErrorCode": "ORG_ZSTACK_IDENTITY_10020"}}
    assert refuses_session(Answer(503, {}, json.dumps(document).encode()))


def test_an_error_that_no_row_knows_is_counted():
    """It is a defect of the catalogue."""
    registry = CollectorRegistry()
    error = Catalogue(registry).error(_ASKED, _chain(("STRANGE.1", "what is this")))
    labels = {"cluster": "lab", "service": "vm-instances", "status": "STRANGE.1"}
    assert (error.reason, registry.get_sample_value("cloudspan_unmapped_native_errors_total", labels)) == (
        "UNMAPPED_NATIVE_ERROR",
        1.0,
    )
    assert "what is this" in error.message


_SAME_IN_CHINESE = {
    "the owner is another account": (e.Forbidden, "FORBIDDEN"),
    "a range overlaps": (e.AlreadyExists, "RANGE_OVERLAPS"),
    "another CIDR": (e.PreconditionFailed, "ONE_CIDR_A_NETWORK"),
    "no gateway": (e.InvalidRequest, "NATIVE_BAD_REQUEST"),
    "an address is taken": (e.PreconditionFailed, "IN_USE"),
    "no host": (e.QuotaExceeded, "NO_VALID_HOST"),
    "no host has room": (e.QuotaExceeded, "NO_VALID_HOST"),
    "no disk has room": (e.QuotaExceeded, "CAPACITY_EXCEEDED"),
    "a volume is attached": (e.PreconditionFailed, "IN_USE"),
    "a name server is there": (e.PreconditionFailed, "IN_USE"),
    "a virtual address is there": (e.PreconditionFailed, "IN_USE"),
    "a virtual address is used": (e.PreconditionFailed, "IN_USE"),
    "a VLAN is taken": (e.AlreadyExists, "ALREADY_EXISTS"),
    "no such kind of network": (e.Unsupported, "NOT_ON_THIS_EDITION"),
}
_IN_ONE_LANGUAGE = {
    "for administrators only": (e.Forbidden, "FORBIDDEN"),
    "the uuid is taken": (e.AlreadyExists, "ALREADY_EXISTS"),
    "the uuid of a server is taken": (e.AlreadyExists, "ALREADY_EXISTS"),
    "another gateway, zh": (e.PreconditionFailed, "ONE_CIDR_A_NETWORK"),
    "an address is in no range": (e.InvalidRequest, "NATIVE_BAD_REQUEST"),
    "no address is free": (e.QuotaExceeded, "ADDRESSES_EXHAUSTED"),
    "an unknown security group": (e.InvalidRequest, "REFERENCE_NOT_FOUND"),
    "an unknown key pair": (e.InvalidRequest, "REFERENCE_NOT_FOUND"),
    "a key pair is used": (e.PreconditionFailed, "IN_USE"),
    "a key pair is there": (e.AlreadyExists, "ALREADY_EXISTS"),
    "no public key": (e.InvalidRequest, "NATIVE_BAD_REQUEST"),
    "a volume is not attached": (e.PreconditionFailed, "OPERATION_REFUSED"),
    "a volume is deleted": (e.PreconditionFailed, "WRONG_STATE"),
    "a second floating IP": (e.PreconditionFailed, "IN_USE"),
    "a hypervisor does not build it": (e.GaveUp, "SERVER_OPERATION_FAILED"),
    "a hypervisor does not start it": (e.GaveUp, "SERVER_OPERATION_FAILED"),
    "a hypervisor does not stop it": (e.GaveUp, "SERVER_OPERATION_FAILED"),
    "a hypervisor does not attach it, zh": (e.GaveUp, "SERVER_OPERATION_FAILED"),
    "a hypervisor does not detach it, zh": (e.GaveUp, "SERVER_OPERATION_FAILED"),
    "the state does not allow it": (e.PreconditionFailed, "WRONG_STATE"),
    "the quota is full": (e.QuotaExceeded, "QUOTA_EXCEEDED"),
    "a wrong password, zh": (e.LoginRefused, "CLUSTER_LOGIN_REFUSED"),
}
_MEANINGS = (
    _SAME_IN_CHINESE
    | {f"{name}, zh": meaning for name, meaning in _SAME_IN_CHINESE.items()}
    | _IN_ONE_LANGUAGE
)  # fmt: skip


def _recorded(name: str) -> e.CloudspanError:
    told = _RECORDED[name]
    asked = RequestInfo("zstack", "lab", "x", told["method"], told["path"])
    answer = Answer(503, {"Content-Type": "application/json"}, json.dumps({"error": told["error"]}).encode())
    return Catalogue().error(asked, answer, final=True)


@pytest.mark.parametrize("name", _RECORDED)
def test_what_a_management_node_answered_means(name):
    """The same in the two languages that it speaks."""
    error = _recorded(name)
    assert (type(error), error.reason) == _MEANINGS[name]


@pytest.mark.parametrize("name", [name for name in _RECORDED if name.startswith("a hypervisor")])
def test_what_a_hypervisor_did_not_do_is_no_fault_of_the_request(name):
    """Nothing that the caller could change would help."""
    assert _recorded(name).recovery == e.Recovery.ASK_OPERATOR


def test_a_message_is_in_english_where_the_platform_has_it():
    """It speaks Chinese unless it is configured otherwise, and tells many errors in English beside."""
    assert "Overlapped with the existing IP range" in _recorded("a range overlaps, zh").message
    assert "重叠" not in _recorded("a range overlaps, zh").message
    assert "已经存在一个DNS" in _recorded("a name server is there, zh").message
