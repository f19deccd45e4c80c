"""CLIP files of OpenAI, open_clip, Hugging Face and SLIP: what is read, told, assumed and refused.

Tensors here are numbers that take no memory: shapes are those of released models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sightword.config import ImageTowerConfig, ModelConfig, TextTowerConfig, override
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import ClipTokenizer, LearnedTokenizer
from sightword.recipes import models
from sightword.weights import hf_clip, hf_clip_export, open_clip_clip, openai_clip, slip
from sightword.weights.families import recognised
from sightword.weights.open_clip_export import expressed, reason_against
from sightword.weights.reading import Read

CLIPS = {"pre_norm": True, "stem_bias": False, "activation": "quick_gelu", "eps": 1e-5, "patch_size": 32}
SHORT = TextTowerConfig(width=64, layers=1, heads=1)
VIT = ModelConfig("x", ImageTowerConfig(width=128, layers=(1,), heads=2, **CLIPS), SHORT, 32)  # type: ignore[arg-type]
FULL = {"embed_dim": 32, "vision_cfg": {"width": 128, "layers": 1}, "text_cfg": {"width": 64, "heads": 1}}
NUMBERS = {name: torch.tensor(1) for name in ("input_resolution", "context_length", "vocab_size")}


def shaped(*shape: int) -> Tensor:
    return torch.zeros(()).expand(shape)


def block(stem: str, width: int, names: Mapping[str, str]) -> dict[str, Tensor]:
    """One residual block: queries, keys and values in one; keys of `names` say what is what."""
    sizes = {
        "qkv": (3 * width, width),
        "proj": (width, width),
        "fc1": (4 * width, width),
        "fc2": (width, 4 * width),
    }
    found = {}
    for part, name in names.items():
        if part.startswith("norm"):
            found |= {f"{stem}{name}.weight": shaped(width), f"{stem}{name}.bias": shaped(width)}
            continue
        dot = "_" if name.endswith("in_proj") else "."
        found |= {f"{stem}{name}{dot}weight": shaped(*sizes[part])}
        found |= {f"{stem}{name}{dot}bias": shaped(sizes[part][0])}
    return found


OPENAI_BLOCK = {"norm1": "ln_1", "norm2": "ln_2", "qkv": "attn.in_proj", "proj": "attn.out_proj"}
OPENAI_BLOCK |= {"fc1": "mlp.c_fc", "fc2": "mlp.c_proj"}
TIMM_BLOCK = {"norm1": "norm1", "norm2": "norm2", "qkv": "attn.qkv", "proj": "attn.proj"}
TIMM_BLOCK |= {"fc1": "mlp.fc1", "fc2": "mlp.fc2"}


def clip_text(width: int = 64, embed: int = 32) -> dict[str, Tensor]:
    found = {"token_embedding.weight": shaped(49408, width), "positional_embedding": shaped(77, width)}
    found |= {"ln_final.weight": shaped(width), "ln_final.bias": shaped(width)}
    found |= {"text_projection": shaped(width, embed), "logit_scale": torch.tensor(2.0)}
    return found | block("transformer.resblocks.0.", width, OPENAI_BLOCK)


def clip_vit(width: int = 128, embed: int = 32) -> dict[str, Tensor]:
    """A ViT of one layer at 224 pixels in patches of 32, and a text tower."""
    found = {"visual.conv1.weight": shaped(width, 3, 32, 32), "visual.class_embedding": shaped(width)}
    found |= {"visual.positional_embedding": shaped(50, width), "visual.proj": shaped(width, embed)}
    for name in ("ln_pre", "ln_post"):
        found |= {f"visual.{name}.weight": shaped(width), f"visual.{name}.bias": shaped(width)}
    return found | block("visual.transformer.resblocks.0.", width, OPENAI_BLOCK) | clip_text(embed=embed)


def slips(width: int, text: bool = True, head: bool = True) -> dict[str, Tensor]:
    found = {"visual.cls_token": shaped(1, 1, width), "visual.pos_embed": shaped(1, 197, width)}
    found |= {"visual.patch_embed.proj.weight": shaped(width, 3, 16, 16)}
    found |= {"visual.patch_embed.proj.bias": shaped(width)}
    found |= {"visual.norm.weight": shaped(width), "visual.norm.bias": shaped(width)}
    found |= block("visual.blocks.0.", width, TIMM_BLOCK)
    found |= {"image_mlp.layer1.weight": shaped(4, width)} if head else {}
    return found | ({"image_projection": shaped(width, 32), **clip_text()} if text else {})


def test_openai_by_shapes() -> None:
    foreign = recognised(Read("x", clip_vit() | NUMBERS))
    assert foreign.family == "OpenAI's CLIP"
    image = foreign.model.image
    prepared = {"interpolation": "bicubic", "mean": image.mean, "std": image.std}
    assert foreign.model == replace(VIT, name="openai-clip", image=replace(VIT.image, **prepared))  # type: ignore[arg-type]
    assert image.mean == pytest.approx((0.481, 0.458, 0.408), abs=1e-3)
    assert foreign.notes == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"visual.positional_embedding": shaped(51, 128)}, "50 patches, which make no square"),
        ({"visual.positional_embedding": shaped(128)}, "visual.positional_embedding in 'x' is of shape"),
        ({"token_embedding.weight": shaped(30522, 64)}, "30522 words .* CLIP's vocabulary has 49408"),
        ({"visual.ln_post.weight": None}, "visual.ln_post.weight is missing"),
        ({"text_projection": None}, "text_projection in 'x' is missing"),
        ({"visual.conv1.weight": shaped(100, 3, 32, 32)}, "100 wide, which heads of 64 do not fill"),
    ],
)
def test_a_damaged_file_is_one_line(change: dict[str, Tensor | None], said: str) -> None:
    tensors = {k: v for k, v in (clip_vit() | NUMBERS | change).items() if v is not None}
    with pytest.raises(SightwordError, match=said):
        openai_clip.read(Read("x", tensors))


def test_open_clip_does_not_guess_its_activation(tmp_path: Path) -> None:
    """A line beside the weights is enough to say it; the rest is read from shapes, and told."""
    bare = Read("x", clip_vit(), beside=tmp_path)
    with pytest.raises(SightwordError, match=r'quick_gelu": false.* into open_clip_config.json'):
        recognised(bare)
    for quick, expected in ((True, "quick_gelu"), (False, "gelu")):
        said = json.dumps({"model_cfg": {"quick_gelu": quick}})
        (tmp_path / "open_clip_config.json").write_text(said)
        foreign = recognised(bare)
        assert foreign.family == "open_clip"
        assert (foreign.model.image.activation, foreign.model.text.activation) == (expected, expected)
        assert any("heads taken" in note for note in foreign.notes)
        assert any("how pictures were prepared" in note for note in foreign.notes)


def test_open_clip_by_the_settings_of_its_run() -> None:
    params = {"model": "ViT-B-32", "force_quick_gelu": "True", "image_mean": "[0.5, 0.5, 0.5]"}
    foreign = open_clip_clip.read(Read("x", clip_vit(), about={"params": params}))
    assert foreign.model.image.activation == "quick_gelu"
    assert foreign.model.image.mean == (0.5, 0.5, 0.5)
    plain = open_clip_clip.read(Read("x", clip_vit(), about={"params": {"model": "ViT-B-32"}}))
    assert plain.model.image.activation == "gelu"


def test_heads_of_the_larger_models_are_known_without_a_configuration() -> None:
    """ViT-H, -g and -bigG have heads of 80, 88 and 104; 64 would fill their widths, too."""
    told = {"model_cfg": {"quick_gelu": False}}
    found = open_clip_clip.read(Read("x", clip_vit(1280), told)).model.image
    assert (found.width, found.heads) == (1280, 16)
    with_config = told["model_cfg"] | {"vision_cfg": {"width": 1280, "head_width": 64}}
    assert open_clip_clip.read(Read("x", clip_vit(1280), {"model_cfg": with_config})).model.image.heads == 20


@pytest.mark.parametrize(
    ("vision", "text", "said"),
    [
        ({"width": 768}, {}, "vision_cfg.width is 768, but the weights have 128"),
        ({"layers": 12}, {}, "vision_cfg.layers is 12, but the weights have 1"),
        ({"image_size": [336, 336]}, {}, "image_size is 336, but the weights have 224"),
        ({"no_ln_pre": True}, {}, "no_ln_pre is True, but the weights have False"),
        ({"ls_init_value": 0.1}, {}, "vision_cfg.ls_init_value is 0.1"),
        ({"pool_type": "none"}, {}, "pool_type is 'none'"),
        ({"attentional_pool": True}, {}, "attentional_pool is True"),
        ({"act_kwargs": {"approximate": "tanh", "x": 1}}, {}, "act_kwargs is"),
        ({"norm_kwargs": {"elementwise_affine": False}}, {}, "norm_kwargs says more than eps"),
        ({}, {"context_length": 64}, "context_length is 64, but the weights have 77"),
        ({}, {"heads": 5}, "heads is 5, which do not divide"),
        ({}, {"no_causal_mask": True}, "looks both ways"),
        ({}, {"hf_model_name": "roberta-base"}, "hf_model_name is 'roberta-base'"),
        ({}, {"hf_tokenizer_name": "bert-base-uncased"}, "no tokenizer.json lies beside"),
        ({}, {"tokenizer_kwargs": {"clean": "canonicalize"}}, "prepared in a way that is not known"),
        ({}, {"pool_type": "eos", "eos_id": 2}, "not the end of text"),
        ({}, {"pool_type": "last"}, "not the end of text"),
    ],
)
def test_open_clip_contradicted_or_beyond_the_towers(
    vision: dict[str, Any], text: dict[str, Any], said: str
) -> None:
    config = {"vision_cfg": FULL["vision_cfg"] | vision, "text_cfg": FULL["text_cfg"] | text}  # type: ignore[operator]
    with pytest.raises(SightwordError, match=said):
        open_clip_clip.read(Read("x", clip_vit(), {"model_cfg": config}))


def test_what_changes_nothing_is_not_refused() -> None:
    more = {"patch_dropout": 0.5, "ls_init_value": None, "qk_norm": False, "block_type": "default"}
    config = FULL | {"vision_cfg": FULL["vision_cfg"] | more}  # type: ignore[operator]
    assert open_clip_clip.read(Read("x", clip_vit(), {"model_cfg": config})).notes == (
        "nothing says how pictures were prepared: taken for CLIP's mean, deviation and bicubic",
    )


@pytest.mark.parametrize(
    ("preparation", "said"),
    [
        ({"resize_mode": "longest"}, "resizes by bicubic, longest"),
        ({"mean": [1, 2]}, "must be three numbers"),
    ],
)
def test_open_clip_pictures_prepared_otherwise(preparation: dict[str, Any], said: str) -> None:
    with pytest.raises(SightwordError, match=said):
        open_clip_clip.read(Read("x", clip_vit(), {"model_cfg": FULL, "preprocess_cfg": preparation}))


@pytest.mark.parametrize(("width", "size", "heads"), [(384, "S", 12), (768, "B", 12), (1024, "L", 16)])
@pytest.mark.parametrize("kind", ["CLIP", "SLIP", "SIMCLR"])
def test_slip(kind: str, width: int, size: str, heads: int) -> None:
    """ViT-S has 12 heads, where timm's has 6."""
    tensors = slips(width, text=kind != "SIMCLR", head=kind != "CLIP")
    foreign = recognised(Read("x", tensors, about={"args": {"model": f"{kind}_VIT{size}16"}}))
    assert (foreign.family, foreign.model.image.heads) == ("SLIP", heads)
    assert foreign.model.image == ImageTowerConfig(width=width, layers=(1,), heads=heads)
    assert foreign.has_text == (kind != "SIMCLR")
    assert len(foreign.notes) == (kind != "CLIP")
    assert all("SimCLR's head, was left out" in note for note in foreign.notes)


