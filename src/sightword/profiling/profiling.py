"""Some steps of a run, taken as training takes them: first timed, then with torch's profiler looking on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity
from torch.profiler import profile as torch_profile

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.profiling import parts
from sightword.profiling.costs import Cost, costs_of, seconds_of
from sightword.training.disk import writing
from sightword.training.effort import Effort, EffortMeter
from sightword.training.input import InputMeter
from sightword.training.meters import Stopwatch
from sightword.training.preparing import prepare
from sightword.training.progress import Bar
from sightword.training.session import Session, begin
from sightword.training.stepping import Stepper
from sightword.training.supply import Supply, fetched
from sightword.views.on_device import finished
from sightword.words import Batch

WARM_UP = 3  # steps before anything is measured: memory is allocated, layers are compiled
_LENGTH = 10_000  # steps of a run whose end is looked at: every objective counts there
TRACE = "trace.json"


@dataclass(frozen=True)
class Profile:
    """What was measured of a run's steps.

    seconds: of a step, nobody looking on; `waited` is the share of it spent waiting for data.
    profiled_seconds: of a step with the profiler.
    effort: against the measured peak, and memory.
    making: what loaders needed for a step's batch, processor seconds by stage.
    costs: of a profiled step, the largest first.
    """

    config: Config
    device: str
    steps: int
    chunks: int
    workers: int
    flops_per_step: float
    seconds: float
    waited: float
    profiled_seconds: float
    effort: Effort
    making: Mapping[str, float] = field(default_factory=dict)
    costs: tuple[Cost, ...] = ()


def profile(config: Config, steps: int, out: Path) -> Profile:
    """Take `steps` steps of a run twice, the second time profiled, and write the trace of these.

    The run itself is begun in a folder that is removed again. Its steps are its last ones, so that every
    objective counts.

    Args:
        config: the run; its length and where it would write do not matter.
        steps: to take each time, 1 or more.
        out: the folder that gets `trace.json`.

    Raises:
        SightwordError: the run cannot be opened, `out` cannot be written, or there are several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SightwordError("profile looks at one process; start it without torchrun")
    if steps < 1:
        raise SightwordError(f"--steps is {steps}; give the number of steps to profile, 1 or more")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SightwordError(f"could not write '{out}': {error}; choose another --out") from error
    with tempfile.TemporaryDirectory(prefix="sightword-profile-") as folder:
        length = max(_LENGTH, WARM_UP + 2 * steps)
        session = begin(
            replace(config, out=str(Path(folder) / "run"), steps=length, epochs=0.0, report_to=())
        )
        return _Profiler(session, steps).run(out)


class _Profiler:
    def __init__(self, session: Session, steps: int) -> None:
        self.session, self.steps = session, steps
        self.stepper = Stepper(session)
        self.clock, self.input = Stopwatch(), InputMeter()
        self.effort = EffortMeter(session.device, session.config.precision)
        self.cuda = session.device.type == "cuda"

    def run(self, out: Path) -> Profile:
        session, count = self.session, WARM_UP + 2 * self.steps
        every, first = session.all_steps(), session.total - count
        prepare(session, every)
        bar = Bar(f"profile {session.config.objective}", count)
        with bar, Supply(every, first, session.total, session.config.data, self.cuda) as batches:
            numbers = iter(range(first, session.total))
            for _ in range(WARM_UP):
                batch = self._step(next(numbers), batches, bar)
            flops = self.stepper.flops(session.total - 1, batch)
            self._restart()
            for _ in range(self.steps):
                self._step(next(numbers), batches, bar)
            seconds, waited = self.clock.read()
            effort, making = self.effort.read(flops / seconds), self.input.read()
            with self._looking_on(out / TRACE) as trace:
                for _ in range(self.steps):
                    with parts.mark(parts.STEP):
                        self._step(next(numbers), batches, bar)
        events = trace.events()
        return Profile(
            session.config, str(session.device), self.steps, session.chunks, batches.workers, flops,
            seconds, waited, seconds_of(events) / self.steps, effort, making,
            tuple(costs_of(events, self.steps)),
        )  # fmt: skip

    def _step(self, number: int, batches: Supply, bar: Bar) -> Batch:
        """As the loop takes one that is not recorded."""
        with self.clock.waiting(), parts.mark(parts.DATA):
            batch, error = fetched(batches)
        if batch is None:
            raise error or SightwordError("the data ended before the steps did; give fewer --steps")
        self.input.add(batch)
        with self.clock.preparing(), parts.mark(parts.BATCH):
            batch = finished(batch.to(self.session.device))
        with self.clock.working():
            self.stepper.forward_backward(number, batch, measured=False, gradients=False)
            self.stepper.update(number)
            if self.cuda:
                torch.cuda.synchronize(self.session.device)  # this step's kernels are none of the next's
        bar.advance()
        return batch

    def _restart(self) -> None:
        self.clock.read()
        self.input.read()
        self.effort.restart()

    @contextmanager
    def _looking_on(self, file: Path) -> Iterator[Any]:
        """Torch's profiler and our marks; afterwards the trace is written, whole or not at all."""
        kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self.cuda else [])]
        with torch_profile(activities=kinds) as trace, parts.marked(self.session.model, self.stepper):
            yield trace
        aside = file.with_name(f".{file.name}")
        with writing(file):
            trace.export_chrome_trace(str(aside))
            aside.replace(file)
