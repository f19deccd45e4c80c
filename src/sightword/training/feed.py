"""From a step's number to its batch: order, captions, pictures and views, all pure functions of (seed, step).

Nothing here holds state, so torch's own DataLoader serves: the data set is indexed by step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import Dataset

from sightword.config import CaptionPolicy, Colourer
from sightword.errors import BadSample, SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.order import Ordering
from sightword.pairs.sample import Text
from sightword.pairs.words.captions import choose_all
from sightword.pairs.words.tokenizer import Tokenizer
from sightword.randomness import stream
from sightword.training.gathering import Gathered, Ids, Wanted, from_files, from_store, stage
from sightword.training.plan import EncodingPlan
from sightword.views.decode import decode
from sightword.views.store import MIB, DecodedStore
from sightword.views.unfinished import left_to_do
from sightword.words import Batch, Source

_TRIES = 16  # neighbours tried in place of an unreadable sample
_NEAR = 256  # samples that are its neighbours
_LOOKED_AT = 32  # pictures from which the size of all is judged


@dataclass
class Steps(Dataset[Batch]):
    """A data set whose items are whole batches, indexed by step.

    Args:
        pairs: where samples come from.
        order: which samples a step sees.
        tokenizer: turns captions into ids.
        policy: how a sample's caption is chosen.
        batch_size: samples in a step, of all processes.
        seed: the run's seed.
        plan: what is encoded at a step: only those views and captions are made.
        store: pictures that are decoded already, or None.
        source: which of a plan's views these are.
        sight: the steps of other pictures for self-supervision, which come in the same batch.
        colour: who does the views' colours. `device`: batches come with what is left to do to them
            (`Batch.finish`).
        rank, ranks: this process, and how many share a step: it gets the rank-th piece of each batch.
    """

    pairs: Pairs
    order: Ordering
    tokenizer: Tokenizer
    policy: CaptionPolicy
    batch_size: int
    seed: int
    plan: Callable[[int], EncodingPlan]
    store: DecodedStore | None = None
    source: Source = "pairs"
    sight: Steps | None = None
    colour: Colourer = "loader"
    rank: int = 0
    ranks: int = 1
    _texts: dict[int, Text] = field(default_factory=dict)  # a data set small enough for a store: kept as well

    def __getitem__(self, step: int) -> Batch:
        """This process's rows of the batch of a step, the same whoever makes them.

        Raises:
            SightwordError: no readable sample is near an unreadable one.
        """
        every = self.order.batch(step, self.batch_size)
        epochs, asked = (numbers[self.own_rows] for numbers in every)
        plan = self.plan(step)
        wishes = plan.captions if self.source == "pairs" else ()
        views, own = tuple(plan.views(self.source)), self.colour == "loader"
        wanted = Wanted(asked, epochs, views, bool(wishes), self.seed, own)
        found, ids, bad = self._gather(wanted, set(every[1].tolist()))
        texts = [text for text in found.texts if text is not None]
        with stage(found.seconds, "captions"):
            captions = {
                wish: self.tokenizer(choose_all(texts, self.policy, self.seed, ids, epochs, wish.draw))
                for wish in wishes
            }
        named = zip(found.texts, ids.tolist(), strict=True)
        keys = tuple(text.key if text else self.pairs.keys[id] for text, id in named)
        sight = self.sight[step] if self.sight and plan.views("sight") else None
        bad += tuple((f"sight:{key}", reason) for key, reason in sight.bad) if sight else ()
        numbers = torch.from_numpy(ids), torch.from_numpy(epochs)
        finish = {} if own else left_to_do(views, self.seed, ids, epochs)
        return Batch(
            step, keys, *numbers, found.views, captions, self.seed, bad, sight, found.seconds, finish
        )

    @property
    def own_rows(self) -> slice:
        """Which of a step's samples are this process's."""
        rows = self.batch_size // self.ranks
        return slice(self.rank * rows, (self.rank + 1) * rows)

    def bytes_of(self, step: int) -> int:
        """What the views of a step take in this process, bytes."""
        rows = self.batch_size // self.ranks
        own = sum(3 * view.size**2 for view in self.plan(step).views(self.source)) * rows
        return own + (self.sight.bytes_of(step) if self.sight else 0)

    def _gather(
        self, wanted: Wanted, everyone: set[int]
    ) -> tuple[Gathered, Ids, tuple[tuple[str, str], ...]]:
        """These samples, each unreadable one replaced by a readable one outside the whole step's batch.

        Which one that is depends on the sample and its batch alone, so a resumed run meets the same one, and
        so does a process that does not know what others replace.
        """
        found, ids = self._read(wanted), wanted.ids.copy()
        bad = {found.bad[row].key: found.bad[row].reason for row in sorted(found.bad)}
        for row in sorted(found.bad):
            ids[row] = self._replace(row, wanted, found, everyone, bad)
        return found, ids, tuple(bad.items())

    def _replace(
        self, row: int, wanted: Wanted, found: Gathered, everyone: set[int], bad: dict[str, str]
    ) -> int:
        for candidate in _neighbours(int(wanted.ids[row]), len(self.pairs), everyone):
            other = self._read(wanted.alone(row, candidate))
            if not other.bad:
                found.put(row, other)
                return candidate
            bad[other.bad[0].key] = other.bad[0].reason
        key, reason = next(reversed(bad.items()))
        raise SightwordError(
            f"{_TRIES} samples in a row are unreadable, the last {key} ({reason}); repair the data"
        )

    def _read(self, wanted: Wanted) -> Gathered:
        if self.store is None:
            return from_files(self.pairs, wanted)
        return from_store(self.pairs, self.store, self._texts, wanted)


def open_store(pairs: Pairs, budget_mib: int | float) -> DecodedStore | None:
    """Every picture decoded in memory, when a look at a few says that all of them fit into `budget_mib`."""
    few = np.unique(np.linspace(0, len(pairs) - 1, _LOOKED_AT).astype(np.int64)).tolist()
    sizes = [size for size in (_decoded_bytes(pairs, id) for id in few) if size is not None]
    if not sizes or sum(sizes) / len(sizes) * len(pairs) > budget_mib * MIB:
        return None
    return DecodedStore.load(lambda id: pairs[id].image, pairs.keys, budget_mib)


def _neighbours(id: int, size: int, everyone: set[int]) -> list[int]:
    """Samples to try in place of one, in an order of its own, so that two that fail together part.

    Near ones, which lie in the same shard; of a batch as large as the data set, such that are in it.
    """
    near = [(id + 1 + i) % size for i in range(min(_NEAR, size - 1))]
    near = sorted(near, key=lambda other: stream("replacement", id, other))
    free = [other for other in near if other not in everyone]
    return (free or near)[:_TRIES]


def _decoded_bytes(pairs: Pairs, id: int) -> int | None:
    try:
        sample = pairs[id]
        return decode(sample.image, sample.key).nbytes
    except BadSample:
        return None
