"""Whether the fast path learns what the plain one learns: `python bench/curves.py [--steps 200]`.

Runs on the demo's pictures, stepped as training steps them: as they are, and with every short cut taken out
(`_plain.py`: captions padded, torch's own attention, convolutions and batch norms, pictures normalised apart,
AdamW tensor by tensor, float32 products in full, logits kept, each want encoded by itself).

In fp32 the losses of the first 20 steps, each from the same weights, must agree to 1e-5, and so must the
gradients with those of the plain path in float64. A run that goes its own way for as long must stay within
1e-5 of the plain one, or as near to the run in float64 as the plain one stays, twice over: batch norms and
ReLUs make much of little, and the plain path itself goes another way with another number of threads.
In bf16 the two curves must be no further apart than curves of different seeds are. The exit code is 1 when
they are not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from _lockstep import Way, lockstep, opened
from _machine import described
from _plain import fast, plainly
from _results import append

from sightword.config import Config, DataConfig, ModelConfig, OptimizerConfig, Precision
from sightword.recipes import models
from sightword.training.feed import open_store
from sightword.training.matmul import multiplying
from sightword.training.progress import Bar
from sightword.training.session import Session
from sightword.training.stepping import Stepper

FIRST, LIMIT = 20, 1e-5
WINDOW = 20  # steps over which a curve is smoothed before curves are compared
OBJECTIVES = {
    "resnet-tiny": "clip + simclr(hidden=512, out=128)",
    "vit-tiny/4": "clip + simclr(hidden=512, out=128)"
    " + mae(decoder_width=96, decoder_layers=2, decoder_heads=3)",
}
Curve = list[float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--seeds", type=int, default=3, help="of the plain path in bf16: 2 or more")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = []
    for name in (name for name in OBJECTIVES if given.only in name):
        model = models.resnet_tiny() if name == "resnet-tiny" else small_vit()
        with tempfile.TemporaryDirectory() as folder:
            rows += compared(model, OBJECTIVES[name], given, Path(folder))
    append(given.out, "curves", rows, steps=given.steps, **described(torch.device("cpu")))
    sys.exit(not all(row["agrees"] for row in rows))


def small_vit() -> ModelConfig:
    """vit-tiny with a third of its layers."""
    tiny = models.vit_tiny()
    return replace(tiny, name="vit-tiny/4", image=replace(tiny.image, layers=(4,)))


def compared(
    model: ModelConfig, objective: str, given: argparse.Namespace, folder: Path
) -> list[dict[str, Any]]:
    """A row for each precision."""
    about = {"model": model.name, "objective": objective, "rows": given.rows}
    first = min(FIRST, given.steps)
    with Bar(f"curves of {model.name}", given.steps * (3 + given.seeds) + 2 * first) as bar:

        def run(
            way: Way, precision: Precision, seed: int = 0, length: int = given.steps, double: bool = False
        ) -> Curve:
            config = recipe(model, objective, precision, seed, given)
            with way():
                session = opened(replace(config, out=str(folder / str(len(list(folder.iterdir()))))))
                if double:
                    session.model.double()
                return curve(session, length, bar)

        config = recipe(model, objective, "fp32", 0, given)
        steps = lockstep(config, folder, fast, plainly, first)
        double = run(plainly, "fp32", length=first, double=True)
        with other_threads():
            threads = run(plainly, "fp32", length=first)
        exact = steps | in_fp32(run(fast, "fp32"), run(plainly, "fp32"), double, threads)
        noise = in_bf16(run(fast, "bf16"), [run(plainly, "bf16", seed) for seed in range(given.seeds)])
    exact["agrees"] &= steps["step_loss"] <= LIMIT
    exact["agrees"] &= steps["step_gradient"] <= max(LIMIT, steps["step_gradient_plain"])
    show(model.name, exact, noise)
    return [about | exact, about | noise]


def show(name: str, exact: dict[str, Any], noise: dict[str, Any]) -> None:
    """What a row of each precision says."""
    print(
        f"{name}, fp32, {FIRST} steps: each from the same weights {exact['step_loss']:.1e} apart; gradients"
        f" {exact['step_gradient']:.1e} from float64's, the plain path's {exact['step_gradient_plain']:.1e}"
        f" (limit {LIMIT:g}); going on by themselves {exact['first']:.1e} apart, from float64 fast"
        f" {exact['exact']:.1e}, plain {exact['rounding']:.1e}, which with another number of threads is"
        f" {exact['threads']:.1e} from itself; whole curves {exact['apart']:.1e}\n"
        f"{name}, bf16: curves {noise['apart']:.2e} apart, of different seeds {noise['seeds'][0]:.2e} to"
        f" {noise['seeds'][-1]:.2e}; at the end {noise['end']:.4f} and {noise['end_plain']:.4f}"
        f"{'' if exact['agrees'] and noise['agrees'] else '   DIFFERS'}",
        flush=True,
    )


def in_fp32(own: Curve, plain: Curve, double: Curve, threads: Curve) -> dict[str, Any]:
    """Differences relative to the loss; of the first steps the largest."""
    most, exact, rounding = largest(own[:FIRST], plain), largest(own, double), largest(plain, double)
    return {
        "precision": "fp32",
        "first": most,
        "exact": exact,
        "rounding": rounding,
        "threads": largest(threads, plain),
        "apart": apart(own, plain),
        "agrees": most <= LIMIT or exact <= max(LIMIT, 2 * rounding),
        "curve": own,
        "curve_plain": plain,
    }


@contextmanager
def other_threads() -> Iterator[None]:
    """With one thread instead of several, or with two instead of one: sums in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if before > 1 else 2)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def largest(some: Curve, others: Curve) -> float:
    """Of the relative differences."""
    return max(abs(a / b - 1) for a, b in zip(some, others, strict=False))


