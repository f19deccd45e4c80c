"""Each loss against a twin written from the paper's formula: loops over Python numbers, no shared code."""

from __future__ import annotations

import math

import pytest
import torch
from contrast_twins import dot, features, twin_info_nce, twin_nt_xent, twin_sigmoid
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sightword.losses import contrast, following, restoring, whole


def twin_reconstruction(predicted: Tensor, target: Tensor, hidden: Tensor, normalise: bool) -> float:
    errors = []
    for row in range(len(predicted)):
        for n in range(predicted.shape[1]):
            if not hidden[row, n]:
                continue
            pixels = target[row, n].tolist()
            if normalise:
                mean = sum(pixels) / len(pixels)
                variance = sum((p - mean) ** 2 for p in pixels) / (len(pixels) - 1)
                pixels = [(p - mean) / math.sqrt(variance + 1e-6) for p in pixels]
            errors += [(q - p) ** 2 for q, p in zip(predicted[row, n].tolist(), pixels, strict=True)]
    return sum(errors) / len(errors)


@pytest.mark.parametrize("scale", [1.0, 1 / 0.07, 100.0])
def test_info_nce_is_figure_3(scale: float) -> None:
    image, text = features(7, 5), features(7, 5, seed=1)
    expected = twin_info_nce(image.tolist(), text.tolist(), scale)
    assert contrast.info_nce(image, text, scale).item() == pytest.approx(expected, rel=1e-12)
    given_as_parameter = contrast.info_nce(image, text, torch.tensor([scale], dtype=torch.float64))
    assert given_as_parameter.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_nt_xent_is_equation_1(temperature: float) -> None:
    a, b = features(6, 4, unit=False), features(6, 4, seed=1, unit=False)
    expected = twin_nt_xent(a.tolist(), b.tolist(), temperature)
    assert contrast.nt_xent(a, b, temperature).item() == pytest.approx(expected, rel=1e-12)


def test_sigmoid_pairs_is_algorithm_1() -> None:
    image, text = features(6, 4), features(6, 4, seed=1)
    expected = twin_sigmoid(image.tolist(), text.tolist(), 10.0, -10.0)
    assert contrast.sigmoid_pairs(image, text, 10.0, -10.0).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("normalise", [True, False])
def test_reconstruction_counts_hidden_patches_only(normalise: bool) -> None:
    predicted, target = features(3, 5, 12, unit=False), features(3, 5, 12, seed=1, unit=False)
    hidden = torch.tensor([[1, 0, 1, 0, 1], [0, 0, 0, 0, 1], [1, 1, 0, 0, 0]]).bool()
    expected = twin_reconstruction(predicted, target, hidden, normalise)
    found = restoring.reconstruction(predicted, target, hidden, normalise)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    visible_changed = torch.where(hidden[..., None], predicted, predicted + 100)
    assert torch.equal(restoring.reconstruction(visible_changed, target, hidden, normalise), found)


