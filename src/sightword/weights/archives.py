"""The zip archives of torch: looked at before torch reads them; TorchScript's without its code."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from sightword.errors import SightwordError
from sightword.weights.pickles import asked_for

_PROGRAM = b"/constants.pkl"  # by which torch knows TorchScript; a state dict has none


@dataclass(frozen=True)
class Archive:
    """What a torch archive says before it is read.

    names: what its pickle asks for.
    is_program: it is TorchScript, such as OpenAI's released models: parameters and code.
    directory: where in the file its list of entries begins, bytes.
    """

    names: set[str]
    is_program: bool
    directory: int


def look_into(file: Path) -> Archive:
    """An archive whose entries fit their file.

    Raises:
        SightwordError: when entries are packed, twice there, or larger than the file, or there is no pickle.
    """
    with zipfile.ZipFile(file) as archive:
        entries = [entry for entry in archive.infolist() if "/code/" not in entry.filename]
        names = [entry.filename for entry in entries]
        pickles = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1 or len(set(names)) != len(names):
            raise SightwordError(f"'{file}' is a zip archive, but not one that torch.save wrote")
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if packed or sum(entry.file_size for entry in entries) > file.stat().st_size:
            raise SightwordError(
                f"'{file}' unpacks to more than it holds, as no file of torch.save does; fetch it again"
            )
        asked = asked_for(BytesIO(archive.read(pickles[0])))
        program = any(name.endswith(_PROGRAM.decode()) for name in names)
        return Archive(asked, program, archive.start_dir)


@contextmanager
def without_program(file: Path, archive: Archive) -> Iterator[Path]:
    """A copy that torch reads as tensors alone: the entry by which it knows TorchScript has another name.

    The copy is there as long as the context; a map of it stays.
    """
    with tempfile.TemporaryDirectory(prefix="sightword-") as folder:
        copy = Path(folder) / "tensors.pt"
        shutil.copyfile(file, copy)
        with copy.open("r+b") as opened:
            opened.seek(archive.directory)
            listed = opened.read()
            opened.seek(archive.directory)
            opened.write(listed.replace(_PROGRAM, _PROGRAM[:-1] + b"_"))
        yield copy
