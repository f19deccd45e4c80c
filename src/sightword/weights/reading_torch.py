"""What torch.save and torch.jit.save wrote, as tensors and plain values; nothing of it is run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightword.errors import SightwordError
from sightword.weights.archives import Archive, look_into, without_program
from sightword.weights.pickles import asked_for, only_plain

ZIP, PICKLE = b"PK\x03\x04", b"\x80"  # how files begin that torch wrote since version 1.6, and before
_PICKLES = 5  # in a file of torch before 1.6: magic number, version, machine, the object, keys of storages
_LISTS = "torch.jit._pickle."  # TorchScript's names for typed lists and dictionaries


class _Module:
    """Stands for any class of a TorchScript archive: its parameters and modules as plain attributes."""


def read_torch(file: Path) -> object:
    """What the file holds: dictionaries of tensors and plain values.

    torch reads it with `weights_only`, after a look at what its pickle asks for, and maps the storages: a
    storage that claims more than the file holds takes no memory. A TorchScript archive is read without
    running its code: its tensors come by the names of the modules that hold them.

    Raises:
        SightwordError: when it asks for anything that could run code, or is damaged.
    """
    try:
        with file.open("rb") as opened:
            if opened.read(len(ZIP)) == ZIP:
                return _read_archive(file, look_into(file))
            opened.seek(0)
            only_plain(asked_for(opened, _PICKLES), str(file))
        return _load(file, mmap=False)
    except SightwordError:
        raise
    except Exception as error:  # torch and zipfile raise anything at all on damaged files
        said = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise SightwordError(
            f"'{file}' is damaged, or not from torch.save ({said}); fetch it again"
        ) from error


def _read_archive(file: Path, archive: Archive) -> object:
    if not archive.is_program:
        only_plain(archive.names, str(file))
        return _load(file, mmap=True)
    classes = {name for name in archive.names if name.startswith("__torch__.")}
    lists = {name for name in archive.names if name.startswith(_LISTS)}
    only_plain(archive.names - classes - lists, str(file))
    known: list[Any] = [*((_Module, name) for name in classes), *((_first, name) for name in lists)]
    with without_program(file, archive) as copy, torch.serialization.safe_globals(known):
        return dict(_parameters(_load(copy, mmap=True), "", set()))


def _load(file: Path, mmap: bool) -> object:
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)


def _first(value: object, *_: object) -> object:
    return value


def _parameters(found: object, prefix: str, known: set[int]) -> Iterator[tuple[str, Tensor]]:
    if not isinstance(found, _Module) or id(found) in known:
        return
    known.add(id(found))  # a module that is there twice is read once: it may even hold itself
    for name, value in vars(found).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        else:
            yield from _parameters(value, f"{prefix}{name}.", known)
