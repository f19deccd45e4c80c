"""Figures: bars as high as their counts, dots where sizes are, tables that read without colour."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sightword.corpora.stats.charts import Mark, bars, short
from sightword.corpora.stats.pieces import shares, table, with_code
from sightword.corpora.stats.sizes import dots
from sightword.corpora.stats.tell import histogram


def _attributes(drawing: str, element: str, kind: str) -> list[dict[str, str]]:
    found = re.findall(rf'<{element}([^>]*class="{kind}"[^>]*)>', drawing)
    return [dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in found]


def test_bars_are_as_high_as_their_counts() -> None:
    found = histogram(np.array([1, 1, 1, 1, 6, 6, 11]), [0, 5, 10, 15, 20, 25])
    drawing = bars("Sizes", found, "pixels", short)
    heights = [float(one["height"]) for one in _attributes(drawing, "rect", "bar")]
    assert np.array(heights[:3]) / heights[0] == pytest.approx([1, 0.5, 0.25], abs=0.01)
    assert "0 to 5 pixels: 4 (57" in drawing
    assert "half lie up to 1" in drawing


def test_a_mark_stands_at_its_value() -> None:
    found = histogram(np.array([1, 12, 24]), [0, 5, 10, 15, 20, 25])
    line = _attributes(bars("Sizes", found, "pixels", short, Mark(10, "here")), "line", "mark")[0]
    first, last = [_attributes(bars("S", found, "p", short), "rect", "hover")[place] for place in (0, 2)]
    assert float(line["x1"]) == pytest.approx(float(last["x"]), abs=0.2)
    assert float(first["x"]) < float(line["x1"])


def test_dots_double_evenly_and_grow_with_their_count() -> None:
    drawing = dots("Sizes", [(64, 64), (64, 64), (64, 64), (128, 256)], Mark(224, "training size 224"))
    spots = {(one["cx"], one["cy"]): float(one["r"]) for one in _attributes(drawing, "circle", "spot")}
    (common, rare) = sorted(spots, key=lambda spot: -spots[spot])
    wide, tall = float(rare[0]) - float(common[0]), float(common[1]) - float(rare[1])
    assert wide > 0
    assert tall > wide  # two doublings up, one to the right
    assert spots[common] > spots[rare]
    assert "64 x 64: 3 of 4 drawn" in drawing


def test_names_are_escaped_and_the_rest_is_counted() -> None:
    said = shares("Names", {"<b>": 3, "x": 1, "y": 1}, 5, most=2)
    assert "&lt;b&gt;" in said
    assert "<b>" not in said
    assert "and 1 more" in said
    assert "<i>" not in table("T", {"<i>": ["<i>"]})
    assert with_code("say `<x>` now") == "say <code>&lt;x&gt;</code> now"
