"""What loaders did, by stage, and the verdict in words."""

from __future__ import annotations

import torch

from sightword.training.input import InputMeter, shares, slowest, verdict
from sightword.words import Batch


def batch(**seconds: float) -> Batch:
    return Batch(0, ("a",), torch.zeros(1, dtype=torch.int64), 0, {}, {}, seconds=seconds)


def test_stages_are_averaged_between_readings_and_over_all() -> None:
    meter = InputMeter()
    meter.add(batch(read=1.0, decode=3.0))
    meter.add(batch(decode=1.0))
    assert meter.read() == {"read": 0.5, "decode": 2.0}
    assert meter.steps == 0
    meter.add(batch(views=3.0))
    assert meter.overall() == {"read": 1 / 3, "decode": 4 / 3, "views": 1.0}
    assert meter.read() == {"views": 3.0}
    assert meter.read() == {}


def test_the_slowest_is_named_with_what_to_do() -> None:
    making = {"read": 0.1, "decode": 0.6, "views": 0.3}
    assert slowest(making) == "decode"
    assert slowest({}) == ""
    assert shares(making) == "decoding 60%, crops and colours 30%, reading 10%"
    said = verdict(0.4, making)
    assert "waited 40%" in said
    assert "data pack --resize" in said
    assert verdict(0.05, making) == "data: waited 5% of the time; it was not the limit"
    assert "not the limit" in verdict(0.9, {})
