"""When kernels of our own may stand in for torch's operations."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode


def eager(x: Float[Tensor, ...]) -> bool:
    """Whether x is a plain tensor on a CPU, and is computed with now.

    Not while somebody counts operations, compiles or pretends: they must see torch's own.
    """
    if torch.compiler.is_compiling() or x.device.type != "cpu" or type(x) is not Tensor:
        return False
    return _get_current_dispatch_mode() is None


def in_bfloat16(x: Float[Tensor, ...]) -> bool:
    """Whether autocast would have a linear layer or a convolution take x in bfloat16."""
    return cast_to_bfloat16() and x.dtype in (torch.bfloat16, torch.float32)


def cast_to_bfloat16() -> bool:
    """Whether autocast casts to bfloat16 on a CPU now."""
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


def watched(module: nn.Module) -> bool:
    """Whether somebody waits for its calls, which would not come."""
    hooks = (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
    )
    return any(hooks)
