"""Self-distillation against DINO's formulas: the loss, its gradient, the centre, and which view is whose."""

from __future__ import annotations

import math

import pytest
import torch
from fake_encoders import AROUND, IMAGE, fake_batch, fake_encodings
from naive_distillation import assert_slopes, cross_entropies, entropy, head, moved, softmax

from sightword import distributed
from sightword.errors import SightwordError
from sightword.objectives.self_distillation import SelfDistillation
from sightword.views import named
from sightword.words import Encoded, ImageFacts, Jitter, Surroundings, Teacher

SMALL = {"hidden": 7, "bottleneck": 5, "out": 9}


def made(**options: float) -> SelfDistillation:
    """In float64, its teacher's head and its centre away from where they start."""
    torch.manual_seed(0)
    objective = SelfDistillation(AROUND, **{**SMALL, "locals": 3, **options}).double()
    distillation = objective.distillation
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        distillation.centre.copy_(0.1 * torch.randn_like(distillation.centre))
    return objective


def scene(objective: SelfDistillation, rows: int = 4) -> tuple[dict[str, Encoded], object]:
    batch = fake_batch(objective.wants, rows)
    return fake_encodings(objective.wants, batch, dtype=torch.float64), batch


def naive(objective: SelfDistillation, encoded: dict[str, Encoded], ts: float, tt: float) -> float:
    distillation = objective.distillation
    students = [
        [head(distillation.head, row) for row in encoded[name].pooled.tolist()] for name in objective.students
    ]
    teacher = [head(distillation.slow_head.copy, row) for row in encoded["global"].pooled.tolist()]
    return cross_entropies(students, teacher, distillation.centre.tolist(), ts, tt)


@pytest.mark.parametrize(("ts", "tt"), [(0.1, 0.04), (0.3, 0.07)])
def test_it_is_algorithm_1_in_value_and_gradient(ts: float, tt: float) -> None:
    objective = made(student_temperature=ts, teacher_temperature=tt).eval()
    encoded, batch = scene(objective)
    loss = objective(encoded, batch, None).loss
    assert loss.item() == pytest.approx(naive(objective, encoded, ts, tt), rel=1e-9)
    head_of = objective.distillation.head
    tensors = [encoded["local1"].pooled, head_of.prototypes, head_of.mlp[0].bias, head_of.mlp[4].weight]
    found = torch.autograd.grad(loss, tensors)
    for tensor, gradient in zip(tensors, found, strict=True):
        assert_slopes(lambda: naive(objective, encoded, ts, tt), tensor, gradient)


def test_float32_is_close_to_the_formula() -> None:
    objective = made().eval()
    encoded, batch = scene(objective)
    expected = naive(objective, encoded, 0.1, 0.04)
    halves = {k: Encoded(e.pooled.detach().float(), e.tokens.detach().float()) for k, e in encoded.items()}
    assert objective.float()(halves, batch, None).loss.item() == pytest.approx(expected, rel=1e-4)


def test_prototypes_are_scaled_once_for_all_views() -> None:
    """They are far more than rows: asked view by view, a step is their lengths and little else."""
    objective = made()
    asked = list[int]()
    objective.distillation.head.register_forward_hook(lambda head, given, answer: asked.append(len(answer)))
    objective(*scene(objective), None)
    assert asked == [3 * 4]


def test_the_centre_moves_after_the_loss_and_only_in_training() -> None:
    objective = made(centre_momentum=0.8)
    encoded, batch = scene(objective)
    before = objective.distillation.centre.clone()
    teacher = [head(objective.distillation.slow_head.copy, row) for row in encoded["global"].pooled.tolist()]
    evaluated = objective.eval()(encoded, batch, None).loss
    assert torch.equal(objective.distillation.centre, before)
    trained = objective.train()(encoded, batch, None).loss
    assert torch.equal(trained, evaluated), "the loss is made with the old centre"
    wanted = torch.tensor(moved(before.tolist(), teacher, 0.8), dtype=torch.float64)
    torch.testing.assert_close(objective.distillation.centre, wanted, rtol=1e-9, atol=1e-12)
    assert not torch.equal(objective(encoded, batch, None).loss, trained)


