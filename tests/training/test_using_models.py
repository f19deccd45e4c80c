"""What comes out of a run: the same features as in training, for anybody, with one clear line otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tiny_runs import MAE, SIMCLR, VIT, opened, stop_at, tiny

import sightword
from sightword.config import to_toml
from sightword.errors import SightwordError
from sightword.training.loop import Loop, resume_training, train
from sightword.training.model import load_model
from sightword.training.records import file_digest, read_records
from sightword.training.session import begin, config_digest

TEXTS = ["a red square", "", "small very dark thing " * 9]


def quiet(said: str) -> None:
    """For notes that a test does not look at."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    return train(tiny(tmp_path_factory.mktemp("runs") / "slip", data, f"clip + {SIMCLR}"), say=quiet)


def pictures(count: int = 5, size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def test_a_run_is_loaded_as_it_was_trained(run: Path, tmp_path: Path, data: Path) -> None:
    """Against the towers themselves, trained again in place."""
    model = sightword.load(run)
    loop = Loop(opened(tmp_path / "again", data, f"clip + {SIMCLR}"))
    loop.run()
    encoders = loop.model.encoders.eval()
    assert encoders.joint is not None
    with torch.no_grad():
        pooled = encoders.towers["image"](pictures()).pooled
        words = encoders.towers["text"](model.tokenizer(TEXTS)).pooled
        assert torch.equal(model.encode_image(pictures()), pooled)
        assert torch.equal(model.encode_image(pictures(), project=True), encoders.joint.embed_image(pooled))
        assert torch.equal(model.project_image(pooled), encoders.joint.embed_image(pooled))
        assert torch.equal(model.encode_text(TEXTS), encoders.joint.embed_text(words))


def test_a_model_says_what_it_is(run: Path) -> None:
    model = load_model(run)
    end = read_records(run / "metrics.jsonl")[-1]
    assert (model.name, model.image_size, model.has_text) == ("slip", 16, True)
    assert (model.step, model.samples, model.flops) == (6, 48, end["flops"])
    assert file_digest(run / "model.safetensors").startswith(model.weights_hash)
    assert load_model(str(run) + "/.").name == "slip"


def test_features_are_plain_and_normalised(run: Path) -> None:
    model = load_model(run)
    for features, width in (
        (model.encode_image(pictures()), 24),
        (model.encode_image(pictures(), project=True), 16),
        (model.encode_text(TEXTS), 16),
    ):
        assert features.dtype == torch.float32
        assert features.shape[1] == width
        assert not features.requires_grad
        if width == 16:
            torch.testing.assert_close(features.norm(dim=1), torch.ones(len(features)))
    assert model.encode_text([]).shape == (0, 16)
    assert model.encode_image(pictures(0)).shape == (0, 24)


def test_how_many_at_once_changes_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(run)
    whole = model.encode_image(pictures(7)), model.encode_text(TEXTS)
    monkeypatch.setattr("sightword.training.model._ROWS", 2)
    torch.testing.assert_close(model.encode_image(pictures(7)), whole[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.encode_text(TEXTS), whole[1], rtol=1e-5, atol=1e-6)


def test_without_captions_there_is_no_text_tower(tmp_path: Path, data: Path) -> None:
    run = train(tiny(tmp_path / "sight", data, SIMCLR), say=quiet)
    model = load_model(run)
    assert not model.has_text
    assert model.encode_image(pictures()).shape == (5, 24)
    names = load_file(run / "model.safetensors")
    assert names
    assert all(name.startswith("towers.image.") for name in names)
    for ask in (lambda: model.encode_text(TEXTS), lambda: model.encode_image(pictures(), project=True)):
        with pytest.raises(SightwordError, match=r"'sight' was not trained to compare pictures and captions"):
            ask()
    start = read_records(run / "metrics.jsonl")[0]
    assert start["parameters"] == sum(t.numel() for t in names.values())


def test_averaged_weights_are_what_is_published(tmp_path: Path, data: Path) -> None:
    """w' <- 0.75 w' + 0.25 w after every step, from the first weights on."""
    config = tiny(tmp_path / "ema", data)
    config = replace(config, optimizer=replace(config.optimizer, ema=0.75))
    loop = Loop(begin(config))
    mean = {n: t.clone() for n, t in loop.model.encoders.state_dict().items()}
    steps = loop.session.steps(None)
    for step in range(3):
        loop._step(step, steps[step])
        for name, now in loop.model.encoders.state_dict().items():
            mean[name] = 0.75 * mean[name] + 0.25 * now
    loop.keeper.publish(loop.stepper.kept_encoders(), loop.state)
    published = load_file(tmp_path / "ema" / "model.safetensors")
    assert published.keys() == mean.keys()
    for name, tensor in published.items():
        torch.testing.assert_close(tensor, mean[name], rtol=1e-5, atol=1e-6, msg=name)
    now = loop.model.encoders.state_dict()
    assert any(not torch.allclose(published[name], now[name]) for name in published)


def test_a_run_can_start_from_another_s_image_tower(tmp_path: Path, data: Path) -> None:
    """SimCLR -> CLIP; the source is not needed any more when the run is resumed."""
    source = train(tiny(tmp_path / "sight", data, SIMCLR), say=quiet)
    session = opened(tmp_path / "clip", data, init_from=str(source))
    fresh = opened(tmp_path / "fresh", data)
    given = load_file(source / "model.safetensors")
    for name, tensor in session.model.encoders.state_dict().items():
        wanted = given.get(name, fresh.model.encoders.state_dict()[name])
        assert torch.equal(tensor, wanted), name
    config = tiny(tmp_path / "run", data, init_from=str(source), zeroshot_frequency=1)
    out = train(config, stop_at(2), quiet)
    source.rename(tmp_path / "gone")
    resume_training(out, say=quiet)
    assert load_model(out).step == 6


def test_starting_from_what_does_not_fit_is_told(tmp_path: Path, data: Path) -> None:
    source = train(tiny(tmp_path / "wide", data, image=replace(VIT, width=32)), say=quiet)
    with pytest.raises(SightwordError, match=r"wide/model\.safetensors are of another model"):
        opened(tmp_path / "run", data, init_from=str(source))
    with pytest.raises(SightwordError, match=r"no config\.toml in"):
        opened(tmp_path / "run", data, init_from=str(tmp_path / "nothing"))
    (source / "model.safetensors").unlink()
    with pytest.raises(SightwordError, match="needs a run that has saved"):
        opened(tmp_path / "run", data, init_from=str(source))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda file: file.unlink(), "finish it with: sightword train --resume"),
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), "cannot be read"),
        (lambda file: file.write_bytes(b""), "cannot be read"),
    ],
    ids=["missing", "cut short", "empty"],
)
def test_weights_that_are_not_there_or_damaged(
    tmp_path: Path, data: Path, harm: object, message: str
) -> None:
    out = train(tiny(tmp_path / "run", data, steps=1), say=quiet)
    harm(out / "model.safetensors")  # type: ignore[operator]
    with pytest.raises(SightwordError, match=message) as found:
        load_model(out)
    assert "\n" not in str(found.value)


