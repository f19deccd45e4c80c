"""Kinds of faults that a run suffers: what strikes it, when, and what it must answer."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal, Protocol

from _attempts import Attempt, How, Line
from _disturbed import Aim

Act = Callable[[Attempt], bool]  # whether it struck
Spoil = Callable[[Path, Random], str]  # says what it did
KILLED = frozenset({-signal.SIGKILL})
HINT = r"(SIGTERM|SIGINT): saved at step \d+ of \d+; go on with: sightword train --resume "
NO_ROOM = r"^sightword: could not write '.*what was saved before is whole: free some space"
NO_LOADER = r"^sightword: a loader process died"


class Room(Protocol):
    """What a fault needs to know of the run that it strikes."""

    @property
    def start(self) -> int:
        """The step with which the next start must go on."""

    @property
    def begun(self) -> bool:
        """Whether it was ever started."""

    @property
    def total(self) -> int:
        """Steps of the whole run."""

    @property
    def every(self) -> int:
        """Steps between checkpoints."""

    @property
    def events(self) -> list[Line]:
        """Everything that happened in the undisturbed run."""


@dataclass(frozen=True)
class Fault:
    """One fault, drawn.

    aims: moments at which a process strikes itself.
    act: what is done to it from outside while it runs.
    spoil: what is done to its files after it ended.
    codes: exit codes that are right.
    said: a pattern of what it must have said.
    how: as what it is started, when that matters.
    """

    aims: tuple[Aim, ...] = ()
    act: Act | None = None
    spoil: Spoil | None = None
    codes: frozenset[int] = KILLED
    said: str = ""
    how: How | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of fault: when in a run's life it can come, and how one is drawn."""

    draw: Callable[[Room, Random], Fault]
    place: Literal["first", "any", "last"] = "any"
    needs: frozenset[str] = field(default_factory=frozenset)  # tmpfs, loader, prepare


def soon(room: Room, chance: Random, spare: int = 6) -> int:
    """One of the next steps, with some left after it."""
    last = max(room.start, min(room.start + 2 * room.every, room.total - spare))
    return chance.randint(room.start, last)


def aimed(room: Room, chance: Random, wanted: Callable[[Line], bool], do: str = "kill") -> Fault:
    """A kill at one of the moments that the undisturbed run had."""
    first = room.start if room.begun else -1
    due = [e for e in room.events if wanted(e) and e["after"] >= first]
    near = [e for e in due if e["after"] <= room.start + 2 * room.every] or due
    return Fault(aims=(_aim(room, chance.choice(near), do),))


def _aim(room: Room, event: Line, do: str) -> Aim:
    """The moment of an event; with the same event before it, since the last save, counted."""
    after = event["after"]
    if _is_of_saving(event):  # which goes on in the background: from when it was due
        after = (after + 1) // room.every * room.every - 1
    where = _pattern(event["about"])
    before = room.events[: room.events.index(event)]
    same = [
        e for e in before
        if (e["rank"], e["event"]) == (event["rank"], event["event"])
        and e["after"] >= after and re.search(where, e["about"])
    ]  # fmt: skip
    return Aim(event["event"], where, len(same) + 1, after, do, rank=event["rank"])


def _is_of_saving(event: Line) -> bool:
    return ".writing" in event["about"] or event["about"].startswith("checkpoints")


def _pattern(about: str) -> str:
    """A path, whatever the random end of a temporary file's name is."""
    return "^" + re.sub(r"(\\\.)[a-z0-9_]{8}(?=\\\.writing$)", r"\1[a-z0-9_]{8}", re.escape(about)) + "$"


def at_any_moment(room: Room, chance: Random) -> Fault:
    """SIGKILL from outside."""
    step, later = soon(room, chance), chance.uniform(0, 0.08)

    def act(attempt: Attempt) -> bool:
        attempt.until(lambda: attempt.reached(step))
        time.sleep(later)
        attempt.send(signal.SIGKILL, *attempt.pids())
        return attempt.end() == -signal.SIGKILL

    return Fault(act=act)


def at_start(room: Room, chance: Random) -> Fault:
    """SIGKILL while it starts: importing, opening data, building the model, restoring."""
    later = chance.uniform(0.05, 4.0)

    def act(attempt: Attempt) -> bool:
        time.sleep(later)
        attempt.kill_all()
        attempt.end()
        return not attempt.lines("batch")

    return Fault(act=act, how="command")


def while_it_begins(room: Room, chance: Random) -> Fault:
    """Between the files that a new run writes before its first step."""
    return aimed(room, chance, lambda e: e["after"] < 0)


def while_it_goes_on(room: Room, chance: Random) -> Fault:
    """Between the files that a run touches when it goes on, before its first batch."""
    own = [e for e in room.events if e["after"] < 0 and not e["about"].startswith(_OF_A_NEW_RUN)]
    return Fault(aims=(_aim(room, chance.choice([e for e in own if e["event"] != "prepare"]), "kill"),))


