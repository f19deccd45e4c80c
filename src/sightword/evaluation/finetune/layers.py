"""The layers of a tower, from its own structure, and how fast each of them learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from sightword.evaluation.finetune.classifier import TunedClassifier
from sightword.evaluation.finetune.recipe import FineTuneRecipe
from sightword.towers.base import ImageTower
from sightword.towers.layer import Layer
from sightword.towers.modified_resnet import AttentionPool2d
from sightword.towers.positions import LearnedPositions
from sightword.training.optimizer import named_trainable


def layer_ids(tower: ImageTower) -> dict[str, int]:
    """The layer of each parameter: 0 the stem, 1 to n the blocks in their order, n + 1 what comes after.

    A block is a `Layer`: of a ViT its transformer blocks, of a ResNet its residual ones. Towers register
    their parts in the order in which they compute, so what stands before the first block is the stem (class
    token and positions with it, as in BEiT's code), and what stands after the last one is the top.
    """
    blocks = _blocks(tower)
    ids, top = {}, 0
    for name, _ in tower.named_parameters():
        inside = [i for i, block in enumerate(blocks, start=1) if name.startswith(f"{block}.")]
        top = inside[0] if inside else top
        ids[name] = inside[0] if inside else (0 if top == 0 else len(blocks) + 1)
    return ids


def learning_factors(classifier: TunedClassifier, decay: float) -> dict[str, float]:
    """Each parameter's share of the learning rate: 1 for head and top, times `decay` for each layer below.

    BEiT (2106.08254): layer i of n blocks has decay^(n + 1 - i).
    """
    top = len(_blocks(classifier.tower)) + 1
    factors = {f"tower.{name}": decay ** (top - i) for name, i in layer_ids(classifier.tower).items()}
    return factors | {name: 1.0 for name, _ in classifier.named_parameters() if name not in factors}


def _blocks(tower: ImageTower) -> list[str]:
    return [name for name, module in tower.named_modules() if isinstance(module, Layer)]


def parameter_groups(classifier: TunedClassifier, recipe: FineTuneRecipe) -> list[dict[str, Any]]:
    """Groups for AdamW, one for each factor and decay; `factor` is multiplied onto the learning rate.

    No decay on biases, norms, class token and positions (BEiT's code, `get_parameter_groups`).
    """
    factors = learning_factors(classifier, recipe.layer_decay)
    spared = _without_decay(classifier)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named_trainable(classifier).items():
        decay = 0.0 if name in spared else recipe.wd
        groups.setdefault((factors[name], decay), []).append(parameter)
    return [
        {"params": parameters, "factor": factor, "weight_decay": decay}
        for (factor, decay), parameters in groups.items()
    ]


def _without_decay(classifier: TunedClassifier) -> set[str]:
    own: Mapping[str, nn.Parameter] = dict(classifier.named_parameters())
    small = {name for name, parameter in own.items() if parameter.ndim < 2}
    # A tower's direct parameters are its tokens and their positions.
    tokens = {f"tower.{name}" for name, _ in classifier.tower.named_parameters(recurse=False)}
    positions = {
        f"tower.{name}.{part}"
        for name, module in classifier.tower.named_modules()
        if isinstance(module, LearnedPositions | AttentionPool2d)
        for part, _ in module.named_parameters(recurse=False)
    }
    return small | tokens | positions
