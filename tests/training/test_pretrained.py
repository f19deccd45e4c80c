"""Runs that start from weights from elsewhere, and such weights in use without any training."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import elsewhere
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny_runs import SIMCLR, stop_at, tiny

import sightword
from sightword.cli import main
from sightword.config import Config, ModelConfig, TextTowerConfig, load
from sightword.errors import SightwordError
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.recipes.starting import from_weights
from sightword.training.loop import resume_training, train
from sightword.training.model import load_model, place_of_scores
from sightword.training.records import file_digest, read_records
from sightword.training.session import Session, begin
from sightword.weights import families

IMAGE = "towers.image."


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "FAMILIES", (elsewhere.Elsewhere(), *families.FAMILIES))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return elsewhere.folder(tmp_path / "weights", seed=3)


@pytest.fixture
def pictures_only(tmp_path: Path) -> Path:
    return elsewhere.folder(tmp_path / "pictures", seed=3, image_only=True)


def starting(tmp_path: Path, data: Path, path: Path, objective: str = "clip", **changes: Any) -> Config:
    """A tiny run whose model and words come from weights."""
    config = tiny(tmp_path / "run", data, objective, **changes)
    return from_weights(config, str(path), own_model=False)


def assert_starts_with(session: Session, path: Path, prefix: str = "") -> None:
    own = session.model.encoders.state_dict()
    given = sightword.weights.sources.open_weights(path).tensors
    named = [name for name in given if name.startswith(prefix)]
    assert named
    assert all(torch.equal(own[name], given[name]) for name in named)


def test_model_and_words_come_from_the_weights(tmp_path: Path, data: Path, weights: Path) -> None:
    session = begin(starting(tmp_path, data, weights))
    assert_starts_with(session, weights)
    written = load(session.out)
    assert written.model == elsewhere.MODEL
    assert (written.data.tokenizer, written.pretrained) == ("clip", str(weights))
    assert isinstance(session.tokenizer, ClipTokenizer)
    assert session.notes[0].startswith(
        f"starts from {weights} (elsewhere): image tower and text tower and joint"
    )
    assert "starts fresh" not in " ".join(session.notes)


def test_the_run_goes_on_without_the_weights(tmp_path: Path, data: Path, weights: Path) -> None:
    """Killed and resumed it is, to the bit, what it would have been."""
    config = starting(tmp_path, data, weights, zeroshot_frequency=1)
    whole = train(replace(config, out=str(tmp_path / "whole")), lambda model: [], print)
    out = train(config, stop_at(2), print)
    shutil.rmtree(weights)
    resume_training(out)
    assert load_model(out).step == 6
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_it_is_told_and_recorded(
    tmp_path: Path, data: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = starting(tmp_path, data, weights, f"siglip + {SIMCLR}", steps=1)
    config = replace(config, model=replace(config.model, image=replace(config.model.image, size=24)))
    out = train(config)
    said = capsys.readouterr().out
    assert "starts fresh: joint.logit_bias, heads of simclr" in said
    assert "positions of 4x4 patches are resized to 6x6" in said
    start = next(r for r in read_records(out / "metrics.jsonl") if r["kind"] == "start")
    found = start["pretrained"]
    assert (found["weights"], found["family"]) == (str(weights), "elsewhere")
    assert found["loaded"] == ["image tower", "text tower", "joint space"]
    assert found["fresh"] == ["joint.logit_bias", "heads of simclr"]
    assert found["unused"] == []
    assert "resized to 6x6" in found["notes"][-1]
    grown = (36 - 16) * elsewhere.VIT.width
    assert found["numbers"] == sum(t.numel() for t in elsewhere.theirs().values()) + grown


def test_without_captions_only_the_image_tower_is_used(tmp_path: Path, data: Path, weights: Path) -> None:
    session = begin(starting(tmp_path, data, weights, SIMCLR))
    assert_starts_with(session, weights, IMAGE)
    assert session.origin is not None
    assert session.origin.loaded == ("image tower",)
    assert session.origin.unused == ("text tower", "joint space")


def test_an_image_encoder_gets_words_of_its_own(tmp_path: Path, data: Path, pictures_only: Path) -> None:
    config = starting(tmp_path, data, pictures_only)
    assert config.model.image == elsewhere.VIT
    assert config.model.text.width == 192  # of vit-tiny, the smallest ViT that is known
    assert (config.data.tokenizer, config.data.vocab) == ("learned", 300)
    session = begin(config)
    assert_starts_with(session, pictures_only)
    assert session.origin is not None
    assert session.origin.fresh == ("text tower", "joint space")


def test_a_model_that_agrees_may_be_named(
    tmp_path: Path, data: Path, pictures_only: Path, weights: Path
) -> None:
    """Its text tower is then the named model's, where the weights have none."""
    text = TextTowerConfig(width=32, layers=1, heads=2, context=9)
    config = replace(tiny(tmp_path / "run", data), model=ModelConfig("mine", elsewhere.VIT, text, embed=16))
    session = begin(from_weights(config, str(pictures_only), own_model=True))
    assert_starts_with(session, pictures_only)
    assert load(session.out).model == config.model
    other = replace(tiny(tmp_path / "other", data), model=replace(elsewhere.MODEL, name="named"))
    assert_starts_with(begin(from_weights(other, str(weights), own_model=True)), weights)


