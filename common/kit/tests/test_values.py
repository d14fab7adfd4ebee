"""Small translations that every adapter needs: references, configured clusters, copied fields, decoded documents."""

from __future__ import annotations

import msgspec
import pytest

from cloudspan.v1 import network_pb2, subnet_pb2
from cloudspan_common.errors import InvalidRequest, PlatformFault
from cloudspan_common.names import ClusterRef
from cloudspan_kit import cloud_words, converted, copy_fields, listed, native_id, page_words, tagged_cloud

EAST = ClusterRef("acme", "east")


def test_a_reference_gives_the_platforms_id() -> None:
    """An empty one gives none."""
    assert native_id(EAST, "images", f"{EAST}/images/a%2Fb", "image") == "a/b"
    assert native_id(EAST, "images", "", "image") == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("platforms/acme/clusters/west/images/1", "OTHER_CLUSTER"),
        (f"{EAST}/flavors/1", "MALFORMED_NAME"),
        ("ubuntu", "MALFORMED_NAME"),
    ],
)
def test_a_reference_of_another_cluster_or_form_is_refused_by_its_field(name: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        native_id(EAST, "images", name, "server.image")
    assert (refused.value.reason, refused.value.violations[0].field) == (reason, "server.image")


def test_a_cluster_is_configured_by_tag_or_by_a_name_that_can_be_one() -> None:
    assert tagged_cloud("east=My Cloud") == ("east", "My Cloud")
    assert tagged_cloud("east") == ("east", "east")


@pytest.mark.parametrize("text", ["", "East", "east=", "=cloud", "my cloud"])
def test_another_form_of_a_configured_cluster_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write tag=cloud"):
        tagged_cloud(text)


def test_set_fields_are_copied_to_those_of_the_same_name() -> None:
    """Lists and maps too; what is unset stays as it was."""
    new = network_pb2.NewSubnet(cidr="10.0.0.0/24", dns_nameservers=["1.1.1.1"], labels={"a": "b"})
    made = copy_fields(new, subnet_pb2.Subnet(display_name="kept"))
    assert (made.cidr, list(made.dns_nameservers), dict(made.labels)) == ("10.0.0.0/24", ["1.1.1.1"], {"a": "b"})
    assert made.display_name == "kept"


def test_many_names_are_cut_for_a_message() -> None:
    assert listed("abc", most=2) == "a, b and 1 more"
    assert listed("ab", most=2) == "a, b"


def test_a_document_of_another_form_is_the_platforms_fault() -> None:
    class Row(msgspec.Struct):
        size: int

    assert converted({"size": 1}, Row) == Row(1)
    with pytest.raises(PlatformFault) as fault:
        converted({"size": "large"}, Row)
    assert fault.value.reason == "UNEXPECTED_ANSWER"


def test_the_words_of_a_cloud_are_on_one_line_and_say_where_they_were_cut():
    """So long that an error can carry them; nobody takes a part for the whole."""
    assert cloud_words(" No\n  valid host ") == "No valid host"
    assert cloud_words("ü" * 2000) == "ü" * 2000
    assert cloud_words("ü" * 2001) == "ü" * 2000 + "…"


def test_a_page_is_told_by_its_words():
    """Without markup, scripts and styles, whatever its bytes are."""
    page = b"<html><head><title>x</title></head><style>p {}</style><h1>413</h1> too\xff <b>large</b></html>"
    assert page_words(page) == "413 too\ufffd large"
