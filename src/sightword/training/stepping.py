"""One optimizer step: forward, backward, the weights, and what follows them."""

from __future__ import annotations

import torch

from sightword import distributed
from sightword.randomness import stream
from sightword.training.caching import forward_backward
from sightword.training.flops import step_flops, unreached
from sightword.training.gradients import Agreement, TermGradients
from sightword.training.logbook import Outcome
from sightword.training.meters import Readings, feature_readings, overhearing, view_readings
from sightword.training.optimizer import gradient_norm, learning_rate, set_learning_rate
from sightword.training.pretrainer import Answer, Encoders, Pretrainer
from sightword.training.seeding import reseed
from sightword.training.session import Session
from sightword.training.setup import build_pretrainer
from sightword.training.together.engine import Engine, make_engine
from sightword.training.together.parallel import sharded, whole
from sightword.words import Batch


class Stepper:
    """Takes the steps of an opened run, in all its processes together.

    Args:
        session: the run.
        engine: calls its model; None to make one at the first step.
    """

    def __init__(self, session: Session, engine: Engine | None = None) -> None:
        self.session, self.model = session, session.model
        self._engine = engine
        self.autocast = torch.autocast(
            session.device.type, dtype=torch.bfloat16, enabled=session.config.precision == "bf16"
        )

    def forward_backward(self, step: int, batch: Batch, measured: bool, gradients: bool) -> Outcome:
        """The gradient of a batch, clipped.

        Args:
            step: how many steps were taken before.
            batch: this process's rows of the step.
            measured: whether features are measured as well.
            gradients: whether each term's own gradient is, too.
        """
        config, session = self.session.config, self.session
        reseed(stream("step", config.seed, step), session.device)
        lr = learning_rate(config.optimizer, step, session.total)
        set_learning_rate(session.optimizer, lr)
        answer, readings = self._answer(step, batch, measured, gradients)
        loss = float(distributed.mean(answer.total))
        return Outcome(
            answer, loss, lr, float(gradient_norm(self.model, config.optimizer.grad_clip)), readings
        )

    def engine(self, step: int, batch: Batch) -> Engine:
        """What calls the model; made at the first step, when it can be seen what a backward pass reaches."""
        if self._engine is None:
            self._engine = make_engine(self.model, lambda: self._partial(step, batch))
        return self._engine

    def _partial(self, step: int, batch: Batch) -> bool:
        """Whether backward passes leave parameters out: those of late objectives, and those of heads where a
        step in chunks ends in a pass through the towers alone."""
        late = any(weighted.start > 0 for weighted in self.model.weighted)
        if late or self.session.chunks > 1:
            return True
        return bool(unreached(self.model, batch, self.session.progress(step)))

    def update(self, step: int) -> None:
        """Move the weights by the gradient, and what follows the weights."""
        session = self.session
        session.optimizer.step()
        session.optimizer.zero_grad(set_to_none=True)
        self.model.after_step(session.progress(step + 1), session.progress(step))

    def flops(self, step: int, batch: Batch) -> float:
        """Floating-point operations of a step like this, in all processes."""
        session = self.session
        model = self._copy() if sharded(self.model) else self.model
        own = step_flops(model, batch, session.progress(step), session.chunks)
        return own * distributed.world_size()

    def kept_encoders(self) -> Encoders:
        """What would be kept of the model now; all processes ask for it together."""
        kept = self.model.kept_encoders()
        if not sharded(self.model):
            return kept
        copied = self._copy().kept_encoders()
        copied.load_state_dict({name: whole(value) for name, value in kept.state_dict().items()})
        return copied

    def _answer(self, step: int, batch: Batch, measured: bool, gradients: bool) -> tuple[Answer, Readings]:
        progress, chunks = self.session.progress(step), self.session.chunks
        engine = self.engine(step, batch)
        if not measured:
            return forward_backward(engine, batch, progress, chunks, self.autocast), Readings()
        encoders = self.model.encoders
        # Of a model in pieces no gradient of a term by itself can be had: its parameters come and go.
        asked = gradients and not sharded(self.model)
        meter = TermGradients(encoders.towers["image"]) if asked else None
        with overhearing(encoders.joint) as heard:
            answer = forward_backward(engine, batch, progress, chunks, self.autocast, meter)
        features = feature_readings(answer.encoded, heard)
        views = view_readings(answer.encoded, {w.name: w.wants for w in self.model.active(progress)})
        return answer, Readings(features, views, meter.read() if meter else Agreement())

    def _copy(self) -> Pretrainer:
        """A model like this one, in one piece: only what it costs is asked of it."""
        session = self.session
        return build_pretrainer(session.config, session.tokenizer, fresh=False).to(session.device)
