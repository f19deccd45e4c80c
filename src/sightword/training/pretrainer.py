"""The one module that trains: towers, the space where they meet, teachers and weighted objectives.

It encodes what the plan says and lets each objective score it. It never learns an objective's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sightword import masking
from sightword.objectives.base import Objective
from sightword.randomness import stream, uniform
from sightword.towers.joint_space import JointSpace
from sightword.towers.locking import encoding, keep_still, learns
from sightword.towers.momentum import Follower
from sightword.training.plan import EncodingPlan, Pass, make_plan
from sightword.words import Batch, Encode, Encoded, Masking, Source, Teacher, Term, Words


@dataclass(frozen=True)
class Weighted:
    """An objective in a sum: its weight, the share of training after which it counts, and its pictures."""

    name: str
    objective: Objective
    weight: float = 1.0
    start: float = 0.0
    source: Source = "pairs"

    @property
    def wants(self) -> dict[str, Encode]:
        """What it wants, of the pictures that it learns from."""
        return {name: replace(e, source=self.source) for name, e in self.objective.wants.items()}


@dataclass(frozen=True)
class Answer:
    """The loss of one step, its parts, and the encodings that were scored."""

    total: Float[Tensor, ""]
    terms: Mapping[str, Term] = field(default_factory=dict)
    encoded: Mapping[Encode, Encoded] = field(default_factory=dict)


class Encoders(nn.Module):
    """What is kept after training: the towers and the joint space."""

    def __init__(self, towers: Mapping[str, nn.Module], joint: JointSpace | None) -> None:
        super().__init__()
        self.towers = nn.ModuleDict(dict(towers))
        self.joint = joint


class Pretrainer(nn.Module):
    """Towers and weighted objectives.

    Args:
        encoders: towers by name (`image`, `text`, `joint`) and the joint space.
        weighted: the objectives of the sum.
        ema: momentum of an average of the encoders' weights; 0 for none.
    """

    def __init__(self, encoders: Encoders, weighted: Sequence[Weighted], ema: float = 0.0) -> None:
        super().__init__()
        self.encoders = encoders
        self.weighted = tuple(weighted)
        self.objectives = nn.ModuleDict({w.name: w.objective for w in weighted})
        self._teacher_names: dict[tuple[str, Teacher], str] = {}
        self.teachers = nn.ModuleDict()
        for weight in weighted:
            for encode in weight.objective.wants.values():
                self._add_teacher(encode, weight.start)
            for module in weight.objective.modules():
                if isinstance(module, Follower):
                    module.start = weight.start
        self.average = Follower(encoders, Teacher(ema, ema)) if ema else None
        self._plans: dict[tuple[str, ...], EncodingPlan] = {}

    def active(self, progress: float) -> tuple[Weighted, ...]:
        """The objectives that count at this share of training."""
        return tuple(w for w in self.weighted if progress >= w.start)

    def plan(self, progress: float) -> EncodingPlan:
        """What must be encoded at this share of training (0 to 1)."""
        active = self.active(progress)
        names = tuple(w.name for w in active)
        if names not in self._plans:
            mixing = [n for n, t in self.encoders.towers.items() if getattr(t, "mixes_batch", False)]
            self._plans[names] = make_plan([w.wants for w in active], mixing)
        return self._plans[names]

    def forward(self, batch: Batch, progress: float = 1.0) -> Answer:
        """Encode and score one batch; `progress` is the share of training done."""
        return self.score(self.encode(batch, progress), batch, progress)

    def train(self, mode: bool = True) -> Pretrainer:
        """As every module's; what is locked stays in evaluation mode."""
        super().train(mode)
        keep_still(self)
        return self

    def learns(self, encode: Encode | Pass) -> bool:
        """Whether a gradient can be sent back through what encodes this: no teacher, no locked tower."""
        return encode.teacher is None and learns(self.encoders.towers[encode.tower])

    def encode(self, batch: Batch, progress: float = 1.0, still: bool = True) -> dict[Encode, Encoded]:
        """Everything that the active objectives want, each distinct want once.

        Args:
            batch: rows (b, ...) of views and captions.
            progress: the share of training done, 0 to 1.
            still: False leaves out what momentum teachers and locked towers encode.
        """
        encoded: dict[Encode, Encoded] = {}
        for one in self.plan(progress).passes:
            if still or self.learns(one):
                encoded.update(self._run(one, batch))
        return encoded

    def score(self, encoded: Mapping[Encode, Encoded], batch: Batch, progress: float = 1.0) -> Answer:
        """Let each active objective score its encodings; the total is the weighted sum."""
        terms: dict[str, Term] = {}
        total = torch.zeros((), device=batch.ids.device)
        for weight in self.active(progress):
            own = {name: encoded[want] for name, want in weight.wants.items()}
            terms[weight.name] = weight.objective(own, batch.of(weight.source), self.encoders.joint)
            total = total + weight.weight * terms[weight.name].loss
        return Answer(total, terms, encoded)

    @torch.no_grad()
    def after_step(self, progress: float, before: float | None = None) -> None:
        """What follows an optimizer step: the scale's clamp, then every momentum copy in the tree.

        Args:
            progress: the share of training done, this step included.
            before: the share done without it; teachers of late objectives start where it passes their start.
        """
        if self.encoders.joint is not None:
            self.encoders.joint.clamp_()
        for follower in self._followers:
            follower.update(progress, before)

    @cached_property
    def _followers(self) -> tuple[Follower, ...]:
        """Every momentum copy in the tree; a walk through it takes as long as a small step's optimizer."""
        return tuple(module for module in self.modules() if isinstance(module, Follower))

    def kept_encoders(self) -> Encoders:
        """What to save for use: the averaged encoders when there is an average."""
        kept = self.encoders if self.average is None else self.average.copy
        assert isinstance(kept, Encoders)
        return kept

    def _add_teacher(self, encode: Encode, start: float) -> None:
        if encode.teacher is None:
            return
        key = encode.tower, encode.teacher
        if key not in self._teacher_names:
            self._teacher_names[key] = f"{encode.tower}_{len(self._teacher_names)}"
            follower = Follower(self.encoders.towers[encode.tower], encode.teacher)
            follower.start = start
            self.teachers[self._teacher_names[key]] = follower
        kept = self.teachers[self._teacher_names[key]]
        assert isinstance(kept, Follower)
        kept.start = min(kept.start, start)

    def _run(self, one: Pass, batch: Batch) -> dict[Encode, Encoded]:
        draws = getattr(self.encoders.towers[one.tower], "path_draws", 0)
        inputs = _inputs(one, batch, self._grid(one.tower), draws)
        if one.teacher is None:
            tower = self.encoders.towers[one.tower]
            with encoding(tower):
                answer = tower(*inputs)
        else:
            with torch.no_grad():
                answer = self.teachers[self._teacher_names[one.tower, one.teacher]](*inputs)
        return dict(zip(one.encodes, split(answer, len(one.encodes)), strict=True))

    def _grid(self, tower: str) -> tuple[int, int]:
        facts = getattr(self.encoders.towers[tower], "facts", None)
        return getattr(facts, "grid", (0, 0))


