"""Pictures of what a finished run's objectives do, for its report: `RUN/pictures/<objective>.safetensors`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from sightword.errors import BadSample
from sightword.objectives.base import Objective
from sightword.pairs.base import Pairs
from sightword.pairs.sample import Sample
from sightword.training.session import Session, resume
from sightword.views.decode import decode
from sightword.views.evaluation import centre
from sightword.words import Batch

_MOST = 16  # pictures in a file


def save_pictures(out: Path, pairs: Pairs) -> list[Path]:
    """Let each objective that can show itself do so on evenly spaced samples of `pairs`.

    Args:
        out: a run that has saved a checkpoint: heads and decoders are needed, not only the towers.
        pairs: what to look at; held-out ones where there are any.

    Returns:
        The files written: uint8 tensors (b, 3, h, w) by kind, such as `original` and `reconstructed`.
    """
    session = resume(out)
    shown = [w for w in session.model.weighted if type(w.objective).pictures is not Objective.pictures]
    if not shown:
        return []
    batch = _batch(session, pairs)
    files = []
    with torch.no_grad():
        encoded = session.model.eval().encode(batch)
        for weighted in shown:
            own = {name: encoded[want] for name, want in weighted.wants.items()}
            kinds = {k: v.cpu().contiguous() for k, v in weighted.objective.pictures(own, batch).items()}
            files.append(out / "pictures" / f"{weighted.name}.safetensors")
            files[-1].parent.mkdir(exist_ok=True)
            save_file(kinds, files[-1])
    return files


def _batch(session: Session, pairs: Pairs) -> Batch:
    """Samples as evaluation sees them, in every view and caption that is wanted."""
    plan = session.model.plan(1.0)
    samples, images, ids = _readable(pairs)
    words = session.tokenizer([sample.caption for sample in samples])
    views = dict.fromkeys(plan.views("pairs") + plan.views("sight"))
    batch = Batch(
        step=0,
        keys=tuple(sample.key for sample in samples),
        ids=torch.tensor(ids),
        epochs=0,
        views={view: centre(images, view.size) for view in views},
        captions=dict.fromkeys(plan.captions, words),
        seed=session.config.seed,
    ).to(session.device)
    return replace(batch, sight=batch)


def _readable(pairs: Pairs) -> tuple[list[Sample], list[np.ndarray], list[int]]:
    samples, images, ids = [], [], []
    for index in np.unique(np.linspace(0, len(pairs) - 1, _MOST).astype(int)).tolist():
        try:
            sample = pairs[index]
            images.append(decode(sample.image, sample.key))
        except BadSample:
            continue  # training and evaluation count and name unreadable samples; here others do as well
        samples.append(sample)
        ids.append(index)
    return samples, images, ids
