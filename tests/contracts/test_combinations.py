"""What every objective owes to a run, alone and beside a language objective, with real towers.

Found in the catalogue: a new objective, also a user's own, joins by being there.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from small_objectives import small_wish, variants
from tiny_runs import plain, shard, tiny
from torch import Tensor, nn

from sightword.config import OptimizerConfig
from sightword.objectives import catalogue
from sightword.towers.momentum import Follower
from sightword.training.caching import cut, forward_backward
from sightword.training.optimizer import make_optimizer, named_trainable
from sightword.training.preparing import prepare
from sightword.training.pretrainer import Answer, Pretrainer
from sightword.training.saving.checkpoint import newest, restore, save
from sightword.training.session import begin
from sightword.training.together.engine import Engine
from sightword.words import Batch

MOST = 8  # of every whole-number option
NAMES = catalogue.names()
LANGUAGE = [name for name in ("clip", "siglip") if name in NAMES]
PAIRS = dict.fromkeys(tuple(sorted((a, b))) for a in LANGUAGE for b in NAMES if a != b)
SUMS = {
    " + ".join(names): " + ".join(str(small_wish(name, MOST)) for name in names)
    for names in [*((name,) for name in NAMES), *PAIRS]
}
VARIANTS = {str(wish): str(small_wish(wish.name, MOST, **dict(wish.options))) for wish in variants(NAMES)}
STEADY = OptimizerConfig(lr=3e-3, wd=0.0)


@dataclass(frozen=True)
class Ready:
    """A run that is prepared and has not begun, and its first batch. Tests train copies."""

    model: Pretrainer
    batch: Batch


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shard(tmp_path_factory.mktemp("data") / "pairs.tar")


@pytest.fixture(scope="module", params=SUMS.values(), ids=SUMS.keys())
def ready(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, data: Path) -> Ready:
    session = begin(tiny(tmp_path_factory.mktemp("runs") / "run", data, request.param))
    steps = session.steps(None)
    prepare(session, steps)
    return Ready(session.model, steps[0])


@pytest.fixture
def model(ready: Ready) -> Pretrainer:
    """A copy of one's own, which draws the same random numbers every time."""
    torch.manual_seed(5)
    return copy.deepcopy(ready.model)


def step(model: Pretrainer, optimizer: torch.optim.Optimizer, batch: Batch) -> Answer:
    """As the loop does, half-way through training."""
    answer = forward_backward(Engine(model), batch, 0.5, 1, plain())
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    model.after_step(0.51, 0.5)
    return answer


def teachers(model: nn.Module) -> set[int]:
    """The parameters that follow others."""
    return {id(p) for m in model.modules() if isinstance(m, Follower) for p in m.copy.parameters()}


def test_its_loss_falls(ready: Ready, model: Pretrainer) -> None:
    """On one batch, in 20 steps.

    What moves by itself (teachers, running centres) is held: a loss against a moving target may rise.
    """
    optimizer = make_optimizer(model, STEADY)
    held = {name: buffer.clone() for name, buffer in model.named_buffers()}
    losses = []
    for _ in range(20):
        losses.append(float(forward_backward(Engine(model), ready.batch, 1.0, 1, plain()).total.detach()))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(held[name])
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]


def test_its_gradient_reaches_what_trains_and_nothing_else(ready: Ready, model: Pretrainer) -> None:
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    forward_backward(Engine(model), ready.batch, 1.0, 1, plain())
    trainable = named_trainable(model)
    for name, parameter in model.named_parameters():
        if name not in trainable:
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, f"{name} is never used"
        assert parameter.grad.isfinite().all(), name
        if name.startswith("encoders."):
            assert parameter.grad.abs().max() > 0, name
    followed = teachers(model)
    assert not followed & {id(p) for p in trainable.values()}
    optimizer = make_optimizer(model, STEADY)
    optimizer.step()
    model.after_step(0.51, 0.5)
    for name, parameter in model.named_parameters():
        if name not in trainable and id(parameter) not in followed:
            assert torch.equal(parameter, before[name]), f"{name} is frozen, but moved"


def test_chunks_are_the_whole_batch(ready: Ready, model: Pretrainer) -> None:
    """Of 3, 3 and 2 samples: loss, gradient, and what heads remember, such as means and centres."""
    whole = copy.deepcopy(model)
    exact = forward_backward(Engine(whole), ready.batch, 1.0, 1, plain())
    found = forward_backward(Engine(model), ready.batch, 1.0, 3, plain())
    for name, term in exact.terms.items():
        torch.testing.assert_close(found.terms[name].loss, term.loss, rtol=1e-5, atol=0)
    ours, theirs = gradients(model), gradients(whole)
    assert ours.keys() == theirs.keys()
    size = norm(theirs)
    for name, gradient in theirs.items():
        assert float((ours[name] - gradient).norm()) < 1e-5 * size, name
    remembered = dict(whole.named_buffers())
    for name, buffer in model.named_buffers():
        torch.testing.assert_close(buffer, remembered[name], rtol=1e-4, atol=1e-6, msg=name)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def norm(tensors: dict[str, Tensor]) -> float:
    return float(torch.cat([tensor.flatten() for tensor in tensors.values()]).norm())


def test_saved_and_restored_it_goes_on_to_the_bit(ready: Ready, model: Pretrainer, tmp_path: Path) -> None:
    """Into a model whose every saved number was another."""
    optimizer = make_optimizer(model, STEADY)
    step(model, optimizer, ready.batch)
    save(tmp_path, model, optimizer, {"step": 1}, keep_last=1)
    other = copy.deepcopy(ready.model)
    for tensor in other.state_dict().values():
        tensor.add_(1)
    again = make_optimizer(other, STEADY)
    saved, _ = newest(tmp_path)
    assert saved is not None
    restore(saved, other, again)
    losses = []
    for one, its in ((model, optimizer), (other, again)):
        torch.manual_seed(9)
        losses.append(step(one, its, ready.batch).total)
    assert torch.equal(*losses)
    expected = model.state_dict()
    different = [
        name for name, tensor in other.state_dict().items() if not torch.equal(tensor, expected[name])
    ]
    assert not different


def test_the_order_of_the_batch_does_not_matter(ready: Ready, model: Pretrainer) -> None:
    order = torch.randperm(len(ready.batch.keys), generator=torch.Generator().manual_seed(0))
    same = copy.deepcopy(model)
    with torch.no_grad():
        first, second = model(ready.batch), same(cut(ready.batch, order))
    for name, term in first.terms.items():
        torch.testing.assert_close(second.terms[name].loss, term.loss, rtol=1e-5, atol=0, msg=name)


@pytest.mark.parametrize("ready", VARIANTS.values(), ids=VARIANTS.keys(), indirect=True)
def test_every_choice_keeps_the_promises(ready: Ready, model: Pretrainer) -> None:
    """Each option that is a choice, at every value that is not its default."""
    test_chunks_are_the_whole_batch(ready, copy.deepcopy(model))
    test_its_gradient_reaches_what_trains_and_nothing_else(ready, model)


def test_every_objective_is_here() -> None:
    assert {"clip", "simclr", "mae"} <= set(NAMES)
    assert LANGUAGE == ["clip", "siglip"]
    assert len(PAIRS) == 2 * len(NAMES) - 3
    assert {"clip(drop=0.5)", "mae(kind=block)", "mae(norm_pix=false)"} <= set(VARIANTS)
