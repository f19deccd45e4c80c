"""Questions about colours, answered by a tiny untrained model with a head above it, frozen and fine-tuned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from asked_pictures import write_gqa, write_vqav2
from tiny_runs import TEXT, VIT, tiny

from sightword.config import ModelConfig
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.differences import differences
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.outcomes import read_outcomes
from sightword.evaluation.run import evaluate
from sightword.evaluation.scores import Score
from sightword.evaluation.tasks import DEFAULT, TASKS
from sightword.evaluation.vqa.head import Head, Scale
from sightword.evaluation.vqa.learning import Answerer, Pool, train
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.evaluation.vqa.recipe import Recipe
from sightword.evaluation.vqa.seeing import Trained
from sightword.evaluation.vqa.task import VQA
from sightword.evaluation.vqa.vocabulary import Vocabulary
from sightword.pairs.words.tokenizer import LearnedTokenizer
from sightword.training.model import Model
from sightword.training.setup import Equipment, build_encoders
from sightword.words import Contrast

QUICK = Recipe(lrs=(3e-3,), epochs=(20,), batch=120, width=32, hidden=64, dropout=0.0)
TUNED = replace(QUICK, epochs=(10,), towers=0.1)


def model(text: bool = True, hashed: str = "w0") -> Model:
    shape = ModelConfig("tiny", VIT, TEXT, embed=16)
    words = LearnedTokenizer.train(["what color is the square", "is the square red green"], 280, 16)
    has = Equipment(text=text, contrast=Contrast() if text else None)
    config = replace(tiny(Path("unused"), Path("unused")), model=shape)
    return Model("tiny", config, build_encoders(shape, words, 0, has), words, hashed, device="cpu")


@pytest.fixture(scope="module")
def vqav2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vqav2(tmp_path_factory.mktemp("data") / "vqav2", train=120, val=60, agreeing=8)


def parts(where: str) -> tuple[QuestionSet, QuestionSet]:
    benchmark = open_benchmark(where)
    test, train = benchmark.tests[0], benchmark.train
    assert isinstance(test, QuestionSet)
    assert isinstance(train, QuestionSet)
    return test, train


def values(answer_of: VQA, found: Model, where: str) -> dict[str, float]:
    test, train = parts(where)
    answer = answer_of.answer(FeatureStore(found, None), test, train)
    return {one.metric: one.interval.value for one in answer.measured}


def test_looking_beats_asking_alone(vqav2: Path) -> None:
    test, train = parts(f"vqav2={vqav2}")
    answer = VQA(recipe=QUICK).answer(FeatureStore(model(), None), test, train)
    found = {one.metric: one for one in answer.measured}
    assert found["vqa_accuracy"].interval.value > 0.8
    assert found["vqa_accuracy_question_only"].interval.value < 0.6
    assert found["vqa_accuracy_gained"].interval.low > 0.2
    assert found["vqa_accuracy_ceiling"].interval.value == 1
    assert {one.n for one in answer.measured[:4]} == {120}
    assert found["vqa_accuracy@other"].n == found["vqa_accuracy@yes/no"].n == 60
    both = [found[f"vqa_accuracy@{kind}"].interval.value for kind in ("other", "yes/no")]
    assert np.mean(both) == pytest.approx(found["vqa_accuracy"].interval.value)
    assert "over clusters" in found["vqa_accuracy"].method
    assert set(answer.names) == {"red", "green", "blue", "yellow", "yes", "no"}


def test_fine_tuning_learns_and_leaves_the_model_alone(vqav2: Path) -> None:
    tuned = model()
    before = {name: tensor.clone() for name, tensor in tuned.encoders.state_dict().items()}
    found = values(VQA(tuned=True, recipe=TUNED), tuned, f"vqav2={vqav2}")
    assert found["vqa_accuracy"] > 0.8
    assert found["vqa_accuracy_question_only"] < 0.6
    assert all(torch.equal(tensor, before[name]) for name, tensor in tuned.encoders.state_dict().items())


def test_encoders_learn_at_their_own_rate(vqav2: Path) -> None:
    _, part = parts(f"vqav2={vqav2}")
    pool = Pool(part, np.arange(len(part.questions)), Vocabulary.of(part).targets(part))
    recipe, cpu = replace(TUNED, batch=len(pool.rows), wd=0.0, towers=0.05), torch.device("cpu")
    scale = Scale(torch.zeros(24), torch.ones(24))
    answerer = Answerer(Trained(model(), False, torch.float32), Head(scale, scale, 6, recipe))
    before = {name: parameter.detach().clone() for name, parameter in answerer.named_parameters()}
    train(answerer, pool, recipe, 1e-3, 1, cpu, "one step")
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in answerer.named_parameters()}
    for name in ("head.answers.weight", "head.image.weight"):  # Adam's first step is as long as its rate
        assert moved[name] == pytest.approx(1e-3, rel=0.02)
    for tower in ("image", "text"):
        mine = [by for name, by in moved.items() if name.startswith(f"seeing.towers.{tower}.")]
        assert max(mine) == pytest.approx(5e-5, rel=0.02)


@pytest.mark.parametrize("tuned", [False, True])
def test_the_same_every_time_whatever_was_drawn_before(vqav2: Path, tuned: bool) -> None:
    task = VQA(tuned, replace(TUNED if tuned else QUICK, epochs=(2,), dropout=0.3))
    test, train = parts(f"vqav2={vqav2}")

    def once(seed: int) -> list[dict[str, object]]:
        torch.manual_seed(seed)
        return task.answer(FeatureStore(model(), None), test, train).outcomes.to_pylist()

    assert once(1) == once(2)


def test_settings_are_chosen_on_held_out_pictures(vqav2: Path) -> None:
    recipe = replace(QUICK, lrs=(1e-6, 3e-3), epochs=(1, 12))
    test, train = parts(f"vqav2={vqav2}")
    chosen = VQA(recipe=recipe).answer(FeatureStore(model(), None), test, train).chosen
    assert (chosen["lr"], chosen["epochs"]) == (3e-3, 12)
    assert 0.6 < chosen["held_out_vqa_accuracy"] <= 1
    assert chosen["question_only"]["held_out_vqa_accuracy"] < chosen["held_out_vqa_accuracy"]


def test_gqas_own_validation_split_is_used(tmp_path: Path) -> None:
    root = write_gqa(tmp_path / "gqa", [("train", 60), ("val", 10), ("testdev", 20)])
    test, train = parts(f"gqa={root}")
    task = VQA(recipe=replace(QUICK, lrs=(1e-6, 3e-3)))
    protocol = task.protocol(model(), test, train)
    assert protocol["chosen_on"] == "the val split"
    assert protocol["loss"] == "cross-entropy"
    answer = task.answer(FeatureStore(model(), None), test, train)
    found = {one.metric: one for one in answer.measured}
    assert answer.chosen["lr"] == 3e-3
    assert found["vqa_accuracy"].interval.value > 0.7
    assert found["vqa_accuracy@structural=query"].n == 20
    assert found["vqa_accuracy@semantic=attr"].n == 40


def scored(out: Path, where: Path, found: Model) -> tuple[list[Score], list[str]]:
    said: list[str] = []
    return evaluate(found, out, [f"vqav2={where}"], ["zeroshot", "linear", "vqa"], say=said.append), said


def test_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = next(task for task in TASKS if task.name == "vqa")
    assert not {"vqa", "vqa-finetuned"} & set(DEFAULT)
    monkeypatch.setattr(task, "settings", replace(QUICK, epochs=(60,)))
    where, out = write_vqav2(tmp_path / "vqav2", 40, 12), tmp_path / "run"
    broken = where / "val2014" / "COCO_val2014_000000500003.jpg"
    broken.write_bytes(b"no picture")
    (where / "train2014" / "COCO_train2014_000000001006.jpg").write_bytes(b"no picture")
    scores, said = scored(out, where, model())
    assert sum(line.startswith("not scored: vqav2/val") for line in said) == 2
    assert sum("left out 1 of 12 val pictures" in line for line in said) == 1
    assert sum("left out 1 of 40 train pictures" in line for line in said) == 1
    assert {score.task for score in scores} == {"vqa"}
    first = scores[0]
    assert (first.metric, first.n, first.unreadable) == ("vqa_accuracy", 22, 1)
    assert first.value > 0.8 > scores[1].value
    rows = read_outcomes(out / "outcomes" / "vqav2-val-vqa.parquet").table.to_pylist()
    assert len(rows) == 22
    assert np.mean([row["vqa_accuracy"] for row in rows]) == pytest.approx(first.value)
    assert np.mean([row["vqa_accuracy_question_only"] for row in rows]) == pytest.approx(scores[1].value)
    assert broken.name not in {row["cluster"] for row in rows}
    for row in rows:
        right = row["answers"][0] == row["predicted"]  # all ten agree here
        assert (row["correct"], row["vqa_accuracy"]) == (right, float(right))
    assert scored(out, where, model())[0] == scores  # found, not made again
    assert (out / "features" / "vqav2-train-questions.safetensors").is_file()


def test_two_runs_are_compared_question_by_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = next(task for task in TASKS if task.name == "vqa")
    where = write_vqav2(tmp_path / "vqav2", 40, 20)
    monkeypatch.setattr(task, "settings", replace(QUICK, epochs=(60,)))
    scored(tmp_path / "good", where, model())
    poor = model(hashed="w1")
    for tensor in poor.encoders.towers["image"].parameters():
        tensor.data.zero_()  # sees nothing
    scored(tmp_path / "poor", where, poor)
    found, blind = differences(tmp_path / "poor", tmp_path / "good").differences
    assert (found.metric, found.n, found.headline) == ("vqa_accuracy", 40, True)
    assert (blind.metric, blind.difference.value) == ("vqa_accuracy_question_only", 0)
    assert found.difference.low > 0
    assert found.difference.value == pytest.approx(found.second - found.first)


def test_what_cannot_be_asked_is_refused(vqav2: Path, folder: Path) -> None:
    test, train = parts(f"vqav2={vqav2}")
    other = open_benchmark(str(folder)).tests[0]
    task = VQA()
    assert task.refuses(model(), test, train) == ""
    assert task.refuses(model(), other, other) == "the set asks no questions"
    assert task.refuses(model(text=False), test, train) == "the run has no text tower"
    assert task.refuses(model(), test, None) == "there is no train split to learn from"
