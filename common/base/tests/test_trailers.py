"""Errors of any length and script, read by a plain client with the standard helper."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from cloudspan_common import errors, trailers
from cloudspan_common.errors import InvalidRequest, QuotaExceeded, Violation

LETTERS = {
    "ASCII": "x", "percent": "%", "umlaut": "xü", "Chinese": "无法连接到物理机。",
    "emoji": "👩‍🚀", "control": "a\x00\x01\r\n\x7f",
}  # fmt: skip
LENGTHS = (0, 10, 170, 512, 1000, 4000, 100_000)
REQUEST_ID = "r" * 128
Ends = dict[bytes, tuple[grpc.StatusCode, str, tuple[tuple[str, str | bytes], ...]]]


@pytest.fixture
def ends() -> Ends:
    """How the server below ends calls: by the request."""
    return {}


@pytest.fixture
async def ended(ends):
    """Asks over a channel with nobody's options but gRPC's own; returns the error that the client sees."""

    async def end(request: bytes, context: grpc.aio.ServicerContext) -> None:
        code, message, metadata = ends[request]
        await context.abort(code, message, (*metadata, ("x-request-id", REQUEST_ID)))

    server = grpc.aio.server()
    handlers = {"End": grpc.unary_unary_rpc_method_handler(end)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Ends", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def ask(code: grpc.StatusCode, message: str, metadata: tuple[tuple[str, str | bytes], ...]):
        ends[b"1"] = (code, message, metadata)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/test.Ends/End")(b"1")
        return caught.value

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield ask
    await server.stop(0)


def read(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """What the standard helper reads; it raises where message or code are not the same in both places."""
    found = rpc_status.from_call(_Sync(error))
    assert found is not None
    return found


class _Sync:
    """The helper is made for gRPC's other API, whose calls have methods of the same names."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code, self.details = error.code, error.details
        self.trailing_metadata = lambda: tuple(error.trailing_metadata())


def error_info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return info


def header_bytes(error: grpc.aio.AioRpcError) -> int:
    """The size that Java and Go count: as sent, so what is binary in base64."""
    message = error.details() or ""
    plain = sum(0x20 <= byte < 0x7F and byte != 0x25 for byte in message.encode())
    values = [(key, len(value) if isinstance(value, str) else (len(value) + 2) // 3 * 4)
              for key, value in error.trailing_metadata()]  # fmt: skip
    values += [("grpc-message", plain + 3 * (len(message.encode()) - plain)), ("grpc-status", 2)]
    values += [(":status", 3), ("content-type", len("application/grpc"))]
    return sum(len(key) + size + 32 for key, size in values)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("letters", LETTERS.values(), ids=LETTERS)
async def test_an_error_of_any_length_reads_with_the_standard_helper(ended, letters, length):
    """The text is the same in both places; what had no room ends with an ellipsis in both."""
    whole = (letters * (length // len(letters) + 1))[:length]
    violations = [Violation(f"server.labels[{n}]", whole[:400]) for n in range(50)]
    metadata = {f"key_{n}": whole[:300] for n in range(20)}
    for error in (
        InvalidRequest(whole, reason="TOO_LONG"),
        QuotaExceeded(whole, reason="TOO_LONG", metadata=metadata, violations=violations, resource="x" * 900,
                      retry_after_s=1.0),
    ):  # fmt: skip
        message, sent = errors.ending(error, REQUEST_ID)
        seen = await ended(error.code, message, (*sent, ("x-served-by", "s" * 60)))
        assert seen.code() is error.code
        status = read(seen)
        assert status.message == whole or (status.message[-1] == "…" and whole.startswith(status.message[:-1]))
        assert error_info(status).reason == "TOO_LONG"
        assert header_bytes(seen) <= trailers.MAX_BYTES - 192


async def test_five_hundred_chinese_characters_arrive_whole(ended):
    """Each takes nine bytes in grpc-message; adapters cut a cloud's words there."""
    text = "ListServers on platforms/zstack/clusters/zeta was refused with SYS.1006: " + "无法连接到物理机。" * 56
    error = QuotaExceeded(text[:573], metadata={"platform": "zstack", "cluster": "zeta", "native_code": "SYS.1006"})
    message, sent = errors.ending(error, REQUEST_ID)
    assert read(await ended(error.code, message, sent)).message == text[:573]


def adapters_status(message: str, *details: any_pb2.Any) -> bytes:
    return status_pb2.Status(code=9, message=message, details=details).SerializeToString()


def packed(size: int) -> any_pb2.Any:
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.DebugInfo(detail="x" * size))
    return detail


@pytest.mark.parametrize("letters", ["x", "ü", "虚", "🙂"])
async def test_what_another_process_ended_a_call_with_is_made_readable(ended, letters):
    """Adapters are of many authors: details too large, no details, texts that differ, metadata without end."""
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason="CUSTOM"))
    long = letters * 5000
    given = (
        (long, adapters_status(long, info)),
        (long, adapters_status("other", info)),
        ("", adapters_status(long, info, packed(9000))),
        ("short", adapters_status("short", info, packed(9000), packed(10))),
    )
    for message, details in given:
        others = (("x-served-by", "acme-1"), *((f"x-native-{n}", "y" * 300) for n in range(40)))
        text, sent = trailers.passed_on(9, message, (*others, (trailers.DETAILS_KEY, details)))
        seen = await ended(grpc.StatusCode.FAILED_PRECONDITION, text, sent)
        status = read(seen)
        assert error_info(status).reason == "CUSTOM"
        assert status.message.removesuffix("…")
        assert ("x-native-0", "y" * 300) in tuple(seen.trailing_metadata())
        assert header_bytes(seen) <= trailers.MAX_BYTES - 192
    text, sent = trailers.passed_on(9, long, others)
    assert (await ended(grpc.StatusCode.FAILED_PRECONDITION, text, sent)).details().endswith("…")


def test_what_is_small_and_the_same_in_both_places_passes_byte_by_byte():
    """Fields that this version does not know stay in it."""
    details = adapters_status("paused", packed(10)) + b"\xa2\x06\x01z"
    given = (("x-served-by", "acme-1"), ("x-native-bin", b"\xff"), (trailers.DETAILS_KEY, details))
    assert trailers.passed_on(9, "paused", given) == ("paused", given)


def test_details_that_are_not_a_status_are_left_out():
    """The standard helpers would raise on them."""
    assert trailers.passed_on(9, "paused", ((trailers.DETAILS_KEY, b"\xff"),)) == ("paused", ())
