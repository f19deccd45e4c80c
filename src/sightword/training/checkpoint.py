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
from safetensors.torch import load_file, save_file
from torch import Tensor

from sightword.errors import SightwordError
from sightword.training.optimizer import named_trainable
from sightword.training.pretrainer import Encoders, Pretrainer
from sightword.training.records import file_digest

_MANIFEST = "manifest.json"


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
    """Publish a checkpoint atomically and remove all but the newest `keep_last`.

    Raises:
        SightwordError: when the disk is full; what was saved before stays whole.
    """
    folder = out / "checkpoints"
    target = folder / f"step-{int(state['step']):08d}"
    aside = folder / f".writing-{os.getpid()}"
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        save_file(_plain(model.state_dict()), aside / "model.safetensors")
        save_file(_optimizer_tensors(model, optimizer), aside / "optimizer.safetensors")
        (aside / "state.json").write_text(json.dumps(dict(state)), encoding="utf-8")
        _seal(aside)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(aside, target)
        _sync(folder)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise SightwordError(
            f"could not save {target}: {error}; the checkpoint before it is whole"
        ) from error
    for old in sorted(folder.glob("step-*"))[:-keep_last]:
        shutil.rmtree(old)
    return target


def save_encoders(out: Path, encoders: Encoders, metadata: Mapping[str, str]) -> Path:
    """`model.safetensors` of a run: the towers and the joint space alone, for use; replaced atomically."""
    target, aside = out / "model.safetensors", out / ".model.safetensors.writing"
    save_file(_plain(encoders.state_dict()), aside, metadata=dict(metadata))
    _sync(aside)
    os.replace(aside, target)
    return target


def newest(out: Path) -> tuple[Saved | None, list[str]]:
    """The newest whole checkpoint of a run, and the complaints about newer ones that are not."""
    complaints: list[str] = []
    for path in sorted((out / "checkpoints").glob("step-*"), reverse=True):
        fault = _fault(path)
        if fault is None:
            return Saved(path, json.loads((path / "state.json").read_text(encoding="utf-8"))), complaints
        complaints.append(f"{path} is not whole ({fault}); using the one before it")
    return None, complaints


def restore(saved: Saved, model: Pretrainer, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's tensors back.

    Raises:
        SightwordError: when it is of another model.
    """
    fit(model, load_file(saved.path / "model.safetensors"), str(saved.path))
    tensors = load_file(saved.path / "optimizer.safetensors")
    for name, parameter in named_trainable(model).items():
        prefix = f"{name}|"
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if own:
            optimizer.state[parameter] = {
                k: v if k == "step" else v.to(parameter.device) for k, v in own.items()
            }


def fit(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load weights whose names and shapes must all agree; otherwise say which do not."""
    own = module.state_dict()
    wrong = [
        f"{n} is {tuple(tensors[n].shape)}, wanted {tuple(own[n].shape)}"
        for n in own.keys() & tensors.keys()
        if own[n].shape != tensors[n].shape
    ]
    missing, extra = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if wrong or missing or extra:
        parts = (
            sorted(wrong)[:1] + [f"lacks {n}" for n in missing[:1]] + [f"has unknown {n}" for n in extra[:1]]
        )
        raise SightwordError(
            f"the weights in {where} are of another model ({'; '.join(parts)}; {len(wrong) + len(missing) + len(extra)}"
            " tensors differ); use the configuration that they were trained with"
        )
    module.load_state_dict(dict(tensors))


def _optimizer_tensors(model: Pretrainer, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    rows = {}
    for name, parameter in named_trainable(model).items():
        for key, value in optimizer.state.get(parameter, {}).items():
            rows[f"{name}|{key}"] = value
    return _plain(rows)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies that share no memory, as safetensors wants them."""
    return {
        name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()
    }


def _seal(folder: Path) -> None:
    files = sorted(p for p in folder.iterdir())
    rows = {p.name: {"bytes": p.stat().st_size, "sha256": file_digest(p)} for p in files}
    (folder / _MANIFEST).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    for path in (*files, folder / _MANIFEST, folder):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fault(folder: Path) -> str | None:
    try:
        rows = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "no readable manifest"
    for name, row in rows.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != row["bytes"]:
            return f"{name} is missing or cut short"
        if file_digest(path) != row["sha256"]:
            return f"{name} was altered"
    return None
