"""A head's training that was killed goes on to the same numbers; so do encoders that learn with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from asked_pictures import write_gqa, write_vqav2
from tiny_runs import TEXT, VIT, tiny

from sightword.config import ModelConfig
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.keeping import Keeper, forget
from sightword.evaluation.labelled import Benchmark
from sightword.evaluation.task import Answer
from sightword.evaluation.vqa import learning
from sightword.evaluation.vqa.recipe import Recipe
from sightword.evaluation.vqa.task import VQA
from sightword.pairs.words.tokenizer import LearnedTokenizer
from sightword.training.model import Model
from sightword.training.setup import Equipment, build_encoders
from sightword.words import Contrast

SMALL = Recipe(lrs=(3e-3, 1e-2), epochs=(2,), batch=60, width=16, hidden=16, dropout=0.5)


@pytest.fixture(scope="module")
def model() -> Model:
    shape = ModelConfig("tiny", VIT, TEXT, embed=16)
    words = LearnedTokenizer.train(["what color is the square", "is the square red green"], 280, 16)
    config = replace(tiny(Path("unused"), Path("unused")), model=shape)
    encoders = build_encoders(shape, words, 0, Equipment(text=True, contrast=Contrast()))
    return Model("tiny", config, encoders, words, "w0", device="cpu")


@pytest.fixture(scope="module")
def vqav2(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    where = write_vqav2(tmp_path_factory.mktemp("data") / "vqav2", train=60, val=10)
    return open_benchmark(f"vqav2={where}")


@pytest.fixture(scope="module")
def gqa(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    root = tmp_path_factory.mktemp("data") / "gqa"
    return open_benchmark(f"gqa={write_gqa(root, [('train', 60), ('val', 10), ('testdev', 10)])}")


class Steps:
    """Counts steps, and kills one when as many were made as may be."""

    made, most = 0, 10**9


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    counted, norm = Steps(), learning.gradient_norm

    def step(*rest: object) -> object:
        if counted.made == counted.most:
            raise KeyboardInterrupt
        counted.made += 1
        return norm(*rest)  # type: ignore[arg-type]

    monkeypatch.setattr(learning, "gradient_norm", step)
    monkeypatch.setattr(Keeper, "due", lambda self: self.path is not None)
    return counted


def answered(task: VQA, model: Model, on: Benchmark, folder: Path | None) -> Answer:
    torch.manual_seed(torch.seed() % 2**31)  # what was drawn before does not matter
    return task.answer(FeatureStore(model, folder), on.tests[0], on.train)


@contextmanager
def killed(steps: Steps, at: int) -> Iterator[None]:
    steps.made, steps.most = 0, at
    with pytest.raises(KeyboardInterrupt):
        yield
    steps.made, steps.most = 0, 10**9


def same(one: Answer, other: Answer) -> bool:
    return (
        one.outcomes.equals(other.outcomes) and one.chosen == other.chosen and one.measured == other.measured
    )


@pytest.mark.parametrize("tuned", [False, True])
def test_from_wherever_it_was_killed(
    model: Model, vqav2: Benchmark, tmp_path: Path, steps: Steps, tuned: bool
) -> None:
    """With and without pictures: two pairs are tried on four fifths of 120 questions, one learns from all."""
    task = VQA(tuned, replace(SMALL, towers=0.1 if tuned else 0.0))
    whole = answered(task, model, vqav2, None)
    straight = steps.made
    assert straight == 2 * 3 * 2 * 2
    for at in (10,) if tuned else (4, 9, 21):
        with killed(steps, at):
            answered(task, model, vqav2, tmp_path / str(at))
        assert same(answered(task, model, vqav2, tmp_path / str(at)), whole)
        assert steps.made == straight - at


def test_the_best_that_is_taken_as_it_is(model: Model, gqa: Benchmark, tmp_path: Path, steps: Steps) -> None:
    """The first of three pairs is best, on the publisher's validation split: it is not trained again."""
    task = VQA(False, replace(SMALL, lrs=(1e-2, 1e-7, 2e-7)))
    whole = answered(task, model, gqa, None)
    straight = steps.made
    assert whole.chosen["lr"] == 1e-2
    each = straight // 6
    for at in (each + 1, 3 * each):
        with killed(steps, at):
            answered(task, model, gqa, tmp_path / str(at))
        assert same(answered(task, model, gqa, tmp_path / str(at)), whole)
        assert steps.made == straight - at


def test_kept_work_is_of_one_protocol_and_goes(
    model: Model, vqav2: Benchmark, tmp_path: Path, steps: Steps
) -> None:
    task, others = VQA(False, SMALL), VQA(False, replace(SMALL, dropout=0.4))
    with killed(steps, 15):
        answered(task, model, vqav2, tmp_path)
    files = sorted(path.name for path in tmp_path.glob("*.unfinished.safetensors"))
    assert files == [f"vqav2-vqa.{part}.unfinished.safetensors" for part in ("looking", "question-only")]
    steps.made = 0
    answered(others, model, vqav2, tmp_path)
    assert steps.made == 24
    assert vqav2.train is not None
    forget(FeatureStore(model, tmp_path), vqav2.train, "vqa-finetuned")
    assert len(list(tmp_path.glob("*.unfinished.safetensors"))) == 2
    forget(FeatureStore(model, tmp_path), vqav2.train, "vqa")
    assert not list(tmp_path.glob("*.unfinished.safetensors"))
