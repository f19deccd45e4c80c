"""Low-rank adapters by the installed peft: what learns, that merging is exact, and runs with them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import MOCOV3, VIT, newest_files, opened, saved_model, shard, stop_at, tiny

from sightword.config import LockConfig, LoraConfig
from sightword.errors import SightwordError
from sightword.planning.sizes import measure
from sightword.towers.adapters import adapt, factor_of, plain
from sightword.towers.build import build_image
from sightword.training.loop import Loop, resume_training, train
from sightword.training.model import load_model

Peer = Callable[[str], ModuleType]
LORA = LoraConfig(rank=2, alpha=5.0)
DEEP = replace(VIT, layers=(2,), drop_path=0.2)
ADAPTED = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    """As runs compute: float32, unlike the other peers' tests."""
    return iter([None])


def test_at_first_nothing_changes_and_then_merging_gives_the_same(peer: Peer) -> None:
    peer("peft")
    torch.manual_seed(0)
    tower = build_image(replace(DEEP, drop_path=0.0, pool="attention"))
    before, images = copy.deepcopy(tower), torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    adapt(tower, 2, 5.0)
    assert torch.equal(tower(images).pooled, before(images).pooled)
    learning = {name for name, p in tower.named_parameters() if p.requires_grad}
    assert learning == {
        f"blocks.{i}.{part}.lora_{m}.default.weight" for i in range(2) for part in ADAPTED for m in "AB"
    }
    with torch.no_grad():
        for name, parameter in tower.named_parameters():
            if name in learning:
                parameter.normal_(std=0.3)
    assert factor_of(tower) == 2.5
    assert set(plain(tower)) == set(before.state_dict())
    before.load_state_dict(plain(tower))
    expected = tower(images).pooled
    assert not torch.allclose(expected, build_image(VIT)(images).pooled[:, :1].expand_as(expected))
    torch.testing.assert_close(before(images).pooled, expected, rtol=1e-4, atol=1e-5)
    for name, layer in tower.named_modules():
        if hasattr(layer, "get_delta_weight"):
            theirs = layer.base_layer.weight + layer.get_delta_weight("default")
            torch.testing.assert_close(plain(tower)[f"{name}.weight"], theirs, rtol=1e-5, atol=1e-6)


def test_only_adapters_projections_and_heads_learn(peer: Peer, tmp_path: Path) -> None:
    peer("peft")
    data = shard(tmp_path / "pairs.tar")
    session = opened(tmp_path / "run", data, f"clip + {MOCOV3}", lora=LORA, image=DEEP)
    before = {name: t.clone() for name, t in session.model.encoders.state_dict().items()}
    loop, batches = Loop(session), session.steps(None)
    for step in range(3):
        loop._step(step, batches[step])
    now = session.model.encoders.state_dict()
    moved = {name for name, t in now.items() if not torch.equal(t, before[name])}
    assert moved == {n for n in before if ".lora_" in n or n.startswith("joint.")}
    assert "of the image tower only adapters of rank 2 learn" in session.notes
    sizes = measure(session.config)
    assert sizes.trained == sum(p.numel() for p in session.model.parameters() if p.requires_grad)


def test_a_run_goes_on_bit_for_bit_and_is_used_without_the_library(peer: Peer, tmp_path: Path) -> None:
    peer("peft")
    data = shard(tmp_path / "pairs.tar")
    ema = replace(tiny(tmp_path, data).optimizer, ema=0.5)
    changes = {"lora": replace(LORA, on=("image",)), "image": DEEP, "accum_freq": 2}
    changes |= {"zeroshot_frequency": 1, "optimizer": ema}
    whole = train(tiny(tmp_path / "whole", data, **changes), stop_at(-1), print)
    stopped = train(tiny(tmp_path / "cut", data, **changes), stop_at(3), print)
    resume_training(stopped, stop_at(-1))
    assert newest_files(stopped) == newest_files(whole)
    held, used = (
        saved_model(max((whole / "checkpoints").glob("step-*"))),
        load_file(whole / "model.safetensors"),
    )
    assert any(".lora_A." in name for name in held)
    assert not any("lora" in name or "base_layer" in name for name in used)
    name = "blocks.1.mlp.fc1"
    base, down, up = (
        held[f"average.copy.towers.image.{name}.{part}.weight"].double()
        for part in ("base_layer", "lora_A.default", "lora_B.default")
    )
    merged = (base + 2.5 * up @ down).float()
    assert torch.equal(used[f"towers.image.{name}.weight"], merged)
    assert not torch.equal(merged, base.float())
    assert load_model(whole).encoders.towers["image"] is not None


def test_a_seed_draws_the_same_adapters_whatever_else_is_drawn(peer: Peer, tmp_path: Path) -> None:
    peer("peft")
    data, found = shard(tmp_path / "pairs.tar"), []
    for number, objective in enumerate(("clip", f"clip + {MOCOV3}")):
        torch.manual_seed(number)
        session = opened(tmp_path / str(number), data, objective, lora=LORA)
        found.append({n: t for n, t in session.model.encoders.state_dict().items() if "lora_A" in n})
    assert found[0]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_adapters_and_locks_on_one_tower(peer: Peer, tmp_path: Path) -> None:
    peer("peft")
    data = shard(tmp_path / "pairs.tar")
    with pytest.raises(SightwordError, match="leave --lock-text out"):
        opened(tmp_path / "run", data, lora=LORA, lock=LockConfig(text=True))
    opened(tmp_path / "fine", data, lora=replace(LORA, on=("image",)), lock=LockConfig(text=True))
