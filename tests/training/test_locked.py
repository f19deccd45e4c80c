"""Runs with locked towers: what moves, what is counted, and that all ways of training agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from several_ranks import train_together
from tiny_runs import (
    MOCOV3,
    RESNET,
    SIMCLR,
    TEXT,
    VIT,
    newest_files,
    opened,
    plain,
    stop_at,
    tiny,
)
from torch import Tensor

from sightword.config import (
    Config,
    ImageTowerConfig,
    LockConfig,
    ModelConfig,
    OptimizerConfig,
    TextTowerConfig,
)
from sightword.errors import SightwordError
from sightword.planning.memory import needed
from sightword.training.caching import forward_backward
from sightword.training.counting import sample_flops
from sightword.training.loop import Loop, resume_training, train
from sightword.training.session import Session
from sightword.training.together.engine import Engine

DEEP = replace(VIT, layers=(3,), drop_path=0.3)
IMAGE, BOTH = LockConfig(image=True), LockConfig(image=True, text=True)
LAST = LockConfig(image=True, image_unlocked_groups=1, text=True, text_unlocked_layers=1)


def trained(session: Session, steps: int = 3) -> dict[str, bool]:
    """Whether each tensor of the encoders moved."""
    before = {name: t.clone() for name, t in session.model.encoders.state_dict().items()}
    loop, batches = Loop(session), session.steps(None)
    for step in range(steps):
        loop._step(step, batches[step])
    return {name: not torch.equal(t, before[name]) for name, t in session.model.encoders.state_dict().items()}


@pytest.mark.parametrize("image", [DEEP, RESNET], ids=["vit", "resnet"])
@pytest.mark.parametrize("accum_freq", [1, 2])
def test_a_locked_image_tower_stays_while_captions_learn(
    tmp_path: Path, data: Path, image: ImageTowerConfig, accum_freq: int
) -> None:
    changes = {"image": image, "lock": IMAGE, "accum_freq": accum_freq}
    moved = trained(opened(tmp_path / "run", data, **changes))
    assert not any(moved[name] for name in moved if name.startswith("towers.image."))
    assert all(moved[name] for name in moved if not name.startswith("towers.image."))


def test_both_locked_leaves_the_projections(tmp_path: Path, data: Path) -> None:
    moved = trained(opened(tmp_path / "run", data, lock=BOTH, accum_freq=2))
    assert {name for name in moved if moved[name]} == {
        "joint.image.weight",
        "joint.text.weight",
        "joint.logit_scale",
    }


def test_the_last_groups_learn_with_teacher_and_average(tmp_path: Path, data: Path) -> None:
    changes = {"image": replace(DEEP, layers=(2,)), "lock": LAST}
    config = tiny(tmp_path / "run", data, f"clip + {MOCOV3}", **changes)
    changes["optimizer"] = replace(config.optimizer, ema=0.5)
    session = opened(tmp_path / "run", data, f"clip + {MOCOV3}", **changes)
    held = {id(p) for group in session.optimizer.param_groups for p in group["params"]}
    encoders = session.model.encoders
    towers = {n: p for n, p in encoders.named_parameters() if n.startswith("towers.")}
    learning = {n for n in towers if n.startswith(("towers.image.blocks.1.", "towers.image.norm."))}
    learning |= {n for n in towers if n.startswith(("towers.text.blocks.0.", "towers.text.norm."))}
    assert {n for n, p in towers.items() if id(p) in held} == learning
    moved = trained(session)
    assert {name for name in towers if moved[name]} == learning
    (teacher,) = session.model.teachers.values()
    average, now = session.model.kept_encoders().state_dict(), encoders.state_dict()
    for name in towers.keys() - learning:
        assert torch.equal(average[name], now[name]), name
        if name.startswith("towers.image."):
            assert torch.equal(teacher.copy.state_dict()[name.removeprefix("towers.image.")], now[name]), name
    assert not torch.equal(average["towers.image.norm.bias"], now["towers.image.norm.bias"])


def gradients(session: Session, chunks: int) -> tuple[float, dict[str, Tensor]]:
    session.model.zero_grad()
    batch = session.steps(None)[0]
    torch.manual_seed(0)
    answer = forward_backward(Engine(session.model), batch, 1.0, chunks, plain())
    named = session.model.named_parameters()
    return float(answer.total), {name: p.grad.clone() for name, p in named if p.grad is not None}


@pytest.mark.parametrize("lock", [IMAGE, BOTH, LAST], ids=["image", "both", "last"])
def test_chunks_give_the_gradient_of_the_whole(tmp_path: Path, data: Path, lock: LockConfig) -> None:
    session = opened(tmp_path / "run", data, lock=lock, image=DEEP)
    loss, whole = gradients(session, 1)
    again, cut = gradients(session, 4)
    assert again == pytest.approx(loss, rel=1e-6)
    assert whole.keys() == cut.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(cut[name], gradient, rtol=1e-4, atol=1e-7, msg=name)


def test_what_is_locked_is_encoded_once_in_chunks(tmp_path: Path, data: Path) -> None:
    session = opened(tmp_path / "run", data, lock=IMAGE)
    calls = {"image": 0, "text": 0}
    for name in calls:
        tower = session.model.encoders.towers[name]
        tower.register_forward_hook(lambda *_, name=name: calls.__setitem__(name, calls[name] + 1))
    gradients(session, 4)
    assert calls == {"image": 4, "text": 8}


@pytest.mark.parametrize("lock", [IMAGE, LAST], ids=["image", "last"])
def test_a_run_goes_on_bit_for_bit(tmp_path: Path, data: Path, lock: LockConfig) -> None:
    changes = {"lock": lock, "image": DEEP, "zeroshot_frequency": 1}
    whole = train(tiny(tmp_path / "whole", data, **changes), stop_at(-1), print)
    stopped = train(tiny(tmp_path / "cut", data, **changes), stop_at(3), print)
    resume_training(stopped, stop_at(-1))
    assert newest_files(stopped) == newest_files(whole)


def test_several_processes_train_what_one_does(tmp_path: Path, data: Path) -> None:
    rows = {
        "image": (IMAGE, {}),
        "last": (LAST, {}),
        "both": (BOTH, {"chunk": 2}),
        "pieces": (LAST, {"parallel": "fsdp"}),
    }
    learning = OptimizerConfig(lr=5e-4, wd=0.1, warmup=0.2, eps=1e-5)  # rounding makes no steps
    runs = {}
    for ranks in (1, 2):
        runs[ranks] = [
            tiny(
                tmp_path / f"{name}-{ranks}",
                data,
                batch_size=8 // ranks,
                lock=lock,
                image=DEEP,
                optimizer=learning,
                **more,
            )
            for name, (lock, more) in rows.items()
        ]
        train_together(runs[ranks], ranks)
    for one, two in zip(*runs.values(), strict=True):
        alone, together = (load_file(Path(run.out) / "model.safetensors") for run in (one, two))
        for name, tensor in alone.items():
            torch.testing.assert_close(together[name], tensor, rtol=1e-3, atol=2e-5, msg=f"{one.out} {name}")


@pytest.mark.parametrize("objective", [SIMCLR, f"clip + {SIMCLR}"])
def test_what_reads_no_captions_has_nothing_to_teach(tmp_path: Path, data: Path, objective: str) -> None:
    with pytest.raises(SightwordError, match="'simclr' reads no captions"):
        opened(tmp_path / "run", data, objective, lock=IMAGE)
    opened(tmp_path / "other", data, objective, lock=LockConfig(image=True, image_unlocked_groups=1))


@pytest.mark.parametrize(
    ("lock", "match"),
    [
        (LockConfig(image_unlocked_groups=1), "give --lock-image"),
        (LockConfig(image=True, image_unlocked_groups=2), "give 0 to 1"),
        (LockConfig(text=True, text_unlocked_layers=-1), "give 0 to 1"),
    ],
)
def test_flags_that_contradict(tmp_path: Path, data: Path, lock: LockConfig, match: str) -> None:
    with pytest.raises(SightwordError, match=match):
        opened(tmp_path / "run", data, lock=lock)


def test_a_text_tower_that_is_not_there(tmp_path: Path, data: Path) -> None:
    with pytest.raises(SightwordError, match="--lock-text locks a tower that"):
        opened(tmp_path / "run", data, SIMCLR, lock=LockConfig(text=True))


def test_the_user_is_told(tmp_path: Path, data: Path) -> None:
    notes = opened(tmp_path / "run", data, lock=LAST, image=DEEP).notes
    assert (
        "the image tower is locked but for the last 1 of its 3 groups: it computes what it computed" in notes
    )
    assert "warning: the weights of the locked text tower are drawn, not given" in notes


def costs(lock: LockConfig) -> Config:
    image = ImageTowerConfig(size=64, width=48, layers=(5,), heads=4, patch_size=16)
    text = TextTowerConfig(width=32, layers=4, heads=4, context=12)
    return Config(objective="clip", model=ModelConfig("tiny", image, text, embed=16), lock=lock)


def by_hand(image_learning: int, text_learning: int) -> float:
    """FLOPs of a sample: forward once, and twice that backward through what learns."""

    def tower(tokens: int, width: int, depth: int, learning: int) -> int:
        layer = tokens * 12 * width**2 + 2 * tokens**2 * width
        return depth * layer + 2 * learning * layer

    stem = 16 * 768 * 48
    joint = 48 * 16 + 32 * 16
    projections = 3 * joint - (0 if image_learning else 48 * 16) - (0 if text_learning else 32 * 16)
    return 2 * (tower(17, 48, 5, image_learning) + tower(12, 32, 4, text_learning) + stem + projections)


@pytest.mark.parametrize(("image", "text"), [(0, 0), (0, 1), (1, 0), (2, 3), (5, 4)])
def test_a_backward_pass_through_what_is_locked_costs_nothing(image: int, text: int) -> None:
    lock = LockConfig(True, image, True, text)
    pairwise = 1e-4  # the share of the logits of two rows, which is not in the count by hand
    assert sample_flops(costs(lock)) == pytest.approx(by_hand(image, text), rel=pairwise)


def test_a_plan_knows_it() -> None:
    """The rehearsal of a step: its arithmetic, and that nothing of the image tower waits for a backward."""
    free, locked = (needed(replace(costs(lock), batch_size=8), 1, "cpu") for lock in (LockConfig(), IMAGE))
    assert locked.flops < free.flops - 2 * by_hand(0, 0) / 3
    kept = [name for name in locked.most.at_peak if name.startswith("image:")]
    assert sum(locked.most.at_peak[name] for name in kept) < 8 * 16 * 48 * 4 * 2
    assert (
        sum(size for name, size in free.most.at_peak.items() if name.startswith("image:")) > 8 * 16 * 48 * 40
    )


def test_text_alone_is_the_same_towers(tmp_path: Path, data: Path) -> None:
    """Locking draws nothing: every weight begins as without it."""
    free, locked = (opened(tmp_path / str(n), data, lock=lock) for n, lock in enumerate((LockConfig(), BOTH)))
    before, after = (session.model.state_dict() for session in (free, locked))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert locked.config.model.text == TEXT
