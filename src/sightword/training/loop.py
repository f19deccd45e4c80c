"""The training loop. It knows steps, saves and records; it does not know what the loss is made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sightword.config import Config
from sightword.pairs.remote.transfers import Transfers
from sightword.randomness import stream
from sightword.training import checkpoint
from sightword.training.alarms import Alarms
from sightword.training.caching import forward_backward
from sightword.training.disk import alone_in
from sightword.training.feed import Steps, open_store
from sightword.training.flops import step_flops
from sightword.training.gradients import Agreement, TermGradients
from sightword.training.input import InputMeter, verdict
from sightword.training.interrupt import Interrupt
from sightword.training.logbook import (
    Outcome,
    Timing,
    not_finite,
    note,
    start_record,
    step_record,
    write_bad_step,
)
from sightword.training.meters import Readings, Stopwatch, feature_readings, overhearing, view_readings
from sightword.training.model import Model
from sightword.training.optimizer import gradient_norm, learning_rate, set_learning_rate
from sightword.training.preparing import prepare
from sightword.training.pretrainer import Answer
from sightword.training.progress import Bar
from sightword.training.records import Records, open_sinks, read_records
from sightword.training.session import Session, begin, config_digest, resume
from sightword.training.supply import Supply
from sightword.views.on_device import finished
from sightword.words import Batch

Watch = Callable[[Model], Sequence[Mapping[str, Any]]]
Say = Callable[[str], None]
_WORTH_A_VERDICT = 100  # steps
_GRADIENTS_EVERY = 5  # records between two with each term's own gradient, which costs a backward pass a term


def train(config: Config, watch: Watch | None = None, say: Say = print) -> Path:
    """Train a new run and return its directory.

    Args:
        config: the whole run.
        watch: scores the model while it trains, every `config.zeroshot_frequency` steps.
        say: where notes for the user go.

    Raises:
        SightwordError: for anything a user can put right; what was saved before stays whole.
    """
    return Loop(begin(config), watch, say).run()


def resume_training(out: Path, watch: Watch | None = None, say: Say = print) -> Path:
    """Go on with a run, bit for bit, from its newest whole checkpoint."""
    return Loop(resume(out), watch, say).run()


class Loop:
    """One run, from its first missing step to its last."""

    def __init__(self, session: Session, watch: Watch | None = None, say: Say = print) -> None:
        self.session, self.watch, self.say = session, watch, say
        self.config, self.model, self.out = session.config, session.model, session.out
        self.state = dict(session.state)
        self.autocast = torch.autocast(
            session.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bf16"
        )
        self.clock = Stopwatch()
        self.input = InputMeter()
        self.saved_at = time.monotonic()
        self.alarms = Alarms(self.config.optimizer.warmup * session.total)

    def run(self) -> Path:
        """Train to the end, or until a signal asks to stop; either way the run is saved.

        Raises:
            SightwordError: for anything a user can put right, another process in this directory included.
        """
        with alone_in(self.out):
            return self._run()

    def _run(self) -> Path:
        session = self.session
        for one in session.notes:
            self.say(one)
        session.quarantine.list(session.unreadable)
        if session.start >= session.total:
            return self._finish_again()
        sinks = open_sinks(self.config.report_to, self.out, asdict(self.config), session.start)
        steps = self._steps()
        if session.fresh and prepare(session, steps):
            self._save_checkpoint()
        with Records(self.out / "metrics.jsonl", session.start, sinks) as records:
            self.alarms.remember(read_records(self.out / "metrics.jsonl"))
            asked = self._train(records, steps)
        if asked:
            done = int(self.state["step"])
            self.say(
                f"{asked}: saved at step {done} of {session.total};"
                f" go on with: sightword train --resume {self.out}"
            )
        return self.out

    def _finish_again(self) -> Path:
        """All steps are done: make good what a kill after the last of them may have left out."""
        self.say(f"{self.out} is finished: {self.session.start} steps of {self.session.total}")
        self._publish()
        metrics = self.out / "metrics.jsonl"
        if not any(record["kind"] == "end" for record in read_records(metrics)):
            with Records(metrics, self.session.start) as records:
                self._record_end(records)
        return self.out

    def _train(self, records: Records, steps: Steps) -> str:
        """Do all missing steps; returns the name of the signal that asked to stop before the last, or ""."""
        first, total = self.session.start, self.session.total
        bar = Bar(f"train {self.out.name}", total, first)
        with Interrupt() as interrupt, bar, self._batches(steps, first, total) as batches:
            for step in range(first, total):
                bar.advance(self._one(step, batches, records))
                self._watch(step + 1, records)
                asked = interrupt.asked if step + 1 < total else ""
                if asked or self._due(step + 1):
                    self._save(records)
                if asked:
                    return asked
        self._record_end(records)
        return ""

    def _batches(self, steps: Steps, first: int, total: int) -> Supply:
        return Supply(steps, first, total, self.config.data, self.session.device.type == "cuda")

    def _steps(self) -> Steps:
        session, room = self.session, self.config.data.cache_mib
        store = open_store(session.pairs, room)
        if session.sight is None:
            return session.steps(store)
        left = room - (store.mib if store else 0)
        return session.steps(store, open_store(session.sight, left))

    def _one(self, step: int, batches: Supply, records: Records) -> str | None:
        """One step and its record; returns what to show of it, when it was recorded."""
        with self.clock.waiting():
            batch = next(batches).to(self.session.device)
        with self.clock.preparing():
            batch = finished(batch)
        self.input.add(batch)
        seen = int(self.state["samples"]) + len(batch.keys)
        self.session.quarantine.add(batch.bad, 2 * seen if batch.sight else seen)  # of both sources
        if self._plan_changes(step):
            self._count_flops(step, batch, records)
        with self.clock.working():
            outcome = self._step(step, batch)
        self.state["step"] = step + 1
        self.state["samples"] += len(batch.keys)
        self.state["flops"] += self.state["flops_per_step"]
        self.state["seconds"] = self.session.state["seconds"] + self.clock.total
        if not self._recorded(step + 1):
            return None
        timing = Timing(*self.clock.read(), self.input.steps, self.input.read())
        record = step_record(self.session, batch, outcome, timing, self.state["flops_per_step"])
        records.write("step", **self._done(), **record)
        self._supply(batches, timing, records)
        self._warn({**self._done(), **record}, records)
        return note(record)

    def _supply(self, batches: Supply, timing: Timing, records: Records) -> None:
        """Let more workers start where training waits for them."""
        workers = batches.heed(timing.waited, timing.seconds, timing.making, timing.steps)
        if workers:
            self.say(f"training waited {timing.waited:.0%} of the time for data: {workers} workers now")
            records.write("workers", **self._done(), workers=workers)

    def _warn(self, record: Mapping[str, Any], records: Records) -> None:
        """Say and write down what a step's record shows to be wrong."""
        for alarm in self.alarms.hear(record):
            self.say(f"warning: {alarm.said}")
            records.write("warning", **self._done(), **asdict(alarm))

    def _step(self, step: int, batch: Batch) -> Outcome:
        session, config = self.session, self.config
        torch.manual_seed(stream("step", config.seed, step))  # drop path: a pure function of (seed, step)
        lr = learning_rate(config.optimizer, step, session.total)
        set_learning_rate(session.optimizer, lr)
        answer, readings = self._forward_backward(step, batch)
        norm = float(gradient_norm(self.model, config.optimizer.grad_clip))
        outcome = Outcome(answer, lr, norm, readings)
        self._check(step, batch, outcome)
        session.optimizer.step()
        session.optimizer.zero_grad(set_to_none=True)
        self.model.after_step(session.progress(step + 1), session.progress(step))
        return outcome

    def _forward_backward(self, step: int, batch: Batch) -> tuple[Answer, Readings]:
        progress, chunks = self.session.progress(step), self.session.chunks
        if not self._recorded(step + 1):
            return forward_backward(self.model, batch, progress, chunks, self.autocast), Readings()
        encoders = self.model.encoders
        meter = TermGradients(encoders.towers["image"]) if self._gradients_recorded(step + 1) else None
        with overhearing(encoders.joint) as heard:
            answer = forward_backward(self.model, batch, progress, chunks, self.autocast, meter)
        features = feature_readings(answer.encoded, heard)
        views = view_readings(answer.encoded, {w.name: w.wants for w in self.model.active(progress)})
        return answer, Readings(features, views, meter.read() if meter else Agreement())

    def _check(self, step: int, batch: Batch, outcome: Outcome) -> None:
        """Stop before weights are spoilt."""
        if not outcome.finite:
            file = write_bad_step(self.out, step, batch, outcome)
            saved, _ = checkpoint.newest(self.out)
            where = f"the last good checkpoint is {saved.path}" if saved else "nothing was saved before it"
            raise not_finite(step, outcome, f"its samples are named in {file}; {where}")

    def _plan_changes(self, step: int) -> bool:
        """Whether other objectives count than a step before."""
        active, progress = self.model.active, self.session.progress
        return step == 0 or active(progress(step)) != active(progress(step - 1))

    def _count_flops(self, step: int, batch: Batch, records: Records) -> None:
        progress = self.session.progress(step)
        self.state["flops_per_step"] = step_flops(self.model, batch, progress, self.session.chunks)
        if step == 0:
            records.write("start", **start_record(self.session, self.state["flops_per_step"]))

    def _watch(self, step: int, records: Records) -> None:
        every = self.config.zeroshot_frequency
        if self.watch is None or not every or (step % every and step != self.session.total):
            return
        for score in self.watch(self._as_model()):
            records.write("score", **self._done(), **score)
        self.model.train()

    def _as_model(self) -> Model:
        """The model as it is now, sharing its weights."""
        session, state = self.session, self.state
        trained = int(state["step"]), int(state["samples"]), state["flops"]
        kept = self.model.kept_encoders()
        name, device = self.out.resolve().name, str(session.device)
        return Model(name, self.config, kept, session.tokenizer, "in-training", trained, device)

    def _recorded(self, step: int) -> bool:
        return step % self.config.log_every == 0 or step in (1, self.session.total)

    def _gradients_recorded(self, step: int) -> bool:
        return step % (_GRADIENTS_EVERY * self.config.log_every) == 0 or step in (1, self.session.total)

    def _due(self, step: int) -> bool:
        every, minutes = self.config.save_every, self.config.save_minutes
        by_steps = every > 0 and step % every == 0
        by_time = minutes > 0 and time.monotonic() - self.saved_at > 60 * minutes
        return by_steps or by_time or step == self.session.total

    def _save(self, records: Records) -> None:
        records.sync()
        path = self._save_checkpoint()
        self._publish()
        self.saved_at = time.monotonic()
        records.write("save", step=int(self.state["step"]), path=path.name)

    def _save_checkpoint(self) -> Path:
        hashes = {"data_hash": self.session.data_hash, "config_hash": config_digest(self.config)}
        optimizer, keep = self.session.optimizer, self.config.keep_last
        return checkpoint.save(self.out, self.model, optimizer, self.state | hashes, keep)

    def _publish(self) -> None:
        about = self._done() | {"objective": self.config.objective}
        checkpoint.save_encoders(self.out, self.model.kept_encoders(), about)

    def _record_end(self, records: Records) -> None:
        waited, making = self.clock.waited_share, self.input.overall()
        records.write("end", **self._done(), seconds=round(self.state["seconds"], 3), data_wait=waited)
        self._record_transfers(records)
        if making and self.session.total - self.session.start >= _WORTH_A_VERDICT:
            self.say(verdict(waited, making))

    def _record_transfers(self, records: Records) -> None:
        """What was fetched from elsewhere, and what failed meanwhile."""
        sources = [pairs for pairs in (self.session.pairs, self.session.sight) if pairs is not None]
        transfers = sum((pairs.transfers for pairs in sources), Transfers())
        if transfers.bytes or transfers.failures:
            records.write("transfers", **self._done(), **asdict(transfers))
            self.say(str(transfers))

    def _done(self) -> dict[str, Any]:
        state = self.state
        return {"step": int(state["step"]), "samples": int(state["samples"]), "flops": state["flops"]}
