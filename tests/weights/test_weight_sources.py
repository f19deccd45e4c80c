"""Weights from elsewhere, whole: of the model that they say, ours too, and for pictures of other sizes."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import elsewhere
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from sightword.config import Config, DataConfig, ModelConfig, to_toml
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import LearnedTokenizer
from sightword.training.setup import Equipment, build_encoders
from sightword.weights import families, hf_clip
from sightword.weights.sources import at_size, files_of, open_weights
from sightword.words import Contrast


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "FAMILIES", (elsewhere.Elsewhere(), *families.FAMILIES))


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    found = open_weights(elsewhere.folder(tmp_path / "w", seed=3))
    assert (found.family, found.model, found.notes) == ("elsewhere", elsewhere.MODEL, ())
    own = elsewhere.encoders(seed=3).state_dict()
    assert found.tensors.keys() == own.keys()
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in own.items())
    assert files_of(tmp_path / "w") == (tmp_path / "w" / "model.safetensors",)


def test_notes_of_file_and_family_come_together(tmp_path: Path) -> None:
    tensors = elsewhere.theirs()
    tensors["elsewhere.joint.image.weight"][0, 0] = float("nan")
    save_file(tensors, tmp_path / "w.safetensors")
    first, second = open_weights(tmp_path / "w.safetensors").notes
    assert first.startswith("elsewhere.joint.image.weight of the weights")
    assert second.startswith("no config.json")


def test_what_nobody_knows_is_named(tmp_path: Path) -> None:
    save_file({f"layer{i}.w": torch.zeros(2, i + 1) for i in range(5)}, tmp_path / "w.safetensors")
    with pytest.raises(
        SightwordError, match=r"layer0\.w \(2, 1\), layer1\.w \(2, 2\), layer2\.w \(2, 3\) and 2 more"
    ):
        open_weights(tmp_path / "w.safetensors")


def described(folder: Path, **changes: Any) -> Path:
    """A folder whose config.json says something else than its weights."""
    config = json.loads((elsewhere.folder(folder) / "config.json").read_text())
    for name, value in changes.items():
        part, _, field = name.partition("_")
        config[part] = config[part] | {field: value}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_width": 48}, r"not of the model that lies beside them: .* is \(8, 24\), wanted \(8, 48\)"),
        ({"image_layers": [2]}, "towers.image.blocks.1.attn.proj.bias is missing"),
        ({"text_layers": 0, "text_pool": "mean"}, "towers.text.blocks.0.attn.proj.bias is unknown"),
        ({"image_width": 10**9, "image_heads": 1}, "is up to 1,000,000,000 wide"),
        ({"image_layers": [10**9]}, "says that it has 1,000,000,001 layers"),
        ({"text_context": 10**12}, "wide, but its"),
        ({"image_mlp_ratio": 1e12}, "wanted|cannot be"),
        ({"image_mlp_ratio": 1e300}, "cannot be"),
        ({"image_size": 4 * 10**9}, "wanted|cannot be"),
        ({"image_heads": 5}, "5 heads do not divide a width of 24"),
    ],
)  # fmt: skip
def test_a_config_that_is_not_the_weights_takes_no_memory(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SightwordError, match=message) as found:
        open_weights(described(tmp_path / "w", **changes))
    assert "\n" not in str(found.value)


ODD = (
    None,
    "",
    "gelu",
    "512",
    [],
    [1, 2],
    {},
    {"a": 1},
    True,
    -1,
    0,
    3,
    0.5,
    10**6,
    10**30,
    1e308,
    float("nan"),
)


def replaced(found: Any, chance: random.Random) -> Any:
    """A json with one of its values, anywhere, replaced by an odd one, or one key gone."""
    if not isinstance(found, dict) or not found or chance.random() < 0.1:
        return chance.choice(ODD)
    name = chance.choice(sorted(found))
    if chance.random() < 0.1:
        return {key: value for key, value in found.items() if key != name}
    return found | {name: replaced(found[name], chance)}


def test_odd_descriptions_of_a_known_library_are_read_or_refused(tmp_path: Path) -> None:
    """Hugging Face's CLIP, tiny, with odd values in its config.json."""
    folder, chance = tmp_path / "hf", random.Random(0)
    folder.mkdir()
    image = replace(elsewhere.VIT, heads=2, eps=1e-5, activation="quick_gelu")
    model = replace(elsewhere.MODEL, image=image, text=replace(elsewhere.TEXT, eps=1e-5))
    theirs = hf_clip.table(model).outward(elsewhere.encoders(model).state_dict())
    save_file({n: t.contiguous() for n, t in theirs.items()}, folder / "model.safetensors")
    text = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 64, "num_attention_heads": 2}
    vision = {"hidden_size": 24, "num_hidden_layers": 1, "intermediate_size": 96, "num_attention_heads": 2}
    whole = {
        "text_config": text | {"max_position_embeddings": 12, "hidden_act": "quick_gelu"},
        "vision_config": vision | {"image_size": 16, "patch_size": 4, "hidden_act": "quick_gelu"},
        "model_type": "clip",
    }
    refusals = 0
    (folder / "config.json").write_text(json.dumps(whole))
    assert open_weights(folder).model.image.heads == 2
    for _ in range(60):
        (folder / "config.json").write_text(json.dumps(replaced(whole, chance)))
        try:
            open_weights(folder)
        except SightwordError as error:
            refusals += "\n" not in str(error)
    assert 15 < refusals < 60


