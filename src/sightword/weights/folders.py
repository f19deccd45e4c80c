"""Which files of a folder hold the weights and what describes them, as others lay them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError
from sightword.weights.plain_json import json_beside, read_json

_INDEX = ".index.json"
_LAYOUTS: Mapping[str, tuple[str, ...]] = {  # what describes the weights, and their files: the first counts
    "open_clip_config.json": ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
    "config.json": (  # Hugging Face and timm; a run of our own has the first without a config.json
        "model.safetensors",
        f"model.safetensors{_INDEX}",
        "pytorch_model.bin",
        f"pytorch_model.bin{_INDEX}",
    ),
}
_PARAMS = "params.txt"  # of an open_clip run, beside its folder of checkpoints
_ENDINGS = {".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar"}


@dataclass(frozen=True)
class Laid:
    """Where weights lie.

    files: one, or the shards of one state dict.
    folder: where files that belong to them may lie.
    config: what the json that describes them says; {} without one.
    named: which shard holds which tensor; {} without shards.
    """

    files: tuple[Path, ...]
    folder: Path
    config: Mapping[str, Any]
    named: Mapping[str, str]


def laid_out(path: Path) -> Laid:
    """What belongs to a file of weights, or lies in a folder.

    Raises:
        SightwordError: when there is nothing, or an index names files that are not in its folder.
    """
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise SightwordError(f"'{path}' is no file and no folder; give weights that lie on this machine")
    if path.name.endswith(_INDEX):
        return _sharded(path, json_beside(path.parent, "config.json"))
    described = next((config for config, files in _LAYOUTS.items() if path.name in files), None)
    return Laid((path,), path.parent, json_beside(path.parent, described) if described else {}, {})


def is_usual(file: Path) -> bool:
    """Whether a file has a name that all files of its kind have, which says nothing of the model."""
    return any(file.name in names for names in _LAYOUTS.values())


def open_clip_params(file: Path) -> dict[str, str]:
    """The settings that open_clip writes for a run, beside the folder of its checkpoints.

    {} where a file does not lie in such a run.
    """
    params = file.parent.parent / _PARAMS
    if file.parent.name != "checkpoints" or not params.is_file():
        return {}
    lines = params.read_bytes()[: 1 << 20].decode("utf-8", errors="replace").splitlines()
    return {name.strip(): value.strip() for name, sign, value in (x.partition(":") for x in lines) if sign}


def _in_folder(folder: Path) -> Laid:
    for described, names in _LAYOUTS.items():
        for file in (folder / name for name in names):
            if file.is_file():
                config = json_beside(folder, described)
                found = Laid((file,), folder, config, {})
                return _sharded(file, config) if file.name.endswith(_INDEX) else found
    some = sorted(file.name for file in folder.iterdir() if file.suffix in _ENDINGS)[:5]
    wanted = ", ".join(name for names in _LAYOUTS.values() for name in names)
    remedy = f"give one of its files instead: {', '.join(some)}" if some else f"wanted one of {wanted}"
    raise SightwordError(f"no weights of a known name lie in '{folder}'; {remedy}")


def _sharded(index: Path, config: Mapping[str, Any]) -> Laid:
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise SightwordError(
            f"'{index}' has no weight_map that names the file of each tensor; fetch it again"
        )
    for name in sorted(set(named.values())):
        if Path(name).name != name or name in ("", ".", "..") or "\0" in name or "\\" in name:
            raise SightwordError(
                f"'{index}' names {name!r}, which does not lie beside it; get the weights anew"
            )
        if not (index.parent / name).is_file():
            raise SightwordError(f"'{index}' names {name}, which is missing; fetch it into '{index.parent}'")
    return Laid(tuple(index.parent / n for n in sorted(set(named.values()))), index.parent, config, named)
