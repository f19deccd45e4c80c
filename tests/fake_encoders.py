"""Random answers to whatever an objective wants: a batch, and encodings that gradients can be asked of."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sightword import masking
from sightword.towers.text import seen_first
from sightword.words import (
    Batch,
    Caption,
    Encode,
    Encoded,
    ImageFacts,
    Masking,
    Surroundings,
    TextFacts,
    View,
    Words,
)

SIZE, LENGTH, VOCAB = 16, 7, 40

IMAGE = ImageFacts(
    width=24,
    token_width=24,
    size=SIZE,
    grid=(4, 4),
    patch_size=4,
    maskable=True,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    class_token=True,
)
TEXT = TextFacts(width=20, vocab=VOCAB, context=LENGTH, pad=0, eot=VOCAB - 1, maskable=True)
AROUND = Surroundings(IMAGE, TEXT)


def fake_batch(wants: Mapping[str, Encode], rows: int = 6, seed: int = 0) -> Batch:
    """Views of random pixels and captions of random words, for everything that is wanted."""
    generator = torch.Generator().manual_seed(seed)
    views = dict.fromkeys(want.view for want in wants.values() if want.view is not None)
    captions = dict.fromkeys(want.caption for want in wants.values() if want.caption is not None)
    return Batch(
        step=0,
        keys=tuple(f"sample{i}" for i in range(rows)),
        ids=torch.arange(rows) * 17 + 3,
        epochs=0,
        views={view: _pixels(view, rows, generator) for view in views},
        captions={caption: _words(caption, rows, generator) for caption in captions},
        seed=seed,
    )


def fake_encodings(
    wants: Mapping[str, Encode],
    batch: Batch,
    around: Surroundings = AROUND,
    dtype: torch.dtype = torch.float32,
    seed: int = 1,
) -> dict[str, Encoded]:
    """One random answer for each want; a student's ask for gradients, a teacher's do not."""
    generator = torch.Generator().manual_seed(seed)
    return {name: _answer(want, batch, around, dtype, generator) for name, want in wants.items()}


def permuted(encoded: Mapping[str, Encoded], batch: Batch, order: Tensor) -> tuple[dict[str, Encoded], Batch]:
    """The same samples in another order."""
    moved = {
        name: Encoded(**{k: None if v is None else v[order] for k, v in vars(one).items()})
        for name, one in encoded.items()
    }
    views = {view: images[order] for view, images in batch.views.items()}
    captions = {c: Words(words.ids[order], words.lengths[order]) for c, words in batch.captions.items()}
    keys = tuple(batch.keys[i] for i in order.tolist())
    return moved, dataclasses.replace(batch, keys=keys, ids=batch.ids[order], views=views, captions=captions)


def leaves(encoded: Mapping[str, Encoded]) -> dict[str, tuple[Tensor, Tensor]]:
    """The student's answers by name, which gradients must reach."""
    return {name: (one.pooled, one.tokens) for name, one in encoded.items() if one.pooled.requires_grad}


def _pixels(view: View, rows: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (rows, 3, view.size, view.size), dtype=torch.uint8, generator=generator)


def _words(caption: Caption, rows: int, generator: torch.Generator) -> Words:
    ids = torch.randint(1, VOCAB - 1, (rows, LENGTH), generator=generator)
    lengths = torch.randint(3, LENGTH + 1, (rows,), generator=generator)
    places = torch.arange(LENGTH)
    ids[places == lengths[:, None] - 1] = TEXT.eot
    ids[places >= lengths[:, None]] = TEXT.pad
    return Words(ids, lengths)


def _answer(
    want: Encode, batch: Batch, around: Surroundings, dtype: torch.dtype, generator: torch.Generator
) -> Encoded:
    """As the tower would: shapes, and what is kept, hidden and valid, are true; features are noise."""
    rows, student = len(batch.keys), want.teacher is None
    sides = []
    if want.tower != "text":
        sides.append(_side(_hidden(want.keep, _grid(want, around.image), batch), want.keep, rows, None))
    if want.caption is not None:
        lengths = batch.captions[want.caption].lengths
        words = _hidden(want.keep_words, (1, LENGTH), batch)
        sides.append(_side(words, want.keep_words, rows, lengths))
    facts = around.text if want.tower == "text" else around.image
    assert facts is not None
    hidden, kept, valid = sides[0] if len(sides) == 1 else _joined(*sides)
    full = LENGTH if want.view is None else math.prod(_grid(want, around.image))
    positions = full if kept is None else kept.shape[1]
    token_width = facts.width if isinstance(facts, TextFacts) else facts.token_width
    pooled = torch.randn(rows, facts.width, generator=generator).to(dtype).requires_grad_(student)
    tokens = torch.randn(rows, positions, token_width, generator=generator).to(dtype).requires_grad_(student)
    return Encoded(pooled, tokens, kept, hidden, valid)


Side = tuple[Tensor | None, Tensor | None, Tensor | None]  # hidden, kept, valid


def _side(hidden: Tensor | None, mask: Masking | None, rows: int, lengths: Tensor | None) -> Side:
    """What a tower says of one input; the end of a text is always seen, and padding is never hidden."""
    if lengths is None:
        if hidden is None or mask is None or mask.replace:
            return hidden, None, None
        return hidden, torch.stack([(~row).nonzero()[:, 0] for row in hidden]), None
    place = torch.arange(LENGTH)
    real = place < lengths[:, None]
    if hidden is None or mask is None:
        return None, None, real
    hidden = hidden & (place < lengths[:, None] - 1)
    if mask.replace:
        return hidden, None, real
    kept = seen_first(real & ~hidden)
    return hidden, kept, (real & ~hidden).gather(1, kept)


def _joined(picture: Side, caption: Side) -> Side:
    """A joint trunk always says which tokens it kept, of the picture first."""
    grid = math.prod(IMAGE.grid)
    (hidden, kept, _), (hidden_words, kept_words, valid) = picture, caption
    assert valid is not None
    rows = len(valid)
    hidden = torch.zeros(rows, grid, dtype=torch.bool) if hidden is None else hidden
    hidden_words = torch.zeros(rows, LENGTH, dtype=torch.bool) if hidden_words is None else hidden_words
    kept = torch.arange(grid).expand(rows, -1) if kept is None else kept
    kept_words = torch.arange(LENGTH).expand(rows, -1) if kept_words is None else kept_words
    return (
        torch.cat([hidden, hidden_words], dim=1),
        torch.cat([kept, kept_words + grid], dim=1),
        torch.cat([torch.ones_like(kept, dtype=torch.bool), valid], dim=1),
    )


def _grid(want: Encode, image: ImageFacts) -> tuple[int, int]:
    """Of the view, which may be smaller than the tower's own."""
    assert want.view is not None
    down, across = image.grid
    return down * want.view.size // image.size, across * want.view.size // image.size


def _hidden(mask: Masking | None, grid: tuple[int, int], batch: Batch) -> Tensor | None:
    if mask is None:
        return None
    return masking.hidden(mask, grid, batch.seed, np.asarray(batch.ids), np.asarray(batch.epochs))
