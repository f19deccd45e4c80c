"""Random answers to whatever an objective wants: a batch, and encodings that gradients can be asked of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sightword import masking
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
        epoch=0,
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
    rows, student = len(batch.keys), want.teacher is None
    hidden, valid = None, None
    if want.tower == "text":
        assert around.text is not None
        assert want.caption is not None
        width, token_width, positions = around.text.width, around.text.width, LENGTH
        valid = torch.arange(LENGTH) < batch.captions[want.caption].lengths[:, None]
        hidden = _hidden(want.keep_words, (1, LENGTH), batch)
    else:
        width, token_width = around.image.width, around.image.token_width
        positions = around.image.grid[0] * around.image.grid[1]
        hidden = _hidden(want.keep, around.image.grid, batch)
    kept = None
    masked = want.keep if want.tower == "image" else want.keep_words
    if hidden is not None and masked is not None and not masked.replace:
        kept = torch.stack([(~row).nonzero()[:, 0] for row in hidden])
        positions = kept.shape[1]
        valid = None if valid is None else valid.gather(1, kept)
    pooled = torch.randn(rows, width, generator=generator).to(dtype).requires_grad_(student)
    tokens = torch.randn(rows, positions, token_width, generator=generator).to(dtype).requires_grad_(student)
    return Encoded(pooled, tokens, kept, hidden, valid)


def _hidden(mask: Masking | None, grid: tuple[int, int], batch: Batch) -> Tensor | None:
    if mask is None:
        return None
    return masking.hidden(mask, grid, batch.seed, np.asarray(batch.ids), batch.epoch)
