"""SigLIP of open_clip and transformers by our names: the answers that theirs gave (see
record_siglip_pairs.py), the ids of their captions, and their own tensors back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from formula import filled
from replaying import Tensors, part, sources
from safetensors import safe_open
from safetensors.torch import load_file
from siglip_pairs import CAPTIONS, SMALL, TIMM
from towers_of import agree, loaded

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.export.targets import find
from sightword.pairs.words.tokenizer import load_tokenizer
from sightword.training.model import Model
from sightword.training.saving.checkpoint import fit
from sightword.training.setup import Equipment, build_encoders
from sightword.weights import hf_siglip, open_clip_siglip
from sightword.weights.families import recognised
from sightword.weights.foreign import Foreign
from sightword.weights.reading import Read

OWN_NAME = "vit_small_patch4_siglip_16"
FILES = {"hf": ("model", "config"), "open_clip": ("open_clip_model", "open_clip_config")}
CASES = {"hf": hf_siglip, "open_clip": open_clip_siglip}
WORDS = {"hf": "text_model.embeddings.token_embedding.weight", "open_clip": "text.token_embedding.weight"}


@pytest.fixture(autouse=True)
def _float64() -> None:
    """Not here: files hold float32."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded model stands in the place of the one that open_clip's configuration names; its own name
    is the one that an export then finds for it.
    """
    monkeypatch.setattr(open_clip_siglip, "known_vits", lambda: {TIMM: SMALL, OWN_NAME: SMALL})


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
    assert CASES[case].why_not(foreign.model, foreign.tokenizer) is None
    if case == "hf":
        said = hf_siglip.config_of(foreign.model, foreign.tokenizer)
        tensors = hf_siglip.table(foreign.model).outward(foreign.tensors)
        again: Foreign = recognised(Read(case, tensors, said, beside=folder))
        assert again.model == foreign.model


def agreeing(ours: Any, theirs: Any, where: str = "") -> int:
    """How many settings of ours there are, each as theirs has it, or as their library takes for granted."""
    if isinstance(ours, dict):
        return sum(agreeing(value, theirs.get(key), f"{where}.{key}") for key, value in ours.items())
    granted = {".vision_config.model_type", ".text_config.model_type", ".model_cfg.quick_gelu"}
    other = {".model_cfg.vision_cfg.timm_model_name", ".model_cfg.text_cfg.hf_tokenizer_name"}
    other |= {".text_config.vocab_size", ".model_cfg.text_cfg.vocab_size"}  # without the rows to spare
    if where in other or (where in granted and theirs is None):
        return 0
    assert ours == theirs, where
    return 1


@pytest.mark.parametrize("case", CASES)
def test_an_export_is_their_file_again(case: str, folder: Path) -> None:
    """The command's own writer: names, shapes and bytes of the recorded library, and its settings."""
    theirs, _ = recorded(case, folder)
    foreign, out = recognised(theirs), folder / "out"
    assert foreign.tokenizer is not None
    config = Config(model=foreign.model)
    encoders = build_encoders(foreign.model, foreign.tokenizer, 0, Equipment.saved(foreign.tensors))
    fit(encoders, foreign.tensors, case)
    out.mkdir()
    find(case).write(Model(case, config, encoders, foreign.tokenizer, "", device="cpu"), out)
    weights, settings = (out / f"{FILES[case][i]}.{('safetensors', 'json')[i]}" for i in (0, 1))
    back = load_file(weights)
    assert back.keys() == theirs.tensors.keys()
    for name, tensor in back.items():
        expected = theirs.tensors[name][: len(tensor)] if name == WORDS[case] else theirs.tensors[name]
        assert torch.equal(tensor, expected), name
    said = json.loads(settings.read_text())
    said.pop("preprocess_cfg", None)  # stands beside the recorded model's own, and is tested by features
    assert agreeing(said, theirs.config) > 15


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
