"""The storage that torch.distributed.checkpoint writes to and reads from: safetensors and JSON, no pickle.

Each process writes one file of its pieces, `rank-00000.safetensors`; the first one then writes the index, the
state and the manifest, and publishes all of it by renaming the folder. The same pieces are read by any other
number of processes, each taking what overlaps with its own.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.checkpoint import StorageReader, StorageWriter
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem, SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future

from sightword.errors import SightwordError
from sightword.pieces import index
from sightword.pieces.index import Entry, Piece
from sightword.pieces.reading import box, opened
from sightword.training.disk import sync, writing
from sightword.training.saving.manifest import FILE as MANIFEST
from sightword.training.saving.manifest import STATE, Row, row_of, write_manifest


class Writer(StorageWriter):
    """Writes one checkpoint aside and renames it to `target`, which is whole from then on.

    Args:
        target: the folder that the checkpoint will be.
        state: what it knows beside tensors; of the first process.
        names: of all tensors that the checkpoint must hold, of whichever process: they must agree.
    """

    def __init__(self, target: Path, state: Mapping[str, Any], names: frozenset[str]) -> None:
        self._target = target
        self._aside = target.with_name(f".writing-{target.name}")
        self._state, self._names = dict(state), names

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Nothing is kept from one checkpoint to the next."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Roles are given by `prepare_global_plan`."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Tell the first process which names there are."""
        return replace(plan, storage_data=self._names)

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """An empty folder, and in it a file for each process."""
        planned = [item.index for plan in plans for item in plan.items]
        assert all(plan.storage_data == self._names for plan in plans), "processes hold different tensors"
        assert {place.fqn for place in planned} == self._names, "a tensor is written by nobody"
        with writing(self._target):
            shutil.rmtree(self._aside, ignore_errors=True)
            self._aside.mkdir(parents=True)
        return [replace(plan, storage_data=index.rank_file(rank)) for rank, plan in enumerate(plans)]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """This process's pieces; every result brings its place in the file, and what the file is."""
        tensors = {item.index.fqn: planner.resolve_data(item) for item in plan.items}
        assert len(tensors) == len(plan.items), "a process writes one piece of a tensor"
        held = {name: t for name, t in tensors.items() if isinstance(t, Tensor) and t.numel()}
        done: Future[list[WriteResult]] = Future()
        done.set_result(self._write(plan, held) if held else [])
        return done

    def _write(self, plan: SavePlan, held: Mapping[str, Tensor]) -> list[WriteResult]:
        with writing(self._target):
            self._aside.mkdir(parents=True, exist_ok=True)  # another host's view of a shared disk may be old
            file = self._aside / plan.storage_data
            save_file(dict(held), file)
            sync(file)
            row = row_of(file)
        return [
            WriteResult(item.index, held[item.index.fqn].nbytes, (_piece(file.name, item.index, held), row))
            for item in plan.items
            if item.index.fqn in held
        ]

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """In the first process, when all have written: the rest, and then the name."""
        stored = [result.storage_data for rank in results for result in rank]
        rows: dict[str, Row] = {piece.file: row for piece, row in stored}
        pieces: dict[str, list[Piece]] = defaultdict(list)
        for piece, _ in stored:
            pieces[piece.key].append(piece)
        with writing(self._target):
            self._seen(rows)
            _write_text(self._aside / index.FILE, index.to_json(_index(metadata, pieces)))
            _write_text(self._aside / STATE, json.dumps(self._state, sort_keys=True))
            own = {name: row_of(self._aside / name) for name in (index.FILE, STATE)}
            write_manifest(self._aside, rows | own)
            sync(self._aside / MANIFEST)
            sync(self._aside)
            shutil.rmtree(self._target, ignore_errors=True)
            os.replace(self._aside, self._target)
            for parent in (self._target.parent, self._target.parent.parent):
                sync(parent)

    def _seen(self, rows: Mapping[str, Row]) -> None:
        """The other processes' files must lie here too."""
        for name, row in rows.items():
            file = self._aside / name
            if not file.is_file() or file.stat().st_size != row.bytes:
                raise SightwordError(
                    f"'{file}' of another process is not seen by the first one; --out must lie on a disk that"
                    " all machines share"
                )

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Folders only."""
        return isinstance(checkpoint_id, str | os.PathLike)


class Reader(StorageReader):
    """Reads the pieces of a checkpoint that was found whole.

    Args:
        folder: the checkpoint's.
        entries: its index, as `read_index` gives it.
    """

    def __init__(self, folder: Path, entries: Mapping[str, Entry]) -> None:
        self._folder, self._entries = folder, entries

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Nothing is kept from one checkpoint to the next."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The index, as torch.distributed.checkpoint words it."""
        return Metadata({name: _metadata(entry) for name, entry in self._entries.items()})

    def set_up_storage_reader(
        self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any
    ) -> None:
        """All processes read alike."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """As it is."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """As they are."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Copy what overlaps, file by file.

        Raises:
            SightwordError: when a file does not hold what the index says.
        """
        wanted: dict[str, list[tuple[ReadItem, Piece]]] = defaultdict(list)
        for item in plan.items:
            piece = self._piece(item.storage_index)
            wanted[piece.file].append((item, piece))
        for name, items in wanted.items():
            with opened(self._folder / name) as file:
                for item, piece in items:
                    entry = self._entries[item.storage_index.fqn]
                    value = box(file, piece, entry, item.storage_offsets, item.lengths)
                    target = planner.resolve_tensor(item).detach()
                    target.copy_(value)
                    planner.commit_tensor(item, target)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def _piece(self, place: MetadataIndex) -> Piece:
        pieces = self._entries[place.fqn].pieces
        if place.index is not None and pieces[place.index].offsets == tuple(place.offset or ()):
            return pieces[place.index]
        return next(piece for piece in pieces if piece.offsets == tuple(place.offset or ()))

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Folders only."""
        return isinstance(checkpoint_id, str | os.PathLike)


def _metadata(entry: Entry) -> TensorStorageMetadata:
    boxes = [ChunkStorageMetadata(torch.Size(p.offsets), torch.Size(p.sizes)) for p in entry.pieces]
    return TensorStorageMetadata(TensorProperties(entry.dtype), torch.Size(entry.shape), boxes)


def _index(metadata: Metadata, pieces: Mapping[str, list[Piece]]) -> dict[str, Entry]:
    entries = {}
    for name, facts in metadata.state_dict_metadata.items():
        assert isinstance(facts, TensorStorageMetadata)
        own = tuple(sorted(pieces.get(name, []), key=lambda piece: piece.offsets))
        entries[name] = Entry(tuple(facts.size), facts.properties.dtype, own)
    return entries


def _piece(file: str, place: MetadataIndex, held: Mapping[str, Tensor]) -> Piece:
    return Piece(file, place.fqn, tuple(place.offset or ()), tuple(held[place.fqn].shape))


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    sync(file)
