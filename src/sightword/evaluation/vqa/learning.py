"""Training a head, and the encoders below it where they learn too; and asking it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from sightword.errors import SightwordError
from sightword.evaluation.keeping import Keeper, Standing
from sightword.evaluation.progress import watched
from sightword.evaluation.vqa.head import Head
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.evaluation.vqa.recipe import SEED, Recipe
from sightword.evaluation.vqa.seeing import Loaded, Rows, Seeing
from sightword.randomness import stream, uniform
from sightword.training.allocator import keep_memory
from sightword.training.optimizer import gradient_norm

ASKED = 1024  # questions answered at a time
NOTHING, BEGINNING = Keeper(None, ""), Standing()


@dataclass(frozen=True, eq=False)
class Pool:
    """Questions that may be asked, because their pictures can be read.

    rows: their positions in the set. targets: a row for each question of the set.
    """

    part: QuestionSet
    rows: Int64[np.ndarray, " n"]
    targets: csr_matrix

    @property
    def ceiling(self) -> Float64[np.ndarray, " n"]:
        """What the best choice among the answers scores on each question that may be asked."""
        best: np.ndarray = self.targets.max(axis=1).toarray()[:, 0]
        return best[self.rows]


class Answerer(nn.Module):
    """Where features come from, and the head above them."""

    def __init__(self, seeing: Seeing, head: Head) -> None:
        super().__init__()
        self.seeing, self.head = seeing, head

    def forward(self, loaded: Loaded, device: torch.device) -> Float[Tensor, "b answers"]:
        """Scores of answers, before softmax or sigmoid."""
        return self.head(*self.seeing(loaded, device))


@contextmanager
def seeded(device: torch.device, purpose: str) -> Iterator[None]:
    """Everything drawn inside depends on the purpose alone; the outer draws go on as if nothing was drawn."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(stream(SEED, "vqa", purpose))
        yield


def train(
    answerer: Answerer,
    pool: Pool,
    recipe: Recipe,
    lr: float,
    epochs: int,
    device: torch.device,
    what: str,
    keeper: Keeper = NOTHING,
    standing: Standing = BEGINNING,
) -> None:
    """Train on a pool; encoders learn if they have parameters.

    Args:
        answerer: changed in place, on `device`.
        pool: what is learned from.
        recipe: everything but `lr` and `epochs`.
        lr: of the head; encoders have `recipe.towers` times as much.
        epochs: passes over the pool.
        device: where it computes.
        what: is trained, for the bar.
        keeper: saves now and then, and at the end.
        standing: how many steps of this training are done; where some are, the keeper has its weights.

    Raises:
        SightwordError: when the loss ends as NaN or Inf.
        OSError: when a save fails.
    """
    if device.type == "cpu":
        keep_memory()
    steps, done = epochs * math.ceil(len(pool.rows) / recipe.batch), standing.done
    optimizer, loss = _optimizer(answerer, recipe, lr), torch.zeros(())
    with seeded(device, "dropout"):
        if done:
            _set_chance(keeper.restore(answerer, optimizer), device)
        answerer.train()
        parts = ahead(answerer.seeing, pool.part, islice(batches(pool, epochs, recipe), done, None))
        for rows, loaded in watched(parts, steps - done, what):
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * _share(done, steps, recipe)
            loss = wrong(answerer(loaded, device), pool, rows)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            gradient_norm(answerer, recipe.clip)
            optimizer.step()
            done += 1
            if done == steps:
                _check(loss, what)
            if done == steps or keeper.due():
                keeper.save(replace(standing, done=done), answerer, optimizer, _chance(device))


def _check(loss: Tensor, what: str) -> None:
    if not math.isfinite(loss.item()):
        raise SightwordError(f"{what} came to a loss of {loss.item()}; give smaller learning rates")


def _chance(device: torch.device) -> dict[str, Tensor]:
    """Where the draws of dropout stand."""
    own = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"cpu": torch.get_rng_state(), **own}


