from __future__ import annotations

from dataclasses import replace
from itertools import chain
from math import cos, pi
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from colour_sets import ColourModel, write_folder
from jaxtyping import Float, UInt8
from torch import Tensor

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import Benchmark, open_benchmark
from sightword.evaluation.features import FeatureStore, read_features
from sightword.evaluation.keeping import Keeper
from sightword.evaluation.linear_sgd import Head, LinearSGD, Pictures, Recipe, resized, training_view
from sightword.evaluation.run import evaluate
from sightword.evaluation.task import Answer
from sightword.evaluation.tasks import TASKS
from sightword.views.decode import decode
from sightword.views.evaluation import centre
from sightword.views.pipeline import make_views

SHORT = Recipe(epochs=6, batch=16, lr=8.0)


@pytest.fixture
def colours(tmp_path: Path) -> Benchmark:
    return open_benchmark(str(write_folder(tmp_path / "colours")))


def test_the_rate_is_slips() -> None:
    recipe = Recipe()
    assert (recipe.epochs, recipe.momentum) == (90, 0.9)
    assert recipe.rate(0) == pytest.approx(0.1)
    assert recipe.rate(45) == pytest.approx(0.05)
    assert recipe.rate(89) == pytest.approx(0.1 * 0.5 * (1 + cos(pi * 89 / 90)))
    assert Recipe(batch=1024).rate(0) == pytest.approx(0.4)
    assert resized(224) == 256
    assert resized(32) == 37
    assert (training_view(32).scale, training_view(32).flip, training_view(32).jitter) == (
        (0.08, 1.0),
        0.5,
        None,
    )


def test_the_head_steps_as_momentum_does_by_hand() -> None:
    generator = np.random.default_rng(0)
    x = torch.from_numpy(generator.standard_normal((3, 10, 4)).astype(np.float32))
    y = generator.integers(0, 3, (3, 10))
    head = Head(4, 3, 0.9)
    assert 0.003 < float(head.weight.detach().std()) < 0.03
    weight, bias = head.weight.detach().double().numpy().copy(), np.zeros(3)
    speeds = [np.zeros_like(weight), np.zeros(3)]
    for i, rate in enumerate((0.5, 0.4, 0.1)):
        head.step(x[i], y[i], rate)
        logits = x[i].numpy().astype(np.float64) @ weight.T + bias
        wrong = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(3)[y[i]]
        slopes = [wrong.T @ x[i].numpy() / 10, wrong.mean(0)]
        speeds = [0.9 * speed + slope for speed, slope in zip(speeds, slopes, strict=True)]
        weight, bias = weight - rate * speeds[0], bias - rate * speeds[1]
    np.testing.assert_allclose(head.weight.detach().numpy(), weight, atol=1e-5)
    np.testing.assert_allclose(head.bias.detach().numpy(), bias, atol=1e-5)


def test_the_whole_recipe_by_hand(colours: Benchmark) -> None:
    """Order, views, features and steps written out: the task's layer gives the same probabilities."""
    model, train, test = ColourModel(), colours.train, colours.tests[0]
    assert train is not None
    assert train.classes is not None
    assert test.classes is not None
    pictures = Pictures([train])
    head = Head(12, 6, 0.9)
    for epoch in range(SHORT.epochs):
        rate = 8.0 * 16 / 256 * 0.5 * (1 + cos(pi * epoch / 6))
        for ids, _ in pictures.batches(16, epoch):
            images = [decode(train.read(i), "x") for i in ids.tolist()]
            views = make_views(images, [training_view(8)], 0, ids, epoch)[training_view(8)]
            head.step(model.encode_image(views), train.classes.of[ids], rate)
    answer = LinearSGD(SHORT).answer(FeatureStore(model, None), test, train)
    shown = centre([decode(test.read(i), "x") for i in range(len(test))], 8, 9)
    expected = F.softmax(model.encode_image(shown) @ head.weight.T + head.bias, dim=1).max(1).values
    found = [row[0] for row in answer.outcomes["probabilities"].to_pylist()]
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-5)
    assert answer.measured[0].interval.value > 0.8
    assert answer.chosen["train_loss"] < 1.79  # of six classes known by chance


