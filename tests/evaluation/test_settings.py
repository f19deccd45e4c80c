"""Settings of tasks: what `--set` changes, and what it refuses."""

from __future__ import annotations

import dataclasses

import pytest

from sightword.errors import SightwordError
from sightword.evaluation.finetune.recipe import FineTuneRecipe
from sightword.evaluation.finetune.settings import FineTuneSettings
from sightword.evaluation.settings import chosen, described
from sightword.evaluation.tasks import TASKS

BY_NAME = {task.name: task for task in TASKS}


def test_text_becomes_what_is_wanted_and_nothing_else_changes() -> None:
    changes = {"fewshot.shots": "8,2", "fewshot.draws": "3", "corruption.corruptions": "fog"}
    few, knn, worn = chosen(TASKS, ["fewshot", "knn", "corruption", "knn"], changes)
    assert (few.settings.shots, few.settings.draws) == ((2, 8), 3)
    assert worn.settings.corruptions == ("fog",)
    assert worn.settings.severities == BY_NAME["corruption"].settings.severities
    assert knn is BY_NAME["knn"]
    assert BY_NAME["fewshot"].settings.draws == 5


@pytest.mark.parametrize("task", [task for task in TASKS if task.settings is not None], ids=lambda t: t.name)
def test_what_is_described_can_be_given(task) -> None:
    given = dict(pair.split("=", 1) for pair in described(task).split("  "))
    assert set(given) == {field.name for field in dataclasses.fields(task.settings)}
    (again,) = chosen(TASKS, [task.name], {f"{task.name}.{name}": value for name, value in given.items()})
    assert again.settings == task.settings


@pytest.mark.parametrize(
    ("task", "changes", "said"),
    [
        ("fewshots", {}, "unknown task 'fewshots'; did you mean fewshot"),
        ("fewshot", {"fewshots.draws": "1"}, "unknown task 'fewshots'"),
        ("fewshot", {"fewshot.draw": "1"}, "did you mean draws"),
        ("fewshot", {"fewshot.draws": "many"}, "must be int, found 'many'"),
        ("fewshot", {"fewshot.shots": "0,1"}, "wanted 1 label or more"),
        ("fewshot", {"fewshot.draws": "1"}, "2 draws or more"),
        ("knn", {"knn.k": "3"}, "the task knn has no settings"),
        ("knn", {"fewshot.draws": "1"}, "add fewshot to --tasks"),
        ("corruption", {"corruption.corruptions": "frogs"}, "unknown corruption 'frogs'; did you mean fog"),
        ("corruption", {"corruption.severities": "6"}, r"severities of \(1, 2, 3, 4, 5\)"),
        ("linear-sgd", {"linear-sgd.momentum": "1"}, "momentum below 1"),
        ("segmentation", {"segmentation.each": "0"}, "wanted 1 or more"),
        ("vqa", {"vqa.lrs": ""}, "wanted all of them above 0"),
        ("vqa", {"vqa.precision": "fp8"}, "unknown value"),
        ("finetune", {"finetune.factors": "1,1"}, "wanted different ones"),
        ("finetune", {"finetune.epochs": "-1"}, "wanted numbers above 0"),
    ],
)
def test_refusals(task, changes, said) -> None:
    with pytest.raises(SightwordError, match=said):
        chosen(TASKS, [task], changes)


def test_a_fine_tuning_keeps_what_it_is_not_told() -> None:
    recipe = FineTuneRecipe.beit("S")
    assert FineTuneSettings().of(recipe) == recipe
    shorter = FineTuneSettings(epochs=30, batch=256, mirrored=False).of(recipe)
    assert (shorter.epochs, shorter.warmup, shorter.batch, shorter.flip) == (30, 6.0, 256, 0.0)
    assert shorter.lr == pytest.approx(4e-3 / 4)
    assert FineTuneSettings(lr=1e-3, batch=256).of(recipe).lr == 1e-3
    assert FineTuneSettings(lr=1e-3).of(recipe).layer_decay == recipe.layer_decay
