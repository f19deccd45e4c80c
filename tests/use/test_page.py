"""The search page: who gets an answer and who does not; in a browser, on any screen, by keyboard."""

from __future__ import annotations

import http.client
import io
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from contrast_on_screen import contrast
from PIL import Image
from small_shard import picture
from squares import SQUARES, folder_of

from sightword.errors import BadSample, SightwordError
from sightword.use.index.folder import open_index
from sightword.use.index.indexing import IndexOptions, index_pictures
from sightword.use.index.searching import Search
from sightword.use.model import UsableModel
from sightword.use.page.page import STALE
from sightword.use.page.serving import Served

pytest.importorskip("faiss", reason="faiss is not installed")
CAPTIONS = [picture(i)[1] for i in range(SQUARES)]
EVIL = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> & \"quoted\""
CONTRAST = contrast("h1, h2, p, li, small, a, button, input, select")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = folder_of(tmp_path_factory.mktemp("page") / "squares")
    (made / "004.txt").write_text(EVIL)
    Image.new("RGB", (2400, 600), "teal").save(made / "wide.png")
    (made / "wide.txt").write_text("something wide")
    return made


@pytest.fixture(scope="module")
def index(folder: Path, model: UsableModel, run: Path) -> Path:
    out = folder.parent / "squares.index"
    index_pictures(str(folder), model, str(run), out, IndexOptions(), lambda said: None)
    return out


@pytest.fixture(scope="module")
def server(index: Path, model: UsableModel) -> Iterator[Served]:
    with Served(Search(open_index(index), model)) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served
        served.shutdown()
        thread.join()


class Answer:
    """What came back for one request, sent as it stands: no client in between tidies the path."""

    def __init__(self, server: Served, path: str, host: str | None = None, method: str = "GET") -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        connection.endheaders()
        response = connection.getresponse()
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        connection.close()

    @property
    def text(self) -> str:
        return self.body.decode()


def own(server: Served, path: str = "") -> str:
    return f"/{server.secret}/{path}"


def asked(server: Served, **query: object) -> str:
    return own(server, f"?{urlencode(query)}")


def test_words_are_answered_with_pictures(server: Served) -> None:
    answer = Answer(server, asked(server, q=CAPTIONS[2], top=20))
    found = Search(server.search.opened, server.search.model).text(CAPTIONS[2], 20)
    assert answer.status == 200
    assert answer.text.count("<li><a href=") == len(found) == SQUARES + 1
    places = [answer.text.index(f"<small>{hit.key}</small>") for hit in found]
    assert places == sorted(places)
    assert f"{found[0].score:.3f}" in answer.text
    like = Answer(server, asked(server, like=found[0].row)).text
    assert "Pictures like this one" in like
    assert f"<small>{found[0].key}</small>" not in like  # it is shown above what is like it
    others = [hit.key for hit in server.search.like(found[0].row, SQUARES + 1)[1:]]
    places = [like.index(f"<small>{key}</small>") for key in others]
    assert (len(others), places) == (SQUARES, sorted(places))


def test_pictures_are_made_small(server: Served, folder: Path) -> None:
    keys = server.search.opened.pictures.column("key").to_pylist()
    sides = {}
    for size in ("small", "large"):
        answer = Answer(server, own(server, f"picture/{keys.index('wide')}/{size}"))
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/webp")
        sides[size] = Image.open(io.BytesIO(answer.body)).size
    assert sides == {"small": (320, 80), "large": (1600, 400)}
    head = Answer(server, own(server, "picture/0/small"), method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) > 100


@pytest.mark.parametrize(
    "path",
    [
        "picture/../../../../etc/passwd",
        "picture/%2e%2e%2f%2e%2e%2fetc%2fpasswd/small",
        "../index.json",
        "index.json",
        "picture/-1/small",
        "picture/99/small",
        "picture/0/huge",
        "picture/0",
        "picture/%D9%A1/small",
        "picture/1e0/small",
        "picture/0/small/..",
        "/etc/passwd",
        "squares/000.png",
    ],
)
def test_nothing_but_the_index_is_served(server: Served, path: str) -> None:
    answer = Answer(server, own(server, path))
    assert answer.status in (400, 404), answer.body
    assert b"root:" not in answer.body
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/", "/guess/", "//", "/guess/picture/0/small", "/%C3%BC/"])
def test_without_the_secret_there_is_nothing(server: Served, path: str) -> None:
    answer = Answer(server, path)
    assert answer.status == 403
    assert b"picture/" not in answer.body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}"]
)
def test_other_names_for_this_machine_are_refused(server: Served, host: str) -> None:
    answer = Answer(server, own(server), host.format(port=server.server_port))
    assert answer.status == 403
    assert b'role="search"' not in answer.body
    assert Answer(server, own(server), f"localhost:{server.server_port}").status == 200


