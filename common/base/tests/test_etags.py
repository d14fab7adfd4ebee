"""Etags: the platform's revision, else a digest of what a resource holds."""

from __future__ import annotations

from cloudspan.v1 import common_pb2, server_pb2
from cloudspan_common.etags import clear_digest, etag_of, fill_etag


def test_the_same_content_has_the_same_etag_whenever_it_was_read() -> None:
    """Neither the time nor the platform's own document counts."""
    one, other = server_pb2.Server(name="a", vcpus=1), server_pb2.Server(name="a", vcpus=1)
    other.observe_time.GetCurrentTime()
    other.native["id"] = "a"
    fill_etag(one)
    fill_etag(other)
    assert one.etag == other.etag != ""
    assert etag_of(server_pb2.Server(name="a", vcpus=2)) != one.etag


def test_the_platforms_revision_stands() -> None:
    """It is kept where a digest is taken out."""
    server = server_pb2.Server(name="a", etag="7")
    fill_etag(server)
    clear_digest(server)
    assert server.etag == "7"


def test_a_digest_can_be_taken_out_again() -> None:
    """What was read by itself is then the same as what was listed."""
    server = server_pb2.Server(name="a", vcpus=1)
    fill_etag(server)
    clear_digest(server)
    assert server == server_pb2.Server(name="a", vcpus=1)


def test_a_message_without_an_etag_is_left_alone() -> None:
    """As one that is no resource."""
    fault = common_pb2.Fault(code="404")
    fill_etag(fault)
    clear_digest(fault)
    assert fault == common_pb2.Fault(code="404")
