"""CLIP models of open_clip, transformers and SLIP by our names: the answers that theirs gave (see
record_clip_pairs.py), and their own tensors back.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from clip_pairs import CONTEXT, EMBED, OPEN_CLIP, words_of
from replaying import Tensors, part, sources
from safetensors import safe_open
from towers_of import TEXTS, Towers, agree, loaded, towers

from sightword.config import ImageTowerConfig, ModelConfig, TextTowerConfig
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.weights import hf_clip, open_clip_clip, slip
from sightword.weights.foreign import Foreign
from sightword.weights.reading import Read
from sightword.weights.renaming import Table


@pytest.fixture(autouse=True)
def _float64() -> None:
    """Not here: files hold float32."""


def recorded(case: str) -> tuple[Read, Tensors]:
    """A recording as if it had been read from files, and the answers."""
    with safe_open(Path(__file__).with_name("clip_pairs.safetensors"), "pt") as file:
        found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    tensors, words = part(found, f"{case}/weight"), words_of(case)
    tensors = {name: one.float() if one.is_floating_point() else one for name, one in tensors.items()}
    whole = torch.zeros(49408, tensors[words].shape[1])
    whole[found["rows"]] = tensors[words]
    config = json.loads(sources("clip_pairs")[f"config {case}"])
    answers = {name: found[f"{case}/{name}"] for name in ("images", "image", "text")}
    return Read(case, tensors | {words: whole}, config), answers


def agrees(made: Towers, answers: Tensors) -> None:
    print(agree(made.image(answers["images"]), answers["image"]), agree(made.text(TEXTS), answers["text"]))


def comes_back(table: Table, foreign: Foreign, theirs: Read, exact: bool = True) -> None:
    """Their names, shapes and numbers, from ours."""
    back = table.outward(foreign.tensors)
    passed = [
        name for name in theirs.tensors if name.endswith("position_ids") or name.startswith("image_mlp.")
    ]
    assert back.keys() == theirs.tensors.keys() - passed
    for name, tensor in back.items():
        torch.testing.assert_close(tensor, theirs.tensors[name], atol=0 if exact else 1e-6, rtol=0)


@pytest.mark.parametrize("case", OPEN_CLIP)
def test_open_clip(case: str) -> None:
    theirs, answers = recorded(case)
    assert open_clip_clip.recognises(theirs)
    foreign = open_clip_clip.read(theirs)
    agrees(loaded(foreign), answers)
    mean = case == "open_clip-mean"
    table = open_clip_clip.table(foreign.model, "text." if mean else "", bias=mean)
    comes_back(table, foreign, theirs)


def test_hugging_face() -> None:
    theirs, answers = recorded("hf")
    assert hf_clip.recognises(theirs)
    foreign = hf_clip.read(theirs)
    agrees(loaded(foreign), answers)
    comes_back(hf_clip.table(foreign.model), foreign, theirs)


def test_slip() -> None:
    """Its small sizes cannot be read, as no checkpoint has them: by the same names, with heads told."""
    theirs, answers = recorded("slip")
    assert slip.recognises(theirs)
    image = ImageTowerConfig(size=16, width=8, layers=(2,), heads=4, patch_size=4)
    model = ModelConfig("slip", image, TextTowerConfig(width=12, layers=1, heads=3, context=CONTEXT), EMBED)
    tokenizer = ClipTokenizer(CONTEXT)
    ours = slip.table(model).inward(theirs.tensors, "slip")
    foreign = Foreign("SLIP", "slip", model, ours, tokenizer)
    agrees(loaded(foreign), answers)
    comes_back(slip.table(model), foreign, theirs)


def test_what_is_compared_feels_every_setting() -> None:
    """Were heads, activation or eps read wrongly, the answers above would be others."""
    theirs, answers = recorded("open_clip-mean")
    foreign = open_clip_clip.read(theirs)
    wrong = (
        {"image": {"activation": "quick_gelu"}},
        {"image": {"heads": 4}},
        {"image": {"eps": 1e-5}},
        {"text": {"eps": 1e-5}},
        {"text": {"activation": "quick_gelu"}},
        {"text": {"heads": 2}},
    )
    for change in wrong:
        (side, values), *_ = change.items()
        tower = type(getattr(foreign.model, side))(**{**vars(getattr(foreign.model, side)), **values})
        model = ModelConfig(**{**vars(foreign.model), side: tower})
        made = towers(model, foreign.tokenizer, bias=True)
        made.modules.load_state_dict(dict(foreign.tensors))
        found = made.image(answers["images"]) if side == "image" else made.text(TEXTS)
        assert float((found - answers[side]).abs().max()) > 2e-5, change
