"""SigLIP models of the classes that others give them, small, filled by a formula, and what they answer.

`record_siglip_pairs.py` stores the answers; `test_live_siglip_pairs.py` asks again where the libraries are.
The vocabulary is a small one of sentence pieces, learned by sentencepiece from a few sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from formula import Tensors, fill
from image_encoders import HALVES, Peer, as_written
from torch import Tensor
from towers_of import normalised, pixels

CONTEXT, ROWS, SIZE, PATCH, WIDTH = 12, 70, 16, 4, 16
SENTENCES = [
    "a photo of a red bus",
    "two people with umbrellas in the rain",
    "über das café am fluss",
    "the cat sat on the mat, and the dog ran",
    "old bicycles near the water at night",
]
CAPTIONS = [
    "A photo of the red_bus!",
    "two people, with umbrellas...",
    "über café &amp; rain",
    "",
    "  \t ",
    "Quite unknown: zebra <b>",
    "ΑΣ.ΑΣ the İ",
    "a\u2581dog  ran",
    "it's THE Ã© cat",
    "the cat " * 20,
    "x\u00a0y\u200b z\x1cq",
]
TIMM = "vit_base_patch16_siglip_224"
SMALL = (24, 2, 3, 1e-6, "gelu")  # width, layers, heads, eps and activation of what stands in its place


@dataclass(frozen=True)
class Answers:
    """A peer's weights, its configuration, and its features of pictures and of `CAPTIONS`, of length 1."""

    tensors: Tensors
    config: dict[str, Any]
    images: Tensor
    image: Tensor
    text: Tensor
    ids: Tensor


def make_words(folder: Path, peer: Peer) -> None:
    """A spiece.model, and the tokenizer.json that transformers makes of it."""
    pieces, transformers = peer("sentencepiece"), peer("transformers")
    sentences = folder / "sentences.txt"
    sentences.write_text("\n".join(SENTENCES * 40), encoding="utf-8")
    pieces.SentencePieceTrainer.train(
        input=str(sentences),
        model_prefix=str(folder / "spiece"),
        vocab_size=60,
        model_type="unigram",
        normalization_rule_name="identity",  # the usual rules fill a third of a megabyte
        hard_vocab_limit=False,
        minloglevel=2,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
    )
    fast = transformers.T5TokenizerFast.from_pretrained(str(folder), extra_ids=0, pad_token="</s>")
    fast.save_pretrained(folder)


@torch.no_grad()
def hugging_face(folder: Path, peer: Peer) -> Answers:
    """`SiglipModel`, its captions cut by `SiglipTokenizer`; the embedding has rows to spare."""
    transformers = peer("transformers")
    side = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}
    words = {"vocab_size": ROWS, "max_position_embeddings": CONTEXT, "layer_norm_eps": 1e-4}
    words |= {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 1}
    config = transformers.SiglipConfig(
        text_config={**side, **words, "hidden_act": "gelu", "num_attention_heads": 2},
        vision_config={**side, "image_size": SIZE, "patch_size": PATCH},
    )
    model, tensors, said = as_written(transformers.SiglipModel(config))
    slow = transformers.SiglipTokenizer(str(folder / "spiece.model"))
    ids = slow(CAPTIONS, padding="max_length", max_length=CONTEXT, truncation=True, return_tensors="pt")
    images = pixels(SIZE)
    found = model(input_ids=ids["input_ids"], pixel_values=normalised(images, *HALVES).double())
    return Answers(tensors, said, images, found.image_embeds, found.text_embeds, ids["input_ids"])


@torch.no_grad()
def open_clip(folder: Path, peer: Peer) -> Answers:
    """`CustomTextCLIP`, around a small ViT of timm's in the place of the one that it names."""
    module, timm = peer("open_clip"), peer("timm")
    text = {"width": WIDTH, "heads": 2, "layers": 2, "mlp_ratio": 2.5, "context_length": CONTEXT}
    text |= {"no_causal_mask": True, "proj_bias": True, "pool_type": "last", "vocab_size": ROWS}
    text |= {"norm_kwargs": {"eps": 1e-4}, "act_kwargs": {"approximate": "tanh"}}
    text |= {"hf_tokenizer_name": "words", "tokenizer_kwargs": {"clean": "canonicalize"}}
    vision = {
        "timm_model_name": TIMM,
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    }
    config = {"embed_dim": SMALL[0], "init_logit_bias": -10, "vision_cfg": {**vision, "image_size": SIZE}}
    config["text_cfg"] = text
    small = timm.models.vision_transformer.VisionTransformer(
        img_size=SIZE,
        patch_size=PATCH,
        embed_dim=SMALL[0],
        depth=SMALL[1],
        num_heads=SMALL[2],
        class_token=False,
        global_pool="map",
        num_classes=0,
    )
    with mock.patch.object(timm, "create_model", return_value=small):
        model = module.model.CustomTextCLIP(**config).double().eval()
    fill(model)
    ids = module.tokenizer.HFTokenizer(str(folder), context_length=CONTEXT, clean="canonicalize")(CAPTIONS)
    images = pixels(SIZE)
    image = model.encode_image(normalised(images, *HALVES).double(), True)
    text_features = model.encode_text(ids, True)
    tensors = {name: one.float() for name, one in model.state_dict().items()}
    return Answers(tensors, {"model_cfg": config | {"custom_text": True}}, images, image, text_features, ids)
