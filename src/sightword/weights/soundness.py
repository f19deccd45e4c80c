"""Tensors of strangers, made plain: dense, on the CPU, no larger than their file, floats of 32 bits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sightword.errors import SightwordError

Tensors = Mapping[str, Tensor]
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def sound(tensors: Tensors, held: int, where: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Plain tensors, and what must be told of them.

    Args:
        tensors: as they were read, perhaps still maps of the file.
        held: bytes of all files that they came from.
        where: the file or folder, for errors.

    Raises:
        SightwordError: when there are none, one is of a kind that weights are not, or together they claim to
            be larger than their files.
    """
    if not tensors:
        raise SightwordError(f"'{where}' holds no tensors; give a file with the weights of a model")
    for name, tensor in tensors.items():
        _check(name, tensor, where)
    claimed = sum({_identity(t): t.numel() * t.element_size() for t in tensors.values()}.values())
    if claimed > held:
        raise SightwordError(
            f"the tensors of '{where}' claim {claimed:,} bytes, but its files have {held:,}; fetch it again"
        )
    made = dict[tuple[object, ...], Tensor]()
    for tensor in tensors.values():
        if _identity(tensor) not in made:
            made[_identity(tensor)] = _plain(tensor)
    ready = {name: made[_identity(tensor)] for name, tensor in tensors.items()}
    return ready, _not_finite(ready)


def _check(name: str, tensor: Tensor, where: str) -> None:
    dense = tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
    if not dense or tensor.dtype not in (*_FLOATS, *_WHOLE):
        kind = str(tensor.dtype).removeprefix("torch.") if dense else f"{tensor.layout} on {tensor.device}"
        raise SightwordError(
            f"the tensor {name} of '{where}' is {kind}; wanted plain float16, bfloat16, float32 or float64:"
            " save the weights before they are quantised"
        )
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise SightwordError(
            f"the tensor {name} of '{where}' claims {tuple(tensor.shape)}, but its file holds only"
            f" {tensor.untyped_storage().nbytes():,} bytes of it; fetch it again"
        )


def _identity(tensor: Tensor) -> tuple[object, ...]:
    """Tied weights are one tensor under several names, and stay so."""
    if tensor.numel() == 0:
        return ("empty", tensor.shape, tensor.dtype)
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def _plain(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).contiguous()


def _not_finite(tensors: Tensors) -> tuple[str, ...]:
    bad = [n for n, t in tensors.items() if t.is_floating_point() and not bool(torch.isfinite(t).all())]
    if not bad:
        return ()
    others = f" and {len(bad) - 1} other tensor{'s' * (len(bad) > 2)}" if bad[1:] else ""
    return (f"{bad[0]}{others} of the weights hold values that are no finite numbers (NaN or infinity)",)
