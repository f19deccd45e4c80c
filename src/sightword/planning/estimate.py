"""A run's plan: parameters, arithmetic, memory, hours, input, checkpoints and cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.planning.devices import Device, corpus_pairs
from sightword.planning.fitting import Search, Way
from sightword.planning.ledger import Bytes
from sightword.planning.memory import Needed, needed
from sightword.planning.sizes import Sizes, measure
from sightword.training.checks import check, total_steps
from sightword.training.counting import sample_flops
from sightword.training.data import own_pairs
from sightword.training.together.parallel import too_large_to_copy

MFU = 0.3
WHY_MFU = (
    "an assumption: NVIDIA's published throughput of CLIP g/14 (NeMo) comes to 39 % of an A100's peak"
    " and 21 % of an H100's; measure yours and give --mfu"
)


@dataclass(frozen=True)
class Asked:
    """What a user says of the machines.

    mfu: share of the device's peak that the arithmetic of a step reaches; recomputation is arithmetic.
    pairs: in the data; 0: those of the published corpus, or of the data itself.
    sample_bytes: what a picture with its caption takes in the shards, on average.
    disk_rate: bytes a second at which a checkpoint is written.
    price: of a GPU for an hour, in any currency.
    headroom: share of a GPU's memory that is left to the driver, to communication and to gaps.
    """

    gpus: int
    device: Device
    mfu: float = MFU
    gpus_per_host: int = 8
    pairs: int = 0
    sample_bytes: float = 100e3
    disk_rate: float = 1e9
    price: float | None = None
    headroom: float = 0.1


@dataclass(frozen=True)
class Plan:
    """What a run takes. Bytes, seconds and FLOPs; `at_peak` and `state` are of one GPU, by purpose."""

    config: Config
    asked: Asked
    rows: int
    sizes: Sizes
    flops_per_sample: float
    computed_per_sample: float
    peak: int
    at_peak: Bytes
    state: Bytes
    pairs: int
    steps: int
    ways: tuple[Way, ...] = ()

    @property
    def room(self) -> float:
        """Bytes of a GPU that training may take."""
        return (1 - self.asked.headroom) * self.asked.device.memory

    @property
    def fits(self) -> bool:
        """Whether a GPU has the memory."""
        return self.peak <= self.room

    @property
    def samples(self) -> int:
        """Of the whole run; 0: its length is not known."""
        return self.steps * self.config.global_batch

    @property
    def samples_per_second(self) -> float:
        """Of all GPUs."""
        return self.asked.gpus * self.asked.mfu * self.asked.device.bf16_flops / self.computed_per_sample

    @property
    def hours(self) -> float:
        """Of the whole run, without stops."""
        return self.samples / self.samples_per_second / 3600

    @property
    def hosts(self) -> int:
        """Machines."""
        return math.ceil(self.asked.gpus / self.asked.gpus_per_host)

    @property
    def pictures_per_host(self) -> float:
        """Pictures a second that a host must read and decode; each becomes `sizes.views` views."""
        own = min(self.asked.gpus, self.asked.gpus_per_host)
        return self.samples_per_second * own / self.asked.gpus * (2 if self.config.data.sight else 1)

    @property
    def read_per_host(self) -> float:
        """Bytes a second."""
        return self.pictures_per_host * self.asked.sample_bytes

    @property
    def checkpoint_seconds(self) -> float:
        """To write one."""
        return self.sizes.checkpoint / self.asked.disk_rate

    @property
    def cost(self) -> float | None:
        """In the currency of the price."""
        return None if self.asked.price is None else self.hours * self.asked.gpus * self.asked.price


def make_plan(config: Config, asked: Asked, told: Callable[[str], None] = lambda what: None) -> Plan:
    """Plan a run.

    Args:
        config: the run; its global batch is shared by all GPUs.
        asked: the machines.
        told: hears what is being worked out.

    Raises:
        SightwordError: the configuration or the machines contradict themselves.
    """
    _check(asked)
    config = replace(config, ranks=config.ranks or asked.gpus)
    check(config, asked.gpus)
    rows = config.global_batch // asked.gpus
    told("parameters")
    sizes = measure(config)
    if config.parallel == "auto":
        pieces = asked.gpus > 1 and too_large_to_copy(sizes.total, asked.device.memory)
        config = replace(config, parallel="fsdp" if pieces else "ddp")
    told("a step")
    found = needed(config, asked.gpus)
    told("FLOPs")
    plan = _plan(config, asked, rows, sizes, found)
    if plan.fits:
        return plan
    return replace(plan, ways=tuple(Search(config, asked.gpus, plan.room, found, told).ways()))


def _plan(config: Config, asked: Asked, rows: int, sizes: Sizes, found: Needed) -> Plan:
    most = found.most
    again = config.grad_checkpointing or config.chunk or config.accum_freq > 1
    pairs = asked.pairs or corpus_pairs(config.data.path) or _counted(config)
    return Plan(
        config=config,
        asked=asked,
        rows=rows,
        sizes=sizes,
        flops_per_sample=sample_flops(config) if again else found.flops,
        computed_per_sample=found.flops,
        peak=most.peak,
        at_peak=most.at_peak,
        state=most.state,
        pairs=pairs,
        steps=total_steps(config, pairs // config.global_batch) if config.steps or pairs else 0,
    )


def _counted(config: Config) -> int:
    """Pairs of data that lie here; 0 where none do."""
    try:
        return len(own_pairs(config))
    except SightwordError:
        return 0


def _check(asked: Asked) -> None:
    if asked.gpus < 1 or asked.gpus_per_host < 1:
        raise SightwordError(
            f"--gpus is {asked.gpus} and --gpus-per-host {asked.gpus_per_host}; give 1 or more of each"
        )
    if not 0 < asked.mfu <= 1:
        raise SightwordError(
            f"--mfu is a share of the device's peak, above 0 and up to 1, found {asked.mfu:g}"
        )
    if not 0 <= asked.headroom < 1:
        raise SightwordError(
            f"--headroom is a share of the memory, from 0 to below 1, found {asked.headroom:g}"
        )
    if asked.sample_bytes <= 0 or asked.disk_rate <= 0:
        raise SightwordError("--sample-kb and --disk-gb-per-second must be above zero")
