"""What metadata passes the gateway, in either direction."""

from __future__ import annotations

from cloudspan_gateway.metadata import address_of, outgoing, passed_back


def test_outgoing_metadata_holds_the_ids_what_is_carried_and_the_tags() -> None:
    """In this order, and nothing else."""
    sent = outgoing("request", "trace", (("tracestate", "s"),), (("x-platform", "p"),))
    assert sent == (("x-request-id", "request"), ("traceparent", "trace"), ("tracestate", "s"), ("x-platform", "p"))


def test_what_a_hop_says_of_itself_does_not_come_back() -> None:
    """The adapter's request id would stand beside the caller's own."""
    assert passed_back((("server", "x"), ("x-request-id", "r"), ("x-served-by", "os-1"))) == (("x-served-by", "os-1"),)
    assert passed_back(None) == ()


def test_an_address_is_without_its_port() -> None:
    """As gRPC writes peers; what no network is stays as it is."""
    peers = {
        "ipv4:192.0.2.7:50000": "192.0.2.7",
        "ipv6:%5B2001:db8::1%5D:50000": "2001:db8::1",
        "ipv6:[::1]:50000": "::1",
        "unix:/run/cloudspan.sock": "unix:/run/cloudspan.sock",
        "": "",
    }
    assert {peer: address_of(peer) for peer in peers} == peers