def _set_chance(states: Mapping[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


def wrong(logits: Float[Tensor, "b answers"], pool: Pool, rows: Rows) -> Float[Tensor, ""]:
    """The loss of a batch.

    Where answers are right to a degree: binary cross-entropy with that degree, summed over answers, as is
    customary for VQA v2 (1708.02711, equation 2). Otherwise cross-entropy.
    """
    # Few answers of thousands are right to any degree: only they travel to the device.
    right = pool.targets[rows].tocoo()
    where = torch.from_numpy(np.stack([right.row, right.col]).astype(np.int64)).to(logits.device)
    worth = torch.from_numpy(right.data).to(logits.device, logits.dtype)
    targets = torch.zeros_like(logits).index_put_((where[0], where[1]), worth)
    if pool.part.rule.soft:
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(rows)
    return F.cross_entropy(logits, targets)


@torch.no_grad()
def predict(answerer: Answerer, pool: Pool, device: torch.device, what: str) -> Int64[np.ndarray, " n"]:
    """The chosen answer of each question of a pool."""
    answerer.eval()
    by_picture = pool.rows[np.argsort(pool.part.questions.of[pool.rows], kind="stable")]
    parts = [by_picture[i : i + ASKED] for i in range(0, len(by_picture), ASKED)]
    chosen = np.zeros(len(pool.part.questions), dtype=np.int64)
    for rows, loaded in watched(ahead(answerer.seeing, pool.part, parts), len(parts), what):
        chosen[rows] = answerer(loaded, device).argmax(dim=1).cpu().numpy()
    return chosen[pool.rows]


def batches(pool: Pool, epochs: int, recipe: Recipe) -> Iterator[Rows]:
    """Which questions each step sees.

    With frozen encoders, questions in random order. With encoders that learn, pictures are in random order
    and the questions about one follow each other, so that it is encoded about once an epoch and not once a
    question (VQA v2 asks 5 times of a picture, CLEVR 10, GQA 13). Deviation: a batch has fewer pictures.
    """
    of = pool.part.questions.of[pool.rows]
    for epoch in range(epochs):
        order = uniform(SEED, stream("vqa questions"), pool.rows, epoch, 1)[:, 0]
        pictures = uniform(SEED, stream("vqa pictures"), of, epoch, 1)[:, 0]
        rows = pool.rows[np.lexsort((order, pictures)) if recipe.towers else np.argsort(order)]
        yield from (rows[i : i + recipe.batch] for i in range(0, len(rows), recipe.batch))


def ahead(seeing: Seeing, part: QuestionSet, parts: Iterable[Rows]) -> Iterator[tuple[Rows, Loaded]]:
    """Batches and what they need; one is read while the one before is worked on."""
    with ThreadPoolExecutor(1) as thread:
        waiting: tuple[Rows, Future[Loaded]] | None = None
        for rows in parts:
            coming = rows, thread.submit(seeing.load, part, rows)
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = coming
        if waiting is not None:
            yield waiting[0], waiting[1].result()


def _optimizer(answerer: Answerer, recipe: Recipe, lr: float) -> torch.optim.AdamW:
    """AdamW without decay of whatever has fewer than two dimensions; `initial_lr` is each group's peak."""

    def own(module: nn.Module, matrices: bool) -> list[nn.Parameter]:
        return [p for p in module.parameters() if (p.ndim >= 2) == matrices]

    groups = [
        {"params": own(module, matrices), "lr": rate, "initial_lr": rate, "weight_decay": decay}
        for module, rate in ((answerer.head, lr), (answerer.seeing, lr * recipe.towers))
        for matrices, decay in ((True, recipe.wd), (False, 0.0))
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr)


def _share(step: int, steps: int, recipe: Recipe) -> float:
    """Of the peak learning rate: warm-up, then a cosine to zero."""
    warm = max(1, round(recipe.warmup * steps))
    if step < warm:
        return (step + 1) / warm
    return (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2
