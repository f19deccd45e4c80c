"""From captions to token ids: by CLIP's, SigLIP's or a learned vocabulary."""

from __future__ import annotations

from pathlib import Path

import tokenizers

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.pairs.words.borrowed_tokenizer import BorrowedTokenizer
from sightword.pairs.words.clip_tokenizer import ClipTokenizer, clip_vocabulary
from sightword.pairs.words.learned_tokenizer import SPECIAL, LearnedTokenizer
from sightword.pairs.words.siglip_tokenizer import SiglipTokenizer, way_of
from sightword.pairs.words.tokenizing import Tokenizer

__all__ = [
    "BorrowedTokenizer",
    "ClipTokenizer",
    "LearnedTokenizer",
    "SiglipTokenizer",
    "Tokenizer",
    "load_run_tokenizer",
    "load_tokenizer",
]


def load_run_tokenizer(run: Path, config: Config) -> Tokenizer:
    """The tokenizer of a run's directory.

    Raises:
        SightwordError: as `load_tokenizer`.
    """
    borrowed = config.data.tokenizer == "text-model"
    return load_tokenizer(run / "tokenizer.json", config.model.text.context, borrowed)


def load_tokenizer(path: Path, context: int, borrowed: bool = False) -> Tokenizer:
    """The tokenizer that `save` wrote.

    Args:
        path: the file.
        context: tokens of a caption.
        borrowed: it is a text model's own, which no mark tells from others (`data.tokenizer` does).

    Raises:
        SightwordError: the file is missing, damaged, or of another kind.
    """
    if borrowed:
        return BorrowedTokenizer.from_file(path, context)
    try:
        inner = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SightwordError(f"cannot read '{path}': {error.strerror}; it was saved with the run") from error
    except Exception as error:  # the library raises bare exceptions
        raise SightwordError(f"'{path}' is not a tokenizer ({error}); restore it from the run") from error
    inner.no_padding()  # a tokenizer for others does by itself what is done around it here
    inner.no_truncation()
    if all(inner.token_to_id(name) is not None for name in SPECIAL):
        inner.encode_special_tokens = True
        return LearnedTokenizer(inner, context)
    if inner.to_str() == clip_vocabulary().to_str():
        return ClipTokenizer(context)
    canon = way_of(inner)
    if canon is not None:
        return SiglipTokenizer(inner, context, canon)
    raise SightwordError(
        f"'{path}' is neither CLIP's tokenizer nor a learned one, nor SigLIP's; restore it from the run"
    )
