from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from models_to_export import model_of

from sightword.evaluation.scores import Score, append_scores
from sightword.export import card, notices
from sightword.export.own_folder import OwnFolder
from sightword.training.model import Model

SCORE = Score(
    place="demo", dataset="demo", split="test", task="zeroshot", metric="acc1", value=0.25, low=0.2, high=0.3,
    n=1234, interval="wilson", protocol={"hash": "aaaa", "templates": ["{}"], "ties": "to the lower class"},
    chosen={}, unreadable=0, run="small", weights_hash="0123456789abcdef", data_hash="d", code_version="0",
    step=7, samples=56, flops=1e9, time=1.0, headline=True,
)  # fmt: skip


def written(tmp_path: Path, model: Model, licence: str = "", noticed: bool = False) -> str:
    facts = card.Facts(tmp_path, tmp_path / "o", licence, ["13 pictures: fine"], noticed)
    card.write(tmp_path, model, OwnFolder(), facts)
    return (tmp_path / card.FILE).read_text()


def front(text: str) -> dict[str, object]:
    """The front matter, whose values are JSON, which is YAML."""
    _, matter, _ = text.split("---\n", 2)
    return {name: json.loads(value) for name, value in (row.split(": ", 1) for row in matter.splitlines())}


def test_what_hubs_read(tmp_path: Path) -> None:
    found = front(written(tmp_path, model_of()))
    assert found == {
        "license": "unknown: fill in",
        "library_name": "sightword",
        "pipeline_tag": "zero-shot-image-classification",
        "tags": ["sightword", "vision", "clip", "safetensors"],
    }
    found = front(written(tmp_path, model_of(text=None), 'a "very" own: one'))
    assert found["license"] == 'a "very" own: one'
    assert found["pipeline_tag"] == "image-feature-extraction"


def test_budget_data_and_how_to_load(tmp_path: Path) -> None:
    text = written(tmp_path, model_of(), noticed=True)
    assert "| budget | 56 samples in 7 steps, 1e+09 FLOPs |" in text
    assert "| objective | `clip` |" in text
    assert 'sightword.load("o")' in text
    assert "shorter side to 16 px (bilinear, antialiased), middle 16 x 16 cut out" in text
    assert f"`{notices.FILE}`" in text
    assert "- 13 pictures: fine" in text
    assert "Captions are cut after 16 tokens." in text


def test_scores_of_these_weights_with_their_intervals(tmp_path: Path) -> None:
    assert "were not evaluated" in written(tmp_path, model_of())
    newer = replace(SCORE, value=0.5, low=0.45, high=0.55, contaminated=3)
    other = replace(SCORE, weights_hash="ffff", dataset="another")
    aside = replace(SCORE, headline=False, metric="acc5")
    append_scores(tmp_path, [SCORE, newer, other, aside])
    text = written(tmp_path, model_of())
    assert "| demo/test | zeroshot | acc1 | 50.0 % [45.0, 55.0] | 1,234 | 3 |" in text
    assert "25.0 %" not in text
    assert "another" not in text
    assert "acc5" not in text
    assert "- zeroshot: ties to the lower class" in text


@pytest.mark.parametrize("samples", [0, 56])
def test_nothing_is_made_up_of_weights_from_elsewhere(tmp_path: Path, samples: int) -> None:
    model = model_of()
    model.samples = samples
    assert ("Nothing is known of it" in written(tmp_path, model)) == (samples == 0)