def test_each_epoch_has_another_order_and_every_picture_once(colours: Benchmark) -> None:
    assert colours.train is not None
    pictures = Pictures([colours.train, colours.tests[0]])
    one, other, again = (
        np.concatenate([ids for ids, _ in pictures.batches(7, epoch)]) for epoch in (0, 1, 0)
    )
    assert sorted(one.tolist()) == sorted(other.tolist()) == list(range(72))
    assert one.tolist() == again.tolist() != other.tolist()
    ids, images = next(pictures.batches(7, 3))
    for i, image in zip(ids.tolist(), images, strict=True):
        source = colours.train if i < 36 else colours.tests[0]
        np.testing.assert_array_equal(image, decode(source.read(i % 36), "x"))


def test_pictures_that_are_not_kept_are_read_again(
    colours: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert colours.train is not None
    whole = [images for _, images in Pictures([colours.train]).batches(9, 0)]
    monkeypatch.setattr("sightword.evaluation.linear_sgd.KEPT", 1000)  # two pictures of 12 x 10
    some = [images for _, images in Pictures([colours.train]).batches(9, 0)]
    for one, other in zip(chain.from_iterable(whole), chain.from_iterable(some), strict=True):
        np.testing.assert_array_equal(one, other)


def test_both_transforms_of_a_set_are_kept_apart(colours: Benchmark, tmp_path: Path) -> None:
    store = FeatureStore(ColourModel(), tmp_path / "f")
    usual = store.of(colours.tests[0], "pooled")
    LinearSGD(replace(SHORT, epochs=1)).answer(store, colours.tests[0], colours.train)
    files = sorted(path.name for path in (tmp_path / "f").glob("colours-test*"))
    assert files == ["colours-test-resize9.safetensors", "colours-test.safetensors"]
    again = FeatureStore(ColourModel(), tmp_path / "f")
    np.testing.assert_array_equal(
        again.of(colours.tests[0], "pooled").values["pooled"], usual.values["pooled"]
    )
    other = again.of(colours.tests[0], "pooled", 9).values["pooled"]
    assert np.abs(other - usual.values["pooled"]).max() > 1e-3
    assert '"resize": 9' in read_features(tmp_path / "f" / files[0])[1]["transform"]
    assert again.model.seen == 0  # type: ignore[attr-defined]


def test_validation_is_learned_from_and_the_unreadable_counted(colours: Benchmark, tmp_path: Path) -> None:
    train = colours.train
    assert train is not None
    (tmp_path / "colours" / "train" / train.keys[5]).write_bytes(b"no picture")
    short = replace(SHORT, epochs=1)
    alone = LinearSGD(short).answer(FeatureStore(ColourModel(), None), colours.tests[0], train)
    assert alone.chosen["unreadable_to_learn_from"] == 1
    both = replace(train, validation=colours.tests[0])
    more = LinearSGD(short).answer(FeatureStore(ColourModel(), None), colours.tests[0], both)
    assert more.chosen["train_loss"] != alone.chosen["train_loss"]
    facts = LinearSGD(short).protocol(ColourModel(), colours.tests[0], both)
    assert facts["validation_data_hash"] == colours.tests[0].data_hash


def test_divergence_is_an_error() -> None:
    head = Head(2, 2, 0.9)
    with pytest.raises(SightwordError, match="diverged"):
        head.step(torch.full((4, 2), torch.inf), np.zeros(4, dtype=np.int64), 0.1)


def test_without_a_train_split_it_is_refused(colours: Benchmark) -> None:
    assert "train" in LinearSGD().refuses(ColourModel(), colours.tests[0], None)


class Slow(ColourModel):
    """Counts what it encodes to learn from, and is killed when it encoded as much as it may."""

    def __init__(self, most: int = 10**9, **facts: object) -> None:
        super().__init__(**facts)  # type: ignore[arg-type]
        self.views, self.most = 0, most

    def encode_image(self, images: UInt8[Tensor, "b 3 h w"], project: bool = False) -> Float[Tensor, "b d"]:
        if len(images) <= 16:  # a batch of the recipe
            if self.views == self.most:
                raise KeyboardInterrupt
            self.views += 1
        return super().encode_image(images, project)


@pytest.mark.parametrize("dies_at", [0, 1, 5, 6, 17])
def test_a_killed_one_goes_on_to_the_same_numbers(
    colours: Benchmark, tmp_path: Path, dies_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """36 pictures in batches of 16: three steps an epoch, six epochs."""
    test, train = colours.tests[0], colours.train

    def answered(model: Slow, folder: Path | None) -> Answer:
        return LinearSGD(SHORT).answer(FeatureStore(model, folder), test, train)

    whole, straight = answered(unkilled := Slow(), None), 18
    assert unkilled.views == straight
    monkeypatch.setattr(Keeper, "due", lambda self: True)
    with pytest.raises(KeyboardInterrupt):
        answered(Slow(dies_at), tmp_path / "f")
    again = answered(second := Slow(), tmp_path / "f")
    assert second.views == straight - dies_at
    assert again.outcomes.equals(whole.outcomes)
    assert again.chosen == whole.chosen
    third = answered(done := Slow(), tmp_path / "f")  # killed before the score was written
    assert done.views == 0
    assert third.outcomes.equals(whole.outcomes)
    assert third.chosen == whole.chosen
    answered(other := Slow(weights_hash="w1"), tmp_path / "f")
    assert other.views == straight
    LinearSGD(replace(SHORT, lr=4.0)).answer(FeatureStore(changed := Slow(), tmp_path / "f"), test, train)
    assert changed.views == straight


def test_kept_work_goes_when_the_score_is_written(
    colours: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = next(task for task in TASKS if task.name == "linear-sgd")
    monkeypatch.setattr(task, "settings", SHORT)
    folder, out = tmp_path / "colours", tmp_path / "run"

    def full(*rest: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as some:
        some.setattr("sightword.evaluation.scoring.append_scores", full)
        with pytest.raises(SightwordError, match="cannot write"):
            evaluate(ColourModel(), out, [str(folder)], ["linear-sgd"])
    kept = out / "features" / "colours-linear-sgd.unfinished.safetensors"
    assert kept.is_file()
    others = kept.with_name("colours-linear-sgd-other.unfinished.safetensors")
    others.write_bytes(kept.read_bytes())
    steps: list[float] = []
    monkeypatch.setattr(Head, "step", lambda *rest: steps.append(0.0))
    evaluate(ColourModel(), out, [str(folder)], ["linear-sgd"])
    assert steps == []
    assert not kept.exists()
    assert others.exists()


def test_pictures_that_cannot_be_read_are_in_the_score(colours: Benchmark, tmp_path: Path) -> None:
    assert colours.train is not None
    for part in (colours.train, colours.tests[0]):
        (tmp_path / "colours" / part.split / part.keys[5]).write_bytes(b"no picture")
    said: list[str] = []
    out, place = tmp_path / "run", str(tmp_path / "colours")
    task = next(task for task in TASKS if task.name == "linear-sgd")
    with pytest.MonkeyPatch.context() as some:
        some.setattr(task, "settings", replace(SHORT, epochs=1))
        scores = evaluate(ColourModel(), out, [place], ["linear-sgd"], say=said.append)
    assert [score.unreadable for score in scores] == [1] * len(scores)
    assert scores[0].n == 35
    assert sum("left out 1 of 36 test pictures" in line for line in said) == 1
    assert (
        sum(f"left out 1 of 36 train pictures, unreadable ({colours.train.keys[5]}" in s for s in said) == 1
    )
