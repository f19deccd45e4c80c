from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from colour_sets import ColourModel
from masked_folders import write_generic
from tiny_runs import RESNET, VIT, tiny

from sightword.config import ImageTowerConfig
from sightword.evaluation.benchmarks import Benchmark, open_benchmark
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.knn import KNN
from sightword.evaluation.linear import Linear
from sightword.evaluation.logistic import Fitted
from sightword.evaluation.masks import MaskedSet
from sightword.evaluation.retrieval import Retrieval
from sightword.evaluation.run import evaluate
from sightword.evaluation.segmentation import (
    Drawn,
    Segmentation,
    at_pixels,
    draw,
    held_out,
    predicted,
    tokens_of,
)
from sightword.evaluation.tasks import TASKS
from sightword.evaluation.zeroshot import ZeroShot
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.training.model import Model
from sightword.training.setup import Equipment, build_encoders

OPENAI = ImageTowerConfig(
    kind="modified-resnet", size=64, width=4, layers=(1, 1, 1, 1), heads=2, patch_size=32, pool="attention"
)


def model_of(image: ImageTowerConfig) -> Model:
    config = tiny(Path("nowhere"), Path("nothing"), image=image)
    tokenizer = ClipTokenizer(context=config.model.text.context)
    encoders = build_encoders(config.model, tokenizer, 3, Equipment(text=False))
    return Model("small", config, encoders, tokenizer, "w3", device="cpu")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return open_benchmark(
        str(write_generic(tmp_path_factory.mktemp("m") / "shapes", {"train": 30, "test": 12}))
    )


@pytest.mark.parametrize("image", [VIT, RESNET], ids=["vit", "resnet"])
def test_frozen_towers_are_read_out(image: ImageTowerConfig, shapes: Benchmark) -> None:
    """Colours are easy: most pixels are right, all but those beside the border of two regions."""
    model = model_of(image)
    answer = Segmentation(Drawn(each=40)).answer(FeatureStore(model, None), shapes.tests[0], shapes.train)
    found = {m.metric: m.interval.value for m in answer.measured}
    assert found["miou"] > 0.75
    assert found["pixel_accuracy"] > 0.85
    assert answer.chosen["pixels"] == 30 * 40
    assert answer.chosen["unreadable_to_learn_from"] == 0
    assert answer.outcomes["key"].to_pylist() == list(shapes.tests[0].keys)
    counts = np.array(answer.outcomes["true"].to_pylist())
    assert counts.sum(axis=1).tolist() == [30 * 42 - 9] * 12  # nine do not count


def test_tokens_lie_as_the_picture_does() -> None:
    for image in (VIT, RESNET, OPENAI):
        model = model_of(image)
        picture = np.zeros((40, 60, 3), dtype=np.uint8)
        changed = picture.copy()
        changed[:10, 45:] = 255  # top right
        one, other = tokens_of(model, [picture, changed])
        assert tuple(one.shape[1:]) == model.encoders.towers["image"].facts.grid  # type: ignore[union-attr]
        moved = (one - other).norm(dim=0)
        down, across = divmod(int(moved.argmax()), moved.shape[1])
        assert down < moved.shape[0] / 2 <= across


def test_learning_at_pixels_is_enlarging_tokens() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(5, 3, 4, generator=generator)
    large = F.interpolate(tokens[None], size=(17, 11), mode="bilinear", align_corners=False)[0]
    pixels = np.arange(17 * 11)
    torch.testing.assert_close(at_pixels(tokens, pixels, (17, 11)), large.flatten(1).T, atol=1e-5, rtol=1e-5)
    weight, bias = torch.randn(5, 2, generator=generator).double(), torch.tensor([0.1, -0.2]).double()
    fitted = Fitted(weight, bias, np.array([1, 4]), 0.0)
    scores = torch.einsum("dhw,dc->hwc", large.double(), weight) + bias
    np.testing.assert_array_equal(
        predicted(fitted, tokens, (17, 11)), np.array([1, 4])[scores.argmax(2).numpy()]
    )


