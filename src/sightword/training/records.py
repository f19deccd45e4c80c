"""Records: every number of a run as a line of JSON, and the sinks that also want to see them."""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import sightword
from sightword.errors import SightwordError, unknown
from sightword.training.disk import write_text, writing


def read_records(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a file of records; a last line that was cut short by a crash is left out.

    Raises:
        SightwordError: when another line is no record.
    """
    if not path.is_file():
        return []
    records = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            records += [json.loads(line)] if line else []
        except ValueError as error:
            raise SightwordError(
                f"'{path}' line {number} is no record ({error}); remove it or restore the file"
            ) from error
    return records


def code_version() -> str:
    """The version of the package, with the commit and `+dirty` when it runs from a git checkout."""
    root = Path(sightword.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return sightword.__version__
    git = ["git", "-C", str(root)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
        state = subprocess.run(
            [*git, "status", "--porcelain", "src"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return sightword.__version__
    return f"{sightword.__version__}+{commit.stdout.strip()}{'.dirty' if state.stdout.strip() else ''}"


def digest(text: str | bytes) -> str:
    """A short stable hash."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Sink(ABC):
    """Somewhere that records go beside `metrics.jsonl`."""

    @abstractmethod
    def write(self, record: Mapping[str, Any]) -> None:
        """Take one record of kind `step`."""

    @abstractmethod
    def close(self) -> None:
        """Flush."""


class TensorBoard(Sink):
    """Scalars for TensorBoard, under `RUN/tensorboard`."""

    module = "torch.utils.tensorboard"

    def __init__(self, out: Path, config: Mapping[str, Any], step: int) -> None:
        self._writer = _optional(self.module, "tensorboard").SummaryWriter(
            str(out / "tensorboard"), purge_step=step + 1 if step else None
        )

    def write(self, record: Mapping[str, Any]) -> None:
        for name, value in flatten(record):
            self._writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases(Sink):
    """A W&B run whose id is kept in the run directory, so that a resumed run goes on in the same one."""

    module = "wandb"

    def __init__(self, out: Path, config: Mapping[str, Any], step: int) -> None:
        wandb = _optional(self.module, "wandb")
        kept = out / "wandb_id"
        identity = kept.read_text() if kept.exists() else wandb.util.generate_id()
        kept.write_text(identity)
        self._run = wandb.init(
            project="sightword", name=out.name, id=identity, resume="allow", dir=str(out), config=dict(config)
        )

    def write(self, record: Mapping[str, Any]) -> None:
        self._run.log(dict(flatten(record)), step=record["step"])

    def close(self) -> None:
        self._run.finish()


_SINKS: dict[str, type[TensorBoard] | type[WeightsAndBiases]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
}


def check_sinks(names: Iterable[str]) -> None:
    """See that the sinks of `--report-to` can be opened, before a run is begun.

    Raises:
        SightwordError: when one is unknown, or its package is not installed.
    """
    for name in names:
        if name not in _SINKS:
            raise unknown("--report-to", name, _SINKS)
        _optional(_SINKS[name].module, name)


def open_sinks(names: Iterable[str], out: Path, config: Mapping[str, Any], step: int) -> list[Sink]:
    """The sinks of `--report-to`, for a run that goes on after `step`."""
    check_sinks(names)
    return [_SINKS[name](out, config, step) for name in names]


class Records:
    """The run's `metrics.jsonl`, kept whole line by line, and its sinks.

    Opened at a step, it drops what was recorded after it: a resumed run records those steps again.

    Raises:
        SightwordError: when the disk is full.
    """

    def __init__(self, path: Path, step: int, sinks: Iterable[Sink] = ()) -> None:
        kept = [r for r in read_records(path) if step > 0 and r.get("step", 0) <= step and r["kind"] != "end"]
        write_text(path, "".join(json.dumps(r) + "\n" for r in kept))
        self._path, self._file = path, path.open("ab", buffering=0)
        self._sinks = list(sinks)

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, kind: str, **values: Any) -> None:
        """Append one record, with the time. A number that is not finite becomes null, as JSON has none."""
        record = _finite({"kind": kind, **values, "time": round(time.time(), 3)})
        with writing(self._path):
            self._file.write(json.dumps(record, allow_nan=False).encode() + b"\n")
        if kind == "step":
            for sink in self._sinks:
                sink.write(record)

    def sync(self) -> None:
        """Wait until everything has reached the disk, so that no checkpoint is ahead of its records."""
        with writing(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flush everything."""
        self._file.close()
        for sink in self._sinks:
            sink.close()


class Nowhere(Records):
    """For the processes of a run that leave records to the first."""

    def __init__(self) -> None:
        pass

    def write(self, kind: str, **values: Any) -> None:
        pass

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flatten(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """The numbers of a nested record, named by their path."""
    rows: list[tuple[str, float]] = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            rows += flatten(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name not in ("step", "time"):
            rows.append((prefix + name, float(value)))
    return rows


def _optional(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SightwordError(
            f"--report-to {extra} needs a package that is not installed;"
            f" run: pip install 'sightword[{extra}]'"
        ) from error
