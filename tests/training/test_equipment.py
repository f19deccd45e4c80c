"""What encoders have beside their towers: as much as is wanted, without changing a weight of the rest."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import MAE, RESNET, SIMCLR, TEXT, VIT, opened, tiny
from torch import Tensor

from sightword.config import ImageTowerConfig, ModelConfig
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import LearnedTokenizer, Tokenizer
from sightword.towers.build import build_image, build_text
from sightword.training.loop import train
from sightword.training.model import load_model
from sightword.training.session import Session
from sightword.training.setup import Equipment, build_encoders, look_around
from sightword.words import Contrast, ImageFacts

PATCHES, WORDS = "towers.image.mask_token", "towers.text.mask_token"
TRUNK = {"towers.joint.words.weight", "towers.joint.word_type"}
BIAS = "joint.logit_bias"
MODEL = ModelConfig("tiny", VIT, TEXT, embed=16)


def quiet(said: str) -> None:
    """For notes that a test does not look at."""


@pytest.fixture(autouse=True)
def _throwaway(throwaway: Path) -> None:
    """SIGHTWORD_PATH names the folder with `wishful`."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return LearnedTokenizer.train(["a red square", "a small dark thing"], 300, TEXT.context)


def pictures(count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=generator)


def first_weights(session: Session) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in session.model.encoders.state_dict().items()}


@pytest.mark.parametrize(
    ("wishes", "more"),
    [
        ("", set()),
        ("dropped=true", set()),
        ("patches=true", {PATCHES}),
        ("words=true", {WORDS}),
        ("trunk=true", TRUNK),
        ("bias=true", {BIAS}),
        ("patches=true, words=true, trunk=true, bias=true", {PATCHES, WORDS, BIAS, *TRUNK}),
    ],
)
def test_there_is_what_is_wanted_and_all_else_begins_the_same(
    tmp_path: Path, data: Path, wishes: str, more: set[str]
) -> None:
    """To the bit, against a run of clip alone; the image tower also against a run that has no text."""
    plain = first_weights(opened(tmp_path / "plain", data))
    blind = first_weights(opened(tmp_path / "blind", data, SIMCLR))
    both = first_weights(opened(tmp_path / "both", data, f"clip + wishful({wishes})"))
    assert both.keys() - plain.keys() == more
    assert plain.keys() <= both.keys()
    assert all(torch.equal(both[name], plain[name]) for name in plain)
    assert blind.keys() == {name for name in plain if name.startswith("towers.image.")}
    assert all(torch.equal(both[name], blind[name]) for name in blind)
    assert all(both[name].shape == (1, 1, 24) for name in more & {PATCHES, WORDS})
    assert all(both[name].abs().max() > 0 for name in more)


def test_wishes_of_every_term_count(tmp_path: Path, data: Path) -> None:
    """Late ones too: what they need is there from the start, so that a checkpoint always fits."""
    text = "clip + wishful(patches=true) + wishful(trunk=true)@50%"
    names = first_weights(opened(tmp_path / "run", data, text)).keys()
    assert {PATCHES, *TRUNK} <= names
    assert WORDS not in names


def test_without_a_wish_for_captions_there_is_no_text_tower(tmp_path: Path, data: Path) -> None:
    """A joint trunk reads captions by itself."""
    session = opened(tmp_path / "run", data, "wishful(trunk=true, patches=true)")
    names = first_weights(session).keys()
    assert {name for name in names if not name.startswith("towers.image.")} == TRUNK
    assert session.model.encoders.joint is None
    assert session.steps(None)[0].captions


def test_what_the_configuration_wants_is_there_unasked(tmp_path: Path, data: Path) -> None:
    model = replace(MODEL, image=replace(VIT, mask_token=True), text=replace(TEXT, mask_token=True))
    plain = first_weights(opened(tmp_path / "plain", data))
    asked = first_weights(opened(tmp_path / "asked", data, model=model))
    assert asked.keys() - plain.keys() == {PATCHES, WORDS}
    assert all(torch.equal(asked[name], plain[name]) for name in plain)


