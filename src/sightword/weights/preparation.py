"""How pictures were prepared for weights from elsewhere, as the json beside them tells it, in our fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sightword.config import ImageTowerConfig
from sightword.errors import SightwordError

IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
HALVES: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}  # from -1 to 1, as Google's models

_RESAMPLE = {2: "bilinear", 3: "bicubic"}  # PIL's numbers
_BYTES = 255
_LARGEST = 1e-4  # of a difference between scales that both mean 1 / 255


def of_hugging_face(said: Mapping[str, Any], size: int, where: str) -> tuple[dict[str, Any], list[str]]:
    """From a `preprocessor_config.json`: fields of `ImageTowerConfig`, and what must be told.

    Args:
        said: its contents; {} where there is none.
        size: pixels that the tower takes.
        where: for errors.

    Raises:
        SightwordError: when pictures are prepared in a way that evaluation here does not have.
    """
    if not said:
        return {}, []
    scale = said.get("rescale_factor", 1 / _BYTES) if said.get("do_rescale", True) else 1.0
    if abs(scale * _BYTES - 1) > _LARGEST:
        raise _refused(where, f"bytes are multiplied by {scale}", "1/255")
    found: dict[str, Any] = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    if said.get("do_normalize", True):
        found = _normalised(said.get("image_mean"), said.get("image_std"), where)
    if not said.get("do_resize", True):
        return found, [f"{where} resizes nothing: pictures are resized to {size} pixels here"]
    found |= _interpolation(_RESAMPLE.get(said.get("resample", 0)), said.get("resample"), where)
    found["resize"] = "shortest" if said.get("do_center_crop") or _shortest(said.get("size")) else "squash"
    wanted = _shortest(said.get("size"))
    more = wanted is not None and wanted != size
    return found, [_enlarged(wanted, size)] if more else []


def of_timm(said: Mapping[str, Any], size: int, where: str) -> tuple[dict[str, Any], list[str]]:
    """The same from the `pretrained_cfg` in timm's `config.json`; see `of_hugging_face`."""
    if not said:
        return {}, []
    found = _normalised(said.get("mean"), said.get("std"), where)
    if "interpolation" in said:
        found |= _interpolation(said["interpolation"], said["interpolation"], where)
    mode, share = said.get("crop_mode") or "center", said.get("crop_pct") or 1.0
    if mode not in ("center", "squash"):
        raise _refused(where, f"crop_mode is {mode!r}", "center or squash")
    found["resize"] = "squash" if mode == "squash" else "shortest"
    more = round(size / share)
    return found, [_enlarged(more, size)] if more != size else []


def timm_of(image: ImageTowerConfig) -> dict[str, Any]:
    """The `pretrained_cfg` of a tower in timm's `config.json`."""
    return {
        "input_size": [3, image.size, image.size],
        "interpolation": image.interpolation,
        "crop_pct": 1.0,
        "crop_mode": "squash" if image.resize == "squash" else "center",
        "mean": list(image.mean),
        "std": list(image.std),
    }


def _normalised(mean: object, std: object, where: str) -> dict[str, Any]:
    found = {"mean": _three(mean, where), "std": _three(std, where)}
    if max(found["mean"]) > 1 or min(found["std"]) <= 0 or max(found["std"]) > 1:
        raise SightwordError(
            f"{where} normalises by mean {list(found['mean'])} and deviation {list(found['std'])}; wanted RGB"
            " from 0 to 1: weights for bytes from 0 to 255 (often in BGR) must be converted first"
        )
    return found


def _three(value: object, where: str) -> tuple[float, float, float]:
    if isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(v, int | float) for v in value):
        return float(value[0]), float(value[1]), float(value[2])
    raise SightwordError(f"{where} must give mean and deviation as three numbers each, found {value!r}")


def _interpolation(name: object, found: object, where: str) -> dict[str, Any]:
    if name not in _RESAMPLE.values():
        raise _refused(where, f"pictures are resized by {found!r}", "bilinear or bicubic")
    return {"interpolation": name}


def _shortest(size: object) -> int | None:
    if isinstance(size, Mapping) and isinstance(size.get("shortest_edge"), int):
        return int(size["shortest_edge"])
    return None


def _enlarged(side: int | None, size: int) -> str:
    return (
        f"its pictures were resized to {side} pixels and the middle {size} cut out; here they are resized to"
        f" {size}"
    )


def _refused(where: str, found: str, wanted: str) -> SightwordError:
    return SightwordError(f"{where}: {found}, which is not known here; wanted {wanted}")
