"""The flags of `sightword study`. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, UseAppendAction

from sightword.cli.flags import LearningFlags, MachineFlags, Number, PairsFlags, TableFlags, Train, Whole, arg

Switch = FlagCreatePairsOff[bool]


@dataclass(frozen=True)
class GridFlags:
    """What is compared, and on how much."""

    objectives: Annotated[str, arg(metavar='"SUM; SUM"')] = "clip; clip + simclr"
    """what is compared with the first; settings of its own behind one: clip + simclr {lr=3e-3}"""
    models: Annotated[str, arg(metavar="NAMES")] = ""
    """joined by commas (see sightword train --list); each is a study of its own (default: vit-tiny, or
    resnet-tiny where this machine has no GPU to run it)"""
    sizes: Annotated[str, arg(metavar="N,N,all")] = ""
    """pairs to learn from, such as 1e3,3e3,1e4,all (default: all, and three times the half)"""
    seeds: Annotated[int, arg(metavar="K")] = 3
    """runs of each kind: other weights, order, augmentation, and other parts of the pairs"""
    budget: Annotated[str, arg(metavar="BUDGETS")] = "samples,flops"
    """what arms have alike: as many samples, or as much arithmetic"""
    lrs: Annotated[str, arg(metavar="X,X,X")] = ""
    """learning rates that every arm tries on validation pairs; its best is its own (default: as given)"""


@dataclass(frozen=True)
class RunFlags:
    """How each run learns."""

    epochs: Annotated[float, arg(metavar="E")] = 24.0
    """passes over its part, whatever its size"""
    batch_size: Whole = None
    """samples a step, the same for all sizes (default: 256, or less where the smallest size is small)"""
    lr: Number = None
    """peak learning rate of every arm"""
    wd: Number = None
    """weight decay of every arm"""
    warmup: Number = None
    """share of training in which the learning rate rises"""
    set: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = ()
    """change any setting of every run's config.toml"""


@dataclass(frozen=True)
class ScoreFlags:
    """What runs are scored on."""

    held_out: Annotated[int | None, arg(metavar="N")] = None
    """pairs that no run learns from, for retrieval (default: one in eight, 2,000 at most; demo: none)"""
    test_splits: Annotated[str, arg(metavar="VALIDATION,TEST")] = ""
    """or two splits of the data beside --split, such as val,test"""
    on: Annotated[str, arg(metavar="SETS")] = ""
    """labelled sets besides, as sightword evaluate --on takes them (demo data: demo)"""
    data_root: Annotated[str, arg(metavar="DIR")] = "."
    """the folder below which published sets are looked for"""
    tasks: Annotated[str, arg(metavar="TASKS")] = "zeroshot,retrieval,knn,linear"
    """of sightword evaluate, as far as sets and runs allow"""


@dataclass(frozen=True)
class CarryingFlags:
    """Who carries it out."""

    launcher: Annotated[Literal["local", "slurm", "ray"], arg()] = "local"
    """this machine with all its GPUs, a cluster by submitit, or one by Ray"""
    slots: Whole = None
    """runs at once on this machine (default: one for each GPU, or each core)"""
    gpu: Annotated[str, arg(metavar="NAME")] = "h100"
    """what slurm's or ray's GPUs are, for the plan (see sightword plan)"""
    cluster: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = ()
    """for slurm: hours, gpus, cpus, parallel, and whatever sbatch takes; for ray: address, gpus, cpus"""


@dataclass(frozen=True)
class Study:
    """Did the self-supervision pay on these pairs, and will it at other sizes? A grid of runs and a page.

    sightword study --data pairs.csv --out studies/mine
    sightword study --data pairs.csv --out studies/mine --plan
    sightword study --out studies/mine
    sightword study --data 'cc/{000..110}.tar' --objectives "clip; clip + simclr; clip + mae" \
--sizes 1e4,1e5,1e6,all --models vit-s16 --seeds 5 --out studies/cc --yes
    """

    out: Annotated[str, arg(metavar="DIR")] = "studies/latest"
    """where runs, study.html, figures and tables go; called again, it goes on, and may have grown"""
    plan: Annotated[Switch, arg()] = False
    """say what it would take, and stop"""
    page: Annotated[Switch, arg()] = False
    """write the page of what is finished so far, and stop"""
    yes: Annotated[Switch, arg()] = False
    """do not ask before more than an hour"""
    pairs: OmitArgPrefixes[PairsFlags] = field(default_factory=PairsFlags)
    grid: OmitArgPrefixes[GridFlags] = field(default_factory=GridFlags)
    run: OmitArgPrefixes[RunFlags] = field(default_factory=RunFlags)
    score: OmitArgPrefixes[ScoreFlags] = field(default_factory=ScoreFlags)
    carrying: OmitArgPrefixes[CarryingFlags] = field(default_factory=CarryingFlags)
    machine: OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)
    tables: OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)

    def as_train(self) -> Train:
        """What every run has alike, as the flags of `sightword train`."""

        learning = LearningFlags(lr=self.run.lr, wd=self.run.wd, warmup=self.run.warmup)
        return Train(
            set=self.run.set, pairs=self.pairs, learning=learning, machine=self.machine, tables=self.tables
        )
