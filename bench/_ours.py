"""Our side of `step.py` and `gpu.py`: a real run, opened and stepped as `sightword train` does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _sides import Side
from torch import Tensor, nn

from sightword.config import Config, DataConfig, ModelConfig, OptimizerConfig, Precision
from sightword.pairs.words.captions import captions_of
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.training.matmul import multiplying
from sightword.training.session import Session, begin
from sightword.training.stepping import Stepper
from sightword.views.on_device import finished
from sightword.words import Batch, View, Words

STEP = 100  # of 1,000: after warm-up
USUAL = 17  # CLIP's tokens of a web caption, on average; of 77
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Ours:
    """An opened run and one batch of it; its captions are those of `usual_captions`."""

    session: Session
    batch: Batch

    @property
    def words(self) -> Words:
        """The batch's captions."""
        return next(iter(self.batch.captions.values()))

    def pixels(self, objective: str, want: str) -> Tensor:
        """The bytes of the view that an objective calls `want`."""
        objectives = {w.name: w.objective for w in self.session.model.weighted}
        view = objectives[objective].wants[want].view
        assert isinstance(view, View)
        return self.batch.views[view]

    def side(self, precision: Precision) -> Side:
        """Its step in this precision, on these weights."""
        config = dataclasses.replace(self.session.config, precision=precision)
        session = dataclasses.replace(self.session, config=config)
        stepper, batch = Stepper(session), self.batch
        plain = Stepper(dataclasses.replace(session, config=dataclasses.replace(config, precision="fp32")))

        def step() -> None:
            with multiplying(session.float32_matmul):
                stepper.forward_backward(STEP, batch, False, False)
                stepper.update(STEP)

        def first() -> tuple[float, float]:
            with multiplying("highest"):
                outcome = plain.forward_backward(STEP, batch, False, False)
            session.optimizer.zero_grad(set_to_none=True)
            return outcome.loss, outcome.gradient_norm

        name = f"ours {precision}"
        return Side(name, precision, step, first, stepper.flops(STEP, batch), len(batch.keys))


def opened(
    folder: Path, objective: str, model: ModelConfig, rows: int, device: str = "cpu", compile: bool = False
) -> Ours:
    """A new run on the demo's pictures; one batch of it on the device."""
    config = Config(
        objective=objective,
        model=model,
        data=DataConfig(tokenizer="clip", workers=0),
        optimizer=OptimizerConfig(lr=1e-5),
        batch_size=rows,
        steps=1000,
        precision="bf16",
        device=device,
        compile=compile,
        out=str(folder / f"run-{len(list(folder.iterdir()))}"),
    )
    session = begin(config)
    session.model.train()
    batch = session.steps(None)[0]
    words = usual_captions(session, rows)
    batch = dataclasses.replace(batch, captions=dict.fromkeys(batch.captions, words))
    return Ours(session, finished(batch.to(session.device)))


def usual_captions(session: Session, rows: int, seed: int = 0) -> Words:
    """Captions as long as web captions are: the demo's, joined until each is as long as its draw.

    Lengths are log-normal around a mean of 17 of CLIP's tokens, with both ends; the same for every side.
    """
    known = [captions_of(text, "label")[0] for text in session.pairs.texts()]
    random, tokenizer = np.random.default_rng(seed), ClipTokenizer(session.config.model.text.context)
    wanted = np.exp(random.normal(np.log(USUAL - 2) - 0.18, 0.6, rows)).clip(5, tokenizer.context - 2)
    return tokenizer([_long_enough(known, random, tokenizer, int(length)) for length in wanted])


def _long_enough(
    known: Sequence[str], random: np.random.Generator, tokenizer: ClipTokenizer, length: int
) -> str:
    caption = str(random.choice(known))
    while int(tokenizer([caption]).lengths[0]) < length:
        caption += f", {random.choice(known)}"
    return caption


def full_captions(ours: Ours) -> Ours:
    """The same with captions of full length, which is what predictions count."""
    rows, context = len(ours.batch.keys), ours.session.config.model.text.context
    ids = torch.randint(1, 1000, (rows, context), generator=torch.Generator().manual_seed(0))
    ids[:, -1] = ours.session.tokenizer.eot
    words = Words(ids, torch.full((rows,), context)).to(ours.session.device)
    captions = dict.fromkeys(ours.batch.captions, words)
    return dataclasses.replace(ours, batch=dataclasses.replace(ours.batch, captions=captions))


def take(ours: Ours, encoders: Tensors, projector: Tensors | None = None) -> None:
    """Give a run a peer's weights: all of its encoders, and SimCLR's head where there is one."""
    ours.session.model.encoders.load_state_dict(dict(encoders), strict=True)
    if projector is not None:
        head = ours.session.model.objectives["simclr"].projector
        assert isinstance(head, nn.Module)
        head.load_state_dict(dict(projector), strict=True)
