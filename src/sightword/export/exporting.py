"""One export: written aside, loaded again, compared, and only then in its place."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from sightword.errors import SightwordError
from sightword.export import card, notices
from sightword.export.agreement import Agreement, compare, take_sample
from sightword.export.own_folder import OwnFolder
from sightword.export.own_names import borrowed_of, left_out
from sightword.export.target import Target, UnloadableError, version_of
from sightword.export.targets import TARGETS, find
from sightword.training.model import Model, load_model, place_of_scores
from sightword.training.records import code_version, file_digest

RECORD = "export.json"


@dataclass(frozen=True)
class Exported:
    """What came of it.

    told: what a user must know of how the model is held.
    by: who loaded the folder to compare it.
    unchecked: why the library that it is for did not load it; "" when it did.
    """

    target: str
    out: Path
    told: tuple[str, ...]
    by: str
    unchecked: str
    agreement: tuple[Agreement, ...]

    def lines(self) -> Iterator[str]:
        """For people: what was compared, and where the folder lies."""
        yield from (f"note: {line}" for line in self.told)
        yield from (f"{one.line()}, loaded by {self.by}" for one in self.agreement)
        if self.unchecked:
            yield f"note: {self.unchecked}; {self.by} read the folder back instead"
        yield str(self.out)


def export(run: str | Path, to: str, out: Path | None = None, licence: str = "") -> Exported:
    """Export a run, one of its files of weights, or weights from elsewhere, and verify it.

    Args:
        run: what `load_model` takes.
        to: a form of `targets`.
        out: the folder to write; `RUN/export/FORM` by default. An earlier export there is replaced.
        licence: of the weights, for the model card, such as "apache-2.0".

    Raises:
        SightwordError: the form is unknown or cannot hold the model, what is needed for writing is not
            installed, the folder is taken, or the exported features are not the run's. Then nothing is left.
    """
    target = find(to)
    scores = place_of_scores(run)
    place = out or scores / "export" / target.name
    _demand_free(place)
    return export_model(load_model(run, "cpu"), target, place, scores, licence)


def export_model(model: Model, target: Target, place: Path, scores: Path, licence: str = "") -> Exported:
    """Export a model, and verify it.

    Args:
        model: on the CPU.
        target: the form.
        place: the folder to write.
        scores: where the model's `scores.jsonl` lies, if anywhere.
        licence: of the weights.

    Raises:
        SightwordError: as `export`.
    """
    _demand_fit(target, model)
    with _aside(place) as folder, Console(stderr=True).status(f"export {model.name} to {target.name}"):
        target.write(model, folder)
        by, unchecked, agreement = _verified(target, model, folder)
        target.settle(folder, place)
        done = Exported(target.name, place, _told(target, model), by, unchecked, agreement)
        *said, _ = done.lines()
        facts = card.Facts(scores, place, licence, said, notices.write(model, folder))
        card.write(folder, model, target, facts)
        _write_record(folder, model, target, done, licence)
        _put(folder, place)
    return done


def _demand_free(place: Path) -> None:
    if place.is_dir() and any(place.iterdir()) and not (place / RECORD).is_file():
        raise SightwordError(f"'{place}' holds something else than an export; give another --out")
    if place.exists() and not place.is_dir():
        raise SightwordError(f"'{place}' is a file; give a folder as --out")


def _demand_fit(target: Target, model: Model) -> None:
    why = _reason_against(target, model)
    if why:
        others = [one.name for one in TARGETS if not _reason_against(one, model)]
        raise SightwordError(
            f"'{model.name}' cannot be exported to {target.name}: {why}; use --to {' or '.join(others)}"
        )


def _reason_against(target: Target, model: Model) -> str:
    borrowed = "" if target.borrowed else borrowed_of(model)
    if borrowed:
        return f"{borrowed}, a network of another library, which only sightword's own folder holds"
    return target.refuses(model)


def _told(target: Target, model: Model) -> tuple[str, ...]:
    left = [] if isinstance(target, OwnFolder) else left_out(model)
    parts = [f"left out: {', '.join(left)}, which features do not hang on"] if left else []
    return tuple(part for part in (*model.notes, target.told(model), *parts) if part)


def _verified(target: Target, model: Model, folder: Path) -> tuple[str, str, tuple[Agreement, ...]]:
    """Who loaded the folder, why not the library that it is for, and what was compared."""
    sample = take_sample(model.preparation)
    try:
        loaded, unchecked = target.loaded(model, folder), ""
        agreement = tuple(compare(model, loaded, sample))
    except (UnloadableError, ImportError) as error:
        loaded, unchecked = target.reread(model, folder), " ".join(str(error).split())
        agreement = tuple(compare(model, loaded, sample))
    except SightwordError:
        raise
    except Exception as error:  # whatever a library raises at a folder that it cannot take
        why = " ".join(str(error).split()) or type(error).__name__
        raise SightwordError(
            f"the export to {target.name} cannot be loaded by its library ({why}); nothing was written"
        ) from error
    wrong = [one.line() for one in agreement if not one.holds]
    if wrong:
        raise SightwordError(
            f"the export to {target.name} is not the model: loaded by {loaded.by}, features differ,"
            f" {'; '.join(wrong)}; nothing was written"
        )
    return loaded.by, unchecked, agreement


def _write_record(folder: Path, model: Model, target: Target, done: Exported, licence: str) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    record: dict[str, Any] = {
        "kind": "export",
        "target": target.name,
        "run": model.name,
        "weights_hash": model.weights_hash,
        "step": model.step,
        "samples": model.samples,
        "flops": model.flops,
        "preparation": model.preparation.record(),
        "agreement": [one.record() for one in done.agreement],
        "loaded_by": done.by,
        "unchecked": done.unchecked,
        "told": list(done.told),
        "licence": licence,
        "files": {str(path.relative_to(folder)): file_digest(path) for path in files},
        "versions": {name: found for name in ("torch", *target.packages) if (found := version_of(name))},
        "code_version": code_version(),
        "time": round(time.time(), 3),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _aside(place: Path) -> Iterator[Path]:
    """An empty folder beside `place`, gone afterwards unless it was renamed."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".writing", dir=place.parent))
    except OSError as error:
        raise SightwordError(
            f"cannot write to '{place.parent}': {error.strerror}; give another --out"
        ) from error
    try:
        folder.chmod(0o755)
        yield folder
    except OSError as error:
        raise SightwordError(
            f"could not write '{place}': {error}; free some space, then export again"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(folder: Path, place: Path) -> None:
    """Rename into place; an earlier export is there until the new one is whole."""
    if not place.exists():
        os.rename(folder, place)
        return
    old = folder.with_suffix(".old")
    os.rename(place, old)
    os.rename(folder, place)
    shutil.rmtree(old, ignore_errors=True)