_OF_A_NEW_RUN = (".tokenizer", ".config", "checkpoints", ".model")


def while_it_prepares(room: Room, chance: Random) -> Fault:
    """While an objective fits what it needs."""
    return aimed(room, chance, lambda e: e["event"] == "prepare")


def while_it_saves(room: Room, chance: Random) -> Fault:
    """Between two writes of a checkpoint that is still aside."""
    return aimed(room, chance, lambda e: "checkpoints/.writing" in e["about"] and e["event"] != "os.rename")


def while_it_publishes(room: Room, chance: Random) -> Fault:
    """From the rename of a checkpoint to the record that it is saved."""

    def wanted(event: Line) -> bool:
        about, name = event["about"], event["event"]
        if "checkpoints/.writing" in about:
            return name == "os.rename"
        return about in ("checkpoints", "save") or "step-" in about or ".model" in about

    return aimed(room, chance, lambda e: e["after"] >= 0 and wanted(e))


def while_it_records(room: Room, chance: Random) -> Fault:
    """Around the records of steps."""
    return aimed(room, chance, lambda e: e["event"].startswith("record") and e["after"] >= 0)


def after_the_last_step(room: Room, chance: Random) -> Fault:
    """All batches were given; the last saves, records and pictures are not all there."""
    last = [e for e in room.events if e["after"] == room.total - 1 and e["event"] != "batch"]
    return Fault(aims=(_aim(room, chance.choice(last), "kill"),))


def power_cut(room: Room, chance: Random) -> Fault:
    """A kill by which a file that was written but not yet flushed loses its end."""

    def wanted(event: Line) -> bool:
        return event["event"] in ("save_file done", "os.fsync") and event["after"] >= 0

    return aimed(room, chance, wanted, "cut")


def as_it_appears(room: Room, chance: Random) -> Fault:
    """SIGKILL from outside some moments after a folder of a checkpoint has appeared."""
    step, later = soon(room, chance, 2 * room.every), chance.uniform(0, 0.03)

    def act(attempt: Attempt) -> bool:
        folder = Path(attempt.plan.run, "checkpoints")
        attempt.until(lambda: attempt.reached(step))
        if not attempt.until(lambda: list(folder.glob(".writing-*"))):
            return False
        time.sleep(later)
        attempt.send(signal.SIGKILL, *attempt.pids())
        return attempt.end() == -signal.SIGKILL

    return Fault(act=act)


def half_a_record(room: Room, chance: Random) -> Fault:
    """A kill, and records that were not flushed lose their end."""

    def spoil(run: Path, chance: Random) -> str:
        file = run / "metrics.jsonl"
        whole = file.read_bytes()
        newest = max(((run / "checkpoints").glob("step-*")), default=Path("step-0"))
        last = b'{"kind": "step", "step": %d,' % int(newest.name.partition("-")[2])
        flushed = whole.find(b"\n", whole.find(last)) + 1  # before that checkpoint was written
        kept = chance.randint(flushed, len(whole))
        file.write_bytes(whole[:kept])
        return f"metrics.jsonl cut from {len(whole)} to {kept} bytes"

    return Fault(act=at_any_moment(room, chance).act, spoil=spoil)


def _signal(
    number: int, group: bool, again: bool, codes: set[int], said: str
) -> Callable[[Room, Random], Fault]:
    def draw(room: Room, chance: Random) -> Fault:
        step, later = soon(room, chance), chance.uniform(0, 0.05)
        between = chance.uniform(0.001, 0.03)

        def act(attempt: Attempt) -> bool:
            if not attempt.until(lambda: attempt.reached(step)):
                return False
            time.sleep(later)
            send = attempt.send_all if group else attempt.send
            send(number)
            if again:
                time.sleep(between)
                send(number)
            return True

        return Fault(act=act, codes=frozenset(codes), said=said)

    return draw


def stopped_for_a_while(room: Room, chance: Random) -> Fault:
    """SIGSTOP, a pause, SIGCONT, and SIGTERM: nothing is lost by the pause."""
    step, pause = soon(room, chance), chance.uniform(0.1, 0.5)

    def act(attempt: Attempt) -> bool:
        if not attempt.until(lambda: attempt.reached(step)):
            return False
        attempt.send(signal.SIGSTOP, *attempt.pids())
        time.sleep(pause)
        attempt.send(signal.SIGCONT, *attempt.pids())
        attempt.send(signal.SIGTERM)
        return True

    return Fault(act=act, codes=frozenset({0}), said=HINT)


