"""Saving beside training: what stops training is the copying to the CPU, the rest goes on in a thread.

The thread calls `torch.distributed.checkpoint.save` itself instead of `async_save`, which is marked as
experimental, answers differently from version to version, stages every tensor in every process, and knows
nothing of what has to follow: `model.safetensors` of the very same step, and that all processes learn when
one of them could not write. Processes talk through a gloo group of their own, so that nothing mixes with
training's collectives.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
import torch.distributed as dist

from sightword.distributed import rank, world_size
from sightword.errors import SharedError, SightwordError
from sightword.pieces.index import read_index
from sightword.pieces.reading import MODEL, read_whole
from sightword.towers.adapters import factor_of, merge
from sightword.training.pretrainer import Pretrainer
from sightword.training.saving.checkpoint import folder_of, write, write_encoders
from sightword.training.saving.staging import Staged, Staging

_SLOWEST = timedelta(hours=1)  # a process that writes for longer is given up
_LEAVING = 60.0  # seconds that an error waits for a save under way before it goes on


@dataclass(frozen=True)
class Published:
    """A checkpoint that lies on the disk: where, and what it took.

    `blocked_seconds` is how long training stood still for it, what it waited for the save before it included;
    `seconds` the time until all of it was published. `bytes` are the first process's to count, 0 elsewhere.
    """

    path: Path
    step: int
    blocked_seconds: float
    seconds: float
    bytes: int


@dataclass(frozen=True)
class _Job:
    staged: Staged
    state: Mapping[str, Any]
    encoders: Mapping[str, str]  # names in the encoders' state, and in the checkpoint
    factor: float  # by which adapters among them count
    about: Mapping[str, Any]
    began: float
    blocked: float


class Saver:
    """Publishes checkpoints and `model.safetensors` while training goes on; all processes call it alike.

    As a context manager it waits for the last save when it is left.

    Args:
        out: the run's directory, on a disk that all processes share.
        keep_last: how many checkpoints stay, the newest; 0 keeps all.
    """

    def __init__(self, out: Path, keep_last: int) -> None:
        self._out, self._keep_last = out, keep_last
        self._staging = Staging()
        self._group = dist.new_group(timeout=_SLOWEST, backend="gloo") if world_size() > 1 else None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._published: deque[Published] = deque()

    def save(
        self,
        model: Pretrainer,
        optimizer: torch.optim.Optimizer,
        state: Mapping[str, Any],
        about: Mapping[str, Any],
    ) -> Path:
        """Copy everything and begin to write it; a save that is still under way is waited for.

        Args:
            model: what trains, as this process holds it.
            optimizer: its state is saved by the names of parameters.
            state: what the checkpoint knows beside tensors, its `step` among it; the first process's counts.
            about: what `model.safetensors` says of itself.

        Returns:
            where the checkpoint will be.

        Raises:
            SightwordError: a save before this one failed; what was saved before that is whole.
        """
        began = time.perf_counter()
        self.wait()
        staged = self._staging.take(model, optimizer)
        blocked = time.perf_counter() - began
        names, factor = _names(model), factor_of(model)
        job = _Job(staged, dict(state), names, factor, dict(about), began, blocked)
        self._thread = threading.Thread(target=self._run, args=(job,), name="saver", daemon=True)
        self._thread.start()
        return folder_of(self._out, int(state["step"]))

    def wait(self, seconds: float | None = None) -> None:
        """Until what was begun is published, or for so many seconds.

        Raises:
            SightwordError: it could not be; every process raises the same.
        """
        if self._thread is not None:
            self._thread.join(seconds)
            if not self._thread.is_alive():
                self._thread = None
        if self._error is not None:
            raise self._error

    def fault(self) -> SightwordError | None:
        """Why the last save failed, as far as this process knows by now, without waiting."""
        return self._error if isinstance(self._error, SightwordError) else None

    def published(self) -> list[Published]:
        """What was published since this was last asked."""
        return [self._published.popleft() for _ in range(len(self._published))]

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.wait(None if error is None else _LEAVING)
        except SightwordError:
            if error is None:
                raise  # else what ends the run is told, not what followed from it

    def _run(self, job: _Job) -> None:
        try:
            self._write(job)
        except RuntimeError as error:
            self._error = error if self._group is None else _lost(self._out, error)
        except BaseException as error:
            self._error = error

    def _write(self, job: _Job) -> None:
        path = write(self._out, job.staged, job.state, self._keep_last, self._group)
        self._in_first(path, job)
        size = sum(file.stat().st_size for file in path.iterdir()) if rank() == 0 else 0
        seconds = time.perf_counter() - job.began
        self._published.append(Published(path, int(job.state["step"]), job.blocked, seconds, size))

    def _in_first(self, path: Path, job: _Job) -> None:
        """The first process replaces `model.safetensors`; the others learn whether it could."""
        fault: list[str | None] = [None]
        if rank() == 0:
            try:
                tensors = merge(self._encoders(path, job), job.factor)
                write_encoders(self._out / "model.safetensors", tensors, job.about)
            except SightwordError as error:
                fault = [str(error)]
        if self._group is not None:
            dist.broadcast_object_list(fault, group=self._group)
        if fault[0] is not None:
            raise SharedError(fault[0])

    def _encoders(self, path: Path, job: _Job) -> dict[str, torch.Tensor]:
        """Whole tensors: from this process's copies, or from the files that all processes have written."""
        if self._group is None:
            return {name: job.staged.copies[saved] for name, saved in job.encoders.items()}
        index = read_index(path)
        return read_whole(path, {name: index[saved] for name, saved in job.encoders.items()})


def _names(model: Pretrainer) -> dict[str, str]:
    """Of everything in the kept encoders: its name there, and in a checkpoint."""
    kept = model.kept_encoders()
    inside = next(name for name, module in model.named_modules() if module is kept)
    return {name: f"{MODEL}{inside}.{name}" for name in kept.state_dict()}


def _lost(out: Path, error: RuntimeError) -> SightwordError:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return SightwordError(
        f"the processes lost each other while they saved in '{out}' ({said}); what was saved before is whole:"
        f" go on with sightword train --resume {out}"
    )
