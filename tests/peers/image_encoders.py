"""Image encoders of the classes that others give them, small, filled by a formula, and what they answer.

`record_image_encoders.py` stores the answers; `test_live_image_encoders.py` asks again where the libraries
are. MAE's and MoCo v3's own classes come from checkouts of their repositories.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from formula import Tensors, fill, filled, shapes_of
from recording import load
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from towers_of import normalised, pixels

from sightword.config import ImageTowerConfig

Peer = Callable[[str], ModuleType]
SIZE, PATCH, WIDTH, DEPTH, HEADS = 16, 4, 16, 2, 2
LIKE = ImageTowerConfig(size=SIZE, patch_size=PATCH, width=WIDTH, layers=(DEPTH,), heads=HEADS)  # by --model
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5,) * 3, (0.5,) * 3)
PREPARED = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "crop_pct": 1.0}
SHAPE = {"img_size": SIZE, "patch_size": PATCH, "embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS}
TIMM: dict[str, dict[str, Any]] = {
    "timm-vit": {"num_classes": 3},
    "timm-vit-mean": {"global_pool": "avg", "class_token": False, "fc_norm": False, "num_classes": 3},
    "timm-vit-mean-norm": {"global_pool": "avg", "mlp_ratio": 3.4},  # a class token that is not pooled
    "timm-vit-query": {"global_pool": "map", "class_token": False, "act_layer": "gelu_tanh"},
    "timm-vit-query-class": {"global_pool": "map"},
    "timm-vit-max": {"global_pool": "max", "fc_norm": False, "no_embed_class": True},
    "timm-vit-pre": {"pre_norm": True, "act_layer": "quick_gelu"},
}
RESNETS = {"timm-basic": "BasicBlock", "timm-bottleneck": "Bottleneck", "torchvision-basic": "BasicBlock"}


@dataclass(frozen=True)
class Answers:
    """A peer's weights, what lies beside them, and its features of pictures.

    kept: names of tensors that the formula did not fill.
    """

    tensors: Tensors
    config: dict[str, Any]
    images: Tensor
    features: Tensor
    kept: tuple[str, ...] = ()


@torch.no_grad()
def timm_vit(case: str, peer: Peer) -> Answers:
    """timm's `VisionTransformer`, with the config.json that timm writes for such a one."""
    module = peer("timm.models.vision_transformer")
    settings = {**SHAPE, **TIMM[case]}
    pre = bool(settings.get("pre_norm"))
    norm = {"norm_layer": partial(nn.LayerNorm, eps=1e-5)} if pre else {}
    model = module.VisionTransformer(**{"num_classes": 0, **settings}, **norm).double().eval()
    fill(model)
    images = pixels(SIZE)
    seen = normalised(images, *HALVES).double()
    features = model.forward_head(model.forward_features(seen), pre_logits=True)
    base = "vit_base_patch16_clip_224" if pre else "vit_base_patch16_224"
    config = {"architecture": base, "model_args": settings, "pretrained_cfg": PREPARED}
    return Answers(model.float().state_dict(), config, images, features)


@torch.no_grad()
def resnet(case: str, peer: Peer) -> Answers:
    """timm's and torchvision's, of one block a stage; their widths cannot be chosen."""
    module = peer("timm.models.resnet" if case.startswith("timm") else "torchvision.models.resnet")
    model = module.ResNet(getattr(module, RESNETS[case]), [1, 1, 1, 1], num_classes=5).double().eval()
    fill(model)
    images = pixels(64)
    tensors = {name: one.float() for name, one in model.state_dict().items() if one.is_floating_point()}
    model.fc = nn.Identity()
    return Answers(tensors, {}, images, model(normalised(images, *IMAGENET).double()))


@torch.no_grad()
def hugging_face_vit(case: str, peer: Peer) -> Answers:
    """`ViTModel`, and `ViTForImageClassification`, whose names have "vit." in front."""
    transformers = peer("transformers")
    config = transformers.ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=3 * WIDTH,
        image_size=SIZE,
        patch_size=PATCH,
        hidden_act="gelu_pytorch_tanh" if case.endswith("classes") else "gelu",
        layer_norm_eps=1e-3 if case.endswith("classes") else 1e-12,
    )
    classes = case.endswith("classes")
    made = transformers.ViTForImageClassification(config) if classes else transformers.ViTModel(config)
    model, tensors, config = as_written(made)
    images = pixels(SIZE)
    encoder = model.vit if classes else model
    features = encoder(normalised(images, *HALVES).double()).last_hidden_state[:, 0]
    return Answers(tensors, config, images, features)


def as_written(model: Any) -> tuple[Any, Tensors, dict[str, Any]]:
    """A model of transformers filled by the names that its files have, which are not those in memory."""
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        file = Path(folder) / "model.safetensors"
        tensors = filled(shapes_of(load_file(file)))
        save_file(tensors, file, {"format": "pt"})
        config = json.loads((Path(folder) / "config.json").read_text())
        return type(model).from_pretrained(folder).double().eval(), tensors, config


