"""MoCo v3: its heads, its keys, its loss and gradient as the paper and the released code have them."""

from __future__ import annotations

import math

import momentum_twins as twin
import pytest
import torch
from fake_encoders import AROUND, IMAGE, fake_batch, fake_encodings, leaves
from torch import Tensor, nn

from sightword import distributed
from sightword.errors import SightwordError
from sightword.losses import contrast
from sightword.objectives.mocov3 import MocoV3
from sightword.towers.momentum import momentum_at
from sightword.words import Encoded, Jitter, Surroundings, Teacher

ROWS = 4
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
KINDS = {3: "LBRLBRLB", 2: "LBRLB"}  # of the projector, by its linear layers


def small(dtype: torch.dtype, **options: float) -> MocoV3:
    """Small heads of random weights, the copy's unlike the student's, batch norms that scale and shift."""
    torch.manual_seed(3)
    objective = MocoV3(AROUND, **{"hidden": 5, "out": 3} | options).to(dtype)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64) * 0.7 + 0.2)
    return objective


def encoded_for(objective: MocoV3, dtype: torch.dtype) -> dict[str, Encoded]:
    return fake_encodings(objective.wants, fake_batch(objective.wants, ROWS), dtype=dtype)


def loss_of(objective: MocoV3, encoded: dict[str, Encoded]) -> Tensor:
    return objective(encoded, fake_batch(objective.wants, ROWS), None).loss


def twin_of(
    objective: MocoV3,
    encoded: dict[str, Encoded],
    layers: int = 3,
    predictor: str = "LBRLB",
    foreign: list[Tensor] | None = None,
) -> Tensor:
    """Algorithm 1 with the heads of moco/builder.py; `foreign`, another rank's keys, come before ours."""
    students = [encoded["student0"].pooled, encoded["student1"].pooled]
    teachers = [encoded["teacher0"].pooled, encoded["teacher1"].pooled]
    queries = []
    for x in students:
        projected = twin.head(x, objective.projector, KINDS[layers])
        whole = torch.stack([torch.stack(row) for row in projected])
        queries.append(twin.head(whole, objective.predictor, predictor))
    keys = [twin.head(x, objective.slow_projector.copy, KINDS[layers]) for x in teachers]
    others = [twin.rows(x) for x in foreign] if foreign else [[], []]
    keys = [[*others[i], *keys[i]] for i in (0, 1)]
    first = twin.contrast(queries[0], keys[1], objective.temperature, len(others[1]))
    return first + twin.contrast(queries[1], keys[0], objective.temperature, len(others[0]))


