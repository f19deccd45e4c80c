from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from colour_sets import ColourModel
from sklearn.metrics import balanced_accuracy_score
from tiny_runs import VIT
from tuned_runs import TOWERS, colours, model_of, quick

from sightword.errors import SightwordError
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.finetune.classifier import make_classifier
from sightword.evaluation.finetune.task import FineTune, held_out_score, pool
from sightword.evaluation.keeping import Keeper, Standing
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.task import Answer
from sightword.evaluation.tasks import DEFAULT, TASKS
from sightword.training.model import Model

CALM = quick(batch=4, mixing=None, augment=None, erasing=None, jitter=0.0, scale=(0.8, 1.0), head_scale=1.0)


@pytest.fixture
def benchmark_of_colours(tmp_path: Path) -> Benchmark:
    return colours(tmp_path)


def answered(task: FineTune, model: Model, on: Benchmark, folder: Path | None = None) -> Answer:
    return task.answer(FeatureStore(model, folder), on.tests[0], on.train)


def acc1(answer: Answer) -> float:
    return next(one.interval.value for one in answer.measured if one.metric == "acc1")


def equal(one: Answer, other: Answer) -> bool:
    return one.outcomes.equals(other.outcomes) and one.chosen == other.chosen


@pytest.mark.parametrize("name", TOWERS)
def test_every_tower_learns_and_the_model_stays_as_it_is(name: str, benchmark_of_colours: Benchmark) -> None:
    model = model_of(TOWERS[name])
    before = {key: value.clone() for key, value in model.encoders.state_dict().items()}
    answer = answered(
        FineTune(replace(CALM, epochs=10, lr=1e-2, layer_decay=0.9)), model, benchmark_of_colours
    )
    assert acc1(answer) > 0.5  # chance is 1 in 6
    assert {one.metric for one in answer.measured} >= {"acc1", "acc5", "mean_per_class_recall"}
    assert answer.outcomes["key"].to_pylist() == list(benchmark_of_colours.tests[0].keys)
    for key, value in model.encoders.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_same_seed_same_numbers_and_another_seed_others(benchmark_of_colours: Benchmark) -> None:
    model = model_of(replace(VIT, layers=(2,)))
    recipe = replace(quick(2), drop_path=0.3)  # everything that chance decides
    first = answered(FineTune(recipe), model, benchmark_of_colours)
    assert equal(answered(FineTune(recipe), model, benchmark_of_colours), first)
    for task in (FineTune(recipe, seed=1), FineTune(replace(recipe, drop_path=0.0))):
        assert not equal(answered(task, model, benchmark_of_colours), first)


Whole = Callable[[str], tuple[Model, Benchmark, Answer]]


