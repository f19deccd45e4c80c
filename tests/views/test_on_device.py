"""Colours in torch, a batch at a time, against the portable way: the same pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import photo
from PIL import Image

from sightword.views import named
from sightword.views.colour import ORDERS, JitterDraw
from sightword.views.drawn import DrawnColours, draw_colours, no_colours
from sightword.views.on_device import finish, finished
from sightword.views.pipeline import make_views, recolour
from sightword.views.unfinished import as_tasks, left_to_do
from sightword.words import Batch, Colours, Jitter, View

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def pictures(count: int, size: int, seed: int = 0) -> np.ndarray:
    """Smooth coloured pictures, and every third noise, which has all chromas."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 5, 5, 3), dtype=np.uint8)
    fine = [np.asarray(Image.fromarray(c).resize((size, size), Image.Resampling.BICUBIC)) for c in coarse]
    made = np.stack(fine).transpose(0, 3, 1, 2).copy()
    made[::3] = rng.integers(0, 256, made[::3].shape, dtype=np.uint8)
    return made


def away(before: np.ndarray, drawn: DrawnColours, device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """How far the two ways are apart, in levels; and what the portable one made."""
    portable = before.copy()
    recolour(portable, drawn)
    ours = finish(torch.from_numpy(before).to(device), as_tasks(drawn).to(device)).cpu().numpy()
    assert ours.dtype == np.uint8
    return np.abs(ours.astype(int) - portable), portable


def full(count: int, **changes: object) -> DrawnColours:
    return DrawnColours(**{**vars(no_colours(count)), **changes})  # type: ignore[arg-type]


def one_step(step: int, amounts: np.ndarray) -> DrawnColours:
    """A jitter of which one step does something."""
    neutral = np.tile([1.0, 1.0, 1.0, 0.0], (len(amounts), 1))
    neutral[:, step] = amounts
    orders = np.arange(len(amounts)) % len(ORDERS)
    return full(len(amounts), jittered=np.ones(len(amounts), dtype=bool), jitter=JitterDraw(orders, neutral))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [8, 33, 96, 224])
def test_the_same_pixels_within_a_level(device: str, size: int) -> None:
    count = max(48, 6000 // size)
    jitters = Jitter(0.4, 0.4, 0.4, 0.1), Jitter(1.0, 0.9, 1.5, 0.5, p=1.0)
    for seed, how in enumerate(jitters):
        view = View(size, jitter=how, grayscale=0.2, blur=0.5, solarize=0.3, draw=seed)
        before = pictures(count, size, seed)
        apart, portable = away(before, draw_colours(view, seed, np.arange(count), seed), device)
        assert apart.max() <= 1
        assert (apart > 0).mean() < 1e-5
        assert np.abs(portable.astype(float) - before).mean() > 10


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    strengths=st.tuples(*[st.floats(0, 2)] * 3, st.floats(0, 0.5)),
    chances=st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 4),
    sigma=st.floats(0.05, 6),
    size=st.integers(1, 40),
    count=st.integers(0, 9),
)
def test_any_view_within_a_level(
    seed: int,
    strengths: tuple[float, float, float, float],
    chances: tuple[float, float, float, float],
    sigma: float,
    size: int,
    count: int,
) -> None:
    jittered, grayscale, blur, solarize = chances
    how = Jitter(*strengths, p=jittered)
    view = View(size, jitter=how, grayscale=grayscale, blur=blur, sigma=(0.05, sigma), solarize=solarize)
    before = np.random.default_rng(seed).integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    apart, _ = away(before, draw_colours(view, seed, np.arange(count), 0))
    assert apart.max(initial=0) <= 1


@pytest.mark.parametrize(("step", "low", "high"), [(0, 0, 3), (1, 0, 3), (2, 0, 3), (3, -0.5, 0.5)])
def test_each_step_of_the_jitter_alone_is_the_same_to_the_bit(step: int, low: float, high: float) -> None:
    before = pictures(60, 40)
    apart, portable = away(before, one_step(step, np.linspace(low, high, 60)))
    assert apart.max() == 0
    assert (portable != before).any(axis=(1, 2, 3)).mean() > 0.9


