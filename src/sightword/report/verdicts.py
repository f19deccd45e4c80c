"""What came out, in plain words that never say more than the paired interval does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sightword.evaluation.compare import Difference
from sightword.report import phrases
from sightword.report.fairness import Fair
from sightword.report.paired import Paired, is_shown
from sightword.report.records import Measure, Run


@dataclass(frozen=True)
class Verdict:
    """One fair comparison, its differences (second minus first), and the measure that decides it."""

    fair: Fair
    paired: Paired
    measure: Measure | None

    @property
    def deciding(self) -> Difference | None:
        """The difference that the headline rests on."""
        return self.paired.found.get(self.measure) if self.measure else None


def budget(fair: Fair) -> str:
    """On what the two runs are equal."""
    if fair.same_samples and fair.same_flops:
        return "at equal samples and FLOPs"
    return "at equal samples" if fair.same_samples else "at equal FLOPs"


def outcome(verdict: Verdict) -> str:
    """Who is better, as half a sentence: "clip + simclr is better than clip"."""
    first, second = verdict.fair.first.label, verdict.fair.second.label
    deciding = verdict.deciding
    if deciding is None:
        return f"{second} and {first} were not scored alike"
    if not is_shown(deciding):
        return f"no difference is shown between {second} and {first}"
    return (
        f"{second} is better than {first}"
        if deciding.difference.value > 0
        else f"{first} is better than {second}"
    )


def numbers(verdict: Verdict) -> str:
    """The deciding numbers as a sentence."""
    deciding = verdict.deciding
    if deciding is None:
        return phrases.capital(f"{outcome(verdict)}.")
    first, second = verdict.fair.first.label, verdict.fair.second.label
    gap = deciding.difference
    apart = f"{phrases.points(gap.value)} points (95{phrases.THIN}% interval "
    apart += f"{phrases.points_interval(gap.low, gap.high)})"
    before, after = phrases.percent(deciding.first), phrases.percent(deciding.second)
    if not is_shown(deciding):
        return f"No difference shown: {second} reached {after} against {before} for {first}, {apart}."
    if gap.value > 0:
        return f"{second} reached {after} against {before} for {first}: {apart}."
    return f"{first} is better: {second} reached {after} against {before}, {apart}."


def headline(verdicts: Sequence[Verdict], runs: Sequence[Run], measure: Measure | None) -> str:
    """The page's title: who was better on each budget, or how far a single run came."""
    if verdicts:
        said = dict.fromkeys(f"{budget(v.fair)}, {outcome(v)}" for v in verdicts)
        return phrases.capital("; ".join(list(said)[:2])) + "."
    if len(runs) > 1:
        return f"{phrases.listed([run.label for run in runs])}: no two runs had the same budget"
    score = runs[0].final.get(measure) if measure else None
    if score is None or measure is None:
        return f"{runs[0].label}: not scored yet"
    return f"{runs[0].label} reached {phrases.percent(score.value)} {phrases.metric(measure)}"


def lede(runs: Sequence[Run]) -> str:
    """What was trained, on what and how much."""
    models = dict.fromkeys(
        f"{r.config.model.name} at {r.config.model.image.size} px" for r in runs if r.config
    )
    places = dict.fromkeys(r.config.data.path for r in runs if r.config)
    cost = (f" ({phrases.power(run.flops)} FLOPs)" if run.flops else "" for run in runs)
    said = [
        f"{run.label} saw {phrases.count(run.samples)} samples{c}" for run, c in zip(runs, cost, strict=True)
    ]
    learned = f"{phrases.listed(list(models))}, trained on the pictures and captions of " if models else ""
    return (
        f"{learned}{phrases.listed(list(places))}. {phrases.listed(said)}."
        if learned
        else f"{phrases.listed(said)}."
    )


def price(fair: Fair) -> str:
    """What the runs cost, and in what they differ besides the objective."""
    first, second = fair.first, fair.second
    if fair.same_samples and fair.same_flops:
        return f"Both saw {phrases.count(first.samples)} samples and cost {phrases.power(first.flops)} FLOPs."
    if fair.same_samples:
        times = phrases.ratio(second.flops, first.flops)
        more = f"; {second.label} cost {times} the FLOPs of {first.label}" if times else ""
        return f"Both saw {phrases.count(first.samples)} samples{more}."
    return (
        f"Both cost about {phrases.power(second.flops)} FLOPs; {first.label} saw "
        f"{phrases.ratio(first.samples, second.samples)} the samples "
        f"({phrases.count(first.samples)} against {phrases.count(second.samples)})."
    )


def in_common(fair: Fair) -> str:
    """What the records say that the two runs shared; empty when they say nothing."""
    a, b = fair.first, fair.second
    same = []
    if a.start.get("data_hash") and a.start["data_hash"] == b.start.get("data_hash"):
        ordered = a.start.get("order_hash") and a.start["order_hash"] == b.start.get("order_hash")
        same.append("the same pictures in the same order" if ordered else "the same pictures")
    if a.config and b.config:
        beginnings = [
            (c.seed, c.model, c.data.tokenizer, c.data.vocab, c.init_from, c.pretrained)
            for c in (a.config, b.config)
        ]
        if beginnings[0] == beginnings[1]:
            same.append("the same initial weights in what they share")
    return f"{phrases.capital(phrases.listed(same))}." if same else ""
