"""What came of an adaptation, read from its directory: for the page and for `adapt.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sightword.adapting.asked import ADAPTED, CHECKED, HELD_OUT, RUN, START, Asked, reasons_of
from sightword.adapting.beginning import WEIGHTS
from sightword.adapting.choice import RULE, Point, choose
from sightword.adapting.preflight import Examined, found_in
from sightword.adapting.scoring import OWN
from sightword.adapting.settings import Setting
from sightword.evaluation.compare import Comparison, is_shown
from sightword.evaluation.differences import Difference, differences
from sightword.evaluation.scores import read_scores
from sightword.statistics import Interval, holm
from sightword.study.holding import RECORD, TEST, HeldOut
from sightword.training.disk import write_text
from sightword.training.records import file_digest, read_records
from sightword.training.saving import best

FILE = "adapt.jsonl"


@dataclass(frozen=True)
class Findings:
    """All of it.

    examined: the data; None where nobody looked.
    points: every mixture; `chosen` is one of them.
    compared: after less before, of each set's own metric, on test pairs and reference.
    looks: how many adapted models were tested on the test pairs: one, unless it was chosen again.
    best: the step that was kept of the run, in words; start: what the run's records say of its beginning.
    """

    asked: Asked
    out: Path
    examined: Examined | None
    held: HeldOut
    settings: Sequence[Setting]
    points: Sequence[Point]
    chosen: Point
    compared: Comparison
    looks: int
    best: str
    start: Mapping[str, Any]
    warnings: Sequence[str]

    @property
    def own(self) -> list[Difference]:
        """On one's own test pairs."""
        return [one for one in self.compared.differences if one.dataset in OWN]

    @property
    def reference(self) -> list[Difference]:
        """On the reference's sets."""
        return [one for one in self.compared.differences if one.dataset not in OWN]

    @property
    def demo_alone(self) -> bool:
        """Whether the reference is but the stand-in."""
        return self.asked.reference == ("demo",)

    def title(self) -> str:
        """What came out, in a few words."""
        if self.chosen.alpha == 0:
            return "Nothing was gained: adapted/ holds the weights as they were"
        own, fell = self._own(), [one for one in self.reference if is_shown(one) and one.difference.value < 0]
        ways = {True: "Better on your test pairs", False: "Worse on your test pairs"}
        won = ways[own.difference.value > 0] if is_shown(own) else "No gain is shown on your test pairs"
        lost = (
            f"{len(fell)} of {len(self.reference)} reference numbers fell"
            if fell
            else "no loss is shown elsewhere"
        )
        return f"{won}; {lost}"

    def verdict(self) -> str:
        """The same with its numbers."""
        if self.chosen.alpha == 0:
            return (
                f"{self.title()}. By the validation pairs no mixture within the tolerance is better than the"
                " weights before."
            )
        clear = [f"{_place(one)}: {said(one)}" for one in self.reference if is_shown(one)]
        rest = len(self.reference) - len(clear)
        clear += [f"no change shown in {rest} of {len(self.reference)} numbers"] if rest else []
        return f"{self.title()}. {self.gained()}. Reference: {'; '.join(clear)}."

    def gained(self) -> str:
        """What came of one's own test pairs."""
        return f"Test pairs: {said(self._own())}"

    def _own(self) -> Difference:
        return next(one for one in self.own if one.task == "retrieval")


def gather(asked: Asked, out: Path, points: Sequence[Point]) -> Findings:
    """Read all that an adaptation left.

    Raises:
        SightwordError: something is missing or damaged.
    """
    metrics, compared = read_records(out / RUN / "metrics.jsonl"), _compared(out)
    warnings = [str(record["said"]) for record in metrics if record["kind"] == "warning"]
    return Findings(
        asked=asked,
        out=out,
        examined=found_in(out / CHECKED),
        held=HeldOut(**json.loads((out / HELD_OUT / RECORD).read_bytes())),
        settings=reasons_of(out),
        points=points,
        chosen=choose(points, asked.tolerance),
        compared=compared,
        looks=len({s.weights_hash for s in read_scores(out / ADAPTED) if s.dataset == TEST}),
        best=best.told(out / RUN / best.WEIGHTS),
        start=next((record for record in metrics if record["kind"] == "start"), {}),
        warnings=[*warnings, *(f"not compared: {one}" for one in compared.left_out)],
    )


def _compared(out: Path) -> Comparison:
    """After less before, of each set's own metric; Holm's correction is over just these."""
    found = differences(out / START, out / ADAPTED, own=True)
    adjusted = holm([one.p for one in found.differences])
    rows = (replace(one, adjusted=p) for one, p in zip(found.differences, adjusted, strict=True))
    return Comparison(str(out / START), str(out / ADAPTED), tuple(rows), (), found.left_out)


def write_records(findings: Findings, out: Path) -> None:
    """Write `adapt.jsonl`: the same findings, the same lines."""
    text = "".join(json.dumps(record) + "\n" for record in records(findings))
    write_text(out / FILE, text)


def records(findings: Findings) -> Iterator[dict[str, Any]]:
    """The lines; see docs/records.md."""
    asked, held = findings.asked, findings.held
    yield {
        "kind": "adapt",
        "weights": asked.weights,
        "data": asked.config.data.path,
        "pairs": findings.start.get("pairs"),
        "data_hash": findings.start.get("data_hash"),
        "held_out": asdict(held),
        "reference": list(asked.reference),
        "tolerance": asked.tolerance,
        "rule": RULE,
        "code_version": findings.start.get("code_version"),
    }
    if findings.examined is not None:
        yield {"kind": "data", **asdict(findings.examined)}
    for one in findings.settings:
        yield {"kind": "setting", **asdict(one)}
    for point in findings.points:
        yield {
            "kind": "alpha",
            "alpha": point.alpha,
            **_ends("own", point.own),
            **_ends("own_gain", point.own_gain),
            **_ends("reference", point.reference),
            **_ends("reference_gain", point.reference_gain),
            **_ends("worst_gain", point.worst_gain),
            "worst": point.worst,
            "allowed": point.allowed(asked.tolerance),
            "chosen": point == findings.chosen,
        }
    for record in findings.compared.records():
        if record["kind"] == "difference":
            yield {**record, "kind": "change", "own": record["dataset"] in OWN}
    yield {
        "kind": "outcome",
        "alpha": findings.chosen.alpha,
        "weights_hash": file_digest(findings.out / ADAPTED / WEIGHTS)[:16],
        "looks": findings.looks,
        "best": findings.best,
        "said": findings.verdict(),
    }


def said(one: Difference) -> str:
    """Before, after and the difference in points."""
    ends = f"[{100 * one.difference.low:+.1f}, {100 * one.difference.high:+.1f}]"
    return (
        f"{one.metric.replace('_', ' ')} {100 * one.first:.1f} % before, {100 * one.second:.1f} % after"
        f" ({100 * one.difference.value:+.1f} {ends})"
    )


def _place(one: Difference) -> str:
    return f"{one.dataset} {one.split} {one.task}".replace("_", " ")


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
