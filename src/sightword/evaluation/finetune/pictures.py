"""What a fine-tuning learns from: labelled pictures, and the batches that chance makes of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from sightword.evaluation.features import Pixels
from sightword.evaluation.finetune.erasing import erase
from sightword.evaluation.finetune.mixing import Mix, draw_mix, mixed
from sightword.evaluation.finetune.randaugment import Step, apply_steps, draw_steps
from sightword.evaluation.finetune.recipe import FineTuneRecipe
from sightword.evaluation.labelled import LabelledSet
from sightword.randomness import stream, uniform
from sightword.views.decode import decode
from sightword.views.pipeline import make_views
from sightword.words import ImageFacts, Jitter, View

KEPT = 2**30  # bytes of decoded pictures that are kept; of a larger set the rest is decoded in every epoch
_EARLY = Mix(1.0)


class Taught:
    """Readable pictures with their labels, out of one or more sets, numbered from 0.

    Args:
        parts: sets, and the positions of the pictures that can be read.
        kept: bytes of decoded pictures to keep.
    """

    def __init__(
        self, parts: Sequence[tuple[LabelledSet, Int64[np.ndarray, " _"]]], kept: int = KEPT
    ) -> None:
        self._places = [(labelled, int(row)) for labelled, rows in parts for row in rows]
        self.labels = np.concatenate([_labels(labelled)[rows] for labelled, rows in parts])
        self._held: dict[int, Pixels] = {}
        self._room = kept

    def __len__(self) -> int:
        return len(self._places)

    def picture(self, i: int) -> Pixels:
        """One picture, decoded."""
        if i in self._held:
            return self._held[i]
        labelled, row = self._places[i]
        found = labelled.read(row)
        pixels = decode(found, labelled.keys[row]) if isinstance(found, bytes) else found
        if pixels.nbytes <= self._room:
            self._room -= pixels.nbytes
            self._held[i] = pixels
        return pixels


def _labels(labelled: LabelledSet) -> Int64[np.ndarray, " n"]:
    assert labelled.probed is not None
    return labelled.probed.of


@dataclass(frozen=True, eq=False)
class TuningBatch:
    """A step's pictures as the tower takes them.

    images: already augmented, erased and mixed.
    labels: of the pictures before mixing.
    draws: for dropping paths.
    """

    images: UInt8[Tensor, "b 3 s s"]
    labels: Int64[Tensor, " b"]
    mix: Mix
    draws: Float[Tensor, "b _"] | None


@dataclass(frozen=True, eq=False)
class Feeder:
    """Makes batches: each a pure function of the seed, its epoch and its place in the epoch.

    An epoch shows every sample once in a new order; those that do not fill a batch are left out of it, as in
    BEiT's code. RandomResizedCrop and flip, RandAugment (or colour jitter), erasing, mixing.

    Deviation: crops are resized bilinearly (antialiased), not bicubically, as all views here.
    """

    taught: Taught
    samples: Int64[np.ndarray, " n"]
    recipe: FineTuneRecipe
    facts: ImageFacts
    path_draws: int
    seed: int

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self.samples) // self.recipe.batch

    def batches(self, places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, TuningBatch]]:
        """The batches at (epoch, index), one of them made ahead by threads while another is learned from."""
        with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(os.cpu_count()) as threads:
            waiting = None
            for place in places:
                coming = place, ahead.submit(self.batch, *place, threads)
                if waiting is not None:
                    yield *waiting[0], waiting[1].result()
                waiting = coming
            if waiting is not None:
                yield *waiting[0], waiting[1].result()

    def batch(self, epoch: int, index: int, threads: ThreadPoolExecutor) -> TuningBatch:
        """One batch."""
        recipe, size = self.recipe, self.facts.size
        ids = self._order(epoch)[index * recipe.batch : (index + 1) * recipe.batch]
        pictures = list(threads.map(self.taught.picture, ids.tolist()))
        images = make_views(pictures, [self._view()], self.seed, ids, epoch)[self._view()].numpy()
        images = self._augmented(images, ids, epoch, threads)
        if recipe.erasing is not None:
            colour = self.facts.mean, self.facts.std
            erase(images, recipe.erasing, colour, self.seed, ids, np.full(len(ids), epoch))
        mix = _EARLY
        if recipe.mixing is not None:
            mix = draw_mix(recipe.mixing, (size, size), self.seed, index, epoch)
        labels = torch.from_numpy(self.taught.labels[ids])
        return TuningBatch(mixed(torch.from_numpy(images), mix), labels, mix, self._draws(ids, epoch))

    def _order(self, epoch: int) -> Int64[np.ndarray, " n"]:
        draws = uniform(self.seed, stream("fine-tuning order"), self.samples, epoch, 1)[:, 0]
        return self.samples[np.argsort(draws, kind="stable")]

    def _view(self) -> View:
        strength = self.recipe.jitter if self.recipe.augment is None else 0.0
        jitter = Jitter(strength, strength, strength, 0.0, p=1.0) if strength else None
        return View(self.facts.size, scale=self.recipe.scale, flip=self.recipe.flip, jitter=jitter)

    def _augmented(
        self,
        images: UInt8[np.ndarray, "b 3 s s"],
        ids: Int64[np.ndarray, " b"],
        epoch: int,
        threads: ThreadPoolExecutor,
    ) -> UInt8[np.ndarray, "b 3 s s"]:
        if self.recipe.augment is None:
            return images
        fill: Any = tuple(min(255, round(255 * part)) for part in self.facts.mean)
        steps = draw_steps(self.recipe.augment, self.seed, ids, epoch)

        def done(image: UInt8[np.ndarray, "3 s s"], its: list[Step]) -> UInt8[np.ndarray, "3 s s"]:
            upright = np.ascontiguousarray(image.transpose(1, 2, 0))
            return apply_steps(upright, its, fill).transpose(2, 0, 1)

        return np.stack(list(threads.map(done, images, steps)))

    def _draws(self, ids: Int64[np.ndarray, " b"], epoch: int) -> Float[Tensor, "b _"] | None:
        if not self.path_draws:
            return None
        drawn = uniform(self.seed, stream("fine-tuning paths"), ids, epoch, self.path_draws)
        return torch.from_numpy(drawn.astype(np.float32))
