"""Features of the pictures that have none yet; what is done is put aside as it goes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from sightword.errors import BadSample, SightwordError
from sightword.evaluation.progress import watched
from sightword.training.model import Model
from sightword.use.index.known import Known, Unfinished
from sightword.use.index.stock import Stock, fingerprint
from sightword.views.decode import decode

AT_ONCE = 256  # pictures encoded together
ASIDE = 20.0  # seconds of work that a kill may cost


@dataclass
class Found:
    """Features of the pictures that could be read.

    vectors: a row for each picture of the stock; those of unreadable ones mean nothing.
    stamps: of each picture; "" for one that is unreadable.
    origin: for each picture its row in what was known; -1: it was encoded now, or is unreadable.
    bad: key and reason.
    """

    vectors: Float[np.ndarray, "n d"]
    stamps: list[str]
    origin: list[int]
    bad: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Looked:
    """A picture that was read: unchanged since its row was made, or its pixels, or what is wrong with it."""

    stamp: str = ""
    row: int = -1
    pixels: UInt8[Tensor, "1 3 s s"] | None = None
    bad: str = ""


def vectors_of(model: Model, images: UInt8[Tensor, "b 3 s s"]) -> Float[np.ndarray, "b d"]:
    """Features of length 1 that are compared: in the joint space, or of the image tower where there is none.

    Raises:
        SightwordError: the model answers with NaN.
    """
    # Model's own: these pictures are prepared already.
    found = F.normalize(Model.encode_image(model, images, project=model.has_text), dim=-1).numpy()
    if not np.isfinite(found).all():
        raise SightwordError(
            f"run '{model.name}' answers with NaN or Inf; its weights are broken, train it again"
        )
    return found


@final
class Encoding:
    """One pass over a stock.

    Args:
        model: encodes.
        stock: the pictures.
        known: what need not be encoded again.
        aside: where new features are kept until the index is written.
    """

    def __init__(self, model: Model, stock: Stock, known: Known, aside: Unfinished) -> None:
        self.model, self.stock, self.known, self.aside = model, stock, known, aside
        size = len(stock)
        self.found = Found(np.zeros((size, known.vectors.shape[1]), np.float32), [""] * size, [-1] * size)
        self._waiting: list[int] = []  # encoded, not yet put aside
        self._saved = time.monotonic()

    def run(self, what: str) -> Found:
        """All features; `what` is said beside the bar.

        Raises:
            SightwordError: the model answers with NaN.
            OSError: the disk is full, or refuses.
        """
        todo = list(self._unknown())
        self.stock.pairs.prefetch(range(len(self.stock.pairs.counts)))
        try:
            for numbers, looked in self._looked(todo, what):
                self._encode(numbers, looked)
                if time.monotonic() - self._saved > ASIDE:
                    self._put_aside()
        except KeyboardInterrupt:
            self._put_aside()
            raise
        return self.found

    def _unknown(self) -> Iterator[int]:
        """The pictures that have to be read; what is known of all others is taken at once."""
        for number, (key, stamp) in enumerate(zip(self.stock.keys, self.stock.stamps, strict=True)):
            row = self.known.row(key, stamp)
            if row is None:
                yield number
            else:
                self._take(number, row)

    def _looked(self, todo: Sequence[int], what: str) -> Iterator[tuple[Sequence[int], list[_Looked]]]:
        """Batches, read and decoded by threads while the one before is encoded."""
        starts = range(0, len(todo), AT_ONCE)
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            ahead = threads.map(self._look, todo[:AT_ONCE])
            for start in watched(starts, max(1, len(todo)), what, AT_ONCE):
                end = start + AT_ONCE
                looked, ahead = list(ahead), threads.map(self._look, todo[end : end + AT_ONCE])
                yield todo[start:end], looked

    def _look(self, number: int) -> _Looked:
        stock = self.stock
        try:
            data = stock.pairs[number].image
            stamp = stock.stamps[number] or fingerprint(data)
            before = self.known.hashed(stock.keys[number])
            if before is not None and before[1] == stamp:
                return _Looked(stamp, row=before[0])
            return _Looked(stamp, pixels=self.model.preparation([decode(data, stock.keys[number])]))
        except BadSample as error:
            return _Looked(bad=error.reason)

    def _encode(self, numbers: Sequence[int], looked: Sequence[_Looked]) -> None:
        new, pixels = list[int](), list[Tensor]()
        for number, one in zip(numbers, looked, strict=True):
            if one.pixels is not None:
                self.found.stamps[number] = one.stamp
                new.append(number)
                pixels.append(one.pixels)
            elif one.row >= 0:
                self._take(number, one.row)
            else:
                self.found.bad.append((self.stock.keys[number], one.bad))
        if new:
            self.found.vectors[new] = vectors_of(self.model, torch.cat(pixels))
            self._waiting += new

    def _take(self, number: int, row: int) -> None:
        self.found.vectors[number] = self.known.vectors[row]
        self.found.stamps[number] = self.known.stamps[row]
        self.found.origin[number] = row

    def _put_aside(self) -> None:
        if self._waiting:
            keys = [self.stock.keys[number] for number in self._waiting]
            stamps = [self.found.stamps[number] for number in self._waiting]
            self.aside.keep(keys, stamps, self.found.vectors[self._waiting])
        self._waiting, self._saved = [], time.monotonic()
