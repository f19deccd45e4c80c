"""What kind of work an operation is, told by the name that torch gives it."""

from __future__ import annotations

import re
from functools import cache

from torch.autograd import Function

PRODUCTS = "matrix products"
CONVOLUTIONS = "convolutions"
ATTENTION = "attention and softmax"
NORMS = "norms"
COPIES = "copies and look-ups"
ELEMENTWISE = "element-wise operations"
COMPILED = "compiled layers"
OWN = "own functions"
DISPATCH = "Python and dispatch"
WAITING = "waiting"
IDLE = "an idle device"

# Of a name without its library: aten::_softmax is "softmax" here, and aten::add_ is "add".
_VIEWS = (
    "view|view_as|t|transpose|permute|slice|select|expand|expand_as|as_strided|reshape|unbind|unsqueeze|squeeze"
    "|flatten|split|split_with_sizes|chunk|narrow|detach|alias|(new_)?empty.*|resize|resolve_conj|resolve_neg"
    "|result_type|item|local_scalar_dense|lift_fresh"
)
_MOVES = (
    "copy|to_copy|to|clone|contiguous|cat|stack|index.*|gather|scatter.*|fill|zero|embedding.*|pad|repeat|roll"
    "|constant_pad_nd|masked_select|nonzero|pin_memory|foreach_copy|(ones|zeros|full)(_like)?|new_(ones|zeros|full)"
)
_RULES = (
    (COMPILED, ".*(compiled|triton|inductor).*"),
    (ELEMENTWISE, "(linalg_vector_|linalg_|foreach_)?norm"),
    (DISPATCH, _VIEWS),
    (CONVOLUTIONS, ".*conv(olution|[1-3]d|_|$).*"),
    (ATTENTION, ".*(attention|softmax).*"),
    (NORMS, ".*norm.*"),
    (PRODUCTS, "(.*_)?(mm|addmm|bmm|baddbmm|matmul|linear|mv|dot|einsum)(_.*)?"),
    (COPIES, _MOVES),
)


@cache
def kind_of(name: str) -> str:
    """The kind of an operation such as `aten::addmm`; what is none of torch's own is dispatch.

    A function of ours that autograd calls (a Python class) may compute by itself: it is what its name or its
    room's says, such as `towers.fused_norm`, and else an own function.
    """
    library, _, own = name.rpartition("::")
    if library.startswith("autograd::") or re.search(r"Backward\d+$", name):
        return DISPATCH  # torch's own nodes: what they call is an operation of its own
    if library:
        return _by_rule(own) or (ELEMENTWISE if library == "aten" else DISPATCH)
    plain = name.removesuffix("Backward")
    room = _rooms().get(plain)
    return _by_rule(plain) or (_by_rule(room) or OWN if room else DISPATCH)


def _by_rule(name: str) -> str:
    """The first that fits counts: the norm of a gradient, which normalises nothing, comes before norms."""
    plain = name.strip("_").lower()
    return next((kind for kind, pattern in _RULES if re.fullmatch(pattern, plain)), "")


def _rooms() -> dict[str, str]:
    """The last word of the module of each class that autograd can call, by the name of the class."""
    return {one.__name__: one.__module__.rpartition(".")[2] for one in Function.__subclasses__()}
