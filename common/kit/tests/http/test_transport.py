"""An exchange gets the answer to what it asked, whatever else comes over its connection."""

from __future__ import annotations

import asyncio
import gzip
import re
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from yarl import URL

from cloudspan_common.errors import PlatformFault
from cloudspan_kit.http.transport import Answer, HttpTransport, RequestInfo

ASKED = RequestInfo("acme", "east", "compute", "POST", "/servers")


async def test_an_answer_that_comes_twice_is_not_taken_for_the_next_one():
    """A proxy repeats an answer after a moment; the next request goes over another connection."""
    connections = 0

    async def serve(reader, writer):
        nonlocal connections
        connections += 1
        while head := await reader.readline():
            number = re.search(rb"/(\d)", head)[1]
            while await reader.readline() != b"\r\n":
                pass
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + number
            writer.write(answer)
            await asyncio.sleep(0.005)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = HttpTransport(ssl.create_default_context(), "test")
    try:
        for number in range(3):
            answer = await wire.exchange(ASKED, URL(f"http://127.0.0.1:{port}/{number}"), {}, None, timeout_s=5)
            assert answer.body == str(number).encode()
            await asyncio.sleep(0.02)
        assert connections == 3
    finally:
        await wire.close()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def _answering(head: str, body: bytes):
    """A wire, and the URL of a server that gives this answer to each request, then closes."""

    async def serve(reader, writer):
        while await reader.readline() != b"\r\n":
            pass
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire = HttpTransport(ssl.create_default_context(), "test")
    try:
        yield wire, URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    finally:
        await wire.close()
        server.close()
        await server.wait_closed()


async def test_an_encoding_that_nobody_asked_for_is_refused_unpacked():
    """20 MB of zeros in 20 kB would be unpacked before anybody looks at them."""
    packed = gzip.compress(bytes(20_000_000))
    async with _answering("200 OK\r\nContent-Encoding: gzip", packed) as (wire, url):
        with pytest.raises(PlatformFault, match="'gzip', which was not asked for") as refused:
            await wire.exchange(ASKED, url, {}, None, timeout_s=5)
    assert (refused.value.reason, refused.value.metadata["http_status"]) == ("NOT_JSON", "200")


@pytest.mark.parametrize(("method", "reason"), [("GET", ""), ("POST", "ANSWER_TOO_LARGE")])
async def test_an_answer_beyond_the_limit_of_its_kind_is_refused(method, reason):
    """5 MiB are a page of rows, but not what a create answers."""
    async with _answering("200 OK", bytes(5 << 20)) as (wire, url):
        asked = replace(ASKED, method=method)
        if not reason:
            assert len((await wire.exchange(asked, url, {}, None, timeout_s=5)).body) == 5 << 20
            return
        with pytest.raises(PlatformFault, match="more than 4 MiB") as refused:
            await wire.exchange(asked, url, {}, None, timeout_s=5)
    assert refused.value.reason == reason


@pytest.mark.parametrize(("head", "body"), [("\r\nContent-Encoding: br", b"packed"), ("", bytes(5 << 20))])
async def test_a_refusal_keeps_its_status_whatever_its_body(head, body):
    """A proxy's page beside 401 must not hide that a token is refused."""
    async with _answering(f"401 Unauthorized{head}", body) as (wire, url):
        answer = await wire.exchange(ASKED, url, {}, None, timeout_s=5)
    assert (answer.status, answer.body) == (401, b"")


DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT", "Date": DATE}, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 -0000", "Date": DATE}, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:27:00 GMT", "Date": DATE}, 0.0),
        ({"Retry-After": "9" * 5000}, 86400.0),
        ({"Retry-After": "Wed, 21 Oct 2099 07:28:30 GMT", "Date": DATE}, 86400.0),
        *[({"Retry-After": odd, "Date": DATE}, None) for odd in ("", "²", "inf", "nan", "-1", "1.5", "soon", "٣")],
        # Without the server's own time, ours is the best there is.
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2099 07:28:30 GMT"}, 86400.0),
        ({"Retry-After": "Wed, 21 Oct 99999 07:28:30 GMT", "Date": DATE}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms_and_odd_ones_say_nothing(headers, seconds):
    """A day is the most that anybody waits."""
    assert Answer(503, headers, b"").retry_after_s == seconds


@pytest.mark.parametrize(
    ("status", "location", "told"),
    [
        (301, "https://nova.example/v2.1/servers", "https://nova.example/v2.1/servers"),
        (308, "https://user:pw@nova.example/v2.1?session=s3cret#top", "https://nova.example/v2.1"),
        (302, "/portal/login?next=s3cret", "/portal/login"),
        (307, "", "nowhere that can be read"),
        (303, "http://[", "nowhere that can be read"),
        (300, "https://nova.example/v2.1/", ""),
        (200, "https://nova.example/v2.1/", ""),
    ],
)
def test_a_redirect_says_where_to_without_what_may_be_secret(status, location, told):
    """A list of versions, 300, is none."""
    assert Answer(status, {"Location": location}, b"").redirect == told
