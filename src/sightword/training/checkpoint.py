"""Checkpoints that are whole or not there: written aside, flushed to disk, renamed, and named by a manifest.

`checkpoints/step-00001000/` holds `model.safetensors` (everything that trains, teachers and heads),
`optimizer.safetensors`, `state.json` and `manifest.json` with the size and SHA-256 of the others. A torn or
altered one is passed over and the one before it is used. No pickle anywhere.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from sightword.errors import SightwordError
from sightword.training.disk import read_tensors, sync, writing
from sightword.training.optimizer import named_trainable
from sightword.training.pretrainer import Encoders, Pretrainer
from sightword.training.records import file_digest

_MANIFEST = "manifest.json"
_ABOUT = "sightword"


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was found whole."""

    path: Path
    state: Mapping[str, Any]

    @property
    def step(self) -> int:
        """How many optimizer steps it has behind it."""
        return int(self.state["step"])


def save(
    out: Path, model: Pretrainer, optimizer: torch.optim.Optimizer, state: Mapping[str, Any], keep_last: int
) -> Path:
    """Publish a checkpoint atomically and remove all but the newest `keep_last` (0 keeps all).

    Raises:
        SightwordError: when the disk is full; what was saved before stays whole.
    """
    folder = out / "checkpoints"
    target = folder / f"step-{int(state['step']):08d}"
    aside = folder / f".writing-{target.name}"
    try:
        with writing(target):
            _write(aside, model, optimizer, state)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(aside, target)
            for parent in (folder, out):
                sync(parent)
    finally:
        for left in folder.glob(".writing-*"):  # of a full disk now, or of a kill before
            shutil.rmtree(left, ignore_errors=True)
    _prune(folder, target, keep_last)
    return target


def save_encoders(out: Path, encoders: Encoders, about: Mapping[str, Any]) -> Path:
    """`model.safetensors` of a run: the towers and the joint space alone, for use; replaced atomically.

    Equal weights and an equal `about` give equal bytes: it is kept as one entry of JSON, because safetensors
    writes several entries of metadata in random order.

    Raises:
        SightwordError: when the disk is full; the file is as it was before.
    """
    target, aside = out / "model.safetensors", out / ".model.safetensors.writing"
    try:
        with writing(target):
            save_file(_plain(encoders.state_dict()), aside, {_ABOUT: json.dumps(dict(about), sort_keys=True)})
            sync(aside)
            os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def about_encoders(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What `save_encoders` was told, from a file's metadata; empty for a stranger's file."""
    found = json.loads(metadata.get(_ABOUT, "{}"))
    assert isinstance(found, dict)
    return found


def newest(out: Path) -> tuple[Saved | None, list[str]]:
    """The newest whole checkpoint of a run, and the complaints about newer ones that are not."""
    complaints: list[str] = []
    for path in sorted((out / "checkpoints").glob("step-*"), reverse=True):
        fault = _fault(path)
        if fault is None:
            return Saved(path, json.loads((path / "state.json").read_text(encoding="utf-8"))), complaints
        complaints.append(f"{path} is not whole ({fault}) and is passed over")
    return None, complaints


def restore(saved: Saved, model: Pretrainer, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's tensors back.

    Raises:
        SightwordError: when it is of another model.
    """
    fit(model, read_tensors(saved.path / "model.safetensors"), str(saved.path))
    parameters = named_trainable(model)
    for key, value in read_tensors(saved.path / "optimizer.safetensors").items():
        name, _, part = key.rpartition("|")
        if name not in parameters:
            raise SightwordError(f"{saved.path} has optimizer state of '{name}', which does not train here")
        optimizer.state[parameters[name]][part] = _laid_out_as(value, parameters[name])


def fit(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load weights whose names and shapes must all agree.

    Raises:
        SightwordError: when one does not, naming it.
    """
    own = module.state_dict()
    faults = [
        f"{name} is {tuple(tensors[name].shape)}, wanted {tuple(own[name].shape)}"
        for name in sorted(own.keys() & tensors.keys())
        if own[name].shape != tensors[name].shape
    ]
    faults += [f"{name} is missing" for name in sorted(own.keys() - tensors.keys())]
    faults += [f"{name} is unknown" for name in sorted(tensors.keys() - own.keys())]
    if faults:
        more = f" and {len(faults) - 1} more" if faults[1:] else ""
        raise SightwordError(
            f"the weights in {where} are of another model: {faults[0]}{more};"
            " use the configuration that they were trained with"
        )
    module.load_state_dict(dict(tensors))


def _write(
    folder: Path, model: Pretrainer, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file(_plain(model.state_dict()), folder / "model.safetensors")
    save_file(_optimizer_tensors(model, optimizer), folder / "optimizer.safetensors")
    (folder / "state.json").write_text(json.dumps(dict(state), sort_keys=True), encoding="utf-8")
    files = sorted(folder.iterdir())
    rows = {file.name: {"bytes": file.stat().st_size, "sha256": file_digest(file)} for file in files}
    (folder / _MANIFEST).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    for path in (*files, folder / _MANIFEST, folder):
        sync(path)


def _prune(folder: Path, target: Path, keep_last: int) -> None:
    """Remove older ones beyond `keep_last`, and newer ones: they were not whole, or would have been used."""
    found = sorted(folder.glob("step-*"))
    here = found.index(target) + 1
    kept = found[max(0, here - keep_last) : here] if keep_last > 0 else found[:here]
    for path in found:
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)


def _optimizer_tensors(model: Pretrainer, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return _plain(
        {
            f"{name}|{part}": value
            for name, parameter in named_trainable(model).items()
            for part, value in optimizer.state.get(parameter, {}).items()
        }
    )


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies that share no memory, as safetensors wants them."""
    return {
        name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()
    }


def _laid_out_as(value: Tensor, parameter: Tensor) -> Tensor:
    """A fused optimizer walks through memory: its state must lie as its parameter does (channels last)."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _fault(folder: Path) -> str | None:
    try:
        rows = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "it has no readable manifest"
    for name, row in rows.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != row["bytes"]:
            return f"{name} is missing or cut short"
        if file_digest(path) != row["sha256"]:
            return f"{name} was altered"
    return None
