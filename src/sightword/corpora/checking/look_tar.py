"""A part of one tar examined: its structure, its samples, every picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightword.corpora.checking.findings import Kind
from sightword.corpora.checking.looking import Look, Looked, Looking
from sightword.corpora.parallel import Tick
from sightword.errors import BadSample, SightwordError
from sightword.pairs.tars.salvage import Damage, File, survey
from sightword.pairs.tars.tar import Tar
from sightword.pairs.tars.walk import PICTURES

SMALLEST, LARGEST = 16 << 20, 128 << 20  # bytes of a tar that one job examines
MIB = 1 << 20


@dataclass(frozen=True)
class TarJob:
    """The samples of a tar whose first file lies between two bytes; the first part tells of the whole tar."""

    number: int
    path: Path
    start: int
    stop: int


@dataclass
class Group:
    """The files of one key."""

    key: str
    pictures: list[File] = field(default_factory=list)
    captions: list[File] = field(default_factory=list)
    jsons: list[File] = field(default_factory=list)
    scattered: bool = False

    @property
    def files(self) -> list[File]:
        """All of them."""
        return [*self.pictures, *self.captions, *self.jsons]


def part_size(size: int, processes: int) -> int:
    """How much of a tar one job should examine, of `size` bytes in all: each walks its whole tar first."""
    return max(SMALLEST, min(LARGEST, size // (4 * processes)))


def tar_jobs(path: Path, part: int, first: int) -> Iterator[TarJob]:
    """The jobs of a tar, `part` bytes each, numbered from `first`."""
    size = max(1, path.stat().st_size)
    for number, start in enumerate(range(0, size, part)):
        yield TarJob(first + number, path, start, min(start + part, size))


def look_at_tar(looking: Looking, job: TarJob, tick: Tick) -> Looked:
    """Examine a part of a tar; told of every MiB that is done."""
    with Look(looking, job.number, str(job.path)) as look:
        done = _Steps(job.start // MIB, tick)
        try:
            tar = Tar(job.path)
            files, damages = survey(tar)
            groups = _groups(files)
            if job.start == 0:
                _tell_of_all(look, files, damages, groups)
            for group in groups:
                if job.start <= min(file.offset for file in group.files) < job.stop:
                    _look_at(look, tar, group)
                    done.at(group.files[0].offset // MIB)
        except (SightwordError, OSError) as error:  # the tar went away, or its disk did
            look.add(Kind.DAMAGED_SHARD, "", str(error))
        done.at(-(-job.stop // MIB))
    return look.told()


def _groups(files: Sequence[File]) -> list[Group]:
    """Samples in the order of their keys, as `pairs.index` finds them."""
    groups, before = dict[str, Group](), ""
    for file in files:
        folder, slash, name = file.name.rpartition("/")
        stem, _, extension = name.partition(".")
        slot = _slot(extension.lower())
        if not (slot and stem and file.regular):
            continue
        key = folder + slash + stem
        group = groups.setdefault(key, Group(key))
        group.scattered |= bool(group.files) and key != before
        getattr(group, slot).append(file)
        before = key
    return list(groups.values())


def _slot(extension: str) -> str:
    return "pictures" if extension in PICTURES else {"txt": "captions", "json": "jsons"}.get(extension, "")


def _tell_of_all(
    look: Look, files: Sequence[File], damages: Sequence[Damage], groups: Sequence[Group]
) -> None:
    for damage in damages:
        look.add(Kind.DAMAGED_SHARD, "", damage.told())
    known = {file.offset for group in groups for file in group.files}
    others = [file for file in files if file.offset not in known]
    if others:
        named = ", ".join(file.name for file in others[:3])
        look.add(Kind.OTHER_FILES, "", f"{len(others):,} files: {named}{' ...' if len(others) > 3 else ''}")


def _look_at(look: Look, tar: Tar, group: Group) -> None:
    """One sample. Whatever is wrong with its words, its picture is looked at."""
    fields = _fields(look, tar, group)
    if look.looking.split and fields.get("split") != look.looking.split:
        return
    for twice in (group.pictures[1:], group.captions[1:], group.jsons[1:]):
        for file in twice:
            look.add(Kind.TWO_OF_A_KEY, group.key, f"'{file.name}' comes after another one")
    if group.scattered:
        look.add(Kind.SCATTERED, group.key, "other files lie between its own")
    look.captions(group.key, _captions(look, tar, group, fields))
    if not group.pictures:
        look.add(Kind.NO_PICTURE, group.key, f"only {', '.join(file.name for file in group.files)}")
        return
    file = group.pictures[0]
    try:
        data = tar.read(file.offset, file.size)
    except OSError as error:
        look.unreadable(BadSample(group.key, f"cannot be read: {error.strerror}"))
        return
    look.picture(group.key, data, file.name.rpartition(".")[2])


def _fields(look: Look, tar: Tar, group: Group) -> dict[str, Any]:
    if not group.jsons:
        return {}
    file = group.jsons[0]
    try:
        value = json.loads(tar.read(file.offset, file.size))
    except (ValueError, RecursionError, OSError) as error:
        look.add(Kind.BAD_JSON, group.key, f"'{file.name}' is not JSON: {error}")
        return {}
    if not isinstance(value, dict):
        look.add(Kind.BAD_JSON, group.key, f"'{file.name}' holds a {type(value).__name__}, wanted an object")
        return {}
    return value


def _captions(look: Look, tar: Tar, group: Group, fields: dict[str, Any]) -> list[str]:
    """What a sample says: its `.txt`, then its json's other `captions`."""
    if not group.captions:
        if group.pictures and not look.looking.captionless:
            look.add(Kind.NO_CAPTION, group.key, f"only {', '.join(file.name for file in group.files)}")
        return []
    file = group.captions[0]
    try:
        text = tar.read(file.offset, file.size).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        look.add(Kind.NOT_UTF8, group.key, f"'{file.name}', at byte {error.start}")
        return []
    except OSError as error:
        look.add(Kind.EMPTY_CAPTION, group.key, f"'{file.name}' cannot be read: {error.strerror}")
        return []
    if not text and not look.looking.captionless:
        look.add(
            Kind.EMPTY_CAPTION, group.key, f"'{file.name}' has {file.size} bytes, none of them says anything"
        )
    listed = fields.get("captions")
    others = [other for other in listed if isinstance(other, str)] if isinstance(listed, list) else []
    return list(dict.fromkeys(filter(None, [text, *(other.strip() for other in others)])))


class _Steps:
    """Ticks from positions that only grow on average."""

    def __init__(self, start: int, tick: Tick) -> None:
        self._done, self._tick = start, tick

    def at(self, position: int) -> None:
        if position > self._done:
            self._tick(position - self._done)
            self._done = position
