from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tiny_runs import RESNET, VIT

from sightword.errors import SightwordError
from sightword.evaluation.finetune.recipe import FineTuneRecipe, Size, size_of
from sightword.training.optimizer import learning_rate


@pytest.mark.parametrize(
    ("size", "epochs", "warmup", "decay", "path"),
    [("S", 100, 20, 0.65, 0.0), ("B", 100, 20, 0.65, 0.1), ("L", 50, 5, 0.75, 0.1)],
)
def test_beits_recipe_is_what_slips_readme_passes(
    size: Size, epochs: int, warmup: float, decay: float, path: float
) -> None:
    recipe = FineTuneRecipe.beit(size)
    assert (recipe.batch, recipe.lr, recipe.wd, recipe.betas) == (1024, 4e-3, 0.05, (0.9, 0.999))
    assert (recipe.epochs, recipe.warmup, recipe.lr_start, recipe.lr_end) == (epochs, warmup, 0.0, 1e-6)
    assert (recipe.layer_decay, recipe.drop_path, recipe.smoothing) == (decay, path, 0.1)
    assert recipe.mixing is not None
    assert recipe.augment is not None
    assert recipe.erasing is not None
    assert (recipe.mixing.mixup, recipe.mixing.cutmix, recipe.mixing.switch) == (0.8, 1.0, 0.5)
    assert (recipe.augment.magnitude, recipe.augment.deviation, recipe.augment.layers) == (9, 0.5, 2)
    assert (recipe.erasing.p, recipe.scale, recipe.flip, recipe.jitter) == (0.25, (0.08, 1.0), 0.5, 0.4)


def test_deits_recipe_for_small_sets() -> None:
    recipe = FineTuneRecipe.deit()
    assert (recipe.epochs, recipe.warmup, recipe.batch, recipe.lr) == (1000, 5.0, 768, 7.5e-6)
    assert (recipe.layer_decay, recipe.drop_path, recipe.erasing) == (1.0, 0.1, None)


def test_a_small_set_has_a_smaller_batch_and_rate() -> None:
    recipe = FineTuneRecipe.beit("B")
    fitted = recipe.fitted(1000)
    assert (fitted.batch, fitted.lr) == (64, 4e-3 / 16)
    assert recipe.fitted(1_281_167) == recipe
    for samples in (5, 16, 100, 4095, 8192):
        its = recipe.fitted(samples)
        assert samples // its.batch >= min(8, samples // 2)
        assert its.lr == pytest.approx(4e-3 * its.batch / 1024)
    assert replace(recipe, batch=50).fitted(10_000).batch == 50


def test_fewer_epochs_have_the_same_share_of_warm_up() -> None:
    assert FineTuneRecipe.beit("S", epochs=30).warmup == 6
    assert FineTuneRecipe.beit("L", epochs=10).warmup == 1
    assert FineTuneRecipe.beit("S", batch=256).lr == 1e-3


def test_the_rate_rises_to_the_peak_and_falls_to_the_end() -> None:
    config = FineTuneRecipe.beit("S").optimizer
    rates = [learning_rate(config, step, 1000) for step in range(1001)]
    assert rates[0] == 0
    assert rates[100] == pytest.approx(2e-3)
    assert max(rates) == rates[200] == 4e-3
    assert rates[600] == pytest.approx((4e-3 + 1e-6) / 2)
    assert rates[1000] == pytest.approx(1e-6)
    slow = replace(FineTuneRecipe.deit(), lr=1e-7).optimizer  # below the recipe's first and last rate
    assert max(learning_rate(slow, step, 1000) for step in range(1001)) == 1e-7


def test_sizes_go_by_the_width_of_a_vit() -> None:
    assert [size_of(replace(VIT, width=width)) for width in (192, 384, 768, 1024)] == ["S", "S", "B", "L"]
    assert size_of(replace(RESNET, width=1024)) == "S"


def test_a_record_is_json_and_differs_when_anything_does() -> None:
    recipe = FineTuneRecipe.beit("S")
    others = [recipe.at(2.0), recipe.fitted(100), replace(recipe, mixing=None), recipe.from_scratch()]
    told = {json.dumps(one.record(), sort_keys=True) for one in (recipe, *others)}
    assert len(told) == 5


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch": 1}, {"lr": 0.0}])
def test_impossible_recipes_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SightwordError, match="wanted at least 1 epoch"):
        replace(FineTuneRecipe.beit("S"), **wrong)
