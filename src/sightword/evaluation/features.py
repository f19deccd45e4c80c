"""Features, extracted once for each model, set and transform, and shared by every task."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from sightword.errors import BadSample, SightwordError
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.progress import watched
from sightword.pairs.files import write_whole
from sightword.views.decode import decode
from sightword.views.evaluation import Preparation
from sightword.views.in_threads import mapped

Kind = Literal["pooled", "projected"]
KINDS: tuple[Kind, ...] = ("pooled", "projected")
T = TypeVar("T")
BATCH = 256
Pixels = UInt8[np.ndarray, "h w 3"]


@runtime_checkable
class Encoder(Protocol):
    """What evaluation needs of a model."""

    @property
    def name(self) -> str: ...
    @property
    def weights_hash(self) -> str: ...
    @property
    def step(self) -> int: ...
    @property
    def samples(self) -> int: ...
    @property
    def flops(self) -> float: ...
    @property
    def image_size(self) -> int: ...
    @property
    def has_text(self) -> bool: ...

    def encode_image(
        self, images: UInt8[Tensor, "b 3 h w"], project: bool = False
    ) -> Float[Tensor, "b d"]: ...
    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "n e"]: ...


@runtime_checkable
class Projecting(Protocol):
    """A model whose features in the joint space are made of its own: one encoding gives both."""

    def project_image(self, pooled: Float[Tensor, "b d"]) -> Float[Tensor, "b e"]: ...


@runtime_checkable
class Preparing(Protocol):
    """A model that says how it wants pictures; of others the middle is taken, bilinearly."""

    @property
    def preparation(self) -> Preparation: ...


@dataclass(frozen=True, eq=False)
class Features:
    """Features of a set's readable pictures, float32.

    rows: for each feature, the position of its picture in the set, shape (n,).
    values: of the kinds that were asked for: `pooled`, the tower's own feature, shape (n, d), or `projected`,
        in the joint space and L2-normalised, shape (n, e).
    bad: (key, reason) of the unreadable pictures.
    """

    rows: Int64[np.ndarray, " n"]
    values: Mapping[str, np.ndarray]
    bad: tuple[tuple[str, str], ...]


def preparation_of(model: Encoder) -> Preparation:
    """How a model's pictures are prepared."""
    return model.preparation if isinstance(model, Preparing) else Preparation(model.image_size)


def transform(model: Encoder, resize: int | None = None) -> dict[str, Any]:
    """How pictures are prepared, as a record.

    Args:
        model: its `image_size` is the square's side.
        resize: pixels of the shorter side; the square's by default, so that all tasks but those that must
            have another share one extraction. Of no meaning to a model that squashes pictures.
    """
    return preparation_of(model).record(resize)