def moving(objective: MocoV3, encoded: dict[str, Encoded]) -> list[Tensor]:
    """What must get a gradient: the student's features and heads."""
    features = [pooled for pooled, _ in leaves(encoded).values()]
    return [*features, *(p for p in objective.parameters() if p.requires_grad)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_the_loss_is_algorithm_1(dtype: torch.dtype, temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(4, 5, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    keys = torch.randn(7, 5, generator=generator, dtype=torch.float64).to(dtype)
    loss = contrast.momentum_contrast(query, keys, temperature, offset=2)
    slow = query.detach().double().requires_grad_()
    expected = twin.contrast(twin.rows(slow), twin.rows(keys.double()), temperature, first=2)
    (ours,), (theirs,) = torch.autograd.grad(loss, query), torch.autograd.grad(expected, slow)
    near = TOLERANCE[dtype]
    torch.testing.assert_close(loss.detach().double(), expected.detach(), rtol=near, atol=near)
    torch.testing.assert_close(ours.double(), theirs, rtol=near, atol=near)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("options", "layers", "predictor"),
    [({}, 3, "LBRLB"), ({"layers": 2, "predictor_norm": False, "temperature": 1.0}, 2, "LBRL")],
    ids=["as its ViTs", "as its ResNets"],
)
def test_value_and_gradient_are_those_of_the_naive_twin(
    dtype: torch.dtype, options: dict[str, float], layers: int, predictor: str
) -> None:
    fast, slow = small(dtype, **options), small(torch.float64, **options)
    given, exact = encoded_for(fast, dtype), encoded_for(slow, torch.float64)
    with torch.no_grad():
        for name, one in exact.items():
            one.pooled.copy_(given[name].pooled)
    loss, expected = loss_of(fast, given), twin_of(slow, exact, layers, predictor)
    near = TOLERANCE[dtype]
    torch.testing.assert_close(loss.double(), expected, rtol=near, atol=near)
    ours = torch.autograd.grad(loss, moving(fast, given))
    theirs = torch.autograd.grad(expected, moving(slow, exact))
    size = torch.cat([g.flatten() for g in theirs]).norm()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=near, atol=float(near * size))


def test_keys_of_all_ranks_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the second of two ranks sees it: foreign keys come first, and the labels count on from them."""
    objective = small(torch.float64)
    encoded = encoded_for(objective, torch.float64)
    generator = torch.Generator().manual_seed(9)
    foreign = [torch.randn(ROWS, 3, generator=generator, dtype=torch.float64) for _ in range(2)]
    expected = twin_of(objective, encoded, foreign=foreign)
    waiting = iter(foreign)

    def gather(x: Tensor) -> Tensor:
        assert not x.requires_grad, "keys are gathered without gradient"
        return torch.cat([next(waiting), x])

    monkeypatch.setattr(distributed, "gather", gather)
    monkeypatch.setattr(distributed, "offset", len)
    torch.testing.assert_close(loss_of(objective, encoded), expected)


def test_gradient_reaches_the_student_and_never_the_teacher() -> None:
    objective = small(torch.float32)
    encoded = encoded_for(objective, torch.float32)
    taught = [encoded[f"teacher{i}"].pooled.requires_grad_() for i in (0, 1)]
    loss_of(objective, encoded).backward()
    assert all(pooled.grad is None for pooled in taught)
    assert all(p.grad is None and not p.requires_grad for p in objective.slow_projector.parameters())
    for i in (0, 1):
        gradient = encoded[f"student{i}"].pooled.grad
        assert gradient is not None
        assert (gradient.abs().sum(dim=1) > 0).all()
    for network in (objective.projector, objective.predictor):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("momentum", [0.99, 0.9])
def test_the_momentum_is_the_codes(momentum: float) -> None:
    """main_moco.py: m = 1 - (1 + cos(pi t / T)) / 2 x (1 - m0), for tower and projector alike."""
    objective = small(torch.float64, momentum=momentum)
    teachers = {want.teacher for name, want in objective.wants.items() if name.startswith("teacher")}
    assert teachers == {Teacher(momentum, 1.0)} == {objective.slow_projector.schedule}
    before = [p.clone() for p in objective.slow_projector.parameters()]
    objective.slow_projector.update(0.3)
    share = 1 - (1 + math.cos(math.pi * 0.3)) / 2 * (1 - momentum)
    assert momentum_at(Teacher(momentum, 1.0), 0.3) == pytest.approx(share, rel=1e-12)
    followed = zip(
        objective.slow_projector.parameters(), before, objective.projector.parameters(), strict=True
    )
    for now, old, student in followed:
        torch.testing.assert_close(now, share * old + (1 - share) * student)


def test_the_heads_are_the_codes() -> None:
    objective = MocoV3(Surroundings(IMAGE, None))
    projector, predictor = ([*network] for network in (objective.projector, objective.predictor))
    linear = [(m.in_features, m.out_features, m.bias) for m in projector if isinstance(m, nn.Linear)]
    assert linear == [(IMAGE.width, 4096, None), (4096, 4096, None), (4096, 256, None)]
    linear = [(m.in_features, m.out_features, m.bias) for m in predictor if isinstance(m, nn.Linear)]
    assert linear == [(256, 4096, None), (4096, 256, None)]
    for network in (projector, predictor):
        norms = [m.affine for m in network if isinstance(m, nn.BatchNorm1d)]
        assert norms == [True] * (len(norms) - 1) + [False]
        assert isinstance(network[-1], nn.BatchNorm1d)


def test_the_copys_batch_norms_see_the_batch_each_view_by_itself() -> None:
    objective = small(torch.float64)
    encoded = encoded_for(objective, torch.float64)
    loss_of(objective, encoded)
    for network in (objective.projector, objective.slow_projector.copy):
        counts = [int(m.num_batches_tracked) for m in network if isinstance(m, nn.BatchNorm1d)]
        assert counts == [2, 2, 2]
    key = objective.slow_projector(encoded["teacher0"].pooled)
    torch.testing.assert_close(key.mean(dim=0), torch.zeros(3, dtype=key.dtype), rtol=0, atol=1e-9)


def test_student_and_teacher_see_the_two_asymmetric_views() -> None:
    """main_moco.py: blur at 1.0 and 0.1, solarisation at 0 and 0.2, jitter (.4, .4, .2, .1) at .8."""
    wants = MocoV3(AROUND, hidden=8, out=8).wants
    views = [wants[f"student{i}"].view for i in (0, 1)]
    assert views == [wants[f"teacher{i}"].view for i in (0, 1)]
    first, second = (view for view in views if view)
    assert (first.blur, second.blur) == (1.0, 0.1)
    assert (first.solarize, second.solarize) == (0.0, 0.2)
    for view in (first, second):
        assert view.jitter == Jitter(0.4, 0.4, 0.2, 0.1, p=0.8)
        assert (view.scale, view.flip, view.grayscale) == ((0.08, 1.0), 0.5, 0.2)
    assert first.draw != second.draw


def test_accuracy_counts_both_directions() -> None:
    """Queries are their own keys in three rows of four one way, and in none the other way."""
    objective = MocoV3(AROUND, layers=1, out=IMAGE.width, hidden=8)
    objective.projector = objective.predictor = nn.Identity()
    objective.slow_projector.copy = nn.Identity()
    encoded = encoded_for(objective, torch.float32)
    axes = torch.eye(IMAGE.width)[:ROWS]
    with torch.no_grad():
        for i in (0, 1):
            encoded[f"student{i}"].pooled.copy_(axes)
        encoded["teacher1"].pooled.copy_(axes[[0, 1, 2, 0]])
        encoded["teacher0"].pooled.copy_(axes.roll(1, dims=0))
    term = objective(encoded, fake_batch(objective.wants, ROWS), None)
    assert float(term.metrics["accuracy"]) == pytest.approx((3 / 4 + 0) / 2)


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0.0}, {"momentum": 1.1}, {"momentum": -0.1}, {"hidden": 0}, {"out": 0}, {"layers": 0}],
)
def test_options_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(SightwordError, match=r"mocov3 needs .* try mocov3"):
        MocoV3(AROUND, **options)  # type: ignore[arg-type]