def test_it_listens_here_only_and_takes_no_orders(server: Served) -> None:
    assert server.server_address[0] == "127.0.0.1"
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "<b>"):
        answer = Answer(server, own(server), method=method)
        assert (answer.status, answer.headers["Connection"]) == (501, "close")
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert b"<b>" not in answer.body


def test_addresses_that_are_none(server: Served) -> None:
    for path, status in (("http://[" + own(server), 400), (own(server, "?q=" + "a" * 70_000), 414)):
        answer = Answer(server, path)
        assert (answer.status, answer.headers["X-Content-Type-Options"]) == (status, "nosniff")


def test_the_usual_port_need_not_be_named(
    index: Path, model: UsableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(Search(open_index(index), model)) as served:
        assert f"127.0.0.1:{served.server_port}" in served.names
        assert "127.0.0.1" not in served.names

    def bound(self: Served) -> None:  # as on port 80, which only root may have
        self.server_address, self.server_name, self.server_port = ("127.0.0.1", 80), "localhost", 80

    monkeypatch.setattr(Served, "server_bind", bound, raising=False)
    with Served(Search(open_index(index), model)) as served:
        assert served.names == {"127.0.0.1:80", "localhost:80", "127.0.0.1", "localhost"}


@pytest.mark.parametrize("path", ["", "?q=red", "picture/0/small", "nothing"])
def test_every_answer_is_fenced_in(server: Served, path: str) -> None:
    headers = Answer(server, own(server, path)).headers
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert "script-src" not in policy
    assert "unsafe" not in str(policy)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_captions_and_questions_are_only_words(server: Served) -> None:
    answer = Answer(server, asked(server, q=EVIL, top=50)).text
    assert "<script" not in answer
    assert 'onerror="' not in answer
    assert unescape(answer).count(EVIL) > 2


def test_questions_that_make_no_sense(server: Served) -> None:
    for query in ({"q": "   "}, {"like": 999}, {"like": "x"}, {"top": "many"}, {}):
        answer = Answer(server, asked(server, **query))
        assert (answer.status, 'class="hits"' in answer.text) == (200, False)
    assert Answer(server, asked(server, q="red " * 5000)).status == 200


def test_a_picture_that_changed_since_is_told(
    server: Served, folder: Path, model: UsableModel, run: Path, tmp_path: Path
) -> None:
    small, out = folder_of(tmp_path / "squares", 4), tmp_path / "index"
    index_pictures(str(small), model, str(run), out, IndexOptions(), lambda said: None)
    (small / "000.png").write_bytes(b"no picture")
    with Served(Search(open_index(out), model)) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        answer = Answer(served, own(served, "picture/0/small"))
        served.shutdown()
        thread.join()
    assert (answer.status, "not a readable picture" in answer.text) == (404, True)


def test_pictures_are_found_by_name_where_others_came_or_went(
    model: UsableModel, run: Path, tmp_path: Path
) -> None:
    """An index that is older than its folder shows what is still there, and says that it is old."""
    small, out = folder_of(tmp_path / "squares", 4), tmp_path / "index"
    index_pictures(str(small), model, str(run), out, IndexOptions(), lambda said: None)
    opened = open_index(out)
    keys = opened.pictures.column("key").to_pylist()
    before = Served(Search(opened, model))
    shown = {key: before.pictures.webp(row, "small") for row, key in enumerate(keys)}
    assert STALE not in before.answer("q=red")
    before.server_close()
    (small / "000-new.png").write_bytes(picture(9)[0])
    (small / "001.png").unlink()
    with Served(Search(opened, model)) as served:
        assert STALE in served.answer("q=red")
        for row, key in enumerate(keys):
            if key == "001":
                with pytest.raises(BadSample, match="it is gone; index the pictures again"):
                    served.pictures.webp(row, "small")
            else:
                assert served.pictures.webp(row, "small") == shown[key]
    assert len(set(shown.values())) == 4


def test_what_goes_wrong_is_told_and_hanging_up_is_not(
    server: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    for error in (ConnectionResetError("gone"), TimeoutError("slow"), ValueError("a mistake")):
        try:
            raise error
        except Exception:
            server.handle_error(None, None)
    assert capfd.readouterr().err == "the page could not answer: ValueError: a mistake\n"


def test_a_port_that_is_taken_is_told(server: Served) -> None:
    with pytest.raises(
        SightwordError, match=f"cannot serve on port {server.server_port} .*give another --port"
    ):
        Served(server.search, server.server_port)


def test_ctrl_c_ends_it_with_one_line(index: Path) -> None:
    command = [sys.executable, "-m", "sightword", "search", str(index), "--page", "--device", "cpu"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a test run in the background ignores it
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    assert started.stderr is not None
    line = started.stderr.readline()
    assert line.startswith("search at http://127.0.0.1:"), line
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=30)
    assert (said, started.returncode) == ("the page is closed\n", 0)


class Opened:
    """The page in one kind of window, with everything that it said and asked for."""

    def __init__(self, browser: object, server: Served, width: int, scheme: str) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.tab = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.goto(server.address)


@pytest.fixture(
    scope="module", params=[(1200, "light"), (1200, "dark"), (390, "light"), (390, "dark")], ids=str
)
def opened(request: pytest.FixtureRequest, browser: object, server: Served) -> Iterator[Opened]:
    """After a search with the keyboard alone."""
    one = Opened(browser, server, *request.param)
    one.tab.locator("input[type=search]:focus").wait_for()  # it is there without a click
    one.tab.keyboard.type("a red square on green")
    with one.tab.expect_navigation(wait_until="load"):
        one.tab.keyboard.press("Enter")
    yield one
    one.context.close()


@pytest.mark.browser
def test_a_search_by_keyboard_shows_pictures(opened: Opened, server: Served) -> None:
    tab = opened.tab
    best = server.search.text("a red square on green", 1)[0]
    assert tab.locator(".hits li").first.locator("small").first.inner_text() == best.key
    tab.evaluate("for (const i of document.images) i.loading = 'eager'")
    while not tab.evaluate("[...document.images].every((i) => i.complete)"):
        tab.wait_for_timeout(20)  # the page's own policy forbids to wait within it
    widths = tab.evaluate("[...document.images].map((i) => i.naturalWidth)")
    assert len(widths) == SQUARES + 1
    assert all(widths)


@pytest.mark.browser
def test_nothing_is_asked_of_anybody_else(opened: Opened, server: Served) -> None:
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith((server.address, "data:"))] == []


@pytest.mark.browser
def test_nothing_is_wider_than_the_window(opened: Opened) -> None:
    assert opened.tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_words_can_be_read_on_their_ground(opened: Opened) -> None:
    told, faint = opened.tab.evaluate(CONTRAST)
    assert (told > 0, faint) == (True, [])


@pytest.mark.browser
def test_everything_has_a_name_and_shows_where_the_keyboard_is(opened: Opened) -> None:
    nameless = opened.tab.evaluate(
        "[...document.querySelectorAll('input, select, button, a, img')].filter((e) => !(e.ariaLabel"
        " || e.alt || e.textContent.trim() || e.querySelector('img[alt]'))).map((e) => e.outerHTML)"
    )
    assert nameless == []
    opened.tab.locator(".asking input").focus()
    met = []
    for _ in range(5):
        opened.tab.keyboard.press("Tab")
        met.append(
            opened.tab.evaluate(
                "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
            )
        )
    assert [tag for tag, _ in met] == ["SELECT", "BUTTON", "A", "A", "A"]
    assert all(style != "none" for _, style in met)


@pytest.mark.browser
def test_more_like_one_goes_on_from_there(browser: object, server: Served) -> None:
    one = Opened(browser, server, 1200, "light")
    one.tab.get_by_role("searchbox").fill("something wide")
    one.tab.get_by_role("button").click()
    address = one.tab.locator(".hits li").nth(1).locator("img").get_attribute("src")
    one.tab.locator(".hits li").nth(1).get_by_text("more like this").click()
    assert one.tab.locator("h2").inner_text() == "Pictures like this one"
    assert one.tab.locator(".asked-with img").get_attribute("src") == address
    assert one.tab.locator(f'.hits img[src="{address}"]').count() == 0
    assert one.tab.locator(".hits li").count() == SQUARES
    assert one.tab.title() != "taken"
    one.context.close()


@pytest.mark.browser
def test_captions_cannot_act(opened: Opened) -> None:
    assert opened.tab.title().startswith("\u201ca red square")
