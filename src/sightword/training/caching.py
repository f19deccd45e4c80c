"""One forward and backward of a whole batch, in one piece or feature-cached in chunks.

Feature caching (GradCache, arXiv 2101.06983, section 3): encode chunk by chunk without a graph, score the
whole batch, then encode each chunk again and send its gradient back. Every objective sees all rows, so the
result is that of the large batch and the negatives are never fewer; memory is that of a chunk.
Batch norm *inside* a tower sees a chunk: that is the one thing that differs, and callers say so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from functools import partial

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.nn import functional as F

from sightword.towers.batch_norm import still_statistics
from sightword.training.gradients import TermGradients
from sightword.training.pretrainer import Answer
from sightword.training.together.engine import Engine
from sightword.words import Batch, Encode, Encoded, Words

Encodings = dict[Encode, Encoded]
Place = tuple[Encode, str]  # a want, and which field of its encoding


def forward_backward(
    engine: Engine,
    batch: Batch,
    progress: float,
    chunks: int,
    autocast: torch.autocast,
    meter: TermGradients | None = None,
) -> Answer:
    """Accumulate the gradient of one batch into the engine's model and return the loss of these rows.

    Args:
        engine: calls what is trained; gradients, averaged over all processes, are added to its parameters.
        batch: the whole batch of this process.
        progress: share of training done, 0 to 1.
        chunks: 1 for one piece; more to hold only 1/chunks of the activations.
        autocast: the precision context, entered around every forward.
        meter: takes each term's own gradient, beside the step's and without changing it.
    """
    if chunks > 1:
        return _cached(engine, batch, progress, chunks, autocast, meter)
    with autocast:
        answer = engine.forward(batch, progress)
    if meter:
        for name, term in answer.terms.items():
            meter.add(name, [term.loss])
    answer.total.backward()
    return answer


def _cached(
    engine: Engine,
    batch: Batch,
    progress: float,
    chunks: int,
    autocast: torch.autocast,
    meter: TermGradients | None,
) -> Answer:
    model, device, rows = engine.model, batch.ids.device, torch.arange(len(batch.keys)).chunk(chunks)
    states, parts = [], list[Encodings]()
    with torch.no_grad(), autocast:
        for chunk in rows:
            states.append(_rng(device))
            parts.append(model.encode(cut(batch, chunk), progress))
    leaves = _leaves(parts, {want for want in parts[0] if model.learns(want)})
    if not _tensors(leaves):
        return _scored(engine, leaves, batch, progress, autocast)
    with engine.holding_back():
        with autocast:
            answer = model.score(leaves, batch, progress)
        own = _each_terms(answer, leaves) if meter else {}
        answer.total.backward()
    whole = {place: leaf.grad for place, leaf in _tensors(leaves).items()}
    for chunk, state in zip(rows, states, strict=True):
        _restore(state, device)
        last = chunk is rows[-1]
        encode = engine.encode_last if last else partial(model.encode, still=False)
        with nullcontext() if last else engine.holding_back():
            with autocast, still_statistics(model):
                again = encode(cut(batch, chunk), progress)
            here = slice(int(chunk[0]), int(chunk[-1]) + 1)
            if meter:
                for name, gradients in own.items():
                    meter.add(name, *_matched(again, gradients, here))
            tensors, sent = _matched(again, whole, here)
            if tensors:
                torch.autograd.backward(tensors, sent)
    return answer


def _scored(
    engine: Engine, leaves: Encodings, batch: Batch, progress: float, autocast: torch.autocast
) -> Answer:
    """A step whose towers are all locked: only what scores has a gradient."""
    with autocast:
        answer = engine.score_last(leaves, batch, progress)
    answer.total.backward()
    return answer


def cut(batch: Batch, rows: Int64[Tensor, " n"]) -> Batch:
    """The given n rows of a batch."""
    rows = rows.to(batch.ids.device)
    return replace(
        batch,
        keys=tuple(batch.keys[i] for i in rows.tolist()),
        ids=batch.ids[rows],
        epochs=batch.epochs[rows.cpu()] if isinstance(batch.epochs, Tensor) else batch.epochs,
        views={view: images[rows] for view, images in batch.views.items()},
        captions={c: Words(w.ids[rows], w.lengths[rows]) for c, w in batch.captions.items()},
        sight=cut(batch.sight, rows) if batch.sight else None,
    )


def join(parts: Sequence[Encoded]) -> Encoded:
    """Encodings of several chunks as one; text trimmed to different lengths is padded at its end."""
    longest = max(part.tokens.shape[1] for part in parts)
    columns = {f.name: [getattr(p, f.name) for p in parts] for f in fields(Encoded)}
    columns["kept"] = [_filled_up(part, longest) for part in parts]
    return Encoded(**{name: None if c[0] is None else _cat(c) for name, c in columns.items()})  # type: ignore[arg-type]


def _cat(tensors: Sequence[Tensor]) -> Tensor:
    if tensors[0].ndim < 2 or len({t.shape[1] for t in tensors}) == 1:
        return torch.cat(list(tensors))
    longest = max(t.shape[1] for t in tensors)
    return torch.cat([F.pad(t, (0, 0) * (t.ndim - 2) + (0, longest - t.shape[1])) for t in tensors])


def _filled_up(part: Encoded, longest: int) -> Tensor | None:
    """`kept` for as many tokens as the longest chunk has: padding stands for positions of its own at the end.

    So does padding within a chunk (`towers.text.seen_first`): no two tokens of a row stand for one position.
    """
    missing = longest - part.tokens.shape[1]
    if part.kept is None or part.hidden is None or not missing:
        return part.kept
    free = torch.ones_like(part.hidden).scatter_(1, part.kept, False)
    last = torch.argsort(free, dim=1, stable=True)[:, -missing:]
    return torch.cat([part.kept, last], dim=1)


def _leaves(parts: Sequence[Encodings], learning: Collection[Encode]) -> Encodings:
    leaves: Encodings = {}
    for want in parts[0]:
        whole = join([part[want] for part in parts])
        needs = want in learning
        leaves[want] = replace(
            whole,
            pooled=whole.pooled.detach().requires_grad_(needs),
            tokens=whole.tokens.detach().requires_grad_(needs),
        )
    return leaves


def _tensors(encodings: Mapping[Encode, Encoded]) -> dict[Place, Tensor]:
    """What gradients can be asked of, by where it stands."""
    every = ((want, name, getattr(e, name)) for want, e in encodings.items() for name in ("pooled", "tokens"))
    return {(want, name): tensor for want, name, tensor in every if tensor.requires_grad}


def _each_terms(answer: Answer, leaves: Encodings) -> dict[str, dict[Place, Tensor | None]]:
    """Each term's own gradient on the encodings; the graph is kept."""
    asked = _tensors(leaves)
    return {
        name: dict(
            zip(
                asked,
                torch.autograd.grad(term.loss, list(asked.values()), retain_graph=True, allow_unused=True),
                strict=True,
            )
        )
        for name, term in answer.terms.items()
    }


def _matched(
    again: Encodings, gradients: Mapping[Place, Tensor | None], rows: slice
) -> tuple[list[Tensor], list[Tensor]]:
    """What was encoded again of these rows, and what must be sent back through it."""
    tensors, sent = [], []
    for place, tensor in _tensors(again).items():
        gradient = gradients[place]
        if gradient is not None:
            tensors.append(tensor)
            sent.append(gradient[rows][:, : tensor.shape[1]].to(tensor.dtype))
    return tensors, sent


def _rng(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _restore(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
