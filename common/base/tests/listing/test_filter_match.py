"""Filters applied to messages: what each comparison means, and that no text does harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf import timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

from cloudspan.v1 import common_pb2, server_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.listing.filter_ast import EVERYTHING, MAX_CHARS, Filter
from cloudspan_common.listing.filter_match import predicate

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

Server = server_pb2.Server
RESOURCE = Server.DESCRIPTOR


def matching(text: str) -> Callable[[Message], bool]:
    return predicate(Filter.parse(text, RESOURCE))


def a_server() -> Server:
    server = Server(
        name="platforms/openstack/clusters/east/servers/1",
        display_name="Web-1",
        state=Server.STATE_RUNNING,
        labels={"team": "db", "app.kubernetes.io/name": "pg", "empty": ""},
        fault=common_pb2.Fault(code="500", message="No valid host"),
        locked=True,
        vcpus=4,
        memory_mib=8192,
        security_groups=["default", "web"],
        network_interfaces=[
            Server.NetworkInterface(fixed_ips=[Server.FixedIp(ip_address="10.0.0.5")], mac_address="fa:16:3e:00:00:01"),
            Server.NetworkInterface(fixed_ips=[Server.FixedIp(ip_address="fe80::1")], port="p2"),
        ],
    )
    server.create_time.FromJsonString("2026-01-31T08:00:00.5Z")
    return server


@pytest.mark.parametrize(
    "text",
    [
        'display_name = "Web-1"',
        "display_name=Web-1",
        "display_name = 'Web-1'",
        'display_name = "Web*"',
        'display_name = "*-1"',
        'display_name = "*eb*"',
        "display_name = *",
        "display_name : WEB",
        "display_name : web*",
        "display_name : *-1",
        "display_name:*",
        'display_name != "Web-2"',
        'display_name < "Web-2"',
        "state = RUNNING",
        "state = STATE_RUNNING",
        "state:RUNNING",
        "state != STOPPED",
        "state:*",
        "locked = true",
        "locked != false",
        "vcpus = 4",
        "vcpus:4",
        "vcpus > 3 vcpus < 5",
        "vcpus >= 4 AND vcpus <= 4",
        "memory_mib != -1",
        "create_time > 2026-01-31T07:00:00Z",
        "create_time = 2026-01-31T08:00:00.5Z",
        'create_time <= "2026-01-31T09:00:00.500000000+01:00"',
        "create_time:*",
        "labels:team",
        "labels:*",
        "labels:app.kubernetes.io/name",
        "labels.app.kubernetes.io/name = pg",
        'labels."app.kubernetes.io/name" = pg',
        "labels.team:*",
        "labels.team : db",
        "labels.team : d*",
        'labels.empty = ""',
        "labels.absent != db",
        "security_groups : web",
        "security_groups:w*",
        "security_groups:*",
        "fault.code = 500",
        "fault . code = 500",
        'fault.message : "valid HOST"',
        "fault:*",
        "network_interfaces.fixed_ips.ip_address : 10.0.0.*",
        "network_interfaces.fixed_ips.ip_address : fe80::1",
        "network_interfaces.mac_address:fa:16:3e:00:00:01",
        "network_interfaces.port:*",
        "network_interfaces:*",
        "NOT state = STOPPED",
        "-state = STOPPED",
        "NOT (state = STOPPED OR locked = false)",
        "NOT NOT locked = true",
        "-(vcpus = 5)",
        "update_time != 2026-01-31T08:00:00Z",
        "NOT volume_attachments:*",
    ],
)
def test_a_filter_finds_what_it_describes(text: str) -> None:
    """The sample server is everything that these say of it."""
    assert matching(text)(a_server())


@pytest.mark.parametrize(
    "text",
    [
        'display_name = "web-1"',
        'display_name = "W\\*"',
        "display_name : db",
        "display_name : eb*",
        "display_name > Web-1",
        "state = STOPPED",
        "locked = false",
        "vcpus > 4",
        "create_time < 2026-01-31T08:00:00Z",
        "labels:absent",
        "labels.absent = db",
        "labels.team : D",
        "labels.absent:*",
        'labels.absent = ""',
        "labels.empty : x",
        "security_groups : we",
        "fault.code != 500",
        "update_time:*",
        "update_time < 2030-01-01T00:00:00Z",
        "volume_attachments:*",
        "volume_attachments.volume:*",
        "network_interfaces.fixed_ips.ip_address : 10.0.0.6",
        "-locked = true",
        "zone:*",
    ],
)
def test_a_filter_leaves_out_what_it_does_not_describe(text: str) -> None:
    """Nothing of these is true of the sample server."""
    assert not matching(text)(a_server())


@pytest.mark.parametrize("text", ["fault.code = 0", "fault.code < 1", "create_time < 2030-01-01T00:00:00Z", "fault:*"])
def test_what_is_not_set_compares_with_nothing(text: str) -> None:
    """A default inside an absent message is not a value, so only != holds for it."""
    assert not matching(text)(Server())


def test_not_equal_is_true_of_what_is_not_set() -> None:
    """`!=` is exactly NOT `=`, for absent messages and keys too."""
    for text in ("fault.code != 0", "labels.team != db", "create_time != 2026-01-31T08:00:00Z"):
        assert matching(text)(Server())


def test_or_binds_tighter_than_and() -> None:
    """`a AND b OR c` is `a AND (b OR c)`, as AIP-160 has it."""
    text = "locked = true OR vcpus = 1 AND state = RUNNING"
    found = Filter.parse(text, RESOURCE)
    assert predicate(found)(Server(vcpus=1, state=Server.STATE_RUNNING))
    assert not predicate(found)(Server(locked=True, state=Server.STATE_STOPPED))


def test_a_star_in_quotes_can_be_a_star() -> None:
    """An escaped star matches only itself."""
    found = Filter.parse(r'display_name = "a\*"', RESOURCE)
    assert predicate(found)(Server(display_name="a*"))
    assert not predicate(found)(Server(display_name="ab"))
    assert found.equal("display_name") == "a*"


def test_escaped_quotes_and_operators_may_stand_in_quotes() -> None:
    """Quoting takes away every meaning but the backslash's."""
    assert matching(r'display_name = "a \"b\" AND (c)"')(Server(display_name='a "b" AND (c)'))


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_a_blank_filter_is_empty_and_costs_nothing(text: str) -> None:
    """It is the one shared filter that lets everything through."""
    found = Filter.parse(text, RESOURCE)
    assert found is EVERYTHING
    assert found.is_empty
    assert predicate(found)(Server())
    assert found.equal("state") is None


