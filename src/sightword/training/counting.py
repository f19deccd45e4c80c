"""What a training step of any configuration costs, counted without computing it.

The real model takes a real step, so whatever depends on data (masks, which tokens are kept) happens; but
matrix products and convolutions answer zeros of the right shape, and weights are zeros instead of random.
Layers of a transformer cost the same, each of them, so one and two of them tell the cost of any number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, final

import tokenizers
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from sightword.config import Config, DataConfig, ModelConfig
from sightword.objectives import catalogue
from sightword.pairs.words.tokenizer import ClipTokenizer, Tokenizer
from sightword.training.flops import step_flops
from sightword.training.plan import EncodingPlan
from sightword.training.pretrainer import Pretrainer
from sightword.training.records import digest
from sightword.training.setup import build_pretrainer, look_around
from sightword.words import Batch, Source, Words

_ROWS = 2  # the fewest that a batch norm takes; everything counted is linear in them
_aten = torch.ops.aten
_PRODUCTS = {
    _aten.mm,
    _aten.addmm,
    _aten.bmm,
    _aten.baddbmm,
    _aten.convolution,
    _aten.convolution_backward,
}
_RANDOM = {_aten.normal_, _aten.uniform_, _aten.erfinv_}


def sample_flops(config: Config) -> float:
    """FLOPs that a run spends on one sample: forward and backward, captions of full length, no chunks.

    Objectives that begin late count for the share of training in which they are there. What a run does once,
    before its first step (`Objective.prepare`), is left out, and so are the objectives' pairwise products.

    Raises:
        SightwordError: when objectives and towers do not fit each other.
    """
    image, text = _image_depth(config), _text_depth(config)
    least = _run_flops(config, image.least, text.least)
    further = [(times, _run_flops(config, more, text.least)) for times, more in image.further]
    further += [(times, _run_flops(config, image.least, more)) for times, more in text.further]
    return least + sum(times * (flops - least) for times, flops in further)


@dataclass(frozen=True)
class _Depth:
    """Layers of a transformer; of a locked one the last `unlocked` learn, and the others cost no backward."""

    layers: int
    unlocked: int = 0

    @property
    def least(self) -> _Depth:
        return _Depth(min(self.layers, 1), min(self.unlocked, 1))

    @property
    def further(self) -> Iterator[tuple[int, _Depth]]:
        """How many more there are of each kind, and what has one more of it than the least."""
        learning = max(self.unlocked - 1, 0)
        others = self.layers - self.least.layers - learning
        if others:
            yield others, _Depth(2, self.least.unlocked)
        if learning:
            yield learning, _Depth(2, 2)


def cost_digest(objective: str, model: ModelConfig) -> str:
    """A hash of what decides an objective's cost, quickly made: what it wants encoded, and its parameters."""
    data = DataConfig(tokenizer="clip")
    (wish,) = catalogue.parse(objective)
    with _Blank():
        built = catalogue.build(wish, look_around(model, unlearned(data, model.text.context)))
    shapes = [(name, tuple(parameter.shape)) for name, parameter in built.named_parameters()]
    return digest(repr((sorted(built.wants.items()), shapes)))


def _image_depth(config: Config) -> _Depth:
    """0 layers for a tower that is no transformer of ours: it is counted whole."""
    vit = config.model.image.kind == "vit"
    return _Depth(config.model.image.layers[0], config.lock.image_unlocked_groups) if vit else _Depth(0)


def _text_depth(config: Config) -> _Depth:
    return _Depth(config.model.text.layers, config.lock.text_unlocked_layers)


def _run_flops(config: Config, image: _Depth, text: _Depth) -> float:
    """Mean over training, with transformers of these depths."""
    model, lock = replace(config.model, text=replace(config.model.text, layers=text.layers)), config.lock
    if model.image.kind == "vit":
        model = replace(model, image=replace(model.image, layers=(image.layers,)))
        lock = replace(lock, image_unlocked_groups=image.unlocked)
    lock = replace(lock, text_unlocked_layers=text.unlocked)
    config = replace(config, model=model, lock=lock)
    with _Blank():
        trained = build_pretrainer(config, unlearned(config.data, model.text.context), fresh=False)
        starts = sorted({0.0, *(weight.start for weight in trained.weighted)})
        counts = [_counted(trained, start, model.text.context) for start in starts]
    shares = [end - start for start, end in zip(starts, [*starts[1:], 1.0], strict=True)]
    return sum(share * count for share, count in zip(shares, counts, strict=True))


def _counted(model: Pretrainer, progress: float, context: int) -> float:
    plan = model.plan(progress)
    batch = _batch(plan, "pairs", context)
    sight = _batch(plan, "sight", context) if plan.views("sight") else None
    return step_flops(model, replace(batch, sight=sight), progress, 1) / _ROWS


def _batch(plan: EncodingPlan, source: Source, context: int) -> Batch:
    """Black pictures, and captions as long as they can be."""
    views = {v: torch.zeros(_ROWS, 3, v.size, v.size, dtype=torch.uint8) for v in plan.views(source)}
    words = Words(torch.ones(_ROWS, context, dtype=torch.long), torch.full((_ROWS,), context))
    captions = dict.fromkeys(plan.captions, words)
    return Batch(0, tuple(map(str, range(_ROWS))), torch.arange(_ROWS), 0, views, captions)


@final
class _Unlearned(Tokenizer):
    """A learned tokenizer before it has learned: no words yet, and as many ids as it may get."""

    pad, sot, eot = 0, 1, 2

    def __init__(self, ids: int, context: int) -> None:
        super().__init__(tokenizers.Tokenizer(tokenizers.models.BPE()), context)
        self.ids = ids

    @property
    def vocab(self) -> int:
        return self.ids

    def decode(self, ids: Sequence[int]) -> str:
        return ""


@cache
def unlearned(data: DataConfig, context: int) -> Tokenizer:
    """CLIP's tokenizer, or a learned one that has learned nothing yet and has all its ids."""
    return ClipTokenizer(context) if data.tokenizer == "clip" else _Unlearned(data.vocab, context)


class _Blank(TorchDispatchMode):
    """Products answer zeros and random fills write zeros; everything else is computed."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func.overloadpacket in _RANDOM:
            return args[0].zero_()
        if func.overloadpacket in _PRODUCTS:
            shapes = func(*_each(_shape, args), **_each(_shape, given))
            return _each(lambda x: torch.zeros(x.shape, dtype=x.dtype), shapes)
        return func(*args, **given)


def _each(change: Callable[[Tensor], Tensor], tree: Any) -> Any:
    return tree_map(lambda leaf: change(leaf) if isinstance(leaf, Tensor) else leaf, tree)


def _shape(x: Tensor) -> Tensor:
    return torch.empty_like(x, device="meta")
