"""Where webhooks may be sent to: nothing that is not public, however it is written."""

from __future__ import annotations

import ipaddress

import pytest

from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway.events.webhooks.addresses import Allowed

PUBLIC = Allowed()
OPEN = Allowed(["10.1.0.0/16", "fd00::/8", "127.0.0.0/8"])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - nobody listens there
        "224.0.0.1",
        "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd00::1",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:0:4136:e378::1", "fec0::1", "2001:db8::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not PUBLIC.admits(ipaddress.ip_address(address), "https")
    url = f"https://[{address}]/" if ":" in address else f"https://{address}/"
    with pytest.raises(InvalidRequest) as refused:
        PUBLIC.checked(url)
    assert refused.value.reason == "WEBHOOK_URL_REFUSED"


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is_reached_over_https_alone(address: str) -> None:
    assert PUBLIC.admits(ipaddress.ip_address(address), "https")
    assert not OPEN.admits(ipaddress.ip_address(address), "http")


def test_what_the_operator_allows_is_reached_over_http_too() -> None:
    for address in ("10.1.2.3", "fd00::5", "127.0.0.1", "::ffff:10.1.2.3"):
        for scheme in ("http", "https"):
            assert OPEN.admits(ipaddress.ip_address(address), scheme)
    assert not OPEN.admits(ipaddress.ip_address("10.2.0.1"), "https")
    assert OPEN.checked("http://10.1.2.3:8080/x?y=1").port == 8080


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://example.com/", "http://example.com/", "https://", "https:///x", "//example.com/", "example.com",
        "https://user@example.com/", "https://user:pw@example.com/", "https://example.com/#part",
        "https://2130706433/", "https://127.1/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/",
        "https://127.0.0.1./", "https://exam ple.com/", "https://example.com/\n", "https://example.com:0/",
        "https://example.com:99999/", "https://[::1/", "https://[fe80::1%25eth0]/", "https://" + "a" * 2100,
        "javascript:alert(1)", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_a_url_that_is_none_is_refused(url: str) -> None:
    """With a reason, and in words that say what to do."""
    with pytest.raises(InvalidRequest, match="--webhook-allow") as refused:
        PUBLIC.checked(url)
    assert refused.value.reason == "WEBHOOK_URL_REFUSED"


@pytest.mark.parametrize(
    "url", ["https://example.com/", "https://example.com:8443/a?b=c", "https://bücher.example/", "https://8.8.8.8/"]
)
def test_a_url_by_name_is_accepted_and_looked_up_when_it_is_used(url: str) -> None:
    assert PUBLIC.checked(url).scheme == "https"