def test_pixels_are_drawn_by_position_and_carry_their_class(shapes: Benchmark) -> None:
    model, train = model_of(VIT), shapes.train
    assert isinstance(train, MaskedSet)
    drawing = draw(model, train, Drawn(each=50))
    again = draw(model, train, Drawn(each=50))
    np.testing.assert_array_equal(drawing.features, again.features)
    for picture in (0, 7):
        mine = drawing.labels[drawing.pictures == picture]
        mask = train.mask(picture)
        shares = np.bincount(mask[mask >= 0], minlength=3) / (mask >= 0).sum()
        assert len(mine) == 50
        np.testing.assert_allclose(np.bincount(mine, minlength=3) / 50, shares, atol=0.25)
    assert Drawn(each=256, total=1000).of(10) == 100


def test_a_fifth_of_the_pictures_is_held_out_whole() -> None:
    pictures = np.repeat(np.arange(20), 7)
    held = held_out(pictures).reshape(20, 7)
    assert (held.all(axis=1) == held.any(axis=1)).all()
    assert held.any(axis=1).sum() == 4


def test_the_test_part_is_never_learned_from(shapes: Benchmark) -> None:
    test = shapes.tests[0]
    assert isinstance(test, MaskedSet)
    model, task = model_of(VIT), Segmentation(Drawn(each=20))
    honest = task.answer(FeatureStore(model, None), test, shapes.train)
    wrong = replace(test, mask=lambda i: (test.mask(i) + 1).clip(0, 2))
    other = task.answer(FeatureStore(model, None), wrong, shapes.train)
    assert other.chosen == honest.chosen
    assert other.measured[0].interval.value < honest.measured[0].interval.value


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    root = write_generic(tmp_path / "x", {"train": 6, "val": 4, "test": 4})
    (root / "images/train/2.png").write_bytes(b"no picture")
    (root / "masks/test/1.png").write_bytes(b"no mask")
    benchmark = open_benchmark(str(root))
    task = Segmentation(Drawn(each=20))
    answer = task.answer(FeatureStore(model_of(VIT), None), benchmark.tests[0], benchmark.train)
    assert answer.chosen["unreadable_to_learn_from"] == 1
    assert answer.chosen["pixels"] == (5 + 4) * 20
    assert answer.outcomes["key"].to_pylist() == ["test/0", "test/2", "test/3"]
    assert "the val split" in task.protocol(model_of(VIT), benchmark.tests[0], benchmark.train)["chosen_on"]


def test_what_cannot_be_read_is_in_the_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_generic(tmp_path / "x", {"train": 6, "val": 4, "test": 5})
    for name in ("images/train/2.png", "images/test/0.png", "masks/test/3.png", "masks/val/1.png"):
        (root / name).write_bytes(b"nothing")
    said: list[str] = []
    task = next(task for task in TASKS if task.name == "segmentation")
    monkeypatch.setattr(task, "settings", Drawn(each=20))
    scores = evaluate(model_of(VIT), tmp_path / "run", [str(root)], ["segmentation"], say=said.append)
    assert [(score.n, score.unreadable) for score in scores] == [(3, 2)] * 3
    told = [line for line in said if "left out" in line]
    assert ["left out 2 of 5 test" in told[0], "left out 1 of 6 train" in told[1]] == [True, True]
    assert "left out 1 of 4 val pictures, unreadable (val/1: not a readable mask" in told[2]


def test_refusals(shapes: Benchmark, folder: Path) -> None:
    task, model = Segmentation(), model_of(VIT)
    test = shapes.tests[0]
    assert task.refuses(model, test, shapes.train) == ""
    assert "no patch tokens" in task.refuses(ColourModel(), test, shapes.train)
    assert "no masks to learn from" in task.refuses(model, test, None)
    assert task.refuses(model, open_benchmark(str(folder)).tests[0], None) == "the set has no masks"
    for other in (ZeroShot(), KNN(), Linear(), Retrieval()):
        assert other.refuses(ColourModel(), test, shapes.train)
