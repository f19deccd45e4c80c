"""What lies in memory, by what it is for: every tensor's storage from when it is made until it is freed."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sightword.training.together.parallel import own_part

Bytes = dict[str, int]

WEIGHTS, COPIES, BUFFERS = "weights", "weights in bfloat16", "buffers"
GRADIENTS, OPTIMIZER, TEACHERS = "gradients", "optimizer", "teachers and averages"
INPUTS, BACKWARD = "inputs", "backward pass"
BUCKETS = "buckets of gradients to send"
GATHERED = "weights gathered from other processes"


class Ledger:
    """Bytes that live, by purpose, and the most there ever were.

    Tensors that share a storage count once, for the purpose of the first of them. A storage goes when the
    last of its tensors does, which is when an allocator gets it back.

    Args:
        block: an allocator's smallest piece: sizes are rounded up to whole ones.
    """

    def __init__(self, block: int = 1) -> None:
        self.block = block
        self.live: Counter[str] = Counter()
        self.total = self.peak = 0
        self.at_peak: Bytes = {}
        self._purposes = ["other"]
        self._known: dict[int, tuple[str, int, weakref.ref[torch.UntypedStorage]]] = {}

    @contextmanager
    def purpose(self, name: str) -> Iterator[None]:
        """Whatever is made meanwhile is for this."""
        self.begin(name)
        try:
            yield
        finally:
            self.end()

    def begin(self, name: str) -> None:
        """From here on it is for this, until `end`."""
        self._purposes.append(name)

    def end(self) -> None:
        """Back to what it was for before."""
        self._purposes.pop()

    def see(self, tensor: Tensor, copied: Tensor | None = None) -> None:
        """Take a tensor in, unless its storage is known; `copied` is what it was made from."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        name, size = self._purposes[-1], self._rounded(storage.nbytes())
        if tensor.dtype == torch.uint8:
            name = INPUTS  # pictures are the only bytes
        elif copied is not None and self._of(copied) == WEIGHTS:
            name = COPIES
        self._known[key] = (name, size, weakref.ref(storage, lambda _: self._gone(key)))
        self._add(name, size)

    def rename(self, tensors: Iterable[Tensor], name: str) -> None:
        """These turn out to be for this; they are taken in where they were not known."""
        for tensor in map(own_part, tensors):
            self.see(tensor)
            key = tensor.untyped_storage()._cdata
            before, size, held = self._known[key]
            self._known[key] = (name, size, held)
            self.live[before] -= size
            self.live[name] += size

    def restart(self) -> None:
        """Forget the peak: from here on the most is looked for again."""
        self.peak, self.at_peak = self.total, self.now()

    def now(self) -> Bytes:
        """What lives, by purpose."""
        return {name: size for name, size in self.live.items() if size}

    @contextmanager
    def following_sizes(self) -> Iterator[None]:
        """While it lasts, storages that are emptied and filled again, as sharding does, count as they are."""
        resize = torch.UntypedStorage.resize_

        def followed(storage: torch.UntypedStorage, size: int) -> object:
            answer = resize(storage, size)
            self._resized(storage)
            return answer

        torch.UntypedStorage.resize_ = followed  # type: ignore[assignment, method-assign]
        try:
            yield
        finally:
            torch.UntypedStorage.resize_ = resize  # type: ignore[method-assign]

    def _resized(self, storage: torch.UntypedStorage) -> None:
        known = self._known.get(storage._cdata)
        if known is None:
            return
        name, before, held = known
        size = self._rounded(storage.nbytes())
        self._add(name, -before)
        self._known[storage._cdata] = (GATHERED, size, held)
        self._add(GATHERED, size)

    def _rounded(self, size: int) -> int:
        return -(-size // self.block) * self.block

    def _of(self, tensor: Tensor) -> str:
        known = self._known.get(tensor.untyped_storage()._cdata)
        return known[0] if known else ""

    def _add(self, name: str, size: int) -> None:
        self.live[name] += size
        self.total += size
        if self.total > self.peak:
            self.peak, self.at_peak = self.total, self.now()

    def _gone(self, key: int) -> None:
        name, size, _ = self._known.pop(key)
        self.live[name] -= size
        self.total -= size
