"""Requests with an access key are signed as the platform reads it."""

from __future__ import annotations

from datetime import timedelta, timezone

from cloudspan_zstack.cloud.dates import parse_zone
from cloudspan_zstack.cloud.signing import AccessKey, http_date, password_digest


def test_a_request_is_signed_over_method_date_and_path():
    """The value is that of `openssl dgst -sha1 -hmac secret` over the three lines."""
    headers = AccessKey("id", "secret", timezone(timedelta(hours=8), "CST")).headers("GET", "/v1/zones", 0)
    assert headers == {
        "Date": "Thu, 01 Jan 1970 08:00:00 CST",
        "Authorization": "ZStack id:qp1xr5KXh3aJw+a71Ebn4WRveLo=",
    }


def test_a_zone_without_a_name_that_java_reads_is_written_as_gmt():
    """The server compares the wall clock and leaves the zone aside."""
    assert http_date(0, parse_zone("+05:30")) == "Thu, 01 Jan 1970 05:30:00 GMT"


def test_a_password_travels_as_its_sha512():
    """As the API wants it."""
    assert password_digest("password").startswith("b109f3bbbc244eb82441917ed06d618b9008dd09b3befd1b5e07394c706a8bb9")
