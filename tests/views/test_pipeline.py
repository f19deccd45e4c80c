from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pil_reference
import pytest
import torch
from photos import photo
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from sightword.views import named
from sightword.views.pipeline import make_views
from sightword.words import View

SIZE = 40
VIEWS = (
    named.language(SIZE),
    named.strong(SIZE, 0),
    named.strong(SIZE, 1, blur_at=SIZE),
    named.asymmetric(SIZE, 1),
    named.reconstruction(33),
)
STRONG = VIEWS[2]


def equal(count: int) -> np.ndarray:
    return np.stack([photo(64, 64, i) for i in range(count)])


def mixed(count: int) -> list[np.ndarray]:
    return [photo(20 + 37 * i % 150, 20 + 53 * i % 170, i) for i in range(count)]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("images", [equal(48), mixed(48)], ids=["equal", "mixed"])
def test_views_are_those_of_pil(images: Sequence[np.ndarray], view: View) -> None:
    ids = np.arange(48) * 7
    mine = make_views(images, [view], 3, ids, 2)[view]
    theirs = [
        np.asarray(pil_reference.view_of(Image.fromarray(x), view, 3, i, 2))
        for x, i in zip(images, ids.tolist(), strict=True)
    ]
    deviation = np.abs(mine.permute(0, 2, 3, 1).numpy().astype(float) - np.stack(theirs)).mean(axis=(1, 2, 3))
    assert mine.shape == (48, 3, view.size, view.size)
    assert deviation.mean() < (1.5 if view.jitter else 0.1)
    assert deviation.max() < 4


@pytest.mark.parametrize("view", VIEWS)
def test_a_sample_does_not_depend_on_its_batch(view: View) -> None:
    images, ids = equal(60), np.random.default_rng(0).permutation(10_000)[:60]
    whole = make_views(images, [view], 1, ids, 5)[view]
    for split in ([1] * 60, [7] * 8 + [4], [59, 1], [16, 16, 28]):
        parts = np.split(np.arange(60), np.cumsum(split)[:-1])
        again = torch.cat([make_views(images[p], [view], 1, ids[p], 5)[view] for p in parts])
        assert torch.equal(whole, again)
    shuffled = np.random.default_rng(1).permutation(60)
    assert torch.equal(whole[shuffled], make_views(images[shuffled], [view], 1, ids[shuffled], 5)[view])
    among = [*mixed(20), *images, *mixed(5)]
    others = np.concatenate([np.arange(20) + 20_000, ids, np.arange(5) + 30_000])
    assert torch.equal(whole, make_views(among, [view], 1, others, 5)[view][20:80])
    assert torch.equal(whole, make_views(torch.from_numpy(images), [view], 1, ids, 5)[view])


class Batches(Dataset[torch.Tensor]):
    def __getitem__(self, index: int) -> torch.Tensor:
        ids = np.arange(index * 10, index * 10 + 10)
        return make_views(equal(10), [STRONG], 0, ids, 0)[STRONG]

    def __len__(self) -> int:
        return 4


def test_worker_processes_make_the_same_views() -> None:
    here = list(DataLoader(Batches(), batch_size=None))
    there = list(DataLoader(Batches(), batch_size=None, num_workers=2, multiprocessing_context="fork"))
    assert torch.equal(torch.stack(here), torch.stack(there))


def test_the_number_of_threads_does_not_show() -> None:
    images, ids = equal(40), np.arange(40)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(make_views(images, [STRONG], 0, ids, 0)[STRONG])
    torch.set_num_threads(1)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_each_distinct_view_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from sightword.views import pipeline

    monkeypatch.setenv("SIGHTWORD_NATIVE", "0")
    made: list[View] = []
    cut = pipeline.cut
    monkeypatch.setattr(pipeline, "cut", lambda *a: made.append(a[3]) or cut(*a))  # type: ignore[func-returns-value]
    views = make_views(equal(2), [named.language(8), named.strong(9), named.language(8)], 0, np.arange(2), 0)
    assert set(views) == {named.language(8), named.strong(9)}
    assert made == [8, 9]


def test_seed_sample_epoch_and_draw_each_change_the_view() -> None:
    image = np.stack([photo(64, 64, 0)] * 2)
    base = make_views(image, [STRONG], 0, np.array([4, 5]), 0)[STRONG]
    assert not torch.equal(base[0], base[1])
    assert not torch.equal(base, make_views(image, [STRONG], 1, np.array([4, 5]), 0)[STRONG])
    assert not torch.equal(base, make_views(image, [STRONG], 0, np.array([4, 5]), 1)[STRONG])
    other = dataclasses.replace(STRONG, draw=0)
    assert not torch.equal(base, make_views(image, [other], 0, np.array([4, 5]), 0)[other])


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_chances_are_taken_as_often_as_they_say(share: float) -> None:
    count, size = 1500, 4
    ramp = np.zeros((size, size, 3), dtype=np.uint8)
    ramp[:, size // 2 :] = (200, 40, 40)
    images = np.stack([ramp] * count)
    whole = {"size": size, "scale": (1.0, 1.0), "ratio": (1.0, 1.0)}
    still = make_views(images, [View(**whole)], 0, np.arange(count), 0)[View(**whole)]
    for chance in ("flip", "grayscale", "blur", "solarize"):
        view = View(**whole, **{chance: share}, sigma=(1.0, 1.0))  # type: ignore[arg-type]
        changed = (make_views(images, [view], 0, np.arange(count), 0)[view] != still).flatten(1).any(1)
        assert changed.float().mean() == pytest.approx(share, abs=0.04), chance


def test_sources_are_left_alone_and_results_can_be_trained_on() -> None:
    images = equal(8)
    before = images.copy()
    view = make_views(images, [STRONG], 0, np.arange(8), 0)[STRONG]
    assert np.array_equal(images, before)
    weight = torch.ones(3, requires_grad=True)
    (view.float() * weight[:, None, None]).sum().backward()
    assert weight.grad is not None


def test_an_empty_batch_is_an_empty_batch() -> None:
    assert make_views(equal(1)[:0], [STRONG], 0, np.arange(0), 0)[STRONG].shape == (0, 3, SIZE, SIZE)
