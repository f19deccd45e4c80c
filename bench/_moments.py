"""Kinds of faults that a run suffers: what strikes it, when, and what it must answer."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, Protocol

from _attempts import Attempt, How, Line
from _disturbed import Aim

Act = Callable[[Attempt], bool]  # whether it struck
Draw = Callable[["Room", Random], "Fault"]
Spoil = Callable[[Path, Random], str]  # says what it did
KILLED = frozenset({-signal.SIGKILL})


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
    """One fault, drawn. By default it must end by a kill.

    aims: moments at which a process strikes itself.
    act: what is done to it from outside while it runs.
    spoil: what is done to its files after it ended.
    codes: exit codes that are right; of torchrun 1 always is, which says no more of a failure.
    said: a pattern of what it must have said.
    how: as what it is started, when that matters.
    restarts: how often torchrun may start it again.
    """

    aims: tuple[Aim, ...] = ()
    act: Act | None = None
    spoil: Spoil | None = None
    codes: frozenset[int] = KILLED
    said: str = ""
    how: How | None = None
    restarts: int = 0


@dataclass(frozen=True)
class Kind:
    """A kind of fault: how one is drawn, and when in a run's life it can come."""

    draw: Draw
    place: Literal["first", "any", "last"] = "any"


def soon(room: Room, chance: Random, spare: int = 6) -> int:
    """One of the next steps, with some left after it."""
    last = max(room.start, min(room.start + 2 * room.every, room.total - spare))
    return chance.randint(room.start, last)


def aimed(room: Room, chance: Random, wanted: Callable[[Line], bool], do: str = "kill") -> Fault:
    """A kill at one of the moments that the undisturbed run had."""
    first = room.start if room.begun else -1
    due = [e for e in room.events if wanted(e) and e["after"] >= first]
    near = [e for e in due if e["after"] <= room.start + 2 * room.every] or due
    if not near:
        return Fault()  # too late in this run for such a moment: it goes on undisturbed
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
        return kill(attempt, later)

    return Fault(act=act)


def one_rank(room: Room, chance: Random) -> Fault:
    """SIGKILL to one of several processes; the others notice, and torchrun ends them."""
    step, later, rank = soon(room, chance), chance.uniform(0, 0.08), chance.random()

    def act(attempt: Attempt) -> bool:
        attempt.until(lambda: attempt.reached(step))
        return kill(attempt, later, rank)

    return Fault(act=act)


def one_rank_and_again(room: Room, chance: Random) -> Fault:
    """SIGKILL to one process; torchrun starts all again; then SIGKILL to all."""
    step, later, rank = soon(room, chance, 12), chance.uniform(0, 0.08), chance.random()
    more, again = chance.randint(1, 6), chance.uniform(0, 0.08)

    def act(attempt: Attempt) -> bool:
        attempt.until(lambda: attempt.reached(step))
        time.sleep(later)
        pids = attempt.pids()
        attempt.send(signal.SIGKILL, pids[int(rank * len(pids))])
        attempt.until(lambda: len([x for x in attempt.lines("batch") if x["restart"] == 1]) > more)
        time.sleep(again)
        attempt.kill_all()
        return any(line["restart"] == 1 for line in attempt.lines("batch"))

    return Fault(act=act, restarts=1)


def launcher(room: Room, chance: Random) -> Fault:
    """SIGKILL to torchrun; what it had started is killed a little later."""
    step, later = soon(room, chance), chance.uniform(0, 2.0)

    def act(attempt: Attempt) -> bool:
        attempt.until(lambda: attempt.reached(step))
        attempt.send(signal.SIGKILL)
        time.sleep(later)
        attempt.kill_all()
        return attempt.end() == -signal.SIGKILL

    return Fault(act=act)


def kill(attempt: Attempt, later: float, rank: float | None = None) -> bool:
    """SIGKILL after some seconds to all training processes, or one of them (0 to 1); whether it struck."""
    time.sleep(later)
    pids = attempt.pids()
    attempt.send(signal.SIGKILL, *(pids if rank is None else pids[int(rank * len(pids)) :][:1]))
    return attempt.end() != 0


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
        return attempt.until(lambda: list(folder.glob(".writing-*"))) and kill(attempt, later)

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
