"""Checkpoints that are whole or not there: written aside, flushed to disk, renamed, and named by a manifest.

`checkpoints/step-00001000/` holds everything that trains, teachers, heads and the optimizer, as
`rank-00000.safetensors` and so on, one of each process; `index.json` says which part of what lies where,
`state.json` what a run knows beside tensors, `manifest.json` the size and SHA-256 of the others. A torn or
altered one is passed over and the one before it is used. torch.distributed.checkpoint does the work, so a
run goes on with any number of processes; no pickle anywhere.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file
from torch import Tensor, nn

from sightword.errors import SharedError, SightwordError
from sightword.pieces.index import Entry, read_index
from sightword.pieces.reading import MODEL
from sightword.towers.adapters import plain
from sightword.training.disk import sync, writing
from sightword.training.optimizer import named_trainable
from sightword.training.pretrainer import Encoders
from sightword.training.saving.manifest import STATE, fault
from sightword.training.saving.staging import OPTIMIZER, Planner, Staged, Staging
from sightword.training.saving.storage import Reader, Writer
from sightword.training.together.ranks import leads

_ABOUT = "sightword"
Shapes = Mapping[str, tuple[int, ...]]

# It is all right that there is one process only, and in a thread a warning cannot be caught safely.
warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)


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
    out: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Any], keep_last: int
) -> Path:
    """Publish a checkpoint atomically and remove all but the newest `keep_last` (0 keeps all).

    All processes call it together. Training waits: `saver.Saver` does the same beside it.

    Raises:
        SightwordError: when the disk is full; what was saved before stays whole.
    """
    return write(out, Staging().take(model, optimizer), state, keep_last)


def folder_of(out: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return out / "checkpoints" / f"step-{step:08d}"


def write(
    out: Path,
    staged: Staged,
    state: Mapping[str, Any],
    keep_last: int,
    group: dist.ProcessGroup | None = None,
) -> Path:
    """`save` what was copied before.

    Args:
        out: the run's directory.
        staged: each process's own copies.
        state: what the checkpoint knows beside tensors, its `step` among it.
        keep_last: how many to keep.
        group: who talks through it while they write; None for everybody's usual one.
    """
    target = folder_of(out, int(state["step"]))
    writer = Writer(target, state, staged.names)
    try:
        with _told_to_all():
            dcp.save(
                dict(staged.live),
                storage_writer=writer,
                planner=Planner(staged),
                process_group=group,
            )
    finally:
        if leads():
            for left in target.parent.glob(".writing-*"):  # of a full disk now, or of a kill before
                shutil.rmtree(left, ignore_errors=True)
    if leads():
        prune(target.parent, target, keep_last)
    return target


def save_encoders(out: Path, encoders: Encoders, about: Mapping[str, Any]) -> Path:
    """`model.safetensors` of a run: the towers and the joint space alone, for use; replaced atomically.

    Adapters are merged into the weights, so that whoever loads them needs none.
    """
    copies = {name: t.detach().to("cpu", copy=True) for name, t in plain(encoders).items()}
    return write_encoders(out / "model.safetensors", copies, about)


def write_encoders(target: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Path:
    """Weights for use, replaced atomically.

    Equal weights and an equal `about` give equal bytes: it is kept as one entry of JSON, because safetensors
    writes several entries of metadata in random order.

    Args:
        target: the file.
        tensors: on the CPU.
        about: what a reader is told of them.

    Raises:
        SightwordError: when the disk is full; the file is as it was before.
    """
    aside = target.with_name(f".{target.name}.writing")
    plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        with writing(target):
            save_file(plain, aside, {_ABOUT: json.dumps(dict(about), sort_keys=True)})
            aside.chmod(target.parent.stat().st_mode & 0o666)  # safetensors shuts others out
            sync(aside)
            os.replace(aside, target)
            sync(target.parent)
    finally:
        aside.unlink(missing_ok=True)
    return target


def about_encoders(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What `write_encoders` was told, from a file's metadata; empty for a stranger's file."""
    found = json.loads(metadata.get(_ABOUT, "{}"))
    assert isinstance(found, dict)
    return found