@pytest.fixture(scope="module")
def whole_of(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A tower by its name, what it is fine-tuned on, and what comes of that when nobody disturbs it."""
    few = colours(tmp_path_factory.mktemp("few"), each=5)

    @cache
    def found(name: str) -> tuple[Model, Benchmark, Answer]:
        model = model_of(TOWERS[name])
        return model, few, answered(FineTune(quick(3), factors=(1.0, 0.3)), model, few)

    return found


@pytest.mark.parametrize(
    ("name", "dies_at"), [("vit", 1), ("vit", 3), ("vit", 8), ("resnet", 5), ("resnet", 9)]
)
def test_a_killed_one_goes_on_to_the_same_numbers(
    name: str, dies_at: int, whole_of: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, few, whole = whole_of(name)
    task = FineTune(quick(3), factors=(1.0, 0.3))
    saves = 0
    save: Callable[..., None] = Keeper.save

    def dying(self: Keeper, *rest: object) -> None:
        nonlocal saves
        save(self, *rest)
        saves += 1
        if saves == dies_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(Keeper, "due", lambda self: self.path is not None)
    monkeypatch.setattr(Keeper, "save", dying)
    with pytest.raises(KeyboardInterrupt):
        answered(task, model, few, tmp_path)
    assert list(tmp_path.glob("*.unfinished.safetensors"))
    saves = 100
    again = answered(task, model, few, tmp_path)
    assert equal(again, whole)
    assert saves - 100 == 9 - dies_at  # three trainings of three epochs, none done twice


def test_what_is_of_something_else_or_spoiled_is_begun_again(tmp_path: Path) -> None:
    model = make_classifier(model_of(TOWERS["resnet"]), quick(), 3, 0, fresh=False)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    path = tmp_path / "unfinished.safetensors"
    standing = Standing({"1.0": 0.5}, "0.3", 2)
    Keeper(path, "this").save(standing, model, optimizer)
    assert Keeper(path, "this").standing() == standing
    assert Keeper(path, "that").standing() is None
    path.write_bytes(path.read_bytes()[:100])
    assert Keeper(path, "this").standing() is None
    assert Keeper(None, "this").standing() is None


def test_the_optimizers_state_comes_back_as_its_parameters_lie(tmp_path: Path) -> None:
    classifier = make_classifier(model_of(TOWERS["resnet"]), quick(), 3, 0, fresh=False)
    optimizer = torch.optim.AdamW(classifier.parameters(), fused=True)
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    classifier(images).square().sum().backward()
    optimizer.step()
    keeper = Keeper(tmp_path / "unfinished.safetensors", "this")
    keeper.save(Standing(done=1), classifier, optimizer)
    other = make_classifier(model_of(TOWERS["resnet"]), quick(), 3, 1, fresh=False)
    its = torch.optim.AdamW(other.parameters(), fused=True)
    keeper.restore(other, its)
    for (name, one), two in zip(classifier.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two), name
        for part, value in optimizer.state[one].items():
            assert torch.equal(value, its.state[two][part]), (name, part)
            assert value.ndim == 0 or its.state[two][part].stride() == two.stride()


def test_the_rate_is_chosen_on_held_out_pictures_and_one_that_diverges_loses(
    benchmark_of_colours: Benchmark,
) -> None:
    model = model_of(TOWERS["vit"])
    recipe = replace(CALM, epochs=6, lr=1e-2)
    answer = answered(FineTune(recipe, factors=(1e-4, 1.0, 1e30)), model, benchmark_of_colours)
    assert answer.chosen["lr"] == 1e-2
    held_out = list(answer.chosen["held_out"].values())
    assert held_out[1] > held_out[0]
    assert held_out[2] < held_out[1]
    alone = answered(FineTune(recipe), model, benchmark_of_colours)
    assert alone.outcomes.equals(
        answer.outcomes
    )  # what is learned from everything does not know of the tries
    assert alone.chosen == {"lr": 1e-2, "factor": 1.0, "held_out": None}


def test_the_publishers_validation_split_is_chosen_on(benchmark_of_colours: Benchmark) -> None:
    train = benchmark_of_colours.train
    assert train is not None
    test = benchmark_of_colours.tests[0]
    taught, held = pool(FeatureStore(model_of(TOWERS["vit"]), None), replace(train, validation=test))
    assert held.tolist() == [False] * len(train) + [True] * len(test)
    assert np.array_equal(taught.picture(len(train)), taught.picture(len(train)))
    _, fifth = pool(FeatureStore(model_of(TOWERS["vit"]), None), train)
    assert fifth.sum() == 6  # one of each class's eight


def test_fresh_weights_are_those_from_which_the_run_began() -> None:
    trained, untrained = model_of(TOWERS["vit"], drawn=5), model_of(TOWERS["vit"])
    fresh = make_classifier(trained, quick(), 4, 0, fresh=True)
    tuned = make_classifier(trained, quick(), 4, 0, fresh=False)
    for name, value in untrained.encoders.towers["image"].state_dict().items():
        assert torch.equal(fresh.tower.state_dict()[name], value)
    for name, value in trained.encoders.towers["image"].state_dict().items():
        assert torch.equal(tuned.tower.state_dict()[name], value)
    assert torch.equal(fresh.head.weight, tuned.head.weight)
    other = make_classifier(trained, quick(), 4, 1, fresh=True)
    assert not torch.equal(other.tower.state_dict()["stem.weight"], fresh.tower.state_dict()["stem.weight"])
    assert not torch.equal(other.head.weight, fresh.head.weight)


def test_the_head_begins_small_and_paths_are_dropped_ever_more_often() -> None:
    model = model_of(replace(VIT, layers=(5,), freeze_stem=True, mask_token=True))
    classifier = make_classifier(model, replace(quick(), drop_path=0.2), 400, 0, fresh=False)
    assert float(classifier.head.weight.detach().std()) == pytest.approx(0.02 * 1e-3, rel=0.05)
    assert not classifier.head.bias.any()
    rates = [block.drop_path.p for block in classifier.tower.blocks]
    assert rates == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    assert classifier.path_draws == 10
    assert all(parameter.requires_grad for parameter in classifier.parameters())
    assert make_classifier(model_of(TOWERS["resnet"]), quick(drop_path=0.2), 4, 0, False).path_draws == 0


def test_what_cannot_be_scored_is_refused(benchmark_of_colours: Benchmark) -> None:
    task, model = FineTune(), model_of(TOWERS["vit"])
    test, train = benchmark_of_colours.tests[0], benchmark_of_colours.train
    assert train is not None
    assert train.classes is not None
    assert task.refuses(model, test, train) == ""
    assert "no access to its weights" in task.refuses(ColourModel(), test, train)
    assert "no train split" in task.refuses(model, test, None)
    assert "no classes" in task.refuses(model, replace(test, classes=None), train)
    one = replace(train, classes=replace(train.classes, of=np.zeros_like(train.classes.of)))
    assert "only one class" in task.refuses(model, test, one)
    with pytest.raises(SightwordError, match="different ones above 0"):
        FineTune(factors=(1.0, 1.0))


def test_the_protocol_names_what_decides(benchmark_of_colours: Benchmark) -> None:
    model, test, train = model_of(TOWERS["vit"]), benchmark_of_colours.tests[0], benchmark_of_colours.train
    tasks = [
        FineTune(),
        FineTune("deit"),
        FineTune(fresh=True),
        FineTune(seed=1),
        FineTune(factors=(1.0, 2.0)),
        FineTune(quick()),
    ]
    told = [task.protocol(model, test, train) for task in tasks]
    assert len({str(one) for one in told}) == len(tasks)
    assert told[0]["recipe"]["batch"] == 4  # of 48 pictures: eight batches and some
    assert told[0]["chosen_on"] == "nothing was chosen"
    assert "0.2 of the train split" in told[4]["chosen_on"]
    assert [task.name for task in tasks[:3]] == ["finetune", "finetune-deit", "finetune-scratch"]


def test_it_is_listed_but_not_done_unasked() -> None:
    names = {task.name for task in TASKS}
    assert {"finetune", "finetune-scratch", "finetune-deit"} <= names
    assert not names & set(DEFAULT) & {"finetune", "finetune-scratch", "finetune-deit"}


def test_held_out_scores_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(200, 5)).astype(np.float32)
    truth = np.minimum(random.integers(0, 9, 200), 3)  # class 4 does not occur
    scores[:, 4] = -9
    predicted = scores.argmax(1)
    assert held_out_score(scores, truth, "acc1") == pytest.approx((predicted == truth).mean())
    wanted = balanced_accuracy_score(truth, predicted)
    assert held_out_score(scores, truth, "mean_per_class_recall") == pytest.approx(wanted)


def test_unreadable_pictures_are_left_out_and_told(benchmark_of_colours: Benchmark) -> None:
    train, test = benchmark_of_colours.train, benchmark_of_colours.tests[0]
    assert train is not None

    def spoiled(part: LabelledSet) -> LabelledSet:
        return replace(part, read=lambda i: b"no picture" if i in (1, 7) else part.read(i))

    features = FeatureStore(model_of(TOWERS["vit"]), None)
    answer = FineTune(quick(1)).answer(features, spoiled(test), spoiled(train))
    wanted = [key for i, key in enumerate(test.keys) if i not in (1, 7)]
    assert answer.outcomes["key"].to_pylist() == wanted
    assert [key for key, _ in features.bad(spoiled(train))] == [train.keys[1], train.keys[7]]
