"""Rows of differing length one behind the other, so that what is computed token by token meets no padding.

Rows are sorted by length, and those of like length make a group: a rectangle, in which they attend. Every
length has a group of its own unless another group costs more than a little padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from sightword.towers import varlen

# What one more group costs, in tokens: kernels to be started, which are idle time on a GPU.
_GROUP = {"cpu": 32, "cuda": 1024}
_WORTH = 0.9  # of the padded tokens at most

_exact = False


@contextmanager
def without_padding() -> Iterator[None]:
    """While it lasts, all rows are packed, one group for each length: to count what real tokens cost."""
    global _exact
    before, _exact = _exact, True
    try:
        yield
    finally:
        _exact = before


def is_exact() -> bool:
    """Whether `without_padding` holds."""
    return _exact


@dataclass(frozen=True)
class Packing:
    """Where the tokens of b rows of up to n stand when they are packed.

    groups: rows and length of each rectangle, one behind the other.
    masks: for each group, True at tokens that are no padding; None where there is no padding.
    places: for each packed token, its place in the rows laid flat (b x n).
    first, last: for each of the b rows, where its first and its last token are packed.
    shape: b and n.
    bounds: where each packed row begins, and the last ends, for a kernel that takes any lengths; None: there
        is none.
    """

    groups: tuple[tuple[int, int], ...]
    masks: tuple[Bool[Tensor, "_ _"] | None, ...]
    places: Int[Tensor, " total"]
    first: Int[Tensor, " b"]
    last: Int[Tensor, " b"]
    shape: tuple[int, int]
    bounds: Int[Tensor, " _"] | None = None

    def take(self, rows: Shaped[Tensor, "b n"]) -> Shaped[Tensor, "1 total"]:
        """Packed, what is known of each token."""
        return rows.flatten()[self.places][None]

    def spread(self, x: Float[Tensor, "1 total w"]) -> Float[Tensor, "b n w"]:
        """Packed tokens as rows again; what stands in the padding is finite and means nothing."""
        b, n = self.shape
        return x.new_zeros(b * n, x.shape[2]).index_copy(0, self.places, x.squeeze(0)).view(b, n, -1)

    def at(self, x: Float[Tensor, "1 total w"], where: Int[Tensor, " b"]) -> Float[Tensor, "b w"]:
        """One token of each row."""
        return x.squeeze(0).index_select(0, where)

    def mean(self, x: Float[Tensor, "1 total w"]) -> Float[Tensor, "b w"]:
        """Over the tokens of each row that are no padding."""
        means = [
            part.mean(1) if mask is None else (part * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            for part, mask in self._each(x)
        ]
        return torch.cat(means).index_select(0, self.first.argsort().argsort())

    def apart(
        self, x: Float[Tensor, "1 total w"], mix: Callable[[Tensor, Tensor | None], Tensor]
    ) -> Float[Tensor, "1 total v"]:
        """What mixes tokens, done to each group's (rows, length, w), with its mask."""
        return torch.cat([mix(part, mask).flatten(0, 1) for part, mask in self._each(x)])[None]

    def _each(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        parts = x.squeeze(0).split([rows * length for rows, length in self.groups])
        for part, (rows, length), mask in zip(parts, self.groups, self.masks, strict=True):
            yield part.view(rows, length, -1), mask


def pack(seen: Bool[Tensor, "b n"], dtype: torch.dtype, head: int) -> Packing | None:
    """How to pack rows whose tokens that are seen come first; None where it does not pay.

    It waits for the device once: the lengths decide what is computed.

    Args:
        seen: True at tokens that are no padding.
        dtype: in which attention is computed.
        head: numbers of one head's query.
    """
    lengths = seen.sum(1).cpu().numpy().clip(1)
    rows, n = seen.shape
    if lengths.min() == lengths.max() == n:
        return None
    any_lengths = not _exact and varlen.works(seen.device, dtype, head)
    extra = 0 if _exact or any_lengths else _GROUP.get(seen.device.type, _GROUP["cuda"])
    groups = grouped(np.sort(lengths).tolist(), extra)
    packed = sum(count * length for count, length in groups)
    if not _exact and packed + extra * len(groups) > _WORTH * rows * n:
        return None
    return _laid_out(lengths, groups, n, seen.device, any_lengths)


def grouped(lengths: Sequence[int], extra: int) -> tuple[tuple[int, int], ...]:
    """Rows in ascending length, cut into groups such that padded tokens and `extra` a group are fewest.

    Returns:
        Rows and length of each group.
    """
    values, counts = np.unique(np.asarray(lengths), return_counts=True)
    before = np.concatenate([[0], counts.cumsum()])
    least, start = np.zeros(len(values) + 1), np.zeros(len(values) + 1, dtype=int)
    for end in range(1, len(values) + 1):
        costs = least[:end] + (before[end] - before[:end]) * values[end - 1] + extra
        start[end] = end - 1 - int(costs[::-1].argmin())  # of equals the smallest group
        least[end] = costs[start[end]]
    found, end = [], len(values)
    while end:
        found.append((int(before[end] - before[start[end]]), int(values[end - 1])))
        end = int(start[end])
    return tuple(reversed(found))


def _laid_out(
    lengths: np.ndarray, groups: Sequence[tuple[int, int]], n: int, device: torch.device, bounded: bool
) -> Packing:
    order, at = np.argsort(lengths, kind="stable"), 0
    own = np.repeat([length for _, length in groups], [count for count, _ in groups])  # width of each row
    first = np.concatenate([[0], own.cumsum()])
    places, masks = [], []
    for count, length in groups:
        rows, at = order[at : at + count], at + count
        places.append((rows[:, None] * n + np.arange(length)).ravel())
        whole = lengths[rows].min() == length
        masks.append(None if whole else _sent(np.arange(length) < lengths[rows][:, None], device))
    back = np.argsort(order)
    starts = first[:-1][back]
    return Packing(
        groups=tuple(groups),
        masks=tuple(masks),
        places=_sent(np.concatenate(places), device),
        first=_sent(starts, device),
        last=_sent(starts + lengths - 1, device),
        shape=(len(lengths), n),
        bounds=_sent(first.astype(np.int32), device) if bounded else None,
    )


def _sent(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)