def test_many_terms_side_by_side_do_not_count_as_depth() -> None:
    """Only nesting is limited; a long list of alternatives is not."""
    text = " OR ".join(f"vcpus = {n}" for n in range(200))
    assert matching(text)(Server(vcpus=199))


_WORDS = r"""
state = : != < ( ) AND OR NOT - . * " ' \ labels fault create_time 2026-01-31T08:00:00Z 9999-99-99T99:99:99Z vcpus 7
locked true RUNNING 0001-01-01T00:00:00+23:59 security_groups network_interfaces é
"""
_PIECES = st.sampled_from([*_WORDS.split(), " ", "\0"])


@given(st.one_of(st.text(max_size=80), st.lists(_PIECES, max_size=12).map("".join), st.lists(_PIECES).map(" ".join)))
def test_no_input_does_anything_but_parse_or_be_refused(text: str) -> None:
    """Whatever arrives, it filters or it is InvalidRequest."""
    try:
        found = Filter.parse(text, RESOURCE)
    except InvalidRequest as refused:
        assert refused.reason in {"UNKNOWN_FILTER_FIELD", "MALFORMED_FILTER"}  # noqa: PT017 - either end is right
        return
    assert predicate(found)(a_server()) in (True, False)
    assert predicate(found)(Server(create_time=timestamp_pb2.Timestamp(seconds=1))) in (True, False)


@given(st.text())
def test_any_text_in_quotes_is_found_again(text: str) -> None:
    """Quoting with escapes is enough to compare any text, stars included."""
    quoted = "".join(f"\\{sign}" if sign in '\\"*' else sign for sign in text)
    if len(quoted) < MAX_CHARS - 20:
        found = Filter.parse(f'display_name = "{quoted}"', RESOURCE)
        assert predicate(found)(Server(display_name=text))
        assert found.equal("display_name") == text