@pytest.mark.parametrize("pool", ["class", "gap", "max", "attention"])
@pytest.mark.parametrize("has_text", [True, False])
def test_any_equipment_leaves_the_shared_weights_alone(
    tokenizer: Tokenizer, pool: Any, has_text: bool
) -> None:
    model = replace(MODEL, image=replace(VIT, pool=pool))
    before = torch.get_rng_state()
    plain = build_encoders(model, tokenizer, 7, Equipment(has_text, contrast=Contrast())).state_dict()
    assert any(name.startswith("joint.") for name in plain) == has_text
    for trunk, patches, words in itertools.product([False, True], repeat=3):
        has = Equipment(has_text, trunk, patches, words, Contrast(bias=-10.0 if trunk else None))
        more = build_encoders(model, tokenizer, 7, has).state_dict()
        assert plain.keys() <= more.keys()
        assert all(torch.equal(more[name], plain[name]) for name in plain)
        # A file of weights tells that there is a bias, not where it began.
        contrast = Contrast(bias=0.0 if trunk else None) if has_text else None
        assert Equipment.saved(more) == replace(has, word_mask=words and has_text, contrast=contrast)
    assert torch.equal(torch.get_rng_state(), before), "building draws from the caller's random numbers"
    other = build_encoders(model, tokenizer, 8, Equipment(has_text)).state_dict()
    assert not torch.equal(
        other["towers.image.blocks.0.mlp.fc1.weight"], plain["towers.image.blocks.0.mlp.fc1.weight"]
    )


def test_the_trunk_is_the_image_tower_itself(tokenizer: Tokenizer) -> None:
    encoders = build_encoders(MODEL, tokenizer, 0, Equipment(text=True, trunk=True))
    trunk: Any = encoders.towers["joint"]
    assert trunk.image is encoders.towers["image"]
    assert {name for name, _ in trunk.named_parameters()} == {"words.weight", "word_type"}
    ids = [id(p) for p in encoders.parameters()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("image", "said"),
    [(RESNET, "needs a ViT with a patch stem"), (replace(VIT, stem="conv"), "needs a ViT with a patch stem")],
    ids=["resnet", "convolutional stem"],
)
def test_a_trunk_needs_patches(tmp_path: Path, data: Path, image: ImageTowerConfig, said: str) -> None:
    with pytest.raises(SightwordError, match=said) as found:
        opened(tmp_path / "run", data, "clip + wishful(trunk=true)", image=image)
    assert "\n" not in str(found.value)
    assert "try" in str(found.value)
    assert not (tmp_path / "run").exists()


def logits(session: Session) -> tuple[float, float, float | None]:
    """How the joint space begins: scale, its limit, bias."""
    joint = session.model.encoders.joint
    assert joint is not None
    bias = joint.logit_bias
    return float(joint.scale().detach()), joint.most, None if bias is None else float(bias.detach())


def test_the_first_that_says_how_logits_begin_is_heard(tmp_path: Path, data: Path) -> None:
    """And whoever wants a bias gets one."""
    sums = {
        "clip": (1 / 0.07, 100.0, None),
        "wishful(bias=true, words=true)": (10.0, 100.0, -3.0),
        "clip + wishful(bias=true)": None,
        "wishful(bias=true) + clip": None,
        "wishful + clip": (1 / 0.07, 100.0, None),
    }
    found = {text: logits(opened(tmp_path / str(i), data, text)) for i, text in enumerate(sums)}
    for text, expected in sums.items():
        if expected is not None:
            assert found[text] == pytest.approx(expected)
    assert found["clip + wishful(bias=true)"][2] == found["wishful(bias=true) + clip"][2] == -3.0
    assert found["wishful(bias=true) + clip"][0] == pytest.approx(10.0)


@pytest.mark.parametrize(
    "objective",
    [
        "clip + wishful(patches=true, words=true, trunk=true, bias=true)",
        "clip + wishful(patches=true)@50%",
        "clip + wishful(words=true)",
        "wishful(patches=true, trunk=true)",
        "clip + wishful(bias=true)",
    ],
)
def test_runs_are_loaded_with_what_they_had(tmp_path: Path, data: Path, objective: str) -> None:
    """Every tensor as it was saved, and the features are the towers' own."""
    out = train(tiny(tmp_path / "run", data, objective, steps=2), say=quiet)
    saved, model = load_file(out / "model.safetensors"), load_model(out)
    loaded = model.encoders.state_dict()
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)
    tower = build_image(replace(VIT, mask_token=PATCHES in saved)).eval()
    prefix = "towers.image."
    tower.load_state_dict({k.removeprefix(prefix): v for k, v in saved.items() if k.startswith(prefix)})
    with torch.no_grad():
        assert torch.equal(model.encode_image(pictures()), tower(pictures()).pooled)
    assert model.has_text == ("clip" in objective)
    if model.has_text:
        assert model.encode_text(["a red square"]).shape == (1, 16)


