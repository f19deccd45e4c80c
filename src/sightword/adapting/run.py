"""An adaptation from its data to its page. Called again it goes on where it was, however it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from sightword.adapting import beginning, curve, planned, preflight, settings
from sightword.adapting.asked import ADAPTED, CHECKED, HELD_OUT, MIXED, RUN, START, Asked, keep
from sightword.adapting.choice import Point, choose
from sightword.adapting.curve import Ends
from sightword.adapting.findings import gather, write_records
from sightword.adapting.page.page import write_page
from sightword.adapting.planned import Planned
from sightword.adapting.publishing import publish
from sightword.adapting.scoring import Scoring
from sightword.config import Config
from sightword.corpora.checking.copies import Copies
from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import places_of
from sightword.pairs.base import Pairs
from sightword.pairs.mixture import make_order
from sightword.study.holding import TEST, VALIDATION, hold_out
from sightword.study.planned import ask
from sightword.study.sameness import check_same
from sightword.study.work import trained
from sightword.training.checks import total_steps
from sightword.training.data import all_pairs, own_pairs
from sightword.training.model import load_model
from sightword.training.saving import best

LESS = "ask for fewer --epochs or --alphas"


@dataclass
class Adapting:
    """An adaptation being carried out.

    reasons: the settings with why they are so.
    """

    asked: Asked
    reasons: list[settings.Setting]
    out: Path
    say: Callable[[str], None]

    @cached_property
    def pairs(self) -> Pairs:
        """All pairs, those that are held out included."""
        return all_pairs(replace(self.asked.config, data=replace(self.asked.config.data, held_out=0)))

    @cached_property
    def run(self) -> Config:
        """What is trained."""
        return settings.run_of(self.asked.config, self.out / RUN, self.validation, self.steps)

    @cached_property
    def steps(self) -> int:
        """Of the whole run."""
        config, pairs = self.asked.config, own_pairs(self.asked.config)
        order = make_order(pairs.counts, pairs.parts, config.data.upsampling, config.seed, config.data.window)
        return total_steps(config, order.steps_per_epoch(config.global_batch))

    @property
    def validation(self) -> Path:
        """The pairs that everything is chosen on."""
        return self.out / HELD_OUT / VALIDATION

    @cached_property
    def reference(self) -> list[str]:
        """What should not become worse."""
        places, missing = places_of(self.asked.reference, Path(self.asked.data_root))
        for one in missing:
            self.say(one.line())
        if not places:
            raise SightwordError("none of the sets of --reference is there; give others, or see --data-root")
        return places

    def scoring(self, copies: bool = False) -> Scoring:
        """Who scores; with `copies` he counts what of a set is trained on."""
        counted = Copies(self.run, self.say) if copies else None
        return Scoring(Path(self.asked.data_root), self.say, counted)

    def ends(self) -> Ends:
        """The model before, and the best step of the run by validation."""
        start, run = self.out / START, self.out / RUN
        end = next(f for f in (run / best.WEIGHTS, run / beginning.WEIGHTS) if f.is_file())
        before = load_model(start, self.run.device)
        return Ends(start / beginning.WEIGHTS, end, before, beginning.trained(end))


def plan(doing: Adapting, timed: bool = True) -> Planned:
    """Examine the data, hold pairs out, and say what is set and, if `timed`, how long it takes.

    Raises:
        SightwordError: the data would ruin the run, or something asked for does not fit.
    """
    asked, out = doing.asked, doing.out
    keep(asked, doing.reasons, out)
    if asked.checked:
        _told(doing, preflight.examine(asked.config, doing.pairs, out / CHECKED).lines())
    hold_out(asked.config, asked.held_out, out / HELD_OUT, doing.say, asked.splits)
    _told(doing, (one.line() for one in doing.reasons))
    origin = beginning.begin(doing.run, own_pairs(asked.config), out / START)
    _told(doing, origin.lines() if origin else ())
    places = [str(doing.validation), *doing.reference]
    found = planned.plan(asked, doing.run, doing.steps, out, places, timed)
    planned.remember(found, out)
    _told(doing, found.lines())
    return found


def adapt(doing: Adapting, yes: bool = False) -> Path:
    """Carry it out, or go on with it, and write its page.

    Args:
        doing: the adaptation and its directory.
        yes: do not ask before more than an hour.

    Returns:
        The page.

    Raises:
        SightwordError: it is refused, the data would ruin it, or it was asked to stop, saved.
    """
    if not ask(plan(doing, timed=not yes), yes, "adaptation", LESS):
        raise SightwordError("nothing was begun; the same command asks again")
    _train(doing)
    chosen = _choose(doing)
    publish(doing.ends(), chosen, doing.out / ADAPTED, doing.asked.weights)
    _test(doing)
    return conclude(doing)


def conclude(doing: Adapting) -> Path:
    """Records and page, from what lies there.

    Raises:
        SightwordError: it is not finished.
    """
    if not (doing.out / ADAPTED / beginning.WEIGHTS).is_file():
        raise SightwordError(f"the adaptation in '{doing.out}' is not finished; go on with it without --page")
    ends, folder = doing.ends(), doing.out / MIXED
    points = curve.points(ends, doing.asked.alphas, folder)
    findings = gather(doing.asked, doing.out, points)
    write_records(findings, doing.out)
    page = write_page(findings, doing.out)
    doing.say(findings.verdict())
    return page


def _train(doing: Adapting) -> None:
    from sightword.recipes.runs import train_and_score

    check_same(doing.run)
    if not trained(doing.out / RUN):
        train_and_score(doing.run, go_on=True)
    if not trained(doing.out / RUN):
        raise SightwordError(
            f"'{doing.out}' was asked to stop and is saved; go on with: sightword adapt --out {doing.out}"
        )


def _choose(doing: Adapting) -> Point:
    """The curve, and what the rule takes of it."""
    ends, folder, alphas = doing.ends(), doing.out / MIXED, doing.asked.alphas
    curve.score(ends, alphas, folder, [str(doing.validation), *doing.reference], doing.scoring())
    return choose(curve.points(ends, alphas, folder), doing.asked.tolerance)


def _test(doing: Adapting) -> None:
    """The only look at the test pairs: before, and after as it was chosen."""
    by, places = doing.scoring(copies=True), [str(doing.out / HELD_OUT / TEST), *doing.reference]
    for name in (START, ADAPTED):
        by(load_model(doing.out / name, doing.run.device), doing.out / name, places)


def _told(doing: Adapting, lines: Iterable[str]) -> None:
    for line in lines:
        doing.say(line)
