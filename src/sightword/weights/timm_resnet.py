"""The standard ResNets of torchvision and timm: their state dicts name layers alike."""

from __future__ import annotations

from typing import Any

import torch

from sightword.config import ImageTowerConfig, ModelConfig
from sightword.errors import SightwordError
from sightword.towers.build import build_image
from sightword.weights.clip_shapes import count, sized
from sightword.weights.foreign import Foreign
from sightword.weights.preparation import of_timm, timm_of
from sightword.weights.reading import Read
from sightword.weights.renaming import Table, same
from sightword.weights.timm_shapes import is_head, notes_on_heads, with_counters
from sightword.weights.timm_told import FILE, POOLS

NAMES = {  # blocks of each stage, and whether they are bottlenecks (arXiv 1512.03385, table 1)
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
    "resnet152": ((3, 8, 36, 3), True),
}
_WIDTH, _SIZE = 64, 224
_STRANGE = {"conv1.0.": "a stem of several convolutions", ".se.": "squeeze and excitation"}
_STRANGE |= {".conv2_w.": "split attention", ".downsample.2.": "an averaging shortcut"}


def recognises(file: Read) -> bool:
    """A stem and four stages by torchvision's names."""
    stems = ("conv1.weight", "conv1.0.weight")
    return any(name in file.tensors for name in stems) and "layer4.0.conv1.weight" in file.tensors


def read(file: Read) -> Foreign:
    """The encoder by our names, pooled by the mean of its map; a classifier is left out, and said so.

    Raises:
        SightwordError: when it is a ResNet of another kind, or config.json contradicts the weights.
    """
    _demand_plain(file)
    file = with_counters(file)
    layers = tuple(count(file.tensors, f"layer{stage}.") for stage in (1, 2, 3, 4))
    bottleneck = "layer1.0.conv3.weight" in file.tensors
    width, _, kernel, _ = sized(file, "conv1.weight", 4)
    if kernel != 7 or sized(file, "layer1.0.conv2.weight", 4)[:2] != (width, width):
        raise SightwordError(
            f"the ResNet in '{file.where}' has a stem of {kernel} x {kernel} and second convolutions of"
            f" {sized(file, 'layer1.0.conv2.weight', 4)[:2]}; wanted 7 x 7 and {(width, width)}: wide and"
            " grouped ones (ResNeXt) cannot be read here"
        )
    settings, notes = _told(file, layers, bottleneck)
    image = ImageTowerConfig(
        kind="standard-resnet",
        width=width,
        layers=layers,
        patch_size=32,
        bottleneck=bottleneck,
        **{"pool": "gap", "size": _SIZE, **settings},
    )
    tensors = table(ModelConfig(image=image)).inward(file.tensors, file.where)
    notes = [*notes, *notes_on_heads(file.tensors)]
    return Foreign("timm", file.where, ModelConfig("resnet", image), tensors, notes=tuple(notes))


def table(model: ModelConfig) -> Table:
    """The same names on both sides."""
    with torch.device("meta"):
        names = list(build_image(model.image).state_dict())
    counters = lambda name: is_head(name) or name.endswith("num_batches_tracked")  # noqa: E731
    return Table([same(f"towers.image.{name}", name) for name in names], passed=counters)


def why_not(model: ModelConfig) -> str | None:
    """Why timm and torchvision have no name for this image tower; None when they have."""
    image = model.image
    if image.kind != "standard-resnet" or image.norm != "batch" or _name(image) is None:
        return f"timm has no ResNet like this tower ({image.kind}, {image.layers}); it has {', '.join(NAMES)}"
    return None


def config_of(model: ModelConfig) -> dict[str, Any]:
    """timm's `config.json`, by which `timm.create_model("local-dir:FOLDER")` builds the tower."""
    image = model.image
    pool = next(theirs for theirs, ours in POOLS.items() if ours == image.pool)
    return {
        "architecture": _name(image),
        "num_classes": 0,
        "global_pool": pool,
        "model_args": {"global_pool": pool},
        "pretrained_cfg": timm_of(image) | {"num_classes": 0},
    }


def _name(image: ImageTowerConfig) -> str | None:
    shape = image.layers, image.bottleneck
    return next((n for n, known in NAMES.items() if known == shape and image.width == _WIDTH), None)


def _demand_plain(file: Read) -> None:
    for name in sorted(file.tensors):
        strange = next((said for part, said in _STRANGE.items() if part in name), None)
        if strange:
            raise SightwordError(
                f"the ResNet in '{file.where}' has {strange} ({name}); only ResNet-18 to -152 as"
                " torchvision's can be read here"
            )
    if "bn1.running_mean" not in file.tensors:
        raise SightwordError(
            f"the ResNet in '{file.where}' has no running statistics (bn1.running_mean): its norm is not a"
            " batch norm, and only those can be read here"
        )


def _told(file: Read, layers: tuple[int, ...], bottleneck: bool) -> tuple[dict[str, Any], list[str]]:
    """Preparation of pictures and pool, from timm's config.json; without one as torchvision's."""
    if "architecture" not in file.config:
        return {}, [
            f"no {FILE} of timm beside the weights: ImageNet's mean and deviation, bilinear, {_SIZE} pixels,"
            " the map's mean and plain strides are assumed, as torchvision's"
        ]
    name, said = file.config["architecture"], file.config.get("pretrained_cfg") or {}
    if NAMES.get(name) != (layers, bottleneck):
        raise SightwordError(
            f"{FILE} says that '{file.where}' is timm's {name!r}, but its weights have {layers} blocks"
            f" {'with' if bottleneck else 'without'} bottlenecks; known are {', '.join(NAMES)}"
        )
    pool = file.config.get("global_pool") or "avg"
    if POOLS.get(pool) not in ("gap", "max"):
        raise SightwordError(f"{FILE}: global_pool is {pool!r}; wanted avg or max")
    size = int((said.get("input_size") or (3, _SIZE, _SIZE))[-1])
    found, notes = of_timm(said, size, f"{FILE}, pretrained_cfg")
    return {**found, "size": size, "pool": POOLS[pool]}, notes
