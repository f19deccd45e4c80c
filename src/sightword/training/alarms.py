"""What is wrong with a run, told from its records: in one line, once, with what to try.

An alarm needs a sign that stays: over as many measurements in a row as the sign says and some steps, none
of them during warm-up, when features are still those of random weights. It is a function of the records
alone, so a resumed run that looks at its old records again goes on where it stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sightword.training.input import REMEDIES, STARVED, shares, slowest

Record = Mapping[str, Any]
Seen = Mapping[str, str]  # what is wrong now, by what it concerns; empty: all is well

# Spread of features: of 1, where they lie all around the sphere (SimSiam, arXiv 2011.10566, section 4.1:
# without stop-gradient it falls to 0). At 0.1 the features of two pictures have a cosine of 0.99 on average,
# at 0.02 of 0.9996. Directions: RankMe (arXiv 2210.02885), which also sees features on one line through the
# origin, however widely they spread along it. Runs that learn were seen above 0.2 and above 2 directions; but
# a ViT whose learning rate rises fast may pass below 0.1 for some 50 steps and come back, so that the wider
# limits are for what lasts.
_COLLAPSED = {"spread": 0.02, "effective_rank": 1.1}
_NARROW = {"spread": 0.1, "effective_rank": 1.5}
# Of a term's gradient with the weighted sum. Below zero the step raises that term (conflict in the sense of
# PCGrad, arXiv 2001.06782, definition 1); gradients of single batches that do not conflict vary by 0.1.
_AGAINST = -0.1
# Of the strongest term's weighted gradient norm: without such a term the step would be the same to 1 %.
_FAINT = 0.01
_STARVED = 2 * STARVED  # told aloud; from STARVED on it stands behind the progress bar


@dataclass(frozen=True)
class Alarm:
    """A sign that stayed: which, since which step, and the line for the user."""

    sign: str
    since: int
    said: str


@dataclass(frozen=True)
class Sign:
    """One thing that can be wrong.

    patience: measurements in a row before it is told,
    steps: and over how many steps at least.
    look: what is wrong in a record of kind `step`; None where it was not measured.
    advice: what to try.
    """

    name: str
    patience: int
    steps: int
    look: Callable[[Record], Seen | None]
    advice: str


@dataclass
class _Streak:
    """How long a sign has stayed."""

    since: int
    count: int = 0
    told: bool = False


class Alarms:
    """Listens to a run's records, in their order.

    Args:
        warmup: steps in which nothing is looked at.
    """

    def __init__(self, warmup: float) -> None:
        self._warmup = warmup
        self._streaks: dict[tuple[str, str], _Streak] = {}  # of a sign, and of what it concerns

    def remember(self, records: Iterable[Record]) -> None:
        """Listen again to what was told already."""
        for record in records:
            self.hear(record)

    def hear(self, record: Record) -> list[Alarm]:
        """The alarms that this record raises: each once, until its sign has gone and come again."""
        if record.get("kind", "step") != "step" or record["step"] <= self._warmup:
            return []
        return [alarm for sign in SIGNS for alarm in self._hear(sign, record)]

    def _hear(self, sign: Sign, record: Record) -> list[Alarm]:
        seen = sign.look(record)
        if seen is None:
            return []
        for key in [k for k in self._streaks if k[0] == sign.name and k[1] not in seen]:
            del self._streaks[key]
        raised, step = [], record["step"]
        for what, words in seen.items():
            streak = self._streaks.setdefault((sign.name, what), _Streak(step))
            streak.count += 1
            if not streak.told and streak.count >= sign.patience and step - streak.since >= sign.steps:
                streak.told = True
                said = f"{words} at step {step}, since step {streak.since}; {sign.advice}"
                raised.append(Alarm(sign.name, streak.since, said))
        return raised


def _collapse(limits: Mapping[str, float], record: Record) -> Seen | None:
    features = record.get("features", {})
    rank, spread = features.get("effective_rank"), features.get("spread")
    if not (_finite(rank) and _finite(spread)):
        return None
    if all(features[name] >= limit for name, limit in limits.items()):
        return {}
    found = f"effective rank {rank:.1f} of {features['rank_most']:.0f}, spread {spread:.2g} of 1"
    return {"": f"features of the image tower collapse: {found}"}


def _starved(stage: str, record: Record) -> Seen | None:
    making = record.get("data_seconds")
    if not making:
        return None
    if record["data_wait"] < _STARVED or slowest(making) != stage:
        return {}
    return {"": f"training waits for data {record['data_wait']:.0%} of the time ({shares(making)})"}


def _capped(record: Record) -> Seen | None:
    if "logit_scale_at_most" not in record:
        return None
    if not record["logit_scale_at_most"]:
        return {}
    return {"": f"the logit scale stands at its cap: {record['logit_scale']:.0f}"}


def _conflict(record: Record) -> Seen | None:
    cosines = _with_the_sum(record)
    if cosines is None:
        return None
    return {
        name: f"what lowers the weighted sum raises {name}: cosine {cosine:.2f} of their gradients on the"
        " image tower"
        for name, cosine in cosines.items()
        if cosine < _AGAINST
    }


def _faint(record: Record) -> Seen | None:
    pulls = _pulls(record)
    if len(pulls) < 2:
        return None
    most = max(pulls.values())
    return {
        name: f"{name} hardly moves the image tower: its weighted gradient is {pull / most:.2g} of the"
        " strongest term's"
        for name, pull in pulls.items()
        if pull < _FAINT * most
    }


_PART = "try a lower --lr, a longer --warmup, or a term that parts pictures (clip, simclr)"
SIGNS = (
    Sign("collapse", 3, 20, partial(_collapse, _COLLAPSED), _PART),
    Sign("narrow", 10, 200, partial(_collapse, _NARROW), _PART),
    # CLIP caps it because training was unstable without (arXiv 2103.00020, section 2.5).
    Sign(
        "logit-scale",
        10,
        20,
        _capped,
        "pairs of the batch are told apart too easily or steps are too large: try more or other pairs, a"
        " higher --wd, a lower --lr; long runs of large models end there and need nothing",
    ),
    Sign("conflict", 3, 20, _conflict, "try a lower weight for the others, or start it later (NAME@50%)"),
    Sign("faint", 3, 20, _faint, "try a higher weight, or save its cost and leave it out"),
    *(Sign(f"input-{stage}", 3, 20, partial(_starved, stage), remedy) for stage, remedy in REMEDIES.items()),
)


def _pulls(record: Record) -> dict[str, float]:
    """The weighted gradient norm of each term that reaches the image tower, where it was measured."""
    norms = {name: (term.get("grad_norm"), term["weight"]) for name, term in record.get("terms", {}).items()}
    return {
        name: float(abs(weight) * norm)
        for name, (norm, weight) in norms.items()
        if _finite(norm) and norm > 0
    }


def _with_the_sum(record: Record) -> dict[str, float] | None:
    """The cosine of each term's gradient with the weighted sum of all of them."""
    pulls, pairs = _pulls(record), record.get("grad_cosines")
    if not pairs or len(pulls) < 2:
        return None

    def cosine(a: str, b: str) -> float:
        found = 1.0 if a == b else pairs.get(a, {}).get(b, pairs.get(b, {}).get(a))
        return float(found) if _finite(found) else 0.0

    along = {a: sum(pulls[b] * cosine(a, b) for b in pulls) for a in pulls}
    whole = math.sqrt(max(sum(pulls[a] * along[a] for a in pulls), 0.0))
    return {a: along[a] / whole for a in pulls} if whole > 0 else None


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
