"""What open_clip's configuration says of weights that their shapes do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from sightword.config import Activation, ImageTowerConfig
from sightword.errors import SightwordError
from sightword.weights.clip_shapes import HEAD
from sightword.weights.plain_json import json_beside
from sightword.weights.reading import Read

FILE = "open_clip_config.json"
_HEADS = {1280: 80, 1408: 88, 1664: 104, 1792: 112}  # ViT-H, -g, -bigG and -e; all others have heads of 64
_UNDERSTOOD = {
    "vision_cfg": {
        *("layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "no_ln_pre"),
        *("pos_embed_type", "pool_type", "final_ln_after_pool", "act_kwargs", "norm_kwargs"),
        *("timm_model_name", "timm_pool", "timm_proj", "timm_proj_bias"),
        *("timm_model_pretrained", "timm_drop", "timm_drop_path", "patch_dropout"),  # training's alone
        *("attn_pooler_queries", "attn_pooler_heads"),  # of a pool that is refused by its own name
    },
    "text_cfg": {
        *("context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "pad_id", "eos_id"),
        *("pool_type", "no_causal_mask", "proj_bias", "act_kwargs", "norm_kwargs"),
        *("hf_tokenizer_name", "tokenizer_kwargs", "tokenizer_mode", "hf_model_pretrained"),
        *("hf_proj_type", "hf_pooler_type"),  # of text towers that are refused by their own name
    },
}
_HARMLESS = ("default", "linear")  # values by which a setting changes nothing, beside what counts as no


@dataclass(frozen=True)
class Told:
    """What is known beside the tensors.

    quick: whether activations are QuickGELU.
    vision, text: the parts of open_clip's configuration; {} where it has none.
    preparation: of pictures.
    notes: what was taken for granted.
    """

    quick: bool
    vision: Mapping[str, Any]
    text: Mapping[str, Any]
    preparation: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=())

    def activation(self, part: str) -> Activation:
        """Of "vision_cfg" or "text_cfg".

        Raises:
            SightwordError: when it is none that the towers have.
        """
        extra = dict((self.vision if part == "vision_cfg" else self.text).get("act_kwargs") or {})
        if extra in ({}, {"approximate": "none"}):
            return "quick_gelu" if self.quick else "gelu"
        if extra == {"approximate": "tanh"} and not self.quick:
            return "gelu_tanh"
        raise SightwordError(f"{FILE}: {part}.act_kwargs is {extra}, an activation that is not known here")

    def eps(self, part: str) -> float:
        """Of the LayerNorms of "vision_cfg" or "text_cfg".

        Raises:
            SightwordError: when they are told to be anything else than another eps.
        """
        extra = dict((self.vision if part == "vision_cfg" else self.text).get("norm_kwargs") or {})
        eps = extra.pop("eps", 1e-5)
        if extra or not isinstance(eps, float):
            raise SightwordError(f"{FILE}: {part}.norm_kwargs says more than eps: {extra or eps}")
        return eps

    def head(self, width: int) -> int:
        """Numbers of a head of an image tower of this width."""
        known = HEAD if self.vision else _HEADS.get(width, HEAD)
        return int(self.vision.get("head_width", known))

    def prepared(self, image: ImageTowerConfig) -> ImageTowerConfig:
        """The tower with the mean, deviation and resizing that were told; CLIP's where nothing was."""
        mean, std = (_three(self.preparation.get(name)) for name in ("mean", "std"))
        interpolation = self.preparation.get("interpolation") or "bicubic"
        resize = self.preparation.get("resize_mode") or "shortest"
        if interpolation not in ("bicubic", "bilinear") or resize not in ("shortest", "squash"):
            raise SightwordError(
                f"{FILE}: preprocess_cfg resizes by {interpolation}, {resize}; wanted bicubic or bilinear,"
                " and shortest or squash"
            )
        return replace(
            image,
            mean=mean or image.mean,
            std=std or image.std,
            interpolation=cast('Literal["bilinear", "bicubic"]', interpolation),
            resize=cast('Literal["shortest", "squash"]', resize),
        )


