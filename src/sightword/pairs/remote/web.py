"""Files on web servers, read with the standard library: ranges, redirects, proxies, timeouts.

fsspec's own reader for the web needs two more packages, cannot go on with a transfer that broke, and hides
which failures may pass.
"""

from __future__ import annotations

import contextlib
import email.utils
import errno
import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any, final

from sightword.errors import SightwordError
from sightword.pairs.remote.file import Changed, NotThere, Remote, Store
from sightword.pairs.remote.patience import Transient

_PIECE = 1 << 18  # bytes, the most that is handed on at once
_HEADERS = {"User-Agent": "sightword", "Accept-Encoding": "identity"}
_PASSING = {408, 425, 429}  # beside 5xx: request timed out, too early, too many
_NEVER = {501, 505, 511}  # not implemented, wrong version, log in to the network first
_UNKNOWN = "unknown host"
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")


@final
class Web(Store):
    """Reads `http://` and `https://`."""

    def look(self, address: str) -> Remote:
        """By asking for the first byte: servers that sign addresses allow that where they refuse HEAD."""
        try:
            with self._answer(address, {"Range": "bytes=0-0"}) as answer:
                return self._described(address, answer)
        except Transient as error:
            if error.kind != _UNKNOWN:
                raise
            # Most likely misspelt. While reading, when it was known before, it is waited for.
            raise SightwordError(f"the host of '{address}' is not known; check the address") from error

    def read(self, remote: Remote, start: int) -> Iterator[bytes]:
        if start == remote.size:
            return
        with self._answer(remote.address, {"Range": f"bytes={start}-"} if start else {}) as answer:
            now = self._described(remote.address, answer)
            if not remote.is_still(now):
                raise Changed(remote, now)
            spare = start - (_first(answer) if answer.status == HTTPStatus.PARTIAL_CONTENT else 0)
            if spare < 0:
                raise Transient("another range than asked for")
            while piece := self._piece(answer):
                if len(piece) > spare:
                    yield piece[spare:]
                spare = max(0, spare - len(piece))  # of a server that knows no ranges

    def find(self, pattern: str) -> list[Remote]:
        raise SightwordError(
            f"'{pattern}': web servers do not list their files; name them, as "
            "https://host/cc/{00000..01100}.tar"
        )

    def _answer(self, address: str, headers: dict[str, str]) -> Any:
        try:
            request = urllib.request.Request(address, headers={**_HEADERS, **headers})
            return _opener().open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(address, error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _failed(address, error) from error

    def _piece(self, answer: Any) -> bytes:
        try:
            piece: bytes = answer.read1(_PIECE)
        except (OSError, http.client.HTTPException) as error:
            raise _failed(answer.url, error) from error
        return piece

    def _described(self, address: str, answer: Any) -> Remote:
        encoding = answer.headers.get("Content-Encoding", "identity")
        whole = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        size = whole[2] if whole else answer.headers.get("Content-Length", "")
        if encoding != "identity" or not size.isdecimal():
            what = f"encoded as {encoding}" if encoding != "identity" else "without a Content-Length"
            raise SightwordError(
                f"the server sends '{address}' {what}, so a transfer cannot be checked; have it served as a "
                "plain file, or copy it to a local disk"
            )
        return Remote(
            address, int(size), answer.headers.get("ETag") or answer.headers.get("Last-Modified", "")
        )


@cache
def _opener() -> urllib.request.OpenerDirector:
    """Made once: reading the certificates takes longer than most requests."""
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl.create_default_context()))


def _first(answer: Any) -> int:
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return int(found[1] or 0) if found else 0


def _refused(address: str, error: urllib.error.HTTPError) -> Exception:
    code = error.code
    if code in _PASSING or (500 <= code < 600 and code not in _NEVER):
        return Transient(f"HTTP {code}", _retry_after(error.headers.get("Retry-After", "")))
    if code in (404, 410):
        return NotThere(f"'{address}' is not there (HTTP {code}); check the address")
    if code == 416:
        return SightwordError(f"'{address}' is empty (HTTP 416); fetch or pack it again")
    hint = {401: "it asks for a login", 403: "it is not for everybody, or a signed address has run out"}.get(
        code
    )
    return SightwordError(
        f"'{address}' cannot be read: HTTP {code} {error.reason}" + (f"; {hint}" if hint else "")
    )


def _failed(address: str, error: Exception) -> Exception:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return SightwordError(f"'{address}' has a certificate that cannot be trusted: {cause.verify_message}")
    if isinstance(cause, TimeoutError):
        return Transient("timed out")
    if isinstance(cause, ssl.SSLError):
        return Transient("TLS failed")
    if isinstance(cause, socket.gaierror):
        return Transient(_UNKNOWN if cause.errno == socket.EAI_NONAME else "name lookup failed")
    if isinstance(cause, OSError):
        return Transient(errno.errorcode.get(cause.errno or 0, type(cause).__name__))
    if isinstance(cause, http.client.InvalidURL | ValueError | str):
        return SightwordError(f"'{address}' is no address that can be read: {cause}")
    return Transient(type(cause).__name__)


def _retry_after(value: str) -> float:
    """Seconds, or a date."""
    if value.isdecimal():
        return float(value)
    with contextlib.suppress(ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0
