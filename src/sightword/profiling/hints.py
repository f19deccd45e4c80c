"""What can be done about a cost, where something can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sightword.profiling import kinds, parts
from sightword.profiling.costs import Cost
from sightword.profiling.profiling import Profile
from sightword.training.input import REMEDIES, slowest
from sightword.training.setup import resolve_precision

_NEAR = 0.5  # share of the peak from which there is little to win but by computing less
Rule = Callable[[Cost, Profile], str]


def hint(cost: Cost, profile: Profile) -> str:
    """The first thing that is true of this cost in this run; "" where nothing is."""
    rules: tuple[Rule, ...] = (_waiting, _idle, _optimizer, _twice, _again, _precision, _arithmetic, _small)
    return next((told for told in (rule(cost, profile) for rule in rules) if told), "")


def _waiting(cost: Cost, profile: Profile) -> str:
    if cost.operations != kinds.WAITING:
        return ""
    if profile.workers == 0:
        return "training makes its batches itself: --workers 1 or more makes them meanwhile"
    remedy = REMEDIES.get(slowest(profile.making), "try more --workers")
    auto = profile.config.data.workers < 0
    return remedy + ("; while it trains, --workers auto starts more by itself" if auto else "")


def _idle(cost: Cost, profile: Profile) -> str:
    if cost.operations != kinds.IDLE:
        return ""
    also = "" if profile.config.compile else ", and --compile starts fewer of them"
    return f"operations are too small for the device: a larger --batch-size makes them larger{also}"


def _optimizer(cost: Cost, profile: Profile) -> str:
    if cost.part not in (parts.OPTIMIZER, parts.AFTER):
        return ""
    return "it costs the same for any batch: a larger --batch-size makes it a smaller share"


def _twice(cost: Cost, profile: Profile) -> str:
    if profile.chunks < 2 or not cost.part.startswith("towers."):
        return ""
    return (
        f"in {profile.chunks} chunks each sample is encoded twice; with memory for a whole batch, leave out"
        " --chunk and --accum-freq"
    )


def _again(cost: Cost, profile: Profile) -> str:
    """Layers that are computed again are in towers."""
    if not profile.config.grad_checkpointing or cost.phase != "backward":
        return ""
    if not cost.part.startswith("towers."):
        return ""
    return "--grad-checkpointing computes each layer's forward again here; with memory to spare, leave it out"


def _precision(cost: Cost, profile: Profile) -> str:
    multiplies = cost.operations in (kinds.PRODUCTS, kinds.CONVOLUTIONS)
    config, auto = profile.config, replace(profile.config, precision="auto")
    if not multiplies or config.precision == "bf16" or resolve_precision(auto) != "bf16":
        return ""
    return "this machine multiplies bfloat16 in hardware: try --precision bf16"


def _arithmetic(cost: Cost, profile: Profile) -> str:
    if cost.operations not in (kinds.PRODUCTS, kinds.CONVOLUTIONS) or profile.effort.mfu < _NEAR:
        return ""
    return (
        f"a whole step reaches {profile.effort.mfu:.0%} of the measured peak: only less arithmetic is faster,"
        " in a smaller model or smaller views"
    )


def _small(cost: Cost, profile: Profile) -> str:
    if cost.operations in (kinds.NORMS, kinds.ELEMENTWISE, kinds.COPIES):
        on_gpu = profile.device.startswith("cuda") and not profile.config.compile
        in_layers = cost.part.startswith(("towers.", "teachers."))
        return "on a GPU --compile joins such operations into fewer" if on_gpu and in_layers else ""
    if cost.operations == kinds.DISPATCH:
        return "it hardly grows with the batch: a larger --batch-size makes it a smaller share"
    return ""