def test_negative_cosine_is_the_distance_of_unit_vectors() -> None:
    a, b = features(6, 4, unit=False), features(6, 4, seed=1, unit=False)
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    expected = sum(
        sum((p / math.sqrt(dot(x, x)) - q / math.sqrt(dot(y, y))) ** 2 for p, q in zip(x, y, strict=True))
        for x, y in pairs
    ) / len(pairs)
    assert following.negative_cosine(a, b).item() == pytest.approx(expected, rel=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    a, b = features(4, 3, unit=False).requires_grad_(), features(4, 3, seed=1, unit=False).requires_grad_()
    scale = torch.tensor([5.0], dtype=torch.float64, requires_grad=True)
    bias = torch.tensor([-2.0], dtype=torch.float64, requires_grad=True)
    hidden = torch.tensor([[True, False], [True, True]])
    patches = [features(2, 2, 6, seed=s, unit=False).requires_grad_() for s in (2, 3)]
    assert torch.autograd.gradcheck(contrast.info_nce, (a, b, scale))
    assert torch.autograd.gradcheck(lambda x, y: contrast.nt_xent(x, y, 0.3), (a, b))
    assert torch.autograd.gradcheck(contrast.sigmoid_pairs, (a, b, scale, bias))
    assert torch.autograd.gradcheck(following.negative_cosine, (a, b))
    assert torch.autograd.gradcheck(lambda p, t: restoring.reconstruction(p, t, hidden), tuple(patches))


@settings(deadline=None, max_examples=30)
@given(n=st.integers(2, 9), d=st.integers(2, 6), seed=st.integers(0, 10_000))
def test_the_order_of_the_batch_and_of_the_sides_does_not_matter(n: int, d: int, seed: int) -> None:
    a, b = features(n, d, seed=seed), features(n, d, seed=seed + 1)
    mixed = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    for loss in (
        lambda x, y: contrast.info_nce(x, y, 10.0),
        lambda x, y: contrast.nt_xent(x, y, 0.2),
        lambda x, y: contrast.sigmoid_pairs(x, y, 10.0, -3.0),
        following.negative_cosine,
    ):
        torch.testing.assert_close(loss(a[mixed], b[mixed]), loss(a, b))
        torch.testing.assert_close(loss(b, a), loss(a, b))


@settings(deadline=None, max_examples=20)
@given(ranks=st.integers(2, 4), rows=st.integers(1, 4), seed=st.integers(0, 10_000))
def test_the_mean_over_ranks_is_the_loss_of_the_whole_batch(ranks: int, rows: int, seed: int) -> None:
    a, b = features(ranks * rows, 5, seed=seed), features(ranks * rows, 5, seed=seed + 1)
    parts = [(a[i : i + rows], b[i : i + rows], i) for i in range(0, ranks * rows, rows)]
    nce = [contrast.info_nce(x, y, 9.0, a, b, offset) for x, y, offset in parts]
    torch.testing.assert_close(torch.stack(nce).mean(), contrast.info_nce(a, b, 9.0))
    xent = [contrast.nt_xent(x, y, 0.2, a, b, offset) for x, y, offset in parts]
    torch.testing.assert_close(torch.stack(xent).mean(), contrast.nt_xent(a, b, 0.2))
    pairs = [contrast.sigmoid_pairs(x, y, 9.0, -9.0, b, offset) for x, y, offset in parts]
    torch.testing.assert_close(torch.stack(pairs).mean(), contrast.sigmoid_pairs(a, b, 9.0, -9.0))


def test_perfect_pairs_have_the_least_loss_and_all_answers_right() -> None:
    axes = torch.eye(6)
    assert contrast.info_nce(axes, axes, 100.0).item() == pytest.approx(0, abs=1e-6)
    assert contrast.nt_xent(axes, axes, 0.01).item() == pytest.approx(0, abs=1e-6)
    assert following.negative_cosine(axes, 3 * axes).item() == pytest.approx(0, abs=1e-6)
    assert whole.accuracy(axes) == 1
    assert whole.accuracy(axes.roll(1, dims=0)) == 0
    assert whole.accuracy(axes.roll(2, dims=1)[:4], offset=2) == 1


def test_features_that_all_agree_score_as_blind_guessing() -> None:
    same = torch.ones(8, 3) / math.sqrt(3)
    assert contrast.info_nce(same, same, 50.0).item() == pytest.approx(math.log(8), rel=1e-5)
    assert contrast.nt_xent(same, same, 0.1).item() == pytest.approx(math.log(15), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_under_autocast_are_computed_in_float32(dtype: torch.dtype) -> None:
    a, b = (features(32, 16, seed=s).to(dtype) for s in (0, 1))
    patches = features(4, 6, 8, unit=False).to(dtype)
    hidden = torch.ones(4, 6, dtype=torch.bool)
    calls = [
        lambda x, y: contrast.info_nce(x, y, 100.0),
        lambda x, y: contrast.nt_xent(x, y, 0.01),
        lambda x, y: contrast.sigmoid_pairs(x, y, 100.0, -10.0),
        following.negative_cosine,
    ]
    for loss in calls:
        exact = loss(a.double(), b.double()).float()
        with torch.autocast("cpu", torch.bfloat16):
            found = loss(a, b)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, exact, rtol=2e-5, atol=2e-5)
    with torch.autocast("cpu", torch.bfloat16):
        found = restoring.reconstruction(patches, patches.flip(0), hidden)
    assert found.dtype == torch.float32
    exact = restoring.reconstruction(patches.double(), patches.flip(0).double(), hidden).float()
    torch.testing.assert_close(found, exact, rtol=2e-5, atol=2e-5)


def test_a_flat_patch_has_a_finite_target_and_gradient() -> None:
    predicted = torch.zeros(1, 2, 12, requires_grad=True)
    flat = torch.full((1, 2, 12), 0.5)
    restoring.reconstruction(predicted, flat, torch.ones(1, 2, dtype=torch.bool)).backward()
    assert torch.isfinite(predicted.grad).all()


def twin_hidden_words(logits: Tensor, ids: list[int], rows: list[int], captions: int) -> Tensor:
    """M3AE's averages: in each caption first, then over all captions, those without hidden words too."""
    total = logits.new_zeros(())
    for caption in range(captions):
        own = [i for i in range(len(rows)) if rows[i] == caption]
        for i in own:
            total = total - (logits[i, ids[i]].exp() / logits[i].exp().sum()).log() / len(own) / captions
    return total


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
def test_hidden_words_are_averaged_within_captions_first(dtype: torch.dtype, tolerance: float) -> None:
    exact = features(6, 11, unit=False).requires_grad_()
    ids, rows = [3, 0, 10, 10, 7, 1], [0, 0, 0, 2, 4, 4]  # captions 1, 3 and 5 hide nothing
    expected = twin_hidden_words(exact, ids, rows, 6)
    (wanted,) = torch.autograd.grad(expected, exact)
    ours = exact.detach().to(dtype).requires_grad_()
    found = restoring.hidden_words(ours, torch.tensor(ids), torch.tensor(rows), 6)
    (gradient,) = torch.autograd.grad(found, ours)
    assert found.dtype == dtype
    assert found.item() == pytest.approx(expected.item(), rel=tolerance)
    torch.testing.assert_close(gradient.double(), wanted, rtol=0, atol=tolerance)


def test_no_hidden_words_cost_nothing() -> None:
    none = torch.empty(0, dtype=torch.int64)
    logits = torch.empty(0, 11, requires_grad=True)
    loss = restoring.hidden_words(logits, none, none, 3)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
