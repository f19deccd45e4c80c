from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image

from sightword.corpora.building import painting
from sightword.corpora.building.drawing import Drawing, draw
from sightword.corpora.building.painting import draw_all
from sightword.errors import SightwordError


def noise(seed: int) -> Drawing:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")
    return Drawing(file.getvalue() if seed % 7 else b"broken")


def test_two_processes_draw_what_one_draws_in_the_same_order():
    drawings = [noise(seed) for seed in range(37)]
    alone = [draw(drawing, 8) for drawing in drawings]
    assert sum(bool(drawn.refused) for drawn in alone) == 6
    assert list(draw_all(drawings, 8, workers=1)) == alone
    assert list(draw_all(drawings, 8, workers=2)) == alone


def _asleep(drawings: object, size: int) -> None:
    time.sleep(60)


def test_a_drawing_that_takes_for_ever_ends_in_an_error(monkeypatch):
    monkeypatch.setattr(painting, "_draw_some", _asleep)
    monkeypatch.setattr(painting, "_LONGEST", 0.2)
    with pytest.raises(SightwordError, match="drawings 1 to 16 take more than"):
        list(draw_all([noise(1)], 8, workers=2))
