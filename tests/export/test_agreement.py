from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from models_to_export import model_of
from torch import Tensor

from sightword.export.agreement import COUNT, LIMIT, Agreement, compare, take_sample
from sightword.export.target import Loaded
from sightword.views.evaluation import Preparation

Change = Callable[[Tensor], Tensor]


def compared(change: Change, pooled: bool = False) -> list[Agreement]:
    """A model beside itself, its features of pictures changed."""
    model = model_of()

    def image(pictures: Tensor) -> Tensor:
        return change(model.encode_image(pictures, project=not pooled))

    text = None if pooled else model.encode_text
    return list(compare(model, Loaded("me", image, text, pooled), take_sample(model.preparation)))


def test_the_sample_is_of_real_pictures_as_the_model_wants_them() -> None:
    sample = take_sample(Preparation(16))
    assert sample.pictures.shape == (COUNT, 3, 16, 16)
    assert len(sample.pictures.unique(dim=0)) == COUNT
    assert len(set(sample.sentences)) == len(sample.sentences) > COUNT
    squashed = take_sample(Preparation(16, "bicubic", "squash")).pictures
    assert not torch.equal(sample.pictures, squashed)


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        (lambda x: x, True),
        (lambda x: x + 0.5 * LIMIT, True),
        (lambda x: x + 2 * LIMIT, False),
        (lambda x: x.flip(0), False),
        (lambda x: x[:-1], False),
        (lambda x: x.where(x != x.max(), math.nan), False),
    ],
)
def test_what_agrees(change: Change, holds: bool) -> None:
    pictures, sentences = compared(change)
    assert (pictures.holds, sentences.holds) == (holds, True)
    assert (pictures.n, sentences.what) == (COUNT, "sentences")


def test_the_limit_grows_with_features_that_are_not_of_length_1() -> None:
    (one,) = compared(lambda x: x, pooled=True)
    largest = model_of().encode_image(take_sample(Preparation(16)).pictures).abs().max()
    assert one.limit == pytest.approx(LIMIT * max(1.0, float(largest)))


def test_a_cosine_decides_where_the_largest_difference_is_small() -> None:
    near = Agreement("pictures", 1, 0.0, 1.0, LIMIT)
    assert near.holds
    assert not dataclasses.replace(near, cosine=1 - 2 * LIMIT).holds
    assert dataclasses.replace(near, max_abs=math.inf).record()["max_abs"] is None
