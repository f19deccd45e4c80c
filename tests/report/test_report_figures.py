"""Figures say what the numbers say; text stays text; lots are drawn by lot."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from sklearn.neighbors import NearestNeighbors

from sightword.errors import SightwordError
from sightword.report import phrases
from sightword.report.draws import draw, in_common
from sightword.report.figures import Axis, Series, interval_strip, line_chart, thin_out
from sightword.report.map import lay_out, spread_out
from sightword.report.markup import Markup, join, tag, text
from sightword.report.neighbours import nearest
from sightword.report.reconstructions import reconstructions
from sightword.report.records import Measure, Run
from sightword.report.thumbnails import Thumbnails

AXIS = Axis("x", str)


def test_markup_escapes_text_and_attributes_but_not_itself() -> None:
    assert tag("p", "a < b & c", title='"quoted"') == '<p title="&quot;quoted&quot;">a &lt; b &amp; c</p>'
    assert tag("p", tag("b", "<")) == "<p><b>&lt;</b></p>"
    assert join(["<", Markup("<br/>")]) == "&lt;<br/>"
    assert tag("img", alt="", hidden=True, id=None) == '<img alt="" hidden/>'
    assert tag("td", 1, class_="a", data_i=2) == '<td class="a" data-i="2">1</td>'
    assert isinstance(text("x"), Markup)


def test_numbers_in_words() -> None:
    assert phrases.percent(0.4512) == "45.1\u202f%"
    assert [phrases.points(v) for v in (0.019, -0.019, 0.0, -0.0001)] == ["+1.9", "\u22121.9", "0.0", "0.0"]
    assert phrases.points_interval(-0.008, 0.012) == "\u22120.8 to 1.2"
    assert (phrases.count(157440), phrases.power(3.14e15), phrases.power(0)) == (
        "157,440",
        f"3.1 {phrases.TIMES} 10¹⁵",
        "0",
    )
    assert phrases.power(9.99e15) == f"1.0 {phrases.TIMES} 10¹⁶"
    assert phrases.listed(["a", "b", "c"]) == "a, b and c"
    assert (
        phrases.metric(Measure("d", "s", "retrieval", "image_retrieval_recall@5"))
        == "image retrieval, recall@5"
    )
    assert phrases.metric(Measure("d", "s", "zeroshot", "acc1")) == "zero-shot, top-1"


def test_a_line_runs_through_its_points() -> None:
    chart = line_chart("t", [Series("a", [0, 5, 10], [0.0, 1.0, 0.0], 0)], AXIS, AXIS)
    (path,) = re.findall(r'<path d="M([^"]+)" class="line">', chart)
    (x0, y0), (x1, y1), (x2, y2) = (map(float, spot.split()) for spot in path.split("L"))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert y0 == y2 > y1  # up is up
    assert chart.count('class="dot"') == 3
    assert "a: 1.0 at 5 (x)" in chart


def test_a_single_point_and_a_flat_line_can_be_drawn() -> None:
    for xs, ys in (([3], [2.0]), ([1, 2], [4.0, 4.0]), ([0], [0.0])):
        assert "nan" not in line_chart("t", [Series("a", xs, ys, 0)], AXIS, AXIS)


def test_thinning_keeps_the_mean_and_every_number() -> None:
    xs, ys = thin_out(list(range(1000)), [float(v % 7) for v in range(1000)], most=100)
    assert len(xs) == 100
    assert xs[0] == 4.5
    assert np.mean(ys) == pytest.approx(np.mean([v % 7 for v in range(1000)]))
    assert thin_out([1, 2], [3, 4]) == ([1, 2], [3, 4])


def test_an_interval_stands_left_or_right_of_zero() -> None:
    def ends(low: float, high: float) -> list[float]:
        drawn = interval_strip((low + high) / 2, low, high, 1.0, True)
        return [float(v) for v in re.search(r'x1="([\d.]+)%" x2="([\d.]+)%" y1="13"', drawn).groups()]

    assert all(v > 50 for v in ends(0.1, 0.4))
    assert all(v < 50 for v in ends(-0.4, -0.1))
    assert ends(-1.0, 1.0) == [2.0, 98.0]


def test_lots_are_the_same_each_time_and_differ_by_purpose() -> None:
    rows = list(range(100, 400))
    lot = draw("a", rows, 20)
    assert lot == draw("a", rows, 20) != draw("b", rows, 20)
    assert len(set(lot)) == 20
    assert set(lot) <= set(rows)
    assert draw("a", rows, 10) == lot[:10]
    assert draw("a", [], 5) == []
    assert sum(draw("a", range(10_000), 1000)) / 1000 == pytest.approx(5000, rel=0.06)  # no favourite end


def test_keys_in_common() -> None:
    shared, where = in_common([["a", "b", "c"], ["c", "x", "a"]])
    assert shared == ["a", "c"]
    assert [rows.tolist() for rows in where] == [[0, 2], [2, 0]]


def test_nearest_agrees_with_scikit_learn() -> None:
    luck = np.random.default_rng(0)
    asked, known = luck.normal(size=(5, 8)).astype(np.float32), luck.normal(size=(40, 8)).astype(np.float32)
    wanted = (
        NearestNeighbors(n_neighbors=4, metric="cosine").fit(known).kneighbors(asked, return_distance=False)
    )
    assert np.array_equal(nearest(asked, known, 4), wanted)


def test_a_map_keeps_clusters_together_and_is_the_same_each_time() -> None:
    luck = np.random.default_rng(0)
    centres = luck.normal(size=(3, 16))
    features = (np.repeat(centres, 20, axis=0) + 0.05 * luck.normal(size=(60, 16))).astype(np.float32)
    spots = lay_out(features)
    assert np.array_equal(spots, lay_out(features))
    assert spots.min() == 0.0
    assert spots.max() == 1.0
    near = NearestNeighbors(n_neighbors=6).fit(spots).kneighbors(spots, return_distance=False)[:, 1:]
    assert (near // 20 == np.arange(60)[:, None] // 20).mean() > 0.99


def test_thumbnails_on_a_map_do_not_cover_each_other() -> None:
    spots = np.random.default_rng(0).random((300, 2))
    chosen = spread_out(spots, apart=0.1, most=30)
    apart = [np.abs(spots[i] - spots[j]).max() for i in chosen for j in chosen if i < j]
    assert len(chosen) == 30
    assert min(apart) > 0.1


def test_transparent_pictures_lie_on_white_and_sheets_hold_every_picture_in_its_place() -> None:
    colours = {"r": (255, 0, 0, 255), "g": (0, 255, 0, 255), "none": (0, 0, 0, 0)}

    def read(key: str) -> bytes:
        written = io.BytesIO()
        Image.new("RGBA", (20, 20), colours[key]).save(written, "PNG")
        return written.getvalue()

    pictures = Thumbnails(read, {"r": "red"})
    assert pictures.open("none").getpixel((3, 3)) == (255, 255, 255)
    assert 'alt="red"' in pictures.image("r")
    assert 'alt="g"' in pictures.image("g")
    assert pictures.used == {"none", "r", "g"}
    kind, _, written = pictures.sheet(["r", "g", "none"], 20, 2).partition(",")
    sheet = Image.open(io.BytesIO(base64.b64decode(written)))
    assert (kind, sheet.size) == ("data:image/webp;base64", (40, 40))
    seen = np.array([sheet.convert("RGB").getpixel(at) for at in ((10, 10), (30, 10), (10, 30), (30, 30))])
    assert np.abs(seen - [(255, 0, 0), (0, 255, 0), (255, 255, 255), (255, 255, 255)]).max() < 16


def make_run(path: Path) -> Run:
    return Run(path, "a run", None, {}, (), None, ())


def test_reconstructions_are_shown_and_other_files_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    row = np.zeros((12, 3, 8, 8), np.uint8)
    save_file({"original": row, "masked": row, "reconstructed": row}, folder / "mae.safetensors")
    save_file({"original": row}, folder / "other.safetensors")
    shown = reconstructions([make_run(tmp_path)])
    assert shown.count("<img") == 3
    assert 'alt="10 pictures: what it painted"' in shown
    assert reconstructions([make_run(tmp_path / "none")]) == ""


def test_a_broken_file_of_pictures_is_told(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "mae.safetensors").write_bytes(b"not tensors")
    with pytest.raises(SightwordError, match="cannot be read"):
        reconstructions([make_run(tmp_path)])
