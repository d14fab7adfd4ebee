"""Who may claim a platform, and what a refused connection means."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudspan_common.grpcs import Tls
from cloudspan_gateway.routing.trust import Trust

TLS = Tls(Path("c.pem"), Path("k.pem"), Path("a.pem"))


def test_a_tag_is_its_own_identity_unless_configured() -> None:
    """Without TLS nobody's identity is asked for."""
    trust = Trust(TLS, {"openstack": "acme"})
    assert (trust.expected("openstack"), trust.expected("zstack")) == ("acme", "zstack")
    assert Trust().expected("openstack") == ""


@pytest.mark.parametrize(
    ("details", "why"),
    [
        ("Hostname Verification Check failed", "is not that of 'acme'"),
        ("SSL routines:WRONG_VERSION_NUMBER", "speaks no TLS"),
        ("SSL routines:CERTIFICATE_VERIFY_FAILED", "not signed by the authority"),
        ("Connection refused", ""),
    ],
)
def test_a_refused_connection_says_which_file_to_look_at(details: str, why: str) -> None:
    """A process that is merely away is not distrusted."""
    assert why in Trust(TLS, {"openstack": "acme"}).refusal("openstack", details)
    assert bool(Trust(TLS, {"openstack": "acme"}).refusal("openstack", details)) is bool(why)
    assert Trust().refusal("openstack", details) == ""
