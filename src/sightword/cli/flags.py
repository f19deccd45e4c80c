"""The flags of every command, as dataclasses that tyro reads. No torch here.

A training flag that is not given leaves the recipe's value; `_NAMES` says which setting each one changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, UseAppendAction
from tyro.conf import arg as any_arg

from sightword.cli import tower_flags
from sightword.cli.tower_flags import TowerFlags

arg = partial(any_arg, help_behavior_hint="")  # "(default: None)" behind every flag tells nobody anything

Text = Annotated[str | None, arg(metavar="TEXT")]
Place = Annotated[str | None, arg(metavar="PATH")]
Whole = Annotated[int | None, arg(metavar="N")]
Number = Annotated[float | None, arg(metavar="X")]


@dataclass(frozen=True)
class PairsFlags:
    """Pictures and captions."""

    data: Annotated[str | None, arg(metavar="PATH")] = None
    """demo, tars, 'cc/{000..110}.tar', https://..., x.csv, x.parquet, a folder, coco:DIR; `a::b` joins"""
    upsampling: Annotated[str | None, arg(metavar="A::B", aliases=("--train-data-upsampling-factors",))] = (
        None
    )
    """how often an epoch shows the samples of each part of `a::b`, such as 1::2.5"""
    sight_data: Place = None
    """other pictures, for the terms that read no captions (SLIP's decoupled variant)"""
    split: Text = None
    """keep samples whose json field `split` is this (demo: train)"""
    captions: Annotated[str | None, arg(metavar="POLICY")] = None
    """of several: first, uniform, longest, mixture, title-or-description (see docs/data.md)"""
    tokenizer: Annotated[str | None, arg(metavar="clip|learned|weights")] = None
    """CLIP's vocabulary, a small one learned from the captions, or that of --pretrained"""


@dataclass(frozen=True)
class TableFlags:
    """Tables of pairs: csv, tsv, jsonl, Parquet."""

    image_key: Annotated[str | None, arg(metavar="COLUMN", aliases=("--csv-img-key",))] = None
    """the column with the picture: a path, or bytes (default: filepath)"""
    caption_key: Annotated[str | None, arg(metavar="COLUMNS", aliases=("--csv-caption-key",))] = None
    """the columns with captions, joined by commas (default: title)"""
    separator: Annotated[str | None, arg(metavar="TEXT", aliases=("--csv-separator",))] = None
    """between the columns (default: found out)"""
    image_root: Place = None
    """the folder from which picture paths start (default: the table's)"""


@dataclass(frozen=True)
class LearningFlags:
    """What is learned, and how."""

    objective: Annotated[str | None, arg(metavar="SUM")] = None
    """a weighted sum, such as "clip + 1.0 * simclr" (see --list)"""
    model: Annotated[str | None, arg(metavar="NAME")] = None
    """vit-tiny, resnet-tiny, vit-s16, vit-b16, ... (see --list)"""
    init_from: Annotated[str | None, arg(metavar="RUN")] = None
    """start with another run's image tower"""
    pretrained: Place = None
    """start with weights from elsewhere, file or folder; without --model their model too (docs/interop.md)"""
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


@dataclass(frozen=True)
class LengthFlags:
    """How long, and how much at once."""

    steps: Whole = None
    """optimizer steps"""
    epochs: Number = None
    """passes over the data (instead of --steps)"""
    batch_size: Whole = None
    """samples a step and process; a recipe's own is that of all processes together"""
    accum_freq: Whole = None
    """chunks a step: memory of a chunk, negatives of the whole batch"""
    chunk: Whole = None
    """the same, said as samples that a tower encodes at once"""


