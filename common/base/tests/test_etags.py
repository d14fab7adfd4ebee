"""Etags: the platform's own, or a digest that is the same as long as the resource is."""

from __future__ import annotations

from cloudspan.v1 import network_pb2, server_pb2
from cloudspan_common.etags import clear_filled_etag, etag_of, fill_etag

NAME = "platforms/acme/clusters/east/servers/1"


def test_a_filled_etag_goes_by_the_content_alone():
    """Not by when it was read, nor by the view."""
    one, other = (server_pb2.Server(name=NAME, vcpus=2) for _ in range(2))
    other.observe_time.GetCurrentTime()
    other.native["id"] = "1"
    for server in (one, other):
        fill_etag(server)
    assert one.etag == other.etag == etag_of(server_pb2.Server(name=NAME, vcpus=2))
    assert one.etag != etag_of(server_pb2.Server(name=NAME, vcpus=4))


def test_a_filled_etag_can_be_taken_away_again_and_the_platforms_own_stays():
    """Whatever was told beside it; one that was filled for another content is no digest of this."""
    server = server_pb2.Server(name=NAME, vcpus=2)
    server.observe_time.GetCurrentTime()
    fill_etag(server)
    changed = server_pb2.Server()
    changed.CopyFrom(server)
    clear_filled_etag(server)
    assert server.etag == ""
    changed.vcpus = 4
    clear_filled_etag(changed)
    assert changed.etag
    own = network_pb2.Network(name=NAME, etag="7")
    fill_etag(own)
    clear_filled_etag(own)
    assert own.etag == "7"


def test_a_resource_without_the_field_has_a_digest_and_keeps_none():
    """Nothing is set on it."""
    bare = server_pb2.Server.NetworkInterface(network="n")
    fill_etag(bare)
    clear_filled_etag(bare)
    assert bare == server_pb2.Server.NetworkInterface(network="n")