def loader_killed(room: Room, chance: Random) -> Fault:
    """SIGKILL to a loader process, as the kernel does when memory is short."""
    step = soon(room, chance, 12)

    def act(attempt: Attempt) -> bool:
        attempt.until(lambda: attempt.reached(step))
        loaders = attempt.loaders()
        attempt.send(signal.SIGKILL, *loaders[-1:])
        return bool(loaders)

    return Fault(act=act, codes=frozenset({2}), said=NO_LOADER)


def disk_full(room: Room, chance: Random) -> Fault:
    """The disk is full at a checkpoint: before it, within it, or at the file for use beside it."""
    step, left = soon(room, chance), chance.randint(0, 600_000)
    return Fault(aims=(Aim("batch", f"^{step}$", do="full", room=left),), codes=frozenset({2}), said=NO_ROOM)


def file_too_large(room: Room, chance: Random) -> Fault:
    """No file may grow beyond a limit (RLIMIT_FSIZE): as a quota."""
    step, left = soon(room, chance), chance.randint(2_000, 120_000)
    return Fault(aims=(Aim("batch", f"^{step}$", do="limit", room=left),), codes=frozenset({2}), said=NO_ROOM)


def _torn(how: Callable[[list[Path], Random], str]) -> Callable[[Room, Random], Fault]:
    """A kill when there are two checkpoints or more, then something happens to some of them."""

    def draw(room: Room, chance: Random) -> Fault:
        first = max(room.start, 2 * room.every)
        step, later = chance.randint(first, first + room.every - 2), chance.uniform(0, 0.04)

        def act(attempt: Attempt) -> bool:
            attempt.until(lambda: attempt.reached(step))
            time.sleep(later)
            attempt.send(signal.SIGKILL, *attempt.pids())
            return attempt.end() == -signal.SIGKILL

        def spoil(run: Path, chance: Random) -> str:
            return how(sorted((run / "checkpoints").glob("step-*")), chance)

        return Fault(act=act, spoil=spoil)

    return draw


def _some_file(folder: Path, chance: Random, smallest: int = 1) -> Path:
    return chance.choice(
        [f for f in sorted(folder.rglob("*")) if f.is_file() and f.stat().st_size >= smallest]
    )


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


def _newest(way: Callable[[Path, Random], str]) -> Callable[[list[Path], Random], str]:
    return lambda folders, chance: f"{folders[-1].name}: {way(folders[-1], chance)}"


def _all_but(kept: int) -> Callable[[list[Path], Random], str]:
    def spoil(folders: list[Path], chance: Random) -> str:
        whole = set(chance.sample(folders, kept))
        return "; ".join(f"{f.name}: {chance.choice(_WAYS)(f, chance)}" for f in folders if f not in whole)

    return spoil


KINDS: dict[str, Kind] = {
    "kill: any moment": Kind(at_any_moment),
    "kill: start": Kind(at_start),
    "kill: beginning": Kind(while_it_begins, "first"),
    "kill: going on": Kind(while_it_goes_on),
    "kill: preparing": Kind(while_it_prepares, "first", frozenset({"prepare"})),
    "kill: writing a checkpoint": Kind(while_it_saves),
    "kill: a checkpoint appears": Kind(as_it_appears),
    "kill: publishing": Kind(while_it_publishes),
    "kill: recording": Kind(while_it_records),
    "kill: after the last step": Kind(after_the_last_step, "last"),
    "power cut: not flushed": Kind(power_cut),
    "power cut: half a record": Kind(half_a_record),
    "checkpoint: cut": Kind(_torn(_newest(truncate))),
    "checkpoint: bit flipped": Kind(_torn(_newest(flip))),
    "checkpoint: file gone": Kind(_torn(_newest(remove))),
    "checkpoint: emptied": Kind(_torn(_newest(empty))),
    "checkpoint: no manifest": Kind(_torn(_newest(no_manifest))),
    "checkpoint: half renamed": Kind(_torn(_newest(half_renamed))),
    "checkpoint: one left": Kind(_torn(_all_but(1))),
    "checkpoint: none left": Kind(_torn(_all_but(0))),
    "disk full": Kind(disk_full, "any", frozenset({"tmpfs"})),
    "file size limit": Kind(file_too_large),
    "loader killed": Kind(loader_killed, "any", frozenset({"loader"})),
    "SIGTERM": Kind(_signal(signal.SIGTERM, False, False, {0}, HINT)),
    "SIGINT to all": Kind(_signal(signal.SIGINT, True, False, {0}, HINT)),
    "SIGTERM twice": Kind(_signal(signal.SIGTERM, False, True, {0, -signal.SIGTERM}, "SIGTERM: this step")),
    "SIGINT twice": Kind(_signal(signal.SIGINT, True, True, {0, 130, -signal.SIGINT}, "SIGINT: this step")),
    "SIGSTOP for a while": Kind(stopped_for_a_while),
}