def split(encoded: Encoded, parts: int) -> list[Encoded]:
    """Cut encodings of (parts x b) rows into `parts` encodings of b rows each."""
    fields = (encoded.pooled, encoded.tokens, encoded.kept, encoded.hidden, encoded.valid)
    pieces = [f.chunk(parts) if f is not None else [None] * parts for f in fields]
    return [Encoded(*row) for row in zip(*pieces, strict=True)]


def _inputs(one: Pass, batch: Batch, grid: tuple[int, int], draws: int) -> tuple[object, ...]:
    """The arguments of a tower for all wants of a pass, stacked along the rows.

    `draws` is how many random numbers each row needs to drop paths.
    """
    first = one.encodes[0]
    rows = [(e, batch.of(e.source)) for e in one.encodes]
    images = torch.cat([b.views[e.view] for e, b in rows]) if first.view else None  # type: ignore[index]
    words = _stack([b.captions[e.caption] for e, b in rows]) if first.caption else None  # type: ignore[index]
    patches = _hidden([(e.keep, b) for e, b in rows], grid)
    replaced = first.keep is not None and first.keep.replace
    if one.tower == "image":
        return images, patches, replaced, *_path_draws(rows, draws)
    length = words.ids.shape[1] if words else 0
    tokens = _hidden([(e.keep_words, b) for e, b in rows], (1, length))
    replaced_words = first.keep_words is not None and first.keep_words.replace
    if one.tower == "text":
        return words, tokens, replaced_words
    return images, words, patches, tokens, replaced, replaced_words, *_path_draws(rows, draws)


def _path_draws(rows: Sequence[tuple[Encode, Batch]], count: int) -> list[Float[Tensor, "b count"]]:
    """What decides which residual branches a row drops: a pure function of (seed, want, sample, epoch)."""
    if not count:
        return []
    numbers = [
        uniform(b.seed, stream("drop path", e), b.ids.cpu().numpy(), np.asarray(b.epochs), count)
        for e, b in rows
    ]
    return [torch.from_numpy(np.concatenate(numbers)).float()]


def _hidden(
    masks: Sequence[tuple[Masking | None, Batch]], grid: tuple[int, int]
) -> Bool[Tensor, "b n"] | None:
    rows = [
        masking.hidden(mask, grid, batch.seed, batch.ids.cpu().numpy(), np.asarray(batch.epochs))
        for mask, batch in masks
        if mask is not None
    ]
    return torch.cat(rows) if rows else None  # on the CPU: a ViT gathers by it without waiting for the device


def _stack(words: Sequence[Words]) -> Words:
    return Words(torch.cat([w.ids for w in words]), torch.cat([w.lengths for w in words]))
