from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from colour_sets import COLOURS
from tuned_runs import TOWERS, colours, model_of, quick

from sightword.evaluation.finetune.pictures import Feeder, Taught, TuningBatch
from sightword.evaluation.finetune.recipe import FineTuneRecipe
from sightword.evaluation.labelled import LabelledSet

FACTS = model_of(TOWERS["vit"]).encoders.towers["image"].facts
PLAIN = quick(mixing=None, augment=None, erasing=None, jitter=0.0, scale=(1.0, 1.0), flip=0.0)


@pytest.fixture
def train(tmp_path: Path) -> LabelledSet:
    found = colours(tmp_path).train
    assert found is not None
    return found


def feeder(
    train: LabelledSet, recipe: FineTuneRecipe, seed: int = 0, draws: int = 0, kept: int = 2**20
) -> Feeder:
    taught = Taught([(train, np.arange(len(train)))], kept)
    return Feeder(taught, np.arange(len(train)), recipe, FACTS, draws, seed)


def made(one: Feeder, epoch: int, index: int, threads: int = 1) -> TuningBatch:
    with ThreadPoolExecutor(threads) as pool:
        return one.batch(epoch, index, pool)


def same(one: TuningBatch, other: TuningBatch) -> bool:
    return (
        torch.equal(one.images, other.images)
        and one.mix == other.mix
        and torch.equal(one.labels, other.labels)
    )


def test_labels_belong_to_their_pictures_and_the_order_changes(train: LabelledSet) -> None:
    assert train.classes is not None
    one = feeder(train, PLAIN)
    orders = []
    for epoch in (0, 1):
        batches = [made(one, epoch, index) for index in range(one.steps)]
        for batch in batches:
            for image, label in zip(batch.images, batch.labels.tolist(), strict=True):
                wanted = np.array(COLOURS[train.classes.names[label]])
                mean = image.float().mean((1, 2)).numpy()
                nearest = min(COLOURS, key=lambda name: np.abs(np.array(COLOURS[name]) - mean).sum())
                assert np.array_equal(COLOURS[nearest], wanted)
        orders.append(torch.cat([batch.labels for batch in batches]))
        assert torch.bincount(orders[-1]).tolist() == [8] * 6
    assert not torch.equal(*orders)


def test_what_does_not_fill_a_batch_is_left_out_and_nothing_comes_twice(train: LabelledSet) -> None:
    one = feeder(train, replace(PLAIN, batch=10))
    assert one.steps == 4
    seen = torch.cat([made(one, 0, index).images for index in range(4)]).flatten(1)
    assert len(seen) == 40
    assert len(torch.unique(seen, dim=0)) == 40


def test_batches_are_functions_of_seed_epoch_and_place(train: LabelledSet) -> None:
    recipe = quick(batch=12)
    whole = feeder(train, recipe, draws=4)
    first = made(whole, 2, 1)
    assert same(made(whole, 2, 1, threads=4), first)
    assert same(made(feeder(train, recipe, draws=4, kept=0), 2, 1), first)
    ahead = {(epoch, index): batch for epoch, index, batch in whole.batches([(0, 0), (2, 1), (2, 2)])}
    assert list(ahead) == [(0, 0), (2, 1), (2, 2)]
    assert same(ahead[2, 1], first)
    assert torch.equal(ahead[2, 1].draws, first.draws)
    assert first.draws.shape == (12, 4)
    assert ((first.draws >= 0) & (first.draws < 1)).all()
    for other in (made(whole, 3, 1), made(whole, 2, 2), made(feeder(train, recipe, seed=1), 2, 1)):
        assert not same(other, first)
    assert made(feeder(train, recipe), 0, 0).draws is None


def test_each_part_of_the_recipe_changes_pictures(train: LabelledSet) -> None:
    plain = made(feeder(train, PLAIN), 0, 0).images
    whole = FineTuneRecipe.beit("S")
    for part in (
        {"mixing": whole.mixing},
        {"augment": whole.augment},
        {"erasing": whole.erasing},
        {"scale": whole.scale},
        {"flip": 1.0},
        {"jitter": 0.4},
    ):
        images = made(feeder(train, replace(PLAIN, batch=40, **part)), 0, 0).images
        assert not torch.equal(images[:6], plain), part
    assert torch.equal(made(feeder(train, replace(PLAIN, flip=1.0)), 0, 0).images, plain.flip(3))


def test_jitter_counts_only_without_randaugment(train: LabelledSet) -> None:
    with_both = replace(PLAIN, augment=FineTuneRecipe.beit("S").augment, jitter=0.4)
    without = replace(with_both, jitter=0.0)
    assert same(made(feeder(train, with_both), 0, 0), made(feeder(train, without), 0, 0))


def test_several_sets_are_one(train: LabelledSet) -> None:
    both = Taught([(train, np.array([3, 5])), (train, np.array([40]))])
    assert len(both) == 3
    assert train.classes is not None
    assert both.labels.tolist() == train.classes.of[[3, 5, 40]].tolist()
    assert np.array_equal(both.picture(2), Taught([(train, np.array([40]))]).picture(0))
