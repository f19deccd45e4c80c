"""SigLIP's pieces of sentences, from the `tokenizer.json` that lies beside its weights."""

from __future__ import annotations

import html
import json
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import ftfy
import tokenizers
from tokenizers import Regex, normalizers

from sightword.errors import SightwordError
from sightword.pairs.words.tokenizing import Tokenizer, id_of

Canon = Literal["open_clip", "hugging-face", "lower-case"]

_MOST = 64 << 20  # bytes of a tokenizer.json; the largest that is published has half of that
_MARK = "\u2581"  # stands for a space in the vocabulary
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NO_PUNCTUATION = normalizers.Replace(Regex(f"[{re.escape(string.punctuation)}]"), "")
_ONE_SPACE = normalizers.Replace(Regex(r"\s+"), " ")


@dataclass(frozen=True)
class _Way:
    """How captions are made plain before they are cut.

    said: the steps as the `tokenizers` library can say them, so that a saved file tells them to every reader.
    done: the same by Python's own functions, as the library whose weights these are does it.
    """

    said: tuple[normalizers.Normalizer, ...]
    done: Callable[[str], str]


def _as_open_clip(text: str) -> str:
    """open_clip's `clean="canonicalize"`: mended, without punctuation (`_` is a space), lower case."""
    mended = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return " ".join(mended.replace("_", " ").translate(_PUNCTUATION).lower().split())


def _as_hugging_face(text: str) -> str:
    """transformers' `SiglipTokenizer`: lower case, without punctuation."""
    plain = text.replace(_MARK, " ").lower().translate(_PUNCTUATION)
    return re.sub(r"\s+", " ", plain).strip()


_WAYS: dict[Canon, _Way] = {
    "open_clip": _Way(
        (
            normalizers.Replace("_", " "),
            _NO_PUNCTUATION,
            normalizers.Lowercase(),
            _ONE_SPACE,
            normalizers.Strip(),
        ),
        _as_open_clip,
    ),
    "hugging-face": _Way(
        (
            normalizers.Replace(_MARK, " "),
            normalizers.Lowercase(),
            _NO_PUNCTUATION,
            _ONE_SPACE,
            normalizers.Strip(),
        ),
        _as_hugging_face,
    ),
    "lower-case": _Way((normalizers.Lowercase(),), lambda text: text),
}
_ENDS = {"</s>": "</s>", "<eos>": "<pad>"}  # what ends a caption, and what then fills the context


@final
class SiglipTokenizer(Tokenizer):
    """Ids as SigLIP's sentence pieces; nothing stands in front, and padding is words to its text tower.

    Captions lose case and punctuation first, in one of three ways: "open_clip" and "hugging-face" as these
    libraries do for SigLIP (they differ in `_`, HTML and mojibake), "lower-case" as Hugging Face does for
    SigLIP 2.
    A vocabulary with "</s>" (SigLIP) pads with it, one with "<eos>" (SigLIP 2) with "<pad>".

    Args:
        inner: the vocabulary; made plain by `canon` already, as `from_file` and `load_tokenizer` give it.
        context: tokens of a caption, its end included.
        canon: the way.

    Raises:
        SightwordError: when no token of the vocabulary ends a caption.
    """

    sot = None

    def __init__(self, inner: tokenizers.Tokenizer, context: int, canon: Canon) -> None:
        super().__init__(inner, context)
        end = next((name for name in _ENDS if inner.token_to_id(name) is not None), None)
        if end is None or inner.token_to_id(_ENDS[end]) is None:
            raise SightwordError(
                "the vocabulary has neither '</s>' (SigLIP) nor '<eos>' and '<pad>' (SigLIP 2); give the"
                " tokenizer.json of the same model as the weights"
            )
        inner.encode_special_tokens = True  # a caption that spells out "</s>" is words, not an end
        inner.no_padding()
        inner.no_truncation()
        self.eot, self.pad = id_of(inner, end), id_of(inner, _ENDS[end])
        self.canon = canon

    @classmethod
    def from_file(cls, path: Path, context: int, canon: Canon) -> SiglipTokenizer:
        """The tokenizer in a `tokenizer.json` of the `tokenizers` library.

        Raises:
            SightwordError: the file is missing, too large, damaged, or its vocabulary is of another kind.
        """
        if not path.is_file():
            raise SightwordError(
                f"'{path}' is missing, without which no caption can be read; put the tokenizer.json of the"
                " same model beside its weights (transformers' T5TokenizerFast makes one of a spiece.model)"
            )
        if path.stat().st_size > _MOST:
            raise SightwordError(f"'{path}' is larger than {_MOST >> 20} MiB, which no vocabulary is")
        try:
            inner = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises bare exceptions
            raise SightwordError(f"'{path}' is not a tokenizer.json ({error}); fetch it again") from error
        own = [] if inner.normalizer is None else [inner.normalizer]
        if way_of(inner) != canon:
            inner.normalizer = normalizers.Sequence([*_WAYS[canon].said, *own])
        return cls(inner, context, canon)

    def id_of(self, token: str) -> int | None:
        """The id of a token, if the vocabulary has it."""
        return self._inner.token_to_id(token)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._inner.decode(self._words(ids), skip_special_tokens=False)).strip()

    def _cleaned(self, text: str) -> str:
        return _WAYS[self.canon].done(text)


def way_of(inner: tokenizers.Tokenizer) -> Canon | None:
    """How a vocabulary makes captions plain, by the steps that `SiglipTokenizer` put in front of its own."""
    found = _steps(inner.normalizer)
    for canon, way in _WAYS.items():
        said = _steps(normalizers.Sequence(list(way.said)))
        if found[: len(said)] == said:
            return canon
    return None


def _steps(normalizer: normalizers.Normalizer | None) -> list[Any]:
    """The steps of a normalizer, those of sequences within each other in one list."""
    if normalizer is None:
        return []
    found = json.loads(normalizer.__getstate__())
    left, flat = [found], list[Any]()
    while left:
        step = left.pop(0)
        if step.get("type") == "Sequence":
            left = [*step["normalizers"], *left]
        else:
            flat.append(step)
    return flat
