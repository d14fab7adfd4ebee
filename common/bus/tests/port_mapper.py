"""A port mapper for one RabbitMQ node, on 127.0.0.1 alone: port_mapper.py PORT.

Erlang's own epmd listens on ::1 as well whatever it is told, and is left running when the node ends.
"""

from __future__ import annotations

import socketserver
import struct
import sys
import threading

_NODES: dict[bytes, bytes] = {}
_LOCK = threading.Lock()
_REGISTER, _LOOK_UP, _NAMES = b"x", b"z", b"n"


class Handler(socketserver.BaseRequestHandler):
    """One connection: a node registers for as long as it keeps it, others ask for a node's port."""

    def handle(self) -> None:
        """Answer one request."""
        try:
            (size,) = struct.unpack("!H", self._exactly(2))
            body = self._exactly(size)
        except (EOFError, OSError):
            return
        if body[:1] == _REGISTER:
            self._register(body)
        elif body[:1] == _LOOK_UP:
            with _LOCK:
                node = _NODES.get(body[1:])
            self.request.sendall(bytes((119, 0)) + node[1:] if node else bytes((119, 1)))
        elif body[:1] == _NAMES:
            with _LOCK:
                names = [
                    b"name %s at port %d\n" % (name, *struct.unpack("!H", node[1:3])) for name, node in _NODES.items()
                ]
            self.request.sendall(struct.pack("!I", self.server.server_address[1]) + b"".join(names))

    def _register(self, body: bytes) -> None:
        (highest,) = struct.unpack("!H", body[5:7])
        (length,) = struct.unpack("!H", body[9:11])
        name = body[11 : 11 + length]
        with _LOCK:
            taken = name in _NODES
            _NODES.setdefault(name, body)
        answer = ("!BBI", 118) if highest >= 6 else ("!BBH", 121)
        self.request.sendall(struct.pack(answer[0], answer[1], int(taken), 1))
        if taken:
            return
        try:
            while self.request.recv(1024):
                pass
        except OSError:
            pass
        with _LOCK:
            _NODES.pop(name, None)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.request.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data


class Server(socketserver.ThreadingTCPServer):
    """Serves until whoever started it ends."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    serving = Server(("127.0.0.1", int(sys.argv[1])), Handler)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    sys.stdin.read()
