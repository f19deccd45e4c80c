"""What a study says of one arm in plain words, with its conditions, and never more than the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sightword.statistics import Interval
from sightword.study.analysis.answers import Answer, ArmAnswer
from sightword.study.analysis.crossovers import Crossover
from sightword.study.analysis.gains import Change, Gain
from sightword.study.analysis.points import Question

_BUDGETS = {"samples": "equal samples seen", "flops": "equal training FLOPs"}


@dataclass(frozen=True, eq=False)
class Verdict:
    """Did the arm pay at one size, and does it elsewhere?

    size: that it is about. measured: the gain there, where runs of the size are. predicted: the gain there by
        the curve, where there are none. crossover, change: None where too few seeds were run.
    sizes, seeds: of the runs (the fewest seeds of any size). datasets: averaged over, or the one.
    paired: whether the arms were paired example by example.
    asked: the question in words: "image retrieval, recall@5 on pets"; "" for its names.
    """

    question: Question
    objective: str
    baseline: str
    size: int
    measured: Gain | None
    predicted: Interval | None
    crossover: Crossover | None
    change: Change | None
    sizes: tuple[int, ...]
    seeds: int
    datasets: tuple[str, ...]
    paired: bool
    asked: str = ""

    @property
    def pays(self) -> int:
        """1: a gain is shown at the size; -1: a loss; 0: undetermined."""
        if self.measured is not None:
            return (1 if self.measured.gain.value > 0 else -1) if self.measured.shown else 0
        if self.predicted is None:
            return 0
        return (self.predicted.low > 0) - (self.predicted.high < 0)

    def sentences(self) -> list[str]:
        """In plain words: what was found, how it goes on, under which conditions."""
        return [*self.findings(), self.conditions()]

    def findings(self) -> list[str]:
        """What was found at the size, and how it goes on."""
        return [f"{_what(self)} at {pairs_of(self.size)}, {_found(self)}.", *_further(self)]

    def conditions(self) -> str:
        """What it holds for."""
        sizes = ", ".join(f"{size:,}" for size in self.sizes) or "none"
        seeds = f"{self.seeds} seed{'s' if self.seeds != 1 else ''} of each"
        over = "test examples" + (" and seeds" if self.seeds > 1 else ", and seeds only where there are two")
        how = "" if self.paired else "; arms are not paired by example, so they are wider than need be"
        return f"(Runs of {sizes} pairs, {seeds}; 95 % intervals over {over}{how}.)"


def verdict(answer: Answer, arm: ArmAnswer, size: int | None = None, asked: str = "") -> Verdict:
    """The verdict on one arm.

    Args:
        answer: to the question.
        arm: one of the answer's.
        size: that is asked about; the largest that was run when None.
        asked: the question in words.

    Raises:
        SightwordError: when the size lies further than a decade from those that were run.
    """
    seen = [gain.size for gain in arm.gains]
    size = size or max(seen, default=max(answer.grid.sizes))
    measured = next((gain for gain in arm.gains if gain.size == size), None)
    return Verdict(
        *(answer.question, arm.objective, arm.baseline, size, measured),
        predicted=None if measured else arm.at(size),
        crossover=arm.crossover,
        change=arm.change,
        sizes=tuple(seen),
        seeds=min((gain.seeds for gain in arm.gains), default=0),
        datasets=answer.grid.datasets,
        paired=answer.grid.paired,
        asked=asked,
    )


def tell(verdicts: Sequence[Verdict]) -> str:
    """Verdicts of several budgets on one arm as one paragraph, equal conditions once."""
    conditions = dict.fromkeys(one.conditions() for one in verdicts)
    return " ".join([*(sentence for one in verdicts for sentence in one.findings()), *conditions])


def pairs_of(size: float | int) -> str:
    """A size for people: 8,000 pairs, 310 thousand pairs, 1.4 million pairs."""
    if size < 99_950:
        return f"{float(f'{size:.3g}') if size != int(size) else size:,.0f} pairs"
    for unit, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if size >= 0.9995 * unit:
            return f"{float(f'{size / unit:.3g}'):g} {name} pairs"
    raise AssertionError(size)


def points(gain: Interval) -> str:
    """A gain for people, in points with its interval."""
    low, high = 100 * gain.low, 100 * gain.high
    return f"{abs(100 * gain.value):.1f} points [{low:+.1f}, {high:+.1f}]"


def _what(one: Verdict) -> str:
    asked = one.question
    if one.asked:
        return f"In {one.asked} with {asked.model}"
    if asked.is_mean:
        return f"On the mean of {len(one.datasets)} data sets, {asked.task}, {asked.model}"
    return f"On {asked.dataset}, {asked.task} {asked.metric}, {asked.model}"


def _found(one: Verdict) -> str:
    budget = _BUDGETS.get(one.question.budget, f"equal {one.question.budget}")
    number = one.measured.gain if one.measured else one.predicted
    if number is None:
        why = "no paired runs of that size, and no curve through others without two seeds each"
        return f"nothing can be said at {budget}: there are {why}"
    done, how = _deed(one), "" if one.measured else " (predicted from the other sizes)"
    signed = f"{100 * number.value:+.1f} points [{100 * number.low:+.1f}, {100 * number.high:+.1f}]"
    if one.pays:
        verb = "raised" if one.pays > 0 else "lowered"
        verb = verb if one.measured else f"is expected to have {verb}"
        return f"{done} {verb} the score by {points(number)} at {budget}{how}"
    if one.measured and one.measured.seeds < 2:
        return (
            f"{done} changed the score by {signed} at {budget} in the only seed; how much seeds differ is "
            "not known, so nothing is shown"
        )
    why = ""
    if one.measured and (number.low > 0 or number.high < 0):
        why = ", which does not hold after the correction for all comparisons"
    return f"no difference was shown at {budget} from {done[0].lower()}{done[1:]}: {signed}{why}{how}"


def _deed(one: Verdict) -> str:
    start = f"{one.baseline} + "
    if one.objective.startswith(start):
        return f"adding {one.objective.removeprefix(start)} to {one.baseline}"
    return f"{one.objective} instead of {one.baseline}"


def _further(one: Verdict) -> list[str]:
    """How the gain goes with size."""
    told = []
    if one.change is not None and one.change.direction:
        slope = one.change.per_decade
        word = "grew" if slope.value > 0 else "fell"
        told.append(f"Over the sizes that were run it {word}, by {points(slope)} for ten times the pairs.")
    if one.crossover is not None:
        told.append(_crossing(one.crossover, max(one.sizes)))
    return told


def _crossing(found: Crossover, largest: int) -> str:
    better = {1: "better", -1: "worse"}
    low, high = (pairs_of(end) for end in found.reach)
    if found.kind == "crosses" and found.size is not None:
        at = found.size
        if at.value > largest:
            beyond = f", {at.value / largest:.1f} times the largest size that was run"
        else:
            beyond = ", within the sizes that were run" if at.high <= largest else ""
        return (
            f"The gain changes its sign once, at {pairs_of(at.value)} "
            f"[{pairs_of(at.low)}, {pairs_of(at.high)}]{beyond}: "
            f"{better[found.sign]} below, {better[-found.sign]} above."
        )
    if found.kind == "none":
        return f"No crossover from the smallest size up to {high}: it stays {better[found.sign]}."
    if found.shown is None:
        return f"Whether it is better or worse is undetermined at every size from {low} to {high}."
    start, end = (pairs_of(one) for one in found.shown)
    return (
        f"By the curve through all sizes it is {better[found.sign]} from {start} to {end}; elsewhere up to "
        f"{high} that is undetermined, and further nothing is said."
    )
