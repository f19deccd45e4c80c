from __future__ import annotations

import hashlib
import io
import sys

import numpy as np
import pytest
from PIL import Image

from sightword.corpora.building.drawing import Drawing, check_installed, draw
from sightword.errors import SightwordError

WHY = "resvg-py is not installed (pip install 'sightword[corpora]')"
RED = (255, 0, 0)


def svg(body: str, box: str = "0 0 16 16", more: str = "") -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" {more}>{body}</svg>'.encode()


def opened(drawing: Drawing, size: int) -> np.ndarray:
    drawn = draw(drawing, size)
    assert not drawn.refused, drawn.refused
    picture = Image.open(io.BytesIO(drawn.image))
    assert (picture.format, picture.mode) == ("WEBP", "RGB")
    pixels = np.asarray(picture)
    assert drawn.pixels == hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest()  # lossless
    return pixels


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_svg_is_drawn_on_white_in_its_own_colours():
    pytest.importorskip("resvg_py", reason=WHY)
    pixels = opened(Drawing(svg('<path fill="red" d="M4 4h8v8H4z"/>')), 64)
    wanted = np.full((64, 64, 3), 255, np.uint8)
    wanted[16:48, 16:48] = RED
    np.testing.assert_array_equal(pixels, wanted)


def test_current_color_is_black_and_paint_half_seen_is_mixed_with_white():
    pytest.importorskip("resvg_py", reason=WHY)
    body = (
        '<path fill="currentColor" d="M0 0h8v16H0z"/><path fill="blue" fill-opacity=".5" d="M8 0h8v16H8z"/>'
    )
    pixels = opened(Drawing(svg(body)), 32)
    assert (pixels[:, :16] == 0).all()
    assert np.abs(pixels[:, 16:].astype(int) - [128, 128, 255]).max() <= 1


def test_a_wide_drawing_stands_whole_in_the_middle():
    pytest.importorskip("resvg_py", reason=WHY)
    pixels = opened(Drawing(svg('<path fill="red" d="M0 0h32v16H0z"/>', "0 0 32 16")), 64)
    assert pixels.shape == (64, 64, 3)
    assert (pixels[16:48] == RED).all()
    assert (pixels[:16] == 255).all()
    assert (pixels[48:] == 255).all()


def test_a_small_drawing_on_a_large_page_is_cut_out_and_drawn_large():
    pytest.importorskip("resvg_py", reason=WHY)
    body = '<circle cx="300" cy="500" r="80" fill="red"/>'
    pixels = opened(Drawing(svg(body, "0 0 600 800", 'width="600" height="800"'), crop=True), 128)
    rows, columns = np.nonzero((pixels == RED).all(axis=2))
    assert pixels.shape == (128, 128, 3)
    for found in (rows, columns):
        assert found.min() in range(1, 8)
        assert found.max() in range(120, 127)
    soft = (pixels[..., 1] > 30) & (pixels[..., 1] < 225)  # neither red nor white
    assert soft.sum() < 2 * np.pi * 125  # less than two pixels wide all around: drawn large, not enlarged


@pytest.mark.parametrize("unit", ["mm", "pt", "cm", "in", "px", ""])
def test_pages_are_measured_in_every_unit(unit):
    pytest.importorskip("resvg_py", reason=WHY)
    size = f'width="200{unit}" height="200{unit}"'
    half = f'<rect fill="red" width="100{unit}" height="200{unit}"/>'
    page = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{half}</svg>'.encode()
    pixels = opened(Drawing(page), 64)
    assert (pixels[:, :31] == RED).all()
    assert (pixels[:, 33:] == 255).all()


def test_what_goes_beyond_the_page_is_not_invented():
    pytest.importorskip("resvg_py", reason=WHY)
    body = '<path fill="red" d="M0 0h900v900H0z"/><path fill="blue" d="M300 0h900v900h-900z"/>'
    pixels = opened(Drawing(svg(body, "0 0 600 600"), crop=True), 64)
    assert (pixels[:, :32] == RED).all()
    assert (pixels[:, 32:] == (0, 0, 255)).all()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "blank"),
        ('<path fill="white" d="M4 4h8v8H4z"/>', "blank"),
        ('<path fill="#f8f8f8" d="M4 4h8v8H4z"/>', "blank"),
        ('<path fill="red" d="M0 0h16v16H0z"/>', "blank"),
        ('<path fill="red" d="M4 4h.1v.1h-.1z"/>', "blank"),
        ("<text>hello</text>", "holds text, which looks different on every machine"),
    ],
)
def test_what_shows_nothing_says_so(body, reason):
    pytest.importorskip("resvg_py", reason=WHY)
    assert draw(Drawing(svg(body)), 64).refused == reason


def test_what_the_renderer_cannot_draw_is_refused():
    pytest.importorskip("resvg_py", reason=WHY)
    assert draw(Drawing(svg('<path d="M0 0h9"/>', "0 0 0 0", 'width="0" height="0"')), 64).refused.startswith(
        "cannot be drawn"
    )


def test_a_picture_file_goes_on_white_and_is_never_enlarged():
    picture = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (10, 5, 30, 15))
    pixels = opened(Drawing(png(picture)), 128)
    wanted = np.full((40, 40, 3), 255, np.uint8)
    wanted[15:25, 10:30] = (0, 0, 255)
    np.testing.assert_array_equal(pixels, wanted)


def test_a_large_picture_file_is_made_smaller():
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (300, 200, 3), dtype=np.uint8))
    pixels = opened(Drawing(png(noise)), 60)
    inner = np.asarray(noise.resize((40, 60), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(pixels[:, 10:50], inner)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\nrubbish"])
def test_a_broken_file_is_refused(content):
    assert draw(Drawing(content), 64).refused.startswith("cannot be drawn")


def test_a_decompression_bomb_is_refused():
    bomb = png(Image.new("1", (20_000, 20_000)))
    assert draw(Drawing(bomb), 64).refused.startswith("cannot be drawn")


def test_a_missing_renderer_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    for call in (check_installed, lambda: draw(Drawing(svg("<g/>")), 64)):
        with pytest.raises(SightwordError, match=r"pip install 'sightword\[corpora\]'"):
            call()
