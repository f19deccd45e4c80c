"""`--grad-checkpointing` in a whole run: the same bits as without, in one piece and in chunks."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from several_ranks import train_together
from tiny_runs import BYOL, MAE, RESNET, SIMCLR, VIT, assert_same_tensors, opened, plain, tiny
from torch import Tensor

from sightword.config import ImageTowerConfig
from sightword.towers.layer import Layer
from sightword.training.caching import forward_backward
from sightword.training.loop import train
from sightword.training.pretrainer import Pretrainer
from sightword.training.setup import build_pretrainer
from sightword.training.together.engine import Engine
from sightword.words import Batch

DEEP = replace(VIT, layers=(3,), drop_path=0.5)


def gradients(model: Pretrainer, batch: Batch, chunks: int) -> dict[str, Tensor]:
    """Gradients and buffers after the forward and backward of a step."""
    model = copy.deepcopy(model)
    forward_backward(Engine(model), batch, 0.5, chunks, plain())
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return found | dict(model.named_buffers())


@pytest.mark.parametrize("chunks", [1, 3])
@pytest.mark.parametrize("image", [DEEP, RESNET], ids=["vit", "resnet"])
def test_a_step_has_the_same_gradients_to_the_bit(
    tmp_path: Path, data: Path, image: ImageTowerConfig, chunks: int
) -> None:
    objective = f"clip + {SIMCLR} + {BYOL}" + (f" + {MAE}" if image is DEEP else "")
    session = opened(tmp_path / "run", data, objective, image=image)
    again = build_pretrainer(replace(session.config, grad_checkpointing=True), session.tokenizer)
    again.load_state_dict(session.model.state_dict())
    layers = [m for m in again.modules() if isinstance(m, Layer)]
    assert len(layers) >= 3
    assert all(layer.recomputed for layer in layers)
    assert not any(m.recomputed for m in session.model.modules() if isinstance(m, Layer))
    batch = session.steps(None)[0]
    wanted, found = (gradients(model, batch, chunks) for model in (session.model, again))
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if not torch.equal(found[name], wanted[name])] == []


def test_dropped_paths_do_not_depend_on_chunks_or_on_what_was_drawn_before(
    tmp_path: Path, data: Path
) -> None:
    session = opened(tmp_path / "run", data, f"clip + {SIMCLR}", image=DEEP)
    batch = session.steps(None)[0]
    found = []
    for chunks, seed in ((1, 0), (4, 1)):
        torch.manual_seed(seed)
        found.append(gradients(session.model, batch, chunks))
    for name, whole in found[0].items():
        torch.testing.assert_close(found[1][name], whole, rtol=1e-4, atol=1e-5, msg=name)
    other = replace(batch, seed=batch.seed + 1)
    name = "encoders.towers.image.blocks.2.mlp.fc2.weight"
    assert not torch.allclose(gradients(session.model, other, 1)[name], found[0][name], atol=1e-4)


def test_a_run_ends_with_the_same_weights(tmp_path: Path, data: Path) -> None:
    saved = []
    for name, again in (("kept", False), ("recomputed", True)):
        config = tiny(tmp_path / name, data, f"clip + {BYOL}", image=DEEP, grad_checkpointing=again, steps=2)
        saved.append(train(config, say=lambda _: None) / "model.safetensors")
    assert_same_tensors(*saved)


def test_in_two_processes_too(tmp_path: Path, data: Path) -> None:
    """Whatever gathers parameters or sends gradients meanwhile, and where batch norms wait for each other."""
    kinds = {"fsdp": (f"clip + {MAE}", DEEP), "ddp": (f"{SIMCLR} + {BYOL}", RESNET)}
    pairs = [
        tuple(
            tiny(tmp_path / f"{way}-{again}", data, objective, image, parallel=way, ranks=2, batch_size=4)
            for again in (False, True)
        )
        for way, (objective, image) in kinds.items()
    ]
    runs = [(replace(one, steps=2), replace(two, steps=2, grad_checkpointing=True)) for one, two in pairs]
    train_together([config for pair in runs for config in pair], 2)
    for pair in runs:
        assert_same_tensors(*(Path(config.out) / "model.safetensors" for config in pair))
