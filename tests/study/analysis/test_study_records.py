from __future__ import annotations

import json

import pytest
from drawn_studies import ARMS, drawn

from sightword.study.analysis.answers import analyse
from sightword.study.analysis.records import records, verdict_record
from sightword.study.analysis.verdicts import verdict


def rising(arm: int, size: int) -> float:
    return 0.3 + size / 200_000 + 0.05 * arm


def test_every_number_is_a_line_of_json() -> None:
    (answer,) = analyse(drawn(rising), ARMS, resamples=50)
    lines = [json.loads(json.dumps(one)) for one in records([answer])]
    kinds = [one["kind"] for one in lines]
    assert kinds == ["gain"] * 4 + ["change", "crossover"] + ["law"] * 2
    for line, gain in zip(lines, answer.arms[0].gains, strict=False):
        assert (line["size"], line["gain"], line["low"]) == (gain.size, gain.gain.value, gain.gain.low)
        assert (line["dataset"], line["budget"], line["shown"]) == ("pets", "samples", gain.shown)
    law = lines[-2]
    assert law["objective"] == "clip"
    assert law["error"] == pytest.approx(
        [law["a"] + law["b"] * (n / law["middle"]) ** -law["c"] for n in law["sizes"]]
    )
    assert all(low <= high for low, high in zip(law["low"], law["high"], strict=True))


def test_a_verdicts_record_has_its_sentences_and_number() -> None:
    (answer,) = analyse(drawn(rising), ARMS, resamples=50)
    one = verdict(answer, answer.arms[0], 100_000)
    line = json.loads(json.dumps(verdict_record(one)))
    assert (line["measured"], line["size"], line["gain"]) == (False, 100_000, one.predicted.value)
    assert line["sentences"] == one.sentences()
