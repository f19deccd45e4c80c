"""Files of weights from elsewhere, as tensors and plain values; nothing in them is ever run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from sightword.config import ImageTowerConfig


@dataclass(frozen=True, eq=False)
class Read:
    """What a file or a folder of weights holds, before anybody has said whose it is.

    where: the file or folder, as the user named it.
    tensors: by the names of the file; "module." and "_orig_mod." in front of all of them are gone.
    config: the json beside it, such as config.json or open_clip_config.json; {} where there is none.
    beside: the folder where tokenizer and other files may lie; None where there is none.
    about: plain values in the file beside the tensors, such as `epoch` or SLIP's `args` (as a dict).
    like: the image tower that the user names beside the file (`--model`), for what neither shapes nor json
        tell, such as the number of heads; None where he names none.
    notes: what was taken for granted, one line each, to be told to the user.
    """

    where: str
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    beside: Path | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    like: ImageTowerConfig | None = None
    notes: tuple[str, ...] = ()
