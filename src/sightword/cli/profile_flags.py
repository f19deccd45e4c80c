"""The flags of `sightword profile`: those of a run, and where its profile goes. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction

from sightword.cli.flags import (
    LearningFlags,
    LengthFlags,
    MachineFlags,
    PairsFlags,
    TableFlags,
    Train,
    Whole,
    arg,
)
from sightword.cli.tower_flags import TowerFlags


@dataclass(frozen=True)
class StepFlags:
    """How much at once, and how many steps."""

    steps: Annotated[int, arg(metavar="N")] = 5
    """steps to profile, after as many that are only timed"""
    batch_size: Whole = None
    """samples a step; a recipe's own is that of all its processes together"""
    accum_freq: Whole = None
    """chunks a step: memory of a chunk, negatives of the whole batch"""
    chunk: Whole = None
    """the same, said as samples that a tower encodes at once"""


@dataclass(frozen=True)
class Profile:
    """Where the time of a training step goes: a trace, costs by part and kind, the three largest in words.

    sightword profile --data demo --objective "clip + simclr" --model resnet-tiny --out profile
    sightword profile slip-vit-b16-yfcc15m --data 'yfcc/{00000..01468}.tar' --batch-size 64
    """

    recipe: Annotated[Positional[str | None], arg(metavar="[RECIPE]")] = None
    """a paper's recipe by name; flags change it"""
    out: Annotated[str, arg(metavar="DIR")] = "profile"
    """where trace.json and profile.jsonl go; they replace those of the time before"""
    set: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = ()
    """change any setting of config.toml, e.g. model.image.pool=gap"""
    pairs: OmitArgPrefixes[PairsFlags] = field(default_factory=PairsFlags)
    learning: OmitArgPrefixes[LearningFlags] = field(default_factory=LearningFlags)
    towers: OmitArgPrefixes[TowerFlags] = field(default_factory=TowerFlags)
    length: OmitArgPrefixes[StepFlags] = field(default_factory=StepFlags)
    machine: OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)
    tables: OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)

    def as_train(self) -> Train:
        """The run that is looked at, as the flags of `sightword train`."""
        given = self.length
        length = LengthFlags(batch_size=given.batch_size, accum_freq=given.accum_freq, chunk=given.chunk)
        return Train(
            recipe=self.recipe, set=self.set, pairs=self.pairs, learning=self.learning, towers=self.towers,
            length=length, machine=self.machine, tables=self.tables,
        )  # fmt: skip