@dataclass(frozen=True)
class SavingFlags:
    """Where results go."""

    out: Annotated[str | None, arg(metavar="DIR")] = None
    """the run's directory"""
    resume: Annotated[str | None, arg(metavar="DIR")] = None
    """go on with the run in DIR, bit for bit; `latest`: with the one in --out, or begin it"""
    save_every: Annotated[int | None, arg(metavar="STEPS", aliases=("--save-frequency",))] = None
    """steps between checkpoints (always every ten minutes and at the end)"""
    log_every: Annotated[int | None, arg(metavar="STEPS")] = None
    """steps between records"""
    zeroshot_frequency: Annotated[int | None, arg(metavar="STEPS")] = None
    """steps between zero-shot scores while training; 0 for none"""
    watch_on: Annotated[str | None, arg(metavar="SETS")] = None
    """labelled pictures for these scores: a validation set, if you choose by them (default: demo)"""
    keep_best: Annotated[str | None, arg(metavar="SCORE")] = None
    """keep the weights that were best by a watched score too, e.g. mine/zeroshot/acc1"""
    evaluate_on: Annotated[str | None, arg(metavar="SETS")] = None
    """what to score at the end (as `sightword evaluate --on`); "" for nothing"""
    report_to: Annotated[str | None, arg(metavar="NAMES")] = None
    """tensorboard, wandb, or both with a comma"""


@dataclass(frozen=True)
class MachineFlags:
    """The machine."""

    precision: Annotated[str | None, arg(metavar="fp32|bf16|auto")] = None
    """auto: bf16 where the processor has instructions for it"""
    workers: Annotated[str | None, arg(metavar="N|auto")] = None
    """loader processes; auto: as many as training needs"""
    max_bad: Number = None
    """share of unreadable samples above which the run stops"""
    shard_cache_gib: Number = None
    """disk that copies of remote shards may take"""
    device: Text = None
    """auto, cpu, cuda, cuda:1"""
    parallel: Annotated[str | None, arg(metavar="auto|ddp|fsdp")] = None
    """under torchrun: a copy of the model in each process, or a piece of it"""
    grad_checkpointing: Annotated[FlagCreatePairsOff[bool], arg()] = False
    """compute the activations of transformer blocks twice: a third more time, far less memory"""
    compile: Annotated[FlagCreatePairsOff[bool], arg(aliases=("--torchcompile",))] = False
    """torch.compile each tower: slow to start, faster steps on a GPU"""
    hang_minutes: Number = None
    """a step that takes longer is a hang: it is reported, and the run stops"""


@dataclass(frozen=True)
class Train:
    """Train a model, or go on with a run.

    sightword train --data demo --objective "clip + simclr" --model resnet-tiny --epochs 10 --out runs/slip
    sightword train slip-vit-b16-yfcc15m --data 'yfcc/{00000..01468}.tar' --out runs/slip
    sightword train --resume runs/slip
    """

    recipe: Annotated[Positional[str | None], arg(metavar="[RECIPE]")] = None
    """a paper's recipe by name; flags change it"""
    list: Annotated[FlagCreatePairsOff[bool], arg()] = False
    """show objectives, models and recipes, and stop"""
    set: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = ()
    """change any setting of config.toml, e.g. model.image.pool=gap"""
    pairs: OmitArgPrefixes[PairsFlags] = field(default_factory=PairsFlags)
    learning: OmitArgPrefixes[LearningFlags] = field(default_factory=LearningFlags)
    towers: OmitArgPrefixes[TowerFlags] = field(default_factory=TowerFlags)
    length: OmitArgPrefixes[LengthFlags] = field(default_factory=LengthFlags)
    saving: OmitArgPrefixes[SavingFlags] = field(default_factory=SavingFlags)
    machine: OmitArgPrefixes[MachineFlags] = field(default_factory=MachineFlags)
    tables: OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


