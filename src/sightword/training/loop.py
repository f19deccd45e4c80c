"""The training loop. It knows steps, saves and records; it does not know what the loss is made of."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.randomness import stream
from sightword.training import checkpoint
from sightword.training.caching import forward_backward
from sightword.training.feed import load_steps
from sightword.training.flops import step_flops
from sightword.training.interrupt import Interrupt
from sightword.training.meters import Stopwatch, scalars, term_gradient_norms
from sightword.training.model import Model
from sightword.training.optimizer import gradient_norm, learning_rate, set_learning_rate
from sightword.training.pretrainer import Answer
from sightword.training.progress import Bar
from sightword.training.records import Records, code_version, open_sinks
from sightword.training.session import Session, begin, config_digest, resume
from sightword.views.store import DecodedStore
from sightword.words import Batch

Watch = Callable[[Model], Sequence[Mapping[str, Any]]]
Say = Callable[[str], None]


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
        self.weights = {w.name: w.weight for w in self.model.weighted}
        self.autocast = torch.autocast(
            session.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bf16"
        )
        self.saved_at = time.monotonic()
        self.watch_clock = Stopwatch()

    def run(self) -> Path:
        """Train to the end, or until a signal asks to stop; either way the run is saved."""
        session = self.session
        for note in session.notes:
            self.say(note)
        if session.start >= session.total:
            self.say(f"{self.out} is finished: {session.start} steps of {session.total}")
            return self._publish()
        records = Records(
            self.out / "metrics.jsonl",
            session.start,
            open_sinks(self.config.report_to, self.out, asdict(self.config)),
        )
        try:
            asked = self._train(records)
        finally:
            records.close()
        if asked:
            self.say(
                f"{asked}: saved at step {int(self.state['step'])}; go on with: sightword train --resume {self.out}"
            )
        return self.out

    def _train(self, records: Records) -> str:
        session, started = self.session, time.monotonic()
        batches = self._batches()
        with Interrupt() as interrupt, Bar(f"train {self.out.name}", session.total, session.start) as bar:
            for step in range(session.start, session.total):
                batch = self._next(batches)
                if step == 0:
                    self._record_start(records, batch)
                note = self._step(step, batch, records)
                bar.advance(note)
                self._watch(step + 1, records)
                asked = interrupt.asked if step + 1 < session.total else ""
                if asked or self._due(step + 1):
                    self._save(records)
                if asked:
                    return asked
        self._publish()
        records.write("end", **self._done(), seconds=round(time.monotonic() - started, 3))
        return ""

    def _batches(self) -> Iterator[Batch]:
        session, data = self.session, self.config.data
        store = DecodedStore.load(lambda i: session.pairs[i].image, session.pairs.keys, data.cache_mib)
        steps = session.steps(store)
        return load_steps(steps, session.start, session.total, data, session.device.type == "cuda")

    def _next(self, batches: Iterator[Batch]) -> Batch:
        before = time.perf_counter()
        batch = next(batches)
        self.watch_clock.waited(time.perf_counter() - before)
        self.session.quarantine.add(batch.bad, int(self.state["samples"]) + len(batch.keys))
        return batch.to(self.session.device)

    def _step(self, step: int, batch: Batch, records: Records) -> str | None:
        torch.manual_seed(
            stream("step", self.config.seed, step)
        )  # drop path and dropout: pure in (seed, step)
        progress = self.session.progress(step)
        lr = learning_rate(self.config.optimizer, step, self.session.total)
        set_learning_rate(self.session.optimizer, lr)
        logged = self._logged(step + 1)
        answer, norms = self._forward_backward(batch, progress, logged)
        self._check(answer, step, batch)
        norm = (
            gradient_norm(self.model, self.config.optimizer.grad_clip) if self._needs_norm(logged) else None
        )
        self.session.optimizer.step()
        self.session.optimizer.zero_grad(set_to_none=True)
        self.model.after_step((step + 1) / self.session.total)
        self.state["step"] = step + 1
        self.state["samples"] += len(batch.keys)
        self.state["flops"] += self.state["flops_per_step"]
        return (
            self._record_step(records, batch, answer, lr, float(norm), norms)
            if norm is not None and logged
            else None
        )

    def _forward_backward(
        self, batch: Batch, progress: float, logged: bool
    ) -> tuple[Answer, dict[str, float]]:
        chunks = self.config.accum_freq
        if chunks > 1 or not logged or len(self.model.active(progress)) < 2:
            return forward_backward(self.model, batch, progress, chunks, self.autocast), {}
        with self.autocast:
            answer = self.model(batch, progress)
        norms = term_gradient_norms(answer, self.model.encoders.towers["image"])
        answer.total.backward()
        return answer, norms

    def _needs_norm(self, logged: bool) -> bool:
        return logged or self.config.optimizer.grad_clip > 0

    def _check(self, answer: Answer, step: int, batch: Batch) -> None:
        loss = float(answer.total.detach())
        if math.isfinite(loss):
            return
        terms = {name: float(term.loss.detach()) for name, term in answer.terms.items()}
        report = {
            "step": step,
            "loss": str(loss),
            "terms": {k: str(v) for k, v in terms.items()},
            "keys": batch.keys,
        }
        (self.out / "bad_step.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
        saved, _ = checkpoint.newest(self.out)
        where = f"the last good checkpoint is {saved.path}" if saved else "nothing was saved before it"
        raise SightwordError(
            f"the loss of step {step} is {loss} ({terms}); its samples are named in {self.out / 'bad_step.json'};"
            f" {where}; try a lower --lr or --precision fp32"
        )

    def _record_start(self, records: Records, batch: Batch) -> None:
        session, config = self.session, self.config
        self.state["flops_per_step"] = step_flops(self.model, batch, 0.0, config.accum_freq)
        records.write(
            "start", step=0, run=self.out.name, objective=config.objective, model=config.model.name,
            code_version=code_version(), torch=torch.__version__, device=str(session.device),
            data_hash=session.pairs.data_hash, order_hash=session.order.digest(config.batch_size),
            config_hash=config_digest(config), tokenizer_hash=session.tokenizer.digest,
            samples_total=session.total * config.batch_size, steps_total=session.total,
            pairs=len(session.pairs), batch_size=config.batch_size,
            parameters=sum(p.numel() for p in self.model.kept_encoders().parameters()),
            parameters_trained=sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            flops_per_step=self.state["flops_per_step"],
        )  # fmt: skip

    def _record_step(
        self,
        records: Records,
        batch: Batch,
        answer: Answer,
        lr: float,
        norm: float,
        norms: Mapping[str, float],
    ) -> str:
        seconds, wait = self.watch_clock.read()
        terms = scalars(answer, self.weights)
        for name in terms:
            terms[name]["grad_norm"] = norms.get(name, norm if len(terms) == 1 else float("nan"))
            if math.isnan(terms[name]["grad_norm"]):
                del terms[name]["grad_norm"]
        joint = self.model.encoders.joint
        values: dict[str, Any] = self._done() | {
            "epoch": batch.epoch, "loss": float(answer.total.detach()), "lr": lr, "grad_norm": norm,
            "samples_per_second": len(batch.keys) / seconds, "data_wait": wait, "step_seconds": seconds,
            "tflops_per_second": self.state["flops_per_step"] / seconds / 1e12, "terms": terms,
        }  # fmt: skip
        if joint is not None:
            values["logit_scale"] = float(joint.scale().detach())
        records.write("step", **values)
        losses = " ".join(f"{name} {term['loss']:.3f}" for name, term in terms.items())
        return f"{losses} | {values['samples_per_second']:.0f}/s, data wait {wait:.0%}"

    def _watch(self, step: int, records: Records) -> None:
        every = self.config.zeroshot_frequency
        if self.watch is None or not every or (step % every and step != self.session.total):
            return
        for score in self.watch(self._as_model()):
            records.write("score", **self._done(), **score)
        self.model.train()

    def _as_model(self) -> Model:
        """The model as it is now, sharing its weights."""
        session = self.session
        trained = int(self.state["step"]), int(self.state["samples"]), self.state["flops"]
        return Model(
            self.out.name, self.config, self.model.kept_encoders(), session.tokenizer, "in-training", trained
        )

    def _logged(self, step: int) -> bool:
        return step % self.config.log_every == 0 or step in (1, self.session.total)

    def _due(self, step: int) -> bool:
        every, minutes = self.config.save_every, self.config.save_minutes
        by_steps = every > 0 and step % every == 0
        by_time = minutes > 0 and time.monotonic() - self.saved_at > 60 * minutes
        return by_steps or by_time or step == self.session.total

    def _save(self, records: Records) -> None:
        state = self.state | {"data_hash": self.session.pairs.data_hash}
        path = checkpoint.save(self.out, self.model, self.session.optimizer, state, self.config.keep_last)
        self._publish()
        self.saved_at = time.monotonic()
        records.write("save", step=int(self.state["step"]), path=path.name)

    def _publish(self) -> Path:
        meta = {k: str(v) for k, v in self._done().items()} | {
            "objective": self.config.objective,
            "format": "pt",
        }
        checkpoint.save_encoders(self.out, self.model.kept_encoders(), meta)
        return self.out

    def _done(self) -> dict[str, Any]:
        return {
            "step": int(self.state["step"]),
            "samples": int(self.state["samples"]),
            "flops": self.state["flops"],
        }
