"""Where a fine-tuning stands, kept on disk, so that one that was killed goes on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from sightword.pairs.files import write_whole
from sightword.training.disk import read_tensors, writing

SECONDS = 60.0  # between two saves at ends of epochs
_MODEL, _OPTIMIZER = "model/", "optimizer/"


@dataclass(frozen=True)
class Standing:
    """How far a fine-tuning has come.

    scored: what each learning rate that is done with scored on the held-out part, by its factor.
    factor: of the learning rate that is being tried, 0 for the last training, with the one that was chosen.
    epochs: of that training that are done.
    """

    scored: Mapping[str, float] = field(default_factory=dict)
    factor: float = 0.0
    epochs: int = 0


@dataclass(eq=False)
class Keeper:
    """The one file of an unfinished fine-tuning.

    path: None keeps nothing.
    identity: names weights, data and protocol. A file of another identity is not gone on with.
    seconds: between two saves.
    """

    path: Path | None
    identity: str
    seconds: float = SECONDS
    _saved: float = field(default_factory=time.monotonic)

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

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put weights, statistics and the optimizer's state back."""
        assert self.path is not None
        tensors = read_tensors(self.path)
        own = {n.removeprefix(_MODEL): t for n, t in tensors.items() if n.startswith(_MODEL)}
        model.load_state_dict(dict(own))
        parameters = dict(model.named_parameters())
        optimizer.state.clear()
        for key in (key for key in tensors if key.startswith(_OPTIMIZER)):
            part, _, name = key.removeprefix(_OPTIMIZER).partition("/")
            optimizer.state[parameters[name]][part] = _laid_out_as(parameters[name], tensors[key])

    def due(self) -> bool:
        """Whether the last save was long enough ago."""
        return self.path is not None and time.monotonic() - self._saved >= self.seconds

    def save(self, standing: Standing, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Replace the file as a whole.

        Raises:
            SightwordError: when it cannot be written.
        """
        if self.path is None:
            return
        tensors = {f"{_MODEL}{name}": value for name, value in model.state_dict().items()}
        for name, parameter in model.named_parameters():
            for part, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{_OPTIMIZER}{part}/{name}"] = value
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        about = {"identity": self.identity, "standing": json.dumps(vars(standing))}
        with writing(self.path):
            write_whole(self.path, lambda file: file.write(save(plain, about)))
        self._saved = time.monotonic()

    def done(self) -> None:
        """All is scored: the file is not needed any more."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _laid_out_as(parameter: nn.Parameter, value: Tensor) -> Tensor:
    """A fused optimizer walks through memory: its state must lie as its parameter does (channels last)."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
