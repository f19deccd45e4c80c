"""Batches on their way to a GPU while it still works on the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType

import torch
from torch import Tensor

from sightword.training.supply import Supply
from sightword.views.on_device import finished
from sightword.words import Batch

Ready = Callable[[], None]  # has who asked wait for what is still on its way, and takes the batch over
Move = Callable[[Batch], tuple[Batch, Ready]]


class Handed:
    """The batches of a supply, each moved one ahead of who asks, by a thread of its own.

    Batches, their order and what errors are raised stay those of the supply.

    Args:
        supply: makes the batches; it is opened and closed with this.
        move: puts a batch where it is wanted.
    """

    def __init__(self, supply: Supply, move: Move) -> None:
        self._supply, self._move = supply, move
        self._thread = ThreadPoolExecutor(1, "handing")
        self._coming: Future[tuple[Batch, Ready] | None] | None = None

    def __enter__(self) -> Handed:
        self._supply.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)  # one that is being made comes to its end
        self._supply.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        coming = self._coming or self._thread.submit(self._next)
        self._coming = None
        found = coming.result()
        if found is None:
            raise StopIteration
        self._coming = self._thread.submit(self._next)
        batch, ready = found
        ready()
        return batch

    def heed(self, waited: float, seconds: float, making: Mapping[str, float], steps: int) -> int:
        """As `Supply.heed`, while the supply rests."""
        if self._coming:
            wait([self._coming])
        return self._supply.heed(waited, seconds, making, steps)

    def _next(self) -> tuple[Batch, Ready] | None:
        batch = next(self._supply, None)
        return None if batch is None else self._move(batch)


def beside(device: torch.device) -> Move:
    """Copies to a CUDA device, and does the colours of views there, by a stream beside that of the steps.

    On the steps' own stream a copy would begin when all kernels before it are done.
    """
    stream = torch.cuda.Stream(device)

    def move(batch: Batch) -> tuple[Batch, Ready]:
        with torch.cuda.device(device), torch.cuda.stream(stream):
            moved = finished(batch.to(device))
            arrived = stream.record_event()

        def ready() -> None:
            current = torch.cuda.current_stream(device)
            current.wait_event(arrived)
            for tensor in tensors(moved):
                if tensor.is_cuda:  # else its memory might be given to the next copy too early
                    tensor.record_stream(current)

        return moved, ready

    return move


def tensors(batch: Batch) -> Iterator[Tensor]:
    """What of a batch is moved, that of other pictures in it as well."""
    yield batch.ids
    yield from batch.views.values()
    for words in batch.captions.values():
        yield from (words.ids, words.lengths)
    for colours in batch.finish.values():
        yield from (colours.rows, colours.amounts)
    if batch.sight:
        yield from tensors(batch.sight)
