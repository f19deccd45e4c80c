"""The page, served to this machine alone until Ctrl-C.

It listens on 127.0.0.1 only, and answers only who knows the address with its secret, under this machine's own
name: other users of the machine and pages of other sites (DNS rebinding included) get nothing.
"""

from __future__ import annotations

import hmac
import secrets
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import final
from urllib.parse import parse_qs, urlsplit

import numpy as np

from sightword.errors import BadSample, SightwordError
from sightword.pairs.remote.stores import is_address
from sightword.report.markup import Markup
from sightword.use.index.searching import Hit, Search
from sightword.use.page.page import LONGEST, STALE, TOPS, Asked, page, policy, told
from sightword.use.page.thumbnails import Size, Thumbnails

_HERE = "127.0.0.1"
_TRIES = 6  # captions to begin with
_PATIENCE = 30.0  # seconds that a silent connection is kept
_KEEP = "private, max-age=3600"


def serve(search: Search, port: int, top: int, say: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        search: what answers.
        port: 0 for any that is free.
        top: pictures shown at first.
        say: told the page's address, and the end.

    Raises:
        SightwordError: the port is taken, or the source of the index is gone.
    """
    with Served(search, port, top) as server:
        try:
            if server.pictures.stale:
                say(STALE)
            if any(is_address(part.strip()) for part in search.about.data.split("::")):
                say(f"pictures are fetched from {search.about.data} as they are looked at")
            say(f"search at {server.address} (for this machine alone; Ctrl-C ends it)")
            server.serve_forever()
        except KeyboardInterrupt:
            say("the page is closed")


@final
class Served(ThreadingHTTPServer):
    """The server of one index."""

    daemon_threads = True
    request_queue_size = 64  # a browser asks for many pictures at once

    def __init__(self, search: Search, port: int = 0, top: int = TOPS[0]) -> None:
        self.search, self.top, self.secret = search, top, secrets.token_urlsafe(16)
        self.pictures = Thumbnails(search.opened)
        self.tries = _tries(search)
        self.lock = threading.Lock()  # one question at a time: each uses all processors
        try:
            super().__init__((_HERE, port), _Handler)
        except (OSError, OverflowError) as error:
            raise SightwordError(
                f"cannot serve on port {port} ({error}); give another --port, or none"
            ) from error
        ports = (f":{self.server_port}", "") if self.server_port == 80 else (f":{self.server_port}",)
        self.names = {f"{name}{port}" for name in (_HERE, "localhost") for port in ports}

    @property
    def address(self) -> str:
        """Where the page is, with its secret."""
        return f"http://{_HERE}:{self.server_port}/{self.secret}/"

    def answer(self, query: str) -> Markup:
        """The page for what stands behind the question mark of an address."""
        given = {name: values[0] for name, values in parse_qs(query).items()}
        top = _number(given.get("top", ""), max(TOPS)) or self.top
        words, row = (
            given.get("q", "").strip()[:LONGEST],
            _number(given.get("like", ""), len(self.search) - 1),
        )
        like = self.search.hit(row) if row is not None and not words else None
        asked, problem, hits = Asked(words, like, top), "", list[Hit]()
        try:
            hits = self._hits(asked)
        except SightwordError as error:
            problem = str(error)
        return page(self.search.about, asked, hits, self.tries, problem, self.pictures.stale)

    def _hits(self, asked: Asked) -> list[Hit]:
        with self.lock:
            if asked.like:
                found = self.search.like(asked.like.row, asked.top + 1)
                return [hit for hit in found if hit.row != asked.like.row][: asked.top]
            return self.search.text(asked.words, asked.top) if asked.words else []

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up is no news; anything else is told."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"the page could not answer: {type(error).__name__}: {error}", file=sys.stderr)


@final
class _Handler(BaseHTTPRequestHandler):
    """One request. Nothing but GET and HEAD is answered."""

    server: Served
    protocol_version = "HTTP/1.1"  # one connection for many pictures
    timeout = _PATIENCE
    server_version, sys_version = "sightword", ""

    def do_GET(self) -> None:
        if self.headers.get("Host") not in self.server.names:
            return self._refuse(
                HTTPStatus.FORBIDDEN, f"This page is at {_HERE}:{self.server.server_port} only."
            )
        try:
            address = urlsplit(self.path)
        except ValueError:
            return self._refuse(HTTPStatus.BAD_REQUEST, "This is no address.")
        _, secret, *rest = address.path.split("/") if address.path.count("/") > 1 else ["", "", ""]
        if not hmac.compare_digest(secret.encode(), self.server.secret.encode()):
            return self._refuse(HTTPStatus.FORBIDDEN, "The address lacks its secret part; copy it whole.")
        if rest == [""]:
            return self._page(HTTPStatus.OK, self.server.answer(address.query))
        row = _number(rest[1], len(self.server.pictures) - 1) if len(rest) == 3 else None
        if row is None or rest[0] != "picture" or rest[2] not in ("small", "large"):
            return self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")
        return self._picture(row, "small" if rest[2] == "small" else "large")

    do_HEAD = do_GET  # noqa: N815

    def _picture(self, row: int, size: Size) -> None:
        try:
            self._send(HTTPStatus.OK, "image/webp", self.server.pictures.webp(row, size), _KEEP)
        except (BadSample, SightwordError) as error:
            self._refuse(HTTPStatus.NOT_FOUND, str(error))

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._page(status, told(status.phrase, why))

    def _page(self, status: HTTPStatus, content: Markup) -> None:
        self._send(status, "text/html; charset=utf-8", content.encode(errors="replace"), "no-store")

    def _send(self, status: HTTPStatus, kind: str, content: bytes, keep: str) -> None:
        self.send_response(status)
        for name, value in (
            ("Connection", "close" if self.close_connection else "keep-alive"),
            ("Content-Type", kind),
            ("Content-Length", str(len(content))),
            ("Cache-Control", keep),
            ("Content-Security-Policy", policy()),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library itself refuses (other methods, too long an address) is fenced in as all else."""
        self.close_connection = True  # what else was sent is not read
        self._refuse(HTTPStatus(code), "This page only takes GET and HEAD, of ordinary length.")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is the user's."""


def _number(text: str, most: int) -> int | None:
    """A number from 0 to `most`, in plain digits; None for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        return None
    return int(text) if int(text) <= most else None


def _tries(search: Search) -> list[str]:
    """Captions spread over the index."""
    captions = search.opened.pictures.column("caption")
    spread = np.unique(np.linspace(0, len(captions) - 1, 8 * _TRIES).astype(np.int64))
    said = (str(captions[int(row)].as_py()) for row in spread)
    return list(dict.fromkeys(caption for caption in said if 0 < len(caption) <= 40))[:_TRIES]