def told(file: Read) -> Told:
    """What `open_clip_config.json`, or the settings of an open_clip run, say of its weights.

    Raises:
        SightwordError: when nothing says which activation they learned with, or they are of a model that the
            towers cannot be.
    """
    config = file.config if is_config(file.config) else json_beside(file.beside, FILE)
    model = _mapping(config.get("model_cfg", config), "model_cfg")
    vision, text = (_mapping(model.get(part, {}), part) for part in _UNDERSTOOD)
    params = _mapping(file.about.get("params", {}), "params")
    _demand_understood(vision, text, model)
    if vision or "quick_gelu" in model:
        quick, notes = bool(model.get("quick_gelu", False)), list[str]()
    elif params.get("model"):
        quick, notes = _of_run(params)
    else:
        raise _unknown_activation(file)
    preparation = _mapping(config.get("preprocess_cfg", {}), "preprocess_cfg") or _prepared_by(params)
    if not vision:
        notes.append(f"no {FILE} with a vision_cfg: heads taken to be as wide as in open_clip's own models")
    if not preparation:
        notes.append("nothing says how pictures were prepared: taken for CLIP's mean, deviation and bicubic")
    return Told(quick, vision, text, preparation, tuple(notes))


def is_config(found: Mapping[str, Any]) -> bool:
    """Whether a json is open_clip's, or one of its model configurations alone."""
    return "model_cfg" in found or "vision_cfg" in found


def demand(said: Mapping[str, Any], found: Mapping[str, Any], part: str) -> None:
    """Make sure that the numbers of a configuration are those of the weights.

    Raises:
        SightwordError: when one is not, naming it.
    """
    for name, value in found.items():
        told = said.get(name)
        told = told[0] if name == "image_size" and isinstance(told, list) and len(set(told)) == 1 else told
        if told is not None and told != value:
            raise SightwordError(
                f"{FILE} says that {part}.{name} is {told}, but the weights have {value};"
                " give the configuration that belongs to them"
            )


def _demand_understood(vision: Mapping[str, Any], text: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    for part, said in (("vision_cfg", vision), ("text_cfg", text)):
        strange = [k for k, v in said.items() if k not in _UNDERSTOOD[part] and v and v not in _HARMLESS]
        if strange:
            raise SightwordError(
                f"{FILE}: {part}.{strange[0]} is {said[strange[0]]!r}, which the towers here do not have"
            )
    if model.get("multimodal_cfg"):
        raise SightwordError(f"{FILE} is of CoCa (multimodal_cfg), whose caption writer is not known here")


def _of_run(params: Mapping[str, Any]) -> tuple[bool, list[str]]:
    name = str(params["model"])
    quick = name.endswith("-quickgelu") or params.get("force_quick_gelu") == "True"
    return quick, [f"params.txt names {name}: activations are {'QuickGELU' if quick else 'GELU'}"]


def _prepared_by(params: Mapping[str, Any]) -> dict[str, Any]:
    """The preparation in open_clip's settings of a run, where it is set there."""
    names = {"mean": "image_mean", "std": "image_std"}
    names |= {"interpolation": "image_interpolation", "resize_mode": "image_resize_mode"}
    said = {ours: str(params.get(theirs, "None")) for ours, theirs in names.items()}
    return {k: json.loads(v) if v.startswith("[") else v for k, v in said.items() if v != "None"}


def _unknown_activation(file: Read) -> SightwordError:
    return SightwordError(
        f"nothing says whether the weights in '{file.where}' learned with GELU or QuickGELU, and tensors do"
        f' not tell: write {{"model_cfg": {{"quick_gelu": false}}}} into {FILE} beside them (true for'
        " OpenAI's weights and for models whose name ends in -quickgelu), or put their own there"
    )


def _three(value: object) -> tuple[float, float, float] | None:
    if value is None:
        return None
    if isinstance(value, int | float):
        return (float(value),) * 3
    if isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(v, int | float) for v in value):
        return float(value[0]), float(value[1]), float(value[2])
    raise SightwordError(f"{FILE}: mean and std of preprocess_cfg must be three numbers, found {value!r}")


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise SightwordError(f"{FILE}: {name} must be an object, found {value!r}")