@torch.no_grad()
def mae(case: str, root: Path) -> Answers:
    """MAE's network, its encoder's answer when nothing is hidden; and the ViT of its fine-tuning."""
    vars(np).setdefault("float", float)  # a name that numpy had when MAE was written
    norm = {"norm_layer": partial(nn.LayerNorm, eps=1e-6), "mlp_ratio": 4}
    images = pixels(SIZE)
    seen = normalised(images, *IMAGENET).double()
    if case == "mae":
        module = load(root / "models_mae.py", root)
        block = module.Block
        module.Block = lambda *sizes, qk_scale, **options: block(*sizes, **options)  # timm had a scale then
        decoder = {"decoder_embed_dim": 8, "decoder_depth": 1, "decoder_num_heads": 2}
        model = module.MaskedAutoencoderViT(**SHAPE, **decoder, **norm).double().eval()
        kept = ("pos_embed", "decoder_pos_embed")
        fill(model, kept)
        with mock.patch.object(torch, "rand", lambda n, length, **_: torch.arange(length).repeat(n, 1)):
            features = model.forward_encoder(seen, 0.0)[0][:, 0]  # in their order, none hidden
        return Answers(model.float().state_dict(), {}, images, features, kept)
    module = load(root / "models_vit.py", root)
    model = module.VisionTransformer(
        global_pool=case == "mae-tuned-mean", num_classes=3, qkv_bias=True, **SHAPE, **norm
    )
    fill(model.double().eval())
    return Answers(model.state_dict(), {}, images, model.forward_features(seen))


@torch.no_grad()
def mocov3(case: str, root: Path) -> Answers:
    """MoCo v3's two encoders with projector and predictor, as its training stores them."""
    builder = load(root / "moco" / "builder.py", root)
    if case == "mocov3-resnet":
        made = builder.MoCo_ResNet(torchvision_resnet, 4, 6)
    else:
        vits = moco_vits(root)
        shape = dict(SHAPE) if case == "mocov3-vit" else {**SHAPE, "img_size": 32, "patch_size": 16}
        stem = {} if case == "mocov3-vit" else {"embed_layer": vits.ConvStem}
        settings = {**shape, "embed_dim": 48, "num_heads": 12, **stem}
        norm = {"norm_layer": partial(nn.LayerNorm, eps=1e-6)}
        made = builder.MoCo_ViT(partial(vits.VisionTransformerMoCo, **settings, **norm), 4, 6)
    made = made.double().eval()
    kept = tuple(f"{part}_encoder.pos_embed" for part in ("base", "momentum"))
    fill(made, kept)
    images = pixels(64 if case == "mocov3-resnet" else 32 if case == "mocov3-conv" else SIZE)
    tensors = made.state_dict()
    encoder = made.base_encoder
    setattr(encoder, "fc" if case == "mocov3-resnet" else "head", nn.Identity())
    features = encoder(normalised(images, *IMAGENET).double())
    tensors = {name: one.float() if one.is_floating_point() else one for name, one in tensors.items()}
    return Answers(tensors, {}, images, features, tuple(k for k in kept if k in tensors))


def moco_vits(root: Path) -> ModuleType:
    """vits.py, for which timm's rooms and names were others."""
    helpers = importlib.import_module("timm.layers.helpers")
    with mock.patch.dict(sys.modules, {"timm.models.layers.helpers": helpers}):
        module = load(root / "vits.py", root)
    module.VisionTransformerMoCo.num_tokens = 1
    module.ConvStem = without_bias(module.ConvStem)
    return module


def without_bias(stem: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Its stem takes fewer settings than timm gives to one by now."""

    def made(bias: bool, dynamic_img_pad: bool, device: Any, dtype: Any, **settings: Any) -> nn.Module:
        return stem(**settings)

    return made


def torchvision_resnet(num_classes: int) -> nn.Module:
    """Of one block a stage."""
    module = importlib.import_module("torchvision.models.resnet")
    made: nn.Module = module.ResNet(module.BasicBlock, [1, 1, 1, 1], num_classes=num_classes)
    return made


MAE = ("mae", "mae-tuned", "mae-tuned-mean")
MOCO = ("mocov3-vit", "mocov3-conv", "mocov3-resnet")
HUGGING_FACE = ("hf-vit", "hf-vit-classes")
CASES = (*TIMM, *RESNETS, *HUGGING_FACE, *MAE, *MOCO)


def answers(case: str, peer: Peer, roots: Mapping[str, Path]) -> Answers:
    """Whatever a case is of; `roots` has the checkouts of "mae" and "mocov3"."""
    if case in MAE:
        return mae(case, roots["mae"])
    if case in MOCO:
        return mocov3(case, roots["mocov3"])
    if case in HUGGING_FACE:
        return hugging_face_vit(case, peer)
    return timm_vit(case, peer) if case in TIMM else resnet(case, peer)
