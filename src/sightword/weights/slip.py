"""SLIP's released checkpoints (arXiv 2112.12750; facebookresearch/SLIP, models.py and main.py)."""

from __future__ import annotations

from collections.abc import Mapping

from sightword.config import ImageTowerConfig, ModelConfig
from sightword.errors import SightwordError
from sightword.weights import clip_names, timm_names
from sightword.weights.clip_shapes import HEAD, clip_tokenizer, count, side_of, sized, text_of
from sightword.weights.foreign import Foreign
from sightword.weights.reading import Read
from sightword.weights.renaming import Table, turned

_WIDTHS = {"VITS16": 384, "VITB16": 768, "VITL16": 1024}
_HEADS = {384: 12, 768: 12, 1024: 16}  # of each width in models.py; timm's own ViT-S has 6


def recognises(file: Read) -> bool:
    """A timm ViT under `visual.`, beside SLIP's own names for projections or SimCLR's head."""
    own = ("image_projection", "image_mlp.layer1.weight")
    return "visual.cls_token" in file.tensors and any(name in file.tensors for name in own)


def read(file: Read) -> Foreign:
    """The weights by our names; SimCLR's head is left out, and said so.

    How many heads a ViT has cannot be seen in its tensors: SLIP's ViT-S has 12, as MoCo v3's, which its
    checkpoint names (`args.model`). One without `args` is taken for the model of SLIP's that is as wide.

    Raises:
        SightwordError: when tensors are missing, or are not those of the model that `args` names.
    """
    width = sized(file, "visual.cls_token", 3)[2]
    notes = list(file.notes) + _notes_on_architecture(file, width)
    image = _image(file, width, _HEADS[width])
    if any(name.startswith("image_mlp.") for name in file.tensors):
        notes.append("image_mlp, SimCLR's head, was left out: it is no part of the features")
    if "image_projection" not in file.tensors:
        model = ModelConfig("slip", image)
        tensors = table(model, text=False).inward(file.tensors, file.where)
        return Foreign("SLIP", file.where, model, tensors, notes=tuple(notes))
    model = ModelConfig(
        "slip", image, text_of(file, HEAD, "quick_gelu"), sized(file, "image_projection", 2)[1]
    )
    tokenizer = clip_tokenizer(file, model.text.context, "token_embedding.weight")
    tensors = table(model).inward(file.tensors, file.where)
    return Foreign("SLIP", file.where, model, tensors, tokenizer, tuple(notes))


def table(model: ModelConfig, text: bool = True) -> Table:
    """SLIP's names beside ours; without `text` those of its SimCLR models."""
    pairs = timm_names.vit(model.image, "visual.")
    if text:
        pairs += [*clip_names.text(model), turned("joint.image.weight", "image_projection")]
        pairs += clip_names.scale()
    return Table(pairs, passed=lambda name: name.startswith("image_mlp."))


def _image(file: Read, width: int, heads: int) -> ImageTowerConfig:
    """timm's ViT of that time, pictures normalised and resized as in SLIP's eval_zeroshot.py."""
    patch = sized(file, "visual.patch_embed.proj.weight", 4)[2]
    rows = sized(file, "visual.pos_embed", 3)[1]
    return ImageTowerConfig(
        size=patch * side_of(file, rows - 1, "visual.pos_embed"),
        width=width,
        layers=(count(file.tensors, "visual.blocks."),),
        heads=heads,
        patch_size=patch,
    )


def _notes_on_architecture(file: Read, width: int) -> list[str]:
    """What had to be assumed.

    Raises:
        SightwordError: when the checkpoint names a model of another width, or there is none so wide.
    """
    args = file.about.get("args")
    name = args.get("model") if isinstance(args, Mapping) else None
    if width not in _HEADS:
        raise SightwordError(
            f"'{file.where}' has a ViT of width {width}; SLIP's are {', '.join(map(str, _HEADS))} wide, and"
            " how many heads this one has cannot be read from it"
        )
    if name is None:
        return [
            f"the checkpoint does not name its model (args.model); taken for SLIP's ViT of width {width},"
            f" which has {_HEADS[width]} heads"
        ]
    kind, _, size = str(name).partition("_")
    texts = "image_projection" in file.tensors
    if _WIDTHS.get(size) != width or texts == (kind == "SIMCLR"):
        raise SightwordError(
            f"'{file.where}' says that it is {name} (args.model), but it holds a ViT of width {width}"
            f" {'with' if texts else 'without'} a text tower, and SLIP's are"
            f" {', '.join(f'{k} {v}' for k, v in _WIDTHS.items())}; check where the file is from"
        )
    return []
