"""From a step's number to its batch: order, captions, pictures and views, all pure functions of (seed, step).

Workers hold no state, so torch's own DataLoader serves: the data set is indexed by step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch.utils.data import DataLoader, Dataset

from sightword.config import DataConfig
from sightword.errors import BadSample, SightwordError
from sightword.pairs.captions import Policy, choose_all
from sightword.pairs.order import Order
from sightword.pairs.sources import Pairs
from sightword.pairs.tokenizer import Tokenizer
from sightword.training.interrupt import ignore_in_worker
from sightword.training.plan import EncodingPlan
from sightword.views.decode import decode
from sightword.views.geometry import Pictures
from sightword.views.pipeline import make_views
from sightword.views.store import DecodedStore
from sightword.words import Batch

Ids = Int64[np.ndarray, " b"]
_TRIES = 16  # neighbours tried in place of an unreadable sample


@dataclass
class Steps(Dataset[Batch]):
    """A data set whose items are whole batches, indexed by step.

    Args:
        pairs: where samples come from.
        order: which samples a step sees.
        tokenizer: turns captions into ids.
        plan: what is encoded at a step: only those views and captions are made.
        store: pictures that are decoded already, or None.
    """

    pairs: Pairs
    order: Order
    tokenizer: Tokenizer
    policy: Policy
    batch_size: int
    seed: int
    plan: Callable[[int], EncodingPlan]
    store: DecodedStore | None = None

    def __getitem__(self, step: int) -> Batch:
        epoch, wanted = self.order.batch(step, self.batch_size)
        plan = self.plan(step)
        images, ids, bad = self._pictures(wanted)
        views = make_views(images, plan.views, self.seed, ids, epoch) if plan.views else {}
        texts = [self.pairs.text(int(i)) for i in ids] if plan.captions else []
        captions = {
            wish: self.tokenizer(choose_all(texts, self.policy, self.seed, ids, epoch, wish.draw))
            for wish in plan.captions
        }
        keys = tuple(self.pairs.keys[int(i)] for i in ids)
        return Batch(step, keys, torch.from_numpy(ids), epoch, views, captions, self.seed, tuple(bad))

    def _pictures(self, ids: Ids) -> tuple[Pictures, Ids, list[tuple[str, str]]]:
        """The pictures of these samples; an unreadable one is replaced by the next readable sample.

        Which one that is depends on the data alone, so a resumed run meets the same one.
        """
        bad: list[tuple[str, str]] = []
        if self.store is not None:
            used = np.array([self._stored(i, self.store, bad) for i in ids.tolist()], dtype=np.int64)
            return self.store.gather(used), used, bad
        rows = [self._decoded(i, bad) for i in ids.tolist()]
        return [image for image, _ in rows], np.array([i for _, i in rows], dtype=np.int64), bad

    def _stored(self, index: int, store: DecodedStore, bad: list[tuple[str, str]]) -> int:
        for candidate in self._candidates(index):
            if candidate not in store.bad:
                return candidate
            bad.append(store.bad[candidate])
        raise _hopeless(bad)

    def _decoded(self, index: int, bad: list[tuple[str, str]]) -> tuple[UInt8[np.ndarray, "h w 3"], int]:
        for candidate in self._candidates(index):
            try:
                sample = self.pairs[candidate]
                return decode(sample.image, sample.key), candidate
            except BadSample as error:
                bad.append((error.key, error.reason))
        raise _hopeless(bad)

    def _candidates(self, index: int) -> Iterator[int]:
        return ((index + i) % len(self.pairs) for i in range(_TRIES))


def load_steps(steps: Steps, start: int, total: int, config: DataConfig, cuda: bool) -> Iterator[Batch]:
    """The batches from step `start` to `total`, made ahead by worker processes."""
    workers = config.workers if config.workers >= 0 else default_workers()
    loader = DataLoader(
        steps,
        batch_size=None,
        sampler=range(start, total),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        collate_fn=_same,
        pin_memory=cuda,
        worker_init_fn=ignore_in_worker,
    )
    return iter(loader)


def default_workers() -> int:
    """All cores but one for training itself; at least one, so that data is made while a step runs."""
    return max(1, len(os.sched_getaffinity(0)) - 1) if hasattr(os, "sched_getaffinity") else 1


def _hopeless(bad: list[tuple[str, str]]) -> SightwordError:
    key, reason = bad[-1]
    return SightwordError(
        f"{_TRIES} samples in a row are unreadable, the last {key} ({reason}); repair the data"
    )


def _same(batch: Any) -> Any:
    return batch
