"""transformers' `VisionTextDualEncoderModel` of a ViT and CLIP's text tower, small, filled by a formula.

`record_dual_pairs.py` stores what it answers; `test_peer_dual_pairs.py` asks again where it is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from formula import Tensors
from image_encoders import HALVES, Peer, as_written
from torch import Tensor
from towers_of import TEXTS, normalised, pixels

from sightword.pairs.words.tokenizer import ClipTokenizer

CONTEXT, SIZE, WIDTH = 9, 16, 8
POOLER = "vision_model.pooler.dense."


@dataclass(frozen=True)
class Answers:
    """Its weights, its configuration, and its features of pictures and of `TEXTS`, of length 1."""

    tensors: Tensors
    config: dict[str, Any]
    images: Tensor
    image: Tensor
    text: Tensor


@torch.no_grad()
def ask(peer: Peer) -> Answers:
    """The ViT's pooler is made to hand on the class token, as a pair without one needs it."""
    transformers = peer("transformers")
    vision = transformers.ViTConfig(
        hidden_size=WIDTH,
        intermediate_size=20,
        num_attention_heads=2,
        num_hidden_layers=2,
        layer_norm_eps=1e-3,
        pooler_act="linear",
        pooler_output_size=WIDTH,
        image_size=SIZE,
        patch_size=4,
    )
    text = transformers.CLIPTextConfig(
        hidden_size=12,
        intermediate_size=36,
        num_attention_heads=3,
        num_hidden_layers=2,
        layer_norm_eps=1e-4,
        max_position_embeddings=CONTEXT,
        eos_token_id=49407,
        bos_token_id=49406,
        pad_token_id=0,
        projection_dim=6,
    )
    kind = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(vision, text, projection_dim=6)
    model, tensors, said = as_written(transformers.VisionTextDualEncoderModel(kind))
    model.vision_model.pooler.dense.weight.copy_(torch.eye(WIDTH))
    model.vision_model.pooler.dense.bias.zero_()
    images = pixels(SIZE)
    found = model(
        input_ids=ClipTokenizer(CONTEXT)(TEXTS).ids, pixel_values=normalised(images, *HALVES).double()
    )
    plain = {name: one for name, one in tensors.items() if not name.startswith(POOLER)}
    return Answers(plain, said, images, found.image_embeds, found.text_embeds)
