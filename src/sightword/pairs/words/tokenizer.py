"""Floor 3. From captions to token ids: CLIP's byte-pair encoding, or a small one learned from captions."""

from __future__ import annotations

import gzip
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import final

import numpy as np
import regex
import tokenizers
import torch
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from sightword.errors import SightwordError
from sightword.pairs.files import write_whole
from sightword.pairs.words.cleaning import clean
from sightword.words import Words

# The library's own threads do not survive the fork of a loader's workers, and warn of it at every step.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"  # CLIP's (released code, tokenizer)
_CLIP_SOT, _CLIP_EOT = "<start_of_text>", "<end_of_text>"
_CLIP_MERGES = 49152 - 256 - 2  # of the file's; 256 bytes, twice, and two special tokens make 49,408
_PAD, _SOT, _EOT = "<pad>", "<sot>", "<eot>"
_LEARNED_FROM = 2000  # characters of a caption: the library's time grows with the square of a word's length
_REMEMBERED = 1 << 16  # captions
_FEWEST = 3 + 256  # the special tokens and every byte, so that no text is unknown


class Tokenizer(ABC):
    """Captions to ids: `sot`, the words, `eot`, then `pad` up to the context. `eot` is never cut off."""

    pad: int
    sot: int
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
            tokens = [self.sot, *words[: self.context - 2], self.eot]
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
        known |= zip(new, self._encode([clean(text) for text in new]), strict=True)
        return [known[text] for text in texts]

    def save(self, path: Path) -> None:
        """Write the `tokenizers` library's own `tokenizer.json`."""
        write_whole(path, lambda file: file.write(self._inner.to_str(pretty=True).encode()))

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, up to the first `eot`; cleaning, and bytes cut in half, are not undone."""

    def _encode(self, cleaned: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._inner.encode_batch_fast(cleaned, add_special_tokens=False)]

    def _words(self, ids: Sequence[int]) -> list[int]:
        found = list(ids)
        end = found.index(self.eot) if self.eot in found else len(found)
        return [id for id in found[:end] if id != self.sot]


@final
class ClipTokenizer(Tokenizer):
    """CLIP's 49,408 ids, as open_clip's `SimpleTokenizer` gives them. `pad` is 0, which is also the word "!".

    Beyond ASCII the words are cut by the same `regex` library as open_clip's: the engine inside `tokenizers`
    knows an older Unicode, where thousands of characters are not yet letters.
    """

    _pieces = regex.compile(f"{_CLIP_SOT}|{_CLIP_EOT}|{_WORDS}", regex.IGNORECASE)

    def __init__(self, context: int = 77) -> None:
        super().__init__(_clip(), context)
        self.pad, self.sot, self.eot = 0, _id(self._inner, _CLIP_SOT), _id(self._inner, _CLIP_EOT)
        self._of_pieces = tokenizers.Tokenizer(self._inner.model)
        self._of_pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)

    def decode(self, ids: Sequence[int]) -> str:
        tokens = "".join(self._inner.id_to_token(id) or "" for id in self._words(ids))
        return _bytes_of(tokens.replace("</w>", " ")).decode("utf-8", errors="replace").strip()

    def _encode(self, cleaned: list[str]) -> list[list[int]]:
        plain = [text if text.isascii() and "_of_text>" not in text else "" for text in cleaned]
        encoded = super()._encode(plain)
        for row, text in enumerate(cleaned):
            if text != plain[row]:
                encoded[row] = self._encode_pieces(self._pieces.findall(text))
        return encoded

    def _encode_pieces(self, pieces: list[str]) -> list[int]:
        """Words cut already; one that spells out a special token becomes that token, as in open_clip."""
        for place, piece in enumerate(pieces):
            if piece in (_CLIP_SOT, _CLIP_EOT):
                before, after = pieces[:place], pieces[place + 1 :]
                return [*self._encode_pieces(before), _id(self._inner, piece), *self._encode_pieces(after)]
        return list(self._of_pieces.encode(pieces, is_pretokenized=True, add_special_tokens=False).ids)


@final
class LearnedTokenizer(Tokenizer):
    """A byte-level BPE learned from captions: a 49,408-row embedding is most of a small model."""

    def __init__(self, inner: tokenizers.Tokenizer, context: int) -> None:
        super().__init__(inner, context)
        self.pad, self.sot, self.eot = _id(inner, _PAD), _id(inner, _SOT), _id(inner, _EOT)

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
        inner.pre_tokenizer = _pre_tokenizer(space=True)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab,
            min_frequency=2,
            show_progress=False,
            special_tokens=[_PAD, _SOT, _EOT],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        )
        inner.train_from_iterator((clean(caption[:_LEARNED_FROM]) for caption in captions), trainer)
        inner.encode_special_tokens = True  # a caption that spells out "<eot>" is words, not an end
        return cls(inner, context)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._inner.decode(self._words(ids), skip_special_tokens=False)).strip()


def load_tokenizer(path: Path, context: int) -> Tokenizer:
    """The tokenizer that `save` wrote.

    Raises:
        SightwordError: the file is missing, damaged, or of another kind.
    """
    try:
        inner = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SightwordError(f"cannot read '{path}': {error.strerror}; it was saved with the run") from error
    except Exception as error:  # the library raises bare exceptions
        raise SightwordError(f"'{path}' is not a tokenizer ({error}); restore it from the run") from error
    if all(inner.token_to_id(name) is not None for name in (_PAD, _SOT, _EOT)):
        inner.encode_special_tokens = True
        return LearnedTokenizer(inner, context)
    if inner.to_str() == _clip().to_str():
        return ClipTokenizer(context)
    raise SightwordError(f"'{path}' is neither CLIP's tokenizer nor a learned one; restore it from the run")


def _id(inner: tokenizers.Tokenizer, token: str) -> int:
    found = inner.token_to_id(token)
    assert found is not None, token
    return int(found)


@lru_cache
def _clip() -> tokenizers.Tokenizer:
    """CLIP's merges: bytes, bytes that end a word, merges in order, special tokens."""
    packed = (files("sightword") / "data" / "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")[1 : _CLIP_MERGES + 1]
    merges = [(first, second) for first, second in (line.split() for line in lines)]
    letters = list(_byte_letters().values())
    ends = [f"{letter}</w>" for letter in letters]
    names = [*letters, *ends, *map("".join, merges), _CLIP_SOT, _CLIP_EOT]
    vocab = {name: id for id, name in enumerate(names)}
    inner = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges, end_of_word_suffix="</w>"))
    inner.pre_tokenizer = _pre_tokenizer(space=False)
    return inner


def _pre_tokenizer(space: bool) -> pre_tokenizers.PreTokenizer:
    """Cut into CLIP's words, then bytes as letters; `space` marks the start of each word."""
    split = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=space, use_regex=False)])


@lru_cache
def _byte_letters() -> dict[int, str]:
    """A printable letter for each byte, in the order of CLIP's ids (GPT-2's `bytes_to_unicode`)."""
    ranges = (("!", "~"), ("¡", "¬"), ("®", "ÿ"))
    printable = [byte for first, last in ranges for byte in range(ord(first), ord(last) + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


def _bytes_of(letters: str) -> bytes:
    bytes_of = {letter: byte for byte, letter in _byte_letters().items()} | {" ": ord(" ")}
    return bytes(bytes_of[letter] for letter in letters)