def own_run(out: Path, text: bool = True, masks: bool = False) -> Path:
    """A run's directory, as it is when it is finished; with a learned tokenizer."""
    out.mkdir()
    words = LearnedTokenizer.train(["a red square", "a dark thing"] * 4, 300, 12)
    has = Equipment(text, patch_mask=masks, word_mask=masks, contrast=Contrast(bias=-10.0) if text else None)
    encoders = build_encoders(elsewhere.MODEL, words, 5, has)
    words.save(out / "tokenizer.json")
    config = Config(model=elsewhere.MODEL, data=DataConfig(tokenizer="learned"))
    (out / "config.toml").write_text(to_toml(config))
    save_file(encoders.state_dict(), out / "model.safetensors")
    return out


@pytest.mark.parametrize("masks", [False, True])
def test_a_run_of_ours(tmp_path: Path, masks: bool) -> None:
    out = own_run(tmp_path / "run", masks=masks)
    (out / "model-best.safetensors").write_bytes((out / "model.safetensors").read_bytes())
    for place in (out, out / "model.safetensors", out / "model-best.safetensors"):
        found = open_weights(place)
        assert (found.family, found.has_text, found.model) == ("sightword", True, elsewhere.MODEL)
        assert "joint.logit_bias" in found.tensors
        assert not any("mask_token" in name for name in found.tensors)
        assert bool(found.notes) == masks


def test_a_run_of_ours_that_knows_no_captions(tmp_path: Path) -> None:
    found = open_weights(own_run(tmp_path / "run", text=False))
    assert not found.has_text
    assert all(name.startswith("towers.image.") for name in found.tensors)


def test_weights_of_a_run_without_the_run(tmp_path: Path) -> None:
    shutil.copy(own_run(tmp_path / "run") / "model.safetensors", tmp_path / "w.safetensors")
    with pytest.raises(
        SightwordError, match=r"no config\.toml lies beside them; copy it and tokenizer\.json"
    ):
        open_weights(tmp_path / "w.safetensors")


def test_positions_for_another_size(tmp_path: Path) -> None:
    """Against torch's own bicubic interpolation, row by row; the class token's position is no place."""
    found = open_weights(elsewhere.folder(tmp_path / "w"))
    larger = at_size(found, 24)
    assert larger.model.image == replace(found.model.image, size=24)
    assert "4x4 patches are resized to 6x6" in larger.notes[-1]
    name = "towers.image.positions.weight"
    map4 = found.tensors[name].T.reshape(1, 24, 4, 4)
    map6 = F.interpolate(map4, (6, 6), mode="bicubic", antialias=True)
    torch.testing.assert_close(larger.tensors[name], map6[0].flatten(1).T)
    for other in found.tensors.keys() - {name}:
        assert larger.tensors[other] is found.tensors[other]
    assert at_size(found, 16) is found
    again = elsewhere.encoders(larger.model).state_dict()
    assert {n: t.shape for n, t in again.items()} == {n: t.shape for n, t in larger.tensors.items()}


def test_the_resnet_s_pool_for_another_size(tmp_path: Path) -> None:
    model = replace(elsewhere.MODEL, image=elsewhere.RESNET, embed=128, project_image=False)
    found = open_weights(elsewhere.folder(tmp_path / "w", model))
    larger = at_size(found, 96)
    name = "towers.image.attnpool.positional_embedding"
    assert (found.tensors[name].shape[0], larger.tensors[name].shape[0]) == (5, 10)
    assert torch.equal(larger.tensors[name][0], found.tensors[name][0])
    images = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    small, large = elsewhere.encoders(model), elsewhere.encoders(larger.model)
    small.load_state_dict(dict(found.tensors))
    large.load_state_dict(dict(larger.tensors))
    with torch.no_grad():  # the tower resizes by itself, too
        torch.testing.assert_close(
            small.eval().towers["image"](images).pooled, large.eval().towers["image"](images).pooled
        )


def test_a_size_that_patches_do_not_divide(tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match="which patch_size 4 does not divide; use 16"):
        at_size(open_weights(elsewhere.folder(tmp_path / "w")), 18)


def test_fixed_positions_need_nothing(tmp_path: Path) -> None:
    model = ModelConfig("fixed", replace(elsewhere.VIT, positions="sincos"), elsewhere.TEXT, embed=8)
    found = open_weights(elsewhere.folder(tmp_path / "w", model, image_only=True))
    larger = at_size(found, 32)
    assert larger.tensors == found.tensors
    assert (larger.model.image.size, larger.notes) == (32, found.notes)
