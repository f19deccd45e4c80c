"""Published results to draw beside a study's own points: what other people measured, with its source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Anchor:
    """Percent accuracies that a paper gives for one arm.

    objective: in this project's grammar where it has a name there, else in words.
    budget: what the paper kept alike between its arms. size: pairs of the corpus. epochs: over it.
    zeroshot, linear, finetune: ImageNet top-1 in percent; None where the paper has none.
    note: what a reader must know to compare.
    source, address, table: where it stands.
    """

    paper: str
    objective: str
    model: str
    corpus: str
    size: int
    epochs: int
    budget: str
    zeroshot: float | None
    linear: float | None
    finetune: float | None
    table: str
    source: str
    address: str
    note: str

    def value(self, task: str) -> float | None:
        """Of "zeroshot", "linear" or "finetune", between 0 and 1."""
        percent = {"zeroshot": self.zeroshot, "linear": self.linear, "finetune": self.finetune}.get(task)
        return None if percent is None else percent / 100


@dataclass(frozen=True)
class Finding:
    """What a paper found where its numbers are not taken up here: in words, at a size.

    direction: 1 the gain is there, 0 there is little or none, -1 a loss.
    """

    paper: str
    objective: str
    baseline: str
    corpus: str
    size: int
    direction: int
    said: str
    source: str
    address: str


@dataclass(frozen=True)
class Published:
    """All anchors and findings."""

    anchors: tuple[Anchor, ...]
    findings: tuple[Finding, ...]

    def gains(self, task: str, model: str, baseline: str = "clip") -> list[tuple[Anchor, float]]:
        """Each arm with its gain over the baseline of the same paper, corpus, model and epochs, 0 to 1."""
        found = []
        for arm in self.anchors:
            value = arm.value(task)
            base = next((one for one in self.anchors if one.objective == baseline and _alike(one, arm)), None)
            under = base.value(task) if base else None
            if arm.model == model and arm is not base and value is not None and under is not None:
                found.append((arm, value - under))
        return found


def published() -> Published:
    """What is packaged, read from `data/study/published.json`."""
    path = files("sightword") / "data" / "study" / "published.json"
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    papers, corpora = told["papers"], told["corpora"]
    anchors = [
        Anchor(**one, size=corpora[one["corpus"]]["pairs"], **papers[one["paper"]]) for one in told["anchors"]
    ]
    findings = [
        Finding(**one, size=corpora[one["corpus"]]["pairs"], **papers[one["paper"]])
        for one in told["findings"]
    ]
    return Published(tuple(anchors), tuple(findings))


def _alike(one: Anchor, other: Anchor) -> bool:
    return (one.paper, one.corpus, one.model, one.epochs) == (
        *(other.paper, other.corpus, other.model, other.epochs),
    )
