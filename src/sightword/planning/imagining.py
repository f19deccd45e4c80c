"""A run of the real program in which nothing is computed and nothing allocated, only shapes.

Tensors are torch's fake ones, of any size. What shapes hang on is real: whole numbers and truth values of
modest size (masks, lengths of captions, sample ids) are computed as ever, so that the program takes the way
that it would take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from sightword.planning.ledger import Ledger

_aten = torch.ops.aten
_MODEST = 1 << 22  # elements of a tensor whose values may matter
_FLASH = _aten._scaled_dot_product_flash_attention, _aten._scaled_dot_product_flash_attention_backward
_COUNTED = {  # torch leaves out the kernels of processors
    **flop_registry,
    _aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[_FLASH[0]],
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[_FLASH[1]],
}
_INDEXING = {_aten.index, _aten.index_put, _aten.index_put_}


class Imagination(TorchDispatchMode):
    """While it lasts, operations answer with shapes, and `ledger` sees every tensor.

    Attributes:
        flops: of matrix products, convolutions and attention so far; a multiply-add counts as two.
        counts: whether they are counted.
    """

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        self.flops, self.counts = 0, True
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)

    def imagine(self, tensor: Tensor) -> Tensor:
        """A tensor of the same shape that takes no memory; to be called before the imagination begins."""
        with self._fake:
            return torch.empty_like(tensor, device="cpu")

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func.namespace == "prim" or _others_imagine():  # a question such as which device
            return func(*args, **(kwargs or {}))
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # pieces of a whole: they come again, each by itself
        given = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, given)) if isinstance(leaf, Tensor)]
        imagined = any(isinstance(tensor, FakeTensor) for tensor in tensors)
        out = (self._imagined if imagined else self._real)(func, types, args, given)
        packet = func.overloadpacket
        if self.counts and packet in _COUNTED:
            self.flops += _COUNTED[packet](*args, **given, out_val=out)
        for leaf in [out] if isinstance(out, Tensor) else tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.ledger.see(leaf, copied=tensors[0] if packet is _aten._to_copy else None)
        return out

    def _imagined(self, func: Any, types: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        if func is _aten._local_scalar_dense.default:
            return _healthy(args[0])
        if func.overloadpacket in _INDEXING:
            places = [place for index in args[1] for place in _places(index)]
            args = [args[0], places, *args[2:]]
        return self._fake.__torch_dispatch__(func, types, tuple(args), kwargs)

    def _real(self, func: Any, types: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Of real tensors, or of none: computed where the answer is of whole numbers and modest."""
        try:
            shapes = self._fake.__torch_dispatch__(func, types, tuple(args), kwargs)
        except RuntimeError:  # the shape hangs on the values
            return func(*args, **kwargs)
        answers = [leaf for leaf in tree_leaves(shapes) if isinstance(leaf, Tensor)]
        return func(*args, **kwargs) if all(_matters(answer) for answer in answers) else shapes


def _others_imagine() -> bool:
    """Whether torch asks for shapes of its own: what they tell does not lie in memory."""
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None


def _matters(answer: Tensor) -> bool:
    return not answer.is_floating_point() and answer.numel() <= _MODEST


def _healthy(scalar: Tensor) -> float | int | bool:
    """What a healthy run might say where a number is asked of an imagined tensor."""
    if scalar.is_floating_point():
        return 1.0
    return True if scalar.dtype == torch.bool else 1


def _places(index: Tensor | None) -> list[Tensor | None]:
    """A mask as the numbers of the places where it is true: their count is known."""
    if index is None or index.dtype != torch.bool or isinstance(index, FakeTensor):
        return [index]
    return list(index.nonzero(as_tuple=True))
