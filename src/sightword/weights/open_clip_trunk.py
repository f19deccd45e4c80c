"""timm's ViTs and ResNets as image towers of open_clip, by its names for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from sightword.config import Activation, ImageTowerConfig, ModelConfig, Pool
from sightword.errors import SightwordError
from sightword.weights import clip_names, timm_names
from sightword.weights.clip_shapes import MEAN, STD, count, side_of, sized
from sightword.weights.open_clip_told import FILE, demand
from sightword.weights.plain_json import json_beside
from sightword.weights.reading import Read
from sightword.weights.renaming import Pair, same

TRUNK, LOCAL = "visual.trunk.", "local-dir:"
POOLS: Mapping[str, Pool] = {"token": "class", "avg": "gap", "max": "max", "map": "attention"}
HEADS = {"tiny": 3, "small": 6, "base": 12, "large": 16, "huge": 16}  # of timm's vit_*_patch*
WIDTHS = {"tiny": 192, "small": 384, "base": 768, "large": 1024, "huge": 1280}
RESNETS = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
    "resnet152": ((3, 8, 36, 3), True),
}
_NAME = re.compile(r"vit_(tiny|small|base|large|huge)_patch\d+_\d+")


def pairs(model: ModelConfig) -> list[Pair]:
    """The trunk, and the projection that open_clip puts behind it."""
    joint = same("joint.image.weight", "visual.head.proj.weight")
    if model.image.kind == "vit":
        return [*timm_names.vit(model.image, TRUNK), joint]
    names = clip_names.resnet_names(model.image)
    return [*(same(f"towers.image.{name}", TRUNK + name) for name in names), joint]


def image_of(file: Read, vision: Mapping[str, Any]) -> ImageTowerConfig:
    """The tower that `timm_model_name` names, which alone tells its heads.

    Raises:
        SightwordError: when it is none of the plain ViTs and ResNets, or differs from the weights.
    """
    name, pool = str(vision.get("timm_model_name")), str(vision.get("timm_pool", "avg"))
    if vision.get("timm_proj", "linear") != "linear" or vision.get("timm_proj_bias") or pool not in POOLS:
        raise SightwordError(
            f"{FILE}: a tower of timm's, pooled by {pool!r} and projected by {vision.get('timm_proj')!r};"
            f" wanted {', '.join(POOLS)} and a linear projection without bias"
        )
    if name in RESNETS:
        layers, bottleneck = RESNETS[name]
        return ImageTowerConfig(
            kind="standard-resnet",
            width=64,
            layers=layers,
            patch_size=32,
            pool=POOLS[pool],
            bottleneck=bottleneck,
            size=int(vision.get("image_size", 224)),
            mean=MEAN,
            std=STD,
        )
    return _vit(file, _arguments(file, name), POOLS[pool])


def _arguments(file: Read, name: str) -> Mapping[str, Any]:
    """What timm builds under this name, as far as tensors do not tell it."""
    if found := _NAME.fullmatch(name):
        return {"num_heads": HEADS[found[1]], "embed_dim": WIDTHS[found[1]]}
    if not name.startswith(LOCAL):
        raise SightwordError(
            f"{FILE}: timm_model_name is {name!r}; of timm only plain ViTs and ResNets are known here"
        )
    folder = Path(name.removeprefix(LOCAL))
    beside = json_beside(file.beside, "config.json") or json_beside(folder, "config.json")
    args = beside.get("model_args")
    if not isinstance(args, Mapping) or not isinstance(args.get("num_heads"), int):
        raise SightwordError(
            f"{FILE} names timm's model in '{folder}', but no config.json with model_args lies there or"
            " beside the weights"
        )
    return args


def _vit(file: Read, args: Mapping[str, Any], pool: Pool) -> ImageTowerConfig:
    width, _, patch, _ = sized(file, f"{TRUNK}patch_embed.proj.weight", 4)
    classed = f"{TRUNK}cls_token" in file.tensors
    rows = sized(file, f"{TRUNK}pos_embed", 3)[1] - classed
    demand({"width": args.get("embed_dim")}, {"width": width}, "timm_model_name")
    activation = args.get("act_layer", "gelu")
    if activation not in ("gelu", "quick_gelu", "gelu_tanh"):
        raise SightwordError(f"config.json: act_layer {activation!r} is not known here")
    return ImageTowerConfig(
        size=patch * side_of(file, rows, f"{TRUNK}pos_embed"),
        width=width,
        layers=(count(file.tensors, f"{TRUNK}blocks."),),
        heads=args["num_heads"],
        patch_size=patch,
        stem_bias=f"{TRUNK}patch_embed.proj.bias" in file.tensors,
        pre_norm=f"{TRUNK}norm_pre.weight" in file.tensors,
        activation=cast(Activation, activation),
        pool=pool,
        class_token=classed and pool != "class",
        norm_after_pool=f"{TRUNK}fc_norm.weight" in file.tensors,
        mlp_ratio=sized(file, f"{TRUNK}blocks.0.mlp.fc1.weight", 2)[0] / width,
        mean=MEAN,
        std=STD,
    )
