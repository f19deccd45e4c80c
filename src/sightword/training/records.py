"""Records: every number of a run as a line of JSON, and the sinks that also want to see them."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import sightword
from sightword.errors import SightwordError, unknown


def read_records(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a file of records; a last line that was cut short by a crash is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


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

    def __init__(self, out: Path, config: Mapping[str, Any]) -> None:
        self._writer = _optional("torch.utils.tensorboard", "tensorboard").SummaryWriter(
            str(out / "tensorboard")
        )

    def write(self, record: Mapping[str, Any]) -> None:
        for name, value in flatten(record):
            self._writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases(Sink):
    """A W&B run whose id is kept in the run directory, so that a resumed run goes on in the same one."""

    def __init__(self, out: Path, config: Mapping[str, Any]) -> None:
        wandb = _optional("wandb", "wandb")
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


def open_sinks(names: Iterable[str], out: Path, config: Mapping[str, Any]) -> list[Sink]:
    """The sinks of `--report-to`."""
    kinds: dict[str, type[Sink]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}
    for name in names:
        if name not in kinds:
            raise unknown("--report-to", name, kinds)
    return [kinds[name](out, config) for name in names]  # type: ignore[call-arg]


class Records:
    """The run's `metrics.jsonl`, kept whole line by line, and its sinks.

    Opened at a step, it drops what was recorded after it: a resumed run records those steps again.
    """

    def __init__(self, path: Path, step: int, sinks: Iterable[Sink] = ()) -> None:
        kept = [r for r in read_records(path) if step > 0 and r.get("step", 0) <= step and r["kind"] != "end"]
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(r) + "\n" for r in kept), encoding="utf-8")
        os.replace(temporary, path)
        self.kept = kept
        self._file = path.open("a", encoding="utf-8")
        self._sinks = list(sinks)

    def write(self, kind: str, **values: Any) -> None:
        """Append one record."""
        record = {"kind": kind, **values, "time": round(time.time(), 3)}
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        if kind == "step":
            for sink in self._sinks:
                sink.write(record)

    def close(self) -> None:
        """Flush everything."""
        self._file.close()
        for sink in self._sinks:
            sink.close()


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
            f"--report-to {extra} needs a package that is not installed; run: pip install 'sightword[{extra}]'"
        ) from error