def in_bf16(own: Curve, plain: list[Curve]) -> dict[str, Any]:
    """How far the curve is from the plain one of its seed, and those of different seeds from each other."""
    seeds = sorted(apart(a, b) for a, b in combinations(plain, 2))
    found = apart(own, plain[0])
    return {
        "precision": "bf16",
        "apart": found,
        "seeds": seeds,
        "end": statistics.mean(own[-WINDOW:]),
        "end_plain": statistics.mean(plain[0][-WINDOW:]),
        "agrees": found <= seeds[-1],
        "curve": own,
        "curve_plain": plain[0],
    }


def apart(one: Curve, other: Curve) -> float:
    """Root mean square difference of the smoothed curves, relative to the mean loss."""
    a, b = smooth(one), smooth(other)
    square = statistics.mean((x - y) ** 2 for x, y in zip(a, b, strict=True))
    return float(square**0.5 / statistics.mean(b))


def smooth(curve: Curve) -> Curve:
    """Means over a sliding window."""
    width = min(WINDOW, len(curve))
    return [statistics.mean(curve[i : i + width]) for i in range(len(curve) - width + 1)]


def recipe(
    model: ModelConfig, objective: str, precision: Precision, seed: int, given: argparse.Namespace
) -> Config:
    """The demo's, as long as asked."""
    return Config(
        objective=objective,
        model=model,
        data=DataConfig(tokenizer="learned", workers=0),
        optimizer=OptimizerConfig(lr=1e-3, wd=0.1, warmup=0.1),
        batch_size=given.rows,
        steps=given.steps,
        precision=precision,
        device="cpu",
        seed=seed,
    )


def curve(session: Session, length: int, bar: Bar) -> Curve:
    """The loss of the first steps of a new run."""
    stepper = Stepper(session)
    steps = session.steps(open_store(session.pairs, session.config.data.cache_mib))
    losses = []
    with multiplying(session.float32_matmul):
        for step in range(length):
            losses.append(stepper.forward_backward(step, steps[step], False, False).loss)
            stepper.update(step)
            bar.advance()
    return losses


if __name__ == "__main__":
    main()
