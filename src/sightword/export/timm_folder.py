"""timm: the image tower as a folder that its `local-dir:` takes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from safetensors.torch import save_file

from sightword.export import beside
from sightword.export.own_names import IMAGE, tensors_of
from sightword.export.prepared import through
from sightword.export.reading_back import read_back
from sightword.export.target import Loaded, Target, library, version_of
from sightword.training.model import Model
from sightword.weights import timm_resnet, timm_vit

_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


class Timm(Target):
    """`config.json` and `model.safetensors` of the image tower: a ViT or a standard ResNet, no classes."""

    name = "timm"
    library = "timm"
    packages = ("timm",)

    def refuses(self, model: Model) -> str:
        return _room(model).why_not(model.config.model) or ""

    def alone(self, model: Model) -> bool:
        return True

    def told(self, model: Model) -> str:
        return "the image tower alone; timm has no captions" if model.has_text else ""

    def write(self, model: Model, folder: Path) -> None:
        room, kind = _room(model), model.config.model
        beside.write_json(folder / _CONFIG, room.config_of(kind))
        save_file(room.table(kind).outward(tensors_of(model, IMAGE)), folder / _WEIGHTS, {"format": "pt"})

    def loaded(self, model: Model, folder: Path) -> Loaded:
        timm = library("timm")
        net = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(net))
        by = f"timm {version_of('timm')}"
        return Loaded(by, lambda pictures: net(through(pictures, prepare)), pooled=True)

    def reread(self, model: Model, folder: Path) -> Loaded:
        return read_back(folder)

    def use(self, place: Path) -> str:
        return (
            "import timm\n\n"
            f'model = timm.create_model("local-dir:{place.name}", pretrained=True)\n'
            "transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))"
        )

    def describe(self, model: Model) -> str:
        return "`model(pixels)` is the tower's own feature; with `num_classes=N` it gets a fresh classifier."


def _room(model: Model) -> ModuleType:
    return timm_resnet if model.config.model.image.kind == "standard-resnet" else timm_vit
