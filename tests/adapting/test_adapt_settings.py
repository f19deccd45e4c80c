"""What is set unasked, with its reason; what a user gives goes before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_adaptation import Small

from sightword.adapting import settings
from sightword.adapting.settings import Known, Setting, suggest
from sightword.config import Config, DataConfig
from sightword.errors import SightwordError
from sightword.weights.foreign import Foreign
from sightword.weights.sources import open_weights

DATA = Config(data=DataConfig(path="pairs.csv"))


@pytest.fixture(scope="module")
def weights(small: Small) -> Foreign:
    return open_weights(small.folder / "start")


def suggested(small: Small, known: Known, **given: object) -> tuple[Config, dict[str, Setting]]:
    config, rows = suggest(DATA, str(small.folder / "start"), known, given)
    assert all(row.reason and "\n" not in row.line() for row in rows)
    return config, {row.name: row for row in rows}


def test_weights_of_others_get_flyps_settings(small: Small, weights: Foreign) -> None:
    foreign = replace(weights, family="open_clip")
    config, rows = suggested(small, Known(foreign, 1_280_000))
    assert (config.objective, config.batch_size, config.epochs, config.steps) == ("clip", 256, 10.0, 0)
    assert (config.optimizer.lr, config.optimizer.wd) == (1e-5, 0.1)
    assert (config.optimizer.lr_start, config.optimizer.lr_end) == (0.0, 0.0)
    assert config.optimizer.warmup == pytest.approx(500 / 50_000)
    assert config.pretrained == str(small.folder / "start")
    assert config.data.path == "pairs.csv"
    assert not any(row.given for row in rows.values())


@pytest.mark.parametrize(
    ("pairs", "batch", "epochs"), [(8_000, 256, 33), (3_000, 256, 91), (1_400, 256, 100), (200, 32, 100)]
)
def test_few_pairs_are_shown_oftener(
    small: Small, weights: Foreign, pairs: int, batch: int, epochs: int
) -> None:
    config, _ = suggested(small, Known(weights, pairs))
    assert (config.batch_size, config.epochs, config.optimizer.warmup) == (batch, epochs, 0.1)


def test_a_run_of_ours_goes_on_at_a_fifth_of_its_rate(small: Small, weights: Foreign) -> None:
    known = Known.of(weights, str(small.folder / "start"), 2_000)
    assert (known.weights.family, known.lr) == ("sightword", 1e-2)
    config, rows = suggested(small, known)
    assert config.optimizer.lr == pytest.approx(2e-3)
    assert rows["optimizer.lr"].reason.startswith("a fifth of the 0.01 that the weights were trained with")
    assert suggested(small, replace(known, lr=1e-6))[0].optimizer.lr == 1e-5


def test_what_was_adapted_before_is_adapted_at_the_same_rate(small: Small) -> None:
    folder = small.out / "adapted"
    known = Known.of(open_weights(folder), str(folder), 2_000)
    config, rows = suggested(small, known)
    assert (known.lr, known.adapted, config.optimizer.lr) == (1e-2, True, 1e-2)
    assert rows["optimizer.lr"].reason == "that with which the weights were adapted before"


def test_siglips_weights_learn_by_siglip(small: Small, weights: Foreign) -> None:
    biased = replace(weights, tensors={**weights.tensors, "joint.logit_bias": torch.tensor(-10.0)})
    assert suggested(small, Known(biased, 2_000))[0].objective == "siglip"


def test_what_is_given_goes_before(small: Small, weights: Foreign) -> None:
    given = {"optimizer.lr": 5e-5, "steps": 70, "objective": "clip + simclr", "optimizer.betas": "0.9,0.999"}
    config, rows = suggested(small, Known(weights, 2_000), **given)
    assert (config.optimizer.lr, config.steps, config.epochs) == (5e-5, 70, 0.0)
    assert (config.objective, config.optimizer.betas) == ("clip + simclr", (0.9, 0.999))
    assert {name for name, row in rows.items() if row.given} == {*given}
    assert rows["steps"].reason == "as you asked; unasked 100"
    assert "7 steps" in rows["optimizer.warmup"].reason
    with pytest.raises(SightwordError, match="unknown setting"):
        suggested(small, Known(weights, 2_000), **{"optimizer.rate": 1})


@pytest.mark.parametrize("there", [True, False], ids=["peft", "no peft"])
def test_few_pairs_of_others_get_adapters_where_peft_is(
    small: Small, weights: Foreign, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda name: object() if there else None)
    foreign = replace(weights, family="open_clip")
    config, rows = suggested(small, Known(foreign, 999))
    assert config.lora.rank == (2 if there else 0)
    assert config.optimizer.lr == (2e-4 if there else 1e-5)
    assert there or "pip install 'sightword[lora]'" in rows["lora.rank"].reason
    assert suggested(small, Known(foreign, 1_000))[0].lora.rank == 0
    assert suggested(small, Known(weights, 999))[0].lora.rank == 0  # a run of ours
    assert suggested(small, Known(foreign, 999), **{"lora.rank": "0"})[0].optimizer.lr == 1e-5


def test_the_run_keeps_its_best_by_validation(tmp_path: Path) -> None:
    run = settings.run_of(DATA, tmp_path / "run", tmp_path / "held-out-validation", 90)
    assert run.keep_best == "held-out-validation/retrieval/image_retrieval_recall@5"
    assert (run.zeroshot_frequency, run.watch_on) == (5, str(tmp_path / "held-out-validation"))
    assert run.evaluate_on == ""
