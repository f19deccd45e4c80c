from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from flaky_server import Behaviour, serving

from sightword.errors import SightwordError
from sightword.pairs.remote.file import Changed, NotThere, Remote
from sightword.pairs.remote.patience import Patience, Transient
from sightword.pairs.remote.stores import is_address, is_web, read_file, store_of
from sightword.pairs.remote.web import Web

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.tar").write_bytes(CONTENT)
    return tmp_path


@contextmanager
def answering(status: int, headers: dict[str, str], body: bytes = b"") -> Iterator[str]:
    """A server that answers always the same."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("start", [0, 1, 300_000, len(CONTENT) - 1, len(CONTENT)])
def test_any_end_of_a_file_is_read(folder: Path, ranges: bool, start: int) -> None:
    with serving(Behaviour(folder, ranges=ranges)) as url:
        remote = Web(2.0).look(f"{url}/a.tar")
        assert remote.size == len(CONTENT)
        assert remote.tagged
        assert b"".join(Web(2.0).read(remote, start)) == CONTENT[start:]


def test_other_content_is_noticed_before_a_byte_of_it_is_used(folder: Path) -> None:
    with serving(Behaviour(folder)) as url:
        remote = Web(2.0).look(f"{url}/a.tar")
        (folder / "a.tar").write_bytes(CONTENT[::-1])
        with pytest.raises(Changed, match="has changed since the data set was opened"):
            next(Web(2.0).read(remote, 100))


@pytest.mark.parametrize(
    ("status", "raised", "says"),
    [
        (503, Transient, "HTTP 503"),
        (429, Transient, "HTTP 429"),
        (408, Transient, "HTTP 408"),
        (599, Transient, "HTTP 599"),
        (501, SightwordError, "HTTP 501"),
        (404, NotThere, "is not there"),
        (410, NotThere, "is not there"),
        (403, SightwordError, "signed address"),
    ],
)
def test_what_may_pass_is_told_from_what_lasts(status: int, raised: type[Exception], says: str) -> None:
    with answering(status, {"Content-Length": "0"}) as url, pytest.raises(raised, match=says) as error:
        Web(2.0).look(f"{url}/a.tar")
    assert type(error.value) is raised


@pytest.mark.parametrize("form", ["seconds", "date", "nonsense"])
def test_a_server_may_ask_for_a_pause(form: str) -> None:
    asked = {"seconds": "90", "date": email.utils.formatdate(time.time() + 90, usegmt=True), "nonsense": "x"}
    headers = {"Retry-After": asked[form], "Content-Length": "0"}
    with answering(429, headers) as url, pytest.raises(Transient) as error:
        Web(2.0).look(url)
    assert error.value.wait == pytest.approx(0 if form == "nonsense" else 90, abs=3)


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"Content-Encoding": "gzip", "Content-Length": "3"}, "encoded as gzip"),
        ({}, "without a Content-Length"),
    ],
)
def test_what_cannot_be_checked_is_refused(headers: dict[str, str], says: str) -> None:
    with answering(200, headers, b"abc") as url, pytest.raises(SightwordError, match=says):
        Web(2.0).look(url)


def test_redirects_are_followed(folder: Path) -> None:
    with serving(Behaviour(folder)) as url:
        with answering(302, {"Location": f"{url}/a.tar", "Content-Length": "0"}) as first:
            remote = Web(2.0).look(f"{first}/elsewhere")
            assert b"".join(Web(2.0).read(remote, 1000)) == CONTENT[1000:]
        assert remote.address == f"{first}/elsewhere"


def test_silence_ends_in_time(folder: Path) -> None:
    begun = time.monotonic()
    with serving(Behaviour(folder, stalls=1)) as url, pytest.raises(Transient, match="timed out"):
        Web(0.2).look(f"{url}/a.tar")
    assert time.monotonic() - begun < 30  # the server says nothing for a minute


def test_nobody_listens_and_nobody_is_known() -> None:
    with answering(200, {}) as url:
        pass
    with pytest.raises(Transient, match="ECONNREFUSED"):
        Web(2.0).look(url)
    for senseless in ("http://127.0.0.1:port/a.tar", "http:///a.tar"):
        with pytest.raises(SightwordError, match="no address that can be read"):
            Web(2.0).look(senseless)


def test_a_small_file_is_read_whole_or_is_not_there(folder: Path, quick: Patience) -> None:
    with serving(Behaviour(folder, rate=0.5)) as url:
        assert read_file(f"{url}/a.tar", quick) == CONTENT
        assert read_file(f"{url}/b.tar", quick) is None


def test_what_an_address_is() -> None:
    assert all(map(is_address, ["s3://a/b", "https://a", "hf://datasets/a", "memory://a"]))
    assert not any(map(is_address, ["demo", "/a/b.tar", "a:b", "C:\\a.tar", "yfcc15m:/data", "a/s3://b"]))
    assert is_web("HTTP://a/b")
    assert not is_web("s3://http/a")


def test_a_key_knows_address_size_and_tag() -> None:
    ones = {Remote(a, s, t).key for a in ("x://a", "x://b") for s in (1, 2) for t in ("", '"t"')}
    assert len(ones) == 8
    assert store_of("s3://a", 1.0).timeout == 1.0
