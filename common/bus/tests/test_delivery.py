"""What messages must be to be worked on; what they are not ends among the dead letters, with the reason."""

from __future__ import annotations

import asyncio
import bz2
import json
import pickle
import uuid
import zlib

import pika
import pytest
from common.bus.tests.conftest import CLUSTER, SERVERS, VOLUMES
from kombu import message as kombu_message

from cloudspan_bus.delivery import Poison, opened, without_token

pytestmark = pytest.mark.timeout(120)

SEED = f"{CLUSTER}/servers/seed-000000"


def envelope(**message: object) -> bytes:
    """What oslo.messaging puts on the wire."""
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)}).encode()


REQUEST = {"namespace": SERVERS, "version": "1.0", "method": "GetServer", "args": {"name": SEED}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "NOT_AN_ENVELOPE"),
        (b"{", "NOT_JSON"),
        (b"\xff\xfe", "NOT_JSON"),
        (b"[1, 2]", "NOT_AN_ENVELOPE"),
        (b'"text"', "NOT_AN_ENVELOPE"),
        (b"null", "NOT_AN_ENVELOPE"),
        (json.dumps(REQUEST).encode(), "NOT_AN_ENVELOPE"),
        (json.dumps({"oslo.version": "2.0", "oslo.message": "{"}).encode(), "NOT_JSON"),
        (json.dumps({"oslo.version": "2.0", "oslo.message": 7}).encode(), "NOT_JSON"),
        (json.dumps({"oslo.version": "3.0", "oslo.message": "{}"}).encode(), "ENVELOPE_VERSION"),
        (json.dumps({"oslo.version": "2.0", "oslo.message": "[]"}).encode(), "NOT_AN_ENVELOPE"),
        (json.dumps({"oslo.version": "2.0", "oslo.message": "[" * 1_900}).encode(), "NOT_JSON"),
        (envelope(args={}), "NOT_A_REQUEST"),
        (envelope(method=None), "NOT_A_REQUEST"),
        (envelope(method="GetServer", args=[1]), "NOT_A_REQUEST"),
        (envelope(**REQUEST, _msg_id=7), "NOT_A_REQUEST"),
        (envelope(**REQUEST, _context_self="x"), "NOT_A_REQUEST"),
        (envelope(**REQUEST, _msg_id="m", _reply_q="nova.conductor"), "BAD_REPLY_QUEUE"),
        (envelope(**REQUEST, padding="x" * 3000), "MESSAGE_TOO_LARGE"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_no_request_is_a_dead_letter_with_the_reason_and_the_next_one_is_served(world, body, reason):
    """And nothing of it is done."""
    async with world.bus(max_bytes=2048):
        await asyncio.to_thread(world.publish, body)
        headers, kept = await world.dead_letter()
        assert headers["x-cloudspan-reason"] == reason
        assert headers["x-cloudspan-message"]
        assert headers["x-cloudspan-queue"] == world.topic
        assert kept == body[:2048]
        assert (await world.caller().call(SERVERS, "GetServer", name=SEED))["name"] == SEED


async def test_a_pickle_is_not_opened(bus):
    """Whoever could send one could run code here."""
    body = pickle.dumps({"oslo.version": "2.0", "oslo.message": "{}"})
    await asyncio.to_thread(bus.publish, body, content_type="application/x-python-serialize", content_encoding="binary")
    headers, _ = await bus.dead_letter()
    assert headers["x-cloudspan-reason"] == "NOT_JSON"
    assert "ContentDisallowed" in headers["x-cloudspan-message"]


async def test_a_fanout_is_refused_once_however_many_processes_there_are(world):
    """A request to Cloudspan has one effect."""
    async with world.bus(host="one"), world.bus(host="two"):
        client = world.caller().client(VOLUMES).prepare(fanout=True)
        volume = {"display_name": "data", "size_bytes": "1073741824"}
        await asyncio.to_thread(lambda: client.cast({}, "CreateVolume", parent=CLUSTER, volume=volume))
        headers, _ = await world.dead_letter()
        assert headers["x-cloudspan-reason"] == "FANOUT_REFUSED"
        assert "volumes" not in await world.caller().call(VOLUMES, "ListVolumes", parent=CLUSTER)


@pytest.mark.parametrize(
    ("method", "arguments", "reason"),
    [
        ("DeleteVolume", {"name": f"{CLUSTER}/volumes/none"}, "NOT_FOUND"),
        ("DeleteVolume", {"nmae": "x"}, "MALFORMED_REQUEST"),
        ("DropVolume", {}, "NoSuchMethod"),
    ],
)
async def test_a_cast_that_is_refused_is_a_dead_letter_since_nobody_waits_who_could_be_told(
    bus, method, arguments, reason
):
    """Its body is whole, so that it can be sent again; the caller's token is not in it."""
    await bus.caller().cast(VOLUMES, method, {"cloudspan_token": "cs_a-secret-token", "user": "bob"}, **arguments)
    headers, body = await bus.dead_letter()
    assert headers["x-cloudspan-reason"] == reason
    message = json.loads(json.loads(body)["oslo.message"])
    assert message["args"] == arguments
    assert message["_context_user"] == "bob"
    assert b"cs_a-secret-token" not in body


def test_the_token_is_taken_out_of_what_is_kept():
    """Of what can be read; everything else stays as it is."""
    assert b"secret" not in without_token(envelope(_context_cloudspan_token="secret"))
    for body in (b"", b"{", b"[]", envelope(method="x")):
        assert without_token(body) == body


@pytest.mark.parametrize("end", [b"", b"\xff", b'"}'])
def test_the_token_is_taken_out_of_what_is_not_quite_json_too(end):
    """Not an envelope, in another encoding, or cut off."""
    for body in (b'{"_context_cloudspan_token": "secret"', envelope(_context_cloudspan_token="secret")[:-2]):
        assert b"secret" not in without_token(body + end)
        assert b"_context_cloudspan_token" in without_token(body + end)


async def test_pika_alone_calls_and_casts(bus):
    """The envelope by hand: a reply queue, the message's id in the reply, `ending`."""

    def call() -> tuple[dict, dict]:
        with pika.BlockingConnection(bus.pika) as connection:
            channel = connection.channel()
            replies = channel.queue_declare("", exclusive=True).method.queue
            asked = uuid.uuid4().hex
            message = {**REQUEST, "_msg_id": asked, "_reply_q": replies, "_unique_id": uuid.uuid4().hex}
            body = envelope(**message)
            channel.basic_publish("amq.topic", bus.topic, body, pika.BasicProperties(content_type="application/json"))
            for _method, _properties, reply in channel.consume(replies, inactivity_timeout=10):
                found = json.loads(json.loads(reply)["oslo.message"])
                return asked, found
        raise AssertionError

    asked, reply = await asyncio.to_thread(call)
    assert reply["_msg_id"] == asked
    assert (reply["failure"], reply["ending"]) == (None, True)
    assert reply["result"]["name"] == SEED


async def test_a_change_without_any_id_is_refused(bus):
    """It could not be known when it is delivered again."""
    volume = {"display_name": "data", "size_bytes": "1073741824"}
    body = envelope(namespace=VOLUMES, method="CreateVolume", args={"parent": CLUSTER, "volume": volume})
    await asyncio.to_thread(bus.publish, body)
    headers, _ = await bus.dead_letter()
    assert headers["x-cloudspan-reason"] == "NO_MESSAGE_ID"


async def test_a_call_whose_time_is_over_before_a_process_takes_it_is_a_dead_letter_without_its_token(world):
    """Nobody waits for it any more, and who looks through the dead letters must not be able to call as its caller."""
    async with world.bus():
        pass
    asked = {**REQUEST, "_msg_id": "m", "_reply_q": "reply_m", "_context_cloudspan_token": "cs_a-secret-token"}
    await asyncio.to_thread(world.publish, envelope(**asked), expiration="1")
    async with world.bus():
        headers, body = await world.dead_letter()
    assert headers["x-cloudspan-reason"] == "EXPIRED"
    assert json.loads(json.loads(body)["oslo.message"])["args"] == REQUEST["args"]
    assert b"cs_a-secret-token" not in body


async def test_a_dead_letter_is_kept_though_somebody_has_deleted_the_queue_of_them(bus):
    """Instead of emptying it."""
    await asyncio.to_thread(bus.delete_queue, f"{bus.topic}.dead")
    await asyncio.to_thread(bus.publish, b"{")
    headers, _ = await bus.dead_letter()
    assert headers["x-cloudspan-reason"] == "NOT_JSON"


COMPRESSED = {"application/x-gzip": zlib.compress, "gzip": zlib.compress, "application/x-bz2": bz2.compress}


@pytest.mark.parametrize("name", COMPRESSED)
async def test_what_is_compressed_is_read_as_oslo_messaging_reads_it(bus, name):
    """Its option kombu_compression."""
    volume = {"display_name": "data", "size_bytes": "1073741824"}
    body = envelope(namespace=VOLUMES, method="DeleteVolume", args={"name": "x"}, padding=volume, _unique_id="u")
    await asyncio.to_thread(bus.publish, COMPRESSED[name](body), headers={"compression": name})
    headers, kept = await bus.dead_letter()
    assert (headers["x-cloudspan-reason"], kept) == ("MALFORMED_NAME", body)


@pytest.mark.parametrize(
    ("compression", "body", "reason"),
    [
        ("application/x-gzip", zlib.compress(b" " * 3000), "MESSAGE_TOO_LARGE"),
        ("application/x-bz2", bz2.compress(b" " * 3000), "MESSAGE_TOO_LARGE"),
        ("application/x-gzip", b"{}", "COMPRESSION"),
        ("application/x-lzma", b"{}", "COMPRESSION"),
        (7, b"{}", "COMPRESSION"),
    ],
    ids=str,
)
async def test_what_is_compressed_grows_no_larger_than_a_message_may_be(compression, body, reason):
    """A few kilobytes can hold more than a machine's memory."""
    raw = kombu_message.Message(body, content_type="application/json", content_encoding="utf-8")
    raw.headers["compression"] = compression
    with pytest.raises(Poison) as caught:
        opened(raw, 2048)
    assert caught.value.reason == reason


async def test_nothing_is_decompressed_before_there_is_a_limit_to_it(bus, monkeypatch):
    """Or a process would end by it, and the next one that takes the message."""
    undone = []
    monkeypatch.setattr(kombu_message, "decompress", lambda *seen: undone.append(seen))
    body = zlib.compress(bytes(2**23))
    await asyncio.to_thread(bus.publish, body, headers={"compression": "application/x-gzip"})
    headers, kept = await bus.dead_letter()
    assert (headers["x-cloudspan-reason"], kept) == ("MESSAGE_TOO_LARGE", body)
    assert undone == []
