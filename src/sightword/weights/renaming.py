"""Tensors by another library's names and by ours: one table for both ways, so that they cannot differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sightword.errors import SightwordError

Tensors = Mapping[str, Tensor]
Change = Callable[[Sequence[Tensor]], Sequence[Tensor]]


@dataclass(frozen=True)
class Pair:
    """Some of our tensors and the ones of theirs that hold the same numbers.

    inward: theirs, in the order of `theirs`, as ours in the order of `ours`.
    outward: the way back.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    inward: Change
    outward: Change


def same(ours: str, theirs: str) -> Pair:
    """The same tensor under two names."""
    return Pair((ours,), (theirs,), list, list)


def turned(ours: str, theirs: str) -> Pair:
    """A matrix that they multiply from the other side."""
    return Pair((ours,), (theirs,), _each(lambda x: x.T), _each(lambda x: x.T))


def shaped(ours: str, theirs: str, inside: Sequence[int], outside: Sequence[int]) -> Pair:
    """The same numbers in the same order, of another shape: `inside` is ours, `outside` theirs."""
    inner, outer = tuple(inside), tuple(outside)  # () for a single number
    return Pair((ours,), (theirs,), _each(lambda x: x.reshape(inner)), _each(lambda x: x.reshape(outer)))


def fused(ours: str, *theirs: str) -> Pair:
    """Ours is theirs, one below the other, of equal heights: queries, keys and values."""
    return Pair(
        (ours,), theirs, lambda parts: [torch.cat(list(parts))], lambda one: one[0].chunk(len(theirs))
    )


def first_apart(first: str, rest: str, theirs: str, outside: Sequence[int]) -> Pair:
    """Theirs has one row more, in front: the class token's position. `outside` is the shape of theirs."""

    def inward(parts: Sequence[Tensor]) -> Sequence[Tensor]:
        rows = parts[0].reshape(-1, parts[0].shape[-1])
        return rows[:1].reshape(1, 1, -1), rows[1:]

    def outward(parts: Sequence[Tensor]) -> Sequence[Tensor]:
        return [torch.cat([parts[0].reshape(1, -1), parts[1]]).reshape(*outside)]

    return Pair((first, rest), (theirs,), inward, outward)


def blocks(count: int, *pairs: Pair) -> list[Pair]:
    """`pairs`, in whose names `{i}` stands for the number of a block, once for each of `count`."""
    return [
        Pair(_numbered(one.ours, i), _numbered(one.theirs, i), one.inward, one.outward)
        for i in range(count)
        for one in pairs
    ]


class Table:
    """All tensors of a model under both names.

    Args:
        pairs: the tensors.
        passed: names of theirs that say nothing: buffers that are made anew, counters.
    """

    def __init__(self, pairs: Iterable[Pair], passed: Callable[[str], bool] = lambda name: False) -> None:
        self.pairs = tuple(pairs)
        self._passed = passed

    def inward(self, theirs: Tensors, where: str) -> dict[str, Tensor]:
        """Their tensors by our names, in our shapes.

        Raises:
            SightwordError: when one is missing, unknown, or of a shape that cannot be.
        """
        wanted = {name for pair in self.pairs for name in pair.theirs}
        _complain(wanted - theirs.keys(), "is missing", where)
        _complain({n for n in theirs.keys() - wanted if not self._passed(n)}, "is unknown", where)
        ours: dict[str, Tensor] = {}
        for pair in self.pairs:
            try:
                made = pair.inward([theirs[name] for name in pair.theirs])
            except (RuntimeError, IndexError) as error:
                shapes = ", ".join(f"{name} {tuple(theirs[name].shape)}" for name in pair.theirs)
                raise SightwordError(f"the weights in {where} do not fit together: {shapes}") from error
            ours |= zip(pair.ours, made, strict=True)
        return ours

    def outward(self, ours: Tensors) -> dict[str, Tensor]:
        """Our tensors by their names, in their shapes; all of ours must be named."""
        left = ours.keys() - {name for pair in self.pairs for name in pair.ours}
        assert not left, sorted(left)
        theirs: dict[str, Tensor] = {}
        for pair in self.pairs:
            made = pair.outward([ours[name] for name in pair.ours])
            theirs |= zip(pair.theirs, (tensor.contiguous() for tensor in made), strict=True)
        return theirs


def _each(change: Callable[[Tensor], Tensor]) -> Change:
    return lambda tensors: [change(tensor) for tensor in tensors]


def _numbered(names: Sequence[str], i: int) -> tuple[str, ...]:
    return tuple(name.replace("{i}", str(i)) for name in names)


def _complain(names: set[str], what: str, where: str) -> None:
    if names:
        first, more = min(names), f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise SightwordError(
            f"the weights in {where} are of a model that is not known here: {first} {what}{more};"
            " docs/interop.md lists what can be read"
        )