def test_the_centre_is_that_of_all_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank with half of the rows ends with the centre of one that has them all."""
    whole, half = made(), made()
    encoded, batch = scene(whole)
    whole(encoded, batch, None)
    theirs = whole.distillation.slow_head(encoded["global"].pooled[2:]).mean(0)
    monkeypatch.setattr(distributed, "mean", lambda x: (x + theirs) / 2)
    half({k: Encoded(e.pooled[:2], e.tokens[:2]) for k, e in encoded.items()}, batch, None)
    torch.testing.assert_close(half.distillation.centre, whole.distillation.centre)


def test_metrics_are_the_teachers_entropy_the_divergence_and_the_prototypes_in_use() -> None:
    objective = made().eval()
    encoded, batch = scene(objective)
    term = objective(encoded, batch, None)
    distillation = objective.distillation
    rows = [head(distillation.slow_head.copy, row) for row in encoded["global"].pooled.tolist()]
    centre = distillation.centre.tolist()
    targets = [softmax([(t - c) / 0.04 for t, c in zip(row, centre, strict=True)]) for row in rows]
    mean = [sum(column) / len(targets) for column in zip(*targets, strict=True)]
    own = sum(map(entropy, targets)) / len(targets)
    assert term.metrics["teacher_entropy"].item() == pytest.approx(own, rel=1e-9)
    assert term.metrics["kl"].item() == pytest.approx(term.loss.item() - own, rel=1e-9)
    assert term.metrics["prototypes"].item() == pytest.approx(math.exp(entropy(mean)), rel=1e-9)


def test_collapse_can_be_seen() -> None:
    """A teacher that says the same of every picture: one prototype, or all of them alike."""
    objective = made().eval()
    distillation = objective.distillation
    encoded, batch = scene(objective)
    with torch.no_grad():
        distillation.slow_head.copy.mlp[4].weight.zero_()
        distillation.slow_head.copy.mlp[4].bias.copy_(distillation.slow_head.copy.prototypes[2])
        distillation.centre.zero_()
    one = objective(encoded, batch, None).metrics
    assert one["prototypes"].item() == pytest.approx(math.exp(float(one["teacher_entropy"])), rel=1e-6)
    with torch.no_grad():
        distillation.slow_head.copy.prototypes.copy_(distillation.slow_head.copy.prototypes[:1].expand(9, -1))
    uniform = objective(encoded, batch, None).metrics
    assert uniform["teacher_entropy"].item() == pytest.approx(math.log(9), rel=1e-9)
    assert uniform["prototypes"].item() == pytest.approx(9, rel=1e-9)


def test_defaults_are_dinos() -> None:
    with torch.device("meta"):
        objective = SelfDistillation(AROUND)
    distillation = objective.distillation
    shapes = {name: tuple(p.shape) for name, p in distillation.head.named_parameters() if p.ndim == 2}
    assert shapes == {
        "mlp.0.weight": (2048, IMAGE.width),
        "mlp.2.weight": (2048, 2048),
        "mlp.4.weight": (256, 2048),
        "prototypes": (65536, 256),
    }
    assert (distillation.student_temperature, distillation.teacher_temperature) == (0.1, 0.04)
    assert distillation.centre_momentum == 0.9
    assert distillation.slow_head.schedule == Teacher(0.996, 0.996)


def test_one_global_view_teaches_eight_local_ones() -> None:
    objective = SelfDistillation(AROUND, **SMALL, momentum=0.9, momentum_end=1.0)
    teacher = objective.wants.pop("global")
    assert teacher.teacher == Teacher(0.9, 1.0)
    assert teacher.view == named.global_crop(IMAGE.size)
    students = list(objective.wants.values())
    assert [want.teacher for want in students] == [None] * 8
    assert [want.view for want in students] == [named.local_crop(8, draw) for draw in range(8)]


@pytest.mark.parametrize(
    ("size", "grid", "wanted", "local"),
    [
        (224, 14, 0, 96),
        (224, 7, 0, 96),
        (256, 16, 0, 112),
        (64, 8, 0, 24),
        (32, 4, 0, 16),
        (224, 14, 112, 112),
    ],
)
def test_local_views_are_whole_tokens_of_dinos_share(size: int, grid: int, wanted: int, local: int) -> None:
    image = ImageFacts(**{**vars(IMAGE), "size": size, "grid": (grid, grid), "patch_size": None})
    objective = SelfDistillation(Surroundings(image, None), **SMALL, local_size=wanted)
    assert {want.view.size for name, want in objective.wants.items() if name != "global"} == {local}


def test_views_at_dinos_sizes_have_its_numbers() -> None:
    whole, part = named.global_crop(224), named.local_crop(96, 5)
    assert (whole.scale, whole.flip, whole.grayscale, whole.blur) == ((0.4, 1.0), 0.5, 0.2, 1.0)
    assert (part.scale, part.flip, part.grayscale, part.blur) == ((0.05, 0.4), 0.5, 0.2, 0.5)
    assert whole.jitter == part.jitter == Jitter(0.4, 0.4, 0.2, 0.1, p=0.8)
    assert whole.sigma == pytest.approx((0.1, 2.0))
    assert part.sigma == pytest.approx((0.1, 2.0))
    assert (whole.solarize, part.solarize, part.draw) == (0.0, 0.0, 5)


@pytest.mark.parametrize(
    "options",
    [
        {"locals": 0},
        {"local_size": 6},
        {"local_size": 20},
        {"out": 0},
        {"teacher_temperature": 0.0},
        {"momentum": 1.5},
        {"centre_momentum": -0.1},
    ],
)
def test_numbers_out_of_range_are_refused_in_one_line(options: dict[str, float]) -> None:
    with pytest.raises(SightwordError, match=r"self-distillation.*try") as caught:
        SelfDistillation(AROUND, **{**SMALL, **options})
    assert "\n" not in str(caught.value)