@dataclass(frozen=True)
class Evaluate:
    """Score a run, or weights from elsewhere, on pictures that it has not seen; every score has an interval.

    sightword evaluate runs/slip
    sightword evaluate runs/slip --on wds/cifar100,my_folder/ --tasks zeroshot,linear,knn,retrieval
    sightword evaluate runs/slip --on slip --data-root /data
    sightword evaluate --list --data-root /data
    """

    run: Annotated[Positional[str], arg(metavar="RUN")] = ""
    """the directory of a run, or weights from elsewhere (docs/interop.md); with --list, none"""
    out: Annotated[str, arg(metavar="DIR")] = ""
    """where scores go (default: the run's directory; of weights from elsewhere runs/NAME)"""
    on: Annotated[str, arg(metavar="SETS")] = "demo"
    """demo, an ImageFolder, a CLIP_benchmark webdataset, names or suites of --list, NAME=PATH; commas join"""
    data_root: Annotated[str, arg(metavar="DIR")] = "."
    """the folder below which published data sets are looked for"""
    list: Annotated[FlagCreatePairsOff[bool], arg()] = False
    """show tasks with their settings, and published data sets: metric, where each lies or how to get it"""
    tasks: Annotated[str, arg(metavar="TASKS")] = "zeroshot,retrieval,knn,linear"
    """which tasks of --list, joined by commas"""
    set: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="TASK.SETTING=VALUE")] = ()
    """change a setting of a task (see --list), e.g. fewshot.shots=1,4 or finetune.epochs=30"""
    force: Annotated[FlagCreatePairsOff[bool], arg()] = False
    """score again what is already scored"""
    contamination: Annotated[Literal["auto", "always", "off"], arg()] = "auto"
    """count test pictures that are in the training data (auto: where it holds at most 100,000 pictures)"""
    report_to: Annotated[str, arg(metavar="NAMES")] = ""
    """tensorboard, wandb: where scores go beside the run's own files"""


@dataclass(frozen=True)
class Report:
    """Write one self-contained HTML page that compares runs.

    sightword report runs/demo/clip runs/demo/slip --out report.html
    """

    runs: Annotated[Positional[tuple[str, ...]], arg(metavar="RUN")]
    """directories of runs; the first is what the others are compared with"""
    out: Annotated[str, arg(metavar="FILE")] = "report.html"
    """the page to write"""


@dataclass(frozen=True)
class Compare:
    """Paired differences between two runs, with intervals.

    sightword compare runs/demo/clip runs/demo/slip
    """

    first: Annotated[Positional[str], arg(metavar="RUN_A")]
    """the run to compare with"""
    second: Annotated[Positional[str], arg(metavar="RUN_B")]
    """the run that may be better"""
    own: Annotated[FlagCreatePairsOff[bool], arg()] = False
    """only each data set's own metric"""
    out: Annotated[str, arg(metavar="FILE")] = ""
    """where the records go (default: RUN_B/comparisons.jsonl)"""


@dataclass(frozen=True)
class Demo:
    """Train clip and clip + simclr on the embedded emoji, compare them fairly, write a page with pictures.

    sightword demo
    """

    out: Annotated[str, arg(metavar="DIR")] = "runs/demo"
    """where the runs and report.html go; finished runs are kept, unfinished ones go on"""
    seed: Annotated[int, arg(metavar="N")] = 0
    """same seed, same numbers"""


_NAMES = {
    "data": "data.path",
    "sight_data": "data.sight",
    "split": "data.split",
    "captions": "data.captions",
    "tokenizer": "data.tokenizer",
    "workers": "data.workers",
    "max_bad": "data.max_bad",
    "shard_cache_gib": "data.shard_cache_gib",
    "upsampling": "data.upsampling",
    "image_key": "data.image_key",
    "caption_key": "data.caption_key",
    "separator": "data.separator",
    "image_root": "data.image_root",
    **tower_flags.NAMES,
    "lr": "optimizer.lr",
    "wd": "optimizer.wd",
    "warmup": "optimizer.warmup",
    "ema": "optimizer.ema",
}
_NOT_SETTINGS = ("model", "text_model", "resume")


def changes(flags: Train) -> dict[str, Any]:
    """The settings that the flags change, by their dotted names; --set comes last."""
    groups = (
        flags.pairs, flags.learning, flags.towers, flags.length, flags.saving, flags.machine, flags.tables,
    )  # fmt: skip
    every = {name: value for group in groups for name, value in vars(group).items()}
    given = {name: value for name, value in every.items() if value is not None and value is not False}
    if given.get("workers") == "auto":
        given["workers"] = -1
    if "upsampling" in given:
        given["upsampling"] = given["upsampling"].replace("::", ",")
    return {_NAMES.get(name, name): value for name, value in given.items() if name not in _NOT_SETTINGS}
