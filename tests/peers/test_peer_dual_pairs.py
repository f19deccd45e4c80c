"""transformers' `VisionTextDualEncoderModel` by our names: the answers that it gave (see
record_dual_pairs.py), its own tensors and settings back, and what of its kind cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import dual_pairs
import pytest
import torch
from formula import filled
from replaying import sources
from safetensors.torch import load_file
from towers_of import TEXTS, Tensors, agree, loaded

from sightword.errors import SightwordError
from sightword.weights import hf_dual
from sightword.weights.families import recognised
from sightword.weights.reading import Read

ONCE, TWICE = "text_model.", "text_model.text_model."


@pytest.fixture(autouse=True)
def _float64() -> None:
    """Not here: files hold float32."""


def with_pooler(tensors: Tensors) -> Tensors:
    width = dual_pairs.WIDTH
    pooler = {"weight": torch.eye(width), "bias": torch.zeros(width)}
    return tensors | {dual_pairs.POOLER + kind: one for kind, one in pooler.items()}


def recorded() -> tuple[Read, Tensors]:
    """As version 5 writes it, and the answers."""
    told = sources("dual_pairs")
    tensors = with_pooler(filled(json.loads(told["shapes"])))
    answers = load_file(Path(__file__).with_name("dual_pairs.safetensors"))
    return Read("pair", tensors, json.loads(told["config"])), answers


def as_version_4(tensors: Tensors) -> Tensors:
    """It wraps the text tower once more, and keeps its positions' numbers."""
    found = {(TWICE + k.removeprefix(ONCE) if k.startswith(ONCE) else k): v for k, v in tensors.items()}
    return found | {f"{TWICE}embeddings.position_ids": torch.arange(dual_pairs.CONTEXT)[None]}


@pytest.mark.parametrize("version", [as_version_4, dict], ids=["4", "5"])
def test_features(version: Callable[[Tensors], Tensors]) -> None:
    theirs, answers = recorded()
    foreign = recognised(replace(theirs, tensors=version(dict(theirs.tensors))))
    assert foreign.family == "Hugging Face's dual encoder"
    made = loaded(foreign)
    print(agree(made.image(answers["images"]), answers["image"].float()))
    print(agree(made.text(TEXTS), answers["text"].float()))


def test_its_tensors_and_settings_come_back() -> None:
    theirs, _ = recorded()
    foreign = recognised(theirs)
    assert foreign.tokenizer is not None
    back = hf_dual.table(foreign.model).outward(foreign.tensors) | hf_dual.pooler_of(foreign.model)
    wanted = as_version_4(dict(theirs.tensors))
    wanted.pop(f"{TWICE}embeddings.position_ids")
    assert back.keys() == wanted.keys()
    assert all(torch.equal(back[name], one) for name, one in wanted.items())
    said = hf_dual.config_of(foreign.model, foreign.tokenizer)
    for side in ("vision_config", "text_config"):
        ours: dict[str, Any] = said.pop(side)
        ours.pop("architectures", None)
        assert {k: theirs.config[side][k] for k in ours} == ours
    assert {k: theirs.config[k] for k in said} == said


def changed(part: str, **settings: object) -> Callable[[Read], Read]:
    return lambda file: replace(file, config=file.config | {part: file.config[part] | settings})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changed("text_config", model_type="bert"), "whose text tower is 'bert'"),
        (changed("vision_config", pooler_act="tanh"), "pooler changes the class token"),
        (changed("vision_config", model_type="deit"), "of 'deit'; wanted that of a ViT"),
        (changed("vision_config", num_attention_heads=3), "num_attention_heads is 3, which does not divide"),
        (changed("text_config", hidden_size=16), "text_config.hidden_size is 16, but the weights have 12"),
        (lambda file: replace(file, config={"text_config": []}), "whose text tower is None"),
        (
            lambda file: replace(
                file, tensors=dict(file.tensors) | {f"{dual_pairs.POOLER}bias": torch.ones(dual_pairs.WIDTH)}
            ),
            "pooler changes the class token",
        ),
        (
            lambda file: replace(
                file, tensors={k: v for k, v in file.tensors.items() if not k.startswith(dual_pairs.POOLER)}
            ),
            "has no vision_model.pooler.dense",
        ),
    ],
)
def test_other_pairs_are_refused_in_one_line(change: Callable[[Read], Read], reason: str) -> None:
    with pytest.raises(SightwordError, match=reason) as said:
        recognised(change(recorded()[0]))
    assert "\n" not in str(said.value)


def test_the_answers_feel_every_setting() -> None:
    """Were one read wrongly, the features would be others."""
    theirs, answers = recorded()
    for part, setting in (
        ("vision_config", {"num_attention_heads": 4}),
        ("vision_config", {"layer_norm_eps": 1e-6}),
        ("vision_config", {"hidden_act": "quick_gelu"}),
        ("text_config", {"num_attention_heads": 2}),
        ("text_config", {"layer_norm_eps": 1e-5}),
        ("text_config", {"hidden_act": "gelu"}),
    ):
        made = loaded(recognised(changed(part, **setting)(theirs)))
        far = made.image(answers["images"]) - answers["image"], made.text(TEXTS) - answers["text"]
        assert max(float(one.abs().max()) for one in far) > 2e-5, setting


def test_the_installed_one_answers_the_same(peer: Callable[[str], ModuleType]) -> None:
    found, (_, answers) = dual_pairs.ask(peer), recorded()
    made = loaded(recognised(Read("live", with_pooler(found.tensors), found.config)))
    print(agree(made.image(found.images), found.image.float()), agree(made.text(TEXTS), found.text.float()))
    torch.testing.assert_close(found.image.double(), answers["image"].double(), atol=1e-9, rtol=0)
