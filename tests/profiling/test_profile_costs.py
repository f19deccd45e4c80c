"""Every operation of a step is counted once, in the part and the phase that it belongs to."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

from sightword.profiling import kinds, parts
from sightword.profiling.costs import Cost, by_part, costs_of, seconds_of, shares

IMAGE, TEXT, TEACHER, SCORING = "towers.image", "towers.text", "teachers.image_0", "objectives.one"


def images(x: torch.Tensor, layers: nn.ModuleList) -> torch.Tensor:
    """Two linear layers, the second recomputed in backward."""
    return checkpoint(layers[1], torch.relu(layers[0](x)), use_reentrant=False)


def traced(steps: int = 2) -> tuple[list[Cost], float]:
    x, layers = torch.randn(8, 16), nn.ModuleList([nn.Linear(16, 16) for _ in range(3)])
    pixels, filters = torch.randn(2, 3, 8, 8), nn.Conv2d(3, 16, 3)
    optimizer = torch.optim.SGD([*layers.parameters(), *filters.parameters()])
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        for _ in range(steps):
            with parts.mark(parts.STEP):
                with parts.mark(IMAGE):
                    one = images(x, layers)
                with parts.mark(TEACHER), torch.no_grad():
                    target = layers[0](x)
                x.exp()  # numbered as the next node, which it does not make
                with parts.mark(TEXT):
                    other = filters(pixels).mean((2, 3)).sum(0)
                with parts.mark(SCORING):
                    loss = (layers[2](one + other) - target).square().mean()
                loss.backward()
                with parts.mark(parts.OPTIMIZER):
                    optimizer.step()
        x.sin()  # beside the steps
    events = trace.events()
    return costs_of(events, steps), seconds_of(events) / steps


@pytest.fixture(scope="module")
def costs() -> list[Cost]:
    return traced()[0]


def calls(costs: list[Cost], operations: str) -> dict[tuple[str, str], float]:
    return {(cost.part, cost.phase): cost.calls for cost in costs if cost.operations == operations}


def test_costs_add_up_to_the_step() -> None:
    costs, seconds = traced()
    assert sum(cost.seconds for cost in costs) == pytest.approx(seconds, rel=1e-3)
    assert sum(shares(costs).values()) == pytest.approx(1)
    assert sum(by_part(costs).values()) == pytest.approx(seconds, rel=1e-3)
    assert [cost.seconds for cost in costs] == sorted((cost.seconds for cost in costs), reverse=True)


def test_backward_belongs_to_the_part_whose_forward_it_is(costs: list[Cost]) -> None:
    """A layer is one product forward; the first needs one backward, the others two."""
    assert calls(costs, kinds.PRODUCTS) == {
        (IMAGE, "forward"): 2,
        (IMAGE, "backward"): 1 + 2 + 1,  # of the first, of the second, and the second again
        (TEACHER, ""): 1,
        (SCORING, "forward"): 1,
        (SCORING, "backward"): 2,
    }


def test_a_number_that_others_saw_too_belongs_to_who_made_the_node(costs: list[Cost]) -> None:
    found = calls(costs, kinds.CONVOLUTIONS)
    assert found.keys() == {(TEXT, "forward"), (TEXT, "backward")}
    exp = [cost for cost in costs if (cost.part, cost.phase) == (parts.STEP, "")]
    assert {cost.operations for cost in exp} >= {kinds.ELEMENTWISE}


def test_what_happens_beside_the_steps_is_not_theirs(costs: list[Cost]) -> None:
    (rest,) = (c for c in costs if (c.part, c.phase, c.operations) == (parts.STEP, "", kinds.ELEMENTWISE))
    assert rest.calls == 1  # exp, and not sin


class Told:
    """Events as torch tells of them, in microseconds."""

    def __init__(self) -> None:
        self.events: list[FunctionEvent] = []

    def add(
        self,
        name: str,
        start: float,
        end: float,
        parent: FunctionEvent | None = None,
        number: int = -1,
        kernel: int = 0,
    ) -> FunctionEvent:
        """An operation or a mark; one that has started a kernel tells how long that took."""
        own = name.startswith(parts.PREFIX)
        event = FunctionEvent(
            len(self.events), name, 0, start, end, sequence_nr=number, is_user_annotation=own
        )
        if parent is not None:
            event.set_cpu_parent(parent)
            parent.append_cpu_child(event)
        if kernel:
            event.append_kernel("gemm", 0, kernel)
        self.events.append(event)
        return event


def test_on_a_gpu_kernels_count_and_what_is_left_is_idle() -> None:
    told = Told()
    step = told.add("sightword.step", 0, 1000)
    told.add("sightword.data", 0, 100, step)
    image = told.add("sightword.towers.image", 100, 300, step, kernel=999)
    linear = told.add("aten::linear", 110, 200, image, number=4)
    told.add("aten::addmm", 120, 200, linear, number=5, kernel=400)
    node = told.add("autograd::engine::evaluate_function: AddmmBackward0", 400, 500, number=5)
    told.add("aten::mm", 410, 450, node, kernel=300)
    told.add("aten::mm", 600, 700, kernel=50)  # of no step
    kernel = FunctionEvent(99, "gemm", 0, 500, 900, device_type=DeviceType.CUDA)
    found = costs_of([*told.events, kernel], 1)
    assert [(c.part, c.phase, c.operations, round(c.seconds * 1e6)) for c in found] == [
        (IMAGE, "forward", kinds.PRODUCTS, 400),
        (IMAGE, "backward", kinds.PRODUCTS, 300),
        (parts.STEP, "", kinds.IDLE, 200),
        (parts.DATA, "", kinds.WAITING, 100),
    ]
    assert [str(cost) for cost in found] == [
        "matrix products of the image tower, forward",
        "matrix products of the image tower, backward",
        "the device waiting for the processor",
        "waiting for data",
    ]
