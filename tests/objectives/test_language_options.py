"""What clip and siglip share: dropped patches (FLIP), the caption's words (SuperCLIP), other views."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_encoders import AROUND, IMAGE, fake_batch, fake_encodings
from small_shard import small_shard
from tiny_runs import saved_model

from sightword import masking
from sightword.config import (
    Config,
    DataConfig,
    ImageTowerConfig,
    ModelConfig,
    OptimizerConfig,
    TextTowerConfig,
)
from sightword.errors import SightwordError
from sightword.objectives import catalogue, grammar
from sightword.objectives.base import Objective
from sightword.objectives.clip import Clip
from sightword.objectives.siglip import Siglip
from sightword.towers.joint_space import JointSpace
from sightword.towers.vit import ViT
from sightword.training.caching import forward_backward
from sightword.training.loop import train
from sightword.training.session import begin
from sightword.training.together.engine import Engine
from sightword.views import named
from sightword.words import Masking, Surroundings, Term

BOTH = pytest.mark.parametrize("kind", [Clip, Siglip])
VIT = ImageTowerConfig(size=16, width=24, layers=(1,), heads=2, patch_size=4)
EVERYTHING = ["clip(drop=0.5, classify=1.0, view=crop)", "siglip(drop=0.5, classify=1.0, view=crop)"]


def score(objective: Objective) -> tuple[Term, Mapping[str, Any], JointSpace]:
    torch.manual_seed(1)
    joint = JointSpace(IMAGE.width, 20, 16, objective.contrast)
    batch = fake_batch(objective.wants)
    encoded = fake_encodings(objective.wants, batch)
    return objective(encoded, batch, joint), encoded, joint


def tiny(out: Path, data: Path, objective: str, **changes: Any) -> Config:
    text = TextTowerConfig(width=24, layers=1, heads=2, context=16)
    config = Config(
        objective=objective,
        out=str(out),
        data=DataConfig(path=str(data), tokenizer="learned", vocab=300, workers=0),
        model=ModelConfig("tiny", VIT, text, embed=16),
        optimizer=OptimizerConfig(lr=3e-3, wd=0.1, warmup=0.1),
        batch_size=16,
        steps=20,
        precision="fp32",
        save_minutes=0.0,
        log_every=1,
        device="cpu",
    )
    return dataclasses.replace(config, **changes)


@BOTH
def test_without_options_nothing_is_added(kind: type[Clip | Siglip]) -> None:
    plain = kind(AROUND)
    assert not plain.state_dict()
    image = plain.wants["image"]
    assert (image.view, image.keep) == (named.language(IMAGE.size), None)
    assert plain.wants == kind(AROUND, view="global", drop=0.0, classify=0.0).wants
    assert Clip(AROUND).wants == Siglip(AROUND).wants  # so the two share their encodings


@BOTH
def test_dropped_patches_never_reach_the_tower(kind: type[Clip | Siglip]) -> None:
    keep = kind(AROUND, drop=0.75).wants["image"].keep
    assert keep == Masking(0.75)
    assert not keep.replace
    tower = ViT(VIT)
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    hidden = masking.hidden(keep, (4, 4), seed=0, ids=[1, 2], epochs=0)
    seen = tower(images, hidden)
    assert seen.tokens.shape[1] == 4
    spoilt = images.clone()
    patches = spoilt.view(2, 3, 4, 4, 4, 4).permute(0, 2, 4, 1, 3, 5)  # (b, down, across, 3, 4, 4), a view
    patches[hidden.view(2, 4, 4)] = 0
    assert not torch.equal(spoilt, images)
    assert torch.equal(tower(spoilt, hidden).pooled, seen.pooled)


@BOTH
@pytest.mark.parametrize("drop", [-0.5, 1.0, 1.5, float("nan")])
def test_a_share_that_hides_nothing_or_everything_is_refused(kind: type[Clip | Siglip], drop: float) -> None:
    with pytest.raises(SightwordError, match=rf"{kind.__name__.lower()}\(drop={drop}\).*4 x 4 patches; try"):
        kind(AROUND, drop=drop)
    one_patch = Surroundings(dataclasses.replace(IMAGE, grid=(1, 1), size=4), AROUND.text)
    with pytest.raises(SightwordError, match="does not hide some of 1 x 1 patches"):
        kind(one_patch, drop=0.5)


@BOTH
def test_a_tower_that_cannot_hide_is_told_which_could(kind: type[Clip | Siglip]) -> None:
    blind = Surroundings(dataclasses.replace(IMAGE, patch_size=None, maskable=False), AROUND.text)
    assert kind(blind).wants
    with pytest.raises(
        SightwordError, match=r"drop=0.5\) needs a ViT with a patch stem.*try --model vit-tiny"
    ):
        kind(blind, drop=0.5)


@BOTH
@pytest.mark.parametrize("classify", [-1.0, float("inf"), float("nan")])
def test_a_weight_is_a_finite_number_of_at_least_0(kind: type[Clip | Siglip], classify: float) -> None:
    with pytest.raises(SightwordError, match=r"is no weight; try 1, or 0"):
        kind(AROUND, classify=classify)


@BOTH
def test_the_words_add_their_loss_by_their_weight(kind: type[Clip | Siglip]) -> None:
    plain, _, _ = score(kind(AROUND))
    torch.manual_seed(0)
    heavy, encoded, joint = score(kind(AROUND, classify=0.5))
    extra = 0.5 * heavy.metrics["word_loss"]
    assert extra > 0
    torch.testing.assert_close(heavy.loss, plain.loss + extra)
    assert 0 <= heavy.metrics["word_accuracy"] <= 1
    heavy.loss.backward()
    assert encoded["image"].tokens.grad.abs().max() > 0  # the mean of the patches, not the pooled feature
    assert all(p.grad is not None for p in joint.parameters())


@BOTH
def test_the_head_learns_and_is_part_of_the_objective(kind: type[Clip | Siglip]) -> None:
    objective = kind(AROUND, classify=1.0)
    term, _, _ = score(objective)
    term.loss.backward()
    named_gradients = {name: p.grad for name, p in objective.named_parameters()}
    assert set(named_gradients) == {
        f"words.{n}.{k}" for n in ("norm", "vocabulary") for k in ("weight", "bias")
    }
    assert all(g is not None and g.abs().max() > 0 for g in named_gradients.values())
    assert {name for name, _ in objective.named_buffers()} == {"words.documents", "words.captions"}
    assert int(objective.state_dict()["words.captions"]) == 6


@BOTH
def test_views_have_names_in_the_grammar(kind: type[Clip | Siglip]) -> None:
    name = kind.__name__.lower()
    (wish,) = grammar.parse(f"{name}(view=all)")
    assert catalogue.build(wish, AROUND).wants["image"].view == named.strong(IMAGE.size)
    (wish,) = grammar.parse(f"{name}(view=loud)")
    with pytest.raises(SightwordError, match="view"):
        catalogue.build(wish, AROUND)


@pytest.mark.parametrize("objective", ["siglip", *EVERYTHING])
def test_a_tiny_run_learns_and_its_counts_are_saved(tmp_path: Path, objective: str) -> None:
    data = small_shard(tmp_path / "pairs.tar", 48)
    out = train(tiny(tmp_path / "run", data, objective), say=lambda said: None)
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if record["kind"] == "step"]
    assert len(losses) == 20
    assert sum(losses[-5:]) < sum(losses[:5])
    if "classify" in objective:
        newest = max((out / "checkpoints").glob("step-*"))
        counts = {k.rpartition(".")[2]: v for k, v in saved_model(newest).items() if ".words." in k}
        assert int(counts["captions"]) == 20 * 16  # each step's captions once
        assert 0 < int(counts["documents"].max()) <= 20 * 16


@pytest.mark.parametrize("objective", EVERYTHING)
def test_chunks_change_neither_gradients_nor_counts(tmp_path: Path, objective: str) -> None:
    data = small_shard(tmp_path / "pairs.tar", 24)
    whole, parts = (begin(tiny(tmp_path / str(chunks), data, objective, batch_size=12)) for chunks in (1, 3))
    plain = torch.autocast("cpu", enabled=False)
    for session, chunks in ((whole, 1), (parts, 3)):
        forward_backward(Engine(session.model), session.steps(None)[0], 0.0, chunks, plain)
    for (name, p), q in zip(whole.model.named_parameters(), parts.model.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None), name
        if p.grad is not None:
            torch.testing.assert_close(q.grad, p.grad, rtol=1e-3, atol=1e-6, msg=name)
    for (name, a), b in zip(whole.model.named_buffers(), parts.model.buffers(), strict=True):
        assert torch.equal(a, b), name
