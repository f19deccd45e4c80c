"""The flags of `sightword adapt`. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, UseAppendAction

from sightword.cli.flags import (
    LearningFlags,
    LengthFlags,
    MachineFlags,
    Number,
    PairsFlags,
    TableFlags,
    Train,
    Whole,
    arg,
)
from sightword.cli.tower_flags import TowerFlags

Switch = FlagCreatePairsOff[bool]


@dataclass(frozen=True)
class AdaptLearningFlags:
    """What is learned, and how; all are chosen by the size of the data where they are not given."""

    objective: Annotated[str | None, arg(metavar="SUM")] = None
    """such as "clip + simclr" (default: the loss that the weights learned by)"""
    lr: Number = None
    """peak learning rate"""
    wd: Number = None
    """weight decay"""
    warmup: Annotated[float | None, arg(metavar="SHARE")] = None
    """share of training in which the learning rate rises"""
    ema: Number = None
    """momentum of an average of the weights; 0 for none"""
    seed: Whole = None
    """same seed, same numbers"""
    set: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = ()
    """change any setting of the run's config.toml"""


@dataclass(frozen=True)
class HeldOutFlags:
    """What is tested on."""

    held_out: Annotated[int | None, arg(metavar="N")] = None
    """pairs not learned from, half to choose by and half to test on (default: one in eight, 2,000 at most)"""
    test_splits: Annotated[str, arg(metavar="VALIDATION,TEST")] = ""
    """or two splits of the data beside --split, such as val,test"""
    reference: Annotated[str, arg(metavar="SETS")] = "demo"
    """sets that should not become worse, as sightword evaluate --on takes them (default: the embedded emoji,
    a small stand-in)"""
    data_root: Annotated[str, arg(metavar="DIR")] = "."
    """the folder below which published sets are looked for"""


@dataclass(frozen=True)
class GuardFlags:
    """The guard against forgetting: weights between those before and those after."""

    alphas: Annotated[str, arg(metavar="X,X,X")] = "0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1"
    """shares of the adapted weights that are tried; `0,1` mixes nothing"""
    tolerance: Annotated[float, arg(metavar="X")] = 0.01
    """how much of its score the reference may lose, as a fraction: 0.01 is one point"""


@dataclass(frozen=True)
class Adapt:
    """Adapt weights to pairs of yours, and show what it gained there and cost elsewhere.

    sightword adapt --from weights.safetensors --data my.csv --out adapted/mine
    sightword adapt --from weights.safetensors --data my.csv --out adapted/mine --plan
    sightword adapt --from runs/slip --data my.csv --reference cifar100,food101 --data-root /data
    sightword adapt --out adapted/mine
    """

    weights: Annotated[str, arg(name="from", metavar="WEIGHTS")] = ""
    """a run, or weights of others, file or folder (docs/interop.md); with a text tower"""
    out: Annotated[str, arg(metavar="DIR")] = "adapted/latest"
    """where the run, adapted/ and adapt.html go; called again, it goes on"""
    plan: Annotated[Switch, arg()] = False
    """examine the data, say what is set and how long it takes, and stop"""
    page: Annotated[Switch, arg()] = False
    """write the page of what is finished again, and stop"""
    yes: Annotated[Switch, arg()] = False
    """do not ask before more than an hour"""
    no_check: Annotated[Switch, arg()] = False
    """do not examine the data first"""
    pairs: OmitArgPrefixes[PairsFlags] = field(default_factory=PairsFlags)
    learning: OmitArgPrefixes[AdaptLearningFlags] = field(default_factory=AdaptLearningFlags)
    towers: OmitArgPrefixes[TowerFlags] = field(default_factory=TowerFlags)
    length: OmitArgPrefixes[LengthFlags] = field(default_factory=LengthFlags)
    scored: OmitArgPrefixes[HeldOutFlags] = field(default_factory=HeldOutFlags)
    guard: OmitArgPrefixes[GuardFlags] = field(default_factory=GuardFlags)
    machine: OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)
    tables: OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)

    def data_as_train(self) -> Train:
        """Where the pairs are and what computes, as the flags of `sightword train`."""
        return Train(pairs=self.pairs, machine=self.machine, tables=self.tables)

    def learning_as_train(self) -> Train:
        """What a setting is chosen for otherwise, as the flags of `sightword train`."""
        own = vars(self.learning)
        learning = LearningFlags(**{name: value for name, value in own.items() if name != "set"})
        return Train(learning=learning, towers=self.towers, length=self.length)