def newest(out: Path, quiet: bool = False) -> tuple[Saved | None, list[str]]:
    """The newest whole checkpoint of a run, and the complaints about newer ones that are not.

    Every byte of it is read, in this process: of several, let one do it and tell the others.

    Args:
        out: the run's directory.
        quiet: without a progress bar, where another one is on the screen.
    """
    complaints: list[str] = []
    for path in sorted((out / "checkpoints").glob("step-*"), reverse=True):
        found = fault(path, quiet)
        if found is None:
            return Saved(path, json.loads((path / STATE).read_text(encoding="utf-8"))), complaints
        complaints.append(f"{path} is not whole ({found}) and is passed over")
    return None, complaints


def restore(saved: Saved, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's tensors back, whichever number of processes wrote it; all call it together.

    Raises:
        SightwordError: when it is of another model.
    """
    index = read_index(saved.path)
    weights = {MODEL + name: tensor.detach() for name, tensor in model.state_dict().items()}
    found = {name: entry.shape for name, entry in index.items() if not name.startswith(OPTIMIZER)}
    _same_model({name: tuple(t.shape) for name, t in weights.items()}, found, str(saved.path))
    state = _room_for_state(saved, index, model)
    with _told_to_all():
        dcp.load(
            weights | {name: tensor for name, (_, _, tensor) in state.items()},
            storage_reader=Reader(saved.path, index),
            planner=dcp.DefaultLoadPlanner(flatten_state_dict=False),
        )
    optimizer.state.clear()
    for parameter, part, tensor in state.values():
        optimizer.state[parameter][part] = tensor


def fit(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load weights whose names and shapes must all agree.

    Raises:
        SightwordError: when one does not, naming it.
    """
    own = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    _same_model(own, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, where)
    module.load_state_dict(dict(tensors))


def _same_model(own: Shapes, found: Shapes, where: str) -> None:
    faults = [
        f"{name} is {found[name]}, wanted {own[name]}"
        for name in sorted(own.keys() & found.keys())
        if own[name] != found[name]
    ]
    faults += [f"{name} is missing" for name in sorted(own.keys() - found.keys())]
    faults += [f"{name} is unknown" for name in sorted(found.keys() - own.keys())]
    if faults:
        more = f" and {len(faults) - 1} more" if faults[1:] else ""
        raise SightwordError(
            f"the weights in {where} are of another model: {faults[0].removeprefix(MODEL)}{more};"
            " use the configuration that they were trained with"
        )


def _room_for_state(
    saved: Saved, index: Mapping[str, Entry], model: nn.Module
) -> dict[str, tuple[nn.Parameter, str, Tensor]]:
    """By name in the checkpoint: a parameter, the part of its optimizer state, and a tensor to read it into.

    What was not saved, of parameters that had not been trained yet, is not made.
    """
    parameters = named_trainable(model)
    rooms = {}
    for key, entry in index.items():
        if not key.startswith(OPTIMIZER):
            continue
        part, _, name = key.removeprefix(OPTIMIZER).partition("/")
        if name not in parameters:
            raise SightwordError(f"{saved.path} has optimizer state of '{name}', which does not train here")
        parameter = parameters[name]
        if entry.shape not in ((), tuple(parameter.shape)):
            raise SightwordError(
                f"{saved.path} has optimizer state '{part}' of {entry.shape} for '{name}' of"
                f" {tuple(parameter.shape)}; it is damaged: remove it to go on from the one before it"
            )
        rooms[key] = parameter, part, _laid_out_as(parameter, entry)
    return rooms


def _laid_out_as(parameter: nn.Parameter, entry: Entry) -> Tensor:
    """A fused optimizer walks through memory: its state must lie as its parameter does (channels last).

    So does each process's piece of it. A count of steps is a scalar beside it.
    """
    if entry.shape != tuple(parameter.shape):
        return torch.zeros(entry.shape, dtype=entry.dtype, device=parameter.device)
    return torch.empty_like(parameter, dtype=entry.dtype, requires_grad=False)


def prune(folder: Path, target: Path, keep_last: int) -> None:
    """Remove older ones beyond `keep_last`, and newer ones: they were not whole, or would have been used."""
    found = sorted(folder.glob("step-*"))
    here = found.index(target) + 1
    kept = found[max(0, here - keep_last) : here] if keep_last > 0 else found[:here]
    for path in found:
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _told_to_all() -> Iterator[None]:
    """What one process met in torch.distributed.checkpoint, raised by all."""
    try:
        yield
    except dcp.CheckpointException as error:
        met = error.failures[min(error.failures)][0]
        if isinstance(met, SightwordError):
            raise SharedError(str(met)) from met
        raise met from error