def test_slip_without_its_arguments_is_told() -> None:
    foreign = slip.read(Read("x", slips(384, head=False)))
    assert foreign.model.image.heads == 12
    assert "does not name its model" in foreign.notes[0]


@pytest.mark.parametrize(
    ("tensors", "name", "said"),
    [
        (slips(384), "SLIP_VITB16", "says that it is SLIP_VITB16 .* a ViT of width 384 with a text"),
        (slips(384, text=False), "SLIP_VITS16", "without a text tower"),
        (slips(384), "SIMCLR_VITS16", "with a text tower"),
        (slips(384), "SLIP_VITS8", "says that it is SLIP_VITS8"),
        (slips(192), None, "a ViT of width 192; SLIP's are 384, 768, 1024 wide"),
    ],
)
def test_slip_contradicted(tensors: dict[str, Tensor], name: str | None, said: str) -> None:
    about = {"args": {"model": name}} if name else {}
    with pytest.raises(SightwordError, match=said):
        slip.read(Read("x", tensors, about=about))


def hf() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and config.json of Hugging Face's CLIP, through our own export's names."""
    tokenizer = ClipTokenizer()
    ours = open_clip_clip.table(VIT).inward(clip_vit(), "x")
    theirs = hf_clip.table(VIT).outward(ours)
    return theirs, hf_clip_export.config_of(VIT, tokenizer)


def test_hugging_face_needs_its_configuration() -> None:
    tensors, config = hf()
    with pytest.raises(SightwordError, match=r"config.json, and none lies beside it"):
        recognised(Read("x", tensors))
    foreign = recognised(Read("x", tensors, config))
    assert (foreign.family, foreign.model.image.heads) == ("Hugging Face's CLIP", 2)


@pytest.mark.parametrize(
    ("side", "change", "said"),
    [
        ("vision", {"hidden_size": 768}, "vision_config.hidden_size is 768, but the weights have 128"),
        ("vision", {"num_attention_heads": 5}, "5 heads, which do not divide 128"),
        ("vision", {"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ("vision", {"layer_norm_eps": None}, "layer_norm_eps is None"),
        ("text", {"max_position_embeddings": 64}, "is 64, but the weights have 77"),
        ("text", {"eos_token_id": 7}, "pools the word 7 of 49408"),
    ],
)
def test_hugging_face_contradicted(side: str, change: dict[str, Any], said: str) -> None:
    tensors, config = hf()
    config[f"{side}_config"] |= change
    with pytest.raises(SightwordError, match=said):
        hf_clip.read(Read("x", tensors, config))


def test_hugging_face_old_files() -> None:
    """The old `text_config_dict` counts for more, and an end of text of 2 is the highest id."""
    tensors, config = hf()
    config["text_config"]["eos_token_id"] = 2
    config["vision_config_dict"] = config["vision_config"] | {"hidden_act": "gelu"}
    foreign = hf_clip.read(Read("x", tensors, config))
    assert (foreign.model.image.activation, foreign.model.text.activation) == ("gelu", "quick_gelu")


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("vit-tiny-conv", {}, "convolutional stem"),
        ("resnet-tiny", {"text": None}, "this package's small ResNet"),
        ("vit-s16", {"text.attention": "bidirectional"}, "causal and pools the end of text"),
        ("vit-s16", {"image.eps": 1e-5}, "an eps of 1e-06, found 1e-05"),
        ("rn50", {"image.norm": "group"}, "a ResNet with group norm"),
        ("resnet50", {"image.layers": "3,3,3,3"}, "timm has no ResNet"),
        ("vit-s16", {}, "must lie in a folder whose place is known"),
    ],
)
def test_why_open_clip_cannot_hold_a_model(name: str, changes: dict[str, Any], said: str) -> None:
    model = models.find(name)
    if changes.pop("text", 1) is None:  # its text tower is refused, too
        model = replace(model, text=SHORT)
    reason = reason_against(override(model, changes), ClipTokenizer())
    assert reason is not None
    assert said in reason


def test_how_open_clip_holds_our_models(tmp_path: Path) -> None:
    ways = {name: expressed(models.find(name), ClipTokenizer(), folder=tmp_path).way for name in (
        "vit-tiny", "vit-s16", "vit-b16", "vit-b32", "vit-l16", "rn50", "resnet50"
    )}  # fmt: skip
    here, by_name = "timm from this folder", "timm by name"
    assert ways == {
        "vit-tiny": here,
        "vit-s16": here,
        "vit-b16": by_name,
        "vit-b32": by_name,
        "vit-l16": by_name,
        "rn50": "open_clip",
        "resnet50": by_name,
    }


def test_an_end_of_text_of_two_is_exchanged() -> None:
    """transformers takes 2 for "the highest id" whatever the vocabulary is."""
    words = LearnedTokenizer.train(["a cat", "a dog"] * 2, 300, 9)
    swapped = hf_clip_export.swapped_for(words)
    assert swapped == (2, words.vocab - 1)
    assert hf_clip_export.swapped_for(ClipTokenizer()) is None
    before = json.loads(words._inner.to_str())
    after = hf_clip_export.exchanged(before, swapped)
    assert after["model"]["vocab"]["<eot>"] == words.vocab - 1
    assert hf_clip_export.exchanged(after, swapped)["model"] == before["model"]
    assert hf_clip_export.text_config_of(VIT, words)["eos_token_id"] == words.vocab - 1


@pytest.mark.parametrize("change", [{"image.pre_norm": False}, {"image.pool": "gap"}, {"text.pool": "mean"}])
def test_why_hugging_faces_clip_cannot_hold_a_model(change: dict[str, Any]) -> None:
    assert hf_clip_export.reason_against(VIT) is None
    reason = hf_clip_export.reason_against(override(VIT, change))
    assert reason is not None
    with pytest.raises(SightwordError, match="Hugging Face's CLIP"):
        hf_clip_export.config_of(override(VIT, change), ClipTokenizer())
