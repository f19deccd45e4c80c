"""A study from its plan to its page. Called again it goes on, and ends with the same page."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightword.config import Config
from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import places_of
from sightword.planning import devices
from sightword.planning.devices import Device
from sightword.study import rates
from sightword.study.carried import Say, conduct, done
from sightword.study.design import Study
from sightword.study.findings import analyse
from sightword.study.grid import Rates, cells, flops_of, run_of, trials
from sightword.study.holding import TEST, VALIDATION, hold_out
from sightword.study.keeping import HELD_OUT, keep
from sightword.study.launching.launcher import Launcher
from sightword.study.launching.local import Local
from sightword.study.page.page import write_page
from sightword.study.planned import MEASURED, OnDevice, Planned, ask, plan
from sightword.study.points import points_of
from sightword.study.sameness import check_same
from sightword.study.timing import measured
from sightword.study.work import Work, finished
from sightword.training.records import code_version

PLAN = "plan.jsonl"


@dataclass
class Carrying:
    """A study being carried out.

    device: what runs elsewhere compute on, for the plan.
    failed: why, by a run's directory.
    """

    study: Study
    out: Path
    launcher: Launcher
    say: Say
    device: Device = field(default_factory=lambda: devices.find("h100"))
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def work(self) -> Work:
        """What is done for each run of the grid."""
        held = (str(self.out / HELD_OUT / TEST),) if self.study.tested else ()
        return Work((*held, *self._published()), self.study.tasks, self.study.data_root)

    @property
    def trial(self) -> Work:
        """What is done for each trial of a learning rate."""
        return Work((str(self.out / HELD_OUT / VALIDATION),), ("retrieval",))

    def hold_out(self) -> None:
        """Write the sets of held-out pairs, where there are any."""
        if self.study.tested:
            base = self.study.base
            hold_out(base, self.study.held_out, self.out / HELD_OUT, self.say, self.study.splits)

    def planned(self) -> Planned:
        """What is left to do, and how long it takes: measured where runs are carried out here."""
        at_once = self.launcher.at_once(self.study.base)
        if isinstance(self.launcher, Local):
            speeds, basis = measured(self.study, self.out, self.launcher, self.work), MEASURED
        else:
            elsewhere = OnDevice(self.device)
            speeds, basis = elsewhere.speeds(self.study), elsewhere.basis
        return plan(self.study, self.out, self.work, speeds, basis, at_once, self.trial)

    def rates(self) -> tuple[Rates, rates.Tried]:
        """The learning rates of arms, by trials; none where they are given."""
        if not self.study.lrs:
            return {}, {}
        self._run(self.trial, [run_of(self.study, cell, self.out, {}) for cell in trials(self.study)])
        found = rates.tried(self.study, self.out)
        chosen = rates.chosen(found)
        for line in rates.at_the_edge(found, chosen):
            self.say(line)
        return chosen, found

    def runs(self, chosen: Rates) -> None:
        """Every run of the grid that is not finished."""
        self._run(self.work, [run_of(self.study, cell, self.out, chosen) for cell in cells(self.study)])

    def page(self, chosen: Rates, tried: rates.Tried) -> Path:
        """The page of what is finished."""
        cells_done = done(self.study, self.out, self.work)
        if not cells_done:
            raise SightwordError(f"no run of the study in '{self.out}' is finished{self._failures()}")
        went = conduct(self.study, self.out, self.work, chosen, tried, self.failed, self.say)
        return write_page(analyse(self.study, points_of(self.study, self.out, cells_done), went), self.out)

    def _run(self, work: Work, configs: Sequence[Config]) -> None:
        for config in configs:
            check_same(config)
        todo = [config for config in configs if not finished(Path(config.out), work)]
        for failure in self.launcher.run(work, todo):
            self.failed[failure.out] = failure.reason

    def _published(self) -> list[str]:
        if not self.study.on:
            return []
        places, missing = places_of(self.study.on, Path(self.study.data_root))
        for one in missing:
            self.say(one.line())
        return places

    def _failures(self) -> str:
        return "".join(f"; {out}: {reason}" for out, reason in self.failed.items())


def plan_study(carrying: Carrying) -> Planned:
    """Hold pairs out, measure how long runs take, and say what is left to do.

    Raises:
        SightwordError: another study lies there, or what is asked for does not fit the data or each other.
    """
    for cell in {(cell.model, cell.arm): cell for cell in cells(carrying.study)}.values():
        run_of(carrying.study, cell, carrying.out, {})  # what does not fit is told before anything is written
        flops_of(carrying.study, cell.arm, cell.model)
    keep(carrying.study, carrying.out)
    carrying.hold_out()
    planned = carrying.planned()
    for line in planned.lines():
        carrying.say(line)
    record = {**planned.record(), "code_version": code_version(), "time": round(time.time(), 3)}
    with (carrying.out / PLAN).open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    return planned


def run_study(carrying: Carrying, yes: bool = False) -> Path:
    """Carry a study out, or go on with it, and write its page.

    Args:
        carrying: the study, its directory, and who carries it out.
        yes: do not ask before more than an hour.

    Returns:
        The page.

    Raises:
        SightwordError: it is refused, another study lies there, it was asked to stop, or, when the page of
            all others is written, runs have failed.
    """
    planned = plan_study(carrying)
    if not ask(planned, yes):
        raise SightwordError("nothing was begun; the same command asks again")
    chosen, tried = carrying.rates()
    carrying.runs(chosen)
    page = carrying.page(chosen, tried)
    if carrying.failed:
        raise SightwordError(
            f"{len(carrying.failed)} runs failed{carrying._failures()}; '{page}' is made of the others, and"
            " the same command tries those again"
        )
    return page


def page_of(carrying: Carrying) -> Path:
    """The page of what is finished so far; nothing is trained.

    Raises:
        SightwordError: nothing is finished.
    """
    tried = rates.tried(carrying.study, carrying.out) if carrying.study.lrs else {}
    return carrying.page(rates.chosen(tried) if tried else {}, tried)
