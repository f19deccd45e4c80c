"""Labelled sets: pictures with what is known about them, in the one shape that every task reads."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from sightword.errors import SightwordError
from sightword.evaluation.cards import Metric
from sightword.evaluation.progress import watched

TRAIN, VALIDATIONS = "train", ("val", "valid", "validation")
PLAIN = ("{}",)  # the class name alone
Picture = bytes | UInt8[np.ndarray, "h w 3"]  # a file, or what is kept as pixels


@dataclass(frozen=True)
class Labels:
    """One label for each sample: `of` has shape (n,) and counts into `names`."""

    names: tuple[str, ...]
    of: Int64[np.ndarray, " n"]

    @staticmethod
    def from_names(of: Iterable[str], names: Sequence[str] | None = None) -> Labels:
        """Labels from each sample's class name; among the given names, or those that occur, sorted."""
        found = list(of)
        known = sorted(set(found)) if names is None else list(names)
        position = {name: i for i, name in enumerate(known)}
        return Labels(tuple(known), np.array([position[name] for name in found], dtype=np.int64))


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """One split of a benchmark. Pictures are read one at a time, when asked for.

    read: a picture by its position: the file's bytes, or pixels where the publisher ships those.
    classes: what zero-shot classification chooses among; None for a retrieval set.
    groups: coarser labels. Where present, they are what probes learn and what maps are coloured by.
    templates: prompts with `{}` or `{c}` for the class name.
    synonyms: for each class, its other names.
    captions: for each sample, its captions.
    clusters: for each sample, what it shares its errors with (the concept that several artists drew);
        intervals resample whole clusters. None: samples are independent.
    wordings: for each class, the names that zero-shot prompts are made of, where it is not the class name.
    metric: the one that the set's papers report.
    validation: of a training part, the publisher's own split for choosing settings (put here by `Benchmark`).
    """

    name: str
    split: str
    keys: tuple[str, ...]
    read: Callable[[int], Picture] = field(repr=False)
    classes: Labels | None = None
    groups: Labels | None = None
    templates: tuple[str, ...] = PLAIN
    synonyms: tuple[tuple[str, ...], ...] = ()
    captions: tuple[tuple[str, ...], ...] = ()
    clusters: tuple[str, ...] = ()
    wordings: tuple[tuple[str, ...], ...] = ()
    metric: Metric = "acc1"
    validation: LabelledSet | None = None

    def __post_init__(self) -> None:
        for word in (self.name, self.split):  # files are named after them
            if not word or set(word) & set("/\\\0"):
                raise SightwordError(f"a set or split is called {word!r}; wanted a name without / or \\")
        if not self.keys:
            raise SightwordError(f"{self.name}/{self.split} holds no samples; wanted at least one picture")
        for part in (self.captions, self.clusters):
            assert len(part) in (0, len(self.keys))
        if len(set(self.keys)) != len(self.keys):
            seen: set[str] = set()
            twice = next(key for key in self.keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise SightwordError(f"{self.name}/{self.split} holds the key '{twice}' twice; keys must differ")

    def __len__(self) -> int:
        return len(self.keys)

    def keys_of(self, rows: Int64[np.ndarray, " m"]) -> list[str]:
        """The keys of some samples."""
        return [self.keys[row] for row in rows]

    def clusters_of(self, rows: Int64[np.ndarray, " m"]) -> list[str]:
        """The clusters of some samples; none at all when samples are independent."""
        return [self.clusters[row] for row in rows] if self.clusters else []

    def file(self, i: int) -> bytes:
        """A picture as a file; of one that is kept as pixels, a PNG."""
        found = self.read(i)
        if isinstance(found, bytes):
            return found
        made = io.BytesIO()
        Image.fromarray(found).save(made, "PNG", compress_level=1)
        return made.getvalue()

    @property
    def probed(self) -> Labels | None:
        """What probes learn: the groups where there are any, otherwise the classes."""
        return self.groups or self.classes

    @cached_property
    def data_hash(self) -> str:
        """A hash of the pictures' bytes and of all that is known about them; reads every picture once."""
        digest = hashlib.blake2b(digest_size=16)
        for labels in (self.classes, self.groups):
            digest.update(repr(None if labels is None else labels.names).encode())
            digest.update(b"" if labels is None else labels.of.astype("<i8").tobytes())
        digest.update(repr((self.captions, self.clusters)).encode())
        keys = watched(self.keys, len(self), f"hash of {self.name}/{self.split}")
        for i, key in enumerate(keys):
            digest.update(key.encode() + b"\0" + _hash_of(self.read(i)))
        return digest.hexdigest()


def _hash_of(picture: Picture) -> bytes:
    if isinstance(picture, bytes):
        return hashlib.blake2b(picture, digest_size=16).digest()
    return hashlib.blake2b(repr(picture.shape).encode() + picture.tobytes(), digest_size=16).digest()


@dataclass(frozen=True, eq=False)
class Benchmark:
    """What a place of data yields: splits to be tested on, and perhaps one that probes may learn from.

    validation: the publisher's own, on which settings are chosen; where there is none, they are chosen on a
        part of `train`. Neither is ever `tests`.
    """

    name: str
    tests: tuple[LabelledSet, ...]
    train: LabelledSet | None = None
    validation: LabelledSet | None = None

    def __post_init__(self) -> None:
        for other in (self.train, self.validation):
            if other is not None and other.probed is not None:
                for test in self.tests:
                    assert test.probed is None or test.probed.names == other.probed.names
        if self.train is not None and self.validation is not None:
            object.__setattr__(self, "train", replace(self.train, validation=self.validation))


def benchmark_of(name: str, sets: Mapping[str, LabelledSet]) -> Benchmark | None:
    """The splits of one set in their roles; None when there is nothing to test on.

    `train` is learned from; `val`, `valid` or `validation` is what settings are chosen on where there is
    another split to test on, else it is the test.

    Raises:
        SightwordError: for several validation splits.
    """
    others = [split for split in sets if split != TRAIN]
    chosen_on = [split for split in others if split in VALIDATIONS]
    tests = [split for split in others if split not in chosen_on]
    if tests and len(chosen_on) > 1:
        several = " and ".join(chosen_on)
        raise SightwordError(f"{name} holds {several} beside {tests[0]}; leave one of them there")
    if not tests:
        tests, chosen_on = chosen_on, []
    if not tests:
        return None
    validation = sets[chosen_on[0]] if chosen_on else None
    return Benchmark(name, tuple(sets[split] for split in tests), sets.get(TRAIN), validation)
