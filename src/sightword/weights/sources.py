"""Weights from elsewhere, whole: read, recognised, and seen to be of the model that they say they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from sightword.config import ImageTowerConfig, ModelConfig
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import Tokenizer
from sightword.towers.build import build_image, build_text
from sightword.towers.joint_space import JointSpace
from sightword.towers.positions import resized
from sightword.weights.families import recognised
from sightword.weights.folders import laid_out
from sightword.weights.foreign import Foreign
from sightword.weights.reading import Read, read
from sightword.words import Contrast

IMAGE, TEXT, JOINT = "towers.image.", "towers.text.", "joint."
BIAS = "joint.logit_bias"  # of SigLIP alone
_GRID = "towers.image.positions.weight"  # of a ViT that learned them; the class token's are apart
_POOL = "towers.image.attnpool.positional_embedding"  # of OpenAI's ResNets: the mean's first, then the grid


def open_weights(path: str | Path, like: ImageTowerConfig | None = None) -> Foreign:
    """Weights from elsewhere, by our names, with the model that they are of.

    Args:
        path: a file of safetensors or torch, or a folder of Hugging Face, open_clip or a run.
        like: an image tower that the user names, for what neither tensors nor json tell (timm's heads).

    Raises:
        SightwordError: when they cannot be read, are of no known family, or not of the model that they say.
    """
    found = replace(read(path), like=like)
    foreign = _recognised(found)
    notes = (*(note for note in found.notes if note not in foreign.notes), *foreign.notes)
    _demand_whole(foreign)
    return replace(foreign, notes=notes)


def files_of(path: str | Path) -> tuple[Path, ...]:
    """The files that hold the tensors: one, or shards.

    Raises:
        SightwordError: when there are none.
    """
    return laid_out(Path(path).expanduser()).files


def at_size(foreign: Foreign, size: int) -> Foreign:
    """The same weights for pictures of `size` pixels; a class token's or the mean's position stays as it is.

    Raises:
        SightwordError: when the tower's patches do not divide the size.
    """
    old = foreign.model.image
    if size == old.size:
        return foreign
    image = replace(old, size=size)
    with torch.device("meta"):
        build_image(image)  # says so when the size does not fit
    grid, wanted = (2 * (side // old.patch_size,) for side in (old.size, size))
    tensors, notes = dict(foreign.tensors), list(foreign.notes)
    for name, apart in ((_GRID, 0), (_POOL, 1)):
        if name in tensors:
            first, rest = tensors[name][:apart], tensors[name][apart:]
            tensors[name] = torch.cat([first, resized(rest, grid, wanted)])
            notes.append(
                f"positions of {grid[0]}x{grid[1]} patches are resized to {wanted[0]}x{wanted[1]}:"
                f" pictures have {size} pixels here, and had {old.size}"
            )
    return replace(foreign, model=replace(foreign.model, image=image), tensors=tensors, notes=tuple(notes))


def _recognised(found: Read) -> Foreign:
    """What a family makes of it. What it did not foresee in a stranger's json is an error of the json."""
    try:
        return recognised(found)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        said = f"{type(error).__name__}: {str(error).strip()}".split("\n")[0][:200]
        raise SightwordError(
            f"the weights in '{found.where}' and what describes them do not go together ({said}); fetch both"
            " again from one place"
        ) from error


def _demand_whole(foreign: Foreign) -> None:
    """See that every tensor of the model is there, of its shape, before any memory is taken for one."""
    _demand_possible(foreign)
    try:
        with torch.device("meta"):
            wanted = _shapes(foreign.model, foreign.tokenizer, BIAS in foreign.tensors)
    except (RuntimeError, OverflowError, TypeError, MemoryError) as error:
        said = str(error).split("\n")[0][:200]
        raise SightwordError(f"'{foreign.where}' is of a model that cannot be ({said})") from error
    found = {name: tuple(tensor.shape) for name, tensor in foreign.tensors.items()}
    faults = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    faults += [f"{name} is unknown" for name in sorted(found.keys() - wanted.keys())]
    both = sorted(wanted.keys() & found.keys())
    faults += [f"{n} is {found[n]}, wanted {wanted[n]}" for n in both if found[n] != wanted[n]]
    if faults:
        more = f" and {len(faults) - 1} more" if faults[1:] else ""
        raise SightwordError(
            f"the weights in '{foreign.where}' ({foreign.family}) are not of the model that lies beside them:"
            f" {faults[0]}{more}; fetch both again from one place"
        )


def _demand_possible(foreign: Foreign) -> None:
    """No model has more layers than tensors, or is wider than the largest of them."""
    image, text = foreign.model.image, foreign.model.text
    most = max((max(t.shape, default=1) for t in foreign.tensors.values()), default=1)
    layers = sum(image.layers) + (text.layers if foreign.has_text else 0)
    largest = max(
        image.width, *((text.width, text.context, foreign.model.embed) if foreign.has_text else ()), 1
    )
    if layers > len(foreign.tensors) or largest > most:
        raise SightwordError(
            f"'{foreign.where}' says that it has {layers:,} layers and is up to {largest:,} wide, but its"
            f" {len(foreign.tensors):,} tensors have at most {most:,} rows; fetch it again"
        )


def _shapes(model: ModelConfig, tokenizer: Tokenizer | None, biased: bool) -> Mapping[str, tuple[int, ...]]:
    image = build_image(model.image)
    parts: dict[str, nn.Module] = {IMAGE: image}
    if tokenizer is not None:
        text = build_text(model.text, vocab=tokenizer.vocab, pad=tokenizer.pad, eot=tokenizer.eot)
        widths = image.facts.width, text.facts.width, model.embed
        if not model.project_image and widths[0] != model.embed:
            raise RuntimeError(f"features {widths[0]} wide in a joint space {model.embed} wide")
        bias = Contrast(bias=0.0 if biased else None)
        parts[TEXT] = text
        parts[JOINT] = JointSpace(*widths, bias, model.project_image, model.project_text_bias)
    named: dict[str, Tensor] = {p + n: t for p, part in parts.items() for n, t in part.state_dict().items()}
    return {name: tuple(tensor.shape) for name, tensor in named.items()}
