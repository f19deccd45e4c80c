"""A small byte-pair encoding that is learned from captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from sightword.errors import SightwordError
from sightword.pairs.words.cleaning import clean
from sightword.pairs.words.clip_tokenizer import in_words
from sightword.pairs.words.tokenizing import Tokenizer, id_of

_PAD, _SOT, _EOT = SPECIAL = "<pad>", "<sot>", "<eot>"
_FROM = 2000  # characters of a caption: the library's time grows with the square of a word's length
_FEWEST = 3 + 256  # the special tokens and every byte, so that no text is unknown


@final
class LearnedTokenizer(Tokenizer):
    """A byte-level BPE learned from captions: a 49,408-row embedding is most of a small model."""

    def __init__(self, inner: tokenizers.Tokenizer, context: int) -> None:
        super().__init__(inner, context)
        self.pad, self.sot, self.eot = id_of(inner, _PAD), id_of(inner, _SOT), id_of(inner, _EOT)

    @classmethod
    def train(cls, captions: Iterable[str], vocab: int, context: int) -> LearnedTokenizer:
        """Learn the most useful merges.

        Args:
            captions: the texts, in any order; the same texts give the same tokenizer.
            vocab: ids at most; fewer when the captions give fewer merges that occur twice.
            context: tokens of a caption, `sot` and `eot` included.

        Raises:
            SightwordError: `vocab` is too small to hold every byte.
        """
        if vocab < _FEWEST:
            raise SightwordError(f"a learned vocabulary needs at least {_FEWEST} ids, found {vocab}")
        inner = tokenizers.Tokenizer(models.BPE())
        inner.pre_tokenizer = in_words(space=True)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab,
            min_frequency=2,
            show_progress=False,
            special_tokens=[_PAD, _SOT, _EOT],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        )
        inner.train_from_iterator((clean(caption[:_FROM]) for caption in captions), trainer)
        inner.encode_special_tokens = True  # a caption that spells out "<eot>" is words, not an end
        return cls(inner, context)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._inner.decode(self._words(ids), skip_special_tokens=False)).strip()
