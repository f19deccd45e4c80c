from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from sightword.evaluation import curvature, logistic
from sightword.evaluation.curvature import scaled, whitened
from sightword.evaluation.logistic import Logistic, moments


def tilted(n: int, d: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features as towers make them: correlated, of very unequal variances, far from zero."""
    generator = np.random.default_rng(seed)
    spectrum = np.random.default_rng(5).standard_normal((d, d)) / np.arange(1, d + 1)
    centres = np.random.default_rng(7).standard_normal((classes, d))
    labels = generator.integers(0, classes, n)
    noise = generator.standard_normal((n, d))
    return ((0.7 * centres[labels] + noise) @ spectrum + 3.0).astype(np.float32), labels


def newton(x: np.ndarray, y: np.ndarray, classes: int, c: float) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial logistic regression, |w|^2 / 2 + c * sum of losses, by Newton steps."""
    n, d = x.shape
    padded = np.hstack([x, np.ones((n, 1))])
    theta = np.zeros((classes, d + 1))
    penalty = np.tile(np.append(np.ones(d), 1e-9), classes)
    for _ in range(50):
        logits = padded @ theta.T
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        gradient = c * (p - np.eye(classes)[y]).T @ padded + penalty.reshape(classes, -1) * theta
        blocks = [
            [(padded * (p[:, i] * ((i == j) - p[:, j]))[:, None]).T @ padded for j in range(classes)]
            for i in range(classes)
        ]
        hessian = c * np.block(blocks) + np.diag(penalty)
        theta -= np.linalg.solve(hessian, gradient.ravel()).reshape(classes, -1)
    return theta[:, :-1], theta[:, -1]


def standard(known: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, spread = known.astype(np.float64).mean(0), known.astype(np.float64).std(0)
    return (known - mean) / spread, (asked - mean) / spread


@pytest.mark.parametrize("strength", [1e-4, 1e-2, 1.0])
def test_the_optimum_is_newtons(strength: float) -> None:
    known, labels = tilted(200, 12, 3, 0)
    asked, _ = tilted(60, 12, 3, 1)
    x, t = standard(known, asked)
    weights, bias = newton(x, labels, 3, strength)
    logits = t @ weights.T + bias
    expected = np.exp(logits - np.log(np.exp(logits).sum(1, keepdims=True)))
    found = Logistic(known, labels).fit(strength).scores(asked, 3).exp().numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)


def objective(x: np.ndarray, y: np.ndarray, probabilities: np.ndarray, weight: np.ndarray, c: float) -> float:
    losses = -np.log(probabilities[np.arange(len(y)), y])
    return float(losses.mean() + (weight**2).sum() / (2 * c * len(y)))


@pytest.mark.parametrize(("n", "d"), [(300, 20), (40, 60)])
@pytest.mark.parametrize("strength", [1e-3, 1e-1])
def test_the_objective_is_scikit_learns_to_a_millionth(n: int, d: int, strength: float) -> None:
    known, labels = tilted(n, d, 4, 2)
    x, _ = standard(known, known)
    peer = LogisticRegression(C=strength, tol=1e-9, max_iter=10_000).fit(x, labels)
    best = objective(x, labels, peer.predict_proba(x), peer.coef_, strength)
    fitted = Logistic(known, labels).fit(strength)
    weight = fitted.weight.numpy() * known.astype(np.float64).std(0)[:, None]
    assert objective(x, labels, fitted.scores(known, 4).exp().numpy(), weight, strength) < best + 1e-6


def test_a_warm_start_ends_where_a_cold_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    known, labels = tilted(300, 20, 4, 2)
    path = Logistic(known, labels)
    for strength in (1e-4, 1e-3):
        path.fit(strength, 1e-4)
    warm = path.fit(1e-2).scores(known, 4).exp()
    monkeypatch.setattr(logistic, "ROWS", 64)  # and in pieces as in one
    cold = Logistic(known, labels).fit(1e-2).scores(known, 4).exp()
    torch.testing.assert_close(warm, cold, atol=3e-4, rtol=0)


def test_what_never_varies_says_nothing() -> None:
    known, labels = tilted(100, 6, 3, 3)
    still = np.hstack([known, np.full((100, 2), 0.1, dtype=np.float32)])
    mean, spread = moments(still)
    np.testing.assert_allclose(spread[-2:], 1.0)
    np.testing.assert_allclose(mean.numpy(), still.astype(np.float64).mean(0), rtol=1e-12)
    one, other = Logistic(known, labels).fit(0.1), Logistic(still, labels).fit(0.1)
    torch.testing.assert_close(one.scores(known, 3), other.scores(still, 3), atol=1e-3, rtol=0)


def test_absent_classes_are_impossible() -> None:
    known, labels = tilted(80, 5, 2, 4)
    scores = Logistic(known, 2 * labels).fit(0.1).scores(known, 3)
    assert (scores[:, 1] == -torch.inf).all()
    torch.testing.assert_close(scores.exp().sum(1), torch.ones(80, dtype=torch.float64))


@pytest.mark.parametrize("strength", [1e-4, 1.0])
def test_the_curvature_of_a_sample_leads_to_the_same_optimum(
    strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, labels = tilted(900, 12, 3, 6)
    monkeypatch.setattr(curvature, "WORTH", 0)
    alone = Logistic(known, labels).fit(strength).scores(known, 3).exp()
    monkeypatch.setattr(curvature, "WORTH", 100)
    monkeypatch.setattr(logistic, "SAMPLE", 300)
    monkeypatch.setattr(logistic, "ROWS", 256)
    together = Logistic(known, labels).fit(strength)
    assert together.left < 1e-4
    torch.testing.assert_close(together.scores(known, 3).exp(), alone, atol=2e-4, rtol=0)
    x, _ = standard(known, known)
    weights, bias = newton(x, labels, 3, strength)
    logits = x @ weights.T + bias
    expected = np.exp(logits - np.log(np.exp(logits).sum(1, keepdims=True)))
    np.testing.assert_allclose(together.scores(known, 3).exp().numpy(), expected, atol=2e-4)


def test_whitened_coordinates_make_the_curvature_one() -> None:
    """The Hessian from its formula, entry by entry, seen through the coordinates, is the identity."""
    generator = np.random.default_rng(0)
    x = np.hstack([generator.standard_normal((60, 2)), np.ones((60, 1))]).astype(np.float32)
    p = generator.dirichlet(np.ones(3), 60)
    variance, penalty = np.array([2.0, 0.5, 1.0]), 0.3
    hessian = np.zeros((9, 9))
    for i, a, j, b in np.ndindex(3, 3, 3, 3):
        data = np.mean(p[:, i] * ((i == j) - p[:, j]) * x[:, a] * x[:, b])
        together = variance[a] / 9 if a == b else 0.0  # all classes alike: stiffened
        own = penalty if (i, a) == (j, b) and a < 2 else 0.0
        hessian[3 * i + a, 3 * j + b] = data + together + own
    found = whitened(
        torch.from_numpy(x), torch.from_numpy(p.T.astype(np.float32)), torch.from_numpy(variance), penalty
    )
    columns = torch.stack([found.at(unit).view(-1) for unit in torch.eye(9, dtype=torch.float64)], dim=1)
    np.testing.assert_allclose(columns.T @ hessian @ columns, np.eye(9), atol=1e-4)


def test_coordinates_go_there_and_back_and_turn_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    theta, gradient = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    variance = torch.tensor([3.0, 2.0, 0.1, 1.0], dtype=torch.float64)
    rows, likely = torch.randn(50, 4, generator=generator), torch.rand(3, 50, generator=generator)
    for coordinates in (scaled(variance, 3, 0.1), whitened(rows, likely / likely.sum(0), variance, 0.1)):
        place = coordinates.of(theta)
        torch.testing.assert_close(coordinates.at(place), theta)
        torch.testing.assert_close(coordinates.slope(gradient) @ place, (gradient * theta).sum())


def test_many_examples_are_fitted_by_their_offset_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the curvature of a sample and logits to start from, as without."""
    known, labels = tilted(600, 8, 3, 8)
    offset = torch.from_numpy(np.random.default_rng(1).standard_normal((600, 3))).float()
    by_sample = Logistic(known, labels, offset).fit(0.01).scores(known, 3, offset)
    monkeypatch.setattr(curvature, "WORTH", 0)
    alone = Logistic(known, labels, offset).fit(0.01).scores(known, 3, offset)
    torch.testing.assert_close(by_sample.exp(), alone.exp(), atol=2e-4, rtol=0)
