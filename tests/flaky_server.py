"""A web server on the loopback that serves a folder and fails in every way that servers and networks fail."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FAILURES = ("500", "503", "429", "reset", "cut", "cut to nothing")


@dataclass
class Behaviour:
    """How a server is to be.

    folder: what it serves.
    rate: the share of requests that fail.
    ranges: whether it knows ranges.
    tags: whether it sends ETags.
    stalls: so many requests are answered by silence.
    retry_after: sent with 429 and 503.
    always: a status for every request; 0: none.
    """

    folder: Path
    rate: float = 0.0
    ranges: bool = True
    tags: bool = True
    stalls: int = 0
    retry_after: str = ""
    always: int = 0
    seed: int = 0
    delay: float = 0.0  # seconds before each answer
    slow: float = 0.0  # seconds before each 4 KiB of a body
    failed: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, str]] = field(default_factory=list)  # path and range of each
    sent: int = 0  # bytes of bodies

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.lock = threading.Lock()

    def fate(self, path: str, range_: str) -> str:
        """What becomes of a request."""
        with self.lock:
            self.requests.append((path, range_))
            if self.stalls:
                self.stalls -= 1
                fate = "stall"
            elif self.always:
                fate = str(self.always)
            else:
                fate = self.random.choice(FAILURES) if self.random.random() < self.rate else ""
            self.failed.update([fate] if fate else [])
            return fate

    def bodies(self, name: str) -> int:
        """How many requests for this file were for more than its first byte."""
        return sum(path.endswith(name) and wanted != "bytes=0-0" for path, wanted in self.requests)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """The address of a server that behaves so, while the context lasts."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            asked = self.headers.get("Range", "")
            fate = behaviour.fate(self.path, asked)
            time.sleep(behaviour.delay)
            if fate == "stall":
                over.wait(60)
            elif fate == "reset":
                self._reset()
            elif fate.isdecimal():
                self._refuse(int(fate))
            else:
                self._serve(asked if behaviour.ranges else "", fate)

        def _refuse(self, status: int) -> None:
            self.send_response(status)
            if behaviour.retry_after and status in (429, 503):
                self.send_header("Retry-After", behaviour.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _serve(self, asked: str, fate: str) -> None:
            path = behaviour.folder / self.path.partition("?")[0].lstrip("/")
            if not path.is_file():
                self._refuse(404)
                return
            whole = path.read_bytes()
            start, end = 0, len(whole)
            if asked:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                start, end = int(first), min(end, int(last) + 1 if last else end)
                if start >= len(whole):
                    self._refuse(416)
                    return
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(whole)}")
            if behaviour.tags:
                self.send_header("ETag", f'"{path.stat().st_mtime_ns:x}-{len(whole):x}"')
            self.send_header("Content-Length", str(end - start))
            self.end_headers()
            body = whole[start:end]
            body = body[: {"cut": len(body) // 2, "cut to nothing": 0}.get(fate, len(body))]
            size = 4096 if behaviour.slow else max(1, len(body))
            with suppress(OSError):  # a client that wanted the headers alone has gone
                for begin in range(0, len(body), size):
                    time.sleep(behaviour.slow)
                    self.wfile.write(body[begin : begin + size])
                    with behaviour.lock:
                        behaviour.sent += len(body[begin : begin + size])

        def _reset(self) -> None:
            """Close as a machine does that lost its state: without a farewell."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

        def log_message(self, *args: object) -> None:
            """Nothing: it fails on purpose."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *args: object) -> None:
            """Nothing: it fails on purpose."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
