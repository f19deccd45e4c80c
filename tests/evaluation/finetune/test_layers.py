"""Which layer each parameter of each tower belongs to, and how fast it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny_runs import VIT
from tuned_runs import TOWERS, model_of, quick

from sightword.evaluation.finetune.classifier import TunedClassifier, make_classifier
from sightword.evaluation.finetune.layers import layer_ids, learning_factors, parameter_groups
from sightword.evaluation.finetune.recipe import FineTuneRecipe

# By hand: what the names of each tower's parameters begin with, from the bottom up.
LAYERS = {
    "vit": [("stem", "class_token", "class_position", "positions"), ("blocks.0",), ("blocks.1",), ("norm",)],
    "vit-gap-sincos": [("stem",), ("blocks.0",), ("blocks.1",), ("norm",)],
    "vit-attention": [("stem", "positions"), ("blocks.0",), ("blocks.1",), ("norm", "attention_pool")],
    "vit-conv": [
        ("stem", "class_token", "class_position", "positions"),
        ("blocks.0",),
        ("blocks.1",),
        ("norm",),
    ],
    "resnet": [("stem",), ("stages.0",), ("stages.1",), ("stages.2",)],
    "resnet-attention": [("stem",), ("stages.0",), ("stages.1",), ("attention_pool",)],
    "modified-resnet": [
        ("conv1", "conv2", "conv3", "bn1", "bn2", "bn3"),
        *((f"layer{i}.0",) for i in (1, 2, 3, 4)),
        ("attnpool",),
    ],
}


def classifier_of(name: str) -> TunedClassifier:
    return make_classifier(model_of(TOWERS[name]), quick(), 5, 0, fresh=False)


@pytest.mark.parametrize("name", TOWERS)
def test_every_parameter_is_in_its_layer(name: str) -> None:
    tower = classifier_of(name).tower
    found = layer_ids(tower)
    assert list(found) == [parameter for parameter, _ in tower.named_parameters()]
    for parameter, layer in found.items():
        assert any(
            parameter == start or parameter.startswith(f"{start}.") for start in LAYERS[name][layer]
        ), (
            parameter,
            layer,
        )
    assert set(found.values()) == set(range(len(LAYERS[name])))


@pytest.mark.parametrize("name", TOWERS)
def test_every_group_has_its_rate_and_decay(name: str) -> None:
    classifier = classifier_of(name)
    recipe = replace(quick(), layer_decay=0.5, wd=0.3)
    groups = parameter_groups(classifier, recipe)
    names = {id(parameter): name for name, parameter in classifier.named_parameters()}
    placed = [names[id(parameter)] for group in groups for parameter in group["params"]]
    assert sorted(placed) == sorted(names.values())
    blocks = sum(start[0].startswith(("blocks", "stages", "layer")) for start in LAYERS[name])
    own = dict(classifier.named_parameters())
    tokens = ("class_token", "class_position", "positions.weight", "attnpool.positional_embedding")
    for group in groups:
        for parameter in (names[id(p)] for p in group["params"]):
            if parameter.startswith("head."):
                wanted = 1.0
            else:
                wanted = 0.5 ** (blocks + 1 - layer_ids(classifier.tower)[parameter.removeprefix("tower.")])
            assert group["factor"] == wanted, parameter
            spared = own[parameter].ndim < 2 or parameter.endswith(tokens)
            assert group["weight_decay"] == (0.0 if spared else 0.3), parameter


def test_twelve_blocks_have_beits_factors() -> None:
    """BEiT's code: .65^(13 - i), the stem's .65^13, the last norm's and the head's 1."""
    model = model_of(replace(VIT, layers=(12,)))
    factors = learning_factors(make_classifier(model, quick(), 3, 0, fresh=False), 0.65)
    assert factors["tower.stem.weight"] == factors["tower.class_token"] == 0.65**13
    for block in range(12):
        assert factors[f"tower.blocks.{block}.attn.qkv.weight"] == 0.65 ** (12 - block)
    assert factors["tower.norm.weight"] == factors["head.weight"] == factors["head.bias"] == 1.0


def test_from_scratch_all_layers_learn_alike() -> None:
    recipe = FineTuneRecipe.beit("B").from_scratch()
    factors = learning_factors(classifier_of("vit"), recipe.layer_decay)
    assert set(factors.values()) == {1.0}
