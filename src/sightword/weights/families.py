"""Whose weights they are: each family is asked in order, and the first that recognises them reads them."""

from __future__ import annotations

from typing import Protocol

from sightword.errors import SightwordError
from sightword.weights import (
    hf_clip,
    hf_dual,
    hf_siglip,
    hf_vit,
    mae,
    mocov3,
    open_clip_clip,
    open_clip_siglip,
    openai_clip,
    own_runs,
    slip,
    timm_resnet,
    timm_vit,
)
from sightword.weights.foreign import Foreign
from sightword.weights.reading import Read

_SHOWN = 3  # names of tensors that an error shows


class Family(Protocol):
    """A room that knows the names and shapes of one library."""

    def recognises(self, file: Read) -> bool:
        """Whether these are weights of this family; a look at names and shapes, nothing that costs."""

    def read(self, file: Read) -> Foreign:
        """The weights by our names.

        Raises:
            SightwordError: when they contradict themselves, or are of a model that the towers cannot be.
        """


FAMILIES: tuple[Family, ...] = (  # in the order in which they are asked; the pickiest first
    own_runs,
    slip,
    openai_clip,
    open_clip_clip,
    hf_clip,
    open_clip_siglip,
    hf_siglip,
    hf_dual,
    hf_vit,
    mae,
    mocov3,
    timm_vit,
    timm_resnet,
)


def recognised(read: Read) -> Foreign:
    """The weights by our names, told by the first family that knows them.

    Raises:
        SightwordError: when no family does, or the one that does finds a contradiction.
    """
    for family in FAMILIES:
        if family.recognises(read):
            return family.read(read)
    names = sorted(read.tensors)
    some = ", ".join(f"{name} {tuple(read.tensors[name].shape)}" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise SightwordError(
        f"'{read.where}' holds weights that are not known here: {some}{more}; CLIP and SigLIP of open_clip,"
        " OpenAI and Hugging Face, SLIP, ViTs and ResNets of timm, MAE and MoCo v3 can be read:"
        " see docs/interop.md"
    )
