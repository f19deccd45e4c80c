from __future__ import annotations

import numpy as np
import pytest

from sightword.evaluation.draws import over_draws


def test_the_interval_covers_both_kinds_of_chance() -> None:
    """Draws that differ by six points and 300 examples: the truth lies inside about 95 times in a hundred."""
    generator = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        each = np.clip(0.7 + 0.06 * generator.standard_normal((5, 1)), 0, 1)
        hardness = generator.standard_normal(300) * 0.15
        right = generator.random((5, 300)) < np.clip(each + hardness, 0, 1)
        found = over_draws("acc1", right).interval
        inside.append(found.low <= 0.7 <= found.high)
    assert 0.92 <= np.mean(inside) <= 0.99


def test_draws_or_examples_alone_are_too_sure() -> None:
    generator = np.random.default_rng(1)
    alike = np.repeat(
        generator.random((1, 400)) < 0.6, 5, axis=0
    )  # only examples differ: five draws say nothing
    one = over_draws("acc1", alike)
    assert one.interval.value == pytest.approx(alike[0].mean())
    width = one.interval.high - one.interval.low
    assert width == pytest.approx(2 * 1.96 * np.sqrt(0.24 / 400), rel=0.05)
    apart = np.repeat([[True], [True], [False], [False], [True]], 400, axis=1)  # only draws differ
    other = over_draws("acc1", apart).interval
    assert other.high - other.low > 0.6


def test_clusters_are_one_unit() -> None:
    generator = np.random.default_rng(2)
    units = generator.random((5, 40)) < 0.5
    right = np.repeat(units, 10, axis=1)
    names = [f"c{i // 10}" for i in range(400)]
    loose, tight = over_draws("a", right, names).interval, over_draws("a", right).interval
    once = over_draws("a", units).interval
    assert loose.low == pytest.approx(once.low)
    assert tight.high - tight.low < loose.high - loose.low


def test_always_right_is_not_certain() -> None:
    found = over_draws("acc1", np.ones((5, 20), dtype=bool))
    assert found.interval.high == 1.0
    assert 0.8 < found.interval.low < 0.9
    assert found.n == 20


def test_one_draw_is_too_few() -> None:
    with pytest.raises(ValueError, match="two draws"):
        over_draws("acc1", np.ones((1, 20), dtype=bool))
