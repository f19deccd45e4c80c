"""The tokenizer of a borrowed text tower, from the `tokenizer.json` of the `tokenizers` library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import tokenizers

from sightword.errors import SightwordError
from sightword.pairs.files import write_whole
from sightword.pairs.words.tokenizing import Tokenizer, id_of

_PADS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>")  # names of what fills the context, where none is set
_ENDS = ("<|endoftext|>", "</s>", "<eos>")  # what ends a caption, where the file frames none


@final
class BorrowedTokenizer(Tokenizer):
    """Ids of any `tokenizer.json`: what it puts around a text by itself stands around a caption.

    Nothing is cleaned beforehand: the file says how texts are made plain.

    Args:
        inner: the vocabulary.
        context: tokens of a caption, its frame included.

    Raises:
        SightwordError: nothing in it ends a caption, or fills the context behind it.
    """

    def __init__(self, inner: tokenizers.Tokenizer, context: int) -> None:
        super().__init__(inner, context)
        self.pad = _padding(inner)
        inner.no_padding()
        inner.no_truncation()
        frame = list(inner.encode("", add_special_tokens=True).ids)
        if len(frame) > 2:
            raise SightwordError(f"the tokenizer puts {len(frame)} tokens around a text; wanted at most two")
        self.sot = frame[0] if len(frame) == 2 else None
        self.eot = frame[-1] if frame else _named(inner, _ENDS, "ends a caption")
        inner.encode_special_tokens = True  # a caption that spells out "[SEP]" is words, not an end

    @classmethod
    def from_file(cls, path: Path, context: int) -> BorrowedTokenizer:
        """The tokenizer of a file.

        Raises:
            SightwordError: the file cannot be read, or is of no use for captions.
        """
        try:
            inner = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises bare exceptions
            raise SightwordError(
                f"'{path}' is not a tokenizer.json ({error}); save one by transformers: save_pretrained"
            ) from error
        return cls(inner, context)

    @property
    def vocab(self) -> int:
        """One more than the highest id: some files leave ids out."""
        return 1 + max(self._inner.get_vocab().values())

    def save(self, path: Path) -> None:
        """As every tokenizer's; the file also says what fills the context, so that it is known again."""
        name = str(self._inner.id_to_token(self.pad))
        inner = tokenizers.Tokenizer.from_str(self._inner.to_str())
        inner.enable_padding(pad_id=self.pad, pad_token=name, length=self.context)
        write_whole(path, lambda file: file.write(inner.to_str(pretty=True).encode()))

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._inner.decode(self._words(ids), skip_special_tokens=True)).strip()

    def _cleaned(self, text: str) -> str:
        return text


def _padding(inner: tokenizers.Tokenizer) -> int:
    told = (inner.padding or {}).get("pad_id")
    return _named(inner, _PADS, "fills the context") if told is None else int(told)


def _named(inner: tokenizers.Tokenizer, names: Sequence[str], what: str) -> int:
    known = next((name for name in names if inner.token_to_id(name) is not None), None)
    if known is None:
        raise SightwordError(f"no token of the tokenizer {what}; wanted one of {', '.join(names)}")
    return id_of(inner, known)
