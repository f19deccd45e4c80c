"""What a run writes about itself: the records of its start, of a step, and of a step that went wrong."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch

from sightword.distributed import world_size
from sightword.errors import SightwordError
from sightword.towers.joint_space import JointSpace
from sightword.training.effort import Effort
from sightword.training.input import STARVED, slowest
from sightword.training.meters import Readings, scalars
from sightword.training.pretrainer import Answer
from sightword.training.records import Nowhere, Records, code_version, open_sinks
from sightword.training.session import Session, config_digest
from sightword.training.setup import choose_colourer
from sightword.training.together.parallel import sharded, whole
from sightword.training.together.ranks import gathered, leads
from sightword.words import Batch


@dataclass(frozen=True)
class Outcome:
    """What came of one step.

    loss: the weighted sum, of the whole step's batch.
    gradient_norm: of the whole gradient, before clipping.
    readings: what else was measured of it.
    """

    answer: Answer
    loss: float
    lr: float
    gradient_norm: float
    readings: Readings = field(default_factory=Readings)

    @property
    def finite(self) -> bool:
        """Whether the weights may take the step."""
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)


@dataclass(frozen=True)
class Timing:
    """How fast steps were since the last record.

    seconds: of a step, waiting included.
    waited: the share of it spent waiting for data.
    steps: how many there were.
    making: what loaders needed for one step's batch, by stage, seconds.
    """

    seconds: float
    waited: float
    steps: int
    making: Mapping[str, float] = field(default_factory=dict)


def start_record(session: Session, flops_per_step: float, peak: float) -> dict[str, Any]:
    """What two runs are compared by before their scores are, and the measured `peak` of all processes."""
    config, model = session.config, session.model
    return {
        "step": 0,
        "run": session.out.name,
        "objective": config.objective,
        "model": config.model.name,
        "code_version": code_version(),
        "torch": torch.__version__,
        "device": str(session.device),
        "precision": config.precision,
        "float32_matmul": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
        "gemm_peak_tflops": peak / 1e12,
        "colour": choose_colourer(config, session.device),
        "data_hash": session.data_hash,
        "order_hash": session.order.digest(config.global_batch),
        "config_hash": config_digest(config),
        "tokenizer_hash": session.tokenizer.digest,
        "samples_total": session.total * config.global_batch,
        "steps_total": session.total,
        "pairs": len(session.pairs),
        "left_out": dataclasses.asdict(session.pairs.report),
        "batch_size": config.global_batch,
        **processes(session),
        "parameters": sum(p.numel() for p in model.encoders.parameters()),
        "parameters_trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "flops_per_step": flops_per_step,
        **({"pretrained": session.origin.record()} if session.origin else {}),
    }


def open_records(session: Session) -> Records:
    """The run's records, which the first of its processes keeps."""
    if not leads():
        return Nowhere()
    out, start, config = session.out, session.start, session.config
    sinks = open_sinks(config.report_to, out, dataclasses.asdict(config), start)
    return Records(out / "metrics.jsonl", start, sinks)


def changed_processes(session: Session, known: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The processes of a run that goes on in another number of them, or otherwise spread; else nothing."""
    told = [record for record in known if "ranks" in record]
    now = processes(session)
    return now if told and any(told[-1][name] != value for name, value in now.items()) else {}


def processes(session: Session) -> dict[str, Any]:
    """How many processes share a step, and how."""
    kind = "fsdp" if sharded(session.model) else "ddp" if world_size() > 1 else "alone"
    return {"ranks": world_size(), "parallel": kind}


def step_record(
    session: Session, batch: Batch, outcome: Outcome, timing: Timing, effort: Effort
) -> dict[str, Any]:
    """One step's numbers."""
    readings = outcome.readings
    terms = scalars(outcome.answer, {w.name: w.weight for w in session.model.weighted})
    for name, term in terms.items():
        term |= readings.views.get(name, {})
        if name in readings.gradients.norms:
            term["grad_norm"] = readings.gradients.norms[name]
    cosines = readings.gradients.cosines
    return {
        "epoch": batch.epoch,
        "loss": outcome.loss,
        "lr": outcome.lr,
        "grad_norm": outcome.gradient_norm,
        **_temperature(session.model.encoders.joint),
        "features": dict(readings.features),
        **({"grad_cosines": {name: dict(row) for name, row in cosines.items()}} if cosines else {}),
        "samples_per_second": world_size() * len(batch.keys) / timing.seconds,
        "data_wait": timing.waited,
        "data_seconds": dict(timing.making),
        "step_seconds": timing.seconds,
        "tflops_per_second": effort.mfu * effort.peak / 1e12,
        **effort.fields(),
        "terms": terms,
    }


def _temperature(joint: JointSpace | None) -> dict[str, Any]:
    if joint is None:
        return {}
    scale = float(whole(joint.logit_scale.detach()).exp())
    return {
        "logit_scale": scale,
        "temperature": 1 / scale,
        "logit_scale_at_most": math.isclose(scale, joint.most, rel_tol=1e-5),
    }


def note(record: Mapping[str, Any]) -> str:
    """A step's record as what stands behind the progress bar."""
    losses = " ".join(f"{name} {term['loss']:.3f}" for name, term in record["terms"].items())
    rank = record["features"].get("effective_rank")
    features = "" if rank is None else f" | rank {rank:.1f}"
    culprit = f" ({slowest(record['data_seconds'])})" if record["data_wait"] >= STARVED else ""
    return f"{losses}{features} | {speed(record)}{culprit}"


def speed(record: Mapping[str, Any]) -> str:
    """How fast training is, how near to the machine's limit, with how much memory, and how long it waits."""
    return (
        f"{record['samples_per_second']:.0f}/s, {record['mfu']:.0%} of peak,"
        f" {record['memory_mib'] / 1024:.1f} GiB, data wait {record['data_wait']:.0%}"
    )


def not_finite(step: int, outcome: Outcome, where: str) -> SightwordError:
    """The error that stops a run before its weights are spoilt; `where` names what was written and saved."""
    what = "gradient" if math.isfinite(outcome.loss) else "loss"
    value = outcome.gradient_norm if math.isfinite(outcome.loss) else outcome.loss
    terms = ", ".join(f"{name} {loss:g}" for name, loss in _losses(outcome).items())
    return SightwordError(
        f"the {what} of step {step} is {value} ({terms}); {where}; try a lower --lr or --precision fp32"
    )


def bad_step(step: int, batch: Batch, outcome: Outcome) -> dict[str, Any]:
    """What is needed to find out why a step was not finite; all processes ask for it together."""
    report = {
        "step": step,
        "loss": str(outcome.loss),
        "gradient_norm": str(outcome.gradient_norm),
        "terms": {name: str(loss) for name, loss in _losses(outcome).items()},
        "epoch": batch.epoch,
        **_samples(batch),
    }
    if batch.sight:
        report |= {f"sight_{name}": value for name, value in _samples(batch.sight).items()}
    return report


def _losses(outcome: Outcome) -> dict[str, float]:
    return {name: term["loss"] for name, term in scalars(outcome.answer, defaultdict(float)).items()}


def _samples(batch: Batch) -> dict[str, list[Any]]:
    """Of all processes, in the order of the step's batch."""
    keys, ids = gathered(batch.keys), gathered(batch.ids.tolist())
    return {"keys": [*chain.from_iterable(keys)], "ids": [*chain.from_iterable(ids)]}