@pytest.mark.parametrize("what", ["gray", "solarized"])
@pytest.mark.parametrize("chosen", [np.zeros(30, bool), np.ones(30, bool), np.arange(30) % 4 == 1])
def test_gray_and_solarize_are_the_same_to_the_bit(what: str, chosen: np.ndarray) -> None:
    before = pictures(30, 40)
    apart, portable = away(before, full(30, **{what: chosen}))
    assert apart.max() == 0
    assert np.array_equal((portable != before).any(axis=(1, 2, 3)), chosen)


def test_blur_is_the_same_also_where_it_reaches_over_the_whole_picture() -> None:
    for size in (1, 5, 60):
        before = pictures(40, size)
        rows = np.arange(0, 40, 2)
        apart, portable = away(before, full(40, blurred=rows, sigma=np.linspace(0.02, 6, 20)))
        assert apart.max() == 0
        assert np.array_equal(portable[1::2], before[1::2])


def test_nothing_to_do_and_no_pictures() -> None:
    before = torch.from_numpy(pictures(4, 9))
    assert torch.equal(finish(before, as_tasks(no_colours(4))), before)
    assert finish(before[:0], as_tasks(no_colours(0))).shape == (0, 3, 9, 9)


@pytest.mark.parametrize("device", DEVICES)
def test_a_sample_is_the_same_in_any_batch_and_in_any_block(device: str) -> None:
    view, ids = named.asymmetric(24, 1), np.arange(90) * 5
    before = torch.from_numpy(pictures(90, 24)).to(device)
    kept = before.clone()

    def made(rows: np.ndarray, at_once: int | None = None) -> torch.Tensor:
        colours = left_to_do([view], 1, ids[rows], rows % 3)
        some = before[torch.from_numpy(rows).to(device)]
        return finish(some, colours[view].to(device), at_once) if colours else some

    whole = made(np.arange(90))
    assert torch.equal(before, kept), "the cut pictures were written over"
    for at_once in (1, 5000, 2**26):
        assert torch.equal(made(np.arange(90), at_once), whole)
    shuffled = np.random.default_rng(0).permutation(90)
    assert torch.equal(made(shuffled), whole[torch.from_numpy(shuffled).to(device)])
    parts = torch.cat([made(part) for part in np.array_split(np.arange(90), 23)])
    assert torch.equal(parts, whole)


@pytest.mark.parametrize("kernel", ["0", ""])
def test_cut_then_coloured_is_the_view(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTWORD_NATIVE", kernel)
    images, ids = [photo(30 + 9 * i, 90 - 5 * i, i) for i in range(12)], np.arange(12)
    views = [named.strong(32), named.language(20), named.asymmetric(32, 1)]
    expected = make_views(images, views, 7, ids, 1)
    cut = make_views(images, views, 7, ids, 1, coloured=False)
    assert not torch.equal(cut[views[0]], expected[views[0]])
    batch = batch_of(cut, left_to_do(views, 7, ids, 1), None)
    both = finished(batch_of(cut, left_to_do(views, 7, ids, 1), batch))
    assert both.sight is not None
    for one in (both, both.sight):
        assert one.finish == {}
        assert list(one.views) == views
        for view in views:
            assert (one.views[view].int() - expected[view].int()).abs().max() <= 1


def batch_of(views: dict[View, torch.Tensor], finish: dict[View, Colours], sight: Batch | None) -> Batch:
    keys = tuple("abcdefghijkl")
    return Batch(
        0, keys, torch.arange(12), torch.ones(12, dtype=torch.long), views, {}, sight=sight, finish=finish
    )


def test_nothing_waits_for_the_device() -> None:
    """On `meta`, where there are no values, whatever asks for one fails."""
    view = named.asymmetric(24, 1)
    colours = left_to_do([view], 1, np.arange(50), 0)[view].to("meta")
    assert {task.what for task in colours.tasks} >= {"contrast", "hue", "blur", "solarize"}
    made = finish(torch.empty(50, 3, 24, 24, dtype=torch.uint8, device="meta"), colours)
    assert (made.shape, made.dtype) == ((50, 3, 24, 24), torch.uint8)
