"""What timm's config.json, or the model that the user names, tells of a ViT and its shapes do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, cast

from sightword.config import Activation, ImageTowerConfig, Pool
from sightword.errors import SightwordError
from sightword.weights.preparation import of_timm
from sightword.weights.reading import Read

FILE = "config.json"
POOLS: Mapping[str, Pool] = {"token": "class", "avg": "gap", "max": "max", "map": "attention"}
ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "quickgelu": "quick_gelu",
}
_SHAPES = ("img_size", "patch_size", "embed_dim", "depth", "mlp_ratio", "class_token", "num_classes")
_SEEN = ("pre_norm", "fc_norm", "no_embed_class", "final_norm", "dynamic_img_size", "num_heads", "act_layer")
_TRAINED = ("drop_rate", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate")
_UNDERSTOOD = {*_SHAPES, *_SEEN, *_TRAINED, "drop_path_rate", "global_pool", "weight_init", "qkv_bias"}
_HARMLESS = {"pos_embed": "learn", "in_chans": 3}


@dataclass(frozen=True)
class Told:
    """heads, activation, eps: of the ViT.

    pool: None where nothing says.
    preparation: of pictures, fields of `ImageTowerConfig`.
    notes: what was taken for granted.
    """

    heads: int
    activation: Activation
    eps: float
    pool: Pool | None
    preparation: Mapping[str, Any]
    notes: tuple[str, ...]


@lru_cache
def known_vits() -> Mapping[str, tuple[int, int, int, float, Activation]]:
    """Width, layers, heads, eps and activation of timm's ViTs that the towers here can be, by their names.

    Recorded from timm 1.0.31; a test compares them with the timm that is installed.
    """
    file = files("sightword") / "data" / "timm_vits.json"
    return {name: tuple(facts) for name, facts in json.loads(file.read_text(encoding="utf-8")).items()}


def told(file: Read, width: int, layers: int, size: int) -> Told:
    """What there is to know.

    Args:
        file: with timm's config.json, or a model that the user names.
        width, layers: of the ViT that the weights hold.
        size: pixels of its pictures.

    Raises:
        SightwordError: when nothing tells the heads, or two tell differently.
    """
    if "architecture" in file.config:
        return _by_config(file, width, layers, size)
    if file.like is None:
        raise SightwordError(
            f"how many heads the ViT in '{file.where}' has ({width} wide, {layers} layers) cannot be seen in"
            f" its tensors; put timm's {FILE} beside it, or name a model of the same shape, e.g."
            " --model vit-b16"
        )
    return _by_model(file, file.like, width, layers)


def _by_config(file: Read, width: int, layers: int, size: int) -> Told:
    name, args = file.config["architecture"], dict(file.config.get("model_args") or {})
    if name not in known_vits():
        raise SightwordError(
            f"{FILE} beside '{file.where}' says that it is timm's {name!r}, which the towers here are not"
            " known to be; known are plain ViTs such as vit_base_patch16_224 (docs/interop.md)"
        )
    strange = sorted(k for k, v in args.items() if k not in _UNDERSTOOD and v and v != _HARMLESS.get(k))
    if strange:
        raise SightwordError(
            f"{FILE}: model_args.{strange[0]} is {args[strange[0]]!r}, which the towers here do not have"
        )
    facts = known_vits()[name]
    said = args.get("embed_dim", facts[0]), args.get("depth", facts[1])
    if said != (width, layers):
        raise SightwordError(
            f"{FILE} says that '{file.where}' is {name}, {said[0]} wide with {said[1]} layers, but its"
            f" weights are {width} wide with {layers}; give the {FILE} that belongs to them"
        )
    heads = int(args.get("num_heads", facts[2]))
    _demand_same_heads(file, heads)
    activation = ACTIVATIONS.get(args.get("act_layer", facts[4]))
    if activation is None:
        raise SightwordError(f"{FILE}: model_args.act_layer is {args['act_layer']!r}, not known here")
    preparation, notes = of_timm(file.config.get("pretrained_cfg") or {}, size, f"{FILE}, pretrained_cfg")
    pool = _pool(args.get("global_pool") or file.config.get("global_pool"))
    if not preparation:
        notes.append(f"{FILE} has no pretrained_cfg: ImageNet's mean and deviation, bilinear, are assumed")
    return Told(heads, activation, facts[3], pool, preparation, tuple(notes))


def _demand_same_heads(file: Read, heads: int) -> None:
    if file.like is not None and file.like.heads != heads:
        raise SightwordError(
            f"the ViT in '{file.where}' has {heads} heads ({FILE}), and the model that --model names has"
            f" {file.like.heads}: leave --model out, or set model.image.heads={heads}"
        )


def _by_model(file: Read, like: ImageTowerConfig, width: int, layers: int) -> Told:
    if like.kind != "vit" or (like.width, like.layers) != (width, (layers,)):
        raise SightwordError(
            f"'{file.where}' holds a ViT {width} wide with {layers} layers, and the model that --model names"
            f" is a {like.kind} {like.width} wide with layers {like.layers}; name one of the same shape"
        )
    usual = {facts[2] for facts in known_vits().values() if facts[0] == width}
    if usual and like.heads not in usual:
        raise SightwordError(
            f"timm's ViTs that are {width} wide have {_or(usual)} heads, and the model that --model names has"
            f" {like.heads}; set model.image.heads={min(usual)}, or, if they have {like.heads} indeed, put a"
            f' {FILE} beside \'{file.where}\': {{"architecture": ..., "model_args": {{"num_heads":'
            f" {like.heads}}}}}"
        )
    note = (
        f"{like.heads} heads, {like.activation}, an eps of {like.eps}, mean, deviation and interpolation are"
        f" those of the model that --model names; no {FILE} beside the weights says"
    )
    kept = {name: getattr(like, name) for name in ("mean", "std", "interpolation", "resize")}
    return Told(like.heads, like.activation, like.eps, None, kept, (note,))


def _pool(name: object) -> Pool | None:
    if not name:
        return None
    if name not in POOLS:
        raise SightwordError(f"{FILE}: global_pool is {name!r}; wanted {', '.join(POOLS)}")
    return POOLS[cast(str, name)]


def _or(numbers: set[int]) -> str:
    return " or ".join(map(str, sorted(numbers)))
