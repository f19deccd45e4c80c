"""Files of weights from elsewhere, as tensors and plain values; nothing in them is ever run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from sightword.config import ImageTowerConfig
from sightword.errors import SightwordError
from sightword.weights.folders import Laid, laid_out, open_clip_params
from sightword.weights.reading_safetensors import is_safetensors, read_safetensors
from sightword.weights.reading_torch import PICKLE, ZIP, read_torch
from sightword.weights.soundness import sound
from sightword.weights.unwrapping import unwrapped, without_prefixes

_POINTER = b"version https://git-lfs"
_LOOKED_AT = 64  # bytes of a file, to know what it is
Held = tuple[dict[str, Tensor], dict[str, Any], tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Read:
    """What a file or a folder of weights holds, before anybody has said whose it is.

    where: the file or folder, as the user named it.
    tensors: by the names of the file, on the CPU, floats as float32; "module." and "_orig_mod." in front of
        all of them are gone.
    config: the json beside it, such as config.json or open_clip_config.json; {} where there is none.
    beside: the folder where tokenizer and other files may lie; None where there is none.
    about: plain values in the file beside the tensors, such as `epoch`, SLIP's `args` (as a dict), the
        metadata of safetensors, or `params` of the open_clip run that a checkpoint lies in.
    notes: what was taken for granted, one line each, to be told to the user.
    like: the image tower that the user names beside the weights (`--model`), for what neither shapes nor json
        tell, such as the number of heads; None where he names none.
    """

    where: str
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    beside: Path | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    like: ImageTowerConfig | None = None


def read(path: str | Path) -> Read:
    """The weights in a file of safetensors or torch, or in a folder of Hugging Face, open_clip or a run.

    Raises:
        SightwordError: for whatever is wrong with them, one line. Nothing that they ask for was called, and
            no more memory taken than their files have bytes (twice that, of half precision).
    """
    where = str(path)
    laid = laid_out(Path(path).expanduser())
    try:
        tensors, about, notes = _together(laid, where)
        held = sum(file.stat().st_size for file in laid.files)
        params = open_clip_params(laid.files[0])
    except OSError as error:
        raise SightwordError(f"'{where}' cannot be read: {error.strerror or error}") from error
    ready, said = sound(tensors, held, where)
    about |= {"params": params} if params else {}
    return Read(where, ready, laid.config, laid.folder, about, (*notes, *said))


def _together(laid: Laid, where: str) -> Held:
    """The tensors of all shards, each in the file that the index says."""
    if not laid.named:
        return _held(laid.files[0])
    tensors, about, notes = dict[str, Tensor](), dict[str, Any](), tuple[str, ...]()
    for file in laid.files:
        held, its, said = _held(file)
        strange = [name for name in held if laid.named.get(name) != file.name]
        if strange:
            raise SightwordError(f"{file.name} of '{where}' holds {strange[0]}, which its index does not say")
        tensors, about, notes = tensors | held, about | its, (*notes, *said)
    missing = sorted(laid.named.keys() - tensors.keys())
    if missing:
        raise SightwordError(
            f"the index of '{where}' names {missing[0]}, which no file holds; fetch them again"
        )
    return tensors, about, notes


def _held(file: Path) -> Held:
    with file.open("rb") as opened:
        start = opened.read(_LOOKED_AT)
    if start.startswith(_POINTER):
        raise SightwordError(
            f"'{file}' is a pointer of Git LFS, not the weights; fetch them with: git lfs pull"
        )
    if is_safetensors(file):
        tensors, metadata = read_safetensors(file)
        return without_prefixes(tensors), dict(metadata), ()
    if start.startswith((ZIP, PICKLE)):
        return unwrapped(read_torch(file), str(file))
    raise SightwordError(
        f"'{file}' holds no weights that can be read; wanted safetensors, or what torch.save writes"
        " (.pt, .pth, .bin, .ckpt)"
    )
