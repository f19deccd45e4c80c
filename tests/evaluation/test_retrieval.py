from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from colour_sets import COLOURS, ColourModel, square, write_tar

from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.retrieval import Retrieval, ownership, search


def naive_recall(scores: np.ndarray, hits: np.ndarray, k: int) -> float:
    """The share of queries with any hit among the k best."""
    found = [bool(hits[q][np.argsort(-scores[q])[:k]].any()) for q in range(len(scores))]
    return float(np.mean(found))


def test_search_agrees_with_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightword.evaluation.retrieval.ROWS", 4)
    generator = torch.Generator().manual_seed(0)
    images = F.normalize(torch.randn(11, 5, generator=generator), dim=-1)
    texts = F.normalize(torch.randn(23, 5, generator=generator), dim=-1)
    owns = torch.rand(11, 23, generator=generator) < 0.1
    owns[:, :11] |= torch.eye(11, dtype=torch.bool)
    owns[0, 11:] = True
    scores = (images @ texts.T).numpy()
    by_image, by_text = search(images, texts, owns), search(texts, images, owns.T)
    for k in (1, 5, 10):
        assert (by_image.rank <= k).mean() == pytest.approx(naive_recall(scores, owns.numpy(), k))
        assert (by_text.rank <= k).mean() == pytest.approx(naive_recall(scores.T, owns.T.numpy(), k))
    assert by_image.top.tolist() == np.argsort(-scores, axis=1)[:, :5].tolist()


def _retrieval_set(path: Path) -> Path:
    samples = []
    for i, colour in enumerate(COLOURS):
        captions = f"a {colour} square\nsomething unclear {i}"
        samples.append((colour, {"png": square(colour, i), "txt": captions.encode()}))
    return write_tar(path, samples)


def test_several_captions_a_picture(model: ColourModel, tmp_path: Path) -> None:
    (test,) = open_benchmark(str(_retrieval_set(tmp_path / "r.tar"))).tests
    answer = Retrieval().answer(FeatureStore(model, None), test, None)
    measured = {m.metric: m for m in answer.measured}
    # Each picture finds its clear caption; of the captions, the clear half finds its picture.
    assert measured["text_retrieval_recall@1"].interval.value == 1.0
    assert measured["text_retrieval_recall@1"].n == 6
    assert measured["image_retrieval_recall@1"].n == 12
    assert 0.5 <= measured["image_retrieval_recall@1"].interval.value <= 0.7
    assert measured["image_retrieval_recall@10"].interval.value == 1.0
    assert "clusters" in measured["image_retrieval_recall@1"].method
    rows = [row for row in answer.outcomes.to_pylist() if row["key"] == "a red square"]
    assert [(row["direction"], row["targets"], row["top5"][0]) for row in rows] == [("image", ["red"], "red")]


def test_equal_captions_belong_to_all_their_pictures(model: ColourModel, tmp_path: Path) -> None:
    twins = [
        (f"{c}{i}", {"png": square(c, i), "txt": f"{c} thing".encode()}) for c in COLOURS for i in range(3)
    ]
    (test,) = open_benchmark(str(write_tar(tmp_path / "t.tar", twins))).tests
    answer = Retrieval().answer(FeatureStore(model, None), test, None)
    measured = {m.metric: m for m in answer.measured}
    assert measured["image_retrieval_recall@1"].n == 6
    assert measured["text_retrieval_recall@1"].n == 18
    assert measured["image_retrieval_recall@1"].interval.value == 1.0


def test_ownership() -> None:
    owns = ownership([("a", "b"), ("b",)], ["a", "b"])
    assert owns.tolist() == [[True, True], [False, True]]


def test_refusals(model: ColourModel, folder: Path, tmp_path: Path) -> None:
    assert "captions" in Retrieval().refuses(model, open_benchmark(str(folder)).tests[0], None)
    (test,) = open_benchmark(str(_retrieval_set(tmp_path / "r.tar"))).tests
    assert Retrieval().refuses(model, test, None) == ""
    assert "text tower" in Retrieval().refuses(ColourModel(has_text=False), test, None)
