"""Costs that are counted without computing, against the counter of real steps and against a count by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sightword.config import Config, DataConfig, ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.objectives import catalogue
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.recipes import models
from sightword.training.counting import cost_digest, sample_flops
from sightword.training.flops import step_flops
from sightword.training.setup import build_pretrainer
from sightword.words import Batch, Words

CONTEXT = 12
VIT = ImageTowerConfig(size=64, width=48, layers=(4,), heads=4, patch_size=16)
RESNET = ImageTowerConfig("resnet", size=32, width=16, layers=(1, 2), heads=2, patch_size=8, pool="gap")
TEXT = TextTowerConfig(width=32, layers=3, heads=4, context=CONTEXT)
MAE = "mae(decoder_width=16, decoder_layers=1, decoder_heads=2)"
SIMCLR = "simclr(hidden=16, out=8)"


def small(name: str) -> str:
    """An objective with every whole-number option at 32 at most, and two layers."""
    options = catalogue.options(catalogue.load_objective(name)).items()
    few = [f"{o}={min(default, 2 if 'layers' in o else 32)}" for o, (hint, default) in options if hint is int]
    return f"{name}({', '.join(few)})" if few else name


def config(objective: str, image: ImageTowerConfig = VIT, text: TextTowerConfig = TEXT) -> Config:
    return Config(objective=objective, model=ModelConfig("tiny", image, text, embed=16))


def computed(given: Config) -> float:
    """FLOPs of a sample of a step that is really taken: random weights, noise, captions of random words."""
    model = build_pretrainer(given, ClipTokenizer(context=CONTEXT))
    plan, rows = model.plan(1.0), 2
    noise = torch.Generator().manual_seed(0)
    views = {
        v: torch.randint(0, 256, (rows, 3, v.size, v.size), dtype=torch.uint8, generator=noise)
        for v in plan.views()
    }
    ids = torch.randint(1, 9000, (rows, CONTEXT), generator=noise)
    captions = dict.fromkeys(plan.captions, Words(ids, torch.full((rows,), CONTEXT)))
    batch = Batch(0, ("a", "b"), torch.arange(rows), 0, views, captions)
    return step_flops(model, batch, 1.0, 1) / rows


@pytest.mark.parametrize("name", catalogue.names())
def test_it_is_what_a_real_step_counts(name: str) -> None:
    given = config(small(name))
    assert sample_flops(given) == pytest.approx(computed(given), rel=1e-9)


@pytest.mark.parametrize(
    ("image", "text"),
    [(RESNET, TEXT), (VIT, replace(TEXT, layers=0, pool="mean", attention="bidirectional"))],
)
def test_other_towers(image: ImageTowerConfig, text: TextTowerConfig) -> None:
    given = config(f"clip + {SIMCLR}", image, text)
    assert sample_flops(given) == pytest.approx(computed(given), rel=1e-9)


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_any_depth(depth: int) -> None:
    given = config("clip", replace(VIT, layers=(depth,)), replace(TEXT, layers=depth))
    assert sample_flops(given) == pytest.approx(computed(given), rel=1e-9)


def test_late_objectives_count_for_their_share() -> None:
    clip, both, late = (sample_flops(config(o)) for o in ("clip", f"clip + {MAE}", f"clip + {MAE}@75%"))
    assert late == pytest.approx(0.75 * clip + 0.25 * both, rel=1e-9)


def test_a_second_source_of_pictures_costs_nothing() -> None:
    given = config(f"clip + {SIMCLR}")
    other = replace(given, data=DataConfig(sight="elsewhere"))
    assert sample_flops(other) == pytest.approx(sample_flops(given), rel=1e-9)


def test_vit_b16_costs_what_the_papers_sizes_give() -> None:
    """By hand, in multiply-adds: 12 layers of 197 tokens and of 77 words; a backward pass is two forwards."""

    def tower(tokens: int, width: int) -> int:
        return 12 * (tokens * 12 * width**2 + 2 * tokens**2 * width)

    stem = 196 * 768 * 768
    once = tower(197, 768) + tower(77, 512) + 768 * 512 + 512 * 512
    found = sample_flops(Config(objective="clip", model=models.vit_b16()))
    assert found == pytest.approx(2 * (3 * once + 2 * stem), rel=1e-3)


def test_towers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SightwordError, match="mae"):
        sample_flops(config("mae", RESNET))


def test_the_digest_changes_with_views_and_heads_only() -> None:
    model = config("").model
    same = {cost_digest(o, model) for o in ("simclr", "simclr(temperature=0.2)")}
    assert len(same) == 1
    others = {
        cost_digest(o, model) for o in ("simclr(out=128)", "clip", "clip(view=all)", "mae(ratio=0.5)", "mae")
    }
    assert len(others | same) == 6
