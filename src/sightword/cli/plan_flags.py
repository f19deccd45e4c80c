"""The flags of `sightword plan`, and the configuration that they ask for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, UseAppendAction

from sightword.cli.flags import LearningFlags, LengthFlags, MachineFlags, PairsFlags, TableFlags, Train, arg

Switch = FlagCreatePairsOff[bool]


@dataclass(frozen=True)
class ClusterFlags:
    """The machines, and how the run uses them."""

    gpus: Annotated[int, arg(metavar="N")] = 1
    """GPUs that share each step"""
    device: Annotated[str, arg(metavar="NAME")] = "h100"
    """h100, h200, b200, a100, a100-40gb, l40s, ...; any other name with --memory-gib and --tflops"""
    gpus_per_host: Annotated[int, arg(metavar="N")] = 8
    """GPUs of one machine, which read and decode together"""
    parallel: Annotated[str | None, arg(metavar="auto|ddp|fsdp")] = None
    """a copy of the model on each GPU, or a piece of it"""
    grad_checkpointing: Annotated[Switch, arg()] = False
    """compute the activations of transformer blocks twice"""
    precision: Annotated[str | None, arg(metavar="fp32|bf16|auto")] = None
    """auto: bf16"""
    memory_gib: Annotated[float | None, arg(metavar="X")] = None
    """of a device, instead of what is known of it"""
    tflops: Annotated[float | None, arg(metavar="X")] = None
    """dense, in bfloat16; instead of what is known"""
    headroom: Annotated[float, arg(metavar="SHARE")] = 0.1
    """of a device's memory that stays free: for the driver, for communication, for gaps"""


@dataclass(frozen=True)
class AssumptionFlags:
    """What only you can know."""

    mfu: Annotated[float | None, arg(metavar="SHARE")] = None
    """of the device's peak that a step reaches (default: 0.3, an assumption)"""
    pairs: Annotated[int, arg(metavar="N")] = 0
    """how many the data has (default: as published, or as found at --data)"""
    sample_kb: Annotated[float, arg(metavar="X")] = 100.0
    """kilobytes of a picture with its caption, on average"""
    disk_gb_per_second: Annotated[float, arg(metavar="X")] = 1.0
    """at which a checkpoint is written"""
    price_per_hour: Annotated[float | None, arg(metavar="X")] = None
    """of one GPU, in any currency"""


@dataclass(frozen=True)
class Plan:
    """Memory, hours, input rate, checkpoints and cost of a run, before anything is paid for.

    sightword plan slip-vit-b16-yfcc15m --gpus 64 --device h100
    sightword plan --objective "clip + mae" --model vit-l16 --batch-size 512 --steps 100000 --gpus 64
    sightword plan mae-clip-max-vit-b16-web --gpus 256 --dry-run
    """

    recipe: Annotated[Positional[str | None], arg(metavar="[RECIPE]")] = None
    """a recipe by name, a run's directory, or a config.toml; flags change it"""
    json: Annotated[Switch, arg()] = False
    """one line of JSON instead of tables"""
    dry_run: Annotated[Switch, arg()] = False
    """also rehearse the program itself as its first, middle and last process"""
    set: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = ()
    """change any setting of config.toml, e.g. model.image.pool=gap"""
    cluster: OmitArgPrefixes[ClusterFlags] = field(default_factory=ClusterFlags)
    assumptions: OmitArgPrefixes[AssumptionFlags] = field(default_factory=AssumptionFlags)
    pairs: OmitArgPrefixes[PairsFlags] = field(default_factory=PairsFlags)
    learning: OmitArgPrefixes[LearningFlags] = field(default_factory=LearningFlags)
    length: OmitArgPrefixes[LengthFlags] = field(default_factory=LengthFlags)
    tables: OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)

    def as_train(self) -> Train:
        """The run that is planned, as the flags of `sightword train`."""
        machine = MachineFlags(
            precision=self.cluster.precision,
            parallel=self.cluster.parallel,
            grad_checkpointing=self.cluster.grad_checkpointing,
        )
        return Train(
            recipe=None if self.saved else self.recipe,
            set=self.set,
            pairs=self.pairs,
            learning=self.learning,
            length=self.length,
            machine=machine,
            tables=self.tables,
        )

    @property
    def saved(self) -> Path | None:
        """Where the configuration lies that is planned, when `recipe` is a place and not a name."""
        place = Path(self.recipe or "")
        return place if self.recipe and (place.is_file() or (place / "config.toml").is_file()) else None
