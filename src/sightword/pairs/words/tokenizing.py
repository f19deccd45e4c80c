"""What every tokenizer does: captions to ids of one length, once for those that come again."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tokenizers
import torch

from sightword.errors import SightwordError
from sightword.pairs.files import write_whole
from sightword.pairs.words.cleaning import clean
from sightword.words import Words

# The library's own threads do not survive the fork of a loader's workers, and warn of it at every step.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

_REMEMBERED = 1 << 16  # captions


class Tokenizer(ABC):
    """Captions to ids: `sot` if there is one, the words, `eot`, then `pad` up to the context.

    `eot` is never cut off.
    """

    pad: int
    sot: int | None  # none in SigLIP's
    eot: int

    def __init__(self, inner: tokenizers.Tokenizer, context: int) -> None:
        if context < 3:
            raise SightwordError(f"context must be at least 3 tokens (start, a word, end), found {context}")
        self.context = context
        self._inner = inner
        self._known: dict[str, list[int]] = {}

    @property
    def vocab(self) -> int:
        """How many ids there are."""
        return int(self._inner.get_vocab_size())

    @property
    def digest(self) -> str:
        """A hash of everything that decides the ids."""
        content = f"{type(self).__name__} {self.context} {self._inner.to_str()}"
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def __call__(self, texts: Sequence[str]) -> Words:
        """Token ids of captions, int64 of shape (len(texts), context); too long ones are cut before `eot`."""
        ids = np.full((len(texts), self.context), self.pad, dtype=np.int64)
        lengths = np.zeros(len(texts), dtype=np.int64)
        for row, words in enumerate(self._remembered(texts)):
            tokens = self._framed(words)
            ids[row, : len(tokens)] = tokens
            lengths[row] = len(tokens)
        return Words(torch.from_numpy(ids), torch.from_numpy(lengths))

    def _remembered(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of words, encoded once for as long as few captions come again and again."""
        known = self._known  # held on to: another thread may begin a new one
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if len(known) + len(new) > _REMEMBERED:
            known = self._known = {}
            new = list(dict.fromkeys(texts))
        known |= zip(new, self._encode([self._cleaned(text) for text in new]), strict=True)
        return [known[text] for text in texts]

    def save(self, path: Path) -> None:
        """Write the `tokenizers` library's own `tokenizer.json`."""
        write_whole(path, lambda file: file.write(self._inner.to_str(pretty=True).encode()))

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, up to the first `eot`; cleaning, and bytes cut in half, are not undone."""

    def _framed(self, words: list[int]) -> list[int]:
        """Words between start and end, cut so that both stay."""
        first = [] if self.sot is None else [self.sot]
        return [*first, *words[: self.context - len(first) - 1], self.eot]

    def _cleaned(self, text: str) -> str:
        return clean(text)

    def _encode(self, cleaned: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._inner.encode_batch_fast(cleaned, add_special_tokens=False)]

    def _words(self, ids: Sequence[int]) -> list[int]:
        found = list(ids)
        end = found.index(self.eot) if self.eot in found else len(found)
        return [id for id in found[:end] if id != self.sot]


def id_of(inner: tokenizers.Tokenizer, token: str) -> int:
    """The id of a token that is known to be there."""
    found = inner.token_to_id(token)
    assert found is not None, token
    return int(found)