class FeatureStore:
    """Extracts a model's features when first asked, and keeps them in memory and in `folder`."""

    def __init__(self, model: Encoder, folder: Path | None) -> None:
        self.model = model
        self._folder = folder
        self._held: dict[tuple[str, int], Features] = {}
        self._made: dict[str, Any] = {}
        self._told: dict[str, Sequence[tuple[str, str]]] = {}

    def of(self, labelled: LabelledSet, kind: Kind, resize: int | None = None) -> Features:
        """Features of a set, holding at least the kind asked for.

        Args:
            labelled: the set.
            kind: `pooled` or `projected`.
            resize: see `transform`; features of different transforms are kept apart.

        Raises:
            SightwordError: when no picture of the set can be read.
        """
        shorter = preparation_of(self.model).shorter(resize)
        place = labelled.data_hash, shorter
        held = self._held.get(place) or self._load(labelled, shorter)
        if held is None or kind not in held.values:
            held = self._with(kind, labelled, held, shorter)
            self._save(labelled, shorter, held)
        self._held[place] = held
        return held

    def _with(self, kind: Kind, labelled: LabelledSet, held: Features | None, resize: int) -> Features:
        """What is held and the kind that lacks; of a projecting model pictures are encoded once for both."""
        model = self.model
        if kind == "projected" and isinstance(model, Projecting):
            if held is None or "pooled" not in held.values:
                held = _merged(held, extract(model, labelled, "pooled", resize))
            projected = model.project_image(torch.from_numpy(held.values["pooled"])).numpy()
            return Features(held.rows, {**held.values, kind: projected}, held.bad)
        return _merged(held, extract(model, labelled, kind, resize))

    def kept(self, name: str, identity: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Numbers that take long to make: in a file until they are dropped, so that work cut short goes on.

        Args:
            name: of the file.
            identity: of all that decides the numbers besides the weights.
            make: makes them, unless the file has those of this identity and these weights.
        """
        path, identity = self._file(name), f"{self.model.weights_hash} {identity}"
        if path is not None and path.is_file():
            with suppress(SightwordError):
                tensors, about = read_features(path)
                if about.get("identity") == identity:
                    return tensors["kept"]
        made = make()
        if path is not None:
            write_whole(path, lambda file: file.write(save({"kept": made}, metadata={"identity": identity})))
        return made

    def drop(self, name: str) -> None:
        """Remove what was kept under a name."""
        path = self._file(name)
        if path is not None:
            path.unlink(missing_ok=True)

    def _file(self, name: str) -> Path | None:
        return self._folder / f"{name}.safetensors" if self._folder else None

    @property
    def folder(self) -> Path | None:
        """Where tasks keep unfinished work; None keeps nothing on disk."""
        return self._folder

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What was made of these features under this name, made when first asked for."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def tell_bad(self, labelled: LabelledSet, bad: Sequence[tuple[str, str]]) -> None:
        """Note what a task that reads a set's pictures itself could not read, as (key, reason)."""
        self._told[labelled.data_hash] = bad

    def bad(self, labelled: LabelledSet) -> tuple[tuple[str, str], ...]:
        """(key, reason) of a set's unreadable pictures, none before somebody asked for them."""
        mine = (held for (data, _), held in self._held.items() if data == labelled.data_hash)
        extracted = next((held.bad for held in mine), ())
        return tuple({**dict(extracted), **dict(self._told.get(labelled.data_hash, ()))}.items())

    def _identity(self, labelled: LabelledSet, shorter: int) -> dict[str, str]:
        facts = {"weights_hash": self.model.weights_hash, "data_hash": labelled.data_hash}
        return {**facts, "transform": json.dumps(transform(self.model, shorter), sort_keys=True)}

    def _path(self, labelled: LabelledSet, shorter: int) -> Path | None:
        # One file for each set and transform: features of earlier weights are replaced, they would pile up.
        usual = shorter == self.model.image_size
        name = f"{labelled.name}-{labelled.split}{'' if usual else f'-resize{shorter}'}"
        return self._file(name)

    def _load(self, labelled: LabelledSet, shorter: int) -> Features | None:
        path = self._path(labelled, shorter)
        if path is None or not path.is_file():
            return None
        try:
            tensors, about = read_features(path)
        except SightwordError:
            return None  # a cache that cannot be read is made again
        if any(about.get(name) != value for name, value in self._identity(labelled, shorter).items()):
            return None
        bad = tuple((key, reason) for key, reason in json.loads(about["bad"]))
        return Features(tensors["rows"], {kind: tensors[kind] for kind in KINDS if kind in tensors}, bad)

    def _save(self, labelled: LabelledSet, shorter: int, features: Features) -> None:
        path = self._path(labelled, shorter)
        if path is None:
            return
        tensors: dict[str, np.ndarray] = {**features.values, "rows": features.rows}
        about = {**self._identity(labelled, shorter), "bad": json.dumps(features.bad)}
        about["keys"] = json.dumps(labelled.keys_of(features.rows))
        if labelled.probed is not None:
            tensors["label"] = labelled.probed.of[features.rows]
            about["labels"] = json.dumps(labelled.probed.names)
        write_whole(path, lambda file: file.write(save(tensors, metadata=about)))


def read_features(path: Path) -> tuple[dict[str, np.ndarray], Mapping[str, str]]:
    """A file of features: tensors `rows`, `label`, `pooled`, `projected` and, as JSON, `keys` and `labels`.

    Raises:
        SightwordError: when it is not whole.
    """
    try:
        with safe_open(path, "numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise SightwordError(
            f"'{path}' is not a whole file of features ({error}); evaluate the run again"
        ) from error


def extract(model: Encoder, labelled: LabelledSet, kind: Kind, resize: int | None = None) -> Features:
    """Features of every readable picture of a set; `resize` as for `transform`.

    Raises:
        SightwordError: when none can be read, or the model answers with NaN.
    """
    rows, parts, bad = list[int](), list[Tensor](), list[tuple[str, str]]()
    for start, pictures in batches(labelled, f"features of {labelled.name}/{labelled.split}"):
        numbered = enumerate(pictures, start)
        good = [(row, picture) for row, picture in numbered if not isinstance(picture, BadSample)]
        bad += [(picture.key, picture.reason) for picture in pictures if isinstance(picture, BadSample)]
        if good:
            rows += [row for row, _ in good]
            images = preparation_of(model)([picture for _, picture in good], resize)
            parts.append(model.encode_image(images, project=kind == "projected"))
    if not parts:
        raise SightwordError(f"no picture of {labelled.name}/{labelled.split} can be read ({bad[0][1]})")
    found = torch.cat(parts).numpy().astype(np.float32)
    if not np.isfinite(found).all():
        raise SightwordError(
            f"run '{model.name}' answers with NaN or Inf; its weights are broken, train it again"
        )
    return Features(np.array(rows, dtype=np.int64), {kind: found}, tuple(bad))


def batches(labelled: LabelledSet, what: str) -> Iterator[tuple[int, list[Pixels | BadSample]]]:
    """A set's pictures in order, decoded by threads: where each batch begins, and its pictures.

    Args:
        labelled: the set.
        what: is done with them, for the bar.
    """
    starts = range(0, len(labelled), BATCH)
    with ThreadPoolExecutor(os.cpu_count()) as threads:

        def begun(start: int) -> Iterator[Pixels | BadSample]:
            rows = range(start, min(start + BATCH, len(labelled)))
            return mapped(partial(picture_of, labelled), rows, threads)

        ahead = begun(0)
        for start in watched(starts, len(labelled), what, BATCH):
            pictures, ahead = list(ahead), begun(start + BATCH)  # decoded while these are encoded
            yield start, pictures


def picture_of(labelled: LabelledSet, i: int) -> Pixels | BadSample:
    """A set's picture by its position, or what is wrong with it."""
    try:
        found = labelled.read(i)
        return decode(found, labelled.keys[i]) if isinstance(found, bytes) else found
    except BadSample as problem:
        return problem


def _merged(one: Features | None, other: Features) -> Features:
    """Both kinds of features of the same pictures."""
    if one is None:
        return other
    assert np.array_equal(one.rows, other.rows)
    return Features(one.rows, {**one.values, **other.values}, one.bad)
