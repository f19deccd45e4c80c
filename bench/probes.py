"""The linear probe against scikit-learn's on the same features: `python bench/probes.py [--out FILE]`.

Both fit the same path of strengths, each from where the last one ended, and take turns; the first round does
not count, medians are given. Seconds are those that the processor worked. scikit-learn stops at its default
tolerance and, in another row, at one that brings it about as near to the optimum as ours. How near: the
objective less the least that any of them reached or that scikit-learn reaches at a tolerance of 1e-8,
in nats an example. Features are drawn as towers make them, correlated and of unequal spread, or are those of
a run (`features/NAME.safetensors`) with --features.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _results import append
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from sightword.evaluation.features import read_features
from sightword.evaluation.logistic import Logistic, moments

CASES = ((2_000, 192, 10), (4_000, 384, 10), (4_000, 384, 50), (10_000, 512, 20))
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
TIGHT = 1e-6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--features", type=Path, nargs="*", default=[], help="files of a run's features")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    cases = {f"{n} x {d}, {c} classes": drawn(n, d, c) for n, d, c in CASES} if not given.features else {}
    for file in given.features:
        tensors, _ = read_features(file)
        cases[file.stem] = tensors["pooled"], tensors["label"]
    rows = [row(name, x, y, given.rounds) for name, (x, y) in cases.items()]
    append(given.out, "probes", rows, rounds=given.rounds, threads=given.threads, torch=torch.__version__)


def drawn(n: int, d: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes that overlap, on axes whose variance falls as one over their number, turned at random."""
    generator = np.random.default_rng(0)
    spread = 1 / np.sqrt(np.arange(1, d + 1))
    turn = np.linalg.qr(generator.standard_normal((d, d)))[0]
    labels = generator.integers(0, classes, n)
    centres = 0.3 * generator.standard_normal((classes, d))
    features = ((centres[labels] + generator.standard_normal((n, d))) * spread) @ turn
    return features.astype(np.float32), labels


def row(name: str, x: np.ndarray, y: np.ndarray, rounds: int) -> dict[str, Any]:
    """Seconds of the path, and how far from the optimum its fits end at worst."""
    mean, spread = (part.numpy() for part in moments(x))
    standard = (x - mean) / spread
    ways = {
        "ours": lambda: ours(x, y, spread),
        "scikit-learn": lambda: theirs(standard, y, 1e-4),
        f"scikit-learn, tol {TIGHT:g}": lambda: theirs(standard, y, TIGHT),
    }
    best = [
        objective(standard, y, fitted.coef_, fitted.intercept_, c)
        for c in STRENGTHS
        for fitted in [LogisticRegression(C=c, tol=1e-8, max_iter=20_000).fit(standard, y)]
    ]
    taken: dict[str, list[float]] = {way: [] for way in ways}
    values: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for way, make in ways.items():
            started = time.process_time()
            path = make()
            if turn:
                taken[way].append(time.process_time() - started)
            found = (objective(standard, y, w, b, c) for (w, b), c in zip(path, STRENGTHS, strict=True))
            values[way] = list(found)
    least = [min(column) for column in zip(best, *values.values(), strict=True)]
    gaps = {w: max(v - m for v, m in zip(some, least, strict=True)) for w, some in values.items()}
    seconds = {way: statistics.median(times) for way, times in taken.items()}
    print(name)
    for way in ways:
        ratio = seconds[way] / seconds["ours"]
        print(f"  {way:<26}{seconds[way]:8.2f} s  {ratio:5.1f} x   {gaps[way]:9.1e} above the optimum")
    return {
        "case": name,
        "seconds": seconds,
        "range": {w: [min(t), max(t)] for w, t in taken.items()},
        "above": gaps,
    }


def ours(x: np.ndarray, y: np.ndarray, spread: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The path, its weights as of standardised features."""
    model = Logistic(x, y)
    path = [model.fit(c) for c in STRENGTHS]
    mean = moments(x)[0].numpy()
    return [((f.weight.numpy() * spread[:, None]).T, f.bias.numpy() + mean @ f.weight.numpy()) for f in path]


def theirs(x: np.ndarray, y: np.ndarray, tolerance: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """The path by scikit-learn's L-BFGS."""
    model, path = LogisticRegression(warm_start=True, max_iter=1000, tol=tolerance), []
    for strength in STRENGTHS:
        model.C = strength
        model.fit(x, y)
        path.append((model.coef_.copy(), model.intercept_.copy()))
    return path


def objective(x: np.ndarray, y: np.ndarray, weight: np.ndarray, bias: np.ndarray, strength: float) -> float:
    """What both minimise, in nats an example."""
    logits = torch.from_numpy(x @ weight.T + bias)
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(y))
    return float(loss) + float((weight**2).sum()) / (2 * strength * len(y))


if __name__ == "__main__":
    main()
