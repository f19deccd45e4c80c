"""A chart's own file renders alone, in the light page's colours, which every eye can tell apart."""

from __future__ import annotations

import io
import itertools
import re
import xml.etree.ElementTree as ET
from importlib import resources

import numpy as np
import pytest
from PIL import Image

from sightword.report.figures import Axis
from sightword.report.markup import Markup
from sightword.report.plots import chart, curve, field, spot
from sightword.report.standalone import standalone

SHEETS = [resources.files("sightword.report").joinpath(n).read_text() for n in ("page.css", "study.css")]
SIX = range(6)
# Machado, Oliveira, Fernandes 2009, table 1, severity 1.0, on linear RGB.
SEEN = {
    "by most": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
    "achromatopsia": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}
LEAST = {"by most": 25, "protanopia": 20, "deuteranopia": 20, "tritanopia": 20, "achromatopsia": 7.5}


@pytest.fixture(scope="module")
def drawing() -> Markup:
    axis = Axis("x", lambda value: f"{value:g}")
    area = field((1.0, 100.0), (0.0, 1.0), axis, axis)
    marks = [spot(area, 10.0, 0.1 + 0.15 * i, i, f"arm {i}", size=9.0) for i in SIX]
    return chart("a < b", area, [curve(area, [1.0, 100.0], [0.98, 0.98], 3), *marks])


def test_it_is_xml_without_variables(drawing: Markup) -> None:
    written = standalone(drawing, "what < that", SHEETS)
    root = ET.fromstring(written)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in written
    assert "@media" not in written
    assert float(root.get("width")) > 420
    assert "what < that" in {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}


def test_it_renders_alone_in_the_colours_of_the_light_page(drawing: Markup) -> None:
    resvg = pytest.importorskip("resvg_py", reason="resvg-py is not installed")
    image = resvg.svg_to_bytes(svg_string=str(standalone(drawing, "t", SHEETS)))
    pixels = np.asarray(Image.open(io.BytesIO(bytes(image))).convert("RGB")).reshape(-1, 3)
    for i in SIX:
        wanted = [int(colours(False)[i][k : k + 2], 16) for k in (1, 3, 5)]
        assert (np.abs(pixels.astype(int) - wanted).max(1) <= 2).sum() > 100, i
    assert (pixels == 255).all(1).mean() > 0.8  # white ground


def test_long_titles_and_notes_are_broken_into_lines_that_fit(drawing: Markup) -> None:
    words = " ".join(f"word{i}" for i in range(40))
    root = ET.fromstring(standalone(drawing, words, SHEETS, f"note {words}"))
    texts = {kind: [e for e in root if e.get("class") == kind] for kind in ("head", "foot")}
    assert " ".join(e.text for e in texts["head"]) == words
    assert " ".join(e.text for e in texts["foot"]) == f"note {words}"
    assert max(len(e.text) for e in texts["head"]) * 7 < float(root.get("width"))
    heights = [float(e.get("y")) for e in (*texts["head"], *texts["foot"])]
    assert heights == sorted(set(heights))
    assert heights[-1] < float(root.get("height"))


def test_a_drawing_without_a_box_is_refused() -> None:
    with pytest.raises(ValueError, match="viewBox"):
        standalone(Markup("<svg></svg>"), "t", SHEETS)


def colours(dark: bool) -> list[str]:
    """Of the first six arms."""
    sheet = SHEETS[1]
    start = sheet.index("prefers-color-scheme: dark") if dark else 0
    return [re.search(rf"--c{i}: (#\w+)", sheet[start:])[1] for i in SIX]


def linear(colour: str) -> np.ndarray:
    shares = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB, D65."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb.clip(
        0, 1
    )
    x, y, z = (
        t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in xyz / (0.9505, 1, 1.089)
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_the_matrices_keep_white_and_confuse_red_with_green() -> None:
    for name, matrix in SEEN.items():
        assert lab(np.asarray(matrix) @ np.ones(3)) == pytest.approx([100, 0, 0], abs=0.6), name
    red, green = linear("#c8500a"), linear("#7a7a00")
    apart = {
        n: np.linalg.norm(lab(np.asarray(m) @ red) - lab(np.asarray(m) @ green)) for n, m in SEEN.items()
    }
    assert apart["deuteranopia"] < 0.5 * apart["by most"]


@pytest.mark.parametrize("eye", SEEN)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_any_two_of_six_arms_differ_for_every_eye(eye: str, dark: bool) -> None:
    seen = [lab(np.asarray(SEEN[eye]) @ linear(colour)) for colour in colours(dark)]
    apart = {(i, j): np.linalg.norm(seen[i] - seen[j]) for i, j in itertools.combinations(SIX, 2)}
    assert min(apart.values()) >= LEAST[eye], min(apart, key=apart.get)


@pytest.mark.parametrize(("dark", "ground"), [(False, "#ffffff"), (True, "#131417")])
def test_arms_stand_out_from_their_ground(dark: bool, ground: str) -> None:
    """WCAG 2.1, 1.4.11: three to one."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    base = weights @ linear(ground) + 0.05
    for colour in colours(dark):
        light = weights @ linear(colour) + 0.05
        assert max(light, base) / min(light, base) >= 3, colour


def test_print_takes_the_light_colours() -> None:
    printed = SHEETS[1][SHEETS[1].index("@media print") :]
    assert [re.search(rf"--c{i}: (#\w+)", printed)[1] for i in SIX] == colours(False)
