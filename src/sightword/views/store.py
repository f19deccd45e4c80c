"""Decoded pictures in memory: a small data set is decoded once, and shared by all loader processes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, final

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from sightword.errors import BadSample
from sightword.views.decode import decode
from sightword.views.geometry import Pictures
from sightword.views.in_threads import mapped
from sightword.views.native.library import current

log = logging.getLogger(__name__)
Pixels: TypeAlias = UInt8[np.ndarray, "_ _ 3"]
Decoder: TypeAlias = Callable[[bytes, str], Pixels]

MIB = 2**20
CHUNK = 512  # pictures decoded between two looks at the budget


@final
class DecodedStore:
    """Every picture of a data set, decoded, in one block of shared memory.

    `bad` has the samples that could not be read: id -> (key, reason).
    """

    def __init__(
        self,
        pixels: UInt8[Tensor, " n"],
        starts: Int[np.ndarray, " m"],
        sizes: Int[np.ndarray, "m 2"],
        bad: Mapping[int, tuple[str, str]],
    ) -> None:
        self._pixels, self._starts, self._sizes, self.bad = pixels, starts, sizes, dict(bad)
        self._stacked = self._stack()

    @staticmethod
    def load(
        read: Callable[[int], bytes],
        keys: Sequence[str],
        budget_mib: int | float,
        threads: int | None = None,
        decoder: Decoder = decode,
    ) -> DecodedStore | None:
        """Decode every sample, with a pool of threads where that pays, or give up as soon as they do not fit.

        Args:
            read: the file of sample i as bytes; may raise `BadSample`.
            keys: the samples' names; their number is the number of samples.
            budget_mib: how much memory the decoded pictures may take.
            threads: of the pool; as many as cores by default (see `in_threads.mapped`).
            decoder: file and key to pixels.

        Returns:
            The store, or None (and a line in the log) when the pictures need more than the budget.
        """
        loaded: list[Pixels | BadSample] = []
        with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
            for start in range(0, len(keys), CHUNK):
                chunk = range(start, min(start + CHUNK, len(keys)))
                loaded += mapped(lambda sample: _load(read, decoder, sample, keys[sample]), chunk, pool)
                if sum(it.nbytes for it in loaded if isinstance(it, np.ndarray)) > budget_mib * MIB:
                    log.warning(
                        "%d pictures need more than %g MiB decoded: each is decoded whenever it is seen",
                        len(keys),
                        budget_mib,
                    )
                    return None
        return _pack(loaded)

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def mib(self) -> float:
        """The memory that the pixels take."""
        return self._pixels.numel() / MIB

    @property
    def shared(self) -> bool:
        """Whether worker processes see this memory instead of a copy."""
        return self._pixels.is_shared()

    def gather(self, ids: Int[np.ndarray, " b"]) -> Pictures:
        """These samples' pictures, views of the store's memory.

        Without the native kernel, which takes them from wherever they lie, those of one size are gathered in
        one tensor (b, h, w, 3), whose views are made faster.

        Raises:
            BadSample: one of them could not be read when the store was filled.
        """
        for sample in self.bad.keys() & set(ids.tolist()):
            raise BadSample(*self.bad[sample])
        if self._stacked is not None:
            if current() is None:
                return self._stacked[torch.from_numpy(ids)]
            pictures: UInt8[np.ndarray, "m h w 3"] = self._stacked.numpy()
            return [pictures[sample] for sample in ids.tolist()]
        return [self._picture(sample) for sample in ids.tolist()]

    def _picture(self, sample: int) -> Pixels:
        height, width = self._sizes[sample].tolist()
        start = int(self._starts[sample])
        flat: np.ndarray = self._pixels[start : start + height * width * 3].numpy()
        return flat.reshape(height, width, 3)

    def _stack(self) -> UInt8[Tensor, "m h w 3"] | None:
        """The same memory as one array, when every picture (bad ones have a place too) has one size."""
        if len(self._sizes) == 0 or (self._sizes != self._sizes[0]).any():
            return None
        height, width = self._sizes[0].tolist()
        return self._pixels.view(len(self._sizes), height, width, 3)


def _load(read: Callable[[int], bytes], decoder: Decoder, sample: int, key: str) -> Pixels | BadSample:
    try:
        return decoder(read(sample), key)
    except BadSample as error:
        return error


def _pack(loaded: list[Pixels | BadSample]) -> DecodedStore:
    """One block of memory. Where all pictures have one size, a bad one has an empty place of that size."""
    bad = {i: (it.key, it.reason) for i, it in enumerate(loaded) if isinstance(it, BadSample)}
    shapes = {picture.shape[:2] for picture in loaded if isinstance(picture, np.ndarray)}
    place = shapes.pop() if len(shapes) == 1 else (0, 0)
    sizes = np.array([place if isinstance(it, BadSample) else it.shape[:2] for it in loaded], dtype=np.int64)
    ends = np.cumsum(sizes.reshape(-1, 2).prod(axis=1) * 3)
    starts = np.concatenate([[0], ends])
    pixels = _shared_zeros(int(starts[-1]))
    for i, it in enumerate(loaded):
        if isinstance(it, np.ndarray):
            pixels[starts[i] : starts[i + 1]] = torch.from_numpy(it.reshape(-1))
    return DecodedStore(pixels, starts[:-1], sizes.reshape(-1, 2), bad)


def _shared_zeros(count: int) -> UInt8[Tensor, " n"]:
    """Memory that processes share; ordinary memory where there is too little of it (small containers)."""
    zeros = torch.zeros(count, dtype=torch.uint8)
    try:
        return zeros.share_memory_()
    except RuntimeError as error:
        log.warning("decoded pictures are not in shared memory, so spawned workers copy them: %s", error)
        return zeros
