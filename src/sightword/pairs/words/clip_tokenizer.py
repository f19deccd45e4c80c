"""CLIP's byte-pair encoding, by the merges of its released vocabulary."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import final

import regex
import tokenizers
from tokenizers import Regex, models, pre_tokenizers

from sightword.pairs.words.tokenizing import Tokenizer, id_of

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"  # CLIP's (released code, tokenizer)
_SOT, _EOT = "<start_of_text>", "<end_of_text>"
_MERGES = 49152 - 256 - 2  # of the file's; 256 bytes, twice, and two special tokens make 49,408


@final
class ClipTokenizer(Tokenizer):
    """CLIP's 49,408 ids, as open_clip's `SimpleTokenizer` gives them. `pad` is 0, which is also the word "!".

    Beyond ASCII the words are cut by the same `regex` library as open_clip's: the engine inside `tokenizers`
    knows an older Unicode, where thousands of characters are not yet letters.
    """

    _pieces = regex.compile(f"{_SOT}|{_EOT}|{_WORDS}", regex.IGNORECASE)

    def __init__(self, context: int = 77) -> None:
        super().__init__(clip_vocabulary(), context)
        self.pad, self.sot, self.eot = 0, id_of(self._inner, _SOT), id_of(self._inner, _EOT)
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
            if piece in (_SOT, _EOT):
                before, after = pieces[:place], pieces[place + 1 :]
                return [*self._encode_pieces(before), id_of(self._inner, piece), *self._encode_pieces(after)]
        return list(self._of_pieces.encode(pieces, is_pretokenized=True, add_special_tokens=False).ids)


@lru_cache
def clip_vocabulary() -> tokenizers.Tokenizer:
    """CLIP's merges: bytes, bytes that end a word, merges in order, special tokens."""
    packed = (files("sightword") / "data" / "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")[1 : _MERGES + 1]
    merges = [(first, second) for first, second in (line.split() for line in lines)]
    letters = list(_byte_letters().values())
    ends = [f"{letter}</w>" for letter in letters]
    names = [*letters, *ends, *map("".join, merges), _SOT, _EOT]
    vocab = {name: id for id, name in enumerate(names)}
    inner = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges, end_of_word_suffix="</w>"))
    inner.pre_tokenizer = in_words(space=False)
    return inner


def in_words(space: bool) -> pre_tokenizers.PreTokenizer:
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
