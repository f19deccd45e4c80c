"""Models of other libraries by name: `timm:NETWORK`, and `hf:FOLDER` for pictures or for captions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sightword.config import Config, ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.pairs.words.borrowed_tokenizer import BorrowedTokenizer
from sightword.towers import borrowed_hf, borrowed_timm

TIMM, HF = "timm:", "hf:"
_SIZE, _CONTEXT = 224, 77  # where the library says none
_BILINEAR = 2  # Pillow's number in preprocessor_config.json; 3 is bicubic


def image_model(name: str) -> ModelConfig:
    """A model with a borrowed image tower, and CLIP's text tower beside it.

    Args:
        name: `timm:convnext_tiny`, or `hf:FOLDER` with a config.json; the name of a hub is fetched by
            transformers itself.

    Raises:
        SightwordError: the library cannot be imported, or knows nothing of that name.
    """
    image = _timm(name.removeprefix(TIMM)) if name.startswith(TIMM) else _hf(name.removeprefix(HF))
    return ModelConfig(name, image)


def with_text(config: Config, name: str) -> Config:
    """A run whose captions are read by a text tower of transformers, and by its own tokenizer.

    Raises:
        SightwordError: as `image_model`, or when no tokenizer.json lies there.
    """
    if not name.startswith(HF):
        raise SightwordError(f"--text-model is '{name}'; wanted hf:FOLDER, a text encoder of transformers")
    place = name.removeprefix(HF)
    told = _part(_json(place, "config.json", "--text-model"), "text_config")
    most = int(told.get("max_position_embeddings") or _CONTEXT)
    text = TextTowerConfig(
        kind="hf", name=place, settings=_kept(told), width=int(told.get("hidden_size", 1)), layers=1, heads=1,
        context=min(_CONTEXT, most), attention="bidirectional", pool="mean",
    )  # fmt: skip
    file = borrowed_hf.file_of(place, "tokenizer.json", "--text-model")
    tokenizer = BorrowedTokenizer.from_file(file, text.context)
    data = replace(config.data, tokenizer="text-model", vocab=tokenizer.vocab)
    return replace(config, model=replace(config.model, text=text), data=data)


def _timm(name: str) -> ImageTowerConfig:
    known = borrowed_timm.default(name)
    size = int(known.input_size[-1])
    width, count = borrowed_timm.shapes(name, size)
    bilinear = "bilinear" in known.interpolation
    return ImageTowerConfig(
        kind="timm", name=name, size=size, width=width, layers=(1,), heads=1,
        patch_size=round(size / math.sqrt(count)), pool="gap", mean=tuple(known.mean), std=tuple(known.std),
        interpolation="bilinear" if bilinear else "bicubic",
        resize="squash" if known.crop_mode == "squash" else "shortest",
    )  # fmt: skip


def _hf(place: str) -> ImageTowerConfig:
    told = _part(_json(place, "config.json", "--model"), "vision_config")
    ready = _json(place, "preprocessor_config.json", "--model", needed=False)
    size = _side(ready.get("crop_size") or ready.get("size") or told.get("image_size"))
    settings = _kept(told)
    width, count = borrowed_hf.shapes(settings, size)
    plain = ImageTowerConfig()
    return ImageTowerConfig(
        kind="hf", name=place, settings=settings, size=size, width=width, layers=(1,), heads=1,
        patch_size=round(size / math.sqrt(count)), pool="gap",
        mean=tuple(ready.get("image_mean") or plain.mean), std=tuple(ready.get("image_std") or plain.std),
        interpolation="bilinear" if ready.get("resample", _BILINEAR) == _BILINEAR else "bicubic",
        resize="shortest" if "crop_size" in ready or "shortest_edge" in str(ready.get("size")) else "squash",
    )  # fmt: skip


def _side(told: Any) -> int:
    """Pixels, of whatever a preprocessor calls a size."""
    if isinstance(told, Mapping):
        told = told.get("height") or told.get("shortest_edge")
    return int(told[0] if isinstance(told, list) else told or _SIZE)


def _part(told: dict[str, Any], name: str) -> dict[str, Any]:
    """Of a model with two towers the one that is wanted."""
    inner = told.get(name)
    return dict(inner) if isinstance(inner, Mapping) and "model_type" in inner else told


def _kept(told: Mapping[str, Any]) -> str:
    """What decides the architecture; where it came from and which library wrote it do not."""
    passed = ("_name_or_path", "transformers_version", "auto_map", "torch_dtype", "dtype", "architectures")
    return json.dumps({key: value for key, value in told.items() if key not in passed}, sort_keys=True)


def _json(place: str, name: str, flag: str, needed: bool = True) -> dict[str, Any]:
    try:
        found = json.loads(borrowed_hf.file_of(place, name, flag).read_text(encoding="utf-8"))
    except SightwordError:
        if needed:
            raise
        return {}
    except ValueError as error:
        raise SightwordError(f"{name} of '{place}' is not JSON ({error}); fetch it again") from error
    if not isinstance(found, dict) or (needed and "model_type" not in found):
        raise SightwordError(f"{name} of '{place}' names no model_type, so it is no model of transformers")
    return found
