"""The calls that `cloudspan up` prints."""

from __future__ import annotations

from cloudspan_gateway.demo import sample_calls


def test_a_sample_call_can_be_pasted_into_a_shell():
    """JSON is quoted, headers are kept, and a call without a request has no data."""
    call = sample_calls.SampleCall("A", "a.B/C", {"name": "it's"}, ("x-wait: 30s",))
    assert call.grpcurl("h:1") == """grpcurl -plaintext -H 'x-wait: 30s' -d '{"name":"it'"'"'s"}' h:1 a.B/C"""
    assert call.buf_curl("h:1").endswith("http://h:1/a.B/C")
    assert "-d" not in sample_calls.SampleCall("A", "a.B/C", {}).buf_curl("h:1")