@pytest.mark.parametrize(
    ("part", "changes", "there", "here", "remedy"),
    [
        ("image", {"heads": 4}, "model.image.heads is 2 there", "4 here", "--set model.image.heads=2"),
        ("image", {"patch_size": 8}, "patch_size is 4 there", "8 here", "--set model.image.patch_size=4"),
        ("image", {"width": 48}, "model.image.width is 24 there", "48 here", "--set model.image.width=24"),
        ("image", {"activation": "quick_gelu"}, "is gelu there", "quick_gelu here", "activation=gelu"),
        ("image", {"pre_norm": False}, "is true there", "false here", "--set model.image.pre_norm=true"),
        ("image", {"mean": (0.5, 0.5, 0.5)}, "0.485,0.456,0.406 there", "0.5,0.5,0.5 here", "mean=0.485"),
        ("image", {"std": (0.5, 0.25, 0.5)}, "model.image.std is 0.229", "0.5,0.25,0.5 here", "std=0.229"),
        ("text", {"heads": 4}, "model.text.heads is 2 there", "4 here", "--set model.text.heads=2"),
        ("text", {"context": 16}, "captions of 12 tokens", "context is 16", "--set model.text.context=12"),
        ("", {"embed": 16}, "model.embed is 8 there", "16 here", "--set model.embed=8"),
    ],
)  # fmt: skip
def test_what_does_not_agree_is_told(
    tmp_path: Path, data: Path, weights: Path, part: str, changes: dict[str, Any], there: str, here: str,
    remedy: str,
) -> None:  # fmt: skip
    """Both values, and what to do: which is done here, and then it agrees."""
    changed: Any = {part: replace(getattr(elsewhere.MODEL, part), **changes)} if part else changes
    config = replace(
        tiny(tmp_path / "run", data), model=replace(elsewhere.MODEL, **changed), pretrained=str(weights)
    )
    config = replace(config, data=replace(config.data, tokenizer="clip"))
    with pytest.raises(SightwordError) as found:
        begin(config)
    said = str(found.value)
    assert there in said
    assert here in said
    assert remedy in said
    assert "\n" not in said
    assert not (tmp_path / "run").exists()
    wanted = dict(one.split("=") for one in said.split("--set ")[1].split(" ...")[0].split())
    begin(sightword.config.override(config, wanted))


def test_words_of_another_tokenizer(tmp_path: Path, data: Path, weights: Path) -> None:
    config = starting(tmp_path, data, weights)
    config = replace(config, data=replace(config.data, tokenizer="learned"))
    with pytest.raises(SightwordError, match=r"another tokenizer \(49408 ids, .*give --tokenizer weights"):
        begin(config)
    session = begin(replace(config, data=replace(config.data, tokenizer="weights")))
    assert session.tokenizer.digest == ClipTokenizer(elsewhere.TEXT.context).digest


def test_words_of_weights_that_have_none(tmp_path: Path, data: Path, pictures_only: Path) -> None:
    config = starting(tmp_path, data, pictures_only)
    with pytest.raises(SightwordError, match="give --tokenizer clip or learned"):
        begin(replace(config, data=replace(config.data, tokenizer="weights")))


def test_two_beginnings_are_one_too_many(tmp_path: Path, data: Path, weights: Path) -> None:
    with pytest.raises(SightwordError, match="both --init-from and --pretrained"):
        begin(replace(starting(tmp_path, data, weights), init_from="runs/other"))