def test_without_a_comparison_there_is_no_space_to_compare_in(tmp_path: Path, data: Path) -> None:
    """An untrained projection would answer, and nobody would see that it says nothing."""
    out = train(tiny(tmp_path / "run", data, "wishful(words=true)", steps=2), say=quiet)
    names = load_file(out / "model.safetensors").keys()
    assert any(name.startswith("towers.text.") for name in names)
    assert not any(name.startswith("joint.") for name in names)
    model = load_model(out)
    assert not model.has_text
    with pytest.raises(SightwordError, match="was not trained to compare pictures and captions"):
        model.encode_text(["a red square"])


@pytest.mark.parametrize(
    ("first", "second"),
    [(f"{SIMCLR} + wishful(patches=true)", "clip"), (SIMCLR, "clip + wishful(patches=true)")],
    ids=["from one with a mask token", "from one without"],
)
def test_a_mask_token_is_no_reason_not_to_start_from_a_tower(
    tmp_path: Path, data: Path, first: str, second: str
) -> None:
    out = train(tiny(tmp_path / "first", data, first, steps=2), say=quiet)
    before = load_file(out / "model.safetensors")
    fresh = first_weights(opened(tmp_path / "fresh", data, second))
    begun = first_weights(opened(tmp_path / "second", data, second, init_from=str(out)))
    tower = {name for name in begun if name.startswith("towers.image.") and name != PATCHES}
    assert all(torch.equal(begun[name], before[name]) for name in tower)
    assert any(not torch.equal(begun[name], fresh[name]) for name in tower)
    rest = begun.keys() - tower
    assert all(torch.equal(begun[name], fresh[name]) for name in rest), "all else as without"


def test_a_mask_token_goes_along_where_both_have_one(tmp_path: Path, data: Path) -> None:
    objective = "clip + wishful(patches=true)"
    out = train(tiny(tmp_path / "first", data, objective, steps=2), say=quiet)
    begun = first_weights(opened(tmp_path / "second", data, objective, init_from=str(out)))
    assert torch.equal(begun[PATCHES], load_file(out / "model.safetensors")[PATCHES])


def test_another_tower_is_still_refused(tmp_path: Path, data: Path) -> None:
    out = train(tiny(tmp_path / "first", data, f"clip + {MAE}", steps=2), say=quiet)
    wide = replace(MODEL, image=replace(VIT, layers=(2,)))
    with pytest.raises(SightwordError, match=r"are of another model: blocks\.1"):
        opened(tmp_path / "second", data, model=wide, init_from=str(out))


@pytest.mark.parametrize(
    "image",
    [VIT, replace(VIT, pool="gap"), replace(VIT, stem="conv"), RESNET, replace(VIT, mask_token=True)],
    ids=["vit", "gap", "conv", "resnet", "mask token"],
)
def test_looking_around_tells_the_facts_of_what_will_be_built(
    tokenizer: Tokenizer, image: ImageTowerConfig
) -> None:
    """Without memory for a weight, and without drawing a random number."""
    state = torch.get_rng_state()
    around = look_around(replace(MODEL, image=image), tokenizer)
    assert torch.equal(torch.get_rng_state(), state)
    built: ImageFacts = build_image(image).facts
    assert around.image == built
    assert around.image.class_token == (image.pool == "class" and image.kind == "vit")
    text = build_text(TEXT, vocab=tokenizer.vocab, pad=tokenizer.pad, eot=tokenizer.eot)
    assert around.text == text.facts


def test_looking_around_allocates_nothing(tokenizer: Tokenizer) -> None:
    """A tower of 60 GB is looked at in no time."""
    giant = ImageTowerConfig(width=16384, layers=(4,), heads=16)
    assert look_around(replace(MODEL, image=giant), tokenizer).image.width == 16384
