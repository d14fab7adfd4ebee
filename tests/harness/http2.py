"""HTTP/2 as bytes: requests that no gRPC library would send."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS, _HEADERS, _DATA = 4, 1, 0
_END_HEADERS, _END_STREAM = 4, 1


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """Return a header as a literal without indexing or Huffman coding (RFC 7541, section 6.2.2); short ones only."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def request(path: bytes, *, stream: int = 1, more: Iterable[tuple[bytes, bytes]] = (), is_whole: bool = True) -> bytes:
    """Return the headers of a gRPC request to any path; unless `is_whole`, its message is to follow as `data`."""
    pairs = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x"))
    headers = (*pairs, (b"te", b"trailers"), (b"content-type", b"application/grpc"), *more)
    block = b"".join(literal(name, value) for name, value in headers)
    return frame(_HEADERS, _END_HEADERS | (_END_STREAM if is_whole else 0), stream, block)


def data(message: bytes, *, stream: int = 1, compressed: int = 0) -> bytes:
    """Return a message as the last frame of its stream."""
    return frame(_DATA, _END_STREAM, stream, struct.pack(">BI", compressed, len(message)) + message)


async def send(port: int, *frames: bytes) -> bytes:
    """Open a connection to a port of this host, send frames, and return what comes until it is closed or silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(PREFACE + frame(_SETTINGS, 0, 0, b"") + b"".join(frames))
        await writer.drain()
        async with asyncio.timeout(0.1):
            while part := await reader.read(65536):
                answer += part
    except (TimeoutError, ConnectionError):
        pass  # what came is what counts
    finally:
        writer.close()
    return answer
