from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from sightword.views import named
from sightword.views.blur import FAINT, half_kernels
from sightword.views.colour import ORDERS
from sightword.views.drawn import draw, draw_colours, no_colours
from sightword.views.unfinished import as_tasks, left_to_do
from sightword.words import View

STEPS = ("brightness", "contrast", "saturation", "hue")
IDS = np.arange(200) * 3
VIEW = replace(named.asymmetric(32, 1), draw=5)


def by_sample(view: View) -> dict[int, list[tuple[str, list[float]]]]:
    """What each row is to undergo, in order."""
    colours = left_to_do([view], 4, IDS, 2)[view]
    found: dict[int, list[tuple[str, list[float]]]] = {row: [] for row in range(len(IDS))}
    at = 0
    for task in colours.tasks:
        rows, amounts = colours.rows[at : at + task.count], colours.amounts[at : at + task.count, : task.taps]
        assert len(set(rows.tolist())) == task.count == len(rows) > 0
        for row, amount in zip(rows.tolist(), amounts.tolist(), strict=True):
            found[row].append((task.what, amount))
        at += task.count
    assert at == len(colours.rows) == len(colours.amounts)
    return found


def test_every_sample_undergoes_what_was_drawn_for_it_in_its_own_order() -> None:
    drawn = draw_colours(VIEW, 4, IDS, 2)
    assert drawn.jitter is not None
    sigmas = dict(zip(drawn.blurred.tolist(), drawn.sigma.tolist(), strict=True))
    orders = set()
    for row, tasks in by_sample(VIEW).items():
        expected = [STEPS[step] for step in ORDERS[drawn.jitter.order[row]]] if drawn.jittered[row] else []
        orders.add(tuple(expected))
        expected += ["gray"] * int(drawn.gray[row])
        half = half_kernels(np.array([sigmas.get(row, 0.0)]))[0]
        visible = int((half >= FAINT).sum())
        expected += ["blur"] * (visible > 1)
        expected += ["solarize"] * int(drawn.solarized[row])
        assert [what for what, _ in tasks] == expected
        for what, amounts in tasks:
            if what in STEPS:
                assert amounts == [pytest.approx(drawn.jitter.amounts[row, STEPS.index(what)], rel=1e-6)]
            if what == "blur":
                assert len(amounts) == visible
                assert 2 * sum(amounts) - amounts[0] == pytest.approx(1)
                assert amounts == pytest.approx(half[:visible], abs=2 * FAINT)
    assert len(orders) > 20
    counts = Counter(what for tasks in by_sample(VIEW).values() for what, _ in tasks)
    assert set(counts) == {*STEPS, "gray", "blur", "solarize"}


def test_colours_are_those_of_the_whole_draw_whatever_the_pictures_are() -> None:
    alone = draw_colours(VIEW, 4, IDS, 2)
    whole = draw(VIEW, np.full((200, 2), 50), 4, IDS, 2)
    plain = draw(VIEW, np.full((200, 2), 50), 4, IDS, 2, coloured=False)
    for name, found in vars(alone).items():
        if name != "jitter":
            assert np.array_equal(found, getattr(whole, name))
    assert alone.jitter is not None
    assert whole.jitter is not None
    assert np.array_equal(alone.jitter.amounts, whole.jitter.amounts)
    assert np.array_equal(plain.crops, whole.crops)
    assert np.array_equal(plain.flipped, whole.flipped)
    assert plain.jitter is None
    assert not (plain.jittered | plain.gray | plain.solarized).any()
    assert len(plain.blurred) == 0


def test_views_with_nothing_to_do_are_left_out() -> None:
    views = [named.language(16), VIEW, replace(VIEW, jitter=None, grayscale=0.0, blur=0.0, solarize=0.0)]
    assert list(left_to_do(views, 0, IDS, 0)) == [VIEW]
    assert left_to_do([VIEW], 0, IDS[:0], 0) == {}
    assert as_tasks(no_colours(7)).tasks == ()


def test_moving_and_pinning_keep_what_it_says() -> None:
    colours = left_to_do([VIEW], 4, IDS, 2)[VIEW]
    moved = colours.to("meta")
    assert (moved.rows.device.type, moved.amounts.device.type) == ("meta", "meta")
    assert moved.tasks == colours.tasks
    assert moved.rows.shape == colours.rows.shape
