"""SigLIP of open_clip and transformers by our names: the answers that theirs gave (see
record_siglip_pairs.py), the ids of their captions, and their own tensors back.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from formula import filled
from replaying import Tensors, part, sources
from safetensors import safe_open
from siglip_pairs import CAPTIONS, SMALL, TIMM
from towers_of import agree, loaded

from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import load_tokenizer
from sightword.weights import hf_siglip, open_clip_siglip
from sightword.weights.families import recognised
from sightword.weights.foreign import Foreign
from sightword.weights.reading import Read

CASES = {"hf": hf_siglip, "open_clip": open_clip_siglip}
WORDS = {"hf": "text_model.embeddings.token_embedding.weight", "open_clip": "text.token_embedding.weight"}


@pytest.fixture(autouse=True)
def _float64() -> None:
    """Not here: files hold float32."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded model stands in the place of the one that open_clip's configuration names."""
    monkeypatch.setattr(open_clip_siglip, "known_vits", lambda: {TIMM: SMALL})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tokenizer.json").write_text(sources("siglip_pairs")["tokenizer.json"], encoding="utf-8")
    return tmp_path


def recorded(case: str, folder: Path) -> tuple[Read, Tensors]:
    told = sources("siglip_pairs")
    with safe_open(Path(__file__).with_name("siglip_pairs.safetensors"), "pt") as file:
        found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    tensors = filled(json.loads(told[f"shapes {case}"]))
    return Read(case, tensors, json.loads(told[f"config {case}"]), beside=folder), part(found, case)


@pytest.mark.parametrize("case", CASES)
def test_features_and_ids(case: str, folder: Path) -> None:
    theirs, answers = recorded(case, folder)
    foreign = recognised(theirs)
    assert foreign.tokenizer is not None
    assert torch.equal(foreign.tokenizer(CAPTIONS).ids, answers["ids"])
    made = loaded(foreign)
    print(agree(made.image(answers["images"]), answers["image"].float()))
    print(agree(made.text(CAPTIONS), answers["text"].float()))


@pytest.mark.parametrize("case", CASES)
def test_their_tensors_come_back(case: str, folder: Path) -> None:
    """But for the rows of words that no caption has, which were left out and said so."""
    theirs, _ = recorded(case, folder)
    foreign = recognised(theirs)
    assert any("rows of" in note for note in foreign.notes)
    back = CASES[case].table(foreign.model).outward(foreign.tensors)
    assert back.keys() == theirs.tensors.keys()
    for name, tensor in back.items():
        expected = theirs.tensors[name][: len(tensor)] if name == WORDS[case] else theirs.tensors[name]
        assert torch.equal(tensor, expected), name


@pytest.mark.parametrize("case", CASES)
def test_what_is_written_says_what_was_read(case: str, folder: Path) -> None:
    """Our configuration of their model is read as theirs was."""
    theirs, _ = recorded(case, folder)
    foreign = recognised(theirs)
    assert foreign.tokenizer is not None
    room = CASES[case]
    assert room.why_not(foreign.model, foreign.tokenizer) is None or case == "open_clip"
    if case == "hf":
        said = hf_siglip.config_of(foreign.model, foreign.tokenizer)
        tensors = hf_siglip.table(foreign.model).outward(foreign.tensors)
        again: Foreign = recognised(Read(case, tensors, said, beside=folder))
        assert again.model == foreign.model


def test_their_words_come_back_from_a_run(folder: Path) -> None:
    for case in CASES:
        tokenizer = recognised(recorded(case, folder)[0]).tokenizer
        assert tokenizer is not None
        tokenizer.save(folder / "saved.json")
        again = load_tokenizer(folder / "saved.json", tokenizer.context)
        assert again.digest == tokenizer.digest
        assert torch.equal(again(CAPTIONS).ids, tokenizer(CAPTIONS).ids)


@pytest.mark.parametrize("case", CASES)
def test_without_a_vocabulary_there_is_one_line(case: str, tmp_path: Path) -> None:
    theirs, _ = recorded(case, tmp_path)
    with pytest.raises(SightwordError, match=r"tokenizer\.json' is missing") as said:
        recognised(theirs)
    assert "\n" not in str(said.value)
