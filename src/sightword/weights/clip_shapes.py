"""What the shapes of CLIP's tensors tell of its towers, as OpenAI's own `build_model` reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from sightword.config import Activation, ImageTowerConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.weights.reading import Read

MEAN = (0.48145466, 0.4578275, 0.40821073)  # of OpenAI's pictures (openai/CLIP, clip.py), as open_clip's
STD = (0.26862954, 0.26130258, 0.27577711)
HEAD = 64  # numbers of a head, whatever the width (openai/CLIP, model.py, build_model)


def image_of(file: Read, head: int, activation: Activation, eps: float = 1e-5) -> ImageTowerConfig:
    """CLIP's image tower, of either kind, with CLIP's preparation of pictures.

    Args:
        file: tensors by OpenAI's names.
        head: numbers of a head; tensors do not tell.
        activation, eps: of a ViT; tensors do not tell those either.

    Raises:
        SightwordError: when a tensor is missing, or of a shape that cannot be.
    """
    if "visual.layer1.0.conv1.weight" in file.tensors:
        return _resnet(file, head)
    width, _, patch, _ = sized(file, "visual.conv1.weight", 4)
    rows, _ = sized(file, "visual.positional_embedding", 2)
    depth = count(file.tensors, "visual.transformer.resblocks.")
    return ImageTowerConfig(
        size=patch * side_of(file, rows - 1, "visual.positional_embedding"),
        width=width,
        layers=(depth,),
        heads=heads_of(file, width, head, "image"),
        patch_size=patch,
        stem_bias=False,
        pre_norm="visual.ln_pre.weight" in file.tensors,
        activation=activation,
        eps=eps,
        mlp_ratio=_ratio(file, "visual.transformer.resblocks.0.mlp.c_fc.weight", width) if depth else 4.0,
        interpolation="bicubic",
        mean=MEAN,
        std=STD,
    )


def _resnet(file: Read, head: int) -> ImageTowerConfig:
    width = sized(file, "visual.layer1.0.conv1.weight", 4)[0]
    rows, _ = sized(file, "visual.attnpool.positional_embedding", 2)
    return ImageTowerConfig(
        kind="modified-resnet",
        size=32 * side_of(file, rows - 1, "visual.attnpool.positional_embedding"),
        width=width,
        layers=tuple(count(file.tensors, f"visual.layer{stage}.") for stage in (1, 2, 3, 4)),
        heads=heads_of(file, 32 * width, head, "image"),
        patch_size=32,
        pool="attention",
        interpolation="bicubic",
        mean=MEAN,
        std=STD,
    )


def text_of(file: Read, head: int, activation: Activation, prefix: str = "") -> TextTowerConfig:
    """CLIP's text tower; see `image_of`. `prefix` stands in front of its tensors' names."""
    context, width = sized(file, f"{prefix}positional_embedding", 2)
    stem = f"{prefix}transformer.resblocks."
    depth = count(file.tensors, stem)
    return TextTowerConfig(
        width=width,
        layers=depth,
        heads=heads_of(file, width, head, "text"),
        context=context,
        activation=activation,
        mlp_ratio=_ratio(file, f"{stem}0.mlp.c_fc.weight", width) if depth else 4.0,
    )


def clip_tokenizer(file: Read, context: int, name: str) -> ClipTokenizer:
    """CLIP's vocabulary, if the embedding called `name` has a row for each of its ids.

    Raises:
        SightwordError: when it has more or fewer.
    """
    found = sized(file, name, 2)[0]
    tokenizer = ClipTokenizer(context)
    if found != tokenizer.vocab:
        raise SightwordError(
            f"'{file.where}' knows {found} words ({name}), and CLIP's vocabulary has {tokenizer.vocab}:"
            " its tokenizer is another one, which is not known here"
        )
    return tokenizer


def sized(file: Read, name: str, dimensions: int) -> tuple[int, ...]:
    """The shape of a tensor.

    Raises:
        SightwordError: when it is missing, empty, or has another number of dimensions.
    """
    tensor = file.tensors.get(name)
    if tensor is None or tensor.dim() != dimensions or 0 in tensor.shape:
        found = "is missing" if tensor is None else f"is of shape {tuple(tensor.shape)}"
        raise SightwordError(
            f"{name} in '{file.where}' {found}; wanted {dimensions} dimensions: the file is damaged, or of a"
            " model that is not known here (docs/interop.md lists what can be read)"
        )
    return tuple(tensor.shape)


def count(names: Iterable[str], stem: str) -> int:
    """How many blocks there are whose names begin with `stem` and a number."""
    return len({name.removeprefix(stem).partition(".")[0] for name in names if name.startswith(stem)})


def side_of(file: Read, patches: int, name: str) -> int:
    """The side of a square grid of so many patches.

    Raises:
        SightwordError: when they make no square.
    """
    side = math.isqrt(max(0, patches))
    if side * side != patches or not side:
        raise SightwordError(
            f"{name} in '{file.where}' is for {patches} patches, which make no square; only square pictures"
            " can be read here"
        )
    return side


def heads_of(file: Read, width: int, head: int, tower: str) -> int:
    """How many heads of `head` numbers there are.

    Raises:
        SightwordError: when they do not fill the width.
    """
    if head < 1 or width % head:
        raise SightwordError(
            f"the {tower} tower in '{file.where}' is {width} wide, which heads of {head} do not fill"
        )
    return width // head


def _ratio(file: Read, name: str, width: int) -> float:
    return sized(file, name, 2)[0] / width
