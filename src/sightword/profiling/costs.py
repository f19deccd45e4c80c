"""From the events of a trace to what a step costs: by part of the run and by kind of operation.

Every moment belongs to the innermost operation that was running, so on a processor the costs of a step add up
to its time. An operation of a backward pass belongs to the part whose forward made its node in the graph:
torch numbers the nodes as it makes them, and writes the number at both. On a GPU what counts is the time of
the kernels that an operation has started, and what is left of the step's time is the device's idle time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent

from sightword.profiling import kinds, parts

_NODE = "autograd::engine::evaluate_function"  # around each node of a graph in a backward pass
_MICRO = 1e-6


@dataclass(frozen=True)
class Cost:
    """What operations of one kind cost in one part.

    part: as `parts` names it.
    phase: forward, backward, or "" where there is but one.
    operations: their kind.
    seconds: of a step.
    calls: in a step.
    """

    part: str
    phase: str
    operations: str
    seconds: float
    calls: float

    def __str__(self) -> str:
        where = parts.said(self.part) + (f", {self.phase}" if self.phase else "")
        alone = self.operations in (kinds.WAITING, kinds.IDLE)
        if alone:
            return where if self.operations == kinds.WAITING else "the device waiting for the processor"
        return f"{self.operations} of {where}"


Place = tuple[str, str]  # part and phase
Row = tuple[str, str, str]  # and kind of operation


def costs_of(events: Iterable[FunctionEvent], steps: int) -> list[Cost]:
    """The costs of a step, the largest first.

    Args:
        events: of a trace of whole steps, each in a mark of its own.
        steps: how many there are.
    """
    own = [e for e in events if e.device_type == DeviceType.CPU and not e.is_async]
    own.sort(key=lambda e: e.time_range.start)
    on_device = any(e.kernels for e in own)
    places = _Places(own)
    rows = {id(event): _row(event, place) for event in own if (place := places.of(event))}
    sums: dict[Row, list[float]] = {}
    for event in (event for event in own if id(event) in rows):
        row = rows[id(event)]
        whole = sums.setdefault(row, [0.0, 0])
        whole[0] += event.self_cpu_time_total if row[2] == kinds.WAITING else _micro(event, on_device)
        whole[1] += event.cpu_parent is None or rows.get(id(event.cpu_parent)) != row  # not within one
    costs = [Cost(*key, s * _MICRO / steps, calls / steps) for key, (s, calls) in sums.items() if s > 0]
    if on_device:
        costs += _idle(costs, seconds_of(own), steps)
    return sorted(costs, key=lambda cost: -cost.seconds)


def seconds_of(events: Iterable[FunctionEvent]) -> float:
    """How long all steps of a trace took together."""
    name = parts.PREFIX + parts.STEP
    return _MICRO * sum(
        e.time_range.elapsed_us() for e in events if e.name == name and e.device_type == DeviceType.CPU
    )


def by_part(costs: Sequence[Cost]) -> dict[Place, float]:
    """Seconds of a step for each part and phase, the largest first."""
    sums: dict[Place, float] = {}
    for cost in costs:
        sums[cost.part, cost.phase] = sums.get((cost.part, cost.phase), 0.0) + cost.seconds
    return dict(sorted(sums.items(), key=lambda row: -row[1]))


def _row(event: FunctionEvent, place: Place) -> Row:
    if place[0] == parts.DATA:
        return (*place, kinds.WAITING)
    return (*place, kinds.DISPATCH if event.is_user_annotation else kinds.kind_of(event.name))


def _micro(event: FunctionEvent, on_device: bool) -> float:
    if not on_device:
        return float(event.self_cpu_time_total)
    return 0.0 if event.is_user_annotation else float(sum(kernel.duration for kernel in event.kernels))


def _idle(costs: Sequence[Cost], seconds: float, steps: int) -> list[Cost]:
    left = seconds / steps - sum(cost.seconds for cost in costs)
    return [Cost(parts.STEP, "", kinds.IDLE, left, 0.0)] if left > 0 else []


class _Places:
    """Where each event belongs; events are in the order in which they began."""

    def __init__(self, events: Sequence[FunctionEvent]) -> None:
        self._found: dict[int, Place | None] = {}
        self._makers: dict[int, str] = {}  # of a graph's nodes, by number
        self._last = parts.STEP
        for event in events:
            place = self.of(event)
            # The operation that makes node n is the last to begin while n is the next number.
            if event.sequence_nr >= 0 and place and place[1] != "backward":
                self._makers[event.sequence_nr] = place[0]

    def of(self, event: FunctionEvent) -> Place | None:
        """None for what happened beside the steps, such as in loaders' threads."""
        key = id(event)
        if key not in self._found:
            around = event.cpu_parent
            self._found[key] = self._find(event, self.of(around) if around is not None else None)
        return self._found[key]

    def _find(self, event: FunctionEvent, outside: Place | None) -> Place | None:
        backward = outside is not None and outside[1] == "backward"
        if event.name.startswith(parts.PREFIX):
            part = event.name.removeprefix(parts.PREFIX)
            forward = "forward" if parts.has_backward(part) else ""
            return part, "backward" if backward and forward else forward
        if event.name.startswith(_NODE) and not backward:
            return self._of_node(event), "backward"  # on a GPU these run in a thread of their own
        return outside

    def _of_node(self, event: FunctionEvent) -> str:
        """Nodes that add to a parameter's gradient have no number: they follow the node that made it."""
        self._last = self._makers.get(event.sequence_nr, self._last)
        return self._last


def shares(costs: Sequence[Cost]) -> Mapping[Cost, float]:
    """Each cost as a share of the step."""
    whole = sum(cost.seconds for cost in costs) or 1.0
    return {cost: cost.seconds / whole for cost in costs}
