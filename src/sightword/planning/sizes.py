"""How large a run's model is: numbers by part, and bytes of its checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sightword.config import Config
from sightword.towers.adapters import plain
from sightword.training.counting import unlearned
from sightword.training.optimizer import named_trainable
from sightword.training.pretrainer import Pretrainer
from sightword.training.setup import build_pretrainer

_MOMENTS = 2  # AdamW keeps two numbers for each that trains


@dataclass(frozen=True)
class Sizes:
    """What a model consists of.

    parameters: by part: towers, joint space, heads of each objective, teachers, average of the weights.
    trained: how many of them have gradients.
    checkpoint: bytes of a checkpoint: everything that training needs to go on.
    published: bytes of `model.safetensors`: what is kept for use.
    views: what a picture becomes in a step, at most; those of a second source with them.
    """

    parameters: dict[str, int]
    trained: int
    checkpoint: int
    published: int
    views: int

    @property
    def total(self) -> int:
        """All parameters."""
        return sum(self.parameters.values())


def measure(config: Config) -> Sizes:
    """Build the model without its contents, and count.

    Raises:
        SightwordError: when objectives and towers do not fit each other.
    """
    model = without_contents(config)
    trained = list(named_trainable(model).values())
    return Sizes(
        parameters=_by_part(model),
        trained=sum(p.numel() for p in trained),
        checkpoint=_bytes(model.state_dict().values()) + _MOMENTS * _bytes(trained),
        published=_bytes(plain(model.kept_encoders()).values()),
        views=max(_views(model, weight.start) for weight in model.weighted),
    )


def _views(model: Pretrainer, progress: float) -> int:
    plan = model.plan(progress)
    return len(plan.views("pairs")) + len(plan.views("sight"))


def without_contents(config: Config) -> Pretrainer:
    """The model of a run on torch's device of shapes."""
    with torch.device("meta"):
        tokenizer = unlearned(config.data, config.model.text.context)
        return build_pretrainer(config, tokenizer, fresh=False)


def _by_part(model: Pretrainer) -> dict[str, int]:
    parts: dict[str, nn.Module | None] = {f"{n} tower": t for n, t in model.encoders.towers.items()}
    parts["joint space"] = model.encoders.joint
    parts |= {f"heads of {name}": heads for name, heads in model.objectives.items()}
    parts |= {"teachers": model.teachers, "average of the weights": model.average}
    counts: dict[str, int] = {}
    counted: set[int] = set()  # a joint trunk is made of the image tower's layers
    for name, part in parts.items():
        own = [p for p in part.parameters() if id(p) not in counted] if part is not None else []
        counted |= {id(p) for p in own}
        counts[name] = sum(p.numel() for p in own)
    return {name: count for name, count in counts.items() if count}


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
