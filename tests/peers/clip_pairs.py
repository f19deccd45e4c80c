"""Tiny models of the classes that others give their CLIPs, with random weights, and what they answer.

`record_clip_pairs.py` stores the answers; `test_live_clip_pairs.py` asks again where the libraries are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from towers_of import TEXTS, Tensors, normalised, pixels, stir

from sightword.weights.clip_shapes import MEAN, STD

CONTEXT, EMBED = 9, 8
_TEXT = {"context_length": CONTEXT, "width": 12, "heads": 3, "layers": 1}
_VIT = {"image_size": 16, "patch_size": 4, "width": 8, "layers": 2, "head_width": 4}
OPEN_CLIP: dict[str, dict[str, Any]] = {
    "open_clip-vit": {"quick_gelu": True, "vision_cfg": _VIT, "text_cfg": _TEXT},
    "open_clip-mean": {
        "custom_text": True,
        "init_logit_bias": -10.0,
        "vision_cfg": {
            **_VIT,
            "no_ln_pre": True,
            "pool_type": "avg",
            "final_ln_after_pool": True,
            "mlp_ratio": 3.5,
            "act_kwargs": {"approximate": "tanh"},
            "norm_kwargs": {"eps": 1e-3},
        },
        "text_cfg": {**_TEXT, "proj_bias": True, "norm_kwargs": {"eps": 1e-4}},
    },
    "open_clip-resnet": {
        "vision_cfg": {
            "image_size": 64,
            "layers": [1, 1, 1, 1],
            "width": 2,
            "head_width": 16,
            "patch_size": None,
        },
        "text_cfg": _TEXT,
    },
}
WORDS = {
    "open_clip-mean": "text.token_embedding.weight",
    "hf": "text_model.embeddings.token_embedding.weight",
}


@dataclass(frozen=True)
class Answers:
    """A peer's weights, its configuration and its features of pictures and of `TEXTS`, of length 1."""

    tensors: Tensors
    config: dict[str, Any]
    images: Tensor
    image: Tensor
    text: Tensor


def words_of(case: str) -> str:
    """The name of the embedding of words, of which only used rows are stored."""
    return WORDS.get(case, "token_embedding.weight")


@torch.no_grad()
def open_clip_answers(case: str, open_clip: ModuleType) -> Answers:
    """Its `CLIP`, or `CustomTextCLIP` with `custom_text`, as its factory makes them from a configuration."""
    config = {"embed_dim": EMBED, **OPEN_CLIP[case]}
    kind = open_clip.model.CustomTextCLIP if "custom_text" in config else open_clip.model.CLIP
    model = kind(**{name: value for name, value in config.items() if name != "custom_text"}).eval()
    stir(model, scale=0.2, half=True)
    size = config["vision_cfg"]["image_size"]
    images = pixels(size)
    ids = open_clip.tokenizer.SimpleTokenizer(context_length=CONTEXT)(TEXTS)
    image = model.encode_image(normalised(images, MEAN, STD), True)
    return Answers(model.state_dict(), {"model_cfg": config}, images, image, model.encode_text(ids, True))


@torch.no_grad()
def hf_answers(transformers: ModuleType, ids: Tensor) -> Answers:
    """`CLIPModel`; `ids` are its tokenizer's, whose files do not come with the library."""
    side = {"num_hidden_layers": 2, "projection_dim": EMBED}
    vision = {"hidden_size": 8, "intermediate_size": 20, "num_attention_heads": 2, "image_size": 16}
    text = {"hidden_size": 12, "intermediate_size": 48, "num_attention_heads": 3, "eos_token_id": 49407}
    config = transformers.CLIPConfig(
        vision_config={**side, **vision, "patch_size": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-3},
        text_config={**side, **text, "max_position_embeddings": CONTEXT, "layer_norm_eps": 1e-4},
        projection_dim=EMBED,
    )
    model = transformers.CLIPModel(config).eval()
    stir(model, scale=0.2, half=True)
    images = pixels(16)
    found = model(input_ids=ids, pixel_values=normalised(images, MEAN, STD))
    said = {
        k: v for k, v in config.to_dict().items() if k in ("vision_config", "text_config", "projection_dim")
    }
    return Answers(model.state_dict(), said, images, found.image_embeds, found.text_embeds)


@torch.no_grad()
def slip_answers(
    models: ModuleType, timm: ModuleType, tokenizer: Callable[[Sequence[str]], Tensor]
) -> Answers:
    """SLIP's `SLIP` class around timm's ViT; its own constructors make full sizes alone."""
    shape = {"img_size": 16, "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 4, "num_classes": 0}
    model = models.SLIP(
        embed_dim=EMBED,
        vision_width=8,
        context_length=CONTEXT,
        vocab_size=49408,
        transformer_width=12,
        transformer_heads=3,
        transformer_layers=1,
        ssl_mlp_dim=3,
        ssl_emb_dim=2,
        vision_model=timm.models.vision_transformer.VisionTransformer(**shape),
    ).eval()
    stir(model, scale=0.2, half=True)
    images = pixels(16)
    pictures = normalised(images, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    image, text = model.encode_image(pictures), model.encode_text(tokenizer(TEXTS))
    unit = torch.nn.functional.normalize
    return Answers(model.state_dict(), {}, images, unit(image, dim=-1), unit(text, dim=-1))
