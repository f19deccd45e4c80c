"""Drawn splits: exact shares, whole units, the same whatever else is there."""

from __future__ import annotations

import numpy as np

from sightword.evaluation.layouts.drawn import drawn, drawn_rows


def test_every_row_comes_into_one_part() -> None:
    parts = drawn_rows("x", 1003, (60, 20, 20))
    assert [len(part) for part in parts] == [601, 201, 201]  # 60 % and 80 % of 1,003, rounded down
    assert sorted(np.concatenate(parts).tolist()) == list(range(1003))
    assert all(np.all(np.diff(part) > 0) for part in parts)
    assert 400 < parts[2].mean() < 600  # from everywhere
    again, other = drawn_rows("x", 1003, (60, 20, 20)), drawn_rows("y", 1003, (60, 20, 20))
    assert all(map(np.array_equal, parts, again))
    assert not all(map(np.array_equal, parts, other))


def test_units_stay_together_and_order_does_not_matter() -> None:
    units = [f"patient{i // 2}" for i in range(200)]
    train, test = drawn("x", units, (80, 20))
    assert len(test) == 40
    assert not {units[i] for i in train} & {units[i] for i in test}
    turned = units[::-1]
    assert {turned[i] for i in drawn("x", turned, (80, 20))[1]} == {units[i] for i in test}
