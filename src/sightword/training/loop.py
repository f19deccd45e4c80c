"""The training loop. It knows steps, saves and records; it does not know what the loss is made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sightword.config import Config, load
from sightword.errors import SharedError
from sightword.training.alarms import Alarms
from sightword.training.allocator import keep_memory, unwatched
from sightword.training.disk import alone_in, write_text
from sightword.training.effort import EffortMeter
from sightword.training.feed import Steps
from sightword.training.handing import Handed, beside
from sightword.training.input import InputMeter, verdict
from sightword.training.interrupt import Interrupt
from sightword.training.keeping import Keeper
from sightword.training.logbook import (
    Outcome,
    Timing,
    bad_step,
    changed_processes,
    not_finite,
    note,
    open_records,
    start_record,
    step_record,
)
from sightword.training.matmul import multiplying
from sightword.training.meters import Stopwatch
from sightword.training.model import Model
from sightword.training.preparing import prepare
from sightword.training.progress import Bar
from sightword.training.records import Records, read_records
from sightword.training.saving import checkpoint
from sightword.training.schedule import Schedule
from sightword.training.session import Session, begin, resume
from sightword.training.stepping import Stepper
from sightword.training.supply import Supply, fetched
from sightword.training.together import ranks
from sightword.training.together.lost import lost
from sightword.training.together.parallel import together
from sightword.training.together.watchdog import Watchdog, last_hang
from sightword.views.on_device import finished
from sightword.words import Batch

Watch = Callable[[Model], Sequence[Mapping[str, Any]]]
Say = Callable[[str], None]
Batches = Supply | Handed
_WORTH_A_VERDICT = 100  # steps


def train(config: Config, watch: Watch | None = None, say: Say = print, go_on: bool = False) -> Path:
    """Train a new run and return its directory.

    Args:
        config: the whole run.
        go_on: a run that has begun in that directory goes on as it was begun; otherwise that is an error.
        watch: scores the model while it trains, every `config.zeroshot_frequency` steps.
        say: where notes for the user go.

    Raises:
        SightwordError: for anything a user can put right; what was saved before stays whole.
    """
    out = Path(config.out)
    with together(config.hang_minutes):
        begun = go_on and ranks.first((out / "config.toml").exists)
        return Loop(resume(out) if begun else begin(config), watch, say).run()


def resume_training(out: Path, watch: Watch | None = None, say: Say = print) -> Path:
    """Go on with a run, bit for bit, from its newest whole checkpoint."""
    with together(load(out).hang_minutes):
        return Loop(resume(out), watch, say).run()


class Loop:
    """One run, from its first missing step to its last."""

    def __init__(self, session: Session, watch: Watch | None = None, say: Say = print) -> None:
        self.session, self.watch = session, watch
        self.say: Say = say if ranks.leads() else lambda said: None
        self.config, self.model, self.out = session.config, session.model, session.out
        self.state = dict(session.state)
        self.stepper = Stepper(session)
        self.clock = Stopwatch()
        self.input = InputMeter()
        self.effort = EffortMeter(session.device, session.config.precision)
        self.keeper = Keeper(session)
        self.watchdog = Watchdog(session.config.hang_minutes, session.out)
        self.schedule = Schedule(session.config, session.total)
        self.alarms = Alarms(self.config.optimizer.warmup * session.total)

    def run(self) -> Path:
        """Train to the end, or until a signal asks to stop; either way the run is saved.

        Raises:
            SightwordError: for anything a user can put right, another process in this directory included.
        """
        if self.session.device.type == "cpu":
            keep_memory()
        alone = alone_in(self.out, ranks.patience()) if ranks.leads() else nullcontext()
        with alone, self.keeper, self.watchdog, multiplying(self.session.float32_matmul):
            try:
                return self._run()
            except RuntimeError as error:
                gone = lost(error, int(self.state["step"]), self.watchdog.last_words())
                if gone is None:
                    raise
                raise gone from error

    def _run(self) -> Path:
        session = self.session
        for one in session.notes:
            self.say(one)
        if ranks.leads():
            session.quarantine.list(session.unreadable)
        if session.start >= session.total:
            return self._finish_again()
        with self.watchdog.pausing("decoding every picture"):
            steps = session.all_steps()
        with self._open_records() as records:
            with self.watchdog.pausing("preparing"):
                if session.fresh and prepare(session, steps):
                    self.keeper.save(self.state, records)
            asked = self._train(records, steps)
            self._finish_saving(records)
        if asked:
            done = int(self.state["step"])
            self.say(
                f"{asked}: saved at step {done} of {session.total};"
                f" go on with: sightword train --resume {self.out}"
            )
        return self.out

    def _open_records(self) -> Records:
        records = open_records(self.session)
        known = read_records(self.out / "metrics.jsonl")
        self.alarms.remember(known)
        if change := changed_processes(self.session, known):
            records.write("processes", **self._done(), **change)
        hang = last_hang(self.out)
        if hang and not any(r["kind"] == "hang" and r["at"] == hang["time"] for r in known):
            told = {name: hang[name] for name in ("said", "blamed", "minutes")}
            records.write("hang", **self._done(), at=hang["time"], **told)
        return records

    def _finish_again(self) -> Path:
        """All steps are done: make good what a kill after the last of them may have left out."""
        self.say(f"{self.out} is finished: {self.session.start} steps of {self.session.total}")
        self.keeper.publish(self.stepper.kept_encoders(), self.state)
        metrics = self.out / "metrics.jsonl"
        if ranks.leads() and not any(record["kind"] == "end" for record in read_records(metrics)):
            with Records(metrics, self.session.start) as records:
                self._record_end(records)
        return self.out

    def _train(self, records: Records, steps: Steps) -> str:
        """Do all missing steps; returns the name of the signal that asked to stop before the last, or ""."""
        first, total = self.session.start, self.session.total
        bar = Bar(f"train {self.out.name}", total, first, ranks.leads())
        with unwatched(), Interrupt() as interrupt, bar, self._batches(steps, first, total) as batches:
            for step in range(first, total):
                self.watchdog.beat(step)
                batch, asked = self._next(batches, interrupt, records)
                if asked:
                    return asked
                bar.advance(self._one(step, batch, batches, records))
                self._watch(step + 1, records)
                if self.schedule.saves(step + 1):
                    self._save(records)
        self._finish_saving(records)
        self._record_end(records)
        return ""

    def _next(self, batches: Batches, interrupt: Interrupt, records: Records) -> tuple[Batch, str]:
        """The next batch, and what all processes have agreed on before it: a save, or the signal to stop."""
        with self.clock.waiting():
            batch, error = fetched(batches)
        bad = batch.bad if batch else ()
        news = ranks.shared(
            ranks.News(interrupt.asked, self.schedule.overdue, bad, error or self.keeper.fault)
        )
        assert batch is not None, "an error would have been raised"
        if (news.asked or news.due) and self.keeper.step != self.state["step"]:
            self._save(records)
        if news.bad and not news.asked:
            seen = int(self.state["samples"]) + self.config.global_batch
            seen *= 2 if batch.sight else 1  # of both sources
            ranks.first(lambda: self.session.quarantine.add(news.bad, seen))
        return batch, news.asked

    def _batches(self, steps: Steps, first: int, total: int) -> Batches:
        device = self.session.device
        supply = Supply(steps, first, total, self.config.data, device.type == "cuda")
        return Handed(supply, beside(device)) if device.type == "cuda" else supply

    def _one(self, step: int, batch: Batch, batches: Batches, records: Records) -> str | None:
        """One step and its record; returns what to show of it, when it was recorded."""
        with self.clock.preparing():
            batch = finished(batch.to(self.session.device))
        self.input.add(batch)
        if self._plan_changes(step):
            self._count_flops(step, batch, records)
        with self.clock.working():
            outcome = self._step(step, batch)
        self.state["step"] = step + 1
        self.state["samples"] += self.config.global_batch
        self.state["flops"] += self.state["flops_per_step"]
        self.state["seconds"] = self.session.state["seconds"] + self.clock.total
        if not self.schedule.records(step + 1):
            return None
        timing = Timing(*self.clock.read(), self.input.steps, self.input.read())
        slowest = replace(timing, waited=max(ranks.gathered(timing.waited)))  # all wait for it
        effort = self.effort.read(self.state["flops_per_step"] / timing.seconds)
        record = step_record(self.session, batch, outcome, slowest, effort)
        records.write("step", **self._done(), **record)
        self._supply(batches, timing, records)
        self._warn({**self._done(), **record}, records)
        return note(record)

    def _supply(self, batches: Batches, timing: Timing, records: Records) -> None:
        """Let more workers start where training waits for them."""
        workers = batches.heed(timing.waited, timing.seconds, timing.making, timing.steps)
        if workers:
            self.say(f"training waited {timing.waited:.0%} of the time for data: {workers} workers now")
            records.write("workers", **self._done(), workers=workers)

    def _warn(self, record: Mapping[str, Any], records: Records) -> None:
        """Say and write down what a step's record shows to be wrong."""
        for alarm in self.alarms.hear(record) if ranks.leads() else ():
            self.say(f"warning: {alarm.said}")
            records.write("warning", **self._done(), **asdict(alarm))

    def _step(self, step: int, batch: Batch) -> Outcome:
        recorded = self.schedule.records(step + 1)
        outcome = self.stepper.forward_backward(step, batch, recorded, self.schedule.gradients(step + 1))
        if not outcome.finite:
            self._give_up(step, batch, outcome)
        self.stepper.update(step)
        return outcome

    def _give_up(self, step: int, batch: Batch, outcome: Outcome) -> None:
        """Stop before weights are spoilt."""
        self.keeper.saver.wait()  # what is being saved is the last good one
        report, file = bad_step(step, batch, outcome), self.out / "bad_step.json"
        ranks.first(lambda: write_text(file, json.dumps(report, indent=1)))
        saved, _ = ranks.first(lambda: checkpoint.newest(self.out, quiet=True))
        where = f"the last good checkpoint is {saved.path}" if saved else "nothing was saved before it"
        error = not_finite(step, outcome, f"its samples are named in {file}; {where}")
        raise SharedError(str(error)) from error

    def _plan_changes(self, step: int) -> bool:
        """Whether other objectives count than a step before."""
        active, progress = self.model.active, self.session.progress
        return step == 0 or active(progress(step)) != active(progress(step - 1))

    def _count_flops(self, step: int, batch: Batch, records: Records) -> None:
        self.state["flops_per_step"] = flops = self.stepper.flops(step, batch)
        if step == 0:
            records.write("start", **start_record(self.session, flops, self.effort.peak))
        self.effort.restart()  # what counting took is none of a step's

    def _watch(self, step: int, records: Records) -> None:
        if self.watch is None or not self.schedule.looks(step):
            return
        model = self._as_model()
        with self.watchdog.pausing("scoring"):
            ranks.first(lambda: self._score(model, records))
        self.model.train()

    def _score(self, model: Model, records: Records) -> None:
        assert self.watch is not None, "somebody watches"
        scores = self.watch(model)
        for score in scores:
            records.write("score", **self._done(), **score)
        self.keeper.look(scores, model.encoders, self.state)

    def _as_model(self) -> Model:
        """The model as it is now, in the run's precision, sharing its weights where they lie in one piece."""
        session, state = self.session, self.state
        trained = int(state["step"]), int(state["samples"]), state["flops"]
        kept = self.stepper.kept_encoders()
        name, device = self.out.resolve().name, str(session.device)
        autocast = self.stepper.autocast
        return Model(
            name, self.config, kept, session.tokenizer, "in-training", trained, device, autocast=autocast
        )

    def _save(self, records: Records) -> None:
        self.schedule.saved()
        with self.watchdog.pausing("saving"):
            self.keeper.save(self.state, records)

    def _finish_saving(self, records: Records) -> None:
        with self.watchdog.pausing("saving"):
            self.keeper.finish(records)

    def _record_end(self, records: Records) -> None:
        waited, making = self.clock.waited_share, self.input.overall()
        records.write("end", **self._done(), seconds=round(self.state["seconds"], 3), data_wait=waited)
        self._record_transfers(records)
        if making and self.session.total - self.session.start >= _WORTH_A_VERDICT:
            self.say(verdict(waited, making))

    def _record_transfers(self, records: Records) -> None:
        """What was fetched from elsewhere, and what failed meanwhile."""
        transfers = self.session.transfers
        if transfers.bytes or transfers.failures:
            records.write("transfers", **self._done(), **asdict(transfers))
            self.say(str(transfers))

    def _done(self) -> dict[str, Any]:
        state = self.state
        return {"step": int(state["step"]), "samples": int(state["samples"]), "flops": state["flops"]}
