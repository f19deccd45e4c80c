from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from colour_sets import COLOURS, ColourModel
from torch import Tensor

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import LabelledSet, Labels, open_benchmark
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.zeroshot import ZeroShot, class_embeddings, nearest_class, prompts_of


@pytest.fixture
def test_set(folder: Path) -> LabelledSet:
    return open_benchmark(str(folder)).tests[0]


def naive_embeddings(texts: dict[str, Tensor], prompts: list[list[str]]) -> Tensor:
    rows = []
    for mine in prompts:
        total = sum(texts[p] / texts[p].norm() for p in mine) / len(mine)
        rows.append(total / total.norm())
    return torch.stack(rows)


def test_class_embeddings_are_means_of_unit_prompts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sightword.evaluation.zeroshot.TEXTS", 2)
    prompts = [["a", "b", "c"], ["c", "d"], ["e"]]
    generator = torch.Generator().manual_seed(0)
    texts = {
        name: 10 * torch.rand((), generator=generator) * torch.randn(7, generator=generator)
        for name in "abcde"
    }
    found = class_embeddings(lambda some: torch.stack([texts[name] for name in some]), prompts)
    torch.testing.assert_close(found, naive_embeddings(texts, prompts))


def test_prompts_are_every_template_with_every_name(test_set: LabelledSet) -> None:
    named = replace(
        test_set,
        classes=Labels(("a {}", "dog"), np.zeros(36, dtype=np.int64)),
        templates=("one {c}", "two {}, {}"),
        synonyms=(("b",), ("dog", "hound")),
    )
    assert prompts_of(named) == [["one a {}", "two a {}, a {}"], ["one dog", "two dog, dog"]]
    assert prompts_of(named, synonyms=True) == [
        ["one a {}", "two a {}, a {}", "one b", "two b, b"],
        ["one dog", "two dog, dog", "one hound", "two hound, hound"],
    ]


def test_template_without_a_place_is_refused(test_set: LabelledSet) -> None:
    with pytest.raises(SightwordError, match="template 'a photo'"):
        prompts_of(replace(test_set, templates=("a photo",)))


def test_nearest_class_is_the_naive_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightword.evaluation.zeroshot.ROWS", 3)
    generator = torch.Generator().manual_seed(1)
    images, classes = torch.randn(10, 4, generator=generator), torch.randn(6, 4, generator=generator)
    labels = torch.randint(0, 6, (10,), generator=generator)
    ranked = nearest_class(images, torch.nn.functional.normalize(classes, dim=-1), labels)
    for i in range(10):
        cosines = torch.stack([torch.cosine_similarity(images[i], c, dim=0) for c in classes])
        assert ranked.top[i, 0] == cosines.argmax()
        assert ranked.rank[i] == 1 + int((cosines > cosines[labels[i]]).sum())


def test_a_model_that_knows_colours_names_them(model: ColourModel, test_set: LabelledSet) -> None:
    answer = ZeroShot().answer(FeatureStore(model, None), test_set, None)
    values = {m.metric: m.interval.value for m in answer.measured}
    assert values["acc1"] == 1.0
    assert answer.names == tuple(sorted(COLOURS))
    wrong = replace(test_set, classes=Labels(test_set.classes.names, (test_set.classes.of + 1) % 6))
    answer = ZeroShot().answer(FeatureStore(model, None), wrong, None)
    assert answer.measured[0].interval.value == 0.0
    assert answer.outcomes["correct"].to_pylist() == [False] * 36


def test_synonyms_help_where_names_say_nothing(model: ColourModel, test_set: LabelledSet) -> None:
    coded = replace(
        test_set,
        classes=Labels(tuple(f"code {i}" for i in range(6)), test_set.classes.of),
        synonyms=tuple((name,) for name in sorted(COLOURS)),
    )
    plain = ZeroShot().answer(FeatureStore(model, None), coded, None).measured[0].interval.value
    named = ZeroShot(synonyms=True).answer(FeatureStore(model, None), coded, None).measured[0].interval.value
    assert plain < 0.5 < named


def test_refusals(model: ColourModel, test_set: LabelledSet) -> None:
    assert ZeroShot().refuses(model, test_set, None) == ""
    assert "text tower" in ZeroShot().refuses(ColourModel(has_text=False), test_set, None)
    assert "no classes" in ZeroShot().refuses(model, replace(test_set, classes=None), None)
    assert "synonyms" in ZeroShot(synonyms=True).refuses(model, test_set, None)


def test_protocol_follows_the_prompts(model: ColourModel, test_set: LabelledSet) -> None:
    plain = ZeroShot().protocol(model, test_set, None)
    other = ZeroShot().protocol(model, replace(test_set, templates=("a {}",)), None)
    assert plain != other
    assert plain == ZeroShot().protocol(model, test_set, None)
