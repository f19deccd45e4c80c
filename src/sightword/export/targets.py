"""The forms of export there are."""

from __future__ import annotations

from sightword.errors import unknown
from sightword.export.onnx_files import Onnx
from sightword.export.open_clip_folder import OpenClip
from sightword.export.own_folder import OwnFolder
from sightword.export.target import Target
from sightword.export.timm_folder import Timm
from sightword.export.transformers_folder import Transformers

TARGETS: tuple[Target, ...] = (OpenClip(), Transformers(), Timm(), Onnx(), OwnFolder())


def find(name: str) -> Target:
    """The form of that name.

    Raises:
        SightwordError: when there is none, with the nearest names.
    """
    known = {target.name: target for target in TARGETS}
    if name not in known:
        raise unknown("form of export", name, known)
    return known[name]