def test_a_scale_beyond_training_s_is_told(tmp_path: Path, data: Path) -> None:
    folder, tensors = elsewhere.folder(tmp_path / "w"), elsewhere.theirs()
    tensors["elsewhere.joint.logit_scale"] = torch.tensor([117.0]).log()
    save_file(tensors, folder / "model.safetensors")
    assert (
        "logit_scale is 117.0 in the weights; training holds it at 100"
        in begin(starting(tmp_path, data, folder)).notes
    )
    other = begin(replace(starting(tmp_path, data, folder, "siglip"), out=str(tmp_path / "siglip")))
    assert "logit_scale is" not in " ".join(other.notes)


def test_teachers_start_as_the_weights_do(tmp_path: Path, data: Path, weights: Path) -> None:
    """A momentum encoder is a copy of the tower that it follows."""
    session = begin(starting(tmp_path, data, weights, "mocov3(hidden=16, out=8)"))
    (teacher,) = session.model.teachers.values()
    own = session.model.encoders.towers["image"].state_dict()
    copies = [t for n, t in teacher.state_dict().items() if n.endswith("positions.weight")]
    assert copies
    assert all(torch.equal(copy, own["positions.weight"]) for copy in copies)


def test_weights_from_elsewhere_in_use(weights: Path, tmp_path: Path) -> None:
    model, own = sightword.load(weights), elsewhere.encoders(seed=3).eval()
    assert (model.name, model.family, model.image_size, model.has_text) == ("weights", "elsewhere", 16, True)
    assert file_digest(weights / "model.safetensors").startswith(model.weights_hash)
    assert own.joint is not None
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    with torch.no_grad():
        wanted = own.joint.embed_image(own.towers["image"](images).pooled)
        words = own.joint.embed_text(own.towers["text"](ClipTokenizer(12)(["a dog"])).pooled)
    plain = load_model(weights)
    torch.testing.assert_close(plain.encode_image(images, project=True), wanted)
    torch.testing.assert_close(plain.encode_text(["a dog"]), words)
    assert load_model(weights / "model.safetensors").name == "weights"
    assert load_model(elsewhere.checkpoint(tmp_path / "epoch_3.pt")).name == "epoch_3"


def test_an_image_encoder_alone_in_use(pictures_only: Path) -> None:
    model = load_model(pictures_only)
    assert not model.has_text
    assert model.encode_image(torch.zeros(1, 3, 16, 16, dtype=torch.uint8)).shape == (1, 24)
    with pytest.raises(SightwordError, match=r"'pictures' \(elsewhere\) encodes pictures alone; use tasks"):
        model.encode_text(["a dog"])


def test_scores_of_a_fetched_folder_lie_elsewhere(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_of_scores(weights) == place_of_scores(weights / "model.safetensors") == Path("runs/weights")
    assert place_of_scores(elsewhere.checkpoint(tmp_path / "e.pt")) == Path("runs/e")
    (tmp_path / "runs" / "weights").mkdir(parents=True)
    (tmp_path / "runs" / "weights" / "config.toml").touch()
    with pytest.raises(SightwordError, match=r"holds a run, .* give another place by --out"):
        place_of_scores(weights)


def squares(folder: Path) -> Path:
    """Labelled pictures: a folder for each class."""
    for name, grey in (("dark", 30), ("light", 220)):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (20, 20), (grey + i, grey, grey)).save(folder / name / f"{i}.png")
    return folder


def test_from_the_command_line(
    tmp_path: Path, data: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Train, and evaluate both, the weights before and the run after."""
    out, labelled = tmp_path / "run", squares(tmp_path / "squares")
    common = ["--steps", "2", "--batch-size", "8", "--workers", "0", "--device", "cpu", "--precision", "fp32"]
    main(["train", "--data", str(data), "--pretrained", str(weights), *common, "--out", str(out)])
    assert f"starts from {weights} (elsewhere)" in capsys.readouterr().out
    assert load(out).model == elsewhere.MODEL
    for place, scores in ((weights, tmp_path / "before"), (out, tmp_path / "after")):
        main(["evaluate", str(place), "--on", str(labelled), "--tasks", "zeroshot", "--out", str(scores)])
        assert f"scores go to {scores}" in capsys.readouterr().err
        found = read_records(scores / "scores.jsonl")
        assert {score["weights_hash"] for score in found} == {load_model(place).weights_hash}
    with pytest.raises(SystemExit) as left:
        main(["train", "--data", str(data), "--pretrained", str(weights), "--model", "vit-tiny", *common,
              "--out", str(tmp_path / "no")])  # fmt: skip
    assert left.value.code == 2
    assert "model.image.size" not in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