def test_a_run_trained_elsewhere_is_loaded_here(tmp_path: Path, data: Path) -> None:
    """The configuration names a device that this machine need not have."""
    config = tiny(tmp_path / "run", data, steps=1)
    out = train(config, say=quiet)
    (out / "config.toml").write_text(to_toml(replace(config, device="cuda:9")))
    assert load_model(out, device="cpu").encode_image(pictures()).device == torch.device("cpu")


def test_watching_does_not_disturb(tmp_path: Path, data: Path) -> None:
    """A watcher puts the towers into evaluation mode and draws random numbers."""

    def watch(model: sightword.training.model.Model) -> list[dict[str, object]]:
        model.encode_image(pictures())
        torch.rand(7)
        return []

    image = replace(VIT, layers=(2,), drop_path=0.5)
    config = tiny(tmp_path / "watched", data, image=image, zeroshot_frequency=1)
    watched = train(config, watch, quiet)
    alone = train(replace(config, out=str(tmp_path / "alone")), say=quiet)
    assert (watched / "model.safetensors").read_bytes() == (alone / "model.safetensors").read_bytes()


def test_the_file_says_what_it_is(run: Path) -> None:
    with safe_open(run / "model.safetensors", "pt") as file:
        assert '"objective": "clip + simclr(hidden=16, out=8)"' in file.metadata()["sightword"]


def test_the_digest_names_what_decides_the_numbers() -> None:
    """One setting after the other: does the hash change?"""
    config = tiny(Path("a"), Path("b"), MAE)
    data, optimizer = config.data, config.optimizer
    deciding = [
        replace(config, objective="clip"),
        replace(config, seed=1),
        replace(config, batch_size=4),
        replace(config, steps=7),
        replace(config, precision="bf16"),
        replace(config, accum_freq=2),
        replace(config, init_from="x"),
        replace(config, optimizer=replace(optimizer, lr=0.5)),
        replace(config, model=replace(config.model, embed=8)),
        replace(config, data=replace(data, captions="label-tags")),
        replace(config, data=replace(data, window=2)),
        replace(config, data=replace(data, split="train")),
    ]
    others = [
        replace(config, out="x"),
        replace(config, save_every=9, save_minutes=1.0, keep_last=9, log_every=9),
        replace(config, report_to=("wandb",), zeroshot_frequency=3, evaluate_on=""),
        replace(config, data=replace(data, path="x", workers=3, cache_mib=1, max_bad=0.5)),
    ]
    hashes = {config_digest(one) for one in deciding}
    assert len(hashes | {config_digest(config)}) == len(deciding) + 1
    assert {config_digest(one) for one in others} == {config_digest(config)}
