"""Tokenizers of text models: what the file puts around a text stands around a caption."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
import torch
from tokenizers import models, normalizers, pre_tokenizers, processors

from sightword.config import Config, DataConfig, ModelConfig, TextTowerConfig
from sightword.errors import SightwordError
from sightword.pairs.words.borrowed_tokenizer import BorrowedTokenizer
from sightword.pairs.words.tokenizer import load_run_tokenizer

BERT = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "a": 4, "red": 5, "dog": 6}
T5 = {"<pad>": 0, "</s>": 1, "[UNK]": 2, "a": 3, "red": 4, "dog": 5}
GPT = {"<|endoftext|>": 0, "[UNK]": 1, "a": 2, "red": 3, "dog": 4}


def made(vocab: dict[str, int], frame: str = "", special: tuple[str, ...] = ()) -> tokenizers.Tokenizer:
    inner = tokenizers.Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.add_special_tokens(list(special))
    if frame:
        named = [(name, vocab[name]) for name in special if name in frame]
        inner.post_processor = processors.TemplateProcessing(frame, special_tokens=named)
    return inner


BERTS = made(BERT, "[CLS] $A [SEP]", ("[CLS]", "[SEP]"))


@pytest.mark.parametrize(
    ("inner", "ids", "ends"),
    [
        (BERTS, [1, 4, 5, 6, 2, 0], (1, 2, 0)),
        (made(T5, "$A </s>", ("</s>",)), [3, 4, 5, 1, 0, 0], (None, 1, 0)),
        (made(GPT), [2, 3, 4, 0, 0, 0], (None, 0, 0)),
    ],
    ids=["bert", "t5", "gpt"],
)
def test_the_frame_is_the_files(
    inner: tokenizers.Tokenizer, ids: list[int], ends: tuple[int | None, int, int]
) -> None:
    tokenizer = BorrowedTokenizer(inner, 6)
    assert (tokenizer.sot, tokenizer.eot, tokenizer.pad) == ends
    words = tokenizer(["A red DOG"])
    assert words.ids.tolist() == [ids]
    assert words.lengths.tolist() == [len(ids) - ids[::-1].index(ends[1]) if ends[1] else 4]
    assert tokenizer.decode(ids) == "a red dog"


def test_long_captions_keep_their_end() -> None:
    assert BorrowedTokenizer(BERTS, 4)(["a red dog a red dog"]).ids.tolist() == [[1, 4, 5, 2]]


def test_a_file_that_pads_and_cuts_does_neither_while_captions_are_read(tmp_path: Path) -> None:
    inner = made(BERT, "[CLS] $A [SEP]", ("[CLS]", "[SEP]"))
    inner.enable_padding(pad_id=0, pad_token="[PAD]", length=20)
    inner.enable_truncation(3)
    (tmp_path / "tokenizer.json").write_text(inner.to_str())
    tokenizer = BorrowedTokenizer.from_file(tmp_path / "tokenizer.json", 8)
    assert tokenizer(["a red dog a"]).ids.tolist() == [[1, 4, 5, 6, 4, 2, 0, 0]]


def test_a_caption_cannot_spell_the_end() -> None:
    assert BorrowedTokenizer(BERTS, 6)(["a [SEP] dog"]).ids.tolist() == [[1, 4, 3, 6, 2, 0]]


def test_saved_it_is_known_again(tmp_path: Path) -> None:
    tokenizer, path = BorrowedTokenizer(BERTS, 8), tmp_path / "tokenizer.json"
    config = Config(
        model=ModelConfig(text=TextTowerConfig(context=8)), data=DataConfig(tokenizer="text-model")
    )
    for _ in range(2):
        tokenizer.save(path)
        found = load_run_tokenizer(tmp_path, config)
        assert isinstance(found, BorrowedTokenizer)
        assert found.digest == tokenizer.digest
        assert torch.equal(found(["a red dog"]).ids, tokenizer(["a red dog"]).ids)
        tokenizer = found


def test_ids_that_a_file_leaves_out_count() -> None:
    assert BorrowedTokenizer(made(BERT | {"dog": 30}, "[CLS] $A [SEP]", ("[CLS]", "[SEP]")), 8).vocab == 31


def test_files_of_no_use(tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match="no token of the tokenizer fills the context"):
        BorrowedTokenizer(made({"[UNK]": 0, "a": 1}), 8)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(SightwordError, match="is not a tokenizer"):
        BorrowedTokenizer.from_file(tmp_path / "tokenizer.json", 8)
