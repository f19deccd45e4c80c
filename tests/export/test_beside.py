from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from models_to_export import model_of, tokenizer_of
from tiny_runs import VIT

from sightword.evaluation.cards import card_of
from sightword.export import beside

HARD = [
    "",
    " ",
    "  two\twords\n",
    "CAFÉS & bars",
    "it's 50% off!",
    "x" * 300,
    "日本の猫",
    "ß ẞ İ",
    "!",
    "a_b-c",
]


@pytest.mark.parametrize("kind", ["clip", "learned"])
def test_a_tokenizer_that_needs_no_code_around_it(kind: Literal["clip", "learned"], tmp_path: Path) -> None:
    ours = tokenizer_of(kind)
    beside.write_tokenizer(ours, tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / beside.TOKENIZER))
    assert [one.ids for one in theirs.encode_batch(HARD)] == ours(HARD).ids.tolist()


@cache
def completed() -> tokenizers.Tokenizer:
    """CLIP's, which does all by itself; made once, it has 49,408 words."""
    ours = tokenizer_of("clip")
    inner = tokenizers.Tokenizer.from_str(ours._inner.to_str())
    beside.complete(inner, ours)
    return inner


@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="&"), max_size=40))
@settings(max_examples=40, deadline=None)
def test_plain_text_becomes_the_same_ids(text: str) -> None:
    if "_of_text>" not in text.lower():
        assert completed().encode(text).ids == tokenizer_of("clip")([text]).ids[0].tolist()


def test_preprocessing_in_the_words_of_others() -> None:
    model = model_of(VIT)
    found = beside.preprocessing(model)
    assert found["size"] == {"shortest_edge": 16}
    assert found["do_center_crop"]
    assert (found["resample"], found["image_mean"]) == (2, [0.485, 0.456, 0.406])
    squashing = beside.preprocessing(
        model_of(VIT.__class__(**{**vars(VIT), "resize": "squash", "interpolation": "bicubic"}))
    )
    assert squashing["size"] == {"height": 16, "width": 16}
    assert not squashing["do_center_crop"]
    assert squashing["resample"] == 3


def test_templates_are_those_of_the_cards(tmp_path: Path) -> None:
    beside.write_templates(tmp_path)
    found = json.loads((tmp_path / beside.TEMPLATES).read_text())
    assert tuple(found["imagenet"]) == card_of("imagenet").templates
    assert all(templates and all("{" in one for one in templates) for templates in found.values())
