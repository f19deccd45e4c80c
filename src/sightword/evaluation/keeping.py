"""Where a task's training stands, kept on disk, so that one that was killed goes on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from sightword.evaluation.features import FeatureStore
from sightword.evaluation.labelled import LabelledSet
from sightword.pairs.files import write_whole
from sightword.training.model import Model
from sightword.training.records import digest

SECONDS = 60.0  # between two saves
SHARE = 0.03  # of the time may go into saving
_ENDING = "unfinished.safetensors"
_MODEL, _OPTIMIZER, _MORE = "model/", "optimizer/", "more/"


@dataclass(frozen=True)
class Standing:
    """How far the trainings of a task have come.

    scored: what each training that is done with scored on the held-out part, by its name.
    trial: name of the training under way; empty for the last one, with the settings that were chosen.
    done: of that training: epochs or steps, as the task counts.
    loss: what the losses of an epoch under way add up to, where the task tells it.
    """

    scored: Mapping[str, float] = field(default_factory=dict)
    trial: str = ""
    done: int = 0
    loss: float = 0.0

    def at(self, trial: str) -> Standing:
        """The same if that training is under way, else its beginning."""
        return self if self.trial == trial else Standing(self.scored, trial)


@dataclass(eq=False)
class Keeper:
    """The one file of an unfinished training.

    path: None keeps nothing.
    identity: names weights, data and protocol. A file of another identity is not gone on with.
    seconds: between two saves; more where a save takes long.
    """

    path: Path | None
    identity: str
    seconds: float = SECONDS
    _saved: float = field(default_factory=lambda: time.monotonic())
    _took: float = 0.0

    def standing(self) -> Standing | None:
        """How far an earlier call came; None when there was none, or its file is of something else."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                about = file.metadata() or {}
            if about.get("identity") != self.identity:
                return None
            return Standing(**json.loads(about["standing"]))
        except Exception:  # a file that a crash spoiled: begin again
            return None

    def restore(
        self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None
    ) -> Mapping[str, Tensor]:
        """Put weights, statistics and the optimizer's state back; gives what else was saved."""
        assert self.path is not None
        tensors = load_file(self.path)
        model.load_state_dict(_under(_MODEL, tensors))
        if optimizer is not None:
            parameters, on_device = dict(model.named_parameters()), _counts_on_device(optimizer)
            optimizer.state.clear()
            for key, value in _under(_OPTIMIZER, tensors).items():
                part, _, name = key.partition("/")
                own = value if value.ndim == 0 and not on_device else _laid_out_as(parameters[name], value)
                optimizer.state[parameters[name]][part] = own
        return _under(_MORE, tensors)

    def due(self) -> bool:
        """Whether the last save was long enough ago."""
        wait = max(self.seconds, self._took / SHARE)
        return self.path is not None and time.monotonic() - self._saved >= wait

    def save(
        self,
        standing: Standing,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        more: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Replace the file as a whole.

        Raises:
            OSError: when it cannot be written; what was saved before is whole.
        """
        if self.path is None:
            return
        began = time.monotonic()
        tensors = {f"{_MODEL}{name}": value for name, value in model.state_dict().items()}
        tensors |= {f"{_MORE}{name}": value for name, value in (more or {}).items()}
        state = {} if optimizer is None else optimizer.state
        for name, parameter in model.named_parameters():
            for part, value in state.get(parameter, {}).items():
                tensors[f"{_OPTIMIZER}{part}/{name}"] = value
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        about = {"identity": self.identity, "standing": json.dumps(vars(standing))}
        write_whole(self.path, lambda file: file.write(save(plain, about)))
        self._saved = time.monotonic()
        self._took = self._saved - began

    def beside(self, part: str) -> Keeper:
        """Another file of the same trainings."""
        path = self.path and self.path.with_name(self.path.name.replace(_ENDING, f"{part}.{_ENDING}"))
        return replace(self, path=path)


def keeper_of(
    features: FeatureStore, train: LabelledSet, task: str, protocol: Mapping[str, Any], part: str = ""
) -> Keeper:
    """Keeps the trainings of a task in the run's folder of features, until `forget`.

    Args:
        features: whose weights are asked, and where files lie; nothing is kept where it keeps nothing.
        train: what is learned from.
        task: its name.
        protocol: all else that decides the numbers.
        part: where a task trains several things, which.
    """
    path = features.folder and features.folder / f"{train.name}-{task}.{part and f'{part}.'}{_ENDING}"
    model, facts = features.model, digest(json.dumps(protocol, sort_keys=True))
    device = model.device.type if isinstance(model, Model) else ""  # another computes other numbers
    return Keeper(path, f"{model.weights_hash} {task} {facts} {part} {device}")


def forget(features: FeatureStore, train: LabelledSet, task: str) -> None:
    """The task's score is written: what was kept of its trainings is not needed any more."""
    if features.folder is not None:
        for path in features.folder.glob(f"{escape(f'{train.name}-{task}')}.*{_ENDING}"):
            path.unlink(missing_ok=True)


def _under(beginning: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(beginning): t for n, t in tensors.items() if n.startswith(beginning)}


def _counts_on_device(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the optimizer counts its steps where its parameters are, as fused ones do."""
    return any(group.get("fused") or group.get("capturable") for group in optimizer.param_groups)


def _laid_out_as(parameter: nn.Parameter, value: Tensor) -> Tensor:
    """A fused optimizer walks through memory: its state must lie as its parameter does (channels last)."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
