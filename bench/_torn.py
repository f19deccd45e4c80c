"""Faults of checkpoints that lie on the disk: torn, altered, gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from _attempts import Attempt
from _moments import Draw, Fault, Room, kill

Way = Callable[[Path, Random], str]  # spoils a checkpoint's folder and says how


def torn(how: Callable[[list[Path], Random], str]) -> Draw:
    """A kill when there are two checkpoints or more, then something happens to some of them."""

    def draw(room: Room, chance: Random) -> Fault:
        first = max(room.start, 2 * room.every)
        step, later = chance.randint(first, first + room.every - 2), chance.uniform(0, 0.04)

        def act(attempt: Attempt) -> bool:
            folder = Path(attempt.plan.run, "checkpoints")
            attempt.until(lambda: attempt.reached(step) and len(list(folder.glob("step-*"))) > 1)
            return kill(attempt, later)

        def spoil(run: Path, chance: Random) -> str:
            return how(sorted((run / "checkpoints").glob("step-*")), chance)

        return Fault(act=act, spoil=spoil)

    return draw


def _some_file(folder: Path, chance: Random, smallest: int = 1) -> Path:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return chance.choice([file for file in files if file.stat().st_size >= smallest])


def truncate(folder: Path, chance: Random) -> str:
    """A file of it loses its end."""
    file = _some_file(folder, chance)
    size = chance.randrange(file.stat().st_size)
    with file.open("r+b") as content:
        content.truncate(size)
    return f"{file.name} cut to {size} bytes"


def flip(folder: Path, chance: Random) -> str:
    """One bit of it is another."""
    file = _some_file(folder, chance)
    content = bytearray(file.read_bytes())
    place, bit = chance.randrange(len(content)), chance.randrange(8)
    content[place] ^= 1 << bit
    file.write_bytes(content)
    return f"{file.name} byte {place} bit {bit} flipped"


def remove(folder: Path, chance: Random) -> str:
    """A file of it is gone."""
    file = _some_file(folder, chance)
    file.unlink()
    return f"{file.name} removed"


def empty(folder: Path, chance: Random) -> str:
    """Nothing is in it."""
    for one in folder.iterdir():
        shutil.rmtree(one) if one.is_dir() else one.unlink()
    return "emptied"


def no_manifest(folder: Path, chance: Random) -> str:
    """Nothing says what belongs to it."""
    (folder / "manifest.json").unlink()
    return "manifest.json removed"


def half_renamed(folder: Path, chance: Random) -> str:
    """It lies aside again, with part of it."""
    remove(folder, chance)
    folder.rename(folder.with_name(f".writing-{folder.name}"))
    return "moved aside, a file removed"


_WAYS = (truncate, flip, remove, empty, no_manifest)


def newest(way: Way) -> Callable[[list[Path], Random], str]:
    return lambda folders, chance: f"{folders[-1].name}: {way(folders[-1], chance)}"


def all_but(kept: int) -> Callable[[list[Path], Random], str]:
    def spoil(folders: list[Path], chance: Random) -> str:
        whole = set(chance.sample(folders, kept))
        return "; ".join(f"{f.name}: {chance.choice(_WAYS)(f, chance)}" for f in folders if f not in whole)

    return spoil
