"""Weights of borrowed towers: by the names of their own library, with which they go into them as they are."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sightword.config import ModelConfig
from sightword.errors import SightwordError
from sightword.towers.build import build_image, build_text
from sightword.weights.foreign import Foreign
from sightword.weights.reading import read

_TRUNK = "trunk."
_COUNTER = "num_batches_tracked"  # of batch norms; some files leave it out


def is_borrowed(model: ModelConfig) -> bool:
    """Whether a tower of a model comes from another library."""
    return model.image.kind in ("timm", "hf") or model.text.kind == "hf"


def open_borrowed(path: str, model: ModelConfig, vocab: int) -> Foreign:
    """Weights for the borrowed towers of a model.

    Args:
        path: a file or folder as `open_weights` takes them, of one tower; with `::` between them of both.
        model: the run's.
        vocab: ids of the tokenizer.

    Raises:
        SightwordError: when one cannot be read, or is of neither tower.
    """
    wanted = _wanted(model, vocab)
    tensors, notes = dict[str, Tensor](), list[str]()
    for part in (part for part in path.split("::") if part):
        found = read(part)
        prefix, its, said = _fitting(part, found.tensors, wanted)
        tensors |= {prefix + _TRUNK + name: tensor for name, tensor in its.items()}
        notes += [*found.notes, *said]
    return Foreign("timm or Hugging Face, by its own names", path, model, tensors, notes=tuple(notes))


def _wanted(model: ModelConfig, vocab: int) -> dict[str, dict[str, Tensor]]:
    """The tensors of each borrowed tower by its library's names, without contents."""
    wanted = {}
    with torch.device("meta"):
        if model.image.kind in ("timm", "hf"):
            wanted["towers.image."] = build_image(model.image).state_dict()
        if model.text.kind == "hf":
            wanted["towers.text."] = build_text(model.text, vocab, pad=0, eot=0).state_dict()
    return {
        tower: {name.removeprefix(_TRUNK): tensor for name, tensor in tensors.items()}
        for tower, tensors in wanted.items()
    }


def _fitting(
    where: str, found: Mapping[str, Tensor], wanted: Mapping[str, Mapping[str, Tensor]]
) -> tuple[str, dict[str, Tensor], list[str]]:
    """Whose tower the tensors are: its prefix, its tensors, and what must be told."""
    faults = {}
    for tower, own in wanted.items():
        front = _front(found, own)
        faults[tower] = _faults(found, own, front)
        if not faults[tower]:
            its = {name: found[front + name] for name in own if front + name in found}
            left = len(found) - len(its)
            said = [f"{left} tensors of {where}, such as those of a classifier, are not used"] if left else []
            return tower, its, said
    tower = min(faults, key=lambda name: len(faults[name]))
    raise SightwordError(
        f"the weights in '{where}' are not of this model's {tower.split('.')[1]} tower:"
        f" {faults[tower][0]}{f' and {len(faults[tower]) - 1} more' if faults[tower][1:] else ''}; give the"
        " weights of the network that --model (or --text-model) names"
    )


def _front(found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """What stands in front of the file's names: a model with a head calls its trunk by a name."""
    least = min(own, key=len)
    fronts = [name.removesuffix(least) for name in found if name.endswith(least)]
    return max(fronts, key=lambda front: sum(front + name in found for name in own), default="")


def _faults(found: Mapping[str, Tensor], own: Mapping[str, Tensor], front: str) -> list[str]:
    rows = []
    for name, tensor in own.items():
        its = found.get(front + name)
        if its is None and not name.endswith(_COUNTER):
            rows.append(f"{front + name} is missing")
        elif its is not None and its.shape != tensor.shape:
            rows.append(f"{front + name} is {tuple(its.shape)}, wanted {tuple(tensor.shape)}")
    return rows
